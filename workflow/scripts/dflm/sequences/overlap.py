"""Test sequences that stand in the genome which the language model reads.

The model sees those bases without labels, so this is no leak of the answer; but how much of a
test file it has read belongs beside the score.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence

import numpy as np

from dflm.files import write_json
from dflm.sequences.compiled import compiled
from dflm.sequences.genome import SPLITS, GenomeIndex
from dflm.sequences.kmers import N, encode, reverse_complement
from dflm.sequences.splits import read_split

log = logging.getLogger(__name__)

SEED = 31
"""Bases of a sequence that are looked up in the table; as many as one word of 64 bits takes."""
_ROOM = 16  # slots for each entry at least, so that nearly all words of a genome meet an empty one
_TWO, _ALL = np.uint64(2), np.uint64(4**SEED - 1)
_MIX = np.uint64(0x9E3779B97F4A7C15)  # 2**64 over the golden ratio (Knuth, TAOCP 3, 6.4)


def count_in_corpus(
    index: str | os.PathLike,
    contigs: str | os.PathLike,
    test: str | os.PathLike,
    output: str | os.PathLike,
    *,
    dataset: str,
) -> dict:
    """Count the test sequences that stand in the genome, whole and exactly, on either strand.

    Parameters
    ----------
    index, contigs : path-like
        The genome, see `dflm.sequences.genome.GenomeIndex`. One contig at a time is mapped.
    test : path-like
        The set's test table, see `dflm.sequences.splits.read_split`.
    output : path-like
        JSON to write: ``dataset``; ``train`` and ``validation``, the ``positives`` and
        ``negatives`` found in the contigs of each split; ``not_looked_up``, the sequences with
        N or shorter than `SEED`; ``bases``, the genome's, N included.
    dataset : str
        The set's name.

    Returns
    -------
    dict
        What `output` holds.

    Raises
    ------
    InputError
        If the index or the table is none.
    """
    genome = GenomeIndex.load(index, contigs)
    _, sequences, labels = read_split(test)
    codes = [encode(sequence) for sequence in sequences]
    chosen = [i for i, sequence in enumerate(codes) if can_be_looked_up(sequence)]
    wanted, wanted_labels = [codes[i] for i in chosen], labels[chosen]
    record: dict = {
        "dataset": dataset,
        "not_looked_up": len(codes) - len(chosen),
        "bases": sum(genome.entry(name)["length"] for name in genome.contigs()),
    }
    for split in SPLITS:
        found = look_up(wanted, map(genome.codes, genome.contigs(split)))
        record[split] = {
            kind: int(np.count_nonzero(found & (wanted_labels == label)))
            for kind, label in (("positives", 1), ("negatives", 0))
        }
        log.info(
            "%s: %d positives and %d negatives of the test file stand in the %s contigs",
            dataset,
            *record[split].values(),
            split,
        )
    write_json(output, record)
    return record


def can_be_looked_up(sequence: np.ndarray) -> bool:
    """Say whether base codes, shape=(length,), hold no N and are at least `SEED` long."""
    return sequence.size >= SEED and sequence.max() < N


def look_up(sequences: Sequence[np.ndarray], contigs: Iterable[np.ndarray]) -> np.ndarray:
    """Find which sequences stand in a genome, whole and exactly, on either strand.

    Each contig is read once, whatever the number of sequences.

    Parameters
    ----------
    sequences : sequence of numpy.ndarray
        Each of shape=(length,) uint8, values 0 to 3, length `SEED` or more.
    contigs : iterable of numpy.ndarray
        Each of shape=(length,) uint8, values 0 to 4, also a memory map.

    Returns
    -------
    numpy.ndarray
        shape=(sequences,) bool.

    Raises
    ------
    ValueError
        If a sequence holds an N or is shorter than `SEED`.
    """
    if not all(map(can_be_looked_up, sequences)):
        raise ValueError(f"a sequence to look up has at least {SEED} bases and no N")
    found = np.zeros(len(sequences), dtype=np.bool_)
    if not len(sequences):
        return found
    # Entry i is sequence i as it is, entry i + n its other strand.
    both = [*sequences, *map(reverse_complement, sequences)]
    flat = np.concatenate(both)
    offsets = np.zeros(len(both) + 1, dtype=np.int64)
    np.cumsum([entry.size for entry in both], out=offsets[1:])
    heads = np.array([entry[:SEED] for entry in both], dtype=np.uint64)
    places = np.arange(2 * SEED - 2, -1, -2, dtype=np.uint64)
    words = np.bitwise_or.reduce(heads << places, axis=1)
    bits = (_ROOM * len(both) - 1).bit_length()
    slots = np.full(2**bits, -1, dtype=np.int32)
    shift = np.uint64(64 - bits)
    _fill(words, slots, shift)
    for codes in contigs:
        _scan(np.asarray(codes), flat, offsets, words, slots, shift, found)
    return found


@compiled
def _slot(word, shift):
    """Return where in the table the search for a word begins."""
    return np.int64((word * _MIX) >> shift)


@compiled
def _fill(words, slots, shift):
    """Put each entry into the first free slot from its word's on; slots are -1 where free."""
    for entry in range(words.size):
        slot = _slot(words[entry], shift)
        while slots[slot] >= 0:
            slot = (slot + 1) & (slots.size - 1)
        slots[slot] = entry


@compiled
def _scan(codes, flat, offsets, words, slots, shift, found):
    """Mark in `found` the sequences of which an entry stands in `codes`."""
    word = np.uint64(0)
    run = 0  # bases since the last N
    for at in range(codes.size):
        code = codes[at]
        if code >= N:
            run = 0
            continue
        word = ((word << _TWO) | np.uint64(code)) & _ALL
        run += 1
        if run < SEED:
            continue
        slot = _slot(word, shift)
        while slots[slot] >= 0:
            entry = slots[slot]
            which = entry % found.size
            if words[entry] == word and not found[which]:
                begin, end = offsets[entry], offsets[entry + 1]
                start = at + 1 - SEED
                found[which] = _stands(codes, start, flat[begin:end])
            slot = (slot + 1) & (slots.size - 1)


@compiled
def _stands(codes, start, sequence):
    """Say whether a sequence stands in `codes` from `start` on."""
    if start + sequence.size > codes.size:
        return False
    at = SEED  # the bases before are known to be equal
    while at < sequence.size and codes[start + at] == sequence[at]:
        at += 1
    return at == sequence.size
