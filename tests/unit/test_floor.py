"""The floor is exactly 0.5 for Euler shuffles and tells anything else."""

import numpy as np
import pytest
from dflm.errors import InputError
from dflm.evaluation.baselines.composition import predict_floor
from dflm.evaluation.floor import (
    check_floor,
    dinucleotide_counts,
    dinucleotide_floor,
    floor_probabilities,
    floor_within,
    logistic_regression,
)
from dflm.predictions import read_predictions
from dflm.scores import auroc
from dflm.sequences.shuffle import dinucleotide_shuffle
from dflm.sequences.splits import read_split, split_dataset
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

LETTERS = np.array(list("ACGT"))


def text(codes):
    return ["".join(LETTERS[row]) for row in codes]


def positives(number, seed, gc=0.5):
    law = [(1 - gc) / 2, gc / 2, gc / 2, (1 - gc) / 2]
    return np.random.default_rng(seed).choice(4, size=(number, 101), p=law).astype(np.uint8)


def with_shuffles(codes, seed=1):
    return text(codes) + text(dinucleotide_shuffle(codes, seed)), [1] * len(codes) + [0] * len(
        codes
    )


def permute_pairs(codes, seed):
    """The public code's shuffle: aligned 2-mers change places, dinucleotides do not survive."""
    rng = np.random.default_rng(seed)
    pairs = codes[:, :100].reshape(len(codes), 50, 2)
    moved = np.stack([row[rng.permutation(50)] for row in pairs]).reshape(len(codes), 100)
    return np.concatenate([moved, codes[:, 100:]], axis=1)


def cpg_poor(codes):
    """Make every CG a TG, as most of the genome has it."""
    codes = codes.copy()
    codes[:, :-1][(codes[:, :-1] == 1) & (codes[:, 1:] == 2)] = 3
    return codes


@given(st.lists(st.text("ACGTN", max_size=30), min_size=1, max_size=4))
def test_counts_are_those_of_a_plain_loop(sequences):
    expected = [
        [
            sum(sequence[i : i + 2] == first + second for i in range(len(sequence) - 1))
            for first in "ACGT"
            for second in "ACGT"
        ]
        for sequence in sequences
    ]
    assert dinucleotide_counts(sequences).tolist() == expected


@pytest.mark.parametrize("scale", [0.1, 1.0, 20.0])
def test_the_regression_is_scikit_learns(scale):
    """Also where the labels can be told without an error, and where a column is a copy."""
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(300, 5))
    rows[:, 4] = rows[:, 0]
    labels = (scale * rows[:, 0] - rows[:, 1] + rng.normal(size=300) > 1).astype(int)
    expected = LogisticRegression(tol=1e-10, max_iter=10_000).fit(rows, labels)
    weights, intercept = logistic_regression(rows, labels)
    np.testing.assert_allclose(weights, expected.coef_[0], atol=1e-4)
    assert intercept == pytest.approx(expected.intercept_[0], abs=1e-4)


def test_its_predictions_have_the_area_that_is_told():
    sequences, labels = with_shuffles(positives(200, 3))
    other, other_labels = text(np.vstack([positives(150, 4, gc=0.6), positives(150, 5)])), [1] * 150
    other_labels += [0] * 150
    leaking = text(np.vstack([positives(300, 6, gc=0.65), positives(300, 7)]))
    for train, train_labels in ((sequences, labels), (leaking, [1] * 300 + [0] * 300)):
        found = floor_probabilities(train, train_labels, other)
        told = dinucleotide_floor(train, train_labels, other, other_labels)
        assert found.min() > 0
        assert found.max() < 1
        assert auroc(other_labels, found) == pytest.approx(told, abs=1e-12)
    assert told > 0.7
    assert found[:150].mean() > 0.5 > found[150:].mean()


def test_exact_shuffles_give_exactly_one_half():
    train, test = with_shuffles(positives(300, 1)), with_shuffles(positives(101, 2, gc=0.6), 3)
    assert dinucleotide_floor(*train, *test) == 0.5
    assert floor_within(*test) == 0.5


def test_ties_stay_exact_under_a_model_that_learnt_something():
    """A regression with weights must still score equal counts equally, wherever they stand."""
    train = text(positives(200, 1, gc=0.7)) + text(positives(200, 2, gc=0.3)), [1] * 200 + [0] * 200
    assert dinucleotide_floor(*train, *with_shuffles(positives(97, 3))) == 0.5


def test_a_difference_in_composition_is_seen():
    train = text(positives(200, 1, gc=0.6)) + text(positives(200, 2, gc=0.4)), [1] * 200 + [0] * 200
    test = text(positives(100, 3, gc=0.6)) + text(positives(100, 4, gc=0.4)), [1] * 100 + [0] * 100
    assert dinucleotide_floor(*train, *test) > 0.95
    assert floor_within(*test) > 0.95
    swapped = test[0], [0] * 100 + [1] * 100
    assert dinucleotide_floor(*train, *swapped) < 0.05


def test_the_public_codes_shuffle_is_seen():
    train, test = cpg_poor(positives(1500, 1)), cpg_poor(positives(500, 2))
    labels = [1] * 1500 + [0] * 1500, [1] * 500 + [0] * 500
    broken = text(train) + text(permute_pairs(train, 3)), text(test) + text(permute_pairs(test, 4))
    floor = dinucleotide_floor(broken[0], labels[0], broken[1], labels[1])
    assert floor > 0.6
    with pytest.raises(InputError, match=r"SET: negatives leak.*0\.[6-9]"):
        check_floor(floor, 0.03, "SET")


def test_a_leak_of_the_test_file_alone_is_seen_within_it():
    train, test = with_shuffles(cpg_poor(positives(300, 1))), cpg_poor(positives(500, 2))
    leaky = text(test) + text(permute_pairs(test, 4)), [1] * 500 + [0] * 500
    assert abs(dinucleotide_floor(*train, *leaky) - 0.5) < 0.03
    assert floor_within(*leaky) > 0.6


@pytest.mark.parametrize("floor", [0.54, 0.46, float("nan")])
def test_either_side_of_the_tolerance_stops(floor):
    with pytest.raises(InputError, match="negatives leak"):
        check_floor(floor, 0.03, "SET")


@pytest.mark.parametrize("floor", [0.5, 0.52, 0.48])
def test_within_the_tolerance_passes(floor):
    check_floor(floor, 0.03, "SET")


def test_one_class_is_refused():
    both = with_shuffles(positives(5, 1))
    with pytest.raises(InputError, match="both labels"):
        dinucleotide_floor(*both, both[0], [1] * 10)
    with pytest.raises(InputError, match="both labels"):
        dinucleotide_floor(both[0], [0] * 10, *both)


@pytest.mark.real
def test_floor_of_real_sets(real_data, tmp_path):
    """Of the smaller ones, for the sake of time; the outlier and the one with N are among them."""
    files = sorted(
        (real_data / "chipseq").glob("*_AC.seq.gz"), key=lambda path: path.stat().st_size
    )
    assert files
    for train in files[:7]:
        dataset = train.name.removesuffix("_AC.seq.gz")
        out = [tmp_path / name for name in ("train.gz", "validation.gz", "test.gz", "stats.json")]
        split_dataset(
            train,
            train.with_name(f"{dataset}_B.seq.gz"),
            *out,
            dataset=dataset,
            min_peaks=1000,
            max_peaks=None,
            validation_fraction=0.1,
            ambiguous="drop",
            negatives_per_positive=1,
            near_duplicate_width=40,
            leaks="report",
            seed=1,
        )
        _, *fit = read_split(out[0])
        _, *held = read_split(out[2])
        assert dinucleotide_floor(*fit, *held) == pytest.approx(0.5, abs=0.001), dataset
        assert floor_within(*held) == pytest.approx(0.5, abs=0.001), dataset


def test_as_a_method_it_predicts_a_test_file(tmp_path):
    peaks, backgrounds = text(positives(60, 1, gc=0.7)), text(positives(60, 2))
    for name, rows in (("train", slice(40)), ("test", slice(40, 60)), ("none", slice(0))):
        lines = [f"p{i}\t{sequence}\t1" for i, sequence in enumerate(peaks[rows])]
        lines += [f"b{i}\t{sequence}\t0" for i, sequence in enumerate(backgrounds[rows])]
        (tmp_path / name).write_text("\n".join(["name\tsequence\tlabel", *lines]) + "\n")
    files = {"train": tmp_path / "train", "predictions": tmp_path / "predictions.tsv"}
    predict_floor(**files, sequences=tmp_path / "test")
    names, labels, probabilities = read_predictions(files["predictions"])
    assert names == [f"p{i}" for i in range(20)] + [f"b{i}" for i in range(20)]
    assert auroc(labels, probabilities) == dinucleotide_floor(
        *read_split(files["train"])[1:], *read_split(tmp_path / "test")[1:]
    )
    with pytest.raises(InputError, match="holds no sequences to predict"):
        predict_floor(**files, sequences=tmp_path / "none")
