"""The motifs of a model: found on attributions, compared, located, and written to a folder."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dflm.errors import InputError
from dflm.files import read_json, write_json
from dflm.mining.attribution.files import AttributionSet, load_attributions
from dflm.mining.motifs.discovery import about_motifs, discover_motifs, write_motifs
from dflm.mining.motifs.files import named, read_meme
from dflm.mining.motifs.motif import Motif
from dflm.mining.motifs.page import Entry, write_page
from dflm.mining.motifs.plots import plot_lie, plot_motif, plot_pair
from dflm.mining.motifs.sites import P_VALUE, Sites, find_sites, positions, spacings
from dflm.mining.motifs.tomtom import Match, compare, read_matches, write_matches
from dflm.mining.output import write_lines
from dflm.tables import read_table

log = logging.getLogger(__name__)

MOTIF_COLUMNS = (
    "motif",
    "consensus",
    "width",
    "seqlets",
    "sites",
    "sequences",
    "best_match",
    "p_value",
    "q_value",
)
SITE_COLUMNS = ("sequence", "start", "end", "motif", "score", "strand", "credit")


def find_motifs(
    found: AttributionSet,
    folder: str | os.PathLike,
    *,
    finder: str = "auto",
    targets: Sequence[Motif] = (),
    database: str | None = None,
    most: int = 10,
) -> list[Motif]:
    """Find the motifs of a model and write all about them.

    Parameters
    ----------
    found : AttributionSet
        Of bound sequences.
    folder : path-like
        For motifs.meme, motifs.transfac, motifs.json, matches.tsv, and what `describe_motifs`
        writes.
    finder : {"auto", "modisco", "seeds"}
        "auto" is TF-MoDISco where it is installed, and the seeds where it is not, has too little
        to read or finds nothing; motifs.json says which it was.
    targets : sequence of Motif
        What to compare with.
    database : str, optional
        Its name.
    most : int >= 1
        Motifs to keep: those with most sites.

    Returns
    -------
    list of Motif

    Raises
    ------
    InputError
        If there is no such finder or it is not installed.
    """
    folder = Path(folder)
    motifs, used = discover_motifs(found, finder, most)
    write_motifs(motifs, folder / "motifs.meme", folder / "motifs.transfac")
    matches = compare(motifs, targets) if targets else []
    write_matches(folder / "matches.tsv", matches)
    write_json(folder / "motifs.json", about_motifs(found, motifs, used))
    describe_motifs(found, motifs, used, matches, targets, database, folder)
    return motifs


def describe_motifs(
    found: AttributionSet,
    motifs: Sequence[Motif],
    used: str,
    matches: Sequence[Match],
    targets: Sequence[Motif],
    database: str | None,
    folder: str | os.PathLike,
) -> None:
    """Locate motifs in the attributed sequences, and write tables, logos and a page about them.

    Parameters
    ----------
    found : AttributionSet
    motifs : sequence of Motif
    used : str
        What found them.
    matches : sequence of Match
        Motifs of the database that they are like.
    targets : sequence of Motif
        The database; empty without one.
    database : str or None
        Its name.
    folder : path-like
        For motifs.tsv, sites.tsv, index.html, and logos/ with pictures of each motif.
    """
    sites = [
        find_sites(motif, found, credited=motif.name.startswith(("pos", "seed")))
        for motif in motifs
    ]
    folder = Path(folder)
    _remove_logos(folder)
    (folder / "logos").mkdir(parents=True, exist_ok=True)
    _write_tables(folder, motifs, sites, matches, found)
    entries = [
        _entry(folder / "logos", motif, place, matches, targets, found)
        for motif, place in zip(motifs, sites, strict=True)
    ]
    note = (
        f"{len(found)} sequences, attributed by {found.method}; motifs by {used}. Sites are "
        f"matches at p < {P_VALUE:g}, or the best match of a motif too short for that, whose bases "
        "carry credit for being bound. "
    )
    note += (
        f"Matches by TOMTOM against {database}, {len(targets)} motifs; q by Benjamini "
        "and Hochberg over these."
        if targets
        else "No database was given to compare with."
    )
    write_page(folder / "index.html", found.model, entries, sequences=len(found), note=note)


def _remove_logos(folder: Path) -> None:
    """Delete the pictures of an earlier call, by its table: other files there are not ours."""
    try:
        rows = read_table(folder / "motifs.tsv")
    except InputError:
        return
    for name in {Path(row.get("motif", "")).name for row in rows}:
        for ending in ("svg", "sites.svg"):
            (folder / "logos" / f"{name}.{ending}").unlink(missing_ok=True)


def _write_tables(
    folder: Path,
    motifs: Sequence[Motif],
    sites: Sequence[Sites],
    matches: Sequence[Match],
    found: AttributionSet,
) -> None:
    rows, places = [], []
    for motif, place in zip(motifs, sites, strict=True):
        best = next((match for match in matches if match.query == motif.name), None)
        ends = (best.target, f"{best.p_value:.6g}", f"{best.q_value:.6g}") if best else (".",) * 3
        numbers = (motif.width, motif.sites, len(place), len(np.unique(place.rows)))
        rows.append("\t".join(map(str, (motif.name, motif.consensus, *numbers, *ends))))
        for i, row in enumerate(place.rows):
            start = int(place.starts[i] + found.starts[row])
            places.append(
                f"{found.names[row]}\t{start}\t{start + motif.width}\t{motif.name}\t"
                f"{place.scores[i]:.6g}\t{'-' if place.reverse[i] else '+'}\t{place.credit[i]:.6g}"
            )
    write_lines(folder / "motifs.tsv", rows, "\t".join(MOTIF_COLUMNS))
    write_lines(folder / "sites.tsv", places, "\t".join(SITE_COLUMNS))


def _entry(
    logos: Path,
    motif: Motif,
    place: Sites,
    matches: Sequence[Match],
    targets: Sequence[Motif],
    found: AttributionSet,
) -> Entry:
    mine = [match for match in matches if match.query == motif.name]
    pictures = [logos / f"{motif.name}.svg", logos / f"{motif.name}.sites.svg"]
    if mine:
        target = next(one for one in targets if one.name == mine[0].target)
        plot_pair(motif, target, mine[0].offset, mine[0].reverse, pictures[0])
    else:
        plot_motif(motif, pictures[0])
    plot_lie(
        positions(place, motif.width, found.lengths),
        *spacings(place),
        found.codes.shape[1],
        pictures[1],
    )
    return Entry(motif, len(np.unique(place.rows)), len(place), mine, pictures)


def write_motif_page(
    attributions: str | os.PathLike,
    motifs: str | os.PathLike,
    about: str | os.PathLike,
    folder: str | os.PathLike,
    *,
    matches: str | os.PathLike | None = None,
    database: str | os.PathLike | None = None,
    called: str | None = None,
) -> None:
    """Describe the motifs of files; see `describe_motifs`.

    Parameters
    ----------
    attributions : path-like
        What `dflm.mining.attribution.files.save_attributions` wrote.
    motifs, about : path-like
        motifs.meme and motifs.json, of `dflm.mining.motifs.discovery.find_set_motifs`.
    folder : path-like
        Where to write.
    matches, database : path-like, optional
        matches.tsv of `dflm.mining.motifs.tomtom.match_motifs`, and the MEME file it is about.
    called : str, optional
        What the page calls that file.
    """
    found = load_attributions(attributions)
    known = [named(motif) for motif in read_meme(motifs, empty=True)]
    targets = read_meme(database) if database is not None else []
    pairs = read_matches(matches) if matches is not None else []
    describe_motifs(found, known, read_json(about)["finder"], pairs, targets, called, folder)
