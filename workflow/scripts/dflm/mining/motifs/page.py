"""A page about the motifs of one model: one HTML file that needs nothing beside it."""

from __future__ import annotations

import base64
import html
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dflm.files import atomic_path
from dflm.mining.motifs.motif import Motif
from dflm.mining.motifs.tomtom import Match

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #22262B; max-width: 60em; margin: 2em auto;
       padding: 0 1em; }
h1 { font-size: 1.5em; } h2 { font-size: 1.15em; margin-top: 2em; border-top: 1px solid #E3E6EA;
     padding-top: 1em; }
table { border-collapse: collapse; } th, td { text-align: left; padding: .2em .9em .2em 0; }
th { border-bottom: 1px solid #8A8F98; } td.number { text-align: right; }
img { max-width: 100%; display: block; margin: .6em 0; } .note { color: #5B6168; }
"""


@dataclass(frozen=True)
class Entry:
    """What the page shows of a motif."""

    motif: Motif
    sequences: int
    """Attributed sequences that hold a site."""
    hits: int
    """Sites in them."""
    matches: Sequence[Match]
    pictures: Sequence[Path]
    """SVG files, from above to below."""


def write_page(
    path: str | os.PathLike,
    title: str,
    entries: Sequence[Entry],
    *,
    sequences: int,
    note: str,
) -> None:
    """Write the page.

    Parameters
    ----------
    path : path-like
        HTML to write.
    title : str
        The model's name.
    entries : sequence of Entry
    sequences : int
        Attributed sequences.
    note : str
        How the motifs were found.
    """
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f"<title>Motifs of {html.escape(title)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>Motifs of {html.escape(title)}</h1>",
        f'<p class="note">{html.escape(note)}</p>',
    ]
    if not entries:
        parts.append("<p>No motif was found.</p>")
    else:
        parts.append(_overview(entries, sequences))
    for entry in entries:
        parts.append(_section(entry, sequences))
    parts.append("</body></html>")
    with atomic_path(path) as temporary:
        Path(temporary).write_text("\n".join(parts) + "\n", encoding="utf-8")


def _overview(entries: Sequence[Entry], sequences: int) -> str:
    rows = []
    for entry in entries:
        best = entry.matches[0] if entry.matches else None
        rows.append(
            f'<tr><td><a href="#{html.escape(entry.motif.name)}">{html.escape(entry.motif.name)}'
            f"</a></td><td>{entry.motif.consensus}</td>"
            f'<td class="number">{entry.hits}</td><td class="number">{entry.sequences}</td>'
            f"<td>{html.escape(best.target) if best else '.'}</td>"
            f'<td class="number">{f"{best.q_value:.2g}" if best else "."}</td></tr>'
        )
    head = "<tr><th>motif</th><th>consensus</th><th>sites</th>"
    head += f"<th>sequences of {sequences}</th><th>best match</th><th>q</th></tr>"
    return f"<table>{head}{''.join(rows)}</table>"


def _section(entry: Entry, sequences: int) -> str:
    name = html.escape(entry.motif.name)
    parts = [
        f'<h2 id="{name}">{name}: {entry.motif.consensus}</h2>',
        f"<p>{entry.hits} sites in {entry.sequences} of {sequences} sequences; the matrix was made "
        f"from {entry.motif.sites}.</p>",
    ]
    for picture in entry.pictures:
        packed = base64.b64encode(Path(picture).read_bytes()).decode("ascii")
        parts.append(f'<img alt="{name}" src="data:image/svg+xml;base64,{packed}">')
    if entry.matches:
        rows = "".join(
            f'<tr><td>{html.escape(match.target)}</td><td class="number">{match.p_value:.2g}</td>'
            f'<td class="number">{match.q_value:.2g}</td>'
            f'<td class="number">{match.overlap}</td></tr>'
            for match in entry.matches
        )
        parts.append(
            f"<table><tr><th>match</th><th>p</th><th>q</th><th>overlap</th></tr>{rows}</table>"
        )
    return "\n".join(parts)
