"""Metrics agree with scikit-learn, with each other and with counting by hand."""

import gzip
import json

import numpy as np
import pytest
from dflm.calibration import calibration_metrics, scaled
from dflm.errors import InputError
from dflm.evaluation.metrics import (
    classification_metrics,
    evaluate,
)
from dflm.predictions import read_predictions
from dflm.scores import auroc
from dflm.sequences.shuffle import dinucleotide_shuffle
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

PICTURES = ("roc_out", "pr_out", "reliability_out", "scores_out")
LABELS = ("positives", "negatives")
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
    # With a leak negatives are of A and C alone.
    shuffles = codes % 2 if leak else dinucleotide_shuffle(codes, 5)
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
            "leaks": "leaks.json",
            "train_seconds": "train.json",
            "metrics_out": "out/metrics.json",
            "roc_out": "out/roc.svg",
            "pr_out": "out/pr.svg",
            "reliability_out": "out/reliability.svg",
            "scores_out": "out/scores.svg",
        }.items()
    }
    write_split(paths["train"], rng.integers(0, 4, size=(80, 60)).astype(np.uint8))
    rows = write_split(paths["test"], rng.integers(0, 4, size=(40, 60)).astype(np.uint8))
    write_predictions(paths["predictions"], rows, rng)
    training = {"format": "dflm-classifier", "training": {"stage": "classify"}}
    chosen = {"best_stage": 4, "best_epoch": 2, "validation_auroc": 0.9, "stages_run": 5}
    half = {"threshold": 0.5, "calibrated": 0.5}
    fitted = {
        "temperature": 2.0,
        "thresholds": {
            "half": half,
            "max_mcc": {"threshold": 0.4, "calibrated": 0.45},
            "fdr": {"threshold": None, "calibrated": None, "limit": 0.1},
        },
    }
    fitted = {"both_strands": fitted, "one_strand": fitted | {"temperature": 4.0}}
    card = training | {"metrics": chosen, "calibration": fitted}
    paths["card"].write_text(json.dumps(card))
    counts = {f"{part}_{kind}": 80 if part == "train" else 40
              for part in ("train", "test") for kind in ("positives", "negatives")}  # fmt: skip
    paths["stats"].write_text(json.dumps({"status": "ok", "reason": None} | counts))
    bits = {"before": {"bits_per_base": 1.93}, "after": {"bits_per_base": 1.9}}
    paths["lm_metrics"].write_text(json.dumps(bits | {"seconds": {"wall": {"total": 9.0}}}))
    paths["train_seconds"].write_text(json.dumps({"wall": {"total": 5.0}}))
    leaks = {
        "test": {
            "exact": {"positives": 0, "negatives": 1},
            "near": {"positives": 2, "negatives": 5},
        },
        "corpus": {
            "train": {
                "exact": {"positives": 31, "negatives": 0},
                "near": {"positives": 4, "negatives": 3},
            }
        },
        "shown": {
            "exact": {"positives": 1, "negatives": 0},
            "near": {"positives": 2, "negatives": 0},
            "names": {"exact": [rows[0][0]], "near": [rows[1][0], rows[2][0]]},
            "rows": [0, 1, 2],
            "drawn": [
                {"windows": {"epochs": 1}, "rows": [0, 2]},
                {"windows": {"epochs": 4}, "rows": [0, 1]},
            ],
        },
    }
    paths["leaks"].write_text(json.dumps(leaks))
    return paths


def write_predictions(path, rows, rng):
    lines = ["name\tlabel\tprobability\tprobability_forward\tprobability_reverse"]
    for name, _, label in rows:
        probability = 0.25 + 0.5 * int(label) + rng.uniform(-0.25, 0.25)
        lines.append(f"{name}\t{label}\t{probability:.9g}\t{probability:.9g}\t{probability:.9g}")
    path.write_text("\n".join(lines) + "\n")


ARGS = {"floor_tolerance": 0.03, "both_strands": True, "corpus": True, "shown": [{"epochs": 1}]}


def run(files, **others):
    options = {"dataset": "TF_Cell_(x-1)_Lab", "args": ARGS, "seed": 1}
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
    assert record["floor_auroc"] == record["floor_within"] == record["floor_within_train"] == 0.5
    assert record["lm_bits_per_base_before"] == 1.93
    assert record["best_stage"] == 4
    assert record["train_positives"] == 80
    assert (record["test_positives_in_corpus"], record["test_negatives_in_corpus"]) == (31, 0)
    assert (record["test_positives_near_corpus"], record["test_negatives_near_corpus"]) == (4, 3)
    assert (record["test_in_train"], record["test_near_train"]) == (1, 7)
    assert record["test_positives_shown"] == 2  # of its own; the AUROC is without the other's too
    assert record["auroc_unshown"] == auroc(labels[3:], probabilities[3:])
    leaks = json.loads(files["leaks"].read_text())
    leaks["shown"]["rows"] = [len(labels) - 1]
    files["leaks"].write_text(json.dumps(leaks))
    assert run(files)["auroc_unshown"] == record["auroc"], "a negative is left out too"
    assert record["dataset"] == "TF_Cell_(x-1)_Lab"
    seconds = record["seconds"]
    assert seconds["finetune_lm"] == {"wall": {"total": 9.0}}
    assert seconds["train_classifier"] == {"wall": {"total": 5.0}}
    for clock in ("wall", "cpu"):
        told = seconds["evaluate"][clock]
        assert {"start", "reading", "floor", "plots", "total"} == set(told)
    for name in PICTURES:
        assert files[name].read_text().rstrip().endswith("</svg>")


def test_what_a_given_language_model_has_read_is_not_known(files):
    known, unknown = run(files), run(files, args=ARGS | {"corpus": False})
    kinds = [f"test_{label}_{where}_corpus" for label in LABELS for where in ("in", "near")]
    assert without_times(unknown) == without_times(known | dict.fromkeys(kinds))
    both = run(files, args=ARGS | {"shown": [{"epochs": 4}, {"epochs": 1}]})
    assert both["test_positives_shown"] == 3
    unshown = run(files, args=ARGS | {"shown": []})
    # To compare with a method that was shown them, its AUROC is without them too.
    assert without_times(unshown) == without_times(known | {"test_positives_shown": None})


def test_the_calibration_of_the_card_is_measured_on_the_test_file(files):
    record = run(files)
    _, labels, p = read_predictions(files["predictions"])
    found = record["calibration"]
    assert found["temperature"] == 2.0
    assert found["before"] == calibration_metrics(labels, p)
    assert found["after"] == calibration_metrics(labels, scaled(p, 2.0))
    assert record["ece"] == found["after"]["ece"]
    assert found["thresholds"]["half"]["mcc"] == pytest.approx(record["mcc"])
    called = p >= 0.4
    chosen = found["thresholds"]["max_mcc"]
    assert (chosen["threshold"], chosen["calibrated"]) == (0.4, 0.45)
    assert chosen["precision"] == reference.precision_score(labels, called)
    assert chosen["recall"] == reference.recall_score(labels, called)
    assert chosen["mcc"] == pytest.approx(reference.matthews_corrcoef(labels, called))
    none = found["thresholds"]["fdr"]
    assert (none["called"], none["precision"], none["recall"]) == (0, None, 0)
    assert none["limit"] == 0.1
    one = run(files, args=ARGS | {"both_strands": False})
    assert one["calibration"]["temperature"] == 4.0
    assert one["auroc"] == record["auroc"]


def test_a_method_without_a_calibration_is_measured_as_it_is(files):
    card = json.loads(files["card"].read_text())
    del card["calibration"]
    files["card"].write_text(json.dumps(card))
    found = run(files)["calibration"]
    assert found["temperature"] is found["after"] is None
    assert found["before"]["brier"] > 0
    assert found["thresholds"] == {}
    assert files["reliability_out"].exists()


def without_times(record):
    return {name: value for name, value in record.items() if name != "seconds"}


def test_same_input_same_bytes(files):
    record = run(files)
    first = [files[name].read_bytes() for name in PICTURES]
    assert without_times(run(files)) == without_times(record)
    assert [files[name].read_bytes() for name in PICTURES] == first


def test_leaking_negatives_stop_it_and_leave_no_record(files):
    rng = np.random.default_rng(1)
    for part, number in (("train", 80), ("test", 40)):
        codes = rng.integers(0, 4, size=(number, 60)).astype(np.uint8)
        rows = write_split(files[part], codes, leak=True)
    write_predictions(files["predictions"], rows, rng)
    words = r"TF_Cell_\(x-1\)_Lab: negatives leak.*training file to test file.*1\.000"
    with pytest.raises(InputError, match=words):
        run(files)
    assert not files["metrics_out"].exists()


def test_negatives_that_leak_in_the_test_alone_stop_it_too(files):
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 4, size=(200, 60)).astype(np.uint8)
    rows = write_split(files["test"], codes, leak=True)
    write_predictions(files["predictions"], rows, rng)
    with pytest.raises(InputError, match=r"negatives leak.*within the test file"):
        run(files)
    assert not files["metrics_out"].exists()


def test_negatives_that_leak_in_the_training_alone_stop_it_too(files):
    """What learns from them learns composition, of which exact test shuffles show nothing."""
    rng = np.random.default_rng(1)
    write_split(files["train"], rng.integers(0, 4, size=(200, 60)).astype(np.uint8), leak=True)
    with pytest.raises(InputError, match=r"negatives leak.*within the training part"):
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
        ("\t1\t0.", "\t1\t9.", "line 2 holds no label"),
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
    missing = dict.fromkeys(("predictions", "card", "lm_metrics", "train", "test", "leaks"))
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
    record = run(
        files | {"card": None, "lm_metrics": None}, method="floor", args=ARGS | {"corpus": False}
    )
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
    assert run(files, args=ARGS | {"floor_tolerance": None})["floor_auroc"] == 1.0
