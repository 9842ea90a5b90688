"""Methods compared over sets, as pictures: paired dots, and mean ranks."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from dflm.evaluation.plots import (
    BLUE,
    GREEN,
    GREY,
    INK,
    INTERVAL,
    ORANGE,
    STYLE,
    fit_title,
    save_figure,
)
from dflm.evaluation.statistics import (
    LOWER_IS_BETTER,
    Scores,
    average_seeds,
    bootstrap_mean,
    common_sets,
    mean_ranks,
    rank_groups,
)

# Okabe and Ito's other colours; the marks tell methods apart without any.
COLORS = (ORANGE, GREEN, "#CC79A7", "#E69F00", "#56B4E9", GREY)
MARKS = ("D", "s", "^", "v", "P", "X", "<", ">")
WIDTH = 7.2
_HEADING = 0.42  # inches between title and axes


def plot_comparison(
    rows: Iterable[Mapping],
    path: str | Path,
    *,
    metric: str,
    reference: str,
    seed: int,
    resamples: int,
    names: Mapping[str, str] | None = None,
) -> None:
    """Draw a row a set with a dot a method, joined; the means over sets below name the marks.

    Parameters
    ----------
    rows : iterable of mapping
        See `dflm.evaluation.statistics.average_seeds`, which is applied.
    path : path-like
        SVG to write.
    metric : str
        Key of the rows that is drawn.
    reference : str
        The method that is drawn as filled blue circles, and sorts the sets.
    seed, resamples : int
        Of the interval of a mean.
    names : mapping of str to str, optional
        What methods are called in the picture; one that is not in it by its own name.

    Raises
    ------
    InputError
        See `average_seeds`.
    """
    scores, _ = average_seeds(rows, metric)
    with matplotlib.rc_context(STYLE):
        figure = comparison_figure(scores, metric, reference, seed, resamples, names or {})
    save_figure(figure, path)


def comparison_figure(
    scores: Scores, metric: str, reference: str, seed: int, resamples: int, names: Mapping[str, str]
) -> Figure:
    """Build the figure of `plot_comparison`."""
    looks = _looks(scores, reference)
    sets = _sorted_sets(scores, metric, reference)
    number = len(sets)
    # Row height in inches and letter size; beyond 150 sets names would only be dust.
    row, size = (0.26, 8) if number <= 60 else (0.14, 6) if number <= 150 else (0.018, 0)
    body = max(0.8, number * row)
    foot = 0.2 + 0.24 * len(scores)
    below = 0.55
    height = _HEADING + body + foot + below
    figure = Figure(figsize=(WIDTH, height))
    labels = [fit_title(one, 4.4) for one in sets] if size else []
    called = {method: fit_title(names.get(method, method), 4.0) for method in scores}
    longest = max(
        [len(label) * size for label in labels] + [len(name) * 8 for name in called.values()]
    )
    left = max(0.9, min(3.4, 0.25 + longest * 0.62 / 72))
    width = (WIDTH - left - 0.35) / WIDTH
    upper = figure.add_axes([left / WIDTH, (below + foot) / height, width, body / height])
    lower = figure.add_axes([left / WIDTH, below / height, width, foot / height], sharex=upper)
    places = {one: number - 1 - i for i, one in enumerate(sets)}
    far = _far(scores, metric, reference)
    shown = {method: held for method, held in scores.items() if method not in far}
    for one, place in places.items():
        values = [held[one] for held in shown.values() if one in held]
        if not values:
            continue
        upper.plot([min(values), max(values)], [place] * 2, color="#CBD0D6", linewidth=1, zorder=1)
    for method, held in shown.items():
        upper.scatter(
            list(held.values()), [places[one] for one in held],
            **looks[method] | ({} if size else {"s": 4}),
        )  # fmt: skip
    for line, (method, held) in enumerate(scores.items()):
        if not held:
            continue
        values, place = [held[one] for one in sorted(held)], len(scores) - 1 - line
        low, high = bootstrap_mean(values, resamples, seed)
        mean = float(np.mean(values))
        words, part = f"{mean:.3f}", len(values) < number
        if part:
            words += f" ({len(values)} of {number} sets)"
        color = looks[method]["edgecolors"]
        if method in far:
            lower.annotate(
                f"\N{LEFTWARDS ARROW} {words}, left of the axis", (0, place), (6, 0),
                xycoords=("axes fraction", "data"), textcoords="offset points", va="center",
                color=INK, fontsize=7.5,
            )  # fmt: skip
            continue
        if low is None:
            low = high = mean
        lower.plot([low, high], [place] * 2, color=color, linewidth=1.6, solid_capstyle="butt")
        lower.scatter([mean], [place], **looks[method])
        # On the right there is room for a number alone, more only beside a mean of the left half.
        ends = upper.get_xlim()
        leftwards = part and low - ends[0] > ends[1] - high
        lower.annotate(
            words, (low if leftwards else high, place), (-6 if leftwards else 6, 0), va="center",
            ha="right" if leftwards else "left", textcoords="offset points", color=INK,
            fontsize=7.5, annotation_clip=False,
        )  # fmt: skip
    # From the figure's edge, as names of sets leave little room beside them.
    figure.text(
        0.03, 1 - 0.22 / height, f"{_word(metric)} on the test file, a dot a method and set",
        weight="bold", fontsize=10, va="center",
    )  # fmt: skip
    upper.tick_params(axis="x", labelbottom=False, length=0)
    upper.set_ylim(-0.7, max(number, 1) - 0.3)
    if size:
        upper.set_yticks([places[one] for one in sets], labels, fontsize=size)
        upper.grid(True)
    else:
        upper.set_yticks([])
        upper.set_ylabel("sets, sorted")
        upper.grid(True, axis="x")
    lower.set_ylim(-0.8, len(scores) - 0.2)
    lower.set_yticks(range(len(scores)), list(called.values())[::-1], fontsize=8)
    lower.set_facecolor("#F6F8FA")
    lower.grid(True, axis="x")
    lower.set_xlabel(_word(metric))
    figure.text(
        0.03, 0.14 / height, f"below, the mean over sets and its {INTERVAL}", color=GREY, fontsize=8
    )
    for axes in (upper, lower):
        axes.tick_params(axis="y", length=0)
    upper.margins(x=0.04)
    return figure


def plot_ranks(
    rows: Iterable[Mapping],
    path: str | Path,
    *,
    metric: str,
    reference: str,
    level: float = 0.05,
    names: Mapping[str, str] | None = None,
) -> None:
    """Draw the mean rank of each method, bars joining those that the sets do not tell apart.

    Parameters
    ----------
    rows : iterable of mapping
        See `dflm.evaluation.statistics.average_seeds`, which is applied.
    path : path-like
        SVG to write; where no set is common to all methods it says so.
    metric : str
        Key of the rows that is ranked.
    reference : str
        The method that is drawn in blue.
    level : float
        Significance, see `dflm.evaluation.statistics.rank_groups`.
    names : mapping of str to str, optional
        What methods are called in the picture.

    Raises
    ------
    InputError
        See `average_seeds`.
    """
    scores, _ = average_seeds(rows, metric)
    with matplotlib.rc_context(STYLE):
        figure = rank_figure(scores, metric, reference, level, names or {})
    save_figure(figure, path)


def rank_figure(
    scores: Scores, metric: str, reference: str, level: float, names: Mapping[str, str]
) -> Figure:
    """Build the figure of `plot_ranks`."""
    sets, ranks = common_sets(scores), mean_ranks(scores, metric)
    groups = rank_groups(scores, metric, level)
    best_first = sorted(scores, key=lambda method: (ranks[method] or 0, method))
    sides = best_first[: -(-len(best_first) // 2)], best_first[-(-len(best_first) // 2) :][::-1]
    step, first = 0.25, 0.3 + 0.14 * len(groups)  # inches below the axis
    depth = first + step * max(map(len, sides)) + 0.1
    height = depth + 0.95
    figure = Figure(figsize=(WIDTH, height))
    # In inches down from the axis, and in ranks; the room at both sides is for names.
    axes = figure.add_axes([0.32, 0, 0.36, (depth + 0.35) / height])
    axes.set_ylim(depth, -0.35)
    axes.set_xlim(1, max(len(scores), 2))
    axes.axis("off")
    figure.text(
        0.02, 1 - 0.25 / height, f"Mean rank by {_word(metric)} over {len(sets)} sets, 1 is best",
        weight="bold", fontsize=10, va="center",
    )  # fmt: skip
    figure.text(
        0.02, 1 - 0.46 / height, color=GREY, fontsize=7.5, va="center",
        s=f"a bar joins methods that do not differ (Wilcoxon, Holm over all pairs, p > {level:g})",
    )  # fmt: skip
    if not sets:
        axes.text(0.5, 0.5, "no set is common to all", transform=axes.transAxes, ha="center")
        return figure
    axes.plot([1, max(len(scores), 2)], [0, 0], color=INK, linewidth=1.2, clip_on=False)
    for rank in range(1, len(scores) + 1):
        axes.plot([rank] * 2, [0, -0.07], color=INK, linewidth=1, clip_on=False)
        axes.text(rank, -0.11, str(rank), ha="center", va="bottom", fontsize=8)
    for line, group in enumerate(groups):
        ends = [ranks[group[0]] - 0.04, ranks[group[-1]] + 0.04]
        y = 0.14 + 0.14 * line
        axes.plot(ends, [y] * 2, color=INK, linewidth=3.2, solid_capstyle="round", clip_on=False)
    across = len(scores) - 1 or 1
    for side, edge, align in (
        (sides[0], 1 - 0.06 * across, "right"),
        (sides[1], len(scores) + 0.06 * across, "left"),
    ):
        for line, method in enumerate(side):
            color, y = BLUE if method == reference else INK, first + step * line + 0.08
            axes.plot(
                [ranks[method], ranks[method], edge], [0, y, y], color=color, linewidth=0.9,
                clip_on=False, zorder=1,
            )  # fmt: skip
            axes.plot(ranks[method], 0, "o", color=color, markersize=4.5, clip_on=False, zorder=4)
            axes.annotate(
                f"{fit_title(names.get(method, method), 2.1)}  {ranks[method]:.2f}", (edge, y),
                (-4 if align == "right" else 4, 0), textcoords="offset points", ha=align,
                va="center", color=color, fontsize=8.5, annotation_clip=False,
                weight="bold" if method == reference else "normal",
            )  # fmt: skip
    return figure


def _looks(scores: Scores, reference: str) -> dict[str, dict]:
    """Choose colour and mark of each method, the same whatever the sets."""
    others = [method for method in scores if method != reference]
    looks = {
        method: {
            "s": 22, "marker": MARKS[i % len(MARKS)], "facecolors": "white", "linewidths": 1.2,
            "edgecolors": COLORS[i % len(COLORS)], "zorder": 3,
        }
        for i, method in enumerate(others)
    }  # fmt: skip
    looks[reference] = {
        "s": 32, "marker": "o", "facecolors": BLUE, "edgecolors": BLUE, "linewidths": 1.2,
        "zorder": 4,
    }  # fmt: skip
    return looks


def _far(scores: Scores, metric: str, reference: str) -> set[str]:
    """Return the methods so far below the reference that their dots would press all else together.

    The floor of dinucleotide counts is one where the negatives are shuffles. Of an error, where
    less is better, all are drawn.
    """
    own = scores.get(reference, {}).values()
    if not own or metric in LOWER_IS_BETTER:
        return set()
    edge = min(own) - max(0.1, (max(own) - min(own)) / 2)
    return {method for method, held in scores.items() if held and max(held.values()) < edge}


def _sorted_sets(scores: Scores, metric: str, reference: str) -> Sequence[str]:
    """Return all sets, the best of the reference first and those it lacks last."""
    held = scores.get(reference, {})
    sign = 1 if metric in LOWER_IS_BETTER else -1
    return sorted(
        set().union(*scores.values()),
        key=lambda one: (one not in held, sign * held.get(one, 0.0), one),
    )


def _word(metric: str) -> str:
    return metric.upper() if metric in ("auroc", "auprc", "mcc", "ece", "nll") else metric
