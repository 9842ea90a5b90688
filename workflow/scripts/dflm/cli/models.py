"""List the models of a folder, at any depth, with what they reached."""

from __future__ import annotations

import argparse

from dflm.cli import options

HELP = "list the models of a folder"
EXAMPLES = """\
  dflm models results/classify
  dflm models . | sort -t"$(printf '\\t')" -k4,4gr
"""


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    options.add_folder(command, "holds model folders, at any depth")


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    from dflm.mining.cards import list_models

    for line in list_models(args.folder):
        print(line)
