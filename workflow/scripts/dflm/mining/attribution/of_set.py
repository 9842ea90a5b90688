"""The attributions of a set: of its bound sequences, those that the model scores highest."""

from __future__ import annotations

import logging
import os

import numpy as np

from dflm.errors import InputError
from dflm.mining.attribution.files import save_attributions
from dflm.mining.attribution.mutagenesis import mean_log_odds
from dflm.mining.attribution.sequences import attribute
from dflm.mining.attribution.top_sites import plot_top_sites
from dflm.mining.predict import default_stride
from dflm.mining.scoring import Scorer
from dflm.sequences.kmers import encode
from dflm.sequences.splits import read_split

log = logging.getLogger(__name__)

SHOWN = 8


def attribute_set(
    weights: str | os.PathLike,
    sequences: str | os.PathLike,
    attributions: str | os.PathLike,
    logos: str | os.PathLike,
    *,
    most: int,
    method: str,
    seed: int,
    gpu: int,
    threads: int,
    gpu_share: int = 100,
) -> None:
    """Attribute the scores of a set's positives to their bases.

    Parameters
    ----------
    weights : path-like
        The classifier, beside its card.
    sequences : path-like
        A split file: name, sequence, label.
    attributions, logos : path-like
        To write: an npz file, and a picture of the strongest sites.
    most : int >= 1
        Positives to attribute at most: those that the model scores highest.
    method : {"gradients", "mutagenesis"}
    seed : int
        Of the baselines' shuffles.
    gpu, threads, gpu_share : int
        What the job was given.

    Raises
    ------
    InputError
        If a file is wrong, or holds no positive that can be read.
    """
    scorer = Scorer.of_job(weights, gpu=gpu, threads=threads, gpu_share=gpu_share)
    names, bases, labels = read_split(sequences)
    width = scorer.width()
    rows = [i for i, label in enumerate(labels) if label == 1 and len(bases[i]) >= scorer.k]
    if not rows:
        raise InputError("holds no positive that can be read", sequences)
    codes = [encode(bases[i]) for i in rows]
    if len(rows) > most:
        scores = mean_log_odds(scorer.score_list(codes))
        best = np.sort(np.argsort(-scores, kind="stable")[:most])
        log.info("%d of %d positives, those that score highest", most, len(rows))
        rows, codes = [rows[i] for i in best], [codes[i] for i in best]
    found = attribute(
        scorer,
        [names[i] for i in rows],
        codes,
        width=width,
        stride=default_stride(width),
        method=method,
        seed=seed,
    )
    save_attributions(attributions, found)
    plot_top_sites(found, logos, SHOWN)
    log.info("%d sequences attributed by %s", len(found), method)
