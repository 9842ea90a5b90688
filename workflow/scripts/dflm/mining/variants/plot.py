"""A picture of what variants do: the changes of each model's log-odds, and which stand out."""

from __future__ import annotations

import math
import os
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from dflm.errors import InputError
from dflm.evaluation.plots import GREEN, GREY, INK, ORANGE, STYLE, fit_title, save_figure
from dflm.tables import read_records

MOST, DOTS, NAMED = 60, 200, 2
"""Models that are drawn, alleles of a model drawn as dots, and of these named, a side."""
ALPHA = 0.05
"""False-discovery rate below which an allele stands out."""
_BINS = 80
_NEEDED = ("model", "id", "contig", "position", "ref", "alt", "status", "delta_log_odds", "q_value")


@dataclass
class Effects:
    """What a model says of the alleles that it scored, in the order of the file.

    Parameters
    ----------
    deltas : sequence of float
        Changes of the log-odds.
    q_values : sequence of float
        NaN where no p-values were asked for.
    names : mapping of int to str
        By place, of those that stand out: an id, or place and alleles where the variant has none.
    """

    deltas: Sequence[float] = field(default_factory=lambda: array("d"))
    q_values: Sequence[float] = field(default_factory=lambda: array("d"))
    names: dict[int, str] = field(default_factory=dict)


def read_effects(table: str | os.PathLike) -> dict[str, Effects]:
    """Read the scored alleles of each model out of a table of effects, of those to be drawn.

    Raises
    ------
    InputError
        If this is no such table.
    """
    models: dict[str, Effects] = {}
    drawn: set[str] = set()
    for line, row in read_records(table, _NEEDED, "score the variants again"):
        found = models.setdefault(row["model"], Effects())
        if len(models) > MOST and row["model"] not in drawn:
            continue
        drawn.add(row["model"])
        if row["status"] != "scored":
            continue
        delta = _number(row["delta_log_odds"])
        q_value = float("nan") if row["q_value"] == "." else _number(row["q_value"])
        if delta is None or q_value is None:
            what = f"line {line} has no change of the log-odds, or no q"
            raise InputError(what, table, "score the variants again")
        place = f"{row['contig']}:{row['position']} {row['ref']}>{row['alt']}"
        if q_value <= ALPHA:
            found.names[len(found.deltas)] = place if row["id"] in (".", "") else row["id"]
        found.deltas.append(delta)
        found.q_values.append(q_value)
    return models


def _number(text: str) -> float | None:
    """Return a finite number, or None for what is none."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def plot_effects(table: str | os.PathLike, path: str | os.PathLike) -> None:
    """Draw a row a model: all changes as a grey silhouette, those that stand out as dots.

    Parameters
    ----------
    table : path-like
        As `dflm variants --tsv` writes it.
    path : path-like
        SVG to write.

    Raises
    ------
    InputError
        See `read_effects`.
    """
    models = read_effects(table)
    with matplotlib.rc_context(STYLE):
        figure = effects_figure(models)
    save_figure(figure, path)


def effects_figure(models: Mapping[str, Effects]) -> Figure:
    """Build the figure of `plot_effects`."""
    shown = list(models.items())[:MOST]
    figure = Figure(figsize=(7.2, 1.3 + 0.75 * max(1, len(shown))), layout="constrained")
    axes = figure.add_subplot()
    more = f", {len(shown)} of {len(models)} models" if len(models) > len(shown) else ""
    axes.set_title(f"What the variants do to each model's score{more}", pad=10)
    axes.axvline(0, color=GREY, linewidth=0.8)
    largest = max((abs(delta) for _, found in shown for delta in found.deltas), default=0) or 1.0
    edges = np.linspace(-largest, largest, _BINS + 1)
    for row, (_, found) in enumerate(shown):
        _draw_model(axes, row, found, edges)
    axes.set_yticks(range(len(shown)), [fit_title(name, 2.4) for name, _ in shown], fontsize=8)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(max(1, len(shown)) - 0.4, -0.6)
    axes.set_xlim(-1.25 * largest, 1.25 * largest)
    axes.grid(True, axis="x")
    axes.set_xlabel("change of the log-odds, alternative less reference allele")
    if not shown:
        axes.text(0.5, 0.5, "no variant", transform=axes.transAxes, ha="center", color=GREY)
    return figure


def _draw_model(axes, row: int, found: Effects, edges: np.ndarray) -> None:
    """Draw one model's alleles around the height `row`."""
    deltas, q_values = np.array(found.deltas), np.array(found.q_values)
    counts = np.histogram(deltas, edges)[0]
    height = 0.36 * counts / max(1, counts.max())
    axes.stairs(row - height, edges, baseline=row + height, fill=True, color=GREY, alpha=0.35)
    tested = bool(np.isfinite(q_values).any())
    words = [f"{len(deltas):,} allele{'s' if len(deltas) != 1 else ''}"]
    for side, color, word in ((-1, ORANGE, "weaker"), (1, GREEN, "stronger")):
        stands = np.flatnonzero((q_values <= ALPHA) & (np.sign(deltas) == side))
        stands = stands[np.argsort(-np.abs(deltas[stands]), kind="stable")]
        dots = stands[:DOTS]
        axes.plot(
            deltas[dots], np.full(len(dots), row), "o", color=color, markersize=3.5, alpha=0.7
        )
        for place, number in enumerate(dots[:NAMED]):
            axes.annotate(
                fit_title(found.names[number], 1.6), (deltas[number], row), (0, (7, -12)[place]),
                textcoords="offset points", color=color, fontsize=6.5, ha="center",
            )  # fmt: skip
        words.append(f"{len(stands):,} {word}")
    text = f"{', '.join(words)} (q ≤ {ALPHA:g})" if tested else f"{words[0]}, without p-values"
    axes.annotate(
        text, (1, row - 0.42), (0, 0), xycoords=("axes fraction", "data"),
        textcoords="offset points", color=INK, fontsize=7, ha="right", va="bottom",
    )  # fmt: skip
