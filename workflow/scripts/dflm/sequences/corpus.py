"""The stream of codes that a language model reads, taken from a genome's memory maps."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from dflm.errors import InputError
from dflm.sequences.genome import GenomeIndex
from dflm.sequences.intervals import without
from dflm.sequences.kmers import N

_BLOCK = 2**24  # bases looked through at a time
_MAPS = 128  # contigs mapped at a time; each takes one of the process's open files
_HELD = 2**28  # bytes of maps that may lie in the process's memory before all are let go
_AROUND = 2**16  # bytes that the kernel maps around one that is read


class Corpus:
    """The contigs of a split as one stream of codes, none of which is held in memory.

    The contigs stand in the order of the index. Every run of N becomes `gap` N, and as many stand
    between two contigs; none stands first or last. So no k-mer crosses a gap or the end of a
    contig, and with stride - k + 1 of them no two tokens side by side do. What the index withholds
    is left out as if it were N. What is held are the places of the runs of bases; memory does not
    grow with the genome otherwise.

    Parameters
    ----------
    index : GenomeIndex
        The genome.
    split : {"train", "validation"}
        Which contigs.
    min_run : int >= 1
        Bases between two N at least; shorter runs hold no k-mer and are left out.
    gap : int >= 1
        N between two runs.

    Raises
    ------
    InputError
        If the split holds no run of bases that long.
    """

    def __init__(self, index: GenomeIndex, split: str, *, min_run: int = 1, gap: int = 1) -> None:
        self._names = index.contigs(split)
        found = [_runs_of_bases(index, name, min_run) for name in self._names]
        self._contig = np.repeat(
            np.arange(len(found), dtype=np.int32), [len(runs) for runs in found]
        )
        runs = np.concatenate([np.empty((0, 2), dtype=np.int64), *found])
        if not len(runs):
            raise InputError(
                f"no run of {min_run} or more bases in the genome's {split} contigs",
                mend="choose other contigs by genome.include and genome.validation",
            )
        self._first = runs[:, 0].copy()  # place of a run in its contig
        lengths = runs[:, 1] - runs[:, 0]
        ends = np.cumsum(lengths + gap) - gap
        self._place = ends - lengths  # place of a run in the stream
        self._end = ends
        # As a plain array: a slice of a memmap object costs ten times as much.
        self._map = lru_cache(maxsize=_MAPS)(lambda name: np.asarray(index.codes(name)))
        self._touched = 0

    def __len__(self) -> int:
        """Return the number of codes."""
        return int(self._end[-1])

    def rows(self, starts: np.ndarray, size: int) -> np.ndarray:
        """Copy pieces of the stream.

        Parameters
        ----------
        starts : numpy.ndarray
            shape=(rows,) int64, the place of each piece's first code.
        size : int >= 1
            Codes of a piece; none may end behind the stream.

        Returns
        -------
        numpy.ndarray
            shape=(rows, size) uint8, values 0 to 4.
        """
        starts = np.asarray(starts, dtype=np.int64)
        if starts.size and (starts.min() < 0 or starts.max() + size > len(self)):
            raise IndexError(f"a piece of {size} codes leaves the stream of {len(self)}")
        # Pages once read stay in the process's memory as long as their map does.
        self._touched += starts.size * (size + _AROUND)
        if self._touched > _HELD:
            self._map.cache_clear()
            self._touched = 0
        out = np.full((starts.size, size), N, dtype=np.uint8)
        runs = np.searchsorted(self._place, starts, side="right") - 1
        for row, start, run in zip(out, starts.tolist(), runs.tolist(), strict=True):
            self._fill(row, start, run)
        return out

    def blocks(self, size: int) -> Iterator[np.ndarray]:
        """Yield the whole stream in order, `size` codes at a time, the last block fewer."""
        for start in range(0, len(self), size):
            yield self.rows(np.array([start]), min(size, len(self) - start))[0]

    def _fill(self, row: np.ndarray, start: int, run: int) -> None:
        """Copy the stream from `start` on into `row`; `run` is the last to begin there."""
        stop = start + row.size
        while run < self._place.size and (place := int(self._place[run])) < stop:
            begin, end = max(start, place), min(stop, int(self._end[run]))
            if begin < end:
                at = int(self._first[run]) - place
                codes = self._map(self._names[self._contig[run]])
                row[begin - start : end - start] = codes[begin + at : end + at]
            run += 1


def _runs_of_bases(index: GenomeIndex, name: str, min_run: int) -> np.ndarray:
    """Return where a contig's runs of bases begin and end, shape=(runs, 2) int64.

    The index tells the runs of N in the FASTA file, not those that came of masking.
    """
    found = [np.empty((0, 2), dtype=np.int64)]
    for start in range(0, index.entry(name)["length"], _BLOCK):
        # Mapped anew, so that no more than a block of the contig lies in memory.
        codes = index.codes(name)[start : start + _BLOCK]
        is_base = np.zeros(codes.size + 2, dtype=np.bool_)
        np.not_equal(codes, N, out=is_base[1:-1])
        found.append(start + np.flatnonzero(is_base[1:] != is_base[:-1]).reshape(-1, 2))
    runs = np.concatenate(found)
    # A run over the border of two blocks was found as two.
    parted = np.flatnonzero(runs[1:, 0] != runs[:-1, 1])
    if len(runs):
        runs = np.column_stack((runs[np.r_[0, parted + 1], 0], runs[np.r_[parted, -1], 1]))
    if name in index.withheld:
        runs = without(runs, index.withheld[name])
    return runs[runs[:, 1] - runs[:, 0] >= min_run]
