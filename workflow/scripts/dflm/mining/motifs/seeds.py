"""Motifs from attributed sequences of any length, grown from seeds: words that carry credit.

Needs no package of its own; works on windows too short, and on sites too few, for TF-MoDISco.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dflm.mining.attribution.files import AttributionSet
from dflm.mining.motifs.motif import Motif, scan_scores
from dflm.sequences.kmers import BASES, N, kmer_ids

WORD, FLANK, ROUNDS = 6, 6, 8
MOST, LEAST_SITES = 5, 20
TRIES = 3  # searches for each motif that is wanted; what resembles an earlier one does not count
_SEED_PROBABILITY = 0.85
_PSEUDOCOUNT = 0.5


def find_seed_motifs(
    found: AttributionSet, most: int = MOST, least_sites: int = LEAST_SITES
) -> list[Motif]:
    """Find motifs, one after the other, masking the sites of those found before.

    The word of six bases, on either strand, whose occurrences carry most credit is the seed.
    Its matrix is widened and fitted to the sites that it matches best, one a sequence, each
    weighted by its credit, until the sites no longer change. A motif that resembles an earlier one,
    of the second sites in the same sequences say, is masked and not counted. One that is wider than
    the seed and its flanks, 18 bases, comes in pieces.

    Parameters
    ----------
    found : AttributionSet
        Of bound sequences.
    most : int >= 1
        Motifs at most.
    least_sites : int >= 1
        Of a motif.

    Returns
    -------
    list of Motif
        The one with most credit first; empty where nothing carries credit.
    """
    codes, credit = found.codes.copy(), np.maximum(found.contributions, 0).astype(np.float64)
    motifs: list[Motif] = []
    for _ in range(TRIES * most):
        seed = _best_word(codes, credit) if len(motifs) < most else None
        if seed is None:
            break
        grown, rows, starts, reverse = _grow(seed, codes, credit, found.hypothetical)
        if grown is None or grown.sites < least_sites:
            break
        motif = grown.trimmed()
        if not any(other.resembles(motif) for other in motifs):
            motifs.append(replace(motif, name=f"seed_{len(motifs)}"))
        low, high = grown.core()
        for place in range(low, high):
            at = starts + np.where(reverse, grown.width - 1 - place, place)
            within = (at >= 0) & (at < codes.shape[1])
            codes[rows[within], at[within]] = N
    return motifs


def _best_word(codes: np.ndarray, credit: np.ndarray) -> np.ndarray | None:
    """Return the codes of the word with most credit over that of words in general."""
    if codes.shape[1] < WORD:
        return None
    words = kmer_ids(codes, WORD).ravel()
    sums = np.cumsum(np.pad(credit, ((0, 0), (1, 0))), axis=1)
    mass = (sums[:, WORD:] - sums[:, :-WORD]).ravel()
    real = words > 0
    if not real.any():
        return None
    size = len(BASES) ** WORD + 1
    excess = mass - mass[real].mean()  # so that a word is not first for being common
    total = np.bincount(words[real], weights=excess[real], minlength=size)
    other = np.zeros(size, dtype=np.int64)
    digits = (np.arange(size - 1)[:, None] // len(BASES) ** np.arange(WORD)[::-1]) % len(BASES)
    other[1:] = 1 + ((3 - digits[:, ::-1]) * len(BASES) ** np.arange(WORD)[::-1]).sum(1)
    both = total + np.where(other == np.arange(size), 0, total[other])
    best = int(both[1:].argmax()) + 1
    return digits[best - 1].astype(np.uint8) if both[best] > 0 else None


def _grow(
    seed: np.ndarray, codes: np.ndarray, credit: np.ndarray, hypothetical: np.ndarray
) -> tuple[Motif | None, np.ndarray, np.ndarray, np.ndarray]:
    """Fit a matrix of the seed and its flanks; return it and the sites it was made from.

    Of each site its row, where it starts in the sequence as given (below 0 where flanks reach
    beyond the end), and whether it is on the other strand.
    """
    width = len(seed) + 2 * FLANK
    padded = np.pad(codes, ((0, 0), (FLANK, FLANK)), constant_values=N)
    mass = np.pad(credit, ((0, 0), (FLANK, FLANK)))
    turned = np.array([3, 2, 1, 0, N], dtype=np.uint8)[padded[:, ::-1]]
    strands = np.concatenate([padded, turned])
    masses = np.concatenate([mass, mass[:, ::-1]])
    if padded.shape[1] < width:
        return None, *np.zeros((3, 0), dtype=int)
    sums = np.cumsum(np.pad(masses, ((0, 0), (1, 0))), axis=1)
    core = sums[:, FLANK + len(seed) : FLANK + len(seed) + strands.shape[1] - width + 1]
    core = core - sums[:, FLANK : FLANK + core.shape[1]]
    p = np.full((width, len(BASES)), 1 / len(BASES))
    p[FLANK : FLANK + len(seed)] = (1 - _SEED_PROBABILITY) / 3
    p[FLANK + np.arange(len(seed)), seed] = _SEED_PROBABILITY
    rows = starts = np.zeros(0, dtype=int)
    n = len(codes)
    for _ in range(ROUNDS):
        weights = np.log2(np.clip(p, 1e-3, 1) * len(BASES))
        # At an N, which flanks beyond an end are, nothing is known: 0 rather than impossible.
        scores = _scan_with_n(strands, weights)
        scores = np.where(core > 0, scores, -np.inf)
        best = scores.argmax(1)
        value = scores[np.arange(2 * n), best]
        strand = value[n:] > value[:n]
        value = np.where(strand, value[n:], value[:n])
        least = 0.4 * np.log2(np.clip(p.max(1), 0.25, 1) * 4).sum()
        chosen = np.flatnonzero(value >= least)
        line = chosen + n * strand[chosen]
        at = best[line]
        if len(chosen) == 0:
            return None, *np.zeros((3, 0), dtype=int)
        if np.array_equal(line, rows) and np.array_equal(at, starts):
            break
        rows, starts = line, at
        windows = strands[rows[:, None], starts[:, None] + np.arange(width)]
        share = core[rows, starts] / core[rows, starts].mean()
        counts = np.stack([((windows == base) * share[:, None]).sum(0) for base in range(4)], 1)
        p = (counts + _PSEUDOCOUNT) / (counts + _PSEUDOCOUNT).sum(1, keepdims=True)
    credits = np.pad(hypothetical, ((0, 0), (FLANK, FLANK), (0, 0)))
    both = np.concatenate([credits, credits[:, ::-1, ::-1]])
    windows = strands[rows[:, None], starts[:, None] + np.arange(width)]
    there = windows[..., None] == np.arange(len(BASES))
    mean = (both[rows[:, None], starts[:, None] + np.arange(width)] * there).mean(0)
    motif = Motif("seed", p, len(rows), mean)
    # Back to places of the sequences as given, where the site's first base is flank included.
    reverse = rows >= n
    first = np.where(reverse, strands.shape[1] - starts - width, starts) - FLANK
    return motif, rows % n, first, reverse


def _scan_with_n(codes: np.ndarray, weights: np.ndarray) -> np.ndarray:
    core = slice(FLANK, len(weights) - FLANK)
    places = codes.shape[1] - len(weights) + 1
    total = scan_scores(codes[:, FLANK : codes.shape[1] - FLANK], weights[core])
    table = np.zeros((len(weights), N + 1), dtype=np.float32)
    table[:, :N] = weights
    for place in [*range(FLANK), *range(len(weights) - FLANK, len(weights))]:
        total = total + table[place][codes[:, place : place + places]]
    return total
