"""Motifs found on attributions, by TF-MoDISco or grown from seeds, and the files that hold them."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence

from dflm.errors import InputError
from dflm.files import write_json
from dflm.mining.attribution.files import AttributionSet, load_attributions
from dflm.mining.motifs.files import write_meme, write_transfac
from dflm.mining.motifs.modisco import can_run, check_installed, find_modisco_motifs
from dflm.mining.motifs.motif import Motif
from dflm.mining.motifs.seeds import find_seed_motifs

log = logging.getLogger(__name__)

FINDERS = ("auto", "modisco", "seeds")


def discover_motifs(
    found: AttributionSet, finder: str = "auto", most: int = 10
) -> tuple[list[Motif], str]:
    """Return the motifs of a model, and what found them; see `find_motifs`."""
    check_finder(finder)
    motifs: list[Motif] = []
    if finder == "modisco" or (finder == "auto" and can_run(found)):
        motifs = find_modisco_motifs(found)
        # Those that speak for being bound first; each kind by its number of sites.
        motifs.sort(key=lambda motif: (motif.name.startswith("neg"), -motif.sites))
        if motifs or finder == "modisco":
            return motifs[:most], "TF-MoDISco"
    return find_seed_motifs(found, most), "seeds"


def check_finder(finder: str) -> None:
    """Raise InputError where there is no such finder or it is not installed."""
    if finder not in FINDERS:
        raise InputError(f"no finder {finder!r}", mend=f"give one of {', '.join(FINDERS)}")
    if finder == "modisco":
        check_installed()


def about_motifs(found: AttributionSet, motifs: Sequence[Motif], used: str) -> dict:
    """Return what motifs.json says."""
    return {
        "model": found.model,
        "attribution": found.method,
        "finder": used,
        "sequences": len(found),
        "motifs": [motif.name for motif in motifs],
    }


def write_motifs(
    motifs: Sequence[Motif], meme: str | os.PathLike, transfac: str | os.PathLike
) -> None:
    """Write motifs as a MEME and a TRANSFAC file."""
    write_meme(meme, motifs)
    write_transfac(transfac, motifs)


def find_set_motifs(
    attributions: str | os.PathLike,
    meme: str | os.PathLike,
    transfac: str | os.PathLike,
    about: str | os.PathLike,
    *,
    finder: str,
    most: int,
) -> None:
    """Find the motifs of an attribution file.

    Parameters
    ----------
    attributions : path-like
        What `dflm.mining.attribution.files.save_attributions` wrote.
    meme, transfac, about : path-like
        Motifs to write in MEME's and TRANSFAC's format, and a JSON file about them.
    finder : {"auto", "modisco", "seeds"}
    most : int >= 1
        Motifs to keep.

    Raises
    ------
    InputError
        If the file is wrong, or the finder is not installed.
    """
    found = load_attributions(attributions)
    motifs, used = discover_motifs(found, finder, most)
    write_motifs(motifs, meme, transfac)
    write_json(about, about_motifs(found, motifs, used))
    for motif in motifs:
        log.info("%s  %s  %d sites", motif.name, motif.consensus, motif.sites)
    log.info("%d motifs of %d sequences, by %s", len(motifs), len(found), used)
