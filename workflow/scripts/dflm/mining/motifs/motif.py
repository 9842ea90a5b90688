"""A motif: probabilities of bases at its places, and its scores on sequences."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from dflm.sequences.kmers import BASES, N

UNIFORM = np.full(len(BASES), 0.25)
_PSEUDOCOUNT = 0.01  # of a probability, against zeros
_BINS = 2000  # of the score's distribution


@dataclass(frozen=True)
class Motif:
    """Probabilities of the four bases at each place."""

    name: str
    """What it is called."""
    probabilities: np.ndarray
    """shape=(width, 4) rows sum to 1."""
    sites: int
    """Sites that it was made from; 0 where not known."""
    contributions: np.ndarray | None = field(default=None)
    """shape=(width, 4) mean credit of each base, or None."""

    @property
    def width(self) -> int:
        """Number of places."""
        return len(self.probabilities)

    @property
    def consensus(self) -> str:
        """The likeliest bases; in lower case where below one half, ``n`` where near uniform."""
        letters = []
        for row in self.probabilities:
            letter = BASES[int(row.argmax())]
            letters.append(
                letter if row.max() >= 0.5 else letter.lower() if row.max() > 0.3 else "n"
            )
        return "".join(letters)

    @property
    def information(self) -> np.ndarray:
        """Bits at each place against uniform bases, shape=(width,), 0 to 2."""
        p = np.clip(self.probabilities, 1e-9, 1)
        return 2 + (p * np.log2(p)).sum(1)

    def reverse_complement(self) -> Motif:
        """Return the motif of the other strand."""
        credit = None if self.contributions is None else self.contributions[::-1, ::-1]
        return Motif(self.name, self.probabilities[::-1, ::-1], self.sites, credit)

    def trimmed(self, bits: float = 0.25, least: int = 4) -> Motif:
        """Return the motif without ends that tell little.

        Parameters
        ----------
        bits : float
            Information of a place, of 2 bits at most, below which it may go.
        least : int >= 1
            Places that stay in any case, as far as there are that many.
        """
        start, end = self.core(bits, least)
        credit = None if self.contributions is None else self.contributions[start:end]
        return Motif(self.name, self.probabilities[start:end], self.sites, credit)

    def core(self, bits: float = 0.25, least: int = 4) -> tuple[int, int]:
        """Return the places, from and up to, that `trimmed` keeps; its parameters."""
        keep = np.flatnonzero(self.information >= bits)
        if keep.size == 0:
            return 0, self.width
        start, end = int(keep[0]), int(keep[-1]) + 1
        while end - start < min(least, self.width):
            if start > 0:
                start -= 1
            if end - start < least and end < self.width:
                end += 1
        return start, end

    def resembles(self, other: Motif, least: float = 0.8) -> bool:
        """Say whether another motif, on either strand, is much the same or a piece of this one.

        That is so where, laid side by side at some place with two thirds of the shorter one and
        five places at least in common, their probabilities have a correlation of `least`.
        """
        a = self.probabilities - UNIFORM
        for turned in (other, other.reverse_complement()):
            b = turned.probabilities - UNIFORM
            shortest = max(5, -(-2 * min(len(a), len(b)) // 3))
            for shift in range(shortest - len(b), len(a) - shortest + 1):
                here = a[max(0, shift) : shift + len(b)]
                there = b[max(0, -shift) :][: len(here)]
                size = np.sqrt((here**2).sum() * (there**2).sum())
                if size > 0 and (here * there).sum() / size >= least:
                    return True
        return False

    def log_odds(self, background: np.ndarray = UNIFORM) -> np.ndarray:
        """Return log2 ratios to a background, shape=(width, 4)."""
        p = (self.probabilities + _PSEUDOCOUNT) / (1 + len(BASES) * _PSEUDOCOUNT)
        return np.log2(p / background)


def score_threshold(weights: np.ndarray, p_value: float, background: np.ndarray = UNIFORM) -> float:
    """Return the least score of a motif that random bases reach with at most a probability.

    Parameters
    ----------
    weights : numpy.ndarray
        shape=(width, 4) scores of bases, see `Motif.log_odds`.
    p_value : float
        Of one place and strand.
    background : numpy.ndarray
        shape=(4,) probabilities of random bases, independent of one another.

    Returns
    -------
    float
        Exact but for rounding of the scores to one in 2000 of their range; above the highest
        score where even that is likelier.
    """
    low, high = weights.min(1).sum(), weights.max(1).sum()
    unit = max(high - low, 1e-9) / _BINS
    steps = np.rint((weights - weights.min(1, keepdims=True)) / unit).astype(int)
    density = np.zeros(_BINS + len(weights) + 1)
    density[0] = 1.0
    for row in steps:
        after = np.zeros_like(density)
        for base, step in enumerate(row):
            after[step:] += background[base] * density[: len(density) - step]
        density = after
    tail = np.cumsum(density[::-1])[::-1]
    reached = np.flatnonzero(tail <= p_value)
    return float(low + unit * (reached[0] - 0.5)) if reached.size else float(high + unit)


def scan_scores(codes: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return a motif's score at each place of sequences.

    Parameters
    ----------
    codes : numpy.ndarray
        shape=(n, length) uint8.
    weights : numpy.ndarray
        shape=(width, 4).

    Returns
    -------
    numpy.ndarray
        shape=(n, length - width + 1) float32; minus infinity where an N is among the bases.
    """
    width = len(weights)
    places = codes.shape[1] - width + 1
    if places < 1:
        return np.zeros((len(codes), 0), dtype=np.float32)
    table = np.full((width, N + 1), -np.inf, dtype=np.float32)
    table[:, :N] = weights
    total = np.zeros((len(codes), places), dtype=np.float32)
    for place in range(width):
        total += table[place][codes[:, place : place + places]]
    return total
