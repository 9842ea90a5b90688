"""A VCF file annotated by several models, as the command and the workflow run it."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dflm.errors import InputError
from dflm.mining.genomes import open_genome
from dflm.mining.scoring import Scorer
from dflm.mining.variants.files import read_variants, write_variant_table, write_variants
from dflm.mining.variants.scored import VariantSettings, score_variants

log = logging.getLogger(__name__)


def annotate(
    scorers: Sequence[Scorer],
    vcf: str | os.PathLike,
    genome: str | os.PathLike,
    table: str | os.PathLike | None,
    annotated: str | os.PathLike | None,
    settings: VariantSettings,
    width: int | None = None,
) -> None:
    """Score the variants of a VCF file with several models, and write what they say.

    Parameters
    ----------
    scorers : sequence of Scorer
        In full precision; each with a name of its own.
    vcf, genome : path-like
        Genome is a FASTA file or the workflow's index.json.
    table, annotated : path-like or None
        To write: a TSV, and a VCF, packed and indexed where its name ends in ``.gz``.
    settings : VariantSettings
    width : int, optional
        Bases of a window, where not as trained.

    Raises
    ------
    InputError
        If an input is wrong.
    """
    opened = open_genome(genome)
    names = [scorer.name for scorer in scorers]
    if len(set(names)) < len(names):
        raise InputError("two models have the same name", mend="rename the folder of one")
    if annotated is not None and Path(vcf).exists() and not Path(vcf).is_file():
        raise InputError("the annotated VCF needs a file to read twice", vcf, "give a file")
    found = read_variants(vcf)
    scored = score_variants([one for _, one in found], opened, scorers, settings, width)
    if table is not None:
        write_variant_table(table, scored)
    if annotated is not None:
        write_variants(annotated, vcf, scored, [record for record, _ in found])
    done = int(np.any([rows >= 0 for rows in scored.rows], axis=0).sum())
    log.info("%d of %d alleles scored with %d models", done, len(found), len(scorers))


def annotate_with_sets(
    weights: Sequence[str | os.PathLike],
    vcf: str | os.PathLike,
    genome: str | os.PathLike,
    table: str | os.PathLike,
    annotated: str | os.PathLike,
    *,
    step: int | None,
    max_n: float,
    on_mismatch: str,
    p_values: str,
    null_size: int,
    seed: int,
    gpu: int,
    threads: int,
    gpu_share: int = 100,
) -> None:
    """Annotate a VCF file with the classifiers of all sets.

    Parameters
    ----------
    weights : sequence of path-like
        The classifiers, each beside its card.
    vcf, genome, table, annotated
        See `annotate`.
    step, max_n, on_mismatch, null_size, seed
        See `dflm.mining.variants.scored.VariantSettings`.
    p_values : {"shuffled", "matched", "none"}
        Its ``null``.
    gpu, threads, gpu_share : int
        What the job was given.
    """
    if not weights:
        raise InputError("no set has a classifier to score variants with", vcf)
    settings = VariantSettings(step, max_n, on_mismatch, p_values, null_size, seed)
    first, *others = weights
    scorers = [Scorer.of_job(first, gpu=gpu, threads=threads, gpu_share=gpu_share)]
    device = scorers[0].device  # its share of a GPU is taken once
    scorers += [Scorer.of_job(one, gpu=gpu, threads=threads, device=device) for one in others]
    annotate(scorers, vcf, genome, table, annotated, settings)
