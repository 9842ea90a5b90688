"""All sets in one table: what each reached, or why it did not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dflm.errors import InputError
from dflm.evaluation.plots import plot_summary
from dflm.evaluation.statistics import bootstrap_mean
from dflm.evaluation.summary_html import summary_page
from dflm.files import atomic_path, read_json
from dflm.logs import last_error
from dflm.tables import align, read_table, write_table

MEAN = "MEAN"
NOT_RUN = "did not run: the run stopped before it"
KILLED = "ended without a word, as a job does that is killed, for memory or time"


@dataclass(frozen=True)
class Column:
    """A column of the table.

    Attributes
    ----------
    name : str
        In auc.tsv.
    heading : str
        For people.
    decimals : int or None
        Shown to people; None for words.
    meaning : str
    """

    name: str
    heading: str
    decimals: int | None
    meaning: str


COLUMNS = (
    Column("dataset", "set", None, "name of the set"),
    Column("tf", "TF", None, "transcription factor"),
    Column("cell_line", "cell line", None, "cell line"),
    Column("status", "status", None, "ok, skipped or failed"),
    Column("reason", "reason", None, "why a set was skipped or failed"),
    Column("train_positives", "train +", 0, "positives to train on"),
    Column("test_positives", "test +", 0, "positives of the test file"),
    Column("test_negatives", "test −", 0, "negatives of the test file"),
    Column(
        "test_in_corpus",
        "test + in LM corpus",
        0,
        "positives of the test file that stand in the genome contigs the language model was "
        "pretrained on, where it has seen their bases without labels of binding",
    ),
    Column(
        "test_near_corpus",
        "test + near LM corpus",
        0,
        "further positives of the test file that share chipseq.near_duplicate_width bases with "
        "these contigs",
    ),
    Column(
        "test_shown",
        "test + shown",
        0,
        "positives of the test file that share chipseq.near_duplicate_width bases with a window "
        "that the second pretraining told from its shuffle: where the negatives are shuffles, it "
        "was shown their answer",
    ),
    Column(
        "test_in_train",
        "test in training",
        0,
        "test sequences that stand whole, on either strand, in the training or validation part",
    ),
    Column(
        "test_near_train",
        "test near training",
        0,
        "further test sequences that share chipseq.near_duplicate_width bases with one of those "
        "parts",
    ),
    Column("auroc", "AUROC", 3, "area under the ROC curve on the test file"),
    Column(
        "auroc_unshown",
        "AUROC, unshown",
        3,
        "without the positives that any method of the run was shown",
    ),
    Column("auprc", "AUPRC", 3, "average precision on the test file"),
    Column("mcc", "MCC", 3, "Matthews correlation at probability 0.5"),
    Column("accuracy", "accuracy", 3, "at probability 0.5"),
    Column("ece", "ECE", 3, "expected calibration error of the calibrated probabilities"),
    Column("floor_auroc", "floor", 3, "AUROC of the 16 dinucleotide counts alone"),
    Column("lm_bits_per_base_before", "bits before", 3, "bits per base before LM fine-tuning"),
    Column("lm_bits_per_base_after", "bits after", 3, "bits per base after LM fine-tuning"),
    Column("runtime_seconds", "time (s)", 0, "fine-tuning, training and prediction together"),
    Column("auroc_low", "low", 3, "lower end of the 95 % interval of the mean AUROC"),
    Column("auroc_high", "high", 3, "upper end of the 95 % interval of the mean AUROC"),
)
WORDS = tuple(column.name for column in COLUMNS if column.decimals is None)
INTERVAL = ("auroc_low", "auroc_high")
LEAKS = (
    "test_in_corpus",
    "test_near_corpus",
    "test_shown",
    "test_in_train",
    "test_near_train",
    "auroc_unshown",
)
NUMBERS = tuple(column.name for column in COLUMNS if column.name not in WORDS + INTERVAL)


def summarise(
    rows: Sequence[Mapping],
    metrics: Mapping[str, str | Path],
    stats: Mapping[str, str | Path],
    benchmarks: Mapping[str, Sequence[str | Path]],
    logs: Mapping[str, Sequence[str | Path]],
    table: str | Path,
    html: str | Path,
    plot: str | Path,
    seed: int,
    bootstrap: int,
) -> list[dict]:
    """Write the summary of all sets: table, page and dot plot.

    Parameters
    ----------
    rows : sequence of mapping
        One a set, in the order of the table: ``dataset``, ``tf``, ``cell_line``, and
        ``status`` and ``reason`` where it is known beforehand that it cannot start.
    metrics : mapping of str to path-like
        metrics.json by dataset, of the sets that ended.
    stats : mapping of str to path-like
        stats.json by dataset, where there is one.
    benchmarks : mapping of str to sequence of path-like
        Snakemake's benchmark files by dataset; those that do not exist are not counted.
    logs : mapping of str to sequence of path-like
        Logs of a failed set, the earliest job's first.
    table, html, plot : path-like
        To write: auc.tsv, auc.html, auc.svg.
    seed : int
        Of the bootstrap.
    bootstrap : int
        Resamples of the interval of the mean, at least 1.

    Returns
    -------
    list of dict
        The rows of the table, the mean last.
    """
    records = [
        _record(
            row,
            metrics.get(row["dataset"]),
            stats.get(row["dataset"]),
            benchmarks.get(row["dataset"], ()),
            logs.get(row["dataset"], ()),
        )
        for row in rows
    ]
    ended = [record for record in records if record["status"] == "ok"]
    mean = mean_row(ended, seed, bootstrap)
    write_table(table, [column.name for column in COLUMNS], [*records, mean])
    with atomic_path(html) as temporary:
        temporary.write_text(summary_page(records, mean, COLUMNS), encoding="utf-8")
    plot_summary(
        [(record["dataset"], record["auroc"], record["floor_auroc"]) for record in ended],
        plot,
        (mean["auroc"], mean["auroc_low"], mean["auroc_high"]) if ended else None,
        [
            (record["dataset"], record["status"], record["reason"])
            for record in records
            if record["status"] != "ok"
        ],
    )
    return [*records, mean]


def _record(row, metrics, stats, benchmarks, logs) -> dict:
    """Row of one set, None where a value is not known."""
    record = dict.fromkeys(column.name for column in COLUMNS)
    record |= {name: row.get(name) or "" for name in ("dataset", "tf", "cell_line")}
    counts = read_json(stats) if stats is not None and Path(stats).exists() else {}
    if counts.get("status") != "skipped":
        for name in ("train_positives", "test_positives", "test_negatives"):
            record[name] = counts.get(name)
    record["runtime_seconds"] = runtime(benchmarks)
    status, reason, values = outcome(row, metrics, counts, logs)
    record |= {name: values[name] for name in NUMBERS if name in values}
    for name in ("in", "near"):
        record[f"test_{name}_corpus"] = values.get(f"test_positives_{name}_corpus")
    record["test_shown"] = values.get("test_positives_shown")
    return record | {"status": status, "reason": reason}


def outcome(
    row: Mapping,
    metrics: str | Path | None,
    counts: Mapping,
    logs: Sequence[str | Path],
) -> tuple[str, str, dict]:
    """Tell how a set ended.

    Parameters
    ----------
    row : mapping
        ``status`` and ``reason``, where it is known beforehand that the set cannot start.
    metrics : path-like or None
        Its metrics.json, if it ended.
    counts : mapping
        What its stats.json holds.
    logs : sequence of path-like
        Logs of what did not end, the earliest job's first.

    Returns
    -------
    status : {"ok", "skipped", "failed"}
    reason : str
        In one line; empty where the set is ok.
    values : dict
        What its metrics.json holds.
    """
    values = {}
    if row.get("status") in ("failed", "skipped"):
        status, reason = row["status"], row.get("reason")
    elif metrics is not None and Path(metrics).exists():
        status, reason, values = "ok", "", read_json(metrics)
    elif counts.get("status") == "skipped":
        status, reason = "skipped", counts.get("reason")
    else:
        # The earliest job that failed is the cause; those after it never began.
        reasons = [reason for reason in map(last_error, logs) if reason]
        begun = [f"{KILLED}, see {log}" for log in logs if Path(log).exists()]
        status, reason = "failed", [*reasons, *begun, NOT_RUN][0]
    return status, " ".join((reason or "").split()), values


def runtime(benchmarks: Sequence[str | Path]) -> float | None:
    """Sum the seconds of Snakemake's benchmark files.

    Parameters
    ----------
    benchmarks : sequence of path-like
        Tab-separated with a column ``s``; files that do not exist are passed over.

    Returns
    -------
    float or None
        Seconds; None when no file exists.

    Raises
    ------
    InputError
        If a file has no column ``s``.
    """
    seconds = []
    for path in map(Path, benchmarks):
        if not path.exists():
            continue
        for row in read_table(path):
            try:
                seconds.append(float(row["s"]))
            except (KeyError, TypeError, ValueError):
                raise InputError("is no benchmark: column s holds no seconds", path) from None
    return sum(seconds) if seconds else None


def mean_row(ended: Sequence[Mapping], seed: int, bootstrap: int) -> dict:
    """Average the sets that ended, with the bootstrap interval of the AUROC over sets."""
    mean = dict.fromkeys((column.name for column in COLUMNS), None)
    sets = "set" if len(ended) == 1 else "sets"
    mean |= {"dataset": MEAN, "tf": "", "cell_line": "", "status": ""}
    mean["reason"] = f"over {len(ended)} {sets}"
    for name in NUMBERS:
        values = [record[name] for record in ended if record[name] is not None]
        mean[name] = float(np.mean(values)) if values else None
    if ended:
        scores = [record["auroc"] for record in ended]
        mean["auroc_low"], mean["auroc_high"] = bootstrap_mean(scores, bootstrap, seed)
    return mean


def format_table(tsv: str | Path) -> str:
    """Lay auc.tsv out for a terminal.

    Parameters
    ----------
    tsv : path-like

    Returns
    -------
    str
        A line a set, numbers aligned; reasons and the interval of the mean below.
    """
    records = read_table(tsv)
    hidden = ("tf", "cell_line", "reason", "test_negatives", *LEAKS, "ece", *INTERVAL)
    shown = [column for column in COLUMNS if column.name not in hidden]
    lines = [[column.heading for column in shown]]
    for record in records:
        lines.append(
            [
                f"{float(value):.{column.decimals}f}"
                if column.decimals is not None and value
                else value or "-"
                for column in shown
                for value in [record[column.name]]
            ]
        )
    aligned = align(lines, [column.decimals is not None for column in shown])
    rule = "-" * max(map(len, aligned))
    text = [aligned[0], rule, *aligned[1:-1], rule, aligned[-1]]
    mean = records[-1]
    if mean["auroc"]:
        line = f"mean AUROC {float(mean['auroc']):.3f} {mean['reason']}"
        if mean["auroc_low"]:
            low, high = float(mean["auroc_low"]), float(mean["auroc_high"])
            line += f", 95 % bootstrap interval {low:.3f} to {high:.3f}"
        text.append(line)
    else:
        text.append("no set has a score")
    text += [
        f"{record['status']}: {record['dataset']}: {record['reason']}"
        for record in records[:-1]
        if record["status"] != "ok"
    ]
    return "\n".join(text)
