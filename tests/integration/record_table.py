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
    above, *lines = (
        "".join(f"| {cell} " if cell else "| " for cell in line) + "|" for line in (head, *rows)
    )
    return "\n".join([above, "|" + "---|" * len(head), *lines]) + "\n"


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


def shown(record: dict, key: str, low: str, high: str, sign: str = "") -> str:
    """Return a number and its interval, as far as there are any."""
    if not record[key]:
        return "-"
    text = f"{float(record[key]):{sign}.4f}"
    if record[low]:
        text += f" ({float(record[low]):{sign}.4f} to {float(record[high]):{sign}.4f})"
    return text


def against(records: Sequence[dict], reference: str, order: Sequence[str]) -> str:
    """Return what comparison.tsv has of each method against one reference."""
    found = {record["method"]: record for record in records if record["reference"] == reference}
    means = {record["method"]: record for record in records}
    rows = []
    for method in order:
        mean = means[method]
        row = [method, shown(mean, "mean", "low", "high"), mean["sets"]]
        if method not in found:
            rows.append([*row, "", "", "", ""])
            continue
        one = found[method]
        row.append(shown(one, "difference", "difference_low", "difference_high", "+"))
        row.append("/".join(one[key] for key in ("wins", "ties", "losses")))
        rows.append([*row, *(f"{float(one[key] or 1):.2g}" for key in ("p", "p_holm"))])
    head = ["method", "mean AUROC (95 % bootstrap interval over sets)", "sets"]
    head += [f"{reference} minus it (interval)", f"wins/ties/losses of {reference}"]
    return markdown([*head, "p", "p (Holm)"], rows)


def main() -> None:
    """Read the command line and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--directory", type=Path, default=Path("real"))
    summary = parser.parse_args().directory / "results" / "summary"
    rows = read_table(summary / "methods.tsv")
    seeds: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        if row[METRIC]:
            seeds.setdefault((row["method"], row["dataset"]), []).append(float(row[METRIC]))
    scores = {key: sum(values) / len(values) for key, values in seeds.items()}
    records = [row for row in read_table(summary / "comparison.tsv") if row["metric"] == METRIC]
    means = {record["method"]: float(record["mean"] or 0) for record in records}
    order = sorted(means, key=means.__getitem__, reverse=True)
    print(by_set(scores, order))
    for reference in dict.fromkeys(one["reference"] for one in records if one["reference"]):
        print(against(records, reference, order))


if __name__ == "__main__":
    main()
