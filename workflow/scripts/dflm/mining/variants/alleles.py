"""The alleles of a variant in their genome: windows that hold the one and the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dflm.mining.genomes import Genome
from dflm.sequences.kmers import N, decode, encode

# Why a variant is not scored.
MISMATCH, SYMBOLIC, UNKNOWN, TOO_LONG, NO_WINDOW, NO_CONTIG = (
    "ref_mismatch",
    "symbolic_allele",
    "unknown_allele",
    "too_long",
    "no_window",
    "unknown_contig",
)
_LETTERS = frozenset("ACGTNacgtn")


@dataclass(frozen=True, slots=True)
class Variant:
    """One alternative allele at a place of the genome."""

    contig: str
    position: int
    """First base of `ref`, from 0."""
    ref: str
    alt: str
    name: str = "."


@dataclass(frozen=True)
class Haplotypes:
    """A variant's surroundings with either allele, and where windows may lie in them."""

    ref: np.ndarray
    """shape=(length,) uint8 codes with the reference's allele."""
    alt: np.ndarray
    """shape=(length,) uint8 codes with the other; of the same length, more of the right flank
    standing where the allele is shorter."""
    starts: np.ndarray
    """shape=(windows,) starts of windows within both."""
    start: int
    """Where the haplotypes start in the contig."""


def fits(variant: Variant, width: int) -> bool:
    """Say whether both alleles fit into half of a window of that many bases."""
    return max(len(variant.ref), len(variant.alt)) <= width // 2


def why_not(variant: Variant, genome: Genome) -> str | None:
    """Return why no model can score a variant, or None where one can that it fits into.

    Parameters
    ----------
    variant : Variant
    genome : Genome
    """
    if variant.contig not in genome.lengths:
        return NO_CONTIG
    if not variant.ref or not variant.alt or not _LETTERS.issuperset(variant.ref + variant.alt):
        return SYMBOLIC
    if "N" in variant.alt.upper():
        return UNKNOWN
    end = variant.position + len(variant.ref)
    there = genome.codes(variant.contig, variant.position, end)
    given = encode(variant.ref)
    # An N on either side says nothing against the other.
    if ((there != given) & (there != N) & (given != N)).any():
        return MISMATCH
    return None


def reference_of(variant: Variant, genome: Genome) -> np.ndarray:
    """Return the codes of the reference allele: where one of file and genome has N, the other's."""
    end = variant.position + len(variant.ref)
    there, given = genome.codes(variant.contig, variant.position, end), encode(variant.ref)
    return np.where(given == N, there, given)


def bases_there(variant: Variant, genome: Genome) -> str:
    """Return the bases of the genome where the variant's reference allele should be."""
    end = variant.position + len(variant.ref)
    return decode(genome.codes(variant.contig, variant.position, end))


def haplotypes(
    variant: Variant, genome: Genome, width: int, step: int, max_n: float
) -> Haplotypes | None:
    """Place windows over a variant.

    Parameters
    ----------
    variant : Variant
        One that `why_not` has nothing against, and that `fits` the width.
    genome : Genome
    width : int
        Bases of a window.
    step : int >= 1
        Bases from one window to the next; the first one has the variant in its middle.
    max_n : float, 0 to 1
        Share of N above which a window is left out.

    Returns
    -------
    Haplotypes or None
        None where no window holds both alleles whole, lies within the contig and has few enough
        N.
    """
    longest = max(len(variant.ref), len(variant.alt))
    length = genome.length(variant.contig)
    first = variant.position + longest - width  # the lowest start that holds the alleles whole
    size = 2 * width - longest
    right = genome.codes(
        variant.contig, variant.position + len(variant.ref), variant.position + size + width
    )
    left = genome.codes(variant.contig, first, variant.position)
    ref = np.concatenate([left, reference_of(variant, genome), right])[:size]
    alt = np.concatenate([left, encode(variant.alt), right])[:size]
    middle = (width - longest) // 2
    starts = np.unique(
        np.concatenate([np.arange(middle, -1, -step), np.arange(middle, width - longest + 1, step)])
    )
    taken = starts + width + max(0, len(variant.ref) - len(variant.alt))
    starts = starts[(first + starts >= 0) & (first + taken <= length)]
    for codes in (ref, alt):
        if starts.size:
            windows = codes[starts[:, None] + np.arange(width)]
            starts = starts[(windows == N).mean(1) <= max_n]
    return Haplotypes(ref, alt, starts, first) if starts.size else None


class Surroundings(Sequence[Haplotypes]):
    """The haplotypes of many variants, each made when it is asked for.

    So memory holds those at work alone, however many variants there are.

    Parameters
    ----------
    variants : sequence of Variant
        Those of which `haplotypes` makes something.
    genome, width, step, max_n
        See `haplotypes`.
    """

    def __init__(
        self, variants: Sequence[Variant], genome: Genome, width: int, step: int, max_n: float
    ) -> None:
        self.variants, self.how = variants, (genome, width, step, max_n)

    def __len__(self) -> int:
        return len(self.variants)

    def __getitem__(self, rows):
        """Return the haplotypes of one variant, or a list of them."""
        if isinstance(rows, slice):
            return [haplotypes(variant, *self.how) for variant in self.variants[rows]]
        return haplotypes(self.variants[rows], *self.how)
