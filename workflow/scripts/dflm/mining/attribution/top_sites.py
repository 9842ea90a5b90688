"""The stretches of sequence that carry most credit, as pictures."""

from __future__ import annotations

import os

import numpy as np

from dflm.mining.attribution.files import AttributionSet
from dflm.mining.motifs.plots import plot_contributions

SPAN = 30
_CORE = 10


def top_sites(found: AttributionSet, top: int, span: int = SPAN) -> list[tuple[int, int]]:
    """Return (row, start) of the `span` bases around the strongest ten, of the best sequences.

    Parameters
    ----------
    found : AttributionSet
    top : int >= 1
        Sequences, those with the highest peaks first.
    span : int >= 1
        Bases to show; fewer where a window is shorter.
    """
    core = min(_CORE, found.codes.shape[1])
    sums = np.cumsum(np.pad(found.contributions, ((0, 0), (1, 0))), axis=1)
    mass = sums[:, core:] - sums[:, :-core]
    peak = mass.argmax(1)
    order = np.argsort(-mass.max(1), kind="stable")[:top]
    span = min(span, found.codes.shape[1])
    starts = np.clip(peak + core // 2 - span // 2, 0, found.codes.shape[1] - span)
    return [(int(row), int(starts[row])) for row in order]


def plot_top_sites(found: AttributionSet, path: str | os.PathLike, top: int) -> None:
    """Draw the strongest sites, one of a sequence, as high as their credit; an SVG file."""
    places = top_sites(found, top)
    span = min(SPAN, found.codes.shape[1])
    credit = found.one_hot * found.contributions[..., None]
    titles = [
        f"{found.names[row]}, base {found.starts[row] + start + 1}, log-odds "
        f"{found.log_odds[row]:.1f}"
        for row, start in places
    ]
    plot_contributions(titles, [credit[row, start : start + span] for row, start in places], path)
