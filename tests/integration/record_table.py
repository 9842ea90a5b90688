"""Print a run's comparison as the Markdown tables of RESULTS.md.

    .venv/bin/python tests/integration/record_table.py --directory real

A table of AUROCs by set, then one for each reference: means, differences and p-values.
"""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

from dflm.tables import read_table

METRIC = "auroc"


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |".replace("|  |", "| |") for line in lines) + "\n"


def by_set(scores: dict[tuple[str, str], float], order: Sequence[str]) -> str:
    """Return the scores of each set, its best ones in bold."""
    rows = []
    for dataset in dict.fromkeys(dataset for _, dataset in scores):
        held = {method: scores.get((method, dataset)) for method in order}
        best = max(value for value in held.values() if value is not None)
        shown = [
            "-" if value is None else f"**{value:.3f}**" if value == best else f"{value:.3f}"
            for value in held.values()
        ]
        rows.append([dataset.partition("_")[0], *shown])
    return markdown(["set", *order], rows)


def interval(record: dict, low: str, high: str, sign: str = "") -> str:
    """Return both ends of an interval."""
    return f"({float(record[low]):{sign}.4f} to {float(record[high]):{sign}.4f})"


def against(records: Sequence[dict], reference: str, order: Sequence[str]) -> str:
    """Return what comparison.tsv has of each method against one reference."""
    found = {record["method"]: record for record in records if record["reference"] == reference}
    means = {record["method"]: record for record in records}
    rows = []
    for method in order:
        mean = means[method]
        row = [method, f"{float(mean['mean']):.4f} {interval(mean, 'low', 'high')}", mean["sets"]]
        if method not in found:
            rows.append([*row, "", "", "", ""])
            continue
        one = found[method]
        difference = interval(one, "difference_low", "difference_high", "+")
        row.append(f"{float(one['difference']):+.4f} {difference}")
        row.append("/".join(one[key] for key in ("wins", "ties", "losses")))
        rows.append([*row, *(f"{float(one[key]):.2g}" for key in ("p", "p_holm"))])
    head = ["method", "mean AUROC (95 % bootstrap interval over sets)", "sets"]
    head += [f"{reference} minus it (interval)", f"wins/ties/losses of {reference}"]
    return markdown([*head, "p", "p (Holm)"], rows)


def main() -> None:
    """Read the command line and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--directory", type=Path, default=Path("real"))
    summary = parser.parse_args().directory / "results" / "summary"
    rows = read_table(summary / "methods.tsv")
    scores = {(row["method"], row["dataset"]): float(row[METRIC]) for row in rows if row[METRIC]}
    records = [row for row in read_table(summary / "comparison.tsv") if row["metric"] == METRIC]
    means = {record["method"]: float(record["mean"]) for record in records}
    order = sorted(means, key=means.__getitem__, reverse=True)
    print(by_set(scores, order))
    for reference in dict.fromkeys(one["reference"] for one in records if one["reference"]):
        print(against(records, reference, order))


if __name__ == "__main__":
    main()
