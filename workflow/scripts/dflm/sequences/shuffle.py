"""Dinucleotide shuffles: a random sequence with exactly the same dinucleotide counts.

A sequence is a path over a graph whose vertices are letters and whose edges are dinucleotides;
each path that uses every edge once (an Eulerian path) is a sequence with the same counts. One
is drawn uniformly: first a random tree of last exits, which leads from every letter to the last
one (Altschul & Erickson, Mol Biol Evol 2:526, 1985), drawn by a random walk with its loops
erased (Kandel, Matias, Unger & Winkler, Discrete Appl Math 71:171, 1996; Wilson, STOC 1996),
then the other exits of each letter in random order.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dflm.errors import InputError
from dflm.sequences.compiled import compiled

LETTERS = 5
# Constants of splitmix64 (Steele, Lea & Flood, OOPSLA 2014).
_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_S27, _S30, _S31, _S32 = np.uint64(27), np.uint64(30), np.uint64(31), np.uint64(32)
_LOW = np.uint64(0xFFFFFFFF)
_TWO_32 = np.uint64(2**32)


def dinucleotide_shuffle(codes: np.ndarray, seed: int) -> np.ndarray:
    """Shuffle sequences of one length, each keeping its dinucleotide counts.

    The first and the last letter stay. N is a letter like the others. Every distinct sequence
    with the same counts and ends is equally likely. The shuffle of a sequence depends on its
    letters, its row and the seed only.

    Parameters
    ----------
    codes : numpy.ndarray
        shape=(sequences, length) uint8, values 0 to 4.
    seed : int
        Any integer; its low 64 bits count.

    Returns
    -------
    numpy.ndarray
        shape=(sequences, length) uint8.

    Raises
    ------
    InputError
        If a code is above 4.
    """
    codes = np.ascontiguousarray(codes, dtype=np.uint8)
    if codes.ndim != 2:
        raise ValueError(f"codes have {codes.ndim} axes, not 2")
    rows, length = codes.shape
    offsets = np.arange(rows + 1, dtype=np.int64) * length
    return _shuffle(codes.reshape(-1), offsets, seed).reshape(rows, length)


def dinucleotide_shuffle_list(sequences: Sequence[np.ndarray], seed: int) -> list[np.ndarray]:
    """Shuffle sequences of any lengths, see `dinucleotide_shuffle`.

    Parameters
    ----------
    sequences : sequence of numpy.ndarray
        Each of shape=(length,) uint8, values 0 to 4.
    seed : int
        Any integer; its low 64 bits count.

    Returns
    -------
    list of numpy.ndarray
        The shuffles, in the order of `sequences`.
    """
    offsets = np.zeros(len(sequences) + 1, dtype=np.int64)
    if len(sequences) == 0:
        return []
    np.cumsum([len(sequence) for sequence in sequences], out=offsets[1:])
    flat = np.concatenate([np.asarray(sequence, dtype=np.uint8) for sequence in sequences])
    return np.split(_shuffle(flat, offsets, seed), offsets[1:-1])


def _shuffle(flat: np.ndarray, offsets: np.ndarray, seed: int) -> np.ndarray:
    if flat.size and flat.max() >= LETTERS:
        raise InputError(f"base code {flat.max()} in a sequence to shuffle", mend="codes go to 4")
    out = np.empty_like(flat)
    _shuffle_all(flat, offsets, np.uint64(seed & (2**64 - 1)), out)
    return out


@compiled
def _next(state):
    """Draw 64 random bits (splitmix64); `state` holds the generator's one word."""
    state[0] += _STEP
    z = state[0]
    z = (z ^ (z >> _S30)) * _MIX_1
    z = (z ^ (z >> _S27)) * _MIX_2
    return z ^ (z >> _S31)


@compiled
def _below(state, bound):
    """Draw an integer from 0 to bound - 1, exactly uniform (Lemire, TOMACS 29:3, 2019)."""
    n = np.uint64(bound)
    m = (_next(state) >> _S32) * n
    if (m & _LOW) < n:
        least = (_TWO_32 - n) % n
        while (m & _LOW) < least:
            m = (_next(state) >> _S32) * n
    return np.int64(m >> _S32)


@compiled
def _exit(state, counts, letter, left):
    """Draw one of the `left` edges that leave `letter`; return the letter it leads to."""
    pick = _below(state, left)
    target = 0
    while pick >= counts[letter, target]:
        pick -= counts[letter, target]
        target += 1
    return target


@compiled
def _shuffle_all(flat, offsets, seed, out):
    """Shuffle flat[offsets[i]:offsets[i + 1]] for each i, into the same places of `out`."""
    counts = np.empty((LETTERS, LETTERS), dtype=np.int64)
    left = np.empty(LETTERS, dtype=np.int64)
    last_exit = np.empty(LETTERS, dtype=np.int64)
    in_tree = np.empty(LETTERS, dtype=np.bool_)
    state = np.empty(1, dtype=np.uint64)
    for i in range(offsets.size - 1):
        begin, end = offsets[i], offsets[i + 1]
        if end - begin < 4:  # both ends stay, so one inner letter has no other place
            out[begin:end] = flat[begin:end]
            continue
        # A start of its own for each (seed, index): hashed twice, since plain splitmix64
        # streams from neighbouring seeds are one stream, shifted.
        state[0] = seed
        state[0] = _next(state) ^ np.uint64(i)
        state[0] = _next(state)
        counts[:] = 0
        left[:] = 0
        for p in range(begin, end - 1):
            counts[flat[p], flat[p + 1]] += 1
            left[flat[p]] += 1
        in_tree[:] = False
        in_tree[flat[end - 1]] = True
        for letter in range(LETTERS):
            if left[letter] == 0:
                continue
            at = letter
            while not in_tree[at]:
                last_exit[at] = _exit(state, counts, at, left[at])
                at = last_exit[at]
            at = letter
            while not in_tree[at]:
                in_tree[at] = True
                at = last_exit[at]
        # The last exits are set aside; the letter the path ends in has none.
        end_letter = flat[end - 1]
        for letter in range(LETTERS):
            if left[letter] > 0 and letter != end_letter:
                counts[letter, last_exit[letter]] -= 1
                left[letter] -= 1
        at = np.int64(flat[begin])
        out[begin] = at
        for p in range(begin + 1, end):
            if left[at] > 0:
                target = _exit(state, counts, at, left[at])
                counts[at, target] -= 1
                left[at] -= 1
            else:
                target = last_exit[at]
            at = target
            out[p] = at
