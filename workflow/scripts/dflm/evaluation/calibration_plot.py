"""The reliability diagram: what probabilities say against what occurs."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from dflm.calibration import BINS, expected_calibration_error, reliability_table, scaled
from dflm.evaluation.plots import BLUE, GREY, STYLE, save_figure, set_title


def plot_reliability(
    labels: Sequence[int],
    probabilities: Sequence[float],
    temperature: float | None,
    path: str | Path,
    title: str,
    bins: int = BINS,
) -> None:
    """Draw the reliability diagram before and after scaling, above the numbers of sequences.

    Parameters
    ----------
    labels : sequence of int, shape=(n,)
        0 or 1; at least one.
    probabilities : sequence of float, shape=(n,)
        As the classifier predicts them.
    temperature : float or None
        See `dflm.calibration.scaled`; None draws the probabilities as they are alone.
    path : path-like
        SVG to write.
    title : str
    bins : int
        At least 1.
    """
    with matplotlib.rc_context(STYLE):
        figure = reliability_figure(labels, probabilities, temperature, title, bins)
    save_figure(figure, path)


def reliability_figure(labels, probabilities, temperature, title, bins) -> Figure:
    """Build the figure of `plot_reliability`."""
    figure = Figure(figsize=(4.4, 5.6), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    set_title(upper, title)
    upper.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=(0, (4, 3)))
    drawn = [(probabilities, GREY, "as predicted")]
    if temperature is not None:
        after = scaled(probabilities, temperature)
        drawn.append((after, BLUE, f"temperature {temperature:.2f}"))
    for p, color, name in drawn:
        rows = reliability_table(labels, p, bins)
        x, y, low, high = (
            np.array([row[key] for row in rows])
            for key in ("probability", "positives", "low", "high")
        )
        error = expected_calibration_error(labels, p, bins)
        upper.errorbar(
            x, y, yerr=[y - low, high - y], color=color, marker="o", markersize=4,
            elinewidth=0.9, linewidth=1.4, clip_on=False, label=f"{name}: ECE {error:.3f}",
        )  # fmt: skip
        lower.hist(p, bins=np.linspace(0, 1, bins + 1), histtype="step", color=color, linewidth=1.3)
    upper.legend(loc="upper left", fontsize=8, borderpad=0)
    upper.set(xlim=(0, 1), ylim=(0, 1), ylabel="part that is positive")
    lower.set(ylabel="sequences", xlabel="probability of being bound")
    for axes in (upper, lower):
        axes.grid(True)
    return figure
