"""Sites of a motif in attributed sequences, and how they lie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dflm.mining.attribution.files import AttributionSet
from dflm.mining.motifs.motif import Motif, scan_scores, score_threshold
from dflm.mining.scan.calls import suppress
from dflm.sequences.kmers import N

P_VALUE = 1e-4
_ROUNDING = 1e-3  # of a score, which is summed in single precision


@dataclass(frozen=True)
class Sites:
    """Occurrences of one motif, in the order of sequence and place."""

    rows: np.ndarray
    """shape=(n,) int64: which sequence."""
    starts: np.ndarray
    """shape=(n,) int64: first base, from 0."""
    reverse: np.ndarray
    """shape=(n,) bool: on the other strand."""
    scores: np.ndarray
    """shape=(n,) log2 ratio to the background."""
    credit: np.ndarray
    """shape=(n,) summed contribution of the site's bases."""

    def __len__(self) -> int:
        return len(self.rows)


def find_sites(
    motif: Motif, found: AttributionSet, p_value: float = P_VALUE, credited: bool = True
) -> Sites:
    """Find where a motif occurs and matters: a match whose bases carry credit for being bound.

    Parameters
    ----------
    motif : Motif
    found : AttributionSet
    p_value : float
        Of a match at one place and strand of random bases of the sequences' composition. A motif
        so short that even its best match is likelier has that one match.
    credited : bool
        Leave out matches whose contributions sum up to 0 or less.

    Returns
    -------
    Sites
        Of overlapping matches of a sequence the best alone.
    """
    counts = np.bincount(found.codes[found.codes < N], minlength=N) + 1.0
    background = (counts + counts[::-1]) / (2 * counts.sum())  # both strands
    weights = motif.log_odds(background)
    threshold = score_threshold(weights, p_value, background)
    threshold = min(threshold, float(weights.max(1).sum()) - _ROUNDING)
    forward = scan_scores(found.codes, weights)
    reverse = scan_scores(found.codes, weights[::-1, ::-1])
    best = np.maximum(forward, reverse)
    sums = np.cumsum(np.pad(found.contributions, ((0, 0), (1, 0))), axis=1)
    credit = sums[:, motif.width :] - sums[:, : best.shape[1]]
    hit = best >= threshold
    if credited:
        hit &= credit > 0
    # One axis for all sequences, with gaps between them that no overlap reaches over.
    row, start = np.nonzero(hit)
    kept = suppress(row * (found.codes.shape[1] + motif.width) + start, best[hit], motif.width)
    row, start = row[kept], start[kept]
    return Sites(
        row,
        start,
        reverse[row, start] > forward[row, start],
        best[row, start],
        credit[row, start],
    )


def positions(sites: Sites, width: int, lengths: np.ndarray) -> np.ndarray:
    """Return how far each site's middle lies from the middle of its sequence.

    Parameters
    ----------
    sites : Sites
    width : int
        Bases of a site.
    lengths : numpy.ndarray
        shape=(sequences,) bases of each.

    Returns
    -------
    numpy.ndarray
        shape=(sites,) float64, bases; negative before the middle.
    """
    return sites.starts + width / 2 - lengths[sites.rows] / 2


def spacings(sites: Sites) -> tuple[np.ndarray, np.ndarray]:
    """Return the distances between neighbouring sites of a sequence, and whether strands agree.

    Returns
    -------
    distances : numpy.ndarray
        shape=(pairs,) bases from start to start.
    same_strand : numpy.ndarray
        shape=(pairs,) bool.
    """
    neighbours = sites.rows[1:] == sites.rows[:-1]
    distances = np.diff(sites.starts)[neighbours]
    return distances, (sites.reverse[1:] == sites.reverse[:-1])[neighbours]
