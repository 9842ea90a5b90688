"""How well scores tell two classes apart: the curves over all thresholds and their areas.

By NumPy alone: scikit-learn has the same, but takes two seconds to import, which three of the
processes of each set would pay.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def counts_at_thresholds(
    labels: Sequence[int], scores: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """Count the positives and negatives at or above each distinct score, the highest first.

    Parameters
    ----------
    labels : sequence of int, shape=(n,)
        0 or 1; both must occur.
    scores : sequence of float, shape=(n,)
        Finite; higher means more likely positive.

    Returns
    -------
    positives, negatives : numpy.ndarray, shape=(distinct scores + 1,), dtype=int64
        Both begin with 0, for a threshold above all scores, and end with the totals.

    Raises
    ------
    ValueError
        If a label does not occur or the lengths differ.
    """
    labels, scores = np.asarray(labels, dtype=np.int64), np.asarray(scores, dtype=float)
    if labels.shape != scores.shape or labels.ndim != 1:
        raise ValueError(f"{labels.size} labels do not go with {scores.size} scores")
    if set(labels.tolist()) != {0, 1}:
        raise ValueError("both labels, 0 and 1, are needed")
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    last = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), ranked.size - 1)
    positives = np.cumsum(labels[order])[last]
    return np.append(0, positives), np.append(0, last + 1 - positives)


def roc_curve(labels: Sequence[int], scores: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Return false-positive and true-positive rates, from (0, 0) to (1, 1).

    Parameters and exceptions are those of `counts_at_thresholds`.

    Returns
    -------
    fpr, tpr : numpy.ndarray, shape=(points,)
        Points inside a straight piece are left out, but for the first.
    """
    positives, negatives = counts_at_thresholds(labels, scores)
    bends = np.logical_or(np.diff(positives[1:], 2), np.diff(negatives[1:], 2))
    kept = np.concatenate([[True, True], bends, [True]])[: positives.size]
    return negatives[kept] / negatives[-1], positives[kept] / positives[-1]


def auroc(labels: Sequence[int], scores: Sequence[float]) -> float:
    """Area under the ROC curve: how often a positive scores above a negative, a tie one half.

    Parameters and exceptions are those of `counts_at_thresholds`.

    Returns
    -------
    float
        0 to 1; scikit-learn's to the last bit.
    """
    fpr, tpr = roc_curve(labels, scores)
    return float(np.trapezoid(tpr, fpr))


def precision_recall_curve(
    labels: Sequence[int], scores: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """Return precision and recall at each distinct score, recall falling, (1, 0) at the end.

    Parameters and exceptions are those of `counts_at_thresholds`.

    Returns
    -------
    precision, recall : numpy.ndarray, shape=(distinct scores + 1,)
    """
    positives, negatives = counts_at_thresholds(labels, scores)
    called = positives[1:] + negatives[1:]
    precision = np.append((positives[1:] / called)[::-1], 1.0)
    return precision, positives[::-1] / positives[-1]


def average_precision(labels: Sequence[int], scores: Sequence[float]) -> float:
    """Sum of precision times the step in recall, without interpolation.

    Parameters and exceptions are those of `counts_at_thresholds`.

    Returns
    -------
    float
        Above 0, at most 1.
    """
    precision, recall = precision_recall_curve(labels, scores)
    return float(-np.dot(np.diff(recall), precision[:-1]))
