"""The floor: what dinucleotide counts alone can tell.

A model is only as good as it exceeds this. Where negatives are exact dinucleotide
shuffles of their positives the floor is 0.5; anything else means that positives
and negatives differ in composition, and every score on them is inflated.
"""

from collections.abc import Sequence

import numpy as np

from dflm.errors import InputError
from dflm.scores import auroc

LETTERS = b"ACGT"


def dinucleotide_counts(sequences: Sequence[str]) -> np.ndarray:
    """Count the 16 dinucleotides of each sequence, overlapping.

    Parameters
    ----------
    sequences : sequence of str
        Upper case; a dinucleotide with a letter other than A, C, G, T is not counted.

    Returns
    -------
    numpy.ndarray, shape=(len(sequences), 16), dtype=int64
        Columns AA, AC, AG, AT, CA, .., TT.
    """
    code = np.full(256, 4, dtype=np.int64)
    code[list(LETTERS)] = np.arange(4)
    # One long sequence with a gap behind each, so that no pair spans two.
    bases = code[np.frombuffer("".join(f"{s}-" for s in sequences).encode(), dtype=np.uint8)]
    row = np.repeat(np.arange(len(sequences)), [len(s) + 1 for s in sequences])[:-1]
    known = (bases[:-1] < 4) & (bases[1:] < 4)
    cell = (row * 16 + bases[:-1] * 4 + bases[1:])[known]
    return np.bincount(cell, minlength=16 * len(sequences)).reshape(-1, 16)


def dinucleotide_floor(
    train_sequences: Sequence[str],
    train_labels: Sequence[int],
    test_sequences: Sequence[str],
    test_labels: Sequence[int],
) -> float:
    """AUROC on the test set of a logistic regression on the 16 dinucleotide counts.

    Parameters
    ----------
    train_sequences, test_sequences : sequence of str
        Upper case.
    train_labels, test_labels : sequence of int
        1 for a peak, 0 for a negative; both must occur.

    Returns
    -------
    float
        0 to 1; exactly 0.5 where each test negative has the counts of its positive.

    Raises
    ------
    InputError
        If a label is missing from either set.
    """
    for part, labels in (("training", train_labels), ("test", test_labels)):
        if set(map(int, labels)) != {0, 1}:
            raise InputError(f"the floor needs both labels, 0 and 1, in the {part} set")
    return _fit_and_score(
        dinucleotide_counts(train_sequences),
        np.asarray(train_labels, dtype=int),
        dinucleotide_counts(test_sequences),
        np.asarray(test_labels, dtype=int),
    )


def floor_within(sequences: Sequence[str], labels: Sequence[int]) -> float:
    """AUROC of dinucleotide counts learnt and measured within one set, by five folds.

    `dinucleotide_floor` cannot see a leak that the test negatives alone have: where the
    training negatives are exact, nothing is learnt that would find it. Sequences of
    equal counts share a fold, since a positive in one and its shuffle in another
    would teach the regression the opposite of what is tested.

    Parameters
    ----------
    sequences : sequence of str
        Upper case.
    labels : sequence of int
        1 for a peak, 0 for a negative; both must occur.

    Returns
    -------
    float
        Mean over the folds, 0 to 1; exactly 0.5 for exact dinucleotide shuffles.
    """
    counts, labels = dinucleotide_counts(sequences), np.asarray(labels, dtype=int)
    groups = np.unique(counts, axis=0, return_inverse=True)[1].reshape(-1)
    folds = min(5, groups.max() + 1)
    if folds < 2:
        return 0.5  # all counts are equal
    # Groups are dealt out like cards, the largest first, so that folds come out alike in size.
    fold_of = np.empty(groups.max() + 1, dtype=int)
    largest_first = np.argsort(-np.bincount(groups), kind="stable")
    fold_of[largest_first] = np.arange(len(fold_of)) % folds
    areas = []
    for fold in range(folds):
        held = fold_of[groups] == fold
        if len(set(labels[~held])) == 2 and len(set(labels[held])) == 2:
            areas.append(_fit_and_score(counts[~held], labels[~held], counts[held], labels[held]))
    return float(np.mean(areas)) if areas else 0.5


def _fit_and_score(train, train_labels, test, test_labels) -> float:
    """AUROC of a logistic regression from counts to counts."""
    return auroc(test_labels, _fit_and_apply(train, train_labels, test))


def _fit_and_apply(train, train_labels, test) -> np.ndarray:
    """Log-odds, shape=(len(test),), of a logistic regression from counts to counts."""
    # Sequences of equal counts must tie exactly, so each distinct row is scored once:
    # the last bit of a matrix product can depend on where the row stands.
    rows, which = np.unique(test, axis=0, return_inverse=True)
    mean, spread = train.mean(axis=0), train.std(axis=0)
    spread[spread == 0] = 1
    weights, intercept = logistic_regression((train - mean) / spread, train_labels)
    return ((rows - mean) / spread @ weights + intercept)[which.reshape(-1)]


def floor_probabilities(
    train_sequences: Sequence[str], train_labels: Sequence[int], sequences: Sequence[str]
) -> np.ndarray:
    """Predict by the 16 dinucleotide counts; what `dinucleotide_floor` measures.

    Parameters
    ----------
    train_sequences, sequences : sequence of str
        Upper case.
    train_labels : sequence of int
        1 for a peak, 0 for a negative; both must occur.

    Returns
    -------
    numpy.ndarray, shape=(len(sequences),)
        Probabilities of label 1; equal for sequences of equal counts.
    """
    odds = _fit_and_apply(
        dinucleotide_counts(train_sequences),
        np.asarray(train_labels, dtype=int),
        dinucleotide_counts(sequences),
    )
    return (1 + np.tanh(odds / 2)) / 2


def logistic_regression(rows: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, float]:
    """Fit a logistic regression by Newton's method.

    Parameters
    ----------
    rows : numpy.ndarray, shape=(n, features)
        Standardised; all features are penalised alike, by half the sum of the squared weights.
    labels : numpy.ndarray of int, shape=(n,)
        0 or 1; both must occur.

    Returns
    -------
    weights : numpy.ndarray, shape=(features,)
    intercept : float
        Not penalised.
    """
    design = np.column_stack([rows, np.ones(len(rows))])
    penalty = np.append(np.ones(rows.shape[1]), 0.0)
    signs = np.where(labels == 1, -1.0, 1.0)

    def loss(weights):
        return np.logaddexp(0, signs * (design @ weights)).sum() + penalty @ weights**2 / 2

    weights = np.zeros(design.shape[1])
    for _ in range(100):
        fitted = (1 + np.tanh(design @ weights / 2)) / 2
        slope = design.T @ (fitted - labels) + penalty * weights
        curvature = (design.T * (fitted * (1 - fitted))) @ design + np.diag(penalty)
        step = np.linalg.solve(curvature, slope)
        if np.abs(step).max() < 1e-9:
            break
        while loss(weights - step) > loss(weights):  # too far along a good direction
            step /= 2
        weights = weights - step
    return weights[:-1], float(weights[-1])


def check_floor(floor: float, tolerance: float, dataset: str, part: str = "") -> None:
    """Stop when the floor is not 0.5 within `tolerance`.

    Parameters
    ----------
    floor : float
        See `dinucleotide_floor`.
    tolerance : float
        Largest distance from 0.5, above 0.
    dataset : str
        Named in the message.
    part : str
        What the floor was measured on, for the message.

    Raises
    ------
    InputError
        If it lies outside.
    """
    if not abs(floor - 0.5) <= tolerance:
        raise InputError(
            f"negatives leak{part and f' ({part})'}: the 16 dinucleotide counts alone reach an "
            f"AUROC of {floor:.3f}, allowed is 0.5 +- {tolerance:g}",
            dataset,
            "use negatives with the exact dinucleotide counts of their positives (Euler "
            "shuffles), or widen evaluate.floor_tolerance if the difference is meant",
        )
