"""The words of a fixed width that sequences are made of, found in other sequences.

A word is read the same on either strand: it stands for itself and for its reverse complement,
and is kept as the smaller of the two, in two numbers of 64 bits. A word with N is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from dflm.errors import InputError
from dflm.sequences.compiled import compiled
from dflm.sequences.intervals import joined
from dflm.sequences.kmers import N, reverse_complement

WIDEST = 64
_ROOM = 4  # slots for each word at least
_SIEVE = 32  # bits for each seed at least, so that nearly all of a genome is sieved out
_LEAST_SEED = 16  # bases; fewer stand in a genome by chance
_MIX = np.uint64(0x9E3779B97F4A7C15)  # 2**64 over the golden ratio (Knuth, TAOCP 3, 6.4)
_NO_MARKS = np.empty(0, dtype=np.bool_)
_BLOCK = 2**24  # bases whose marks are held at a time
_TWO, _THREE, _SIXTY_TWO = np.uint64(2), np.uint64(3), np.uint64(62)


class WordTable(NamedTuple):
    """The words of some sequences, each once, to be looked up by `scan`."""

    width: int
    seed: int
    """Bases of the pieces of words that are looked for first, see `_scan`."""
    high: np.ndarray
    """shape=(words,) uint64: the first bases of each word, past the last 32."""
    low: np.ndarray
    """shape=(words,) uint64: the last 32 bases of each word, or all of a shorter one."""
    slots: np.ndarray
    """int32, a power of two: the number of the word that hashes there, -1 where none does."""
    sieve: np.ndarray
    """uint8, a power of two: a bit is set where a seed hashes to it."""
    word_of: np.ndarray
    """shape=(bases and a gap for each sequence,) int32: the word that ends there, or -1."""
    sequence_of: np.ndarray
    """Likewise, the sequence that the base stands in."""
    strands: np.ndarray
    """uint8: the sequences, then their other strands, one behind the other."""
    bounds: np.ndarray
    """shape=(2 * sequences + 1,) int64: where each begins in `strands`, and the end."""
    heads: np.ndarray
    """int32: the strands that hold no N, in the order of their first words."""
    head_bounds: np.ndarray
    """shape=(words + 1,) int64: where the strands that begin with each word stand in `heads`."""


def word_table(
    sequences: Sequence[np.ndarray], width: int, *, first_words_only: bool = False
) -> WordTable:
    """Collect the words of sequences.

    Parameters
    ----------
    sequences : sequence of numpy.ndarray
        Each of shape=(length,) uint8, values 0 to 4; one shorter than `width` has no word.
    width : int
        Bases in a word, 1 to `WIDEST`.
    first_words_only : bool
        Take the first word of each strand alone, which is all that finding whole sequences needs.

    Raises
    ------
    InputError
        If the width is out of range.
    """
    _check_width(width)
    number = len(sequences)
    sizes = np.array([one.size for one in sequences], dtype=np.int64)
    flat, begins = join(sequences)
    high, low, keys, is_word = _words(flat, width)
    ends = np.stack([begins + width - 1, begins + sizes - 1])  # of first and last words
    ends = np.where(sizes >= width, ends, -1)
    if first_words_only:
        wanted = np.zeros_like(is_word)
        wanted[ends[ends >= 0]] = True
        is_word &= wanted
    number_of_words = int(np.count_nonzero(is_word))
    slots = np.full(_power(_ROOM * number_of_words), -1, dtype=np.int32)
    word_of, firsts = _fill(high, low, keys, is_word, slots)
    seed = max(width // 2, min(width, _LEAST_SEED))
    ends_seed = _seed_ends(word_of, width, seed)
    sieve = np.zeros(_power(_SIEVE * ends_seed.size) // 8, dtype=np.uint8)
    _sow(flat, ends_seed, seed, sieve)
    strands = [*sequences, *map(reverse_complement, sequences)]
    bounds = np.zeros(2 * number + 1, dtype=np.int64)
    np.cumsum(np.concatenate([sizes, sizes]), out=bounds[1:])
    head = np.where(ends.reshape(-1) >= 0, word_of[ends.reshape(-1)], -1)
    whole = np.array([one.size > 0 and one.max() < N for one in sequences], dtype=np.bool_)
    head[~np.concatenate([whole, whole])] = -1
    order = np.argsort(head, kind="stable")
    order = order[np.count_nonzero(head < 0) :].astype(np.int32)
    head_bounds = np.searchsorted(head[order], np.arange(firsts.size + 1))
    return WordTable(
        width,
        seed,
        high[firsts],
        low[firsts],
        slots,
        sieve,
        word_of,
        np.repeat(np.arange(number), sizes + 1),
        np.concatenate([np.empty(0, dtype=np.uint8), *strands]),
        bounds,
        order,
        head_bounds.astype(np.int64),
    )


def numbered_words(
    sequences: Sequence[np.ndarray], width: int
) -> tuple[np.ndarray, np.ndarray, int]:
    """Number the words of sequences, equal ones alike.

    Parameters
    ----------
    sequences : sequence of numpy.ndarray
        Each of shape=(length,) uint8, values 0 to 4.
    width : int
        Bases in a word, 1 to `WIDEST`.

    Returns
    -------
    words, places : numpy.ndarray
        shape=(words met,) int32 and int64: the number of each word, and of the sequence it stands
        in, from sequence to sequence.
    number : int
        How many unlike words there are.
    """
    _check_width(width)
    flat, begins = join(sequences)
    high, low, keys, is_word = _words(flat, width)
    slots = np.full(_power(_ROOM * int(np.count_nonzero(is_word))), -1, dtype=np.int32)
    word_of, firsts = _fill(high, low, keys, is_word, slots)
    ends = np.flatnonzero(is_word)
    places = np.searchsorted(begins, ends, side="right") - 1
    return word_of[ends], places, firsts.size


def _check_width(width: int) -> None:
    if not 1 <= width <= WIDEST:
        raise InputError(f"words of {width} bases", mend=f"a width goes from 1 to {WIDEST}")


def _power(number: int) -> int:
    """Return the smallest power of two that is at least a number, and 8 at least."""
    return 2 ** max(3, (number - 1).bit_length())


def join(sequences: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Put sequences one behind the other, an N behind each.

    Returns
    -------
    flat : numpy.ndarray
        shape=(bases and gaps,) uint8.
    begins : numpy.ndarray
        shape=(sequences,) int64, where each begins.
    """
    gap = np.array([N], dtype=np.uint8)
    parts = [part for one in sequences for part in (one, gap)]
    sizes = np.array([one.size + 1 for one in sequences], dtype=np.int64)
    return np.concatenate([np.empty(0, dtype=np.uint8), *parts]), np.cumsum(sizes) - sizes


def scan(table: WordTable, contigs: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Find which sequences of a table share a word with contigs, or stand in them whole.

    Each contig is read once, whatever the number of sequences.

    Parameters
    ----------
    table : WordTable
    contigs : iterable of numpy.ndarray
        Each of shape=(length,) uint8, values 0 to 4, also a memory map.

    Returns
    -------
    shared, whole : numpy.ndarray
        shape=(sequences,) bool: shares a word of the table's on either strand; stands whole and
        exactly on either strand. A sequence that is shorter than a word or holds an N is never
        found whole.
    """
    hit = np.zeros(table.high.size, dtype=np.bool_)
    whole = np.zeros(table.bounds.size // 2, dtype=np.bool_)
    for codes in contigs:
        _scan(np.asarray(codes), table, hit, whole, _NO_MARKS)
    return _of_sequences(table, hit), whole


def places(table: WordTable, codes: np.ndarray) -> np.ndarray:
    """Find where words of a table stand in a contig.

    Parameters
    ----------
    table : WordTable
    codes : numpy.ndarray
        shape=(length,) uint8, values 0 to 4, also a memory map.

    Returns
    -------
    numpy.ndarray
        shape=(stretches, 2) int64: begin and end of what the words cover, in order.
    """
    hit = np.zeros(table.high.size, dtype=np.bool_)
    whole = np.zeros(table.bounds.size // 2, dtype=np.bool_)
    found = [np.empty((0, 2), dtype=np.int64)]
    for start in range(0, codes.size, _BLOCK):
        # A word over the border of two blocks ends in the second.
        begin = max(0, start - table.width + 1)
        block = np.asarray(codes[begin : start + _BLOCK])
        marks = np.zeros(block.size + 2, dtype=np.bool_)
        _scan(block, table, hit, whole, marks[1:-1])
        found.append(begin + np.flatnonzero(marks[1:] != marks[:-1]).reshape(-1, 2))
    return joined(np.concatenate(found))


def scan_each(table: WordTable, sequences: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Find which sequences of a table share a word with others, and with which of them.

    Parameters
    ----------
    table : WordTable
    sequences : sequence of numpy.ndarray
        Each of shape=(length,) uint8, values 0 to 4.

    Returns
    -------
    shared : numpy.ndarray
        shape=(sequences of the table,) bool.
    others : numpy.ndarray
        shape=(len(sequences),) bool: shares a word with one of the table's.
    """
    hit = np.zeros(table.high.size, dtype=np.bool_)
    whole = np.zeros(table.bounds.size // 2, dtype=np.bool_)
    flat, begins = join(sequences)
    others = _scan_each(flat, np.append(begins, flat.size), table, hit, whole, _NO_MARKS)
    return _of_sequences(table, hit), others


def _of_sequences(table: WordTable, hit: np.ndarray) -> np.ndarray:
    """Return which sequences hold a word that was hit."""
    shared = np.zeros(table.bounds.size // 2, dtype=np.bool_)
    known = table.word_of >= 0
    shared[table.sequence_of[known][hit[table.word_of[known]]]] = True
    return shared


@compiled
def _hash(low, other_low):
    """Return 64 bits, the upper ones well mixed, the same for either strand of a word.

    The last 32 bases of both strands are all bases of the word, and a product does not depend on
    the order: so a word need not be compared with its other strand before it is looked up, which
    is a guess that a processor gets wrong half of the time.
    """
    mixed = (low ^ _MIX) * (other_low ^ _MIX)
    return (mixed ^ (mixed >> np.uint64(32))) * _MIX


@compiled
def _bits(size):
    """Return the binary logarithm of a power of two."""
    bits = 0
    while size > 1:
        size >>= 1
        bits += 1
    return bits


@compiled
def _masks(width):
    """Return what of high and low a word of this width uses, and where its first base stands."""
    full = ~np.uint64(0)
    if width >= 32:
        low = full
        high = full >> np.uint64(2 * (64 - width)) if width > 32 else np.uint64(0)
    else:
        low = full >> np.uint64(2 * (32 - width))
        high = np.uint64(0)
    return high, low, np.uint64(2 * ((width - 1) % 32))


@compiled
def _words(codes, width):
    """Return high, low and hash of the word that ends at each base, and whether one does."""
    highs = np.zeros(codes.size, dtype=np.uint64)
    lows = np.zeros(codes.size, dtype=np.uint64)
    keys = np.zeros(codes.size, dtype=np.uint64)
    is_word = np.zeros(codes.size, dtype=np.bool_)
    high_mask, low_mask, place = _masks(width)
    high, low, other_high, other_low = np.uint64(0), np.uint64(0), np.uint64(0), np.uint64(0)
    run = 0  # bases since the last N
    for at in range(codes.size):
        if codes[at] >= N:
            run = 0
            continue
        code = np.uint64(codes[at])
        high = ((high << _TWO) | (low >> _SIXTY_TWO)) & high_mask
        low = ((low << _TWO) | code) & low_mask
        other_low = (other_low >> _TWO) | (other_high << _SIXTY_TWO)
        other_high >>= _TWO
        if width > 32:
            other_high |= (_THREE - code) << place
        else:
            other_low |= (_THREE - code) << place
        run += 1
        if run < width:
            continue
        if high < other_high or (high == other_high and low <= other_low):
            highs[at], lows[at] = high, low
        else:
            highs[at], lows[at] = other_high, other_low
        keys[at] = _hash(low, other_low)
        is_word[at] = True
    return highs, lows, keys, is_word


@compiled
def _fill(highs, lows, keys, is_word, slots):
    """Number the unlike words; return the number of each, -1 where none, and where each is met."""
    shift = np.uint64(64 - _bits(slots.size))
    word_of = np.full(highs.size, -1, dtype=np.int32)
    firsts = np.empty(highs.size, dtype=np.int64)
    number = 0
    for at in range(highs.size):
        if not is_word[at]:
            continue
        slot = np.int64(keys[at] >> shift)
        while slots[slot] >= 0:
            first = firsts[slots[slot]]
            if highs[first] == highs[at] and lows[first] == lows[at]:
                break
            slot = (slot + 1) & (slots.size - 1)
        if slots[slot] < 0:
            slots[slot] = number
            firsts[number] = at
            number += 1
        word_of[at] = slots[slot]
    return word_of, firsts[:number].copy()


@compiled
def _seed_ends(word_of, width, seed):
    """Return where the seeds within words end."""
    is_end = np.zeros(word_of.size, dtype=np.bool_)
    next_end = 0
    for at in range(word_of.size):
        if word_of[at] >= 0:
            for end in range(max(next_end, at - width + seed), at + 1):
                is_end[end] = True
            next_end = at + 1
    return np.flatnonzero(is_end)


@compiled
def _seed_bit(codes, end, seed, shift):
    """Return which bit of the sieve the seed that ends at `end` falls on; -1 where it has an N."""
    place = np.uint64(2 * (seed - 1))
    word, other, unknown = np.uint64(0), np.uint64(0), np.uint64(0)
    for code in codes[end + 1 - seed : end + 1]:
        code = np.uint64(code)
        unknown |= code
        word = (word << _TWO) | code
        other = (other >> _TWO) | ((_THREE - code) << place)
    if unknown >= np.uint64(N):
        return np.int64(-1)
    # More than 32 bases would not fit; fewer leave the upper bits of both words 0.
    return np.int64(_hash(word, other) >> shift)


@compiled
def _sow(codes, ends, seed, sieve):
    """Set the bit of each seed."""
    shift = np.uint64(61 - _bits(sieve.size))
    for i in range(ends.size):
        bit = _seed_bit(codes, ends[i], seed, shift)
        sieve[bit >> 3] |= np.uint8(1 << (bit & 7))


@compiled
def _scan(codes, table, hit, whole, marks):
    """Mark the words that stand in `codes`, and the sequences; say whether any word does.

    With `marks`, one for each of `codes`, the bases of words that stand there are marked too.

    A word holds `width - seed + 1` seeds, one behind the other. So one of every so many seeds of
    `codes` is looked for; only around those that the sieve lets through are words looked up.
    """
    width, seed, sieve = table.width, table.seed, table.sieve
    step = width - seed + 1
    shift = np.uint64(61 - _bits(sieve.size))
    found = False
    for end in range(seed - 1, codes.size, step):
        bit = _seed_bit(codes, end, seed, shift)
        if bit >= 0 and (sieve[bit >> 3] >> (bit & 7)) & 1:
            start = max(0, end + 1 - width)
            found |= _look(codes, start, end + step, table, hit, whole, marks)
    return found


@compiled
def _look(codes, start, stop, table, hit, whole, marks):
    """Mark the words that stand in `codes[start:stop]`, and the sequences."""
    highs, lows, keys, is_word = _words(codes[start:stop], table.width)
    slots = table.slots
    shift = np.uint64(64 - _bits(slots.size))
    found = False
    for at in range(table.width - 1, is_word.size):
        if not is_word[at]:
            continue
        slot = np.int64(keys[at] >> shift)
        while slots[slot] >= 0:
            word = slots[slot]
            if table.high[word] == highs[at] and table.low[word] == lows[at]:
                found = True
                hit[word] = True
                if marks.size:
                    marks[start + at + 1 - table.width : start + at + 1] = True
                _stands(codes, start + at + 1 - table.width, word, table, whole)
                break
            slot = (slot + 1) & (slots.size - 1)
    return found


@compiled
def _stands(codes, start, word, table, whole):
    """Mark the sequences that begin with a word and stand in `codes` from `start` on."""
    for i in range(table.head_bounds[word], table.head_bounds[word + 1]):
        strand = table.heads[i]
        which = strand % whole.size
        begin, end = table.bounds[strand], table.bounds[strand + 1]
        if whole[which] or start + end - begin > codes.size:
            continue
        at = begin
        while at < end and codes[start + at - begin] == table.strands[at]:
            at += 1
        whole[which] = at == end


@compiled
def _scan_each(flat, bounds, table, hit, whole, no_marks):
    """Scan one sequence after the other, and return which of them hold a word."""
    others = np.zeros(bounds.size - 1, dtype=np.bool_)
    for i in range(others.size):
        others[i] = _scan(flat[bounds[i] : bounds[i + 1]], table, hit, whole, no_marks)
    return others
