"""Predictions of whole sequences: the best window of each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from dflm.mining.scoring import Scorer, StrandScores, sigmoid
from dflm.sequences.kmers import N, kmer_ids

COLUMNS = (
    "name",
    "length",
    "start",
    "end",
    "windows",
    "probability",
    "calibrated",
    "log_odds",
    "probability_forward",
    "probability_reverse",
)
STRIDES_PER_WIDTH = 8
MAX_N = 0.1
"""Share of N above which a window of a longer sequence is passed over; as of a scan."""


@dataclass(frozen=True)
class Best:
    """The best window of each sequence."""

    scores: StrandScores
    """Of those windows; NaN where a sequence holds nothing to read."""
    starts: np.ndarray
    """shape=(n,) int64, from 0."""
    ends: np.ndarray
    """shape=(n,) int64, the base behind the last."""
    windows: np.ndarray
    """shape=(n,) int64, how many were scored."""


def default_stride(width: int) -> int:
    """Return the bases between the windows of a longer sequence: an eighth of their width."""
    return max(1, width // STRIDES_PER_WIDTH)


def tile_starts(length: int, width: int, stride: int) -> np.ndarray:
    """Return where windows start in a sequence; the last one ends at its end.

    Parameters
    ----------
    length, width, stride : int >= 1
        Bases of the sequence and of a window, and from one window to the next.

    Returns
    -------
    numpy.ndarray
        shape=(windows,) int64; 0 alone where the sequence is not longer than a window.
    """
    if length <= width:
        return np.zeros(1, dtype=np.int64)
    starts = np.arange(0, length - width + 1, stride)
    if starts[-1] != length - width:
        starts = np.append(starts, length - width)
    return starts


def best_windows(scorer: Scorer, sequences: Sequence[np.ndarray], width: int, stride: int) -> Best:
    """Score sequences, each by the best of the windows that it is tiled with.

    Parameters
    ----------
    scorer : Scorer
    sequences : sequence of numpy.ndarray
        Each shape=(length,) uint8; one no longer than `width` is scored whole, if it holds a word
        to read, whatever else is N. Of longer ones windows with more N than `MAX_N` are left out.
    width, stride : int >= 1
        Bases of a window, and from one to the next.
    """
    tiles, owner, first = [], [], []
    for row, codes in enumerate(sequences):
        for start in tile_starts(len(codes), width, stride):
            tile = codes[start : start + width]
            if len(tile) >= scorer.k + scorer.stride and _can_be_read(tile, scorer, len(codes)):
                tiles.append(tile)
                owner.append(row)
                first.append(start)
    scores = scorer.score_list(tiles)
    owner, first = np.asarray(owner, dtype=np.int64), np.asarray(first, dtype=np.int64)
    n = len(sequences)
    chosen = np.full(n, -1)
    # Sorted by score, the last assignment of each sequence is its best window.
    order = np.argsort(scores.log_odds, kind="stable")
    chosen[owner[order]] = order
    some = chosen >= 0
    forward, reverse = np.full((2, n), np.nan)
    starts, ends = np.zeros((2, n), dtype=np.int64)
    forward[some], reverse[some] = scores.forward[chosen[some]], scores.reverse[chosen[some]]
    starts[some] = first[chosen[some]]
    ends[some] = [starts[row] + len(tiles[chosen[row]]) for row in np.flatnonzero(some)]
    counts = np.bincount(owner, minlength=n)
    return Best(StrandScores(forward, reverse), starts, ends, counts)


def _can_be_read(tile: np.ndarray, scorer: Scorer, length: int) -> bool:
    """Say whether a window of a sequence of `length` bases tells anything of it."""
    unknown = np.count_nonzero(tile == N)
    if not unknown:
        return True
    if length > len(tile) and unknown > MAX_N * len(tile):
        return False
    return bool(kmer_ids(tile, scorer.k, scorer.stride).any())


def prediction_rows(
    scorer: Scorer, names: Iterable[str], sequences: Sequence[np.ndarray], width: int, stride: int
) -> Iterable[str]:
    """Yield a line of a table for each sequence, with the columns `COLUMNS`.

    Parameters are those of `best_windows`. ``.`` stands where there was nothing to read.
    """
    best = best_windows(scorer, sequences, width, stride)
    columns = (
        best.scores.probability,
        scorer.calibrated(best.scores.log_odds),
        best.scores.log_odds,
        sigmoid(best.scores.forward),
        sigmoid(best.scores.reverse),
    )
    for row, (name, codes) in enumerate(zip(names, sequences, strict=True)):
        place = (name, len(codes), best.starts[row], best.ends[row], best.windows[row])
        values = [f"{c[row]:.9g}" for c in columns] if best.windows[row] else ["."] * len(columns)
        yield "\t".join(map(str, (*place, *values)))
