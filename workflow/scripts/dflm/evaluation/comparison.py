"""All methods on all sets: one long table, their statistics, pictures and a page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dflm.evaluation.comparison_html import comparison_page
from dflm.evaluation.comparison_plot import plot_comparison, plot_ranks
from dflm.evaluation.statistics import average_seeds, compare, write_comparison
from dflm.evaluation.summary import outcome, runtime
from dflm.files import atomic_path, read_json
from dflm.tables import align, read_table, write_table

TITLES = {
    "full": "DFLM",
    "random": "DFLM, no pretraining",
    "pretrained": "DFLM, no LM fine-tuning",
    "lm_only": "DFLM, language model only",
    "no_detectors": "DFLM, no detectors",
    "one_strand": "DFLM, one strand",
    "ensemble": "DFLM, models averaged",
    "floor": "dinucleotide counts",
    "gkm": "gapped k-mer SVM",
    "lsgkm": "LS-GKM",
    "cnn": "one-hot CNN",
} | {f"k{k}": f"DFLM, k = {k}" for k in range(1, 9)}
"""What methods are called for people; those of the user's own by their names."""

METRICS = (
    "auroc",
    "auroc_unshown",
    "auprc",
    "accuracy",
    "precision",
    "recall",
    "specificity",
    "mcc",
    "fpr",
    "fnr",
    "brier",
)
COLUMNS = (
    "method",
    "dataset",
    "tf",
    "cell_line",
    "seed",
    "status",  # ok, skipped or failed
    "reason",
    *METRICS,
    "validation_auroc",
    "floor_auroc",
    "train_positives",
    "train_negatives",
    "test_positives",
    "test_negatives",
    "runtime_seconds",  # of the jobs that only this method or those it shares with have
)


@dataclass(frozen=True)
class Run:
    """One method with one seed, on all sets.

    Parameters
    ----------
    method : str
    seed : int
    metrics : mapping of str to path-like
        metrics.json by dataset, of the sets that ended.
    logs : mapping of str to sequence of path-like
        By dataset, of a set that failed: the earliest job's first.
    benchmarks : mapping of str to sequence of path-like
        Snakemake's benchmark files by dataset; those that do not exist are not counted.
    """

    method: str
    seed: int
    metrics: Mapping[str, str | Path]
    logs: Mapping[str, Sequence[str | Path]] = field(default_factory=dict)
    benchmarks: Mapping[str, Sequence[str | Path]] = field(default_factory=dict)


def compare_methods(
    rows: Sequence[Mapping],
    runs: Sequence[Run],
    stats: Mapping[str, str | Path],
    *,
    table: str | Path,
    comparison: str | Path,
    page: str | Path,
    plot: str | Path,
    ranks: str | Path,
    references: Sequence[str],
    metrics: Sequence[str],
    tie: float,
    resamples: int,
    seed: int,
) -> list[dict]:
    """Write the comparison of all methods.

    Parameters
    ----------
    rows : sequence of mapping
        One a set: ``dataset``, ``tf``, ``cell_line``, and ``status`` and ``reason`` where it is
        known beforehand that it cannot start. At least one.
    runs : sequence of Run
        In the order of the tables; the runs of one method differ in the seed.
    stats : mapping of str to path-like
        stats.json by dataset, where there is one.
    table, comparison, page, plot, ranks : path-like
        To write: methods.tsv (a row for each method, set and seed), comparison.tsv (see
        `dflm.evaluation.statistics.compare`), comparison.html, comparison.svg and ranks.svg.
    references : sequence of str
        The methods that the others are compared with; pictures show the first.
    metrics : sequence of str
        Out of `METRICS`; page and pictures show the first.
    tie : float
        See `dflm.evaluation.statistics.compare`.
    resamples, seed : int
        Of the bootstrap.

    Returns
    -------
    list of dict
        The rows of comparison.tsv.

    Raises
    ------
    InputError
        See `dflm.evaluation.statistics.compare`.
    """
    counts = {name: read_json(path) for name, path in stats.items() if Path(path).exists()}
    records = [_record(run, row, counts.get(row["dataset"], {})) for run in runs for row in rows]
    write_table(table, COLUMNS, records)
    drawn = {"seed": seed, "resamples": resamples}
    compared = compare(records, metrics=metrics, references=references, tie=tie, **drawn)
    write_comparison(compared, comparison)
    shown = {"metric": metrics[0], "reference": references[0], "names": TITLES}
    plot_comparison(records, plot, **shown, **drawn)
    plot_ranks(records, ranks, **shown)
    scores, _ = average_seeds(records, metrics[0])
    with atomic_path(page) as temporary:
        temporary.write_text(
            comparison_page(rows, scores, compared, metrics[0], references, tie, TITLES),
            encoding="utf-8",
        )
    return compared


def _record(run: Run, row: Mapping, counts: Mapping) -> dict:
    """Row of one method, set and seed; None where a value is not known."""
    name = row["dataset"]
    status, reason, values = outcome(row, run.metrics.get(name), counts, run.logs.get(name, ()))
    known = {} if status == "skipped" else counts
    record = {column: values.get(column, known.get(column)) for column in COLUMNS}
    record |= {column: row.get(column) or "" for column in ("dataset", "tf", "cell_line")}
    record["runtime_seconds"] = runtime(run.benchmarks.get(name, ()))
    return record | {
        "method": run.method, "seed": run.seed, "status": status, "reason": reason
    }  # fmt: skip


def format_comparison(tsv: str | Path) -> str:
    """Lay the first metric of comparison.tsv out for a terminal.

    Parameters
    ----------
    tsv : path-like

    Returns
    -------
    str
        A line a method, numbers aligned; a table for each reference.
    """
    records = read_table(tsv)
    metric = records[0]["metric"]
    records = [one for one in records if one["metric"] == metric]
    references = list(dict.fromkeys(one["reference"] for one in records if one["reference"]))
    references = references or [""]
    own = {reference: {reference} for reference in references}
    own[references[0]].add("")  # its own line
    tables = [
        _table(metric, reference, [one for one in records if one["reference"] in own[reference]])
        for reference in references
    ]
    return "\n\n".join(tables)


def _table(metric: str, reference: str, records: Sequence[Mapping[str, str]]) -> str:
    """Lay out the records that compare with one reference."""
    lines = [
        [
            *("method", "sets", "missing", "seeds", f"mean {metric}", "95 % interval", "rank"),
            *(f"{reference} minus it", "95 % interval", "win/tie/loss", "p (Holm)"),
        ]
    ]
    for one in records:
        line = [one[name] or "-" for name in ("method", "sets", "missing", "seeds")]
        line += [_number(one["mean"]), _interval(one["low"], one["high"])]
        line += [_number(one["mean_rank"], 2), _number(one["difference"], sign="+")]
        line.append(_interval(one["difference_low"], one["difference_high"], sign="+"))
        line.append("/".join(one[name] for name in ("wins", "ties", "losses")) if one["p"] else "-")
        lines.append([*line, one["p_holm"] or "-"])
    aligned = align(lines, [False] + [True] * (len(lines[0]) - 1))
    return "\n".join([aligned[0], "-" * max(map(len, aligned)), *aligned[1:]])


def _number(value: str, digits: int = 3, sign: str = "") -> str:
    return f"{float(value):{sign}.{digits}f}" if value else "-"


def _interval(low: str, high: str, sign: str = "") -> str:
    return f"{_number(low, sign=sign)} to {_number(high, sign=sign)}" if low else "-"
