"""Motifs compared with a database, by TOMTOM.

Gupta et al., "Quantifying similarity between motifs", Genome Biology 8:R24, 2007; by the package
memelite.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dflm.errors import InputError
from dflm.mining.motifs.files import named, read_meme
from dflm.mining.motifs.motif import Motif
from dflm.mining.output import write_lines
from dflm.tables import read_records

SHOWN = 5
COLUMNS = ("motif", "rank", "target", "p_value", "q_value", "overlap", "strand", "offset")


@dataclass(frozen=True)
class Match:
    """A motif of the database that a motif is like."""

    query: str
    rank: int
    """From 1, the likest."""
    target: str
    p_value: float
    q_value: float
    """Benjamini and Hochberg's, over the database."""
    overlap: int
    """Places that lie on one another."""
    reverse: bool
    """Whether the target is turned."""
    offset: int


def compare(motifs: Sequence[Motif], database: Sequence[Motif], shown: int = SHOWN) -> list[Match]:
    """Find the motifs of a database that each motif is like.

    Parameters
    ----------
    motifs : sequence of Motif
    database : sequence of Motif
        P-values rest on what is in it: at least some dozens.
    shown : int >= 1
        Matches of a motif to return.

    Returns
    -------
    list of Match
        By motif and rank.
    """
    if not motifs:
        return []
    from memelite import tomtom

    targets = [np.ascontiguousarray(motif.probabilities.T) for motif in database]
    queries = [np.ascontiguousarray(motif.probabilities.T) for motif in motifs]
    p_values, _, offsets, overlaps, strands = tomtom(queries, targets, n_jobs=1)[:5]
    matches = []
    for row, motif in enumerate(motifs):
        p = np.clip(np.asarray(p_values[row], dtype=float), 0.0, 1.0)
        q = benjamini_hochberg(p)
        order = np.lexsort((np.arange(len(p)), p))
        for rank, target in enumerate(order[:shown], start=1):
            matches.append(
                Match(
                    motif.name,
                    rank,
                    database[target].name,
                    float(p[target]),
                    float(q[target]),
                    int(overlaps[row][target]),
                    bool(strands[row][target]),
                    int(offsets[row][target]),
                )
            )
    return matches


def benjamini_hochberg(p: np.ndarray) -> np.ndarray:
    """Return q-values of p-values, shape=(n,); NaN stays NaN and is not counted.

    Benjamini and Hochberg, J R Stat Soc B 57:289, 1995.
    """
    p = np.asarray(p, dtype=float)
    result = np.full(p.shape, np.nan)
    known = np.flatnonzero(np.isfinite(p))
    order = known[np.argsort(p[known], kind="stable")]
    n = len(order)
    raised = p[order] * n / np.arange(1, n + 1)
    result[order] = np.minimum(np.minimum.accumulate(raised[::-1])[::-1], 1.0)
    return result


def match_motifs(
    motifs: str | os.PathLike, database: str | os.PathLike, matches: str | os.PathLike
) -> list[Match]:
    """Compare the motifs of a MEME file with those of another, and write the matches.

    Parameters
    ----------
    motifs, database : path-like
        MEME files; the first may hold none.
    matches : path-like
        Table to write, see `write_matches`.

    Raises
    ------
    InputError
        If one of them is no MEME file.
    """
    found = compare([named(one) for one in read_meme(motifs, empty=True)], read_meme(database))
    write_matches(matches, found)
    return found


def write_matches(path: str | os.PathLike, matches: Sequence[Match]) -> None:
    """Write matches as a table with the columns `COLUMNS`."""
    lines = [
        f"{m.query}\t{m.rank}\t{m.target}\t{m.p_value:.6g}\t{m.q_value:.6g}\t{m.overlap}\t"
        f"{'-' if m.reverse else '+'}\t{m.offset}"
        for m in matches
    ]
    write_lines(path, lines, "\t".join(COLUMNS))


def read_matches(path: str | os.PathLike) -> list[Match]:
    """Read what `write_matches` wrote.

    Raises
    ------
    InputError
        If this is another file.
    """
    try:
        return [
            Match(
                row["motif"],
                int(row["rank"]),
                row["target"],
                float(row["p_value"]),
                float(row["q_value"]),
                int(row["overlap"]),
                row["strand"] == "-",
                int(row["offset"]),
            )
            for _, row in read_records(path, COLUMNS)
        ]
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"no table of matches ({error})", path) from None
