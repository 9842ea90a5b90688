"""What a scan is written as: a bigWig of scores and a BED file of calls."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from pathlib import Path

import numpy as np

from dflm.errors import InputError
from dflm.files import atomic_path
from dflm.mining.scan.calls import suppress
from dflm.mining.scan.contigs import Piece, ScanSettings, windows_of
from dflm.mining.scoring import Scorer, StrandScores

_CHUNK = 2**20  # windows of which the probabilities are in memory
VALUES = ("probability", "calibrated", "log-odds")
BED_COLUMNS = (
    "contig",
    "start",
    "end",
    "name",
    "score",
    "strand",
    "probability",
    "calibrated",
    "log_odds",
)


def write_bigwig(
    path: str | os.PathLike,
    pieces: Iterable[Piece],
    lengths: dict[str, int],
    scorer: Scorer,
    settings: ScanSettings,
    value: str = "probability",
) -> None:
    """Write scores as a bigWig: each window's score on the `stride` bases in its middle.

    Parameters
    ----------
    path : path-like
        The file to write.
    pieces : iterable of Piece
        In the order of `lengths`.
    lengths : dict of str to int
        Of the contigs.
    scorer : Scorer
        Whose scores they are.
    settings : ScanSettings
    value : {"probability", "calibrated", "log-odds"}
        What to write.

    Raises
    ------
    InputError
        If there is no contig at all.
    OSError
        If the file could not be written to its end.
    """
    import pyBigWig

    if not lengths:
        raise InputError("there is no contig to write", path)
    span = min(settings.stride, settings.width)
    with atomic_path(path) as temporary:
        # pyBigWig crashes the process where it cannot open a file to write; this tells why.
        with open(temporary, "wb"):
            pass
        file = pyBigWig.open(str(temporary), "w")
        file.addHeader([(name, int(length)) for name, length in lengths.items()])
        for piece in pieces:
            middle = piece.start + (settings.width - span) // 2
            for first in range(0, len(piece.scores), _CHUNK):
                some = slice(first, first + _CHUNK)
                values = _values(piece, some, scorer, value)
                for begin, end in _runs(np.isfinite(values)):
                    file.addEntries(
                        piece.contig,
                        middle + settings.stride * (first + begin),
                        values=values[begin:end].tolist(),
                        span=span,
                        step=settings.stride,
                        validate=False,
                    )
        file.close()
        _check_whole(temporary, path)


def _check_whole(written: Path, path: str | os.PathLike) -> None:
    """Raise OSError if a bigWig lacks its end, of which pyBigWig only warns.

    A bigWig begins and ends with the same four bytes.
    """
    with open(written, "rb") as stream:
        first = stream.read(4)
        stream.seek(-4, os.SEEK_END)
        whole = stream.read(4) == first
    if not whole:
        reason = "the bigWig could not be written to its end; is the disk full?"
        raise OSError(errno.EIO, reason, str(path))


def _values(piece: Piece, rows: slice, scorer: Scorer, value: str) -> np.ndarray:
    scores = piece.scores[rows]
    if value == "probability":
        return scores.probability
    return scores.log_odds if value == "log-odds" else scorer.calibrated(scores.log_odds)


def _runs(mask: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield half-open runs of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


def _above(
    piece: Piece, settings: ScanSettings, threshold: float
) -> tuple[np.ndarray, StrandScores]:
    """Return starts and scores of a piece's windows of at least a probability."""
    found = [np.zeros(0, dtype=np.int64)]
    for first in range(0, len(piece.scores), _CHUNK):
        probability = piece.scores[first : first + _CHUNK].probability
        found.append(first + np.flatnonzero(probability >= threshold))
    rows = np.concatenate(found)
    return windows_of(piece, settings, rows), piece.scores[rows]


def call_lines(
    pieces: Iterable[Piece],
    scorer: Scorer,
    settings: ScanSettings,
    threshold: float,
    apart: int,
    locate: Callable[[str, int, int], tuple[str, ...]] | None = None,
) -> Iterator[str]:
    """Yield a BED line for each call, with the columns `BED_COLUMNS`.

    Parameters
    ----------
    pieces : iterable of Piece
    scorer : Scorer
    settings : ScanSettings
    threshold : float
        Least probability of a call, before calibration.
    apart : int >= 1
        See `dflm.mining.scan.calls.suppress`.
    locate : callable, optional
        Is given contig, start and end of a call; returns its strand, and further columns, see
        `dflm.mining.scan.locate`. Without it the strand is ``.``: a classifier that reads both
        strands alike does not know it.
    """
    number = 0
    # By contig, since two calls may come from two regions of it.
    for contig, of_contig in groupby(pieces, key=lambda piece: piece.contig):
        found = [_above(piece, settings, threshold) for piece in of_contig]
        starts = np.concatenate([starts for starts, _ in found])
        scores = StrandScores.joined([scores for _, scores in found])
        best = suppress(starts, scores.log_odds, apart)
        starts, scores = starts[best].tolist(), scores[best]
        probabilities, calibrated = scores.probability, scorer.calibrated(scores.log_odds)
        for place, start in enumerate(starts):
            number += 1
            probability = probabilities[place]
            end = start + settings.width
            strand, *more = (".",) if locate is None else locate(contig, start, end)
            yield "\t".join(
                (
                    contig,
                    str(start),
                    str(end),
                    f"site{number}",
                    str(min(1000, int(1000 * calibrated[place]))),
                    strand,
                    f"{probability:.9g}",
                    f"{calibrated[place]:.9g}",
                    f"{scores.log_odds[place]:.6g}",
                    *more,
                )
            )
