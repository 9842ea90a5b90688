"""What a set's test file has in common with what its model learns from, as a record."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence

import numpy as np

from dflm.files import write_json
from dflm.sequences.corpus import Corpus
from dflm.sequences.genome import SPLITS, GenomeIndex
from dflm.sequences.kmers import N
from dflm.sequences.leaks import EXACT, NEAR, find_in_genome, find_in_pieces, find_leaks
from dflm.sequences.splits import read_split
from dflm.sequences.windows import draw_windows

log = logging.getLogger(__name__)
PARTS = ("train", "validation")
LEVELS = {"exact": EXACT, "near": NEAR}


def check_leaks(
    train: str | os.PathLike,
    validation: str | os.PathLike,
    test: str | os.PathLike,
    output: str | os.PathLike,
    *,
    dataset: str,
    width: int,
    index: str | os.PathLike | None = None,
    contigs: str | os.PathLike | None = None,
    withheld: str | os.PathLike | None = None,
    windows: Sequence[Mapping] = (),
) -> dict:
    """Count and name the duplicates between a set's test file and all that its model reads.

    Parameters
    ----------
    train, validation, test : path-like
        The set's tables, see `dflm.sequences.splits.read_split`.
    output : path-like
        JSON to write.
    dataset : str
        The set's name.
    width : int
        Bases that near duplicates share, see `dflm.sequences.leaks`.
    index, contigs : path-like, optional
        The genome that the language model reads, see `dflm.sequences.genome.GenomeIndex`. Its
        bases come without labels: a test sequence in it is no leak of the answer, but how much
        of a test file it has read belongs beside the score.
    withheld : path-like, optional
        What the language model may not read of it, see
        `dflm.sequences.withholding.withhold_tests`.
    windows : sequence of mapping
        For each second pretraining the windows of that genome that it has told from their
        shuffles: ``epochs``, ``windows`` of each, ``width`` and ``seed``, as
        `dflm.training.discriminate.discriminate` draws them. A test peak among them was shown
        with an answer, that it is no shuffle. Of windows narrower than `width` a test peak has to
        hold a whole one.

    Returns
    -------
    dict
        What `output` holds: ``dataset``, ``width``; ``train`` and ``validation``, the rows of
        those tables that have a duplicate in the test table; ``test``, the rows of the test table
        that have one in either; ``corpus``, None without a genome, else by ``train`` and
        ``validation`` contigs the rows of the test table that stand there, ``not_looked_up`` and
        ``bases`` (the genome's, N included); ``shown``, None without `windows`, else the rows of
        the test table that share bases with one of any, also by their ``rows``, from 0, since names
        need not be unique, and for each of `windows` as ``drawn``. Each as ``exact`` and ``near``,
        numbers of ``positives`` and ``negatives``, and ``names``, those of the rows; near are those
        that are not exact.

    Raises
    ------
    InputError
        If a file is none of these, or the width is out of range.
    """
    names, sequences, labels = read_split(test)
    record: dict = {"dataset": dataset, "width": width, "corpus": None, "shown": None}
    levels = np.zeros(len(names), dtype=np.int8)
    for part, path in zip(PARTS, (train, validation), strict=True):
        part_names, part_sequences, part_labels = read_split(path)
        part_levels, found = find_leaks(part_sequences, sequences, width)
        levels = np.maximum(levels, found)
        record[part] = _describe(part_names, part_labels, part_levels)
    record["test"] = _describe(names, labels, levels)
    log.info(
        "%s: %d of %d test sequences have an exact and %d a near duplicate (%d shared bases) in "
        "the training or validation part",
        dataset,
        np.count_nonzero(levels == EXACT),
        len(names),
        np.count_nonzero(levels == NEAR),
        width,
    )
    if index is not None:
        genome = GenomeIndex.load(index, contigs, withheld)
        record["corpus"] = {"bases": sum(genome.entry(name)["length"] for name in genome.contigs())}
        for split in SPLITS:
            levels, known = find_in_genome(sequences, genome, split, width)
            record["corpus"][split] = _describe(names, labels, levels)
            record["corpus"]["not_looked_up"] = int(np.count_nonzero(~known))
            log.info(
                "%s: %d of %d test sequences stand in the genome's %s contigs, %d share %d bases",
                dataset,
                np.count_nonzero(levels == EXACT),
                len(names),
                split,
                np.count_nonzero(levels == NEAR),
                width,
            )
    if index is not None and windows:
        each = [_shown(sequences, genome, one, width) for one in windows]
        levels = np.maximum.reduce(each)
        record["shown"] = _describe(names, labels, levels)
        record["shown"]["rows"] = np.flatnonzero(levels).tolist()
        record["shown"]["drawn"] = [
            {"windows": dict(one), "rows": np.flatnonzero(own).tolist()}
            for one, own in zip(windows, each, strict=True)
        ]
        log.info(
            "%s: %d of %d test sequences share %s bases with a window of a second pretraining",
            dataset,
            np.count_nonzero(levels),
            len(names),
            " or ".join(map(str, sorted({min(width, one["width"]) for one in windows}))),
        )
    write_json(output, record)
    return record


def _shown(
    sequences: Sequence[str], genome: GenomeIndex, windows: Mapping, width: int
) -> np.ndarray:
    """Return the levels of sequences in the windows of all epochs."""
    corpus = Corpus(genome, "train", min_run=windows["width"])
    width = min(width, windows["width"])
    levels = np.zeros(len(sequences), dtype=np.int8)
    for epoch in range(windows["epochs"]):
        drawn = draw_windows(corpus, windows["windows"], windows["width"], (windows["seed"], epoch))
        # An N behind each, so that nothing stands in two of them.
        apart = np.pad(drawn, ((0, 0), (0, 1)), constant_values=N)
        levels = np.maximum(levels, find_in_pieces(sequences, [apart.reshape(-1)], width)[0])
        del drawn, apart  # before the next are drawn
    return levels


def _describe(names: Sequence[str], labels: np.ndarray, levels: np.ndarray) -> dict:
    """Return numbers by level and label, and names by level."""
    described: dict = {
        kind: {
            "positives": int(np.count_nonzero((levels == level) & (labels == 1))),
            "negatives": int(np.count_nonzero((levels == level) & (labels == 0))),
        }
        for kind, level in LEVELS.items()
    }
    described["names"] = {
        kind: [names[i] for i in np.flatnonzero(levels == level)] for kind, level in LEVELS.items()
    }
    return described
