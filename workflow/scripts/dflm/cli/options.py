"""Options that several commands have."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from dflm.errors import InputError

HELD = 2**24
"""Bases of sequences that are held before they are scored."""
MODEL_HELP = "folder of a model: model.safetensors and model.json, as results/classify/NAME"


def at_least(least: int) -> Callable[[str], int]:
    """Return a converter of whole numbers from `least` on, for argparse."""

    def convert(text: str) -> int:
        value = int(text)
        if not least <= value < 2**31:  # as torch and htslib hold them
            raise argparse.ArgumentTypeError(f"{value} is not from {least} to {2**31 - 1}")
        return value

    convert.__name__ = "whole number"
    return convert


def usable_cores() -> int:
    """Return how many cores this process may use; not every system tells, but all count theirs."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def add_folder(command: argparse.ArgumentParser, words: str) -> None:
    """Add the folder that is looked at; `words` say what it holds."""
    command.add_argument(
        "folder",
        metavar="FOLDER",
        type=Path,
        nargs="?",
        default=Path(),
        help=f"{words}; default: this folder",
    )


def add_model(command: argparse.ArgumentParser, several: bool = False) -> None:
    """Add the model, or several of them, and what they run on."""
    if several:
        command.add_argument("models", metavar="MODEL", type=Path, nargs="+", help=MODEL_HELP)
    else:
        command.add_argument("model", metavar="MODEL", type=Path, help=MODEL_HELP)
    group = command.add_argument_group("computing")
    group.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: a GPU if any"
    )
    group.add_argument(
        "--threads",
        type=at_least(1),
        default=usable_cores(),
        help="of the CPU; default: all that this process may use, %(default)s here",
    )
    group.add_argument(
        "--batch-size",
        type=at_least(1),
        default=256,
        help="windows at once (a GPU takes as many more as fill it); default %(default)s",
    )


def add_precision(command: argparse.ArgumentParser) -> None:
    """Add the precision, for commands where it may be lower."""
    command.add_argument(
        "--precision",
        choices=("auto", "fp32", "bf16"),
        default="auto",
        help="auto is bfloat16 where the hardware is fast at it",
    )


def add_sequences(command: argparse.ArgumentParser) -> None:
    """Add the sources of sequences, of which one is to be given."""
    source = command.add_argument_group("sequences (one of these)")
    source.add_argument("--fasta", metavar="FILE", help="plain or gzipped; - is stdin")
    source.add_argument(
        "--tsv",
        metavar="FILE",
        help="table with columns name and sequence, or a set's file; - is stdin",
    )
    source.add_argument("--bed", metavar="FILE", help="regions, with --genome")
    source.add_argument(
        "--genome", metavar="FILE", help="FASTA (plain or bgzip), or the workflow's index.json"
    )


def add_windows(command: argparse.ArgumentParser, stride: str) -> None:
    """Add the windows' width and stride; `stride` tells its default."""
    group = command.add_argument_group("windows")
    group.add_argument(
        "--width", type=at_least(1), help="bases of a window; default: as the model was trained"
    )
    group.add_argument("--stride", type=at_least(1), help=f"bases between windows; {stride}")


def add_seed(command: argparse.ArgumentParser) -> None:
    """Add the seed."""
    command.add_argument(
        "--seed", type=at_least(0), default=0, help="of random draws; default %(default)s"
    )


def load_scorer(args: argparse.Namespace, model: Path | None = None, precision: str = "fp32"):
    """Load a model with the options of `add_model`."""
    from dflm.mining.scoring import Scorer

    return Scorer.load(
        model if model is not None else args.model,
        device=args.device,
        threads=args.threads,
        batch_size=args.batch_size,
        precision=precision,
    )


def one_source(args: argparse.Namespace, names: tuple[str, ...]) -> str:
    """Return which of the options `names` was given, or raise InputError."""
    given = [name for name in names if getattr(args, name) is not None]
    if len(given) != 1:
        listed = ", ".join(f"--{name}" for name in names)
        raise InputError(
            f"{len(given)} sources of sequences are given" if given else "no sequences are given",
            mend=f"give one of {listed}",
        )
    return given[0]


def each_batch(
    args: argparse.Namespace, take: Callable[[list[str], list[np.ndarray]], None], size: int = 2048
) -> int:
    """Hand the sequences of `add_sequences` to `take`, some at a time; return their number.

    Memory grows with the longest sequence, not with their number: `size` of them at most are held,
    and no more once they have `HELD` bases.
    """
    from dflm.mining.genomes import open_genome
    from dflm.mining.sequences_in import each_fasta_record, region_records, table_records

    source = one_source(args, ("fasta", "tsv", "bed"))
    held: list[tuple[str, np.ndarray]] = []
    count = bases = 0

    def add(record: tuple[str, np.ndarray]) -> None:
        nonlocal count, bases
        held.append(record)
        count += 1
        bases += len(record[1])
        if len(held) == size or bases >= HELD:
            flush()

    def flush() -> None:
        nonlocal bases
        bases = 0
        if held:
            take([name for name, _ in held], [codes for _, codes in held])
            held.clear()

    if source == "fasta":
        each_fasta_record(args.fasta, add)
    else:
        records: Iterator[tuple[str, np.ndarray]]
        if source == "tsv":
            records = table_records(args.tsv)
        else:
            if args.genome is None:
                raise InputError("--bed needs the genome", mend="give --genome FILE")
            records = region_records(args.bed, open_genome(args.genome))
        for record in records:
            add(record)
    flush()
    if not count:
        raise InputError("holds no sequence", getattr(args, source))
    return count


def all_sequences(args: argparse.Namespace, most: int | None) -> tuple[list[str], list[np.ndarray]]:
    """Return names and codes of the sequences of `add_sequences`, the first `most` of them."""
    names: list[str] = []
    sequences: list[np.ndarray] = []

    def take(some: list[str], codes: list[np.ndarray]) -> None:
        room = len(some) if most is None else max(0, most - len(names))
        names.extend(some[:room])
        sequences.extend(codes[:room])

    each_batch(args, take)
    return names, sequences


def attributions(args: argparse.Namespace, scorer):
    """Attribute the sequences that the command was given, `args.most` of them at most."""
    from dflm.mining.attribution.sequences import attribute
    from dflm.mining.predict import default_stride

    width = scorer.width(args.width)
    return attribute(
        scorer,
        *all_sequences(args, args.most),
        width=width,
        stride=args.stride or default_stride(width),
        method=args.method,
        seed=args.seed,
    )
