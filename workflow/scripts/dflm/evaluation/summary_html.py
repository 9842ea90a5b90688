"""The summary as one self-contained page: no outside asset, sorted by a click."""

from collections.abc import Mapping, Sequence
from html import escape

STYLE = """
:root { --ink: #22262b; --soft: #667085; --line: #e3e6ea; --blue: #0072b2; --band: #f6f8fa; }
* { box-sizing: border-box; }
body { margin: 2rem auto; padding: 0 1.5rem; max-width: 1500px; color: var(--ink);
  font: 15px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { font-size: 1.45rem; margin: 0 0 .2rem; }
p { color: var(--soft); margin: .2rem 0 1rem; }
.figures { display: flex; flex-wrap: wrap; gap: .8rem; margin: 1rem 0 1.4rem; }
.figure { border: 1px solid var(--line); border-radius: .5rem; padding: .6rem 1rem; }
.figure b { display: block; font-size: 1.35rem; font-variant-numeric: tabular-nums; }
.figure span { color: var(--soft); font-size: .85rem; }
.frame { overflow-x: auto; border: 1px solid var(--line); border-radius: .5rem; }
table { border-collapse: collapse; width: 100%; font-size: .88rem; }
th, td { padding: .42rem .45rem; text-align: left; border-bottom: 1px solid var(--line); }
tbody tr:hover { background: var(--band); }
th { background: var(--band); vertical-align: bottom; cursor: pointer; user-select: none; }
th:focus-visible { outline: 2px solid var(--blue); outline-offset: -2px; }
th[aria-sort=ascending]::after { content: " ▲"; color: var(--blue); }
th[aria-sort=descending]::after { content: " ▼"; color: var(--blue); }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
td.n { white-space: nowrap; }
td.name { overflow-wrap: anywhere; min-width: 18.5rem; }
td.name small { display: block; color: var(--soft); }
td.best { font-weight: 700; color: var(--blue); }
td.bar { min-width: 5.5rem; background-image: linear-gradient(#cfe5f2, #cfe5f2);
  background-repeat: no-repeat; }
tfoot td { font-weight: 600; background: var(--band); border-bottom: 0; }
.badge { padding: .08rem .55rem; border-radius: 1rem; font-size: .8rem; font-weight: 600; }
.ok { background: #d7f0e6; color: #00563e; }
.skipped { background: #eceef1; color: #4a5260; }
.failed { background: #fbe3d3; color: #8a3300; }
"""

SCRIPT = """
const key = (row, i) => row.cells[i].dataset.value;
function sort(head) {
  const table = head.closest("table"), body = table.tBodies[0];
  const i = head.cellIndex, number = head.classList.contains("n");
  const first = number ? "descending" : "ascending";
  const was = head.getAttribute("aria-sort");
  const order = was === first ? (number ? "ascending" : "descending") : first;
  const sign = order === "ascending" ? 1 : -1;
  const compare = (a, b) => {
    const x = key(a, i), y = key(b, i);
    if (x === "" || y === "") return (x === "") - (y === "");
    return sign * (number ? x - y : x.localeCompare(y));
  };
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", order);
  body.append(...[...body.rows].sort(compare));
}
for (const head of document.querySelectorAll("thead th")) {
  head.tabIndex = 0;
  head.onclick = () => sort(head);
  head.onkeydown = (event) => { if (event.key === "Enter") sort(head); };
}
"""


def html_page(records: Sequence[Mapping], mean: Mapping, columns: Sequence) -> str:
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
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>AUROC per set</title>
<style>{STYLE}</style>
</head>
<body>
<h1>AUROC per ChIP-seq set</h1>
<p>Measured once, on each set's own test file. A click on a heading sorts;
its tooltip says what the column is.</p>
<div class="figures">{_figures(records, mean)}</div>
<div class="frame"><table>
<thead><tr>{head}</tr></thead>
<tbody>
{body}
</tbody>
<tfoot><tr>{foot}</tr></tfoot>
</table></div>
<script>{SCRIPT}</script>
</body>
</html>
"""


def _kind(column) -> str:
    return "w" if column.decimals is None else "n"


def _figures(records: Sequence[Mapping], mean: Mapping) -> str:
    """Headline numbers above the table."""
    states = [record["status"] for record in records]
    figures = []
    if mean["auroc"] is not None:
        interval = f"{mean['auroc_low']:.3f} to {mean['auroc_high']:.3f}"
        figures.append((f"{mean['auroc']:.3f}", f"mean AUROC (95 % interval {interval})"))
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
