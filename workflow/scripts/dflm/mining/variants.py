"""Variants of a VCF file, scored with several models and written back with what they do."""

from __future__ import annotations

import logging
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from dflm.errors import InputError
from dflm.files import atomic_path
from dflm.mining import alleles
from dflm.mining.alleles import Haplotypes, Variant, bases_there, haplotypes, why_not
from dflm.mining.effects import Effects, effects_of, shuffled_null, significance
from dflm.mining.genomes import Genome
from dflm.mining.matched import matched_null
from dflm.mining.scoring import Scorer
from dflm.mining.tracks import write_lines

log = logging.getLogger(__name__)

NULLS = ("shuffled", "matched", "none")
ON_MISMATCH = ("skip", "fail")
COLUMNS = (
    "contig",
    "position",
    "id",
    "ref",
    "alt",
    "model",
    "status",
    "window_start",
    "window_end",
    "ref_log_odds",
    "alt_log_odds",
    "delta_log_odds",
    "ref_probability",
    "alt_probability",
    "delta_probability",
    "p_value",
    "q_value",
)
INFO, SKIPPED = "DFLM", "DFLM_SKIPPED"
INFO_FIELDS = "allele|model|delta_log_odds|delta_probability|ref_probability|alt_probability|p|q"


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
    """Why an allele is not scored; None where it is. One a variant."""
    models: list[str] = field(default_factory=list)
    widths: list[int] = field(default_factory=list)
    rows: list[dict[int, int]] = field(default_factory=list)
    """Of each model: variant's number to its place in the arrays."""
    haplotypes: list[list[Haplotypes]] = field(default_factory=list)
    effects: list[Effects] = field(default_factory=list)
    p: list[np.ndarray] = field(default_factory=list)
    q: list[np.ndarray] = field(default_factory=list)


def read_variants(path: str | os.PathLike) -> list[tuple[int, Variant]]:
    """Read all alternative alleles of a VCF file: (number of its record, variant).

    Parameters
    ----------
    path : path-like
        VCF, plain or packed by gzip or bgzip, or BCF; ``-`` is standard input.

    Raises
    ------
    InputError
        If it is none of these.
    """
    found = []
    try:
        with _open(path) as file:
            for number, record in enumerate(file):
                found += [
                    (
                        number,
                        Variant(record.contig, record.start, record.ref, alt, record.id or "."),
                    )
                    for alt in record.alts or ()
                ]
    except (OSError, ValueError) as error:
        raise InputError(f"no whole VCF file ({error})", path) from None
    return found


def _open(path: str | os.PathLike):
    import pysam

    if str(path) != "-" and not Path(path).is_file():
        raise InputError("there is no such file", path)
    # What is wrong is told by InputError, not by htslib on stderr.
    before = pysam.set_verbosity(0)
    try:
        return pysam.VariantFile(str(path))
    finally:
        pysam.set_verbosity(before)


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
    reasons = [why_not(variant, genome, min(widths)) for variant in variants]
    _check_reasons(variants, reasons, genome, settings)
    scored = Scored(list(variants), reasons)
    for scorer, size in zip(scorers, widths, strict=True):
        step = settings.step or max(1, size // 8)
        places: dict[int, int] = {}
        found: list[Haplotypes] = []
        for number, (variant, reason) in enumerate(zip(variants, reasons, strict=True)):
            if reason is None:
                one = haplotypes(variant, genome, size, step, settings.max_n)
                if one is not None:
                    places[number] = len(found)
                    found.append(one)
        effects = effects_of(scorer, found, size)
        used = [variants[number] for number in places]
        p = q = np.full(len(found), np.nan)
        if found and settings.null != "none":
            null = _null(found, used, genome, settings, size, step)
            p, q = significance(
                effects.delta_log_odds, effects_of(scorer, null, size).delta_log_odds
            )
        scored.models.append(scorer.name)
        scored.widths.append(size)
        scored.rows.append(places)
        scored.haplotypes.append(found)
        scored.effects.append(effects)
        scored.p.append(p)
        scored.q.append(q)
    return scored


def _null(found, used, genome, settings, width, step) -> list[Haplotypes]:
    if settings.null == "matched":
        place = {"width": width, "step": step, "max_n": settings.max_n}
        return matched_null(used, genome, settings.null_size, settings.seed, **place)
    lengths = [(len(variant.ref), len(variant.alt)) for variant in used]
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
                text, genome.name, "give the assembly of the VCF, or --on-mismatch skip"
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


def _status(scored: Scored, model: int, number: int) -> str:
    reason = scored.reasons[number]
    if reason is not None:
        return reason
    return "scored" if number in scored.rows[model] else alleles.NO_WINDOW


def _values(scored: Scored, model: int, row: int) -> tuple[list[str], list[str]]:
    """Return what the table shows of an effect: its window, and its numbers."""
    effects, one = scored.effects[model], scored.haplotypes[model][row]
    start = one.start + int(effects.window[row])
    place = [str(start), str(start + scored.widths[model])]
    numbers = [
        effects.ref_log_odds[row],
        effects.alt_log_odds[row],
        effects.delta_log_odds[row],
        effects.ref_probability[row],
        effects.alt_probability[row],
        effects.delta_probability[row],
        scored.p[model][row],
        scored.q[model][row],
    ]
    return place, ["." if np.isnan(value) else f"{value:.6g}" for value in numbers]


def variant_lines(scored: Scored) -> Iterator[str]:
    """Yield a line for each allele and model, with the columns `COLUMNS`; position from 1."""
    for number, variant in enumerate(scored.variants):
        what = (variant.contig, str(variant.position + 1), variant.name, variant.ref, variant.alt)
        for model, name in enumerate(scored.models):
            row = scored.rows[model].get(number)
            values = ["."] * 10
            if row is not None:
                place, numbers = _values(scored, model, row)
                values = place + numbers
            yield "\t".join((*what, name, _status(scored, model, number), *values))


def write_variants(
    path: str | os.PathLike,
    source: str | os.PathLike,
    scored: Scored,
    records: Sequence[int],
) -> None:
    """Write the records of a VCF file with what the models say of their alleles.

    INFO/DFLM holds, for each scored allele and model, the fields `INFO_FIELDS`;
    INFO/DFLM_SKIPPED, for each allele not scored, why.

    Parameters
    ----------
    path : path-like
        VCF to write; packed by bgzip where the name ends in ``.gz``, and indexed by tabix where
        the records are sorted.
    source : path-like
        The file that was read.
    scored : Scored
    records : sequence of int
        Number of each variant's record.
    """
    import pysam

    of_record: dict[int, list[int]] = {}
    for number, record in enumerate(records):
        of_record.setdefault(record, []).append(number)
    packed = str(path).endswith(".gz")
    with atomic_path(path) as temporary, _open(source) as before:
        header = before.header
        described = "what trained classifiers say of an allele: " + INFO_FIELDS
        header.add_line(f'##INFO=<ID={INFO},Number=.,Type=String,Description="{described}">')
        described = "alleles not scored: allele|why"
        header.add_line(f'##INFO=<ID={SKIPPED},Number=.,Type=String,Description="{described}">')
        with pysam.VariantFile(str(temporary), "wz" if packed else "w", header=header) as after:
            for number, record in enumerate(before):
                mine = of_record.get(number, [])
                effects = [text for one in mine for text in _info(scored, one)]
                skipped = [
                    f"{scored.variants[one].alt}|{_status(scored, 0, one)}"
                    for one in mine
                    if _status(scored, 0, one) != "scored"
                ]
                if effects:
                    record.info[INFO] = effects
                if skipped:
                    record.info[SKIPPED] = skipped
                after.write(record)
    if packed:
        try:
            pysam.tabix_index(str(path), preset="vcf", force=True)
        except OSError:
            log.warning("%s is not indexed: its records are not sorted", path)


def _info(scored: Scored, number: int) -> Iterator[str]:
    for model, name in enumerate(scored.models):
        row = scored.rows[model].get(number)
        if row is not None:
            _, numbers = _values(scored, model, row)
            safe = re.sub(r"[^A-Za-z0-9_.+-]", "_", name)
            chosen = [numbers[i] for i in (2, 5, 3, 4, 6, 7)]
            yield "|".join((scored.variants[number].alt, safe, *chosen))


def write_variant_table(path: str | os.PathLike, scored: Scored) -> int:
    """Write the table of `variant_lines`; return its number of rows."""
    return write_lines(path, variant_lines(scored), "\t".join(COLUMNS))
