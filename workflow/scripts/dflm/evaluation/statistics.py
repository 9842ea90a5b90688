"""Methods compared over sets: means, intervals, paired tests, ranks."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np

from dflm.errors import InputError
from dflm.tables import field, write_table

LOWER_IS_BETTER = frozenset({"brier", "ece", "nll", "fpr", "fnr"})
COLUMNS = (
    "metric",
    "method",
    "sets",  # that the method has a value of
    "missing",  # sets that another method has a value of
    "seeds",  # the fewest that a set's value is a mean of
    "mean",
    "low",  # 95 % bootstrap interval of the mean over sets
    "high",
    "mean_rank",  # over the sets of all methods; 1 is the best
    "reference",
    "paired",  # sets that method and reference both have; all columns behind rest on them
    "difference",  # mean of reference minus method
    "difference_low",
    "difference_high",
    "wins",  # of the reference over the method
    "ties",
    "losses",
    "p",  # Wilcoxon's signed ranks, two-sided
    "p_holm",  # corrected for the number of methods compared with the reference
)
_DIGITS = 12  # differences are rounded to, so that equal ones tie whatever the order of sums

Scores = dict[str, dict[str, float]]  # method -> dataset -> value


def bootstrap_mean(
    values: Sequence[float], resamples: int, seed: int, level: float = 0.95
) -> tuple[float, float] | tuple[None, None]:
    """Percentile bootstrap interval of a mean (Efron 1979).

    Parameters
    ----------
    values : sequence of float
        One a set; at least one.
    resamples : int
        Draws with replacement, at least 1.
    seed : int
    level : float
        Coverage, between 0 and 1.

    Returns
    -------
    low, high : float or None
        None of a single value, which does not tell how sets vary.
    """
    if len(values) < 2:
        return None, None
    values = np.asarray(values, dtype=float)
    rng = np.random.default_rng(seed)
    means = [rng.choice(values, size=len(values)).mean() for _ in range(resamples)]
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def signed_rank(differences: Sequence[float]) -> float:
    """Two-sided p of Wilcoxon's signed-rank test, exact also with ties and zeros.

    Equal absolute differences share the mean of their ranks. Zeros are ranked and then left out
    (Pratt 1959), so that many sets without a difference weaken the evidence. Given these ranks,
    the distribution over all 2**n signs is counted out, for any n, not approximated.

    Parameters
    ----------
    differences : sequence of float, shape=(n,)
        One a set; rounded to 12 decimals.

    Returns
    -------
    float
        Above 0 to 1; 1 where no difference is left.
    """
    differences = np.round(np.asarray(differences, dtype=float), _DIGITS)
    ranks = _doubled_ranks(np.abs(differences))[differences != 0]
    above = int(ranks[differences[differences != 0] > 0].sum())
    chance = np.zeros(int(ranks.sum()) + 1)  # of each sum of doubled ranks
    chance[0] = 1
    reached = 0
    for rank in ranks.tolist():
        reached += rank
        moved = chance[: reached + 1 - rank] / 2
        chance[: reached + 1] /= 2
        chance[rank : reached + 1] += moved
    # The distribution is symmetric; the smaller of the two tails is summed.
    tail = chance[: min(above, reached - above) + 1].sum()
    return float(min(1.0, 2 * tail))


def _doubled_ranks(values: np.ndarray) -> np.ndarray:
    """Twice the ranks from 1 on, ties sharing their mean: whole numbers."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return (2 * ends - counts + 1)[which.reshape(-1)]


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for their number, step down (Holm 1979).

    Parameters
    ----------
    p_values : sequence of float, shape=(m,)

    Returns
    -------
    list of float
        In the same order, each at least as large as before and at most 1.
    """
    corrected, highest = [0.0] * len(p_values), 0.0
    for place, i in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - place) * p_values[i]))
        corrected[i] = highest
    return corrected


def average_seeds(rows: Iterable[Mapping], metric: str) -> tuple[Scores, dict[str, dict[str, int]]]:
    """Average each method's seeds within each set.

    Parameters
    ----------
    rows : iterable of mapping
        ``method``, ``dataset``, ``seed`` and `metric`; None, or no such key, where the run failed.
    metric : str

    Returns
    -------
    scores : dict of str to dict of str to float
        By method, in the order of the rows, and dataset.
    seeds : dict of str to dict of str to int
        How many values each is the mean of.

    Raises
    ------
    InputError
        If a method has two rows of one set and seed, or a value is not finite.
    """
    found: dict[str, dict[str, dict]] = {}
    for row in rows:
        method, dataset, seed = row["method"], row["dataset"], row["seed"]
        values = found.setdefault(method, {}).setdefault(dataset, {})
        if seed in values:
            raise InputError(f"two rows of {method}, {dataset}, seed {seed}", "comparison")
        values[seed] = row.get(metric)
        if values[seed] is not None and not np.isfinite(values[seed]):
            raise InputError(f"{metric} of {method}, {dataset}, seed {seed} is {values[seed]}")
    scores: Scores = {}
    seeds: dict[str, dict[str, int]] = {}
    for method, sets in found.items():
        scores[method], seeds[method] = {}, {}
        for dataset, values in sets.items():
            known = [value for value in values.values() if value is not None]
            if known:
                scores[method][dataset] = float(np.mean(known))
                seeds[method][dataset] = len(known)
    return scores, seeds


def common_sets(scores: Scores) -> list[str]:
    """Return the sets that every method has a value of, sorted."""
    held = [set(sets) for sets in scores.values()]
    return sorted(set.intersection(*held)) if held else []


def mean_ranks(scores: Scores, metric: str) -> dict[str, float | None]:
    """Average the ranks of methods within sets, over the sets that all of them have.

    Parameters
    ----------
    scores : dict of str to dict of str to float
        See `average_seeds`.
    metric : str
        Tells whether the best value, of rank 1, is the largest; ties share their mean.

    Returns
    -------
    dict of str to float or None
        1 to the number of methods; None where no set is common.
    """
    sets = common_sets(scores)
    if not sets:
        return dict.fromkeys(scores)
    values = np.array([[scores[method][one] for one in sets] for method in scores])
    best_first = np.round(values if metric in LOWER_IS_BETTER else -values, _DIGITS)
    ranks = np.array([_doubled_ranks(column) for column in best_first.T]) / 2
    return dict(zip(scores, ranks.mean(axis=0).tolist(), strict=True))


def rank_groups(scores: Scores, metric: str, level: float = 0.05) -> list[tuple[str, ...]]:
    """Find the methods that the sets do not tell apart.

    Every pair is tested by `signed_rank` over the sets that all methods have, corrected by
    `holm` for the number of pairs. Ranks only order the methods: whether two of them differ
    must not depend on which others are in the table (Benavoli, Corani and Mangili 2016).

    Parameters
    ----------
    scores : dict of str to dict of str to float
        See `average_seeds`.
    metric : str
    level : float
        Significance, 0 to 1.

    Returns
    -------
    list of tuple of str
        The longest stretches, by mean rank, within which no pair differs; of two methods or more.
    """
    sets, ranks = common_sets(scores), mean_ranks(scores, metric)
    if not sets:
        return []
    order = sorted(scores, key=ranks.__getitem__)
    pairs = list(combinations(range(len(order)), 2))
    p_values = [
        signed_rank([scores[order[i]][one] - scores[order[j]][one] for one in sets])
        for i, j in pairs
    ]
    differ = {pair for pair, p in zip(pairs, holm(p_values), strict=True) if p <= level}
    groups, furthest = [], 0
    for first in range(len(order)):
        last = first
        while last + 1 < len(order) and not any(
            (i, last + 1) in differ for i in range(first, last + 1)
        ):
            last += 1
        if last > max(first, furthest):
            groups.append(tuple(order[first : last + 1]))
            furthest = last
    return groups


def compare(
    rows: Iterable[Mapping],
    *,
    metrics: Sequence[str],
    references: Sequence[str],
    seed: int,
    resamples: int,
    tie: float,
) -> list[dict]:
    """Compare every method with each reference over sets, a set's seeds averaged first.

    Parameters
    ----------
    rows : iterable of mapping
        See `average_seeds`; one for each method, set and seed.
    metrics : sequence of str
        Keys of the rows to compare by, each by itself.
    references : sequence of str
        The methods that the others are compared with, at least one.
    seed : int
        Of the bootstrap.
    resamples : int
        Of the bootstrap, at least 1.
    tie : float
        Largest absolute difference in a set that is called a tie, 0 or above.

    Returns
    -------
    list of dict
        One for each metric, reference and method, with the keys `COLUMNS`; None where there is
        nothing to tell. The first reference has a record of its own, without a reference. A set
        that method and reference do not both have is left out of their pairing; p-values are
        corrected within a metric and reference.

    Raises
    ------
    InputError
        See `average_seeds`; or if a reference has no row, or `tie` is negative.
    """
    rows = list(rows)
    if not tie >= 0:
        raise InputError(f"a tie within {tie}", mend="give a difference of 0 or more")
    records = []
    for metric in metrics:
        scores, seeds = average_seeds(rows, metric)
        ranks = mean_ranks(scores, metric)
        every = set().union(*scores.values())
        alone = []
        for method, sets in scores.items():
            record = dict.fromkeys(COLUMNS) | {"metric": metric, "method": method}
            record |= {"sets": len(sets), "missing": len(every) - len(sets)}
            if sets:
                values = [sets[one] for one in sorted(sets)]
                record |= {"mean": float(np.mean(values)), "mean_rank": ranks[method]}
                record["low"], record["high"] = bootstrap_mean(values, resamples, seed)
                record["seeds"] = min(seeds[method].values())
            alone.append(record)
        for reference in references:
            if reference not in scores:
                raise InputError(
                    f"no row of the method {reference}", "comparison", f"it has {', '.join(scores)}"
                )
            block = [
                record
                | {"reference": reference}
                | _against(
                    *(scores[reference], scores[record["method"]], metric, seed, resamples, tie)
                )
                for record in alone
                if record["method"] != reference
            ]
            tested = [record for record in block if record["p"] is not None]
            corrected = holm([record["p"] for record in tested])
            for record, p in zip(tested, corrected, strict=True):
                record["p_holm"] = p
            if reference == references[0]:
                own = [one["method"] for one in alone].index(reference)
                block.insert(own, alone[own])
            records += block
    return records


def _against(reference, other, metric, seed: int, resamples: int, tie: float) -> dict:
    """Compare two methods over the sets that both have."""
    sets = sorted(set(reference) & set(other))
    if not sets:
        return {"paired": 0}
    differences = np.round([reference[one] - other[one] for one in sets], _DIGITS)
    gains = -differences if metric in LOWER_IS_BETTER else differences
    low, high = bootstrap_mean(differences, resamples, seed)
    return {
        "paired": len(sets),
        "difference": float(np.mean(differences)),
        "difference_low": low,
        "difference_high": high,
        "wins": int((gains > tie).sum()),
        "ties": int((np.abs(gains) <= tie).sum()),
        "losses": int((gains < -tie).sum()),
        "p": signed_rank(differences),
    }


def write_comparison(records: Iterable[Mapping], path: str | Path) -> None:
    """Write comparison.tsv.

    Parameters
    ----------
    records : iterable of mapping
        See `compare`.
    path : path-like
        Tab-separated with the header `COLUMNS`: six decimals, four digits of a p, an empty field
        where there is nothing to tell.
    """

    def shown(name: str, value: object) -> str:
        significance = name in ("p", "p_holm") and isinstance(value, float)
        return f"{value:.4g}" if significance else field(value)

    write_table(path, COLUMNS, records, shown)
