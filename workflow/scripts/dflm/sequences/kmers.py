"""Base codes and k-mer ids.

A sequence is an array of uint8 codes: A, C, G, T are 0 to 3, N and every other IUPAC ambiguity
is 4. A k-mer's id is one plus its value as a base-4 number; id 0 is the pad.
"""

from __future__ import annotations

import numpy as np

from dflm.errors import InputError

BASES = "ACGT"
N = 4
PAD = 0
K_MAX = 8
AMBIGUOUS = "NRYSWKMBDHV"
INVALID = 255

_LETTERS = np.frombuffer(b"ACGTN", dtype=np.uint8)
_COMPLEMENT = np.array([3, 2, 1, 0, 4], dtype=np.uint8)


def code_table(soft_masked: str = "keep") -> np.ndarray:
    """Return the code of each byte.

    Parameters
    ----------
    soft_masked : {"keep", "mask"}
        Whether lower-case bases are bases or N.

    Returns
    -------
    numpy.ndarray
        shape=(256,) uint8: 0 to 4 for the letters of IUPAC's nucleotide alphabet (U reads as
        T), `INVALID` for all other bytes.
    """
    if soft_masked not in ("keep", "mask"):
        raise InputError(f"soft_masked is {soft_masked!r}", mend="give 'keep' or 'mask'")
    table = np.full(256, INVALID, dtype=np.uint8)
    for code, letter in [*enumerate(BASES), (3, "U"), *((N, letter) for letter in AMBIGUOUS)]:
        table[ord(letter)] = code
        table[ord(letter.lower())] = code if soft_masked == "keep" else N
    return table


_TABLE = code_table()


def encode(sequence: str | bytes) -> np.ndarray:
    """Return a sequence as base codes; the case of a letter does not matter.

    Parameters
    ----------
    sequence : str or bytes
        Letters of IUPAC's nucleotide alphabet; those that are no single base become N, U
        becomes T.

    Returns
    -------
    numpy.ndarray
        shape=(length,) uint8, values 0 to 4.

    Raises
    ------
    InputError
        Naming the first letter outside the alphabet and its position, counted from 1.
    """
    # "replace" gives one "?" a character, so that positions hold for any text.
    raw = sequence.encode("ascii", "replace") if isinstance(sequence, str) else sequence
    codes = _TABLE[np.frombuffer(raw, dtype=np.uint8)]
    wrong = codes == INVALID
    if wrong.any():
        at = int(wrong.argmax())
        letter = sequence[at] if isinstance(sequence, str) else chr(raw[at])
        raise InputError(
            f"{letter!r} at position {at + 1} of a sequence is no nucleotide",
            mend=f"letters may be {BASES}U{AMBIGUOUS}",
        )
    return codes


def decode(codes: np.ndarray) -> str:
    """Return base codes, shape=(length,), as upper-case letters of ACGTN."""
    return _LETTERS[codes].tobytes().decode("ascii")


def reverse_complement(codes: np.ndarray) -> np.ndarray:
    """Return the other strand of base codes, shape=(..., length); N stays N."""
    return _COMPLEMENT[codes[..., ::-1]]


def vocab_size(k: int) -> int:
    """Return how many ids there are for k-mers of length `k`: 4**k, and one for the pad.

    Raises
    ------
    InputError
        If `k` is not from 1 to `K_MAX`.
    """
    if not 1 <= k <= K_MAX:
        raise InputError(f"k is {k}", mend=f"k goes from 1 to {K_MAX}")
    return 4**k + 1


def complement_ids(k: int) -> np.ndarray:
    """Return the id of each k-mer's reverse complement.

    Parameters
    ----------
    k : int
        Bases in a k-mer, 1 to `K_MAX`.

    Returns
    -------
    numpy.ndarray
        shape=(vocab_size(k),) int64, in order of the ids; the pad's is the pad.
    """
    rest = np.arange(vocab_size(k) - 1)
    other = np.zeros_like(rest)
    for _ in range(k):
        rest, base = np.divmod(rest, 4)
        other = 4 * other + (3 - base)
    return np.concatenate([[PAD], other + 1])


def kmer_ids(codes: np.ndarray, k: int, stride: int = 1) -> np.ndarray:
    """Return the ids of the k-mers of sequences.

    The reference for every other maker of ids: ``id = 1 + sum(code[j] * 4**(k-1-j))``, so the
    first base is the most significant, and 0 (the pad) where the k-mer holds an N.

    Parameters
    ----------
    codes : numpy.ndarray
        shape=(..., length) uint8, values 0 to 4.
    k : int
        Bases in a k-mer, 1 to `K_MAX`.
    stride : int
        Bases from the start of one k-mer to the start of the next, at least 1.

    Returns
    -------
    numpy.ndarray
        shape=(..., (length - k) // stride + 1) int32, values 0 to 4**k; the last axis is empty
        where the sequence is shorter than `k`.

    Raises
    ------
    InputError
        If `k` or `stride` is out of range.
    """
    vocab_size(k)
    if stride < 1:
        raise InputError(f"stride is {stride}", mend="a stride is at least 1")
    length = codes.shape[-1]
    count = max(0, (length - k) // stride + 1)
    ids = np.zeros((*codes.shape[:-1], count), dtype=np.int32)
    if count == 0:
        return ids
    highest = np.zeros(ids.shape, dtype=np.uint8)
    end = (count - 1) * stride + 1
    for j in range(k):
        base = codes[..., j : j + end : stride]
        ids <<= 2
        ids += base
        np.maximum(highest, base, out=highest)
    ids += 1
    ids *= highest < N  # in place all through: a genome's worth of ids is copied by nothing
    return ids
