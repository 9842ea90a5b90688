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
from dflm.sequences.genome import SPLITS, GenomeIndex
from dflm.sequences.kmers import N, encode
from dflm.sequences.splits import read_split
from dflm.sequences.words import scan, word_table

log = logging.getLogger(__name__)

SEED = 31
"""Bases of a sequence that is looked up, at least; fewer stand in a genome by chance."""


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
    return scan(word_table(sequences, SEED, first_words_only=True), contigs)[1]
