"""Variants at random places of a genome, like those given: a null from the genome itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dflm.errors import InputError
from dflm.mining.alleles import Haplotypes, Variant, haplotypes
from dflm.mining.genomes import Genome
from dflm.sequences.kmers import N, decode, encode

_SEARCH, _TRIES = 20_000, 200


def matched_null(
    variants: Sequence[Variant],
    genome: Genome,
    size: int,
    seed: int,
    *,
    width: int,
    step: int,
    max_n: float,
) -> list[Haplotypes]:
    """Draw variants at random places: the same change between the same two neighbouring bases.

    Parameters
    ----------
    variants : sequence of Variant
        Each is matched in turn. Of a longer reference allele the first base and its neighbours
        are matched, and as many bases are changed.
    genome : Genome
    size : int >= 1
        How many to draw.
    seed : int
    width, step, max_n
        See `dflm.mining.alleles.haplotypes`.

    Raises
    ------
    InputError
        If the genome holds too few places like these.
    """
    rng = np.random.default_rng(seed)
    names = list(genome.lengths)
    share = np.array([genome.lengths[name] for name in names], dtype=float)
    drawn: list[Haplotypes] = []
    failed = 0
    while len(drawn) < size:
        variant = variants[int(rng.integers(len(variants)))]
        contig = names[int(rng.choice(len(names), p=share / share.sum()))]
        one = _draw(variant, genome, contig, rng, width, step, max_n)
        if one is not None:
            drawn.append(one)
            continue
        failed += 1
        if failed > _TRIES + 10 * size:
            raise InputError(
                f"only {len(drawn)} of {size} places like the variants' were found",
                genome.name,
                "give --null shuffled, or a larger genome",
            )
    return drawn


def _draw(
    variant: Variant,
    genome: Genome,
    contig: str,
    rng: np.random.Generator,
    width: int,
    step: int,
    max_n: float,
) -> Haplotypes | None:
    around = genome.codes(variant.contig, variant.position - 1, variant.position + 2)
    length = genome.lengths[contig]
    start = int(rng.integers(max(1, length - 3)))
    codes = genome.codes(contig, start, min(start + _SEARCH, length))
    if len(codes) < 3 or (around == N).any():
        return None
    like = (codes[:-2] == around[0]) & (codes[1:-1] == around[1]) & (codes[2:] == around[2])
    places = np.flatnonzero(like)
    if not places.size:
        return None
    position = start + 1 + int(places[0])
    ref = genome.codes(contig, position, position + len(variant.ref))
    alt = encode(variant.alt)
    if len(alt) == len(ref) > 1 or (ref == N).any():
        return None
    if len(variant.ref) > 1:  # a deletion of as many bases
        alt = ref[: len(alt)]
    found = Variant(contig, position, decode(ref), decode(alt))
    if found.ref == found.alt:
        return None
    return haplotypes(found, genome, width, step, max_n)
