"""The motifs of a model: found on attributions, compared, located, and written to a folder."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dflm.errors import InputError
from dflm.files import write_json
from dflm.mining.attribution import AttributionSet
from dflm.mining.comparison import Match, compare
from dflm.mining.modisco import can_run, find_modisco_motifs
from dflm.mining.motif import Motif
from dflm.mining.motif_files import read_meme, write_meme, write_transfac
from dflm.mining.motif_page import Entry, write_page
from dflm.mining.motif_plots import plot_lie, plot_motif, plot_pair
from dflm.mining.seeds import find_seed_motifs
from dflm.mining.sites import P_VALUE, Sites, find_sites, positions, spacings
from dflm.mining.tracks import write_lines

log = logging.getLogger(__name__)

FINDERS = ("auto", "modisco", "seeds")
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
    database: str | os.PathLike | None = None,
    most: int = 10,
) -> list[Motif]:
    """Find the motifs of a model and write all about them.

    Parameters
    ----------
    found : AttributionSet
        Of bound sequences.
    folder : path-like
        For motifs.meme, motifs.transfac, motifs.tsv, matches.tsv, sites.tsv, motifs.json,
        index.html, and logos/ with a picture of each motif.
    finder : {"auto", "modisco", "seeds"}
        "auto" is TF-MoDISco where it is installed, and the seeds where it is not, has too little
        to read or finds nothing; motifs.json says which it was.
    database : path-like, optional
        MEME file to compare with.
    most : int >= 1
        Motifs to keep: those with most sites.

    Returns
    -------
    list of Motif

    Raises
    ------
    InputError
        If there is no such finder or it is not installed, or the database is wrong.
    """
    if finder not in FINDERS:
        raise InputError(f"no finder {finder!r}", mend=f"give one of {', '.join(FINDERS)}")
    targets = read_meme(database) if database is not None else []
    motifs, used = _find(found, finder, most)
    sites = [
        find_sites(motif, found, credited=motif.name.startswith(("pos", "seed")))
        for motif in motifs
    ]
    matches = compare(motifs, targets) if targets else []
    folder = Path(folder)
    write_meme(folder / "motifs.meme", motifs)
    write_transfac(folder / "motifs.transfac", motifs)
    _write_tables(folder, motifs, sites, matches, found)
    entries = [
        _entry(folder / "logos", motif, place, matches, targets, found)
        for motif, place in zip(motifs, sites, strict=True)
    ]
    note = (
        f"{len(found)} sequences, attributed by {found.method}; motifs by {used}. Sites are "
        f"matches at p < {P_VALUE:g} whose bases carry credit for being bound. "
    )
    note += (
        f"Matches by TOMTOM against {Path(database).name}, {len(targets)} motifs; q by Benjamini "
        "and Hochberg over these."
        if targets
        else "No database was given to compare with."
    )
    write_page(folder / "index.html", found.model, entries, sequences=len(found), note=note)
    write_json(
        folder / "motifs.json",
        {
            "model": found.model,
            "attribution": found.method,
            "finder": used,
            "sequences": len(found),
            "database": Path(database).name if targets else None,
            "motifs": [motif.name for motif in motifs],
        },
    )
    return motifs


def _find(found: AttributionSet, finder: str, most: int) -> tuple[list[Motif], str]:
    motifs: list[Motif] = []
    if finder == "modisco" or (finder == "auto" and can_run(found)):
        motifs = find_modisco_motifs(found)
        # Those that speak for being bound first; each kind by its number of sites.
        motifs.sort(key=lambda motif: (motif.name.startswith("neg"), -motif.sites))
        if motifs or finder == "modisco":
            return motifs[:most], "TF-MoDISco"
    return find_seed_motifs(found, most), "seeds"


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
    lines = [
        f"{m.query}\t{m.rank}\t{m.target}\t{m.p_value:.6g}\t{m.q_value:.6g}\t{m.overlap}\t"
        f"{'-' if m.reverse else '+'}"
        for m in matches
    ]
    header = "motif\trank\ttarget\tp_value\tq_value\toverlap\tstrand"
    write_lines(folder / "matches.tsv", lines, header)


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
