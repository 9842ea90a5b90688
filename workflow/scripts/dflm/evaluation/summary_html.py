"""The summary as one self-contained page."""

from collections.abc import Mapping, Sequence
from html import escape

from dflm.pages import SCRIPT, html_page, html_table


def summary_page(records: Sequence[Mapping], mean: Mapping, columns: Sequence) -> str:
    """Build the page.

    Parameters
    ----------
    records : sequence of mapping
        Rows of the table, one a set.
    mean : mapping
        The averaged row.
    columns : sequence of Column
        See `dflm.evaluation.summary`; the interval stands above the table, a
        reason under the set's name.

    Returns
    -------
    str
        HTML 5.
    """
    hidden = ("reason", "auroc_low", "auroc_high")
    columns = [column for column in columns if column.name not in hidden]
    head = "".join(
        f'<th scope="col" class="{_kind(column)}" title="{escape(column.meaning)}">'
        f"{escape(column.heading)}</th>"
        for column in columns
    )
    body = "\n".join(f"<tr>{_cells(record, columns)}</tr>" for record in records)
    foot = _cells(mean, columns)
    return html_page(
        "AUROC per set",
        f"""<h1>AUROC per ChIP-seq set</h1>
<p>Measured once, on each set's own test file. A click on a heading sorts;
its tooltip says what the column is.</p>
<div class="figures">{_figures(records, mean)}</div>
{html_table(head, body, foot)}""",
        script=SCRIPT,
    )


def _kind(column) -> str:
    return "w" if column.decimals is None else "n"


def _figures(records: Sequence[Mapping], mean: Mapping) -> str:
    """Headline numbers above the table."""
    states = [record["status"] for record in records]
    figures = []
    if mean["auroc"] is not None:
        label = "mean AUROC"
        if mean["auroc_low"] is not None:
            label += f" (95 % interval {mean['auroc_low']:.3f} to {mean['auroc_high']:.3f})"
        figures.append((f"{mean['auroc']:.3f}", label))
        figures.append((f"{mean['auprc']:.3f}", "mean average precision"))
    figures.append((f"{states.count('ok')} of {len(states)}", "sets with a score"))
    for state in ("skipped", "failed"):
        if states.count(state):
            figures.append((str(states.count(state)), state))
    return "".join(
        f'<div class="figure"><b>{value}</b><span>{label}</span></div>' for value, label in figures
    )


def _cells(record: Mapping, columns: Sequence) -> str:
    """Cells of one row."""
    cells = []
    for column in columns:
        value = record[column.name]
        if column.decimals is None:
            word = shown = escape(value or "")
            kind = "name" if column.name == "dataset" else "w"
            if column.name == "dataset" and record["reason"]:
                shown += f"<small>{escape(record['reason'])}</small>"
            elif column.name == "status" and word:
                shown = f'<span class="badge {word}">{word}</span>'
            cells.append(f'<td class="{kind}" data-value="{word}">{shown}</td>')
        elif value is None:
            cells.append('<td class="n" data-value="">–</td>')
        else:
            kind, bar = "n", ""
            if column.name == "auroc":
                # From 0.5, what guessing reaches, to 1.
                kind = "n bar"
                bar = f' style="background-size:{max(0.0, min(1.0, 2 * value - 1)):.1%} 100%"'
            cells.append(
                f'<td class="{kind}"{bar} data-value="{value:.9g}">'
                f"{value:,.{column.decimals}f}</td>"
            )
    return "".join(cells)
