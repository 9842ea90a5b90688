"""What variants do to a model's scores, and how unusual that is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dflm.mining.motifs.tomtom import benjamini_hochberg
from dflm.mining.scoring import Scorer
from dflm.mining.variants.alleles import Haplotypes
from dflm.sequences.shuffle import dinucleotide_shuffle_list

_TOGETHER = 128  # variants of which the windows are in memory at once, at most
_PLACES = 4_000_000  # bases of these windows


@dataclass(frozen=True)
class Effects:
    """Scores of both alleles in each variant's best window: that where either scores highest."""

    window: np.ndarray
    """shape=(n,) int64: the window's start in the contig."""
    ref_log_odds: np.ndarray
    """shape=(n,) of the mean probability of both strands."""
    alt_log_odds: np.ndarray
    """shape=(n,) the same of the other allele."""
    ref_probability: np.ndarray
    """shape=(n,) calibrated, where the card has a temperature."""
    alt_probability: np.ndarray
    """shape=(n,) the same of the other allele."""

    @property
    def delta_log_odds(self) -> np.ndarray:
        """Alternative less reference, shape=(n,): negative where binding is lost."""
        return self.alt_log_odds - self.ref_log_odds

    @property
    def delta_probability(self) -> np.ndarray:
        """Alternative less reference, shape=(n,), calibrated."""
        return self.alt_probability - self.ref_probability


def effects_of(scorer: Scorer, found: Sequence[Haplotypes], width: int) -> Effects:
    """Score both alleles of variants, in all of their windows, on both strands.

    Parameters
    ----------
    scorer : Scorer
        In full precision: the differences are small.
    found : sequence of Haplotypes
    width : int
        Bases of a window.
    """
    rows = np.empty((3, len(found)))  # best window's start, and both alleles' log-odds in it
    row = 0
    for part in _parts(found, width):
        windows = [one.starts[:, None] + np.arange(width) for one in part]
        codes = [
            allele[at]
            for one, at in zip(part, windows, strict=True)
            for allele in (one.ref, one.alt)
        ]
        scores = scorer.score(np.concatenate(codes))
        log_odds = scores.log_odds
        at = 0
        for one in part:
            n = len(one.starts)
            ref, alt = log_odds[at : at + n], log_odds[at + n : at + 2 * n]
            best = int(np.maximum(ref, alt).argmax())
            rows[:, row] = one.start + one.starts[best], ref[best], alt[best]
            row, at = row + 1, at + 2 * n
    window, ref, alt = rows
    probabilities = (scorer.calibrated(ref), scorer.calibrated(alt))
    return Effects(window.astype(np.int64), ref, alt, *probabilities)


def _parts(found: Sequence[Haplotypes], width: int) -> Iterator[list[Haplotypes]]:
    """Yield the variants in order, as many at once as their windows allow."""
    part: list[Haplotypes] = []
    places = 0
    for one in found:
        own = len(one.starts) * width
        if part and (len(part) == _TOGETHER or places + own > _PLACES):
            yield part
            part, places = [], 0
        part.append(one)
        places += own
    if part:
        yield part


def shuffled_null(
    found: Sequence[Haplotypes], alleles: Sequence[tuple[int, int]], size: int, seed: int
) -> list[Haplotypes]:
    """Draw variants like those given in surroundings without meaning.

    Each is one of the given variants with both flanks dinucleotide-shuffled, as far as its windows
    reach: the same alleles and composition, by chance in some motif or not.

    Parameters
    ----------
    found : sequence of Haplotypes
    alleles : sequence of (int, int)
        Lengths of each variant's reference and alternative allele.
    size : int >= 1
        How many to draw; all in turn, as often as that takes.
    seed : int
    """
    rng = np.random.default_rng(seed)
    chosen = np.concatenate([rng.permutation(len(found)) for _ in range(-(-size // len(found)))])[
        :size
    ]
    surroundings = [_flanks(found[row], *alleles[row]) for row in chosen]
    shuffled = dinucleotide_shuffle_list(
        [flank for one in surroundings for flank in (one[0][one[2] :], one[1][: one[3]])], seed
    )
    drawn = []
    for place, (row, (before, after, first, end)) in enumerate(
        zip(chosen, surroundings, strict=True)
    ):
        one, (ref, alt) = found[row], alleles[row]
        both = [
            np.concatenate(
                [
                    before[:first],
                    shuffled[2 * place],
                    allele[len(before) : len(before) + length],
                    shuffled[2 * place + 1],
                    after[end:],
                ]
            )[: len(one.ref)]
            for allele, length in ((one.ref, ref), (one.alt, alt))
        ]
        drawn.append(Haplotypes(*both, one.starts, one.start))
    return drawn


def _flanks(one: Haplotypes, ref: int, alt: int) -> tuple[np.ndarray, np.ndarray, int, int]:
    """Return what is before a variant and behind it, and from where to where windows read these.

    The flank is that behind the shorter allele, which reaches farther.
    """
    longest, shortest = max(ref, alt), min(ref, alt)
    width = (len(one.ref) + longest) // 2
    left = width - longest
    after = (one.ref[left + ref :], one.alt[left + alt :])[alt < ref]
    end = int(one.starts.max()) + width - left - shortest
    return one.ref[:left], after, int(one.starts.min()), end


def significance(deltas: np.ndarray, null: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return p- and q-values of effects, both signs counting as equally unusual.

    Parameters
    ----------
    deltas : numpy.ndarray
        shape=(n,) effects.
    null : numpy.ndarray
        shape=(m,) effects of meaningless variants.

    Returns
    -------
    p, q : numpy.ndarray
        shape=(n,). p is (1 + those of the null that are as large) / (1 + m), after Phipson and
        Smyth 2010, so never below 1 / (1 + m); q is Benjamini and Hochberg's.
    """
    ordered = np.sort(np.abs(null))
    larger = len(ordered) - np.searchsorted(ordered, np.abs(deltas) - 1e-12, side="left")
    p = (1 + larger) / (1 + len(ordered))
    return p, benjamini_hochberg(p)
