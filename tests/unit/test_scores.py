"""Areas and curves are scikit-learn's, to the last bit, ties and all."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from dflm import scores
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

SCRIPTS = Path(__file__).resolve().parents[2] / "workflow" / "scripts"
# Few distinct values make many ties.
PAIRS = st.one_of(
    st.lists(st.tuples(st.integers(0, 1), st.floats(-9, 9)), min_size=2, max_size=80),
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 5)), min_size=2, max_size=80),
).filter(lambda pairs: {label for label, _ in pairs} == {0, 1})


@settings(max_examples=150, deadline=None)
@given(PAIRS)
def test_areas_and_curves_are_scikit_learns(pairs):
    labels, values = zip(*pairs, strict=True)
    assert scores.auroc(labels, values) == reference.roc_auc_score(labels, values)
    for mine, theirs in zip(
        scores.roc_curve(labels, values), reference.roc_curve(labels, values), strict=False
    ):
        np.testing.assert_array_equal(mine, theirs)
    assert scores.average_precision(labels, values) == pytest.approx(
        reference.average_precision_score(labels, values), rel=1e-12
    )
    for mine, theirs in zip(
        scores.precision_recall_curve(labels, values),
        reference.precision_recall_curve(labels, values),
        strict=False,
    ):
        np.testing.assert_array_equal(mine, theirs)


@given(PAIRS)
def test_the_area_is_the_share_of_pairs_in_order(pairs):
    labels, values = map(np.array, zip(*pairs, strict=True))
    difference = values[labels == 1][:, None] - values[labels == 0][None, :]
    expected = np.mean((difference > 0) + 0.5 * (difference == 0))
    assert scores.auroc(labels, values) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("labels", "values"), [([1, 1], [0, 1]), ([], []), ([0, 2], [0, 1]), ([0, 1], [0.5])]
)
def test_one_label_or_lengths_that_differ_are_refused(labels, values):
    with pytest.raises(ValueError, match=r"both labels|do not go with"):
        scores.auroc(labels, values)


@pytest.mark.parametrize("module", ["training.classify", "evaluation.metrics"])
def test_no_job_of_a_set_waits_for_scikit_learn(module):
    code = f"import sys, dflm.{module}; print('sklearn' in sys.modules)"
    found = subprocess.check_output([sys.executable, "-c", code], cwd=SCRIPTS, text=True)
    assert found.strip() == "False"
