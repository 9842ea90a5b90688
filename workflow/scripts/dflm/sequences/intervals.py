"""Stretches of contigs, each from `start` to below `end`, counted from 0, as rows of an array."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np

from dflm.errors import InputError
from dflm.files import atomic_path


def joined(stretches: np.ndarray) -> np.ndarray:
    """Return the union of stretches, in order; those that overlap or touch become one.

    Parameters
    ----------
    stretches : numpy.ndarray
        shape=(stretches, 2) int64, in any order.
    """
    stretches = stretches[np.argsort(stretches[:, 0], kind="stable")]
    reach = np.maximum.accumulate(stretches[:, 1])
    first = np.flatnonzero(np.r_[True, stretches[1:, 0] > reach[:-1]][: len(stretches)])
    last = np.r_[first[1:], len(stretches)][: first.size] - 1
    return np.column_stack((stretches[first, 0], reach[last]))


def without(stretches: np.ndarray, removed: np.ndarray) -> np.ndarray:
    """Return what is left of stretches where others are taken out.

    Parameters
    ----------
    stretches, removed : numpy.ndarray
        shape=(.., 2) int64, each in order, and none of one overlapping another of the same.
    """
    # Every place where one side or the other begins or ends; what lies between two is whole.
    borders = np.unique(np.concatenate([stretches.reshape(-1), removed.reshape(-1)]))
    starts, ends = borders[:-1], borders[1:]
    kept = _within(starts, stretches) & ~_within(starts, removed)
    pieces = np.column_stack((starts[kept], ends[kept]))
    # A border of what is not there parts nothing; one between two stretches does.
    parts = np.isin(pieces[1:, 0], stretches[:, 0]) | (pieces[1:, 0] != pieces[:-1, 1])
    first = np.flatnonzero(np.r_[True, parts][: len(pieces)])
    last = np.r_[first[1:], len(pieces)][: first.size] - 1
    return np.column_stack((pieces[first, 0], pieces[last, 1]))


def _within(places: np.ndarray, stretches: np.ndarray) -> np.ndarray:
    """Say which places lie in a stretch."""
    at = np.searchsorted(stretches[:, 0], places, side="right") - 1
    return (
        (at >= 0) & (places < stretches[at, 1]) if len(stretches) else np.zeros(places.size, bool)
    )


def write_bed(path: str | os.PathLike, stretches: Mapping[str, np.ndarray]) -> None:
    """Write stretches by contig as three columns, in the order of the contigs."""
    with atomic_path(path) as partial, open(partial, "w", encoding="utf-8") as stream:
        for contig, rows in stretches.items():
            stream.writelines(f"{contig}\t{start}\t{end}\n" for start, end in rows.tolist())


def read_bed(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Read what `write_bed` wrote.

    Raises
    ------
    InputError
        If the file is none of these.
    """
    found: dict[str, list[tuple[int, int]]] = {}
    with open(path, encoding="utf-8") as stream:
        for number, line in enumerate(stream, 1):
            contig, *ends = line.rstrip("\n").split("\t")
            if len(ends) != 2 or not all(end.isascii() and end.isdigit() for end in ends):
                raise InputError(f"line {number}: no contig, start and end", path)
            found.setdefault(contig, []).append((int(ends[0]), int(ends[1])))
    return {contig: np.array(rows, dtype=np.int64) for contig, rows in found.items()}
