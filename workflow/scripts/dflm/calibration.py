"""Probabilities that mean what they say, and thresholds to call sequences by.

Both are learnt on validation sequences; the test file only shows whether they hold.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dflm.errors import InputError
from dflm.scores import counts_at_thresholds

TEMPERATURES = (0.05, 20.0)
"""Bounds of a temperature: scores that are worse than guessing have none that is best."""
BINS = 10
"""Bins of equal width in which probabilities are compared with what occurs."""
STRANDS = ("both_strands", "one_strand")
_NEAREST = 2.0**-24  # to 0 or 1; single precision cannot say 1 - p of any less
_HALVINGS = 60


def log_odds(probabilities: Sequence[float]) -> np.ndarray:
    """Return the natural logarithm of p / (1 - p), shape=(n,); p within 2**-24 of 0 or 1 is moved.

    A network's probability of 1 in single precision says no more than that it is nearer than that.
    """
    p = np.clip(np.asarray(probabilities, dtype=float), _NEAREST, 1 - _NEAREST)
    return np.log(p) - np.log1p(-p)


def scaled(probabilities: Sequence[float], temperature: float) -> np.ndarray:
    """Divide log-odds by a temperature.

    Parameters
    ----------
    probabilities : sequence of float, shape=(n,)
        0 to 1.
    temperature : float
        Above 0; above 1 the result is less sure than before, and 0.5 stays 0.5.

    Returns
    -------
    numpy.ndarray, shape=(n,)
        Probabilities in the same order of size; two may become equal near 0 and 1.
    """
    return 1 / (1 + np.exp(-log_odds(probabilities) / temperature))


def soft_targets(labels: Sequence[int]) -> np.ndarray:
    """Return labels as certain as their number allows, to fit probabilities to.

    Parameters
    ----------
    labels : sequence of int, shape=(n,)
        0 or 1.

    Returns
    -------
    numpy.ndarray, shape=(n,)
        Of P positives (P + 1) / (P + 2), of N negatives 1 / (N + 2): so many, and one of each
        label before any was seen.

    References
    ----------
    Platt, "Probabilistic outputs for support vector machines", 1999. Without it scores that tell
    the labels apart perfectly, as they may on few sequences, would be made ever more certain.
    """
    bound = np.asarray(labels) == 1
    return np.where(bound, (bound.sum() + 1) / (bound.sum() + 2), 1 / ((~bound).sum() + 2))


def fit_temperature(labels: Sequence[int], probabilities: Sequence[float]) -> float:
    """Find the temperature at which probabilities make labels most likely.

    There is no bias beside it: negatives are as many as the configuration says, so a shift
    would learn that number and not the model. Labels are those of `soft_targets`.

    Parameters
    ----------
    labels : sequence of int, shape=(n,)
        0 or 1; both must occur.
    probabilities : sequence of float, shape=(n,)
        Probability of label 1, 0 to 1.

    Returns
    -------
    float
        Within `TEMPERATURES`; 1 where all probabilities are 0.5.

    Raises
    ------
    InputError
        See `calibrate`.

    References
    ----------
    Guo et al., "On calibration of modern neural networks", ICML 2017.
    """
    labels, probabilities = _check(labels, probabilities)
    odds, targets = log_odds(probabilities), soft_targets(labels)
    if not odds.any():
        return 1.0

    def slope(inverse: float) -> float:
        # Of the mean negative log-likelihood, which is convex in the inverse temperature.
        return float(np.mean(odds * (1 / (1 + np.exp(-inverse * odds)) - targets)))

    low, high = 1 / TEMPERATURES[1], 1 / TEMPERATURES[0]
    if slope(low) >= 0:
        return TEMPERATURES[1]
    if slope(high) <= 0:
        return TEMPERATURES[0]
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if slope(middle) > 0 else (middle, high)
    return 2 / (low + high)


def negative_log_likelihood(labels: Sequence[int], probabilities: Sequence[float]) -> float:
    """Return the mean negative log-likelihood of labels.

    Parameters
    ----------
    labels : sequence of int, shape=(n,)
        0 or 1.
    probabilities : sequence of float, shape=(n,)
        Of label 1; see `log_odds` for those near 0 and 1.

    Returns
    -------
    float
        In nats a sequence.
    """
    odds = log_odds(probabilities)
    return float(np.mean(np.logaddexp(0, np.where(np.asarray(labels) == 1, -odds, odds))))


def reliability_table(
    labels: Sequence[int], probabilities: Sequence[float], bins: int
) -> list[dict]:
    """Compare probabilities with how often label 1 occurs, in bins of equal width.

    Parameters
    ----------
    labels : sequence of int, shape=(n,)
        0 or 1.
    probabilities : sequence of float, shape=(n,)
        Probability of label 1, 0 to 1.
    bins : int
        At least 1.

    Returns
    -------
    list of dict
        One for each bin that is not empty: ``from`` and ``to``, its bounds, the upper one in the
        bin only at 1; ``count``; ``probability``, the mean of its probabilities; ``positives``,
        the part of label 1, and the 95 % interval of that, ``low`` and ``high`` (Wilson 1927).
    """
    labels, p = np.asarray(labels, dtype=float), np.asarray(probabilities, dtype=float)
    which = np.minimum((p * bins).astype(int), bins - 1)
    rows = []
    for one in np.unique(which).tolist():
        inside = which == one
        count, part = int(inside.sum()), float(labels[inside].mean())
        low, high = _wilson(part, count)
        row = {"from": one / bins, "to": (one + 1) / bins, "count": count}
        row |= {"probability": float(p[inside].mean()), "positives": part}
        rows.append(row | {"low": low, "high": high})
    return rows


def _wilson(part: float, count: int) -> tuple[float, float]:
    """Return the 95 % interval of a part of `count`."""
    z = 1.959963984540054
    middle = (part + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * (part * (1 - part) / count + (z / (2 * count)) ** 2) ** 0.5
    return min(part, max(0.0, middle - half)), max(part, min(1.0, middle + half))


def expected_calibration_error(
    labels: Sequence[int], probabilities: Sequence[float], bins: int
) -> float:
    """Average how far probabilities lie from what occurs (Naeini, Cooper and Hauskrecht 2015).

    Parameters are those of `reliability_table`, whose rows are weighted by their counts.

    Returns
    -------
    float
        0 to 1.
    """
    rows = reliability_table(labels, probabilities, bins)
    apart = sum(row["count"] * abs(row["probability"] - row["positives"]) for row in rows)
    return apart / sum(row["count"] for row in rows)


def operating_points(
    labels: Sequence[int], probabilities: Sequence[float], fdr: float
) -> dict[str, dict]:
    """Choose thresholds, at or above which a sequence is called positive.

    A chosen threshold stands half-way between two neighbouring probabilities, so that a
    difference in their last digits changes no call. It is 0 where all sequences are called.

    Parameters
    ----------
    labels : sequence of int, shape=(n,)
        0 or 1; both must occur.
    probabilities : sequence of float, shape=(n,)
        Probability of label 1, 0 to 1.
    fdr : float
        Largest part of false ones among those called, 0 or above and below 1, at the share of
        positives that the labels have.

    Returns
    -------
    dict of str to dict
        ``fdr``, the threshold of the highest recall within `fdr`; ``max_mcc``, that of the
        highest Matthews correlation; the higher threshold of equal ones; and ``half``, 0.5.
        Each with ``threshold`` and what it gives on these sequences, see `at_threshold`. Where
        no threshold keeps `fdr`, none is called, and the threshold is None.

    Raises
    ------
    InputError
        See `calibrate`; or if `fdr` is out of range.
    """
    labels, probabilities = _check(labels, probabilities)
    if not 0 <= fdr < 1:
        raise InputError(f"a false discovery rate of {fdr}", mend="give one from 0 to below 1")
    scores = np.unique(probabilities)[::-1]
    below = np.append(scores[1:], 0.0)
    middles = (scores + below) / 2
    thresholds = np.where(middles > below, middles, scores)
    thresholds[-1] = 0.0
    tp, fp = (counts[1:].astype(float) for counts in counts_at_thresholds(labels, probabilities))
    positives, negatives = tp[-1], fp[-1]
    called = tp + fp
    rest = positives + negatives - called
    spread = np.sqrt(called * rest * positives * negatives)
    mcc = (tp * (negatives - fp) - fp * (positives - tp)) / np.where(spread > 0, spread, 1)

    within = np.flatnonzero(fp / called <= fdr)
    best = {
        # Recall grows from threshold to threshold, but not with each: the first of the best.
        "fdr": within[np.argmax(tp[within])] if within.size else None,
        "max_mcc": np.argmax(np.round(mcc, 12)),
    }
    chosen = {
        name: None if place is None else float(thresholds[place]) for name, place in best.items()
    }
    return {
        name: {"threshold": threshold, **at_threshold(labels, probabilities, threshold)}
        for name, threshold in {**chosen, "half": 0.5}.items()
    }


def at_threshold(
    labels: Sequence[int], probabilities: Sequence[float], threshold: float | None
) -> dict[str, float | None]:
    """Tell what comes of calling the sequences at or above a threshold.

    Parameters
    ----------
    labels : sequence of int, shape=(n,)
        0 or 1; both must occur.
    probabilities : sequence of float, shape=(n,)
    threshold : float or None
        None calls none.

    Returns
    -------
    dict
        ``called``, their number; ``precision`` and the false discovery rate ``fdr``, its
        complement, both None where none is called; ``recall``, ``fpr`` and ``mcc``.
    """
    labels = np.asarray(labels)
    called = np.asarray(probabilities) >= (np.inf if threshold is None else threshold)
    tn, fp, fn, tp = np.bincount(2 * labels + called, minlength=4).tolist()
    marginals = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    return {
        "called": tp + fp,
        "precision": tp / (tp + fp) if tp + fp else None,
        "fdr": fp / (tp + fp) if tp + fp else None,
        "recall": tp / (tp + fn),
        "fpr": fp / (tn + fp),
        "mcc": (tp * tn - fp * fn) / marginals**0.5 if marginals else 0.0,
    }


def calibrate(
    labels: Sequence[int], probabilities: Sequence[float], *, fdr: float, bins: int = BINS
) -> dict:
    """Learn temperature and thresholds, and tell what they are worth on the same sequences.

    Parameters
    ----------
    labels : sequence of int, shape=(n,)
        Of validation sequences: 0 or 1; both must occur.
    probabilities : sequence of float, shape=(n,)
        Probability of label 1, 0 to 1, as the classifier predicts it.
    fdr : float
        See `operating_points`.
    bins : int
        Of the calibration error, at least 1.

    Returns
    -------
    dict
        Plain values, for JSON: ``temperature``; ``count`` and ``prevalence``, the part of label
        1, for which probabilities and precisions hold; ``before`` and ``after`` scaling, each
        ``nll`` (nats), ``brier`` and ``ece``; ``thresholds``, see `operating_points`, on the
        probabilities as given, each with ``calibrated``, the same threshold after scaling, and
        the wanted ``limit`` of the one chosen by FDR.

    Raises
    ------
    InputError
        If the lengths differ, a probability is not a number from 0 to 1, or a label is missing;
        or if `fdr` or `bins` is out of range.
    """
    if bins < 1:
        raise InputError(f"{bins} bins", mend="give 1 or more")
    labels, probabilities = _check(labels, probabilities)
    temperature = fit_temperature(labels, probabilities)
    points = operating_points(labels, probabilities, fdr)
    points["fdr"]["limit"] = float(fdr)
    for point in points.values():
        at = point["threshold"]
        point["calibrated"] = None if at is None else 0.0
        if at:  # 0 calls all, also what is as near to 0 as can be
            point["calibrated"] = float(scaled([at], temperature)[0])
    return {
        "temperature": temperature,
        "count": len(labels),
        "prevalence": float(labels.mean()),
        "before": calibration_metrics(labels, probabilities, bins),
        "after": calibration_metrics(labels, scaled(probabilities, temperature), bins),
        "thresholds": points,
    }


def calibration_metrics(
    labels: Sequence[int], probabilities: Sequence[float], bins: int = BINS
) -> dict[str, float]:
    """Tell how far probabilities are from being calibrated.

    Parameters
    ----------
    labels : sequence of int, shape=(n,)
        0 or 1.
    probabilities : sequence of float, shape=(n,)
        Of label 1.
    bins : int >= 1
        Of the calibration error, of equal width.

    Returns
    -------
    dict of str to float
        ``nll``, see `negative_log_likelihood`; ``brier``, the mean squared error; ``ece``, see
        `expected_calibration_error`.
    """
    labels, p = np.asarray(labels, dtype=float), np.asarray(probabilities, dtype=float)
    return {
        "nll": negative_log_likelihood(labels, p),
        "brier": float(np.mean((p - labels) ** 2)),
        "ece": expected_calibration_error(labels, p, bins),
    }


def calibrate_strands(
    labels: Sequence[int], forward: Sequence[float], reverse: Sequence[float], *, fdr: float
) -> dict[str, dict]:
    """Calibrate both ways in which a classifier may be used.

    Parameters
    ----------
    labels : sequence of int, shape=(n,)
    forward, reverse : sequence of float, shape=(n,)
        Probabilities of the sequences as given, and of their other strands.
    fdr : float
        See `calibrate`.

    Returns
    -------
    dict of str to dict
        What `calibrate` returns, for the mean of both probabilities, ``both_strands``, and for
        the first alone, ``one_strand``.
    """
    both = (np.asarray(forward, dtype=float) + np.asarray(reverse, dtype=float)) / 2
    return {
        name: calibrate(labels, p, fdr=fdr)
        for name, p in zip(STRANDS, (both, forward), strict=True)
    }


def calibration_in(card: dict, both_strands: bool, where: object) -> dict:
    """Return what a classifier's card says of its calibration.

    Parameters
    ----------
    card : dict
        The content of model.json.
    both_strands : bool
        Whether its probabilities are averaged over both strands.
    where : path-like
        The card's place, for the message.

    Raises
    ------
    InputError
        If it says nothing.
    """
    found = card.get("calibration")
    if not found:
        raise InputError(
            "the card tells no calibration", where, "train the classifier anew (train_classifier)"
        )
    return found[STRANDS[0] if both_strands else STRANDS[1]]


def _check(labels, probabilities) -> tuple[np.ndarray, np.ndarray]:
    labels, p = np.asarray(labels), np.asarray(probabilities, dtype=float)
    if labels.shape != p.shape or labels.ndim != 1:
        raise InputError(f"{labels.size} labels do not go with {p.size} probabilities")
    if not ((p >= 0) & (p <= 1)).all():
        raise InputError("probabilities are not numbers from 0 to 1")
    if set(labels.tolist()) != {0, 1}:
        raise InputError("calibration needs both labels, 0 and 1, in the validation part")
    return labels.astype(np.int64), p
