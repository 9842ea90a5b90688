"""The program ``dflm``: its commands, its exit codes, and how it tells what is wrong."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import warnings
from collections.abc import Sequence

from dflm import __version__
from dflm.cli import attribute, info, models, motifs, predict, scan, variants, verify
from dflm.errors import InputError

OK, WRONG_INPUT, USAGE, INTERRUPTED = 0, 1, 2, 130
COMMANDS = {
    "predict": predict,
    "scan": scan,
    "attribute": attribute,
    "motifs": motifs,
    "variants": variants,
    "info": info,
    "models": models,
    "verify": verify,
}


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole program."""
    program = argparse.ArgumentParser(
        prog="dflm",
        description="Use a trained DFLM classifier: score sequences, scan genomes, find what it "
        "reads, and say what variants do to it.",
        epilog="dflm COMMAND --help shows the options of a command, with examples. Exit codes: 0 "
        "done, 1 wrong input or a file that cannot be read, 2 wrong usage, 130 interrupted.",
    )
    program.add_argument("--version", action="version", version=f"dflm {__version__}")
    commands = program.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, module in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=module.HELP,
            description=module.__doc__,
            epilog="examples:\n" + module.EXAMPLES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(command)
        command.add_argument(
            "--quiet", action="store_true", help="tell warnings and errors only, on stderr"
        )
    return program


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code.

    Parameters
    ----------
    arguments : sequence of str, optional
        The words of the command line; those of the process where not given.
    """
    args = parser().parse_args(arguments)
    logging.basicConfig(
        level=logging.WARNING if args.quiet else logging.INFO,
        format="dflm: %(message)s",
        stream=sys.stderr,
        force=True,
    )
    warnings.simplefilter("ignore")  # of packages; what concerns the user is logged
    try:
        COMMANDS[args.command].run(args)
        sys.stdout.flush()
    except InputError as error:
        print(f"dflm {args.command}: {' '.join(str(error).split())}", file=sys.stderr)
        return WRONG_INPUT
    except BrokenPipeError:
        # The reader of our output has gone, as `head` does: no error of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except OSError as error:
        place = "" if error.filename is None else f"{error.filename}: "
        print(f"dflm {args.command}: {place}{error.strerror or error}", file=sys.stderr)
        return WRONG_INPUT
    except KeyboardInterrupt:
        print("dflm: interrupted", file=sys.stderr)
        return INTERRUPTED
    return OK
