"""Temperatures are the best ones, thresholds keep what they promise, tables count right."""

import json

import numpy as np
import pytest
from dflm.calibration import (
    TEMPERATURES,
    calibrate,
    calibrate_strands,
    calibration_in,
    calibration_metrics,
    expected_calibration_error,
    fit_temperature,
    log_odds,
    operating_points,
    reliability_table,
    scaled,
    soft_targets,
)
from dflm.errors import InputError
from dflm.evaluation.calibration_plot import plot_reliability, reliability_figure
from dflm.scores import auroc
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from sklearn import metrics as reference

SCORED = st.lists(
    st.tuples(
        st.integers(0, 1), st.one_of(st.floats(0, 1), st.integers(0, 8).map(lambda i: i / 8))
    ),
    min_size=2,
    max_size=40,
).filter(lambda pairs: {label for label, _ in pairs} == {0, 1})


def unpack(pairs):
    return tuple(map(np.array, zip(*pairs, strict=True)))


def overconfident(number=4000, temperature=2.5, seed=0):
    """Labels drawn at log-odds that the probabilities exaggerate by a factor."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(0, 2, number)
    labels = (rng.uniform(size=number) < 1 / (1 + np.exp(-odds))).astype(int)
    return labels, 1 / (1 + np.exp(-odds * temperature))


# ---- temperature ------------------------------------------------------------------------------


@settings(max_examples=80)
@given(SCORED)
def test_no_temperature_is_better(pairs):
    labels, p = unpack(pairs)
    found = fit_temperature(labels, p)
    assert TEMPERATURES[0] <= found <= TEMPERATURES[1]

    sure, odds = soft_targets(labels), log_odds(p)

    def loss(inverse):
        bound, unbound = np.logaddexp(0, -inverse * odds), np.logaddexp(0, inverse * odds)
        return np.mean(sure * bound + (1 - sure) * unbound)

    bounds = tuple(1 / t for t in TEMPERATURES[::-1])
    best = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-9})
    assert loss(1 / found) <= min(best.fun, loss(1.0), *map(loss, bounds)) + 1e-9


def test_a_known_temperature_is_found_again():
    labels, p = overconfident()
    assert fit_temperature(labels, p) == pytest.approx(2.5, rel=0.06)
    found = calibrate(labels, p, fdr=0.05, bins=10)
    assert found["after"]["ece"] < 0.02 < 0.1 < found["before"]["ece"]
    assert found["after"]["nll"] < found["before"]["nll"]
    assert found["after"]["brier"] < found["before"]["brier"]


def test_where_no_temperature_is_best_it_ends_at_its_bound():
    labels, good = [0, 0, 1, 1], [0.1, 0.2, 0.7, 0.9]
    assert fit_temperature(labels, good[::-1]) == TEMPERATURES[1]
    assert fit_temperature(labels, [0.5] * 4) == 1
    saturated = calibrate(labels, [0.0, 0.0, 1.0, 1.0], fdr=0.1, bins=5)
    json.dumps(saturated, allow_nan=False)


@pytest.mark.parametrize("number", [1, 10, 1000])
def test_what_is_told_apart_perfectly_is_as_sure_as_its_number_allows(number):
    labels, p = np.repeat([0, 1], number), np.repeat([0.1, 0.9], number)
    after = scaled(p, fit_temperature(labels, p))
    np.testing.assert_allclose(after, np.repeat([1, number + 1], number) / (number + 2), rtol=1e-6)


def test_calibration_ranks_as_before_where_validation_is_separable():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 200)
    p = 1 / (1 + np.exp(-rng.normal(np.where(labels == 1, 4, -4), 1.0)))
    test = 1 / (1 + np.exp(-rng.normal(np.where(labels == 1, 1.5, -1.5), 1.5)))
    found = calibrate(labels, p, fdr=0.05, bins=10)
    assert found["before"]["nll"] < 0.1
    after = scaled(test, found["temperature"])
    assert auroc(labels, after) == auroc(labels, test) < 1
    assert np.unique(after).size == test.size


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.floats(*TEMPERATURES))
def test_scaling_keeps_the_order_and_one_half(p, temperature):
    p = np.sort(p)
    after = scaled(p, temperature)
    assert (np.diff(after) >= 0).all()
    assert ((after > 0.5) <= (p > 0.5)).all()
    assert ((after < 0.5) <= (p < 0.5)).all()
    np.testing.assert_allclose(scaled(p, 1.0), np.clip(p, 2**-24, 1 - 2**-24), rtol=1e-9)


def test_log_odds_are_finite():
    assert log_odds([0.0, 0.5, 1.0]) == pytest.approx([-16.6355, 0, 16.6355], abs=1e-4)


def test_the_likelihood_and_brier_score_are_scikit_learns():
    labels, p = overconfident(300)
    found = calibration_metrics(labels, p, 10)
    clipped = np.clip(p, 2**-24, 1 - 2**-24)
    assert found["nll"] == pytest.approx(reference.log_loss(labels, clipped))
    assert found["brier"] == pytest.approx(reference.brier_score_loss(labels, p))


# ---- reliability ------------------------------------------------------------------------------


@given(SCORED, st.integers(1, 12))
def test_the_table_is_what_counting_by_hand_gives(pairs, bins):
    labels, p = unpack(pairs)
    rows = reliability_table(labels, p, bins)
    error = 0.0
    for row in rows:
        inside = [
            (label, one)
            for label, one in pairs
            if row["from"] <= int(min(one * bins, bins - 1)) / bins < row["to"]
        ]
        assert row["count"] == len(inside) > 0
        assert row["positives"] == pytest.approx(np.mean([label for label, _ in inside]))
        assert row["probability"] == pytest.approx(np.mean([one for _, one in inside]))
        assert 0 <= row["low"] <= row["positives"] <= row["high"] <= 1
        error += len(inside) / len(pairs) * abs(row["positives"] - row["probability"])
    assert sum(row["count"] for row in rows) == len(pairs)
    assert expected_calibration_error(labels, p, bins) == pytest.approx(error)


def test_wilson_by_hand():
    """10 of 100: 0.0552 to 0.1744 (Wilson's formula, as in Agresti and Coull 1998)."""
    (row,) = reliability_table([1] * 10 + [0] * 90, [0.5] * 100, 1)
    assert (row["low"], row["high"]) == pytest.approx((0.0552, 0.1744), abs=1e-4)


# ---- thresholds -------------------------------------------------------------------------------


@settings(max_examples=25)
@given(SCORED, st.floats(0, 0.9))
def test_points_are_the_best_of_all_thresholds(pairs, fdr):
    labels, p = unpack(pairs)
    points = operating_points(labels, p, fdr)
    tried = []
    for threshold in np.unique(p):
        called = p >= threshold
        tried.append(
            (
                reference.matthews_corrcoef(labels, called),
                reference.recall_score(labels, called),
                1 - reference.precision_score(labels, called) <= fdr + 1e-12,
            )
        )
    assert points["max_mcc"]["mcc"] == pytest.approx(max(mcc for mcc, *_ in tried))
    kept = [recall for _, recall, within in tried if within]
    assert points["fdr"]["recall"] == pytest.approx(max(kept, default=0))
    assert points["half"]["threshold"] == 0.5
    for point in points.values():
        if not point["called"]:
            assert point["precision"] is point["fdr"] is None
            assert point["recall"] == point["fpr"] == point["mcc"] == 0
            continue
        called = p >= point["threshold"]
        assert point["called"] == called.sum()
        assert point["precision"] == pytest.approx(reference.precision_score(labels, called))
        assert point["fdr"] == pytest.approx(1 - point["precision"])
        assert point["recall"] == pytest.approx(reference.recall_score(labels, called))
        assert point["mcc"] == pytest.approx(reference.matthews_corrcoef(labels, called))
        assert point["fpr"] == pytest.approx(1 - reference.recall_score(1 - labels, ~called))


def test_points_by_hand():
    labels, p = [1, 1, 0, 1, 0, 0], [0.9, 0.8, 0.7, 0.6, 0.2, 0.1]
    points = operating_points(labels, p, 0.0)
    assert points["fdr"]["threshold"] == pytest.approx(0.75)
    assert points["max_mcc"]["threshold"] == pytest.approx(0.75)  # as good as 0.4, and higher
    assert operating_points(labels, p, 0.25)["fdr"]["threshold"] == pytest.approx(0.4)
    assert operating_points(labels, p, 0.6)["fdr"]["threshold"] == pytest.approx(0.4)


def test_where_the_best_is_wrong_no_threshold_keeps_the_rate():
    point = operating_points([0, 1], [0.9, 0.1], 0.4)["fdr"]
    assert (point["threshold"], point["precision"], point["recall"]) == (None, None, 0)
    assert calibrate([0, 1], [0.9, 0.1], fdr=0.4, bins=2)["thresholds"]["fdr"]["calibrated"] is None


def test_ties_are_called_together():
    points = operating_points([1, 0, 1, 0], [0.5] * 4, 0.5)
    assert [points[name]["threshold"] for name in ("fdr", "max_mcc", "half")] == [0, 0, 0.5]
    assert all(point["called"] == 4 for point in points.values())


def test_each_way_of_use_is_calibrated_by_itself():
    labels, p = overconfident(300)
    other = p[::-1]
    found = calibrate_strands(labels, p, other, fdr=0.2)
    assert found["one_strand"] == calibrate(labels, p, fdr=0.2)
    assert found["both_strands"] == calibrate(labels, (p + other) / 2, fdr=0.2)
    card = {"calibration": found}
    assert calibration_in(card, True, "model.json") is found["both_strands"]
    assert calibration_in(card, False, "model.json") is found["one_strand"]
    with pytest.raises(InputError, match=r"model\.json: the card tells no calibration; train"):
        calibration_in({}, True, "model.json")


@settings(max_examples=50)
@given(SCORED)
def test_scaled_thresholds_call_the_same_sequences(pairs):
    labels, p = unpack(pairs)
    p = np.clip(np.round(p, 3), 0.001, 0.999)  # apart enough for the digits of a double
    found = calibrate(labels, p, fdr=0.1, bins=10)
    for point in found["thresholds"].values():
        if point["threshold"] is not None:
            after = scaled(p, found["temperature"]) >= point["calibrated"]
            assert after.tolist() == (p >= point["threshold"]).tolist()


def test_the_record_is_plain_and_the_same_each_time():
    labels, p = overconfident(500)
    found = calibrate(labels, p, fdr=0.05, bins=10)
    assert json.dumps(found, allow_nan=False) == json.dumps(calibrate(labels, p, fdr=0.05, bins=10))
    assert found["thresholds"]["fdr"]["limit"] == 0.05
    assert found["prevalence"] == labels.mean()


@pytest.mark.parametrize(
    ("labels", "p", "changed", "message"),
    [
        ([1, 1], [0.2, 0.9], {}, "both labels"),
        ([1, 0], [0.2], {}, "do not go with"),
        ([1, 0], [0.2, 1.1], {}, "from 0 to 1"),
        ([1, 0], [0.2, float("nan")], {}, "from 0 to 1"),
        ([1, 0], [0.2, 0.3], {"fdr": 1.0}, "false discovery rate of 1"),
        ([1, 0], [0.2, 0.3], {"bins": 0}, "0 bins"),
    ],
)
def test_what_cannot_be_calibrated_is_refused(labels, p, changed, message):
    with pytest.raises(InputError, match=message):
        calibrate(labels, p, **({"fdr": 0.1, "bins": 10} | changed))


# ---- the diagram ------------------------------------------------------------------------------


def test_the_diagram_is_the_same_bytes_and_shows_the_table(tmp_path):
    labels, p = overconfident(500)
    for name in ("a.svg", "b.svg"):
        plot_reliability(labels, p, 2.5, tmp_path / name, "a set", 10)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    upper = reliability_figure(labels, p, 2.5, "a set", 10).axes[0]
    rows = reliability_table(labels, scaled(p, 2.5), 10)
    drawn = upper.containers[1][0]
    np.testing.assert_allclose(drawn.get_xdata(), [row["probability"] for row in rows])
    np.testing.assert_allclose(drawn.get_ydata(), [row["positives"] for row in rows])
