"""Pictures of a comparison show its numbers, keep labels apart, and are the same bytes."""

import xml.etree.ElementTree as ElementTree
from itertools import pairwise

import matplotlib
import numpy as np
import pytest
from dflm.evaluation import comparison_plot as plots
from dflm.evaluation.plots import STYLE
from dflm.evaluation.statistics import average_seeds, bootstrap_mean, mean_ranks

METHODS = {"full": 0.9, "random": 0.89, "cnn <&>": 0.87, "gkm": 0.86, "floor": 0.83}


def table(sets=14, methods=METHODS, seed=0):
    rng = np.random.default_rng(seed)
    return [
        {
            "method": method,
            "dataset": f"TF{i}_GM12878_TF{i}_(SC-{i})_HudsonAlpha",
            "seed": 1,
            "auroc": float(np.clip(mean + i / 20 / sets + rng.normal(0, 0.01), 0, 1)),
        }
        for method, mean in methods.items()
        for i in range(sets)
    ]


def paired(rows, metric="auroc", names=None):
    scores, _ = average_seeds(rows, metric)
    with matplotlib.rc_context(STYLE):
        figure = plots.comparison_figure(scores, metric, "full", 1, 100, names or {})
        figure.draw_without_rendering()
    return figure, scores


def ranked(rows, names=None):
    scores, _ = average_seeds(rows, "auroc")
    with matplotlib.rc_context(STYLE):
        figure = plots.rank_figure(scores, "auroc", "full", 0.05, names or {})
        figure.draw_without_rendering()
    return figure, scores


def test_same_input_same_svg_without_a_date(tmp_path):
    options = {"metric": "auroc", "reference": "full", "names": {"gkm": "gapped k-mers"}}
    for name in ("a", "b"):
        before = dict(matplotlib.rcParams)
        paired_path, ranks_path = tmp_path / f"paired_{name}.svg", tmp_path / f"ranks_{name}.svg"
        plots.plot_comparison(table(), paired_path, seed=1, resamples=50, **options)
        plots.plot_ranks(table(), ranks_path, **options)
        assert dict(matplotlib.rcParams) == before
    for kind in ("paired", "ranks"):
        written = (tmp_path / f"{kind}_a.svg").read_bytes()
        assert (tmp_path / f"{kind}_b.svg").read_bytes() == written
        assert ElementTree.fromstring(written).tag.endswith("svg")
        assert b"<dc:date>" not in written


@pytest.mark.parametrize("number", [1, 2, 14, 60, 61, 150, 151, 506])
def test_labels_stay_apart_and_on_the_picture(number):
    figure, _ = paired(table(number), names={"gkm": "a name that is much longer than the others"})
    upper, lower = figure.axes
    sets = [label for label in upper.get_yticklabels() if label.get_text().startswith("TF")]
    assert len(sets) == (number if number <= 150 else 0)
    for labels in (sets, lower.get_yticklabels()):
        boxes = [label.get_window_extent() for label in labels]
        boxes.sort(key=lambda box: -box.y0)
        assert all(above.y0 >= below.y1 - 1 for above, below in pairwise(boxes))
        assert all(box.x0 >= 0 for box in boxes)
    assert figure.get_figheight() < 24


def test_dots_are_the_scores_and_means_the_means():
    rows = table()
    del rows[20]  # a set of the second method
    figure, scores = paired(rows)
    upper, lower = figure.axes
    assert [label.get_text() for label in lower.get_yticklabels()] == list(scores)[::-1]
    names = [label.get_text() for label in upper.get_yticklabels()]
    assert names == sorted(scores["full"], key=scores["full"].__getitem__, reverse=True)
    places = dict(zip(names, upper.get_yticks(), strict=True))
    for i, (dots, mean, held) in enumerate(
        zip(upper.collections, lower.collections, scores.values(), strict=True)
    ):
        drawn = {tuple(point) for point in dots.get_offsets().tolist()}
        assert drawn == {(value, places[one]) for one, value in held.items()}
        values = [held[one] for one in sorted(held)]
        assert mean.get_offsets()[0].tolist() == [np.mean(values), len(scores) - 1 - i]
        assert tuple(lower.lines[i].get_xdata()) == bootstrap_mean(values, 100, 1)
    assert len(upper.collections[1].get_offsets()) == 13
    told = ["(13 of 14 sets)" in text.get_text() for text in lower.texts]
    assert told == [i == 1 for i in range(len(scores))]
    # Each row's line spans its dots.
    for line, one in zip(upper.lines, names, strict=True):
        values = [held[one] for held in scores.values() if one in held]
        assert line.get_xdata().tolist() == [min(values), max(values)]
        assert line.get_ydata()[0] == places[one]


@pytest.mark.parametrize("mean", [0.6, 0.9])
def test_of_how_many_sets_a_mean_is_stands_on_no_name(mean):
    rows = table(methods={"full": 0.75, "gkm": mean})[:-1]
    figure, _ = paired(rows, names={"gkm": "a gapped k-mer SVM"})
    _, lower = figure.axes
    (told,) = [text for text in lower.texts if "(13 of 14 sets)" in text.get_text()]
    box = told.get_window_extent()
    assert not any(box.overlaps(name.get_window_extent()) for name in lower.get_yticklabels())
    assert box.x1 <= figure.bbox.x1


def test_of_an_error_the_smallest_stands_first():
    rows = [row | {"brier": 1 - row["auroc"]} for row in table()]
    by_error, by_area = (
        [label.get_text() for label in paired(rows, metric)[0].axes[0].get_yticklabels()]
        for metric in ("brier", "auroc")
    )
    assert by_error == by_area


def test_far_methods_are_set_apart_where_more_is_better_only():
    rows = table(6, {"full": 0.9, "floor": 0.5})
    rows = [row | {"brier": 1 - row["auroc"]} for row in rows]
    for metric, drawn in (("auroc", 1), ("brier", 2)):
        upper, lower = paired(rows, metric)[0].axes
        assert len(upper.collections) == drawn
        assert ["left of the axis" in text.get_text() for text in lower.texts] == [
            False,
            drawn == 1,
        ]


def test_a_single_set_has_means_without_an_interval():
    _, lower = paired(table(1))[0].axes
    assert len(lower.collections) == len(METHODS)
    assert all(len(set(line.get_xdata())) == 1 for line in lower.lines)


def test_methods_are_told_apart_by_mark_or_colour():
    many = {"full": 0.9} | {f"m{i}": 0.8 for i in range(12)}
    figure, _ = paired(table(3, many))
    looks = {
        (dots.get_paths()[0].vertices.tobytes(), dots.get_edgecolors().tobytes())
        for dots in figure.axes[0].collections
    }
    assert len(looks) == len(many)


def test_a_method_without_any_value_and_a_set_the_reference_lacks():
    rows = [row for row in table(4) if (row["method"], row["dataset"][:3]) != ("full", "TF3")]
    rows += [{"method": "late", "dataset": "TF0", "seed": 1, "auroc": None}]
    figure, _ = paired(rows)
    upper, lower = figure.axes
    assert upper.get_yticklabels()[-1].get_text().startswith("TF3")
    assert len(lower.collections) == len(METHODS)
    figure, _ = ranked(rows)
    assert any("no set is common" in text.get_text() for text in figure.axes[0].texts)


@pytest.mark.parametrize("number", [2, 3, 5, 12])
def test_ranks_stand_at_their_values_and_names_on_the_picture(number):
    names = [f"DFLM, no LM fine-tun {i:02}" for i in range(1, number)]
    methods = {"full": 0.9} | {name: 0.896 - 0.004 * i for i, name in enumerate(names)}
    figure, scores = ranked(table(12, methods))
    (axes,) = figure.axes
    ranks = mean_ranks(scores, "auroc")
    dots = sorted(line.get_xdata()[0] for line in axes.lines if line.get_marker() == "o")
    assert dots == sorted(ranks.values())
    texts = [text.get_text() for text in axes.texts]
    assert {f"{name}  {rank:.2f}" for name, rank in ranks.items()} <= set(texts)
    boxes = [text.get_window_extent() for text in [*axes.texts, *figure.texts]]
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.x1 for box in boxes)
    assert all(box.y0 >= 0 and box.y1 <= figure.bbox.y1 for box in boxes)
    assert not any(one.overlaps(other) for i, one in enumerate(boxes) for other in boxes[i + 1 :])


def test_a_bar_joins_those_that_do_not_differ():
    methods = {"full": 0.9, "twin": 0.9, "far": 0.6, "farther": 0.4}
    figure, scores = ranked(table(14, methods))
    bars = [line for line in figure.axes[0].lines if line.get_linewidth() > 3]
    ranks = mean_ranks(scores, "auroc")
    (bar,) = bars
    low, high = sorted((ranks["full"], ranks["twin"]))
    assert bar.get_xdata() == pytest.approx([low - 0.04, high + 0.04])


def test_a_floor_far_below_is_told_and_does_not_press_the_others_together():
    figure, _ = paired(table(9, {"full": 0.95, "gkm": 0.93, "floor": 0.5}))
    upper, lower = figure.axes
    assert len(upper.collections) == len(lower.collections) == 2
    assert upper.get_xlim()[0] > 0.7
    (told,) = [text for text in lower.texts if "left of the axis" in text.get_text()]
    assert told.get_text().startswith("\N{LEFTWARDS ARROW} 0.5")
    figure, _ = paired(table(9, {"full": 0.6, "floor": 0.5}))
    assert len(figure.axes[0].collections) == 2
