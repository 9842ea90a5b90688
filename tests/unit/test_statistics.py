"""Paired tests agree with scipy and with counting every sign; tables hold what was compared."""

import itertools

import numpy as np
import pytest
from dflm.errors import InputError
from dflm.evaluation.statistics import (
    COLUMNS,
    average_seeds,
    bootstrap_mean,
    common_sets,
    compare,
    holm,
    mean_ranks,
    rank_groups,
    signed_rank,
    write_comparison,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

FEW = st.lists(st.integers(-4, 4), min_size=1, max_size=9)


# ---- intervals --------------------------------------------------------------------------------


def test_bootstrap_interval_holds_the_mean_and_shrinks_with_the_number_of_sets():
    rng = np.random.default_rng(0)
    widths = []
    for number in (10, 40, 160):
        values = rng.normal(0.8, 0.1, number)
        low, high = bootstrap_mean(values, 2000, seed=1)
        assert low < values.mean() < high
        widths.append((high - low) / values.std())
    assert widths == pytest.approx([2 * 1.96 / np.sqrt(n) for n in (10, 40, 160)], rel=0.12)
    assert bootstrap_mean([0.7], 100, seed=1) == (None, None)
    assert bootstrap_mean([0.1, 0.9], 100, 3) == bootstrap_mean([0.1, 0.9], 100, 3)


# ---- signed ranks -----------------------------------------------------------------------------


@settings(max_examples=60)
@given(FEW)
def test_p_is_the_share_of_signs_at_least_as_far_from_the_middle(differences):
    """The definition, by trying all signs: ties share ranks, zeros are ranked and left out."""
    differences = np.array(differences)
    ranks = stats.rankdata(np.abs(differences))[differences != 0]
    observed = ranks[differences[differences != 0] > 0].sum()
    sums = [ranks[np.array(signs, dtype=bool)].sum() for signs in _signs(len(ranks))]
    middle = ranks.sum() / 2
    share = np.mean([abs(one - middle) >= abs(observed - middle) for one in sums])
    assert signed_rank(differences / 7) == pytest.approx(share)


def _signs(number):
    return [list(signs) for signs in itertools.product([False, True], repeat=number)]


@given(st.integers(1, 40), st.floats(-0.5, 0.5), st.integers(0, 2**32))
def test_without_ties_p_is_scipys_exact_one(number, shift, seed):
    differences = np.random.default_rng(seed).normal(shift, 1, number)
    expected = stats.wilcoxon(differences, method="exact").pvalue
    assert signed_rank(differences) == pytest.approx(expected, rel=1e-9)


def test_many_sets_agree_with_the_normal_approximation():
    rng = np.random.default_rng(0)
    differences = np.round(rng.normal(0.02, 0.2, 506), 2)  # many ties, some zeros
    expected = stats.wilcoxon(differences, method="asymptotic", zero_method="pratt").pvalue
    assert signed_rank(differences) == pytest.approx(expected, rel=0.02)


def test_signs_that_all_agree_give_the_smallest_p_there_is():
    assert signed_rank(np.linspace(0.01, 0.2, 14)) == pytest.approx(2 / 2**14, rel=1e-12)
    assert signed_rank([0.0, 0.0]) == signed_rank([]) == 1
    # Rounding of sums neither breaks a tie nor makes a difference.
    assert signed_rank([0.1 + 0.2 - 0.3, 0.2, -0.1]) == signed_rank([0.0, 0.2, -0.1])


def test_zeros_weaken_the_evidence():
    found = [-0.01, -0.02, 0.03, 0.04, 0.05, 0.06]
    assert signed_rank([*found, 0, 0, 0, 0]) > signed_rank(found)


@given(FEW)
def test_p_does_not_depend_on_the_direction_or_on_the_order(differences):
    p = signed_rank(differences)
    assert 0 < p <= 1
    assert signed_rank([-one for one in differences]) == p
    assert signed_rank(sorted(differences)) == p


@given(st.lists(st.floats(0, 1), max_size=12), st.floats(0.001, 0.5))
def test_holm_rejects_what_the_step_down_procedure_rejects(p_values, level):
    """The definition: from the smallest on, until one is above level / (those left)."""
    rejected = set()
    for place, i in enumerate(np.argsort(p_values, kind="stable")):
        if (len(p_values) - place) * p_values[i] > level:
            break
        rejected.add(int(i))
    corrected = holm(p_values)
    assert {i for i, p in enumerate(corrected) if p <= level} == rejected
    assert all(before <= after <= 1 for before, after in zip(p_values, corrected, strict=True))


def test_holm_by_hand():
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([]) == []


# ---- tables -----------------------------------------------------------------------------------


def table(methods, sets=8, seeds=(1, 2), spread=0.01, seed=0):
    """Rows of methods with a mean each, all sets unlike in height."""
    rng = np.random.default_rng(seed)
    heights = rng.uniform(-0.1, 0.1, sets)
    return [
        {
            "method": method,
            "dataset": f"set{i}",
            "seed": one,
            "auroc": float(mean + heights[i] + rng.normal(0, spread)),
            "brier": float(0.2 - mean / 10),
        }
        for method, mean in methods.items()
        for i in range(sets)
        for one in seeds
    ]


def options(**changed):
    fixed = {"metrics": ["auroc"], "references": ["full"], "seed": 1, "resamples": 200, "tie": 0.0}
    return fixed | changed


def test_seeds_are_averaged_before_sets():
    rows = [
        {"method": "m", "dataset": "a", "seed": 1, "auroc": 0.6},
        {"method": "m", "dataset": "a", "seed": 2, "auroc": 0.8},
        {"method": "m", "dataset": "b", "seed": 1, "auroc": 0.9},
        {"method": "m", "dataset": "b", "seed": 2, "auroc": None},
        {"method": "m", "dataset": "c", "seed": 1},
    ]
    scores, seeds = average_seeds(rows, "auroc")
    assert scores == {"m": {"a": pytest.approx(0.7), "b": 0.9}}
    assert seeds == {"m": {"a": 2, "b": 1}}
    (record,) = compare(rows, **options(references=["m"]))
    assert record["mean"] == pytest.approx(0.8)
    assert (record["sets"], record["missing"], record["seeds"]) == (2, 0, 1)
    assert record["reference"] is record["p"] is record["wins"] is None


def test_a_comparison_is_what_its_parts_say():
    rows = table({"full": 0.85, "cnn": 0.84, "gkm": 0.75})
    records = {record["method"]: record for record in compare(rows, **options(tie=0.002))}
    assert list(records) == ["full", "cnn", "gkm"]
    scores, _ = average_seeds(rows, "auroc")
    p_values = []
    for method in ("cnn", "gkm"):
        record = records[method]
        differences = np.array(
            [scores["full"][one] - scores[method][one] for one in scores["full"]]
        )
        assert record["difference"] == pytest.approx(differences.mean())
        assert record["difference_low"] < differences.mean() < record["difference_high"]
        assert record["wins"] == (differences > 0.002).sum()
        assert record["losses"] == (differences < -0.002).sum()
        assert record["wins"] + record["ties"] + record["losses"] == record["paired"] == 8
        assert record["p"] == pytest.approx(stats.wilcoxon(differences, method="exact").pvalue)
        p_values.append(record["p"])
    assert [records[method]["p_holm"] for method in ("cnn", "gkm")] == holm(p_values)
    assert records["gkm"]["p"] == pytest.approx(2 / 2**8)
    for method, record in records.items():
        values = list(scores[method].values())
        assert record["mean"] == pytest.approx(np.mean(values))
        assert record["low"] < record["mean"] < record["high"]
    assert records["gkm"]["mean_rank"] == 3


def test_of_an_error_less_is_better():
    rows = table({"full": 0.85, "gkm": 0.75})
    records = compare(rows, **options(metrics=["auroc", "brier"]))
    assert [record["metric"] for record in records] == ["auroc", "auroc", "brier", "brier"]
    brier = records[-1]
    assert brier["difference"] < 0
    assert (brier["wins"], brier["ties"], brier["losses"]) == (8, 0, 0)
    assert brier["mean_rank"] == 2


def test_a_set_that_one_method_lacks_is_left_out_of_its_pairs_only():
    rows = table({"full": 0.85, "cnn": 0.84, "gkm": 0.75, "late": 0.7})
    failed = [row | {"auroc": None} for row in rows if row["method"] == "late"]
    rows = [row for row in rows if row["method"] != "late"] + failed
    kept = [row for row in rows if (row["method"], row["dataset"]) != ("gkm", "set3")]
    records = {record["method"]: record for record in compare(kept, **options())}
    assert (records["gkm"]["paired"], records["gkm"]["missing"]) == (7, 1)
    assert (records["cnn"]["paired"], records["cnn"]["missing"]) == (8, 0)
    late = records["late"]
    assert (late["sets"], late["missing"], late["paired"], late["p"]) == (0, 8, 0, None)
    assert late["mean"] is late["mean_rank"] is late["difference"] is None
    # A method without a test takes no part in the correction.
    tested = [records[method] for method in ("cnn", "gkm")]
    assert [one["p_holm"] for one in tested] == holm([one["p"] for one in tested])
    whole = {record["method"]: record for record in compare(rows, **options())}
    without = {**whole["cnn"], "mean_rank": None, "p_holm": None}
    assert {**records["cnn"], "mean_rank": None, "p_holm": None} == without


def test_ranks_are_scipys_over_the_common_sets():
    rows = table({"a": 0.8, "b": 0.8, "c": 0.79, "d": 0.7}, sets=12, spread=0.03)
    scores, _ = average_seeds(rows, "auroc")
    del scores["b"]["set5"]
    scores["a"]["set0"] = scores["c"]["set0"]
    sets = common_sets(scores)
    assert len(sets) == 11
    values = np.array([[scores[method][one] for method in scores] for one in sets])
    expected = stats.rankdata(-values, axis=1).mean(axis=0)
    assert list(mean_ranks(scores, "auroc").values()) == pytest.approx(expected)
    assert list(mean_ranks(scores, "brier").values()) == pytest.approx(5 - expected)
    assert mean_ranks({"a": {"x": 1.0}, "b": {"y": 1.0}}, "auroc") == {"a": None, "b": None}


def test_groups_hold_those_that_do_not_differ():
    heights = {"a": 0.9, "b": 0.9, "c": 0.88, "d": 0.6}
    scores, _ = average_seeds(table(heights, sets=14, spread=0.02), "auroc")
    groups = rank_groups(scores, "auroc")
    assert all("d" not in group for group in groups)
    assert any({"a", "b"} <= set(group) for group in groups)
    alike = {method: dict.fromkeys("xyz", 0.5) for method in "abc"}
    assert rank_groups(alike, "auroc") == [("a", "b", "c")]
    assert rank_groups({"a": {"x": 1.0}, "b": {}}, "auroc") == []


@settings(max_examples=30)
@given(st.integers(2, 6), st.floats(0, 0.05), st.integers(0, 1000))
def test_groups_are_the_longest_stretches_without_a_pair_that_differs(number, step, seed):
    heights = {f"m{i}": 0.9 - step * i for i in range(number)}
    scores, _ = average_seeds(table(heights, sets=10, spread=0.03, seed=seed), "auroc")
    ranks = mean_ranks(scores, "auroc")
    order = sorted(scores, key=ranks.__getitem__)
    pairs = list(itertools.combinations(order, 2))
    p_values = holm(
        [signed_rank([scores[a][one] - scores[b][one] for one in scores[a]]) for a, b in pairs]
    )
    alike = {pair for pair, p in zip(pairs, p_values, strict=True) if p > 0.05}
    stretches = [
        tuple(order[i:j])
        for i in range(number)
        for j in range(i + 2, number + 1)
        if all(pair in alike for pair in itertools.combinations(order[i:j], 2))
    ]
    longest = [a for a in stretches if not any(set(a) < set(b) for b in stretches)]
    assert rank_groups(scores, "auroc") == longest


def test_the_table_is_the_same_bytes_whatever_the_order_of_sets(tmp_path):
    rows = table({"full": 0.85, "gkm": 0.75})
    rows[3]["auroc"] = None
    for name, given_rows in (("a", rows), ("b", [*rows[:16][::-1], *rows[16:][::-1]])):
        write_comparison(compare(given_rows, **options()), tmp_path / name)
    written = (tmp_path / "a").read_bytes()
    assert (tmp_path / "b").read_bytes() == written
    lines = [line.split("\t") for line in written.decode().splitlines()]
    assert lines[0] == list(COLUMNS)
    assert {len(line) for line in lines} == {len(COLUMNS)}
    full, gkm = (dict(zip(COLUMNS, line, strict=True)) for line in lines[1:])
    assert (full["seeds"], gkm["seeds"], full["p"], gkm["p"]) == ("1", "2", "", "0.007812")
    assert full["mean"].partition(".")[2].isdigit()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"references": ["none"]}, "no row of the method none.*full, gkm"),
        ({"tie": -1}, "a tie within -1"),
        ({"tie": float("nan")}, "a tie within nan"),
    ],
)
def test_what_cannot_be_compared_is_refused(changed, message):
    with pytest.raises(InputError, match=message):
        compare(table({"full": 0.9, "gkm": 0.8}), **options(**changed))


def test_a_row_given_twice_and_a_value_that_is_none_are_refused():
    rows = table({"full": 0.9})
    with pytest.raises(InputError, match="two rows of full, set0, seed 1"):
        average_seeds([*rows, rows[0]], "auroc")
    rows[0]["auroc"] = float("nan")
    with pytest.raises(InputError, match="seed 1 is nan"):
        average_seeds(rows, "auroc")
