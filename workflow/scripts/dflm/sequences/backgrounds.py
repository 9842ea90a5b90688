"""Negatives from the genome: windows with the GC content of the positives, or the user's own.

Either way they stay away from the peaks.
"""

from __future__ import annotations

import os

import numpy as np

from dflm.sequences.bed import read_peaks
from dflm.sequences.compiled import compiled
from dflm.sequences.genome import GenomeIndex
from dflm.sequences.kmers import N
from dflm.sequences.peaks import Placed, Windows, place_peaks
from dflm.sequences.splits import hash_of

_UNUSABLE = np.iinfo(np.uint16).max
# Constants of splitmix64 (Steele, Lea & Flood, OOPSLA 2014).
_STEP, _MIX_1, _MIX_2 = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def gc_counts(codes: np.ndarray) -> np.ndarray:
    """Return how many bases of each window, shape=(windows, width), are G or C; int64."""
    return np.count_nonzero((codes == 1) | (codes == 2), axis=1)


def genomic_windows(
    genome: GenomeIndex,
    allowed: np.ndarray,
    wanted: np.ndarray,
    width: int,
    *,
    avoid: tuple[np.ndarray, np.ndarray, np.ndarray],
    distance: int,
    tolerance: int,
    seed: int,
) -> tuple[Windows, np.ndarray]:
    """Draw windows whose GC counts are those wanted, far from what is to be avoided.

    Candidates are the cells of a grid laid over each contig, its phase drawn from the seed: so
    no two of them overlap. Those with N, and those nearer than `distance` to an interval of
    `avoid`, are out. Each wanted count takes cells of just that count, chosen by a hash of the
    seed; where they run out, the nearest counts within `tolerance` give what the others leave.

    Parameters
    ----------
    genome : GenomeIndex
        The genome; its allowed contigs are read once, one at a time.
    allowed : numpy.ndarray
        shape=(contigs,) bool, which of `GenomeIndex.contigs` may give windows.
    wanted : numpy.ndarray
        shape=(wanted,) int64, a count of G and C, 0 to `width`, for each window to draw.
    width : int
        Bases of a window, 1 to 65,534.
    avoid : tuple of numpy.ndarray
        Contigs (places), starts and ends of intervals, each shape=(intervals,) int64.
    distance : int
        Bases at least between a window and any interval, from 0.
    tolerance : int
        Largest difference of a window's count from the one wanted, from 0.
    seed : int
        Any integer.

    Returns
    -------
    windows : Windows
        Those found, in the order of `wanted` (not sorted by place).
    found : numpy.ndarray
        shape=(windows,) int64, ascending: the place in `wanted` of each.
    """
    cells, contigs, starts = _candidates(genome, allowed, width, avoid, distance, seed)
    supply = np.bincount(cells[cells != _UNUSABLE], minlength=width + 1)
    demand = np.bincount(wanted, minlength=width + 1)
    plan = _allocate(demand, supply, tolerance)
    # The places in `wanted` of each count, and the cells of each count, best hash first.
    askers = np.split(np.argsort(wanted, kind="stable"), np.cumsum(demand)[:-1])
    drawn = {
        count: _draw(np.flatnonzero(cells == count), number, seed)
        for count, number in _totals(plan).items()
    }
    served = np.zeros(width + 1, dtype=np.int64)
    given = np.zeros(width + 1, dtype=np.int64)
    chosen = np.full(wanted.size, -1, dtype=np.int64)
    for count, source, number in plan:
        who = askers[count][served[count] : served[count] + number]
        chosen[who] = drawn[source][given[source] : given[source] + number]
        served[count] += number
        given[source] += number
    found = np.flatnonzero(chosen >= 0)
    # Cells are numbered through all contigs: `starts` holds the first number of each.
    which = np.searchsorted(starts[:, 0], chosen[found], side="right") - 1
    begin = starts[which, 1] + (chosen[found] - starts[which, 0]) * width
    return Windows(contigs[which], begin, width), found


def given_windows(
    path: str | os.PathLike, genome: GenomeIndex, positives: Placed
) -> tuple[Windows, dict]:
    """Lay windows on the user's negatives as on peaks, and leave out those on a peak.

    Parameters
    ----------
    path : path-like
        BED, see `dflm.sequences.bed.read_peaks`; windows lie around the middles.
    genome : GenomeIndex
        The genome.
    positives : Placed
        The peaks; a window that shares a base with one, or with its window, is left out.

    Returns
    -------
    windows : Windows
        No two of which overlap, see `dflm.sequences.peaks.place_peaks`.
    record : dict
        ``read``, ``dropped`` (how many by reason) and ``dropped_names``.

    Raises
    ------
    InputError
        If the file is malformed or names its contigs otherwise than the genome.
    """
    given = read_peaks(path)
    placed = place_peaks(given, genome, positives.windows.width, path)
    far = ~_touching(placed.windows, positives)
    dropped = {**placed.dropped, "on_a_peak": int((~far).sum())}
    record = {"read": len(given), "dropped": dropped, "dropped_names": placed.named}
    return placed.windows.take(far), record


def _touching(windows: Windows, peaks: Placed) -> np.ndarray:
    """Say which windows share a base with a peak or with the window around it."""
    touching = np.zeros(len(windows), dtype=bool)
    for contig in np.unique(windows.contigs):
        here = np.flatnonzero(windows.contigs == contig)
        near = np.flatnonzero(peaks.contigs == contig)
        if near.size:
            near = near[np.argsort(peaks.starts[near], kind="stable")]
            reach = np.maximum.accumulate(peaks.ends[near])
            last = np.searchsorted(peaks.starts[near], windows.starts[here] + windows.width) - 1
            touching[here] = (last >= 0) & (reach[last] > windows.starts[here])
    return touching


def _candidates(genome, allowed, width, avoid, distance, seed):
    """Return the GC count of each cell, and of each contig its place, first cell and phase."""
    cells, contigs, starts = [], [], []
    number = 0
    for place, name in enumerate(genome.contigs()):
        length = genome.entry(name)["length"]
        phase = hash_of(seed, name) % width
        size = (length - phase) // width
        if not allowed[place] or size < 1:
            continue
        counts = np.empty(size, dtype=np.uint16)
        _count_cells(np.asarray(genome.codes(name)), phase, width, counts)
        near = avoid[0] == place
        low = (avoid[1][near] - distance - phase) // width
        high = -((phase - avoid[2][near] - distance) // width)
        steps = np.zeros(size + 1, dtype=np.int64)
        np.add.at(steps, np.clip(low, 0, size), 1)
        np.add.at(steps, np.clip(high, 0, size), -1)
        counts[np.cumsum(steps[:-1]) > 0] = _UNUSABLE
        cells.append(counts)
        contigs.append(place)
        starts.append((number, phase))
        number += size
    return (
        np.concatenate(cells) if cells else np.empty(0, dtype=np.uint16),
        np.array(contigs, dtype=np.int64),
        np.array(starts, dtype=np.int64).reshape(-1, 2),
    )


@compiled
def _count_cells(codes, phase, width, counts):
    """Count G and C of each cell; `_UNUSABLE` where it holds an N."""
    for cell in range(counts.size):
        begin = phase + cell * width
        gc = 0
        for at in range(begin, begin + width):
            code = codes[at]
            if code >= N:
                gc = _UNUSABLE
                break
            gc += code == 1 or code == 2
        counts[cell] = gc


def _allocate(demand: np.ndarray, supply: np.ndarray, tolerance: int) -> list[tuple]:
    """Say how many windows each wanted count takes from which count, the nearest first."""
    left, open_ = supply.copy(), demand.copy()
    plan = []
    for difference in range(tolerance + 1):
        for count in np.flatnonzero(open_).tolist():
            for source in sorted({count - difference, count + difference}):
                if 0 <= source < left.size:
                    number = int(min(open_[count], left[source]))
                    left[source] -= number
                    open_[count] -= number
                    if number:
                        plan.append((count, source, number))
    return plan


def _totals(plan: list[tuple]) -> dict[int, int]:
    totals: dict[int, int] = {}
    for _, source, number in plan:
        totals[source] = totals.get(source, 0) + number
    return totals


def _draw(cells: np.ndarray, number: int, seed: int) -> np.ndarray:
    """Return `number` of the cells, those with the lowest hashes, in the order of these."""
    keys = _mix(cells.astype(np.uint64) + np.uint64(hash_of(seed, "cells")))
    chosen = np.argpartition(keys, number - 1)[:number]
    return cells[chosen[np.argsort(keys[chosen])]]


def _mix(words: np.ndarray) -> np.ndarray:
    """Return 64 bits for each word of 64 bits, one to one; arrays wrap around silently."""
    z = words * np.uint64(_STEP)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(_MIX_1)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(_MIX_2)
    return z ^ (z >> np.uint64(31))
