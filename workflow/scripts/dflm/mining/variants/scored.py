"""Variants scored with several models, and how unusual what they do is."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from dflm.errors import InputError
from dflm.mining.genomes import Genome
from dflm.mining.scoring import Scorer
from dflm.mining.variants import alleles
from dflm.mining.variants.alleles import (
    Haplotypes,
    Surroundings,
    Variant,
    bases_there,
    fits,
    haplotypes,
    why_not,
)
from dflm.mining.variants.effects import Effects, effects_of, shuffled_null, significance
from dflm.mining.variants.matched import matched_null

log = logging.getLogger(__name__)

NULLS = ("shuffled", "matched", "none")
ON_MISMATCH = ("skip", "fail")
LEAST_Q = 0.05
"""What a single hit should be able to reach; if it cannot, the log warns."""


@dataclass(frozen=True)
class VariantSettings:
    """How variants are scored.

    Parameters
    ----------
    step : int >= 1 or None
        Bases from one window over a variant to the next; None is an eighth of the width.
    max_n : float, 0 to 1
        Share of N above which a window is left out.
    on_mismatch : {"skip", "fail"}
        What a reference allele that is not in the genome does.
    null : {"shuffled", "matched", "none"}
        Where p-values come from: the variants in shuffled surroundings, or like changes at random
        places of the genome.
    null_size : int >= 20
        Variants of the null.
    seed : int
        Of the null.
    """

    step: int | None = None
    max_n: float = 0.1
    on_mismatch: str = "skip"
    null: str = "shuffled"
    null_size: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.step is not None and self.step < 1:
            raise InputError(f"a step of {self.step}", "--step", "give 1 or more")
        if not 0 <= self.max_n <= 1:
            raise InputError(f"a share of {self.max_n}", "--max-n", "give 0 to 1")
        if self.null_size < 20:
            raise InputError(f"a null of {self.null_size}", "--null-size", "give 20 or more")
        for name, value, known in (
            ("--null", self.null, NULLS),
            ("--on-mismatch", self.on_mismatch, ON_MISMATCH),
        ):
            if value not in known:
                raise InputError(f"{value!r}", name, f"give one of {', '.join(known)}")


@dataclass
class Scored:
    """All alternative alleles of a file with what the models say of them."""

    variants: list[Variant]
    reasons: list[str | None]
    """Why no model scores an allele; None where one may, unless it is too long for all. One a
    variant."""
    models: list[str] = field(default_factory=list)
    widths: list[int] = field(default_factory=list)
    rows: list[np.ndarray] = field(default_factory=list)
    """Of each model, shape=(variants,) int64: a variant's place in the arrays, or -1."""
    effects: list[Effects] = field(default_factory=list)
    p: list[np.ndarray] = field(default_factory=list)
    q: list[np.ndarray] = field(default_factory=list)


def score_variants(
    variants: Sequence[Variant],
    genome: Genome,
    scorers: Sequence[Scorer],
    settings: VariantSettings,
    width: int | None = None,
) -> Scored:
    """Score variants with several models.

    Parameters
    ----------
    variants : sequence of Variant
    genome : Genome
    scorers : sequence of Scorer
        In full precision.
    settings : VariantSettings
    width : int, optional
        Bases of a window, where not as trained.

    Raises
    ------
    InputError
        If a reference allele is not in the genome and that is to fail, or none of the contigs is
        in the genome.
    """
    widths = [scorer.width(width) for scorer in scorers]
    reasons = [why_not(variant, genome) for variant in variants]
    _check_reasons(variants, reasons, genome, settings)
    scored = Scored(list(variants), reasons)
    for scorer, size in zip(scorers, widths, strict=True):
        step = settings.step or max(1, size // 8)
        how = (genome, size, step, settings.max_n)
        places = np.full(len(variants), -1)
        used: list[Variant] = []
        missed: Counter[str] = Counter()
        for number, (variant, reason) in enumerate(zip(variants, reasons, strict=True)):
            if reason is not None:
                continue
            if not fits(variant, size):
                missed[alleles.TOO_LONG] += 1
            elif haplotypes(variant, *how) is None:
                missed[alleles.NO_WINDOW] += 1
            else:
                places[number] = len(used)
                used.append(variant)
        for reason, count in missed.items():
            log.warning("%s does not score %d alleles: %s", scorer.name, count, reason)
        found = Surroundings(used, *how)
        effects = effects_of(scorer, found, size)
        p = q = np.full(len(found), np.nan)
        if found and settings.null != "none":
            if len(found) > LEAST_Q * (1 + settings.null_size):
                log.warning(
                    "of %d alleles one alone cannot reach q %g by %d null variants: q is at least "
                    "alleles / hits / null variants; give more by --null-size, in the workflow "
                    "mining.variants.null_size",
                    *(len(found), LEAST_Q, settings.null_size),
                )
            null = _null(found, settings)
            p, q = significance(
                effects.delta_log_odds, effects_of(scorer, null, size).delta_log_odds
            )
        scored.models.append(scorer.name)
        scored.widths.append(size)
        scored.rows.append(places)
        scored.effects.append(effects)
        scored.p.append(p)
        scored.q.append(q)
    return scored


def _null(found: Surroundings, settings: VariantSettings) -> list[Haplotypes]:
    if settings.null == "matched":
        return matched_null(found.variants, *found.how, settings.null_size, settings.seed)
    lengths = [(len(variant.ref), len(variant.alt)) for variant in found.variants]
    return shuffled_null(found, lengths, settings.null_size, settings.seed)


def _check_reasons(variants, reasons, genome, settings) -> None:
    wrong = [v for v, reason in zip(variants, reasons, strict=True) if reason == alleles.MISMATCH]
    if wrong:
        first = wrong[0]
        text = (
            f"{len(wrong)} of {len(variants)} reference alleles are not in the genome, first "
            f"{first.contig}:{first.position + 1} {first.ref}, where it has "
            f"{bases_there(first, genome)}"
        )
        if settings.on_mismatch == "fail":
            raise InputError(
                text,
                genome.name,
                "give the assembly of the VCF, or skip them: --on-mismatch skip, in the workflow "
                "mining.variants.on_mismatch: skip",
            )
        log.warning("%s; they are skipped", text)
    counted = Counter(reasons)
    if variants and counted[alleles.NO_CONTIG] == len(variants):
        names = ", ".join(list(genome.lengths)[:3])
        raise InputError(
            f"none of the variants' contigs is in it ({variants[0].contig}, ..): it has {names}",
            genome.name,
            "rename the contigs by bcftools annotate --rename-chrs",
        )
    for reason, count in counted.items():
        if reason not in (None, alleles.MISMATCH):
            log.warning("%d alleles are not scored: %s", count, reason)
