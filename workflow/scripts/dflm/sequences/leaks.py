"""Sequences that are to be told apart from others, and are not: exact and near duplicates.

Two sequences are exact duplicates when they are equal, whole, on either strand; near ones when
they share a word of `width` bases on either strand. A sequence that is shorter than that has no
word and can only be an exact duplicate; a word with N is none, while an N equals an N where whole
sequences are compared.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from dflm.sequences.genome import GenomeIndex
from dflm.sequences.kmers import N, encode, reverse_complement
from dflm.sequences.words import WordTable, numbered_words, scan, scan_each, word_table

NONE, NEAR, EXACT = 0, 1, 2
SHORTEST = 16
"""Bases of a sequence that is looked for in a genome; fewer stand there by chance."""
_SHUFFLE = re.compile(r"(.*)_shuf\d+", re.DOTALL)

Row = tuple[str, str, int]


def find_leaks(
    sequences: Sequence[str], held_out: Sequence[str], width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Find the duplicates between sequences to learn from and those held out.

    Parameters
    ----------
    sequences, held_out : sequence of str
        Letters of ACGTN.
    width : int
        Bases that near duplicates share, 1 to 64.

    Returns
    -------
    levels, held_out_levels : numpy.ndarray
        shape=(len(sequences),) and (len(held_out),) int8: `NONE`, `NEAR` or `EXACT`, by the
        closest on the other side.

    Raises
    ------
    InputError
        If the width is out of range.
    """
    codes, others = _encode(sequences), _encode(held_out)
    shared, near = scan_each(word_table(others, width), codes)
    levels, held_out_levels = near.astype(np.int8), shared.astype(np.int8)
    keys = {i: _either_strand(codes[i]) for i in _candidates(codes, near, width)}
    other_keys = {i: _either_strand(others[i]) for i in _candidates(others, shared, width)}
    both = set(keys.values()) & set(other_keys.values())
    levels[[i for i, key in keys.items() if key in both]] = EXACT
    held_out_levels[[i for i, key in other_keys.items() if key in both]] = EXACT
    return levels, held_out_levels


def remove_leaks(
    rows: Sequence[Row], held_out: Sequence[str], width: int
) -> tuple[list[Row], dict[str, int]]:
    """Leave out the rows that are duplicates of sequences held out, and shuffles made from them.

    Parameters
    ----------
    rows : sequence of (str, str, int)
        Name, sequence, label. A row of label 0 called ``NAME_shuf1``, ``NAME_shuf2``, .. is a
        shuffle of the last row of label 1 before it that is called ``NAME``.
    held_out : sequence of str
        The sequences of the test file; these are never left out.
    width : int
        See `find_leaks`.

    Returns
    -------
    kept : list of (str, str, int)
        In the same order.
    removed : dict of str to int
        How many rows were left out: ``exact`` and ``near`` duplicates, and ``shuffles`` that are
        none themselves.
    """
    levels, _ = find_leaks([sequence for _, sequence, _ in rows], held_out, width)
    kept: list[Row] = []
    removed = {"exact": 0, "near": 0, "shuffles": 0}
    leaks: dict[str, bool] = {}  # of the last positive of each name
    for row, level in zip(rows, levels.tolist(), strict=True):
        name, _, label = row
        made_from = _SHUFFLE.fullmatch(name) if label == 0 else None
        if label == 1:
            leaks[name] = level != NONE
        if level != NONE:
            removed["exact" if level == EXACT else "near"] += 1
        elif made_from and leaks.get(made_from[1], False):
            removed["shuffles"] += 1
        else:
            kept.append(row)
    return kept, removed


def families(sequences: Sequence[str], width: int) -> np.ndarray:
    """Group sequences with their exact and near duplicates, and these with theirs.

    Parameters
    ----------
    sequences : sequence of str
        Letters of ACGTN.
    width : int
        Bases that near duplicates share, 1 to 64.

    Returns
    -------
    numpy.ndarray
        shape=(len(sequences),) int64: the place of the first sequence of each one's family.

    Raises
    ------
    InputError
        If the width is out of range.
    """
    codes = _encode(sequences)
    words, places, number = numbered_words(codes, width)
    first = np.empty(number, dtype=np.int64)
    first[words[::-1]] = places[::-1]  # of several values for one place the last is kept
    one, other = places, first[words]
    alike = one != other
    whole: dict[bytes, int] = {}
    copies = [whole.setdefault(_either_strand(each), i) for i, each in enumerate(codes)]
    one = np.concatenate([one[alike], np.arange(len(codes))])
    other = np.concatenate([other[alike], np.array(copies, dtype=np.int64)])
    family = np.arange(len(codes))
    while True:
        before = family.copy()
        least = np.minimum(family[one], family[other])
        np.minimum.at(family, one, least)
        np.minimum.at(family, other, least)
        family = family[family]
        if np.array_equal(family, before):
            return family


def find_in_genome(
    sequences: Sequence[str], genome: GenomeIndex, split: str, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Find which sequences stand in a genome whole, or share a word with it, on either strand.

    What the genome withholds is not looked at.

    A contig is mapped, one at a time, and read once, whatever the number of sequences; a second
    time where some are shorter than a word.

    Parameters
    ----------
    sequences : sequence of str
        Letters of ACGTN.
    genome : GenomeIndex
    split : {"train", "validation"}
        Which contigs.
    width : int
        See `find_leaks`.

    Returns
    -------
    levels, known
        See `find_in_pieces`.

    Raises
    ------
    InputError
        If the width is out of range.
    """
    return find_in_pieces(sequences, _Contigs(genome, split), width)


class _Contigs:
    """The codes of a split's contigs, each mapped when its turn comes, as often as asked for."""

    def __init__(self, genome: GenomeIndex, split: str) -> None:
        self.genome, self.split = genome, split

    def __iter__(self) -> Iterator[np.ndarray]:
        return map(self.genome.readable, self.genome.contigs(self.split))


def find_in_pieces(
    sequences: Sequence[str], pieces: Iterable[np.ndarray], width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Find which sequences stand whole in pieces of DNA, or share a word, on either strand.

    Parameters
    ----------
    sequences : sequence of str
        Letters of ACGTN.
    pieces : iterable of numpy.ndarray
        Each of shape=(length,) uint8, values 0 to 4; gone through a second time where some
        sequences are shorter than a word.
    width : int
        See `find_leaks`.

    Returns
    -------
    levels : numpy.ndarray
        shape=(len(sequences),) int8: `NONE`, `NEAR` or `EXACT`. What holds an N is never exact.
    known : numpy.ndarray
        shape=(len(sequences),) bool: False where nothing could be looked for: no word and, whole,
        an N or fewer than `SHORTEST` bases.

    Raises
    ------
    InputError
        If the width is out of range.
    """
    codes = _encode(sequences)

    def look(table: WordTable) -> tuple[np.ndarray, np.ndarray]:
        return scan(table, pieces)

    table = word_table(codes, width)
    shared, whole = look(table)
    known = np.zeros(len(codes), dtype=np.bool_)
    known[table.sequence_of[table.word_of >= 0]] = True
    short = [
        i for i, one in enumerate(codes) if SHORTEST <= one.size < width and one.max(initial=0) < N
    ]
    if short:
        known[short] = True
        least = min(codes[i].size for i in short)
        whole[short] = look(word_table([codes[i] for i in short], least, first_words_only=True))[1]
    return np.where(whole, EXACT, np.where(shared, NEAR, NONE)).astype(np.int8), known


def _encode(sequences: Sequence[str]) -> list[np.ndarray]:
    """Return base codes of each sequence; all are encoded at once."""
    ends = np.cumsum([len(sequence) for sequence in sequences], dtype=np.int64)
    return np.split(encode("".join(sequences)), ends[:-1]) if len(sequences) else []


def _candidates(codes: list[np.ndarray], shared: np.ndarray, width: int) -> list[int]:
    """Return the places of the sequences that may be exact duplicates."""
    # Equal sequences share their words, where these are known to be all that is there.
    return [
        i for i, one in enumerate(codes) if shared[i] or one.size < width or one.max(initial=0) >= N
    ]


def _either_strand(codes: np.ndarray) -> bytes:
    return min(codes.tobytes(), reverse_complement(codes).tobytes())
