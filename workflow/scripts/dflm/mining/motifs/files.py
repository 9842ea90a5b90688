"""Motif files: MEME's minimal format, read and written, and TRANSFAC."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from dflm.errors import InputError
from dflm.files import atomic_path, text_lines
from dflm.mining.motifs.motif import Motif
from dflm.sequences.kmers import BASES


def read_meme(path: str | os.PathLike, *, empty: bool = False) -> list[Motif]:
    """Read the motifs of a MEME file, plain or gzipped.

    Parameters
    ----------
    path : path-like
    empty : bool
        Whether it may hold none, if it says that it is of MEME's format.

    Returns
    -------
    list of Motif
        Named by what stands behind ``MOTIF``: an identifier and perhaps another name.

    Raises
    ------
    InputError
        Naming the line, if it is no MEME file of DNA motifs or breaks off.
    """
    motifs: list[Motif] = []
    name, rows, wanted, sites, is_meme = "", [], 0, 0, False
    for number, line in text_lines(path, "give a file in MEME format"):
        try:
            text = line.strip()
            if text.startswith("MEME version"):
                is_meme = True
            elif text.startswith("MOTIF"):
                if wanted:
                    raise ValueError(f"{name} has {len(rows)} rows, not {wanted}")
                name = " ".join(text.split()[1:])
                if not name:
                    raise ValueError("a motif without a name")
            elif text.startswith("letter-probability matrix"):
                found = re.search(r"\bw=\s*(\d+)", text)
                if not name:
                    raise ValueError("a matrix without a name")
                if not found:
                    raise ValueError("a matrix without its width (w= and a number)")
                wanted, rows = int(found[1]), []
                if not wanted:
                    raise ValueError(f"{name} has no row")
                counted = re.search(r"\bnsites=\s*(\d+)", text)
                sites = int(counted[1]) if counted else 0
            elif text.startswith("ALPHABET=") and text.split("=")[1].strip() != BASES:
                raise ValueError(f"the alphabet is no DNA: {text}")
            elif wanted and text:
                row = [float(field) for field in text.split()]
                if len(row) != len(BASES) or min(row) < 0 or not abs(sum(row) - 1) <= 0.02:
                    raise ValueError("not four probabilities that sum up to 1")
                rows.append(np.array(row) / sum(row))
                if len(rows) == wanted:
                    motifs.append(Motif(name, np.array(rows), sites))
                    name, wanted = "", 0
        except ValueError as error:
            mend = "give a file in MEME format"
            raise InputError(f"line {number}: {error}", path, mend) from None
    if wanted:
        raise InputError(f"breaks off in motif {name}", path)
    if not motifs and not (empty and is_meme):
        raise InputError("holds no motif", path, "give a file in MEME format")
    return motifs


def named(motif: Motif) -> Motif:
    """Return a motif of a file of `write_meme` under its own name, without its consensus."""
    name = motif.name.split()[0]
    return Motif(name, motif.probabilities, motif.sites, motif.contributions)


def write_meme(path: str | os.PathLike, motifs: Sequence[Motif]) -> None:
    """Write motifs in MEME's minimal format, version 4."""
    lines = ["MEME version 4", "", f"ALPHABET= {BASES}", "", "strands: + -", ""]
    lines += ["Background letter frequencies", "A 0.25 C 0.25 G 0.25 T 0.25", ""]
    for motif in motifs:
        lines.append(f"MOTIF {motif.name} {motif.consensus}")
        lines.append(
            f"letter-probability matrix: alength= 4 w= {motif.width} nsites= {motif.sites} E= 0"
        )
        lines += [" ".join(f"{p:.6f}" for p in row) for row in motif.probabilities]
        lines.append("")
    _write(path, lines)


def write_transfac(path: str | os.PathLike, motifs: Sequence[Motif]) -> None:
    """Write motifs in TRANSFAC's format: expected counts of the sites that each was made from."""
    lines = []
    for motif in motifs:
        lines += [
            f"AC  {motif.name}",
            "XX",
            f"ID  {motif.name}",
            "XX",
            "P0      A      C      G      T",
        ]
        for place, row in enumerate(motif.probabilities * max(motif.sites, 1), start=1):
            letter = motif.consensus[place - 1].upper()
            lines.append(f"{place:02d} " + " ".join(f"{count:.3f}" for count in row) + f" {letter}")
        lines += ["XX", "//"]
    _write(path, lines)


def _write(path: str | os.PathLike, lines: Iterable[str]) -> None:
    with atomic_path(path) as temporary:
        Path(temporary).write_text("\n".join(lines) + "\n", encoding="utf-8")
