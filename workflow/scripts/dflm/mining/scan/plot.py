"""A picture of a scan: the best score along each contig, and the calls."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

import matplotlib
import numpy as np
import pyBigWig
from matplotlib.figure import Figure

from dflm.errors import InputError
from dflm.evaluation.plots import BLUE, ORANGE, STYLE, fit_title, save_figure
from dflm.tables import read_records

MOST = 30
"""Contigs that are drawn, the longest ones."""
BINS = 600
"""Places along the longest contig."""
_LOOKED_AT = 2000


@dataclass(frozen=True)
class Track:
    """What is drawn of a contig.

    Parameters
    ----------
    name : str
    start, end : int
        Of what is drawn.
    best, mean : numpy.ndarray
        shape=(bins,) float, of the values in each of equal stretches; NaN where none is scored.
    calls : numpy.ndarray
        shape=(bins,) int, calls whose middle lies in the stretch.
    """

    name: str
    start: int
    end: int
    best: np.ndarray
    mean: np.ndarray
    calls: np.ndarray

    @property
    def edges(self) -> np.ndarray:
        """Where the stretches begin, and the last one ends; shape=(bins + 1,)."""
        return np.linspace(self.start, self.end, len(self.best) + 1)

    @property
    def scored(self) -> tuple[int, int]:
        """Start and end of what holds all scores, on whole stretches; (0, 0) without any."""
        rows = np.flatnonzero(np.isfinite(self.best))
        edges = self.edges.round().astype(int)
        return (int(edges[rows[0]]), int(edges[rows[-1] + 1])) if len(rows) else (0, 0)


def read_tracks(
    bigwig: str | os.PathLike, calls: str | os.PathLike, most: int = MOST, bins: int = BINS
) -> tuple[list[Track], int]:
    """Read what `plot_scan` draws: the longest scored contigs, in the order of the genome.

    A contig that is alone is read where it has scores only, as a scan of a locus wants it.

    Parameters
    ----------
    bigwig, calls : path-like
        As a scan writes them.
    most : int >= 1
        Contigs to read.
    bins : int >= 1
        Stretches of the longest; shorter contigs have as many as are in proportion.

    Returns
    -------
    tuple of (list of Track, int)
        The tracks, and the number of all calls, those on other contigs too.

    Raises
    ------
    InputError
        If a file is none of a scan.
    """
    middles: dict[str, list[int]] = {}
    number = 0
    for line, row in read_records(calls, ("#contig", "start", "end"), "scan again"):
        try:
            middle = (int(row["start"]) + int(row["end"])) // 2
        except ValueError:
            raise InputError(f"line {line} has no start and end", calls, "scan again") from None
        middles.setdefault(row["#contig"], []).append(middle)
        number += 1
    try:
        opened = pyBigWig.open(os.fspath(bigwig))
    except RuntimeError:
        raise InputError("this is no bigWig file", bigwig, "scan again") from None
    with opened as bigwig:
        lengths = bigwig.chroms()
        longest = max(lengths.values())
        tracks = []
        for name in sorted(lengths, key=lambda name: -lengths[name])[:_LOOKED_AT]:
            parts = max(1, round(bins * lengths[name] / longest))
            tracks.append(_track(bigwig, name, (0, lengths[name]), parts, middles))
        # Nothing is said of contigs without a score, except where none has any.
        scored = [track for track in tracks if track.scored[1]] or tracks
        if len(scored) == 1 and scored[0].scored[1]:
            for _ in range(2):  # finer stretches tell the ends better
                scored = [_track(bigwig, scored[0].name, scored[0].scored, bins, middles)]
    place = {name: number for number, name in enumerate(lengths)}
    return sorted(scored[:most], key=lambda track: place[track.name]), number


def _track(bigwig, name: str, span: tuple[int, int], parts: int, middles: Mapping) -> Track:
    """Read a contig, or a part of it, in equal stretches."""
    parts = min(parts, span[1] - span[0])
    try:
        best, mean = (
            np.array(bigwig.stats(name, *span, type=kind, nBins=parts), dtype=float)
            for kind in ("max", "mean")
        )
    except RuntimeError:  # it has no value
        best = mean = np.full(parts, np.nan)
    found = np.histogram(middles.get(name, []), np.linspace(*span, parts + 1))[0]
    return Track(name, *span, best, mean, found)


def plot_scan(
    bigwig: str | os.PathLike,
    calls: str | os.PathLike,
    path: str | os.PathLike,
    title: str,
    value: str = "probability",
) -> None:
    """Draw best and mean score along the longest contigs, and the numbers of calls below.

    Parameters
    ----------
    bigwig, calls : path-like
        As a scan writes them.
    path : path-like
        SVG to write.
    title : str
    value : {"probability", "calibrated", "log-odds"}
        What the bigWig holds.

    Raises
    ------
    InputError
        See `read_tracks`.
    """
    tracks, number = read_tracks(bigwig, calls)
    with matplotlib.rc_context(STYLE):
        figure = scan_figure(tracks, number, title, value)
    save_figure(figure, path)


def scan_figure(tracks: list[Track], number: int, title: str, value: str) -> Figure:
    """Build the figure of `plot_scan`."""
    figure = Figure(figsize=(7.2, 1.1 + 0.55 * len(tracks)), layout="constrained")
    scale, unit = _unit(max(track.end for track in tracks))
    rows = figure.subplots(len(tracks), 1, sharex=True, squeeze=False)[:, 0]
    values = np.concatenate([track.best for track in tracks])
    values = values[np.isfinite(values)]
    low, high = (0, 1) if value != "log-odds" or not len(values) else (values.min(), values.max())
    high = high if high > low else low + 1
    gap, depth = 0.12 * (high - low), 0.35 * (high - low)
    most = max(1, *(int(track.calls.max()) for track in tracks))
    for axes, track in zip(rows, tracks, strict=True):
        edges = track.edges / scale
        for heights, alpha in ((track.best, 0.3), (track.mean, 0.75)):
            axes.stairs(
                heights, edges, baseline=low, fill=True, color=BLUE, alpha=alpha, linewidth=0
            )
        axes.stairs(
            low - gap - depth * track.calls / most, edges, baseline=low - gap, fill=True,
            color=ORANGE, linewidth=0,
        )  # fmt: skip
        axes.set_ylim(low - gap - depth, high)
        axes.set_yticks([low, high], [f"{low:.3g}", f"{high:.3g}"], fontsize=6.5)
        axes.set_ylabel(fit_title(track.name, 1.1), rotation=0, ha="right", va="center", fontsize=8)
        axes.tick_params(axis="x", length=0)
        axes.spines["bottom"].set_visible(False)
        axes.annotate(
            f"{track.calls.sum():,}", (1, 0), (4, 0), xycoords="axes fraction",
            textcoords="offset points", color=ORANGE, fontsize=7, va="bottom",
        )  # fmt: skip
    calls = f"{number:,} call{'s' if number != 1 else ''}"
    rows[0].set_title(fit_title(title, 7.2 - 0.09 * len(calls)) + f": {calls}", pad=8)
    rows[-1].set_xlim(
        min(track.start for track in tracks) / scale, max(track.end for track in tracks) / scale
    )
    rows[-1].set_xlabel(
        f"{unit}   ({value} of a stretch: light the highest, dark the mean; orange: calls, "
        f"up to {most:,} a stretch, their number right)",
        fontsize=8,
    )
    rows[-1].spines["bottom"].set_visible(True)
    rows[-1].tick_params(axis="x", length=3)
    return figure


def _unit(longest: int) -> tuple[float, str]:
    """Return how many bases the unit of the axis has, and its name."""
    if longest >= 2_000_000:
        return 1e6, "Mb"
    return (1e3, "kb") if longest >= 2_000 else (1, "bases")
