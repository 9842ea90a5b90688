"""Pictures of motifs and attributions: logos, and how sites lie. In the style of all pictures."""

from __future__ import annotations

import os
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from dflm.evaluation.plots import BLUE, GREY, ORANGE, STYLE, fit_title, save_figure
from dflm.mining.motifs.motif import Motif
from dflm.sequences.kmers import BASES

COLOURS = {"A": "#009E73", "C": "#0072B2", "G": "#E69F00", "T": "#D55E00"}
_PLACE, _LEFT = 0.22, 0.9  # inches of a letter, and of what stands beside all letters


def plot_motif(motif: Motif, path: str | os.PathLike, title: str | None = None) -> None:
    """Draw a motif's logo: bits of information at each place.

    Parameters
    ----------
    motif : Motif
    path : path-like
        SVG to write.
    title : str, optional
        Its name where not given.
    """
    heights = motif.probabilities * motif.information[:, None]
    _logo([heights], [motif.name if title is None else title], path, "bits", (0, 2))


def plot_pair(
    motif: Motif, target: Motif, offset: int, reverse: bool, path: str | os.PathLike
) -> None:
    """Draw a motif's logo above that of its match, laid as TOMTOM found them alike.

    Parameters
    ----------
    motif, target : Motif
    offset : int
        Place of the motif's first base, counted from the target's.
    reverse : bool
        Draw the target's other strand.
    path : path-like
        SVG to write.
    """
    if reverse:
        target = target.reverse_complement()
    first = min(0, offset)
    last = max(target.width, offset + motif.width)
    rows = np.zeros((2, last - first, len(BASES)))
    for row, (one, at) in enumerate(((motif, offset), (target, 0))):
        heights = one.probabilities * one.information[:, None]
        rows[row, at - first : at - first + one.width] = heights
    _logo(list(rows), [motif.name, target.name], path, "bits", (0, 2))


def plot_contributions(
    names: Sequence[str],
    contributions: Sequence[np.ndarray],
    path: str | os.PathLike,
) -> None:
    """Draw the bases of stretches of sequence as high as their credit.

    Parameters
    ----------
    names : sequence of str
        A title for each.
    contributions : sequence of numpy.ndarray
        Each shape=(length, 4), zero but for the base that is there.
    path : path-like
        SVG to write.
    """
    low = min(0.0, *(float(one.min()) for one in contributions))
    high = max(1e-6, *(float(one.max()) for one in contributions))
    _logo(list(contributions), list(names), path, "credit", (low, high))


def _logo(
    rows: list[np.ndarray],
    titles: list[str],
    path: str | os.PathLike,
    label: str,
    limits: tuple[float, float],
) -> None:
    import logomaker
    import pandas as pd

    width = _LEFT + _PLACE * max(len(row) for row in rows)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(max(width, 3.2), 1.25 * len(rows)), layout="constrained")
        every = figure.subplots(len(rows), 1, squeeze=False)[:, 0]
        for axes, heights, title in zip(every, rows, titles, strict=True):
            logomaker.Logo(
                pd.DataFrame(heights, columns=list(BASES)),
                ax=axes,
                color_scheme=COLOURS,
                show_spines=False,
            )
            axes.set_title(fit_title(title, width), pad=4)
            axes.set_xlim(-0.5, max(len(row) for row in rows) - 0.5)
            axes.set_ylim(*limits)
            axes.set_ylabel(label)
            axes.set_xticks([])
            axes.axhline(0, color=GREY, linewidth=0.8)
    save_figure(figure, path)


def plot_lie(
    positions: np.ndarray,
    distances: np.ndarray,
    same_strand: np.ndarray,
    span: int,
    path: str | os.PathLike,
) -> None:
    """Draw where sites lie in their sequences and how far apart neighbours are.

    Parameters
    ----------
    positions : numpy.ndarray
        shape=(sites,) bases from the middle of the sequence.
    distances, same_strand : numpy.ndarray
        shape=(pairs,) see `dflm.mining.motifs.sites.spacings`.
    span : int
        Bases of the sequences.
    path : path-like
        SVG to write.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 2.1), layout="constrained")
        left, right = figure.subplots(1, 2)
        bins = np.linspace(-span / 2, span / 2, 21)
        left.hist(positions, bins=bins, color=BLUE)
        left.set_xlabel("bases from the sequence's middle")
        left.set_ylabel("sites")
        steps = np.arange(0, span + 5, 5)
        both = [distances[same_strand], distances[~same_strand]]
        right.hist(both, bins=steps, stacked=True, color=[BLUE, ORANGE], label=["same", "opposite"])
        right.set_xlabel("bases between neighbouring sites")
        right.set_ylabel("pairs")
        if len(distances):
            right.legend(title="strands", fontsize=8, title_fontsize=8)
        else:
            right.set_ylim(0, 1)
            right.set_yticks([0, 1])
            right.text(
                0.5, 0.5, "no two in a sequence", color=GREY, ha="center", transform=right.transAxes
            )
    save_figure(figure, path)
