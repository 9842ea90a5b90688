"""Metrics agree with scikit-learn, with each other and with counting by hand."""

import gzip
import json

import numpy as np
import pytest
from dflm.errors import InputError
from dflm.evaluation.metrics import (
    classification_metrics,
    evaluate,
    read_predictions,
)
from dflm.sequences.shuffle import dinucleotide_shuffle
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

SCORES = st.lists(st.tuples(st.integers(0, 1), st.floats(0, 1)), min_size=2, max_size=60).filter(
    lambda pairs: {label for label, _ in pairs} == {0, 1}
)


@settings(max_examples=30, deadline=None)
@given(SCORES)
def test_every_metric_is_scikit_learns(pairs):
    labels, scores = map(np.array, zip(*pairs, strict=True))
    found = classification_metrics(labels, scores)
    called = scores >= 0.5
    expected = {
        "auroc": reference.roc_auc_score(labels, scores),
        "auprc": reference.average_precision_score(labels, scores),
        "accuracy": reference.accuracy_score(labels, called),
        "precision": reference.precision_score(labels, called, zero_division=0),
        "recall": reference.recall_score(labels, called),
        "specificity": reference.recall_score(labels, called, pos_label=0),
        "mcc": reference.matthews_corrcoef(labels, called),
        "brier": reference.brier_score_loss(labels, scores),
    }
    expected |= {"fpr": 1 - expected["specificity"], "fnr": 1 - expected["recall"]}
    assert found == pytest.approx(expected)


def test_by_hand():
    found = classification_metrics([1, 1, 0, 0, 0], [0.9, 0.4, 0.5, 0.2, 0.1])
    assert found["auroc"] == pytest.approx(5 / 6)
    assert found["accuracy"] == pytest.approx(3 / 5)
    assert found["precision"] == pytest.approx(1 / 2)
    assert found["recall"] == found["fnr"] == pytest.approx(1 / 2)
    assert found["specificity"] == pytest.approx(2 / 3)
    assert found["brier"] == pytest.approx((0.01 + 0.36 + 0.25 + 0.04 + 0.01) / 5)


def test_threshold_moves_only_the_thresholded():
    labels, scores = [1, 0, 1, 0], [0.9, 0.3, 0.4, 0.2]
    low, high = (classification_metrics(labels, scores, threshold=t) for t in (0.35, 0.95))
    assert low["recall"] == 1
    assert high["recall"] == high["precision"] == high["mcc"] == 0
    assert low["auroc"] == high["auroc"]


@pytest.mark.parametrize(
    ("labels", "scores", "message"),
    [
        ([1, 0], [0.5, float("nan")], "not numbers from 0 to 1"),
        ([1, 0], [0.5, float("inf")], "not numbers from 0 to 1"),
        ([1, 0], [-0.1, 0.5], "row 1"),
        ([1, 1], [0.5, 0.6], "both labels"),
        ([], [], "both labels"),
        ([1, 2], [0.5, 0.6], "found: 1, 2"),
        ([1, 0, 1], [0.5, 0.6], "do not go with"),
    ],
)
def test_what_is_no_prediction_is_refused(labels, scores, message):
    with pytest.raises(InputError, match=message):
        classification_metrics(labels, scores)


# ---- one set, from files to record ----------------------------------------------------------


def write_split(path, codes, leak=False):
    letters = np.array(list("ACGT"))
    shuffles = np.full_like(codes, 1) if leak else dinucleotide_shuffle(codes, 5)
    rows = [
        f"seq{i}{ending}\t{''.join(letters[row])}\t{label}"
        for ending, label, part in (("", 1, codes), ("_shuf1", 0, shuffles))
        for i, row in enumerate(part)
    ]
    path.write_bytes(gzip.compress("\n".join(["name\tsequence\tlabel", *rows, ""]).encode()))
    return [row.split("\t") for row in rows]


@pytest.fixture
def files(tmp_path):
    rng = np.random.default_rng(1)
    paths = {
        name: tmp_path / file
        for name, file in {
            "predictions": "predictions.tsv",
            "card": "model.json",
            "stats": "stats.json",
            "lm_metrics": "lm.json",
            "train": "train.tsv.gz",
            "test": "test.tsv.gz",
            "corpus": "corpus.json",
            "train_seconds": "train.json",
            "metrics_out": "out/metrics.json",
            "roc_out": "out/roc.svg",
            "pr_out": "out/pr.svg",
        }.items()
    }
    write_split(paths["train"], rng.integers(0, 4, size=(80, 60)).astype(np.uint8))
    rows = write_split(paths["test"], rng.integers(0, 4, size=(40, 60)).astype(np.uint8))
    write_predictions(paths["predictions"], rows, rng)
    training = {"format": "dflm-classifier", "training": {"stage": "classify"}}
    chosen = {"best_stage": 4, "best_epoch": 2, "validation_auroc": 0.9, "stages_run": 5}
    paths["card"].write_text(json.dumps(training | {"metrics": chosen}))
    counts = {f"{part}_{kind}": 80 if part == "train" else 40
              for part in ("train", "test") for kind in ("positives", "negatives")}  # fmt: skip
    paths["stats"].write_text(json.dumps({"status": "ok", "reason": None} | counts))
    bits = {"before": {"bits_per_base": 1.93}, "after": {"bits_per_base": 1.9}}
    paths["lm_metrics"].write_text(json.dumps(bits | {"seconds": {"wall": {"total": 9.0}}}))
    paths["train_seconds"].write_text(json.dumps({"wall": {"total": 5.0}}))
    seen = {"train": {"positives": 31, "negatives": 0}, "validation": {"positives": 9}}
    paths["corpus"].write_text(json.dumps(seen))
    return paths


def write_predictions(path, rows, rng):
    lines = ["name\tlabel\tprobability\tprobability_forward\tprobability_reverse"]
    for name, _, label in rows:
        probability = 0.25 + 0.5 * int(label) + rng.uniform(-0.25, 0.25)
        lines.append(f"{name}\t{label}\t{probability:.9g}\t{probability:.9g}\t{probability:.9g}")
    path.write_text("\n".join(lines) + "\n")


def run(files, **others):
    options = {"dataset": "TF_Cell_(x-1)_Lab", "args": {"floor_tolerance": 0.03}, "seed": 1}
    options["method"] = "full"
    paths = {**files, "seconds": {"train_classifier": files["train_seconds"]}}
    del paths["train_seconds"]
    return evaluate(**paths, **(options | others))


def test_the_record_of_a_set_has_every_field(files):
    record = run(files)
    assert json.loads(files["metrics_out"].read_text()) == record
    _, labels, probabilities = read_predictions(files["predictions"])
    expected = classification_metrics(labels, probabilities)
    assert {name: record[name] for name in expected} == expected
    assert record["floor_auroc"] == record["floor_within"] == 0.5
    assert record["lm_bits_per_base_before"] == 1.93
    assert record["best_stage"] == 4
    assert record["train_positives"] == 80
    assert (record["test_positives_in_corpus"], record["test_negatives_in_corpus"]) == (31, 0)
    assert record["dataset"] == "TF_Cell_(x-1)_Lab"
    seconds = record["seconds"]
    assert seconds["finetune_lm"] == {"wall": {"total": 9.0}}
    assert seconds["train_classifier"] == {"wall": {"total": 5.0}}
    for clock in ("wall", "cpu"):
        told = seconds["evaluate"][clock]
        assert {"start", "reading", "floor", "plots", "total"} == set(told)
    for name in ("roc_out", "pr_out"):
        assert files[name].read_text().rstrip().endswith("</svg>")


def test_what_a_given_language_model_has_read_is_not_known(files):
    known, unknown = run(files), run(files | {"corpus": None})
    new = dict.fromkeys(("test_positives_in_corpus", "test_negatives_in_corpus"))
    assert without_times(unknown) == without_times(known | new)


def without_times(record):
    return {name: value for name, value in record.items() if name != "seconds"}


def test_same_input_same_bytes(files):
    pictures = ("roc_out", "pr_out")
    record = run(files)
    first = [files[name].read_bytes() for name in pictures]
    assert without_times(run(files)) == without_times(record)
    assert [files[name].read_bytes() for name in pictures] == first


def test_leaking_negatives_stop_it_and_leave_no_record(files):
    rng = np.random.default_rng(1)
    for part, number in (("train", 80), ("test", 40)):
        codes = rng.integers(0, 4, size=(number, 60)).astype(np.uint8)
        rows = write_split(files[part], codes, leak=True)
    write_predictions(files["predictions"], rows, rng)
    with pytest.raises(InputError, match=r"TF_Cell_\(x-1\)_Lab: negatives leak.*1\.000"):
        run(files)
    assert not files["metrics_out"].exists()


@pytest.mark.parametrize("kind", ["genomic", "bed"])
def test_the_floor_of_other_negatives_is_a_baseline_that_is_shown(files, kind):
    rng = np.random.default_rng(1)
    for part, number in (("train", 80), ("test", 40)):
        codes = rng.integers(0, 4, size=(number, 60)).astype(np.uint8)
        rows = write_split(files[part], codes, leak=True)
    write_predictions(files["predictions"], rows, rng)
    counts = json.loads(files["stats"].read_text())
    files["stats"].write_text(json.dumps(counts | {"negatives": kind}))
    record = run(files)
    assert record["negatives"] == kind
    assert record["floor_auroc"] == 1.0


def test_predictions_of_another_file_are_refused(files):
    lines = files["predictions"].read_text().splitlines()
    files["predictions"].write_text("\n".join([lines[0], *lines[:1:-1], lines[1]]) + "\n")
    with pytest.raises(InputError, match="not the predictions of"):
        run(files)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("probability\t", "score\t", "header lacks probability"),
        ("\t1\t0.", "\t1\tx0.", "line 2 holds no label"),
        ("\t1\t0.", "\t1\tnan\t0.", "not numbers from 0 to 1"),
    ],
)
def test_damaged_predictions_name_the_file(files, old, new, message):
    text = files["predictions"].read_text()
    files["predictions"].write_text(text.replace(old, new, 1))
    with pytest.raises(InputError, match=message) as caught:
        run(files)
    assert "predictions.tsv" in str(caught.value)


def test_a_skipped_set_says_why(files):
    files["stats"].write_text(json.dumps({"status": "skipped", "reason": "only 12 peaks"}))
    missing = dict.fromkeys(("predictions", "card", "lm_metrics", "train", "test", "corpus"))
    with pytest.raises(InputError, match="skipped: only 12 peaks"):
        run(files | missing)


def test_names_with_quotation_marks_are_read_as_they_stand(tmp_path):
    path = tmp_path / "predictions.tsv"
    header = "name\tlabel\tprobability\tprobability_forward\tprobability_reverse\n"
    path.write_text(header + '"a\t1\t0.5\t0.5\t0.5\nb"\t0\t0.25\t0.5\t0\n')
    names, labels, probabilities = read_predictions(path)
    assert names == ['"a', 'b"']
    assert labels.tolist() == [1, 0]
    assert probabilities.tolist() == [0.5, 0.25]


def test_a_method_without_model_or_language_model_has_the_same_record(files):
    whole = run(files)
    record = run(files | {"card": None, "lm_metrics": None, "corpus": None}, method="floor")
    assert record.keys() == whole.keys()
    assert record["method"] == "floor"
    for name in ("lm_bits_per_base_before", "validation_auroc", "test_positives_in_corpus"):
        assert record[name] is None
    assert "finetune_lm" not in record["seconds"]
    # A baseline's card has no sections.
    files["card"].write_text(json.dumps({"method": "gkm", "validation_auroc": 0.75}))
    assert run(files, method="gkm")["validation_auroc"] == 0.75


def test_without_a_tolerance_leaking_negatives_are_shown_and_stop_nothing(files):
    rng = np.random.default_rng(1)
    for part, number in (("train", 80), ("test", 40)):
        codes = rng.integers(0, 4, size=(number, 60)).astype(np.uint8)
        rows = write_split(files[part], codes, leak=True)
    write_predictions(files["predictions"], rows, rng)
    assert run(files, args={"floor_tolerance": None})["floor_auroc"] == 1.0
