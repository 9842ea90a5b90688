"""Gapped k-mers of sequences, and the passes over them that a linear SVM is made of.

A gapped k-mer is a window of l bases of which k are read. With l = 10 and k = 6 a sequence of
101 bases holds some 20,000 of them, out of 450,560 features: the matrix of a large set would take
tens of gigabytes. The windows take little; each pass over a sequence makes its features anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from dflm.sequences.compiled import compiled
from dflm.sequences.kmers import N, encode


@dataclass(frozen=True)
class Readings:
    """Each way to read a window: its feature is first[half 1, r] + second[half 2, r].

    Parameters
    ----------
    first, second : numpy.ndarray
        shape=(4**bases, readings) uint32: what the value of either half of a window adds.
    scale : numpy.ndarray
        shape=(readings,) float32: what one occurrence counts.
    features : int
    """

    first: np.ndarray
    second: np.ndarray
    scale: np.ndarray
    features: int


def readings(word: int, informative: int) -> Readings:
    """Return the readings of a gapped k-mer and its reverse complement as one feature.

    Parameters
    ----------
    word : int, 2 to 12
        l, the bases of a window.
    informative : int, 1 to `word`
        k, the bases of it that are read.

    Notes
    -----
    With x(s) the features of sequence s, x(s) . x(t) is the sum of C(l - m, k) over all pairs of
    a window of s and a window of either strand of t that differ in m bases: the gapped k-mer
    kernel of Ghandi et al. 2014 (doi:10.1371/journal.pcbi.1003711).
    """
    half = word // 2
    reads = []
    for pattern in combinations(range(word), informative):
        mirrored = tuple(sorted(word - 1 - at for at in pattern))
        # A pattern and its mirror image share their features: the one is read forwards, the
        # other backwards and complemented. A pattern that is its own mirror image is read in
        # both ways, each with half the square.
        scale = 0.5**0.5 if pattern == mirrored else 1.0
        if pattern <= mirrored:
            reads.append((pattern, pattern, False, scale))
        if pattern >= mirrored:
            reads.append((mirrored, pattern, True, scale))
    reads.sort()
    place: dict[tuple[int, ...], int] = {}
    first = np.zeros((4**half, len(reads)), dtype=np.uint32)
    second = np.zeros((4 ** (word - half), len(reads)), dtype=np.uint32)
    for column, (shared, pattern, backwards, _) in enumerate(reads):
        first[:, column] = place.setdefault(shared, len(place)) * 4**informative
        for rank, at in enumerate(pattern):
            power = 4 ** (rank if backwards else informative - 1 - rank)
            table, end = (first, half) if at < half else (second, word)
            base = np.arange(len(table), dtype=np.uint32) >> 2 * (end - 1 - at) & 3
            table[:, column] += (3 - base if backwards else base) * np.uint32(power)
    scales = np.array([scale for *_, scale in reads], dtype=np.float32)
    return Readings(first, second, scales, len(place) * 4**informative)


@dataclass(frozen=True)
class Windows:
    """The windows of many sequences that hold no N.

    Parameters
    ----------
    begin : numpy.ndarray
        shape=(sequences + 1,) int64; sequence i has the windows begin[i] to begin[i + 1].
    first, second : numpy.ndarray
        shape=(windows,) uint16: base-4 values of the two halves; the first is the shorter one.
    """

    begin: np.ndarray
    first: np.ndarray
    second: np.ndarray

    def __len__(self) -> int:
        """Return the number of sequences."""
        return len(self.begin) - 1


def windows_of(sequences: Sequence[str], word: int) -> Windows:
    """Cut sequences into their windows, one at every base.

    Parameters
    ----------
    sequences : sequence of str
        Letters of ACGTN; a window with an N is left out.
    word : int, 2 to 12
        Bases of a window.

    Returns
    -------
    Windows
    """
    half = word // 2
    firsts, seconds, counts = [np.zeros(0, np.uint16)], [np.zeros(0, np.uint16)], [0]
    for sequence in sequences:
        codes = encode(sequence).astype(np.uint16)
        number = max(0, len(codes) - word + 1)
        known = np.ones(number, dtype=bool)
        values = np.zeros((2, number), dtype=np.uint16)
        for at in range(word):
            base = codes[at : at + number]
            known &= base != N
            part = values[int(at >= half)]
            part *= 4
            part += base & 3
        firsts.append(values[0, known])
        seconds.append(values[1, known])
        counts.append(int(known.sum()))
    return Windows(
        np.cumsum(counts, dtype=np.int64), np.concatenate(firsts), np.concatenate(seconds)
    )


def lengths_of(windows: Windows, reads: Readings) -> np.ndarray:
    """Return the Euclidean length of each sequence's features.

    Parameters
    ----------
    windows : Windows
    reads : Readings
        Of windows of that length.

    Returns
    -------
    numpy.ndarray
        shape=(sequences,) float64; 0 where a sequence has no window.
    """
    out = np.zeros(len(windows))
    _lengths(
        *(windows.begin, windows.first, windows.second),
        *(reads.first, reads.second, reads.scale, np.zeros(reads.features, np.float32), out),
    )
    return out


def project(windows: Windows, reads: Readings, weights: np.ndarray) -> np.ndarray:
    """Return the scalar product of weights and each sequence's features.

    Parameters
    ----------
    windows : Windows
    reads : Readings
        Of windows of that length.
    weights : numpy.ndarray
        shape=(features,) float32.

    Returns
    -------
    numpy.ndarray
        shape=(sequences,) float64; 0 where a sequence has no window.
    """
    out = np.zeros(len(windows))
    _project(
        *(windows.begin, windows.first, windows.second),
        *(reads.first, reads.second, reads.scale, weights, out),
    )
    return out


@compiled
def dot(begin, end, first, second, head, tail, scale, w):
    """Return w . x, x the features of some windows; compiled.

    Parameters
    ----------
    begin, end : int
        The first of the windows, and the one behind the last.
    first, second : numpy.ndarray
        See `Windows`.
    head, tail, scale : numpy.ndarray
        ``first``, ``second`` and ``scale`` of `Readings`.
    w : numpy.ndarray
        shape=(features,) float32.

    Returns
    -------
    float
        Summed in float32 within a window, in float64 over windows.
    """
    total = 0.0
    for p in range(begin, end):
        a, b = head[first[p]], tail[second[p]]
        part = np.float32(0.0)
        for r in range(scale.size):
            part += scale[r] * w[a[r] + b[r]]
        total += part
    return total


@compiled
def add(begin, end, first, second, head, tail, scale, step, w):
    """Add step * x to w in place, x the features of some windows; compiled.

    Parameters
    ----------
    begin, end, first, second, head, tail, scale, w
        See `dot`.
    step : float
        Rounded to float32.
    """
    factor = np.float32(step)
    for p in range(begin, end):
        a, b = head[first[p]], tail[second[p]]
        for r in range(scale.size):
            w[a[r] + b[r]] += factor * scale[r]


@compiled
def _lengths(begin, first, second, head, tail, scale, w, out):
    """Fill `out`; w is zero before and after."""
    for i in range(begin.size - 1):
        add(begin[i], begin[i + 1], first, second, head, tail, scale, 1.0, w)
        total = 0.0
        for p in range(begin[i], begin[i + 1]):
            a, b = head[first[p]], tail[second[p]]
            for r in range(scale.size):
                feature = a[r] + b[r]
                total += np.float64(w[feature]) * np.float64(w[feature])
                w[feature] = np.float32(0.0)  # counted once, however often it occurs
        out[i] = np.sqrt(total)


@compiled
def _project(begin, first, second, head, tail, scale, w, out):
    for i in range(begin.size - 1):
        out[i] = dot(begin[i], begin[i + 1], first, second, head, tail, scale, w)
