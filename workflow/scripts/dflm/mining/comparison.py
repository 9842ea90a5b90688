"""Motifs compared with a database, by TOMTOM.

Gupta et al., "Quantifying similarity between motifs", Genome Biology 8:R24, 2007; by the package
memelite.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dflm.mining.motif import Motif

SHOWN = 5


@dataclass(frozen=True)
class Match:
    """A motif of the database that a motif is like."""

    query: str
    rank: int
    """From 1, the likest."""
    target: str
    p_value: float
    q_value: float
    """Benjamini and Hochberg's, over the database."""
    overlap: int
    """Places that lie on one another."""
    reverse: bool
    """Whether the target is turned."""
    offset: int


def compare(motifs: Sequence[Motif], database: Sequence[Motif], shown: int = SHOWN) -> list[Match]:
    """Find the motifs of a database that each motif is like.

    Parameters
    ----------
    motifs : sequence of Motif
    database : sequence of Motif
        P-values rest on what is in it: at least some dozens.
    shown : int >= 1
        Matches of a motif to return.

    Returns
    -------
    list of Match
        By motif and rank.
    """
    if not motifs:
        return []
    from memelite import tomtom

    targets = [np.ascontiguousarray(motif.probabilities.T) for motif in database]
    queries = [np.ascontiguousarray(motif.probabilities.T) for motif in motifs]
    p_values, _, offsets, overlaps, strands = tomtom(queries, targets, n_jobs=1)[:5]
    matches = []
    for row, motif in enumerate(motifs):
        p = np.clip(np.asarray(p_values[row], dtype=float), 0.0, 1.0)
        q = benjamini_hochberg(p)
        order = np.lexsort((np.arange(len(p)), p))
        for rank, target in enumerate(order[:shown], start=1):
            matches.append(
                Match(
                    motif.name,
                    rank,
                    database[target].name,
                    float(p[target]),
                    float(q[target]),
                    int(overlaps[row][target]),
                    bool(strands[row][target]),
                    int(offsets[row][target]),
                )
            )
    return matches


def benjamini_hochberg(p: np.ndarray) -> np.ndarray:
    """Return q-values of p-values, shape=(n,); NaN stays NaN and is not counted.

    Benjamini and Hochberg, J R Stat Soc B 57:289, 1995.
    """
    p = np.asarray(p, dtype=float)
    result = np.full(p.shape, np.nan)
    known = np.flatnonzero(np.isfinite(p))
    order = known[np.argsort(p[known], kind="stable")]
    n = len(order)
    raised = p[order] * n / np.arange(1, n + 1)
    result[order] = np.minimum(np.minimum.accumulate(raised[::-1])[::-1], 1.0)
    return result
