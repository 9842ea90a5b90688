"""Calls out of the scores of overlapping windows: non-maximum suppression along a contig."""

from __future__ import annotations

import numpy as np


def suppress(starts: np.ndarray, scores: np.ndarray, apart: int) -> np.ndarray:
    """Keep the windows that no better one lies nearer to than `apart` bases.

    The best window is kept and those near it are dropped; then the best of the rest, and so on.
    Of equal scores the first window wins.

    Parameters
    ----------
    starts : numpy.ndarray
        shape=(n,) rising.
    scores : numpy.ndarray
        shape=(n,) higher is better.
    apart : int >= 1
        Least distance of the starts of two windows that are kept; the width of a window lets
        none overlap.

    Returns
    -------
    numpy.ndarray
        Rising rows of those kept.
    """
    kept = np.zeros(len(starts), dtype=bool)
    free = np.ones(len(starts), dtype=bool)
    low = np.searchsorted(starts, starts - apart, side="right")
    high = np.searchsorted(starts, starts + apart, side="left")
    for row in np.argsort(-scores, kind="stable"):
        if free[row]:
            kept[row] = True
            free[low[row] : high[row]] = False
    return np.flatnonzero(kept)
