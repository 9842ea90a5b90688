"""Peaks as windows of one width around their summits, on the contigs of a genome.

The bases come from the arrays that the language model is pretrained on: they are there already,
take any genome that the workflow takes (pyfaidx reads no plain gzip, which is how UCSC and Ensembl
hand genomes out, and would need a second, unpacked copy), and a window is a slice of a memory map.
"""

from __future__ import annotations

import fnmatch
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from dflm.errors import InputError
from dflm.sequences.bed import Peaks
from dflm.sequences.compiled import compiled
from dflm.sequences.contig_names import check_names, listed
from dflm.sequences.genome import GenomeIndex

_SHOWN = 20


@dataclass(frozen=True)
class Windows:
    """Windows of one width, sorted by contig, as the genome's index orders them, and start."""

    contigs: np.ndarray
    """shape=(windows,) int64, the place of the contig in `GenomeIndex.contigs`."""
    starts: np.ndarray
    """shape=(windows,) int64, the first base, from 0."""
    width: int
    """Bases of each."""

    def __len__(self) -> int:
        return self.starts.size

    def take(self, which: np.ndarray) -> Windows:
        """Return some of the windows, by a mask or by ascending places."""
        return Windows(self.contigs[which], self.starts[which], self.width)


@dataclass(frozen=True)
class Placed:
    """What became of the peaks of a file on a genome."""

    windows: Windows
    """Around the summits of the peaks that were kept; no two overlap."""
    strengths: np.ndarray
    """shape=(windows,), how strong these peaks are, see `dflm.sequences.bed.Peaks`."""
    contigs: np.ndarray
    """shape=(known,) int64, the contigs of all peaks on a known contig, kept or not."""
    starts: np.ndarray
    """shape=(known,) int64, where these begin; window and peak, whichever reaches further.

    Of a merged peak these are the ends of what it became a part of."""
    ends: np.ndarray
    """shape=(known,) int64, and where they end."""
    dropped: dict[str, int]
    """How many peaks were not kept, by reason."""
    named: dict
    """Which, by reason: contigs with their counts, peaks as contig:start-end; at most 20 each."""


def place_peaks(
    peaks: Peaks, genome: GenomeIndex, width: int, where: object, *, merge: bool = False
) -> Placed:
    """Lay a window around the summit of each peak, and keep the stronger of those that overlap.

    If asked for, peaks whose file tells no summit are merged first, where they share a base:
    with all that they overlap, and what those overlap, into one that reaches from the first base
    to the last, has its summit in the middle and is as strong as the strongest. A summit that the
    file tells is a site of its own, and its peak is merged with none.

    The summit is base ``width // 2`` of its window, counted from 0. The windows are gone
    through from the strongest on, and each is kept that overlaps none kept before; of equally
    strong ones the first on the genome is the stronger. So no two windows share a base, whatever
    the order of the file.

    Parameters
    ----------
    peaks : Peaks
        As read.
    genome : GenomeIndex
        The genome.
    width : int
        Bases of a window, at least 1.
    where : object
        The file, for messages.
    merge : bool
        Merge as said above.

    Returns
    -------
    Placed
        Reasons are ``unknown_contig``, ``beyond_contig_end`` (the peak ends behind its contig, as
        those of another assembly do), ``window_off_end`` (the window reaches over an end of the
        contig), ``merged`` (all of a merged peak but one, which stands for it) and ``overlap``,
        the last two of which are not named.

    Raises
    ------
    InputError
        If the contigs are named in another way than the genome's (``1`` and ``chr1``), or no
        peak is on a contig of the genome.
    """
    names = genome.contigs()
    places = {name: place for place, name in enumerate(names)}
    contigs = np.array([places.get(name, -1) for name in peaks.contigs], dtype=np.int64)
    counts = Counter(peaks.contigs)
    check_names(counts, names, where)
    unknown = {name: count for name, count in counts.items() if name not in places}
    lengths = np.array([genome.entry(name)["length"] for name in names], dtype=np.int64)
    known = contigs >= 0
    beyond = known & (peaks.ends > lengths[contigs])
    within = known & ~beyond
    merged = np.zeros(len(peaks), dtype=bool)
    if merge:
        peaks, merged = _merge(peaks, contigs, lengths, np.flatnonzero(within & ~peaks.has_summit))
    starts = peaks.summits - width // 2
    ends = starts + width
    off_end = within & ~merged & ((starts < 0) | (ends > lengths[contigs]))
    usable = np.flatnonzero(within & ~merged & ~off_end)
    order = usable[np.lexsort((starts[usable], contigs[usable]))]
    # Of a stable sort: where strengths are equal, the place on the genome decides.
    ranked = np.argsort(-peaks.strengths[order], kind="stable")
    kept = _strongest(contigs[order], starts[order], width, ranked)
    return Placed(
        Windows(contigs[order][kept], starts[order][kept], width),
        peaks.strengths[order][kept],
        contigs[known],
        np.minimum(starts, peaks.starts)[known],
        np.maximum(ends, peaks.ends)[known],
        {
            "unknown_contig": int((~known).sum()),
            "beyond_contig_end": int(beyond.sum()),
            "window_off_end": int(off_end.sum()),
            "merged": int(merged.sum()),
            "overlap": int((~kept).sum()),
        },
        {
            "unknown_contig": _most(unknown),
            "beyond_contig_end": _named(peaks, beyond),
            "window_off_end": _named(peaks, off_end),
        },
    )


def cut_windows(windows: Windows, genome: GenomeIndex) -> np.ndarray:
    """Return the bases of windows.

    Parameters
    ----------
    windows : Windows
        All within their contigs.
    genome : GenomeIndex
        One contig at a time is mapped.

    Returns
    -------
    numpy.ndarray
        shape=(windows, width) uint8, values 0 to 4.
    """
    codes = np.empty((len(windows), windows.width), dtype=np.uint8)
    for place, name in enumerate(genome.contigs()):
        rows = np.flatnonzero(windows.contigs == place)
        if rows.size:
            contig = np.asarray(genome.codes(name))
            codes[rows] = contig[windows.starts[rows, None] + np.arange(windows.width)]
    return codes


def window_names(windows: Windows, genome: GenomeIndex) -> list[str]:
    """Return the name of each window, ``contig:start-end``, with the numbers of a BED file."""
    names = genome.contigs()
    return [
        f"{names[contig]}:{start}-{start + windows.width}"
        for contig, start in zip(windows.contigs.tolist(), windows.starts.tolist(), strict=True)
    ]


def held_out_contigs(genome: GenomeIndex, patterns: Sequence[str] | None) -> np.ndarray:
    """Say which contigs are for the test.

    Parameters
    ----------
    genome : GenomeIndex
        The genome.
    patterns : sequence of str, optional
        Names or glob patterns of contigs; None takes the genome's validation contigs.

    Returns
    -------
    numpy.ndarray
        shape=(contigs,) bool, in the order of `GenomeIndex.contigs`.

    Raises
    ------
    InputError
        If a pattern matches no contig, or all of them leave none to train on.
    """
    names = genome.contigs()
    if patterns is None:
        return np.isin(names, genome.contigs("validation"))
    for pattern in patterns:
        if not fnmatch.filter(names, pattern):
            raise InputError(
                f"the pattern {pattern!r} of peaks.test matches no contig",
                mend=f"the genome holds {listed(names)}",
            )
    held_out = [any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns) for name in names]
    if all(held_out):
        raise InputError(
            "peaks.test holds out all contigs", mend=f"leave some of {listed(names)} to train on"
        )
    return np.array(held_out)


@compiled
def _strongest(contigs, starts, width, ranked):
    """Return which windows are kept, in the order of `ranked`; they are sorted by place."""
    kept = np.zeros(starts.size, dtype=np.bool_)
    for i in ranked:
        free = True
        for step in (-1, 1):
            j = i + step
            while (
                free
                and 0 <= j < starts.size
                and contigs[j] == contigs[i]
                and abs(starts[j] - starts[i]) < width
            ):
                free = not kept[j]
                j += step
        kept[i] = free
    return kept


def _merge(
    peaks: Peaks, contigs: np.ndarray, lengths: np.ndarray, which: np.ndarray
) -> tuple[Peaks, np.ndarray]:
    """Return the peaks, some of them as large as all that overlap them, and which to pass over.

    Of each group that was merged the first of the file is not passed over.
    """
    passed_over = np.zeros(len(peaks), dtype=bool)
    if not which.size:
        return peaks, passed_over
    # On one line of bases for all contigs, none of which reaches into the next.
    places = (np.cumsum(lengths) - lengths)[contigs]
    which = which[np.argsort((places + peaks.starts)[which], kind="stable")]
    reach = np.maximum.accumulate((places + peaks.ends)[which])
    begins = np.append(True, (places + peaks.starts)[which][1:] >= reach[:-1])
    first, group = np.flatnonzero(begins), np.cumsum(begins) - 1
    starts, ends = peaks.starts.copy(), peaks.ends.copy()
    summits, strengths = peaks.summits.copy(), peaks.strengths.copy()
    starts[which] = np.minimum.reduceat(starts[which], first)[group]
    ends[which] = np.maximum.reduceat(ends[which], first)[group]
    strengths[which] = np.maximum.reduceat(strengths[which], first)[group]
    summits[which] = (starts[which] + ends[which]) // 2
    passed_over[which] = True
    passed_over[np.minimum.reduceat(which, first)] = False
    merged = replace(peaks, starts=starts, ends=ends, summits=summits, strengths=strengths)
    return merged, passed_over


def _most(unknown: dict[str, int]) -> dict[str, int]:
    """Return the contigs that most peaks were lost on, and how many."""
    return dict(sorted(unknown.items(), key=lambda item: (-item[1], item[0]))[:_SHOWN])


def _named(peaks: Peaks, which: np.ndarray) -> list[str]:
    return [
        f"{peaks.contigs[i]}:{peaks.starts[i]}-{peaks.ends[i]}"
        for i in np.flatnonzero(which)[:_SHOWN]
    ]
