"""What a set's predictions are worth: metrics, intervals, the record of one set."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from dflm.calibration import at_threshold, calibration_in, calibration_metrics, scaled
from dflm.errors import InputError
from dflm.evaluation.calibration_plot import plot_reliability
from dflm.evaluation.floor import check_floor, dinucleotide_floor, floor_within
from dflm.evaluation.plots import plot_precision_recall, plot_roc
from dflm.evaluation.score_plot import plot_scores
from dflm.files import read_json, write_json
from dflm.phases import Phases
from dflm.predictions import read_predictions
from dflm.scores import auroc, average_precision
from dflm.sequences.splits import read_split


def classification_metrics(
    labels: Sequence[int], probabilities: Sequence[float], threshold: float = 0.5
) -> dict[str, float]:
    """Every metric of a binary classifier that the project reports.

    Parameters
    ----------
    labels : sequence of int, shape=(n,)
        0 or 1; both must occur.
    probabilities : sequence of float, shape=(n,)
        Probability of label 1, 0 to 1.
    threshold : float
        At or above it a sequence is called positive.

    Returns
    -------
    dict of str to float
        ``auroc``, ``auprc`` (average precision), ``brier``, and at the threshold
        ``accuracy``, ``precision``, ``recall``, ``specificity``, ``mcc``, ``fpr``, ``fnr``.
        Precision is 0 where nothing is called positive.

    Raises
    ------
    InputError
        If the lengths differ, a probability is not a number from 0 to 1, or one
        of the labels does not occur.
    """
    labels = np.asarray(labels)
    scores = np.asarray(probabilities, dtype=float)
    if labels.shape != scores.shape or labels.ndim != 1:
        raise InputError(f"{labels.size} labels do not go with {scores.size} probabilities")
    wrong = np.flatnonzero(~((scores >= 0) & (scores <= 1)))  # NaN fails both
    if len(wrong):
        raise InputError(
            f"{len(wrong)} probabilities are not numbers from 0 to 1 "
            f"(the first is {scores[wrong[0]]} at row {wrong[0] + 1})"
        )
    if set(labels.tolist()) != {0, 1}:
        found = ", ".join(map(str, sorted(set(labels.tolist())))) or "none"
        raise InputError(f"metrics need both labels, 0 and 1; found: {found}")
    called = scores >= threshold
    tn, fp, fn, tp = np.bincount(2 * labels + called, minlength=4).tolist()
    marginals = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    return {
        "auroc": auroc(labels, scores),
        "auprc": average_precision(labels, scores),
        "accuracy": (tp + tn) / (tp + tn + fp + fn),
        "precision": tp / (tp + fp) if tp + fp else 0.0,
        "recall": tp / (tp + fn),
        "specificity": tn / (tn + fp),
        "mcc": (tp * tn - fp * fn) / marginals**0.5 if marginals else 0.0,
        "fpr": fp / (tn + fp),
        "fnr": fn / (tp + fn),
        "brier": float(np.mean((scores - labels) ** 2)),
    }


def calibration_record(
    labels: Sequence[int], probabilities: Sequence[float], chosen: Mapping | None
) -> dict:
    """Tell what a calibration learnt on validation sequences is worth on others.

    Parameters
    ----------
    labels : sequence of int, shape=(n,)
        0 or 1; both must occur.
    probabilities : sequence of float, shape=(n,)
        As predicted.
    chosen : mapping or None
        What `dflm.calibration.calibrate` returned; None for a method that has none.

    Returns
    -------
    dict
        ``temperature``; ``before`` and ``after`` scaling, see
        `dflm.calibration.calibration_metrics`; ``thresholds``, by name the stored ``threshold``,
        ``calibrated`` and ``limit``, and what they give here, see `dflm.calibration.at_threshold`.
        Without a calibration ``temperature`` and ``after`` are None and there is no threshold.
    """
    record = {
        "temperature": None,
        "before": calibration_metrics(labels, probabilities),
        "after": None,
        "thresholds": {},
    }
    if chosen is None:
        return record
    temperature = chosen["temperature"]
    record["temperature"] = temperature
    record["after"] = calibration_metrics(labels, scaled(probabilities, temperature))
    for name, point in chosen["thresholds"].items():
        kept = {key: point[key] for key in ("threshold", "calibrated", "limit") if key in point}
        found = at_threshold(labels, probabilities, point["threshold"])
        record["thresholds"][name] = kept | found
    return record


def leak_counts(
    leaks: Mapping, labels: np.ndarray, corpus: bool, shown: Sequence[Mapping] = ()
) -> dict:
    """Return the counts of a leak check, as the record holds them.

    Parameters
    ----------
    leaks : mapping
        What `dflm.sequences.leak_report.check_leaks` returned.
    labels : numpy.ndarray
        shape=(rows of the test file,)
    corpus : bool
        Whether the genome in it is one that the method has read.
    shown : sequence of mapping
        The second pretrainings that the method, or a member of the ensemble, had: what draws their
        windows, as `leaks` has it.

    Returns
    -------
    dict
        ``test_in_train`` and ``test_near_train``, the test rows that have an exact, or else a
        near duplicate in the training or validation part; ``test_positives_in_corpus``,
        ``.._near_corpus`` and likewise of negatives, in the training contigs, None where not read;
        ``test_positives_shown``, those that share bases with one of their windows, None without.
    """
    found = {
        f"test_{name}_train": sum(leaks["test"][kind].values())
        for name, kind in (("in", "exact"), ("near", "near"))
    }
    read = (leaks["corpus"] or {}).get("train") if corpus else None
    for label in ("positives", "negatives"):
        for name, kind in (("in", "exact"), ("near", "near")):
            found[f"test_{label}_{name}_corpus"] = read[kind][label] if read else None
    found["test_positives_shown"] = None
    if leaks["shown"] and shown:
        drawn = (one["rows"] for one in leaks["shown"]["drawn"] if one["windows"] in shown)
        rows = sorted(set().union(*drawn))
        found["test_positives_shown"] = int(np.count_nonzero(labels[rows] == 1))
    return found


def auroc_unshown(labels: np.ndarray, probabilities: np.ndarray, leaks: Mapping) -> float | None:
    """Return the AUROC without the test positives that any second pretraining was shown.

    Of every method, so that methods can be compared by it.

    Parameters
    ----------
    labels, probabilities : numpy.ndarray
        shape=(n,) each, in the order of the test file.
    leaks : mapping
        What `dflm.sequences.leak_report.check_leaks` returned.

    Returns
    -------
    float or None
        None where there was no second pretraining, or one label is left.
    """
    if leaks["shown"] is None:
        return None
    left = labels != 1
    left |= ~np.isin(np.arange(len(labels)), leaks["shown"]["rows"])
    if len(set(labels[left].tolist())) < 2:
        return None
    return auroc(labels[left], probabilities[left])


def evaluate(
    predictions: str | Path | None,
    card: str | Path | None,
    stats: str | Path,
    lm_metrics: str | Path | None,
    train: str | Path | None,
    test: str | Path | None,
    leaks: str | Path | None,
    seconds: Mapping[str, str | Path],
    metrics_out: str | Path,
    roc_out: str | Path,
    pr_out: str | Path,
    reliability_out: str | Path,
    scores_out: str | Path,
    *,
    dataset: str,
    args: Mapping,
    seed: int,
    method: str,
) -> dict:
    """Evaluate one set's predictions on its test file and write record and curves.

    Parameters
    ----------
    predictions : path-like
        See `dflm.predictions.read_predictions`.
    card : path-like or None
        The model.json of the classifier or of a baseline; None where there is none.
    stats : path-like
        The split's stats.json; of a skipped set it is all that there is.
    lm_metrics : path-like or None
        metrics.json of the fine-tuned language model; None for a method without one.
    train, test : path-like
        The split's tables: the floor learns on one and is measured on the other.
    leaks : path-like
        What `dflm.sequences.leak_report.check_leaks` wrote; of a skipped set there is none, nor
        of the predictions and tables.
    seconds : mapping of str to path-like
        Where the time of the set's other jobs went: the JSON that each wrote, by its rule.
    metrics_out, roc_out, pr_out, reliability_out, scores_out : path-like
        JSON and four SVG to write. Its ``seconds``, of each job by phase, are all that differs
        between two runs; fine-tuning is that of the set's whole group.
    dataset : str
    args : mapping
        ``floor_tolerance``, of the config section ``evaluate``, and None does not check;
        ``both_strands``, whether the predictions are averages over both; ``corpus``, whether the
        method has read the genome of `leaks`, and ``shown``, whether it had the second
        pretraining there: if not, the record holds null for it.
    seed : int
        The method's, for the record.
    method : str
        The method's name, for the record.

    Returns
    -------
    dict
        What `metrics_out` holds.

    Raises
    ------
    InputError
        If the set was skipped, if the predictions are not those of the test file or
        are no probabilities, or if the negatives are shuffles and the floor is not 0.5 within the
        tolerance.
    """
    phases = Phases()
    counts = read_json(stats)
    if counts.get("status") == "skipped":
        raise InputError(
            f"the set was skipped: {counts.get('reason')}",
            dataset,
            "mend its files or chipseq.min_peaks, or ask for another set",
        )
    with phases("reading"):
        names, labels, probabilities = read_predictions(predictions)
        test_names, test_sequences, test_labels = read_split(test)
        _, train_sequences, train_labels = read_split(train)
    if names != list(test_names) or labels.tolist() != [int(label) for label in test_labels]:
        raise InputError(f"these are not the predictions of {test}", predictions, "rerun predict")
    try:
        record = classification_metrics(labels, probabilities)
    except InputError as error:
        raise InputError(error.what, predictions) from None
    with phases("floor"):
        floor = dinucleotide_floor(train_sequences, train_labels, test_sequences, test_labels)
        within = floor_within(test_sequences, test_labels)
        within_train = floor_within(train_sequences, train_labels)
    # Shuffles leave nothing to the floor. Of other negatives it is a baseline, to be shown.
    tolerance = args["floor_tolerance"]
    if tolerance is not None and counts.get("negatives", "shuffle") == "shuffle":
        check_floor(floor, tolerance, dataset, "training file to test file")
        check_floor(within, tolerance, dataset, "within the test file")
        # Against exact test shuffles nothing shows what a model could learn of broken ones.
        check_floor(within_train, tolerance, dataset, "within the training part")
    model = read_json(card) if card is not None else {}
    language_model = read_json(lm_metrics) if lm_metrics is not None else {}
    known = model | model.get("training", {}) | model.get("metrics", {})
    record |= {"method": method, "dataset": dataset, "seed": seed}
    record |= {"floor_auroc": floor, "floor_within": within, "floor_within_train": within_train}
    record["negatives"] = counts.get("negatives", "shuffle")
    for when in ("before", "after"):
        bits = (language_model.get(when) or {}).get("bits_per_base")
        record[f"lm_bits_per_base_{when}"] = bits
    for part in ("train", "test"):
        for kind in ("positives", "negatives"):
            record[f"{part}_{kind}"] = counts[f"{part}_{kind}"]
    found = read_json(leaks)
    record |= leak_counts(found, labels, args["corpus"], args["shown"])
    record["auroc_unshown"] = auroc_unshown(labels, probabilities, found)
    chosen = None
    if "calibration" in model:
        chosen = calibration_in(model, args["both_strands"], card)
    record["calibration"] = measured = calibration_record(labels, probabilities, chosen)
    record["ece"] = measured["after"]["ece"] if measured["after"] else None
    for key in ("best_stage", "best_epoch", "validation_auroc", "stages_run"):
        record[key] = known.get(key)
    with phases("plots"):
        plot_roc(labels, probabilities, roc_out, title=dataset)
        plot_precision_recall(labels, probabilities, pr_out, title=dataset)
        plot_reliability(
            labels, probabilities, measured["temperature"], reliability_out, title=dataset
        )
        plot_scores(labels, probabilities, measured["thresholds"], scores_out, title=dataset)
    record["seconds"] = {rule: read_json(path) for rule, path in seconds.items()}
    if language_model:
        record["seconds"]["finetune_lm"] = language_model["seconds"]
    record["seconds"]["evaluate"] = phases.as_dict()
    write_json(metrics_out, record)
    return record
