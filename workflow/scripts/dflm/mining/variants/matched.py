"""Variants at random places of a genome, like those given: a null from the genome itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dflm.errors import InputError
from dflm.mining.genomes import Genome
from dflm.mining.variants.alleles import Haplotypes, Variant, haplotypes
from dflm.sequences.kmers import BASES, N, decode, encode

_SEARCH, _TRIES = 20_000, 200


def matched_null(
    variants: Sequence[Variant],
    genome: Genome,
    width: int,
    step: int,
    max_n: float,
    size: int,
    seed: int,
) -> list[Haplotypes]:
    """Draw variants at random places: the same change between the same two neighbouring bases.

    Parameters
    ----------
    variants : sequence of Variant
        Each is matched in turn, in an order drawn. A single base, or the first of several, is the
        same, and so are its neighbours. A longer allele changes as many bases: a substitution
        each of them, to bases as they follow from one another in the variant's; a deletion takes
        away what stands there; an insertion puts in the variant's own bases.
    genome, width, step, max_n
        See `dflm.mining.variants.alleles.haplotypes`.
    size : int >= 1
        How many to draw.
    seed : int

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
    turn: list[int] = []
    while len(drawn) < size:
        turn = turn or rng.permutation(len(variants)).tolist()
        variant = variants[turn.pop()]
        contig = names[int(rng.choice(len(names), p=share / share.sum()))]
        found = like_elsewhere(variant, genome, contig, rng)
        one = haplotypes(found, genome, width, step, max_n) if found is not None else None
        if one is not None:
            drawn.append(one)
            continue
        failed += 1
        if failed > _TRIES + 10 * size:
            raise InputError(
                f"only {len(drawn)} of {size} places like the variants' were found",
                genome.name,
                "take shuffled ones (--null shuffled, in the workflow mining.variants.p_values: "
                "shuffled), or a larger genome",
            )
    return drawn


def like_elsewhere(
    variant: Variant, genome: Genome, contig: str, rng: np.random.Generator
) -> Variant | None:
    """Draw a variant like a given one somewhere in a contig, or None where none was found there.

    Parameters
    ----------
    variant : Variant
        See `matched_null` for what makes another like it.
    genome : Genome
    contig : str
    rng : numpy.random.Generator
        Draws where the search begins.
    """
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
    if len(ref) < len(variant.ref) or (ref == N).any():
        return None
    before, alt = encode(variant.ref), encode(variant.alt)
    if (before == N).any() or (alt == N).any():
        return None
    if len(alt) == len(before):
        # The same step from letter to letter, so that each base changes that did.
        alt = (ref + (alt + len(BASES) - before)) % len(BASES)
    elif len(alt) < len(before):
        alt = ref[: len(alt)]
    elif len(before) > 1:
        alt = np.concatenate([ref, alt[len(before) :]])
    found = Variant(contig, position, decode(ref), decode(alt.astype(np.uint8)))
    return found if found.ref != found.alt else None
