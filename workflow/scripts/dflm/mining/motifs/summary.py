"""The best motif of each set in one table and on one page, or why a set has none."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from dflm.evaluation.summary import outcome
from dflm.files import atomic_path, read_json
from dflm.mining.output import write_lines
from dflm.pages import STYLE, html_page, html_table
from dflm.tables import read_table

FOUND = ("motif", "consensus", "width", "sites", "sequences")
MATCH = ("best_match", "p_value", "q_value")
COLUMNS = (
    *("dataset", "tf", "cell_line", "status", "reason"),
    *FOUND,
    *("attributed", "motifs"),
    *MATCH,
)
NONE_FOUND = "no motif was found"
MORE = """
body { max-width: 1180px; } .frame { margin-top: 1rem; } td img { height: 9.5rem; display: block; }
td small { color: var(--soft); display: block; }
"""


def summarise_motifs(
    rows: Sequence[Mapping],
    motifs: Mapping[str, str | Path],
    stats: Mapping[str, str | Path],
    logs: Mapping[str, Sequence[str | Path]],
    table: str | Path,
    page: str | Path,
) -> list[dict]:
    """Write the table and the page.

    Parameters
    ----------
    rows : sequence of mapping
        One a set: ``dataset``, ``tf``, ``cell_line``, and ``status`` and ``reason`` where it is
        known beforehand that it cannot start.
    motifs : mapping of str to path-like
        motifs.tsv by dataset, of the sets that ended; motifs.json and logos/ lie beside it.
    stats : mapping of str to path-like
        stats.json by dataset, where there is one.
    logs : mapping of str to sequence of path-like
        Logs of a failed set, the earliest job's first.
    table, page : path-like
        TSV and HTML to write.

    Returns
    -------
    list of dict
        The rows of the table.
    """
    records, pictures = [], {}
    for row in rows:
        name = row["dataset"]
        path = Path(motifs[name]) if name in motifs else None
        counts = read_json(stats[name]) if name in stats and Path(stats[name]).exists() else {}
        about = path.with_name("motifs.json") if path is not None else None
        status, reason, told = outcome(row, about, counts, logs.get(name, ()))
        record = dict.fromkeys(COLUMNS, "")
        record |= {key: row.get(key) or "" for key in ("dataset", "tf", "cell_line")}
        record |= {"status": status, "reason": reason}
        if status == "ok":
            found = read_table(path)
            record |= {"attributed": told["sequences"], "motifs": len(found)}
            record["reason"] = "" if found else NONE_FOUND
            if found:
                record |= {key: found[0][key] for key in FOUND}
                record |= {key: found[0][key].removeprefix(".") for key in MATCH}
                pictures[name] = path.parent / "logos" / f"{record['motif']}.svg"
        records.append(record)
    lines = ["\t".join(" ".join(str(record[key]).split()) for key in COLUMNS) for record in records]
    write_lines(table, lines, "\t".join(COLUMNS))
    with atomic_path(page) as temporary:
        temporary.write_text(_page(records, pictures), encoding="utf-8")
    return records


def _page(records: Sequence[Mapping], pictures: Mapping[str, Path]) -> str:
    rows = "\n".join(_row(record, pictures.get(record["dataset"])) for record in records)
    head = (
        '<th>set</th><th>logo</th><th class="n">sites</th><th class="n">sequences</th>'
        '<th>best match</th><th class="n">q</th>'
    )
    return html_page(
        "Motifs of all sets",
        f"""<h1>Motifs of all sets</h1>
<p>The best motif that each classifier has learnt; where a database was given, its best match is
drawn below it, laid as the two are alike. All motifs of a set stand on its own page.</p>
{html_table(head, rows)}""",
        STYLE + MORE,
    )


def _row(record: Mapping, picture: Path | None) -> str:
    status = record["status"]
    name = f"{escape(record['dataset'])}<small>{escape(record['tf'])}</small>"
    if picture is None:
        badge = "" if status == "ok" else f'<span class="badge {status}">{status}</span> '
        return (
            f'<tr><td class="name">{name}</td>'
            f'<td colspan="5">{badge}{escape(record["reason"])}</td></tr>'
        )
    packed = base64.b64encode(picture.read_bytes()).decode("ascii")
    logo = f'<img alt="{escape(record["consensus"])}" src="data:image/svg+xml;base64,{packed}">'
    q = f"{float(record['q_value']):.2g}" if record["q_value"] else ""
    return (
        f'<tr><td class="name">{name}</td><td>{logo}</td><td class="n">{record["sites"]}</td>'
        f'<td class="n">{record["sequences"]} of {record["attributed"]}</td>'
        f'<td>{escape(record["best_match"])}</td><td class="n">{q}</td></tr>'
    )


def format_motifs(table: str | Path) -> str:
    """Lay the table out for a terminal: a line a set."""
    records = read_table(table)
    heads = ("set", "motif", "sites", "in sequences", "best match", "q")
    lines = [heads]
    for record in records:
        if record["motif"]:
            share = f"{record['sequences']}/{record['attributed']}"
            q = f"{float(record['q_value']):.2g}" if record["q_value"] else "-"
            words = (record["consensus"], record["sites"], share, record["best_match"] or "-", q)
        else:
            words = (f"{record['status']}: {record['reason']}", "", "", "", "")
        lines.append((record["dataset"], *words))
    widths = [max(len(line[i]) for line in lines if line[2]) for i in range(len(heads))]
    widths[0] = max(len(line[0]) for line in lines)
    text = [
        "  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    return "\n".join([text[0], "-" * max(map(len, text)), *text[1:]])
