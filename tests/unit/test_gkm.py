"""The gapped k-mer SVM: its features are the published kernel, its solution is LinearSVC's."""

from itertools import combinations
from math import comb

import numpy as np
import pytest
from dflm.errors import InputError
from dflm.evaluation.baselines.gapped import lengths_of, project, readings, windows_of
from dflm.evaluation.baselines.gkm import platt_slope, predict_gkm, train_gkm
from dflm.evaluation.baselines.svm import LinearSVM, decide
from dflm.files import read_json, write_gzip_text
from dflm.sequences.kmers import encode, reverse_complement
from dflm.sequences.splits import HEADER
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score
from sklearn.svm import LinearSVC

ARGS = {
    "word": 6,
    "informative": 4,
    "shuffles": 1,
    "costs": [0.1, 1.0],
    "tolerance": 0.01,
    "passes": 200,
}
DNA = st.text("ACGT", min_size=6, max_size=20)


def random_sequences(number, seed, length=40, motif=""):
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(number):
        letters = rng.choice(list("ACGT"), size=length)
        at = rng.integers(0, length - len(motif) + 1)
        site = list(motif)
        if rng.random() < 0.5:
            site = ["TGCA"["ACGT".index(base)] for base in reversed(site)]
        letters[at : at + len(motif)] = site
        rows.append("".join(letters))
    return rows


def features(sequences, word, informative):
    """The features as a matrix: a column for each unit vector of weights."""
    reads = readings(word, informative)
    windows = windows_of(sequences, word)
    return np.stack([project(windows, reads, unit) for unit in np.eye(reads.features, dtype="f4")])


def kernel(one, other, word, informative):
    """The gapped k-mer kernel by its definition: pairs of windows by their mismatches."""
    total = 0
    for strand in (encode(other), reverse_complement(encode(other))):
        for i in range(len(one) - word + 1):
            for j in range(len(strand) - word + 1):
                here, there = encode(one)[i : i + word], strand[j : j + word]
                if max(here.max(), there.max()) < 4:
                    total += comb(int((here == there).sum()), informative)
    return total


@pytest.mark.parametrize(("word", "informative"), [(2, 1), (4, 4), (5, 2), (6, 3)])
def test_the_inner_product_of_features_is_the_kernel(word, informative):
    sequences = [*random_sequences(4, 1, 12), "ACGTACGTACGT", "ACGNNTTTTACGAC", "A" * 9]
    matrix = features(sequences, word, informative)
    expected = [[kernel(a, b, word, informative) for b in sequences] for a in sequences]
    np.testing.assert_allclose(matrix.T @ matrix, expected, rtol=1e-5)
    lengths = lengths_of(windows_of(sequences, word), readings(word, informative))
    np.testing.assert_allclose(lengths, np.sqrt(np.diag(expected)), rtol=1e-5)


@given(DNA, st.integers(0, 2**32 - 1))
def test_both_strands_have_the_same_score(sequence, seed):
    reads = readings(6, 3)
    weights = np.random.default_rng(seed).normal(size=reads.features).astype(np.float32)
    other = "".join("TGCA"["ACGT".index(base)] for base in reversed(sequence))
    forward, reverse = project(windows_of([sequence, other], 6), reads, weights)
    assert forward == pytest.approx(reverse, rel=1e-4, abs=1e-3)


def test_as_many_features_as_folded_patterns():
    """A pattern and its mirror image share theirs: 10 of the 210 are their own image."""
    own = sum(
        pattern == tuple(sorted(9 - at for at in pattern)) for pattern in combinations(range(10), 6)
    )
    assert own == 10
    assert readings(10, 6).features == (200 // 2 + own) * 4**6


def test_sequences_without_a_window_have_no_features():
    windows, reads = windows_of(["", "ACG", "ACNTAC", "ACGT"], 4), readings(4, 2)
    assert np.diff(windows.begin).tolist() == [0, 0, 0, 1]
    assert (lengths_of(windows, reads) > 0).tolist() == [False, False, False, True]
    assert np.isfinite(decide(windows, reads, np.ones(reads.features, np.float32), 0.5)).all()


@pytest.mark.parametrize("cost", [0.3, 30.0])
def test_the_solution_is_that_of_scikit_learn(cost):
    rows = random_sequences(60, 1, motif="ACGTTC") + random_sequences(60, 2)
    labels = np.repeat([1, 0], 60)
    matrix = features(rows, 6, 4).T
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    peer = LinearSVC(C=cost, loss="hinge", tol=1e-6, max_iter=1_000_000, random_state=1)
    peer.fit(matrix, labels)
    reads, windows = readings(6, 4), windows_of(rows, 6)
    machine = LinearSVM(windows, labels, reads, seed=1)
    machine.fit(cost / 10, 1e-4, 10_000)  # a warm start must not matter
    _, gap = machine.fit(cost, 1e-4, 10_000)
    assert gap <= 1e-4
    values = decide(windows, reads, machine.weights, machine.bias[0])
    np.testing.assert_allclose(values, peer.decision_function(matrix), atol=2e-3)
    # The weights stay the sum that the multipliers make of the sequences.
    assert machine.bias[0] == pytest.approx(float(machine.alpha @ machine.sign))
    assert machine.alpha.min() >= 0
    assert machine.alpha.max() <= cost


def test_platt_recovers_the_sigmoid_and_survives_separable_scores():
    rng = np.random.default_rng(1)
    values = rng.normal(size=200_000)
    labels = rng.random(200_000) < 1 / (1 + np.exp(-2 * values))
    assert platt_slope(values, labels) == pytest.approx(2.0, abs=0.05)
    slope = platt_slope(np.array([-1e-3, -2e-3, 1e-3, 2e-3]), np.array([0, 0, 1, 1]))
    assert 0 < slope < 1e6


def test_what_an_svm_decides_by_has_probability_one_half_whatever_validation_holds():
    rng = np.random.default_rng(2)
    values = rng.normal(size=2000)
    labels = rng.random(2000) < 1 / (1 + np.exp(-(2 * values - 1)))  # few are bound
    probabilities = 1 / (1 + np.exp(-platt_slope(values, labels) * values))
    assert ((probabilities > 0.5) == (values > 0)).all()


def test_platt_keeps_the_order_of_scores_that_validation_has_the_other_way_round():
    values, labels = np.arange(-4.0, 4.0), np.repeat([1, 1, 0, 0], 2)
    probabilities = 1 / (1 + np.exp(-platt_slope(values, labels) * values))
    assert (np.diff(probabilities) > 0).all()
    assert probabilities.mean() == pytest.approx(0.5, abs=1e-3)


def write_split(path, rows, labels):
    with write_gzip_text(path) as file:
        file.write(HEADER + "\n")
        for i, (sequence, label) in enumerate(zip(rows, labels, strict=True)):
            file.write(f"r{i}\t{sequence}\t{label}\n")
    return path


@pytest.fixture
def parts(tmp_path):
    made = {}
    for seed, (part, number) in enumerate([("train", 300), ("validation", 60), ("test", 100)]):
        rows = random_sequences(number, 10 + seed, motif="ACGTTC")
        rows += random_sequences(number, 20 + seed)
        made[part] = write_split(tmp_path / f"{part}.tsv.gz", rows, [1] * number + [0] * number)
    return made


def train(parts, folder, negatives="shuffle", **other):
    made = {"model": folder / "model.npz", "metrics": folder / "metrics.json"}
    inputs = {name: parts[name] for name in ("train", "validation")}
    train_gkm(**inputs, **made, args={**ARGS, **other}, negatives=negatives, seed=1)
    return made


def test_a_motif_is_learnt_and_the_files_are_the_same_twice(parts, tmp_path):
    first, second = train(parts, tmp_path / "a"), train(parts, tmp_path / "b")
    assert all(first[name].read_bytes() == second[name].read_bytes() for name in first)
    metrics = read_json(first["metrics"])
    assert [found["cost"] for found in metrics["costs"]] == [0.1, 1.0]
    reached = {found["cost"]: found["validation_auroc"] for found in metrics["costs"]}
    assert metrics["validation_auroc"] == reached[metrics["cost"]] == max(reached.values())
    table = tmp_path / "predictions.tsv"
    predict_gkm(model=first["model"], sequences=parts["test"], predictions=table)
    header, *rows = [line.split("\t") for line in table.read_text().splitlines()]
    assert header == ["name", "label", "probability", "probability_forward", "probability_reverse"]
    labels, probability = [int(row[1]) for row in rows], np.array([float(row[2]) for row in rows])
    assert roc_auc_score(labels, probability) > 0.85
    assert ((probability >= 0.5) == (np.array(labels) == 1)).mean() > 0.75
    assert all(row[2] == row[3] == row[4] for row in rows)


def test_shuffles_are_learnt_from_where_negatives_are_shuffles(parts, tmp_path):
    one, five = (train(parts, tmp_path / str(n), shuffles=n) for n in (1, 5))
    given = train(parts, tmp_path / "bed", "bed", shuffles=5)
    sizes = [read_json(made["metrics"])["sequences"] for made in (one, five, given)]
    assert sizes == [600, 1800, 600]
    with np.load(one["model"]) as a, np.load(five["model"]) as b, np.load(given["model"]) as c:
        assert np.array_equal(a["weights"], c["weights"])
        assert not np.allclose(a["weights"], b["weights"])


def test_a_row_of_half_a_share_counts_as_much_as_two_of_a_quarter():
    rows = random_sequences(60, 3, motif="ACGTTC") + random_sequences(60, 4)
    labels, reads = np.repeat([1, 0], 60), readings(6, 4)
    twice, labels_twice = rows + rows[60:], np.concatenate([labels, labels[60:]])
    weights = []
    for some, known, share in ((rows, labels, 0.5), (twice, labels_twice, 0.25)):
        shares = np.where(known == 1, 1.0, share)
        machine = LinearSVM(windows_of(some, 6), known, reads, 1, shares)
        machine.fit(1.0, 1e-5, 10_000)
        assert (machine.alpha <= shares).all()
        weights.append(np.append(machine.weights, machine.bias))
    np.testing.assert_allclose(*weights, atol=2e-3)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"word": 13}, "gkm.word"),
        ({"informative": 7}, "gkm.informative"),
        ({"shuffles": 0}, "gkm.shuffles"),
        ({"costs": []}, "gkm.costs"),
        ({"costs": [0.0]}, "gkm.costs"),
        ({"tolerance": 0.0}, "gkm.tolerance"),
        ({"passes": 0}, "gkm.passes"),
    ],
)
def test_a_wrong_setting_is_named(parts, tmp_path, wrong, named):
    with pytest.raises(InputError, match=named):
        train(parts, tmp_path, **wrong)


def test_wrong_files_are_refused(parts, tmp_path):
    one = write_split(tmp_path / "one.gz", ["ACGTACGT"], [1])
    with pytest.raises(InputError, match="one label only"):
        train({**parts, "validation": one}, tmp_path)
    short = write_split(tmp_path / "short.gz", ["ACG", "ACNTTC"], [1, 0])
    with pytest.raises(InputError, match="6 known bases"):
        train({**parts, "train": short}, tmp_path)
    model = train(parts, tmp_path)["model"]
    none = write_split(tmp_path / "none.gz", [], [])
    with pytest.raises(InputError, match="no sequences"):
        predict_gkm(model=model, sequences=none, predictions=tmp_path / "p.tsv")
    model.write_bytes(model.read_bytes()[:100])
    with pytest.raises(InputError, match="no gapped k-mer SVM"):
        predict_gkm(model=model, sequences=parts["test"], predictions=tmp_path / "p.tsv")
    with pytest.raises(InputError, match="no such file"):
        predict_gkm(
            model=tmp_path / "x.npz", sequences=parts["test"], predictions=tmp_path / "p.tsv"
        )
