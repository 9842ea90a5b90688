"""Every picture of the workflow, in one plain style, as deterministic SVG.

Colours are Okabe and Ito's palette, which stays apart for colour-blind readers.
Text is drawn as paths, so that a figure looks the same wherever it is opened.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from dflm.errors import InputError
from dflm.files import atomic_path, parse_json, text_lines
from dflm.scores import auroc, average_precision, precision_recall_curve, roc_curve

BLUE, ORANGE, GREEN, GREY, INK = "#0072B2", "#D55E00", "#009E73", "#8A8F98", "#22262B"
BAND = "#EEF1F4"
STYLE = {
    "font.family": "DejaVu Sans",  # ships with matplotlib
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#E3E6EA",
    "grid.linewidth": 0.7,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "svg.hashsalt": "dflm",
    "svg.fonttype": "path",
}
INTERVAL = "95 % bootstrap interval"


def save_figure(figure: Figure, path: str | Path) -> None:
    """Write a figure as SVG whose bytes depend on its content alone."""
    with atomic_path(path) as temporary, matplotlib.rc_context(STYLE):
        figure.savefig(temporary, format="svg", metadata={"Date": None}, facecolor="white")


def fit_title(text: str, width: float) -> str:
    """Cut a title to the characters that fit on `width` inches; its $ are no mathematics."""
    room = int(width * 11)
    return (text if len(text) <= room else text[: room - 1] + "…").replace("$", r"\$")


def set_title(axes, title: str) -> None:
    """Name a figure that is 4.4 inches wide, in smaller letters where the name is long."""
    long = len(title) > 34
    axes.set_title(fit_title(title, 4.5 if long else 4.4), pad=10, fontsize=7.5 if long else None)


def plot_roc(
    labels: Sequence[int], probabilities: Sequence[float], path: str | Path, title: str
) -> None:
    """Draw the receiver operating characteristic.

    Parameters
    ----------
    labels : sequence of int, shape=(n,)
        0 or 1; both must occur.
    probabilities : sequence of float, shape=(n,)
    path : path-like
        SVG to write.
    title : str
    """
    fpr, tpr = roc_curve(labels, probabilities)
    area = auroc(labels, probabilities)
    with matplotlib.rc_context(STYLE):
        figure, axes = _square(title)
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=(0, (4, 3)))
        axes.text(0.56, 0.5, "chance", color=GREY, rotation=45, rotation_mode="anchor", va="top")
        axes.plot(fpr, tpr, color=BLUE, clip_on=False)
        axes.text(0.97, 0.06, f"AUROC {area:.3f}", color=BLUE, ha="right", weight="bold")
        axes.set_xlabel("false-positive rate")
        axes.set_ylabel("true-positive rate")
    save_figure(figure, path)


def plot_precision_recall(
    labels: Sequence[int], probabilities: Sequence[float], path: str | Path, title: str
) -> None:
    """Draw precision against recall, with the prevalence a random score would reach.

    Parameters are those of `plot_roc`.
    """
    precision, recall = precision_recall_curve(labels, probabilities)
    area = average_precision(labels, probabilities)
    prevalence = float(np.mean(labels))
    with matplotlib.rc_context(STYLE):
        figure, axes = _square(title)
        axes.axhline(prevalence, color=GREY, linewidth=1, linestyle=(0, (4, 3)))
        # Under its line, but for one so low that the average precision stands there.
        y, side = prevalence - 0.02, "top"
        if prevalence < 0.2:
            y, side = max(prevalence, 0.1) + 0.02, "bottom"
        axes.text(0.03, y, f"chance {prevalence:.2f}", color=GREY, va=side)
        axes.plot(recall, precision, color=BLUE, drawstyle="steps-post", clip_on=False)
        axes.text(0.03, 0.06, f"average precision {area:.3f}", color=BLUE, ha="left", weight="bold")
        axes.set_xlabel("recall")
        axes.set_ylabel("precision")
    save_figure(figure, path)


def _square(title: str):
    """Figure and axes for a curve on the unit square."""
    figure = Figure(figsize=(4.4, 4.5), layout="constrained")
    axes = figure.add_subplot()
    set_title(axes, title)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_aspect("equal")
    axes.grid(True)
    return figure, axes


def read_history(path: str | Path) -> list[dict]:
    """Read the validation events of a metrics.jsonl.

    Raises
    ------
    InputError
        If a line is no JSON object or no validation stands in the file.
    """
    events = []
    for number, line in text_lines(path, "rerun the training"):
        try:
            event = parse_json(line)
        except ValueError:
            raise InputError(f"line {number} is no JSON", path, "rerun the training") from None
        if isinstance(event, dict) and event.get("event") == "validation":
            events.append(event)
    if not events:
        raise InputError("holds no validation, so there is nothing to draw", path)
    return events


def plot_learning_curve(history: str | Path, path: str | Path, title: str) -> None:
    """Draw a training run: a language model's or a classifier's, told by its events.

    Parameters
    ----------
    history : path-like
        metrics.jsonl of the run.
    path : path-like
        SVG to write.
    title : str

    Raises
    ------
    InputError
        See `read_history`.
    """
    events = read_history(history)
    with matplotlib.rc_context(STYLE):
        if "stage" in events[0]:
            figure = _classifier_curve(events, title)
        else:
            figure = _language_model_curve(events, title)
    save_figure(figure, path)


def _language_model_curve(events: Sequence[Mapping], title: str) -> Figure:
    """Bits per base against epochs."""
    figure = Figure(figsize=(6.4, 3.8), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(fit_title(title, 6.4))
    epochs = [event["epoch"] for event in events]
    bits = [event["bits_per_base"] for event in events]
    # Training loss is in nats a token; the validation's own two figures give the factor.
    train = [
        (event["epoch"], event["train_loss"] * event["bits_per_base"] / event["loss"])
        for event in events
        if event.get("train_loss") is not None and event["loss"] > 0
    ]
    marker = "o" if len(events) <= 40 else None
    if train:
        axes.plot(*zip(*train, strict=True), color=GREY, marker=marker, markersize=3.5)
    axes.plot(epochs, bits, color=BLUE, marker=marker, markersize=4)
    axes.grid(True)
    axes.margins(x=0.03, y=0.12)
    axes.set_xlabel("epochs")
    axes.set_ylabel("bits per base")
    ends = [(bits[-1], f"validation {bits[-1]:.3f}", BLUE)]
    if train:
        ends.append((train[-1][1], "training", GREY))
    _name_ends(axes, epochs[-1], ends)
    if axes.get_ylim()[1] > 2 > axes.get_ylim()[0]:
        axes.axhline(2, color=ORANGE, linewidth=1, linestyle=(0, (4, 3)))
        axes.annotate(
            "guessing: 2 bits", (1, 2), (0, 3), xycoords=("axes fraction", "data"),
            textcoords="offset points", color=ORANGE, ha="right", fontsize=8,
        )  # fmt: skip
    return figure


def _classifier_curve(events: Sequence[Mapping], title: str) -> Figure:
    """Validation AUROC and losses against epochs, over the stages of unfreezing."""
    figure = Figure(figsize=(6.4, 5.2), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    upper.set_title(fit_title(title, 6.4), pad=20)
    epochs = np.arange(1, len(events) + 1)
    marker = "o" if len(events) <= 40 else None
    auroc = [event["auroc"] for event in events]
    best = int(np.argmax(auroc))
    upper.plot(epochs, auroc, color=BLUE, marker=marker, markersize=4)
    upper.plot(epochs[best], auroc[best], "o", color=ORANGE, markersize=7, zorder=4)
    upper.annotate(
        f"best {auroc[best]:.3f}", (epochs[best], auroc[best]), (0, -9),
        textcoords="offset points", color=ORANGE, ha="center", va="top", weight="bold",
    )  # fmt: skip
    upper.set_ylabel("validation AUROC")
    loss = [event["loss"] for event in events]
    train = [event["train_loss"] for event in events]
    lower.plot(epochs, train, color=GREY, marker=marker, markersize=3.5)
    lower.plot(epochs, loss, color=BLUE, marker=marker, markersize=4)
    lower.set_ylabel("loss (nats)")
    lower.set_xlabel("epochs")
    ends = [(loss[-1], "validation", BLUE), (train[-1], "training", GREY)]
    _name_ends(lower, epochs[-1], ends)
    lower.xaxis.get_major_locator().set_params(integer=True)
    _stage_bands(upper, lower, [event.get("stage") for event in events])
    for axes in (upper, lower):
        axes.grid(True, axis="y")
        axes.margins(y=0.18)
        axes.set_xlim(0.5, len(events) + 0.5)
    return figure


def _stage_bands(upper, lower, stages: Sequence[int | None]) -> None:
    """Shade every other stage and name them above the upper axes, as far as there is room."""
    end = 0.5
    told, apart = -len(stages), 0.05 * len(stages)
    for number, (stage, group) in enumerate(groupby(stages)):
        start, end = end, end + len(list(group))
        if number % 2 == 0:
            for axes in (upper, lower):
                axes.axvspan(start, end, color=BAND, linewidth=0, zorder=0)
        middle = (start + end) / 2
        if middle - told < apart * (1 + (number == 1)):  # the first has a word before its number
            continue
        told = middle
        upper.annotate(
            f"stage {stage}" if number == 0 else f"{stage}", (middle, 1), (0, 3),
            xycoords=("data", "axes fraction"), textcoords="offset points", color=GREY,
            ha="center", fontsize=8,
        )  # fmt: skip


def _name_ends(axes, x: float, ends: Sequence[tuple[float, str, str]]) -> None:
    """Name curves right of their last points, kept apart where the points are close."""
    low, high = axes.get_ylim()
    height = axes.figure.get_figheight() * 72 / len(axes.figure.axes) * 0.75
    near = len(ends) == 2 and abs(ends[0][0] - ends[1][0]) / (high - low) * height < 13
    for place, (y, text, color) in enumerate(sorted(ends, key=lambda end: end[0])):
        shift = (7 if place else -7) if near else 0
        axes.annotate(
            text, (x, y), (8, shift), textcoords="offset points", color=color, va="center",
            annotation_clip=False,
        )  # fmt: skip


def plot_summary(
    scores: Sequence[tuple[str, float, float | None]],
    path: str | Path,
    mean: tuple[float, float, float] | None,
    others: Sequence[tuple[str, str, str]] = (),
) -> None:
    """Draw one dot a set, sorted by AUROC, with floor, mean and interval.

    Parameters
    ----------
    scores : sequence of (dataset, AUROC, floor AUROC or None)
    path : path-like
        SVG to write.
    mean : (mean, low, high) or None
        Of the AUROC over sets; the ends are None of a single set.
    others : sequence of (dataset, status, reason)
        Sets without a score, listed under the plot.
    """
    with matplotlib.rc_context(STYLE):
        figure = summary_figure(scores, mean, others)
    save_figure(figure, path)


def summary_figure(scores, mean, others=()) -> Figure:
    """Build the figure of `plot_summary`."""
    scores = sorted(scores, key=lambda score: (score[1], score[0]))
    number = len(scores)
    # Row height in inches and letter size; beyond 150 sets names would only be dust.
    row, size = (0.26, 8) if number <= 60 else (0.14, 6) if number <= 150 else (0.018, 0)
    listed = [f"{status}  {name}: {reason}" for name, status, reason in others[:20]]
    if len(others) > len(listed):
        listed.append(f"and {len(others) - len(listed)} more, see the table")
    body = max(1.4, number * row + 0.3)
    footer = 0.15 + 0.17 * len(listed) if listed else 0
    below = 0.78  # of tick labels, axis label and legend, in inches
    height = body + footer + below + 0.6
    figure = Figure(figsize=(7.2, height))
    longest = max((len(score[0]) for score in scores), default=0) if size else 0
    left = max(0.6, min(3.6, 0.25 + longest * size * 0.62 / 72))
    axes = figure.add_axes(
        [left / 7.2, (footer + below) / height, (7.2 - left - 0.35) / 7.2, body / height]
    )
    axes.set_title("AUROC on the test file, a dot a set", pad=18)
    places = np.arange(number)
    area = {True: (28, 34), False: (5, 8)}[number <= 150]
    known = [value for score in scores for value in score[1:3] if value is not None]
    lowest = min([0.45, *(value - 0.02 for value in known)])
    if mean is not None:
        label = f"mean {mean[0]:.3f}"
        if mean[1] is not None:
            axes.axvspan(mean[1], mean[2], color=BLUE, alpha=0.13, linewidth=0, zorder=0)
            label += f" ({INTERVAL} {mean[1]:.3f} to {mean[2]:.3f})"
        axes.axvline(mean[0], color=BLUE, linewidth=1.1, zorder=1)
        room = (1.005 - mean[0]) / (1.005 - lowest) * (7.2 - left - 0.35) + 0.35
        right = room < 0.065 * len(label)  # inches of a letter
        axes.annotate(
            label, (mean[0], 1),
            (4 if not right else -4, 4), xycoords=("data", "axes fraction"),
            textcoords="offset points", color=BLUE, ha="right" if right else "left", fontsize=8,
        )  # fmt: skip
    floors = [(score[2], place) for place, score in enumerate(scores) if score[2] is not None]
    if floors:
        axes.scatter(
            *zip(*floors, strict=True), marker="|", s=area[0], color=ORANGE, linewidths=1.3,
            label="floor: dinucleotide counts alone",
        )  # fmt: skip
    axes.scatter([score[1] for score in scores], places, s=area[1], color=BLUE, zorder=3)
    axes.set_xlim(lowest, 1.005)
    axes.set_ylim(-0.7, max(number, 1) - 0.3)
    axes.grid(True, axis="x")
    axes.set_xlabel("AUROC")
    if size:
        axes.grid(True, axis="y")
        axes.set_yticks(places, [fit_title(score[0], 40 * 0.11) for score in scores], fontsize=size)
        axes.tick_params(axis="y", length=0)
    else:
        axes.set_ylabel("sets, sorted")
    if not number:
        axes.text(0.5, 0.5, "no set has a score", transform=axes.transAxes, ha="center", color=GREY)
    for line, text in enumerate(reversed(listed)):
        figure.text(0.02, (0.1 + 0.17 * line) / height, fit_title(text, 10.6), fontsize=7.5)
    if floors:
        axes.legend(
            loc="upper left", bbox_to_anchor=(0, -0.5 / body), fontsize=8, borderpad=0,
            borderaxespad=0, handlelength=1,
        )  # fmt: skip
    return figure
