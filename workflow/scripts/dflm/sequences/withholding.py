"""Test sequences kept out of what the language model reads."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence

from dflm.sequences.genome import GenomeIndex
from dflm.sequences.intervals import write_bed
from dflm.sequences.kmers import encode
from dflm.sequences.splits import read_split
from dflm.sequences.words import places, word_table

log = logging.getLogger(__name__)


def withhold_tests(
    tests: Sequence[str | os.PathLike],
    index: str | os.PathLike,
    contigs: str | os.PathLike,
    output: str | os.PathLike,
    *,
    width: int,
) -> None:
    """Write where test sequences stand in a genome's training contigs, on either strand.

    Of a test sequence all words of `width` bases are found, so that a stretch reaches as far as
    the genome goes with it; one that is shorter than that, and a word with N, are not looked for.

    Parameters
    ----------
    tests : sequence of path-like
        The test tables of all sets, see `dflm.sequences.splits.read_split`.
    index, contigs : path-like
        The genome, see `dflm.sequences.genome.shard_genome`.
    output : path-like
        BED of three columns to write, for `dflm.sequences.genome.GenomeIndex`.
    width : int
        Bases of a word, 1 to `dflm.sequences.words.WIDEST`.

    Raises
    ------
    InputError
        If a file is none of these, or the width is out of range.
    """
    genome = GenomeIndex.load(index, contigs)
    sequences = {sequence for test in tests for sequence in read_split(test)[1]}
    table = word_table([encode(sequence) for sequence in sorted(sequences)], width)
    found = {name: places(table, genome.codes(name)) for name in genome.contigs("train")}
    write_bed(output, found)
    log.info(
        "%d stretches of the training contigs, %d bases in all, share %d bases with one of %d test "
        "sequences; no language model reads them",
        sum(map(len, found.values())),
        sum(int((one[:, 1] - one[:, 0]).sum()) for one in found.values()),
        width,
        len(sequences),
    )
