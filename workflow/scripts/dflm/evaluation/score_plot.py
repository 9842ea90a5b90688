"""The probabilities of positives and negatives, beside the thresholds to call them by."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from dflm.evaluation.plots import BLUE, GREEN, GREY, INK, ORANGE, STYLE, fit_title, save_figure

BINS = 40
LINES = {"half": (INK, "0.5"), "max_mcc": (GREEN, "best MCC"), "fdr": (ORANGE, "FDR")}


def plot_scores(
    labels: Sequence[int],
    probabilities: Sequence[float],
    thresholds: Mapping[str, Mapping],
    path: str | Path,
    title: str,
) -> None:
    """Draw the histograms of both labels, and the thresholds as lines.

    Parameters
    ----------
    labels : sequence of int, shape=(n,)
        0 or 1; both must occur.
    probabilities : sequence of float, shape=(n,)
        0 to 1.
    thresholds : mapping of str to mapping
        Points as `dflm.calibration.operating_points` returns them; may be empty.
    path : path-like
        SVG to write.
    title : str
    """
    with matplotlib.rc_context(STYLE):
        figure = scores_figure(labels, probabilities, thresholds, title)
    save_figure(figure, path)


def scores_figure(labels, probabilities, thresholds, title) -> Figure:
    """Build the figure of `plot_scores`."""
    labels, p = np.asarray(labels), np.asarray(probabilities, dtype=float)
    figure = Figure(figsize=(6.4, 3.8), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(fit_title(title, 6.4), pad=10)
    edges = np.linspace(0, 1, BINS + 1)
    for label, color, name in ((0, GREY, "negatives"), (1, BLUE, "positives")):
        axes.hist(p[labels == label], bins=edges, color=color, alpha=0.35, linewidth=0)
        axes.hist(
            p[labels == label], bins=edges, histtype="step", color=color, linewidth=1.4,
            label=f"{name} ({np.count_nonzero(labels == label):,})",
        )  # fmt: skip
    for name, point in thresholds.items():
        if point["threshold"] is not None:
            color, words = LINES[name]
            if name == "fdr":
                words = f"FDR {point['limit']:g}"
            axes.axvline(
                point["threshold"], color=color, linewidth=1.3, linestyle=(0, (4, 2)),
                label=f"{words}: {point['threshold']:.3f}" if name != "half" else "threshold 0.5",
            )  # fmt: skip
    axes.set(xlim=(0, 1), xlabel="probability of being bound", ylabel="test sequences")
    axes.grid(True, axis="y")
    axes.margins(y=0.06)
    figure.legend(loc="outside lower left", ncols=3, fontsize=8, borderpad=0, handlelength=1.6)
    return figure
