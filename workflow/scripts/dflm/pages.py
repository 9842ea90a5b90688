"""Pages of HTML that need no other file: their style, their sorted tables, their frame."""

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


def html_page(title: str, body: str, style: str = STYLE, script: str = "") -> str:
    """Build a page.

    Parameters
    ----------
    title : str
        HTML, as `body` is.
    body : str
    style, script : str
        CSS and JavaScript.

    Returns
    -------
    str
        HTML 5.
    """
    if script:
        body += f"\n<script>{script}</script>"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{body}
</body>
</html>
"""


def html_table(head: str, body: str, foot: str = "") -> str:
    """Build a table in its frame from rows of HTML; `SCRIPT` sorts it at a click on a heading."""
    if foot:
        foot = f"\n<tfoot><tr>{foot}</tr></tfoot>"
    return f"""<div class="frame"><table>
<thead><tr>{head}</tr></thead>
<tbody>
{body}
</tbody>{foot}
</table></div>"""
