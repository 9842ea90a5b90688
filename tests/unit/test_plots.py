"""Pictures are the same bytes each time, whole, and say what they show."""

import json
import xml.etree.ElementTree as ElementTree
from itertools import pairwise

import matplotlib
import numpy as np
import pytest
from dflm.errors import InputError
from dflm.evaluation import calibration_plot, plots
from dflm.scores import average_precision
from matplotlib.figure import Figure

NAME = "ELK1_GM12878_ELK1_(1277-1)_Stanford"


@pytest.fixture
def scores():
    rng = np.random.default_rng(0)
    labels = np.repeat([1, 0], 100)
    return labels, 1 / (1 + np.exp(-rng.normal(2.0 * labels - 1)))


def history(path, kind):
    events = [{"event": "begin"}]
    for number in range(6):
        event = {"event": "validation", "epoch": number / 2, "train_loss": 1.3, "loss": 1.25}
        if kind == "classifier":
            event |= {"stage": number // 2 + 1, "auroc": 0.7 + number / 30, "accuracy": 0.6}
        else:
            event |= {"bits_per_base": 1.95 - number / 30, "step": number}
        events.append(event)
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    return path


def draw(kind, folder, scores):
    path = folder / f"{kind}.svg"
    if kind == "roc":
        plots.plot_roc(*scores, path, title=NAME)
    elif kind == "pr":
        plots.plot_precision_recall(*scores, path, title=NAME)
    elif kind == "summary":
        sets = [(NAME, 0.9, 0.5), ("other", 0.7, None)]
        plots.plot_summary(sets, path, (0.8, 0.7, 0.9), [("x", "failed", "why <not> & so")])
    else:
        plots.plot_learning_curve(history(folder / f"{kind}.jsonl", kind), path, title=NAME)
    return path.read_bytes()


@pytest.mark.parametrize("kind", ["roc", "pr", "summary", "classifier", "language model"])
def test_same_input_same_svg_without_a_date(kind, tmp_path, scores):
    (tmp_path / "again").mkdir()
    first = draw(kind, tmp_path, scores)
    assert draw(kind, tmp_path / "again", scores) == first
    assert ElementTree.fromstring(first).tag.endswith("svg")
    assert b"<dc:date>" not in first
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.fixture
def drawn(monkeypatch):
    """Return what draws a figure and hands it over instead of writing it."""
    figures = []
    for module in (plots, calibration_plot):
        monkeypatch.setattr(module, "save_figure", lambda figure, path: figures.append(figure))

    def draw(function, *arguments, **named):
        function(*arguments, "none.svg", **named)
        figures[-1].draw_without_rendering()
        return figures[-1]

    return draw


@pytest.mark.parametrize(
    ("labels", "p"),
    [
        ([1, 0, 1], [0.9, 0.8, 0.7]),
        ([1, 0] * 50, [0.5] * 100),
        ([1] * 9 + [0] * 9, np.round(np.linspace(0.9, 0.1, 18) % 0.61, 1)),
    ],
)
def test_the_precision_drawn_at_each_recall_is_that_of_the_area_told(drawn, labels, p):
    figure = drawn(plots.plot_precision_recall, labels, p, title=NAME)
    (axes,) = figure.axes
    curve = axes.lines[-1]
    steps = matplotlib.cbook.STEP_LOOKUP_MAP[curve.get_drawstyle()]
    recall, precision = steps(*curve.get_data())
    assert abs(np.trapezoid(precision, recall)) == pytest.approx(average_precision(labels, p))


@pytest.mark.parametrize("length", [10, 34, 35, 43, 60])
def test_titles_and_words_stay_on_the_picture_and_apart(drawn, scores, length):
    name = ("ELK1_GM12878_ELK1_(1277-1)_Stanford" * 2)[:length]
    labels = np.repeat([1, 0], [20, 180])
    few = labels, np.linspace(1, 0, 200)
    for figure in (
        drawn(plots.plot_roc, *scores, title=name),
        drawn(plots.plot_precision_recall, *few, title=name),
        drawn(calibration_plot.plot_reliability, *scores, 1.2, title=name),
    ):
        axes = figure.axes[0]
        boxes = [text.get_window_extent() for text in [*axes.texts, axes._left_title]]
        assert all(box.x0 >= 0 and box.x1 <= figure.bbox.x1 for box in boxes)
        assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[i + 1 :])


@pytest.mark.parametrize("mean", [0.5, 0.64, 0.7, 0.75, 0.9])
def test_the_mean_of_the_summary_stands_on_it(mean):
    sets = [(NAME + "_x", mean, 0.4), (NAME, mean + 0.02, 0.5)]
    with matplotlib.rc_context(plots.STYLE):
        figure = plots.summary_figure(sets, (mean, mean - 0.01, mean + 0.02))
        figure.draw_without_rendering()
        box = figure.axes[0].texts[0].get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.x1
    assert figure.axes[0].get_xlim()[0] <= 0.4


def test_stages_of_a_few_epochs_are_named_as_far_as_there_is_room(tmp_path):
    figure = Figure(figsize=(6.4, 4))
    upper, lower = figure.subplots(2, 1)
    stages = [1, 2, 3, 4, *[5] * 60]
    for axes in (upper, lower):
        axes.set_xlim(0.5, len(stages) + 0.5)
    plots._stage_bands(upper, lower, stages)
    figure.draw_without_rendering()
    told = [text.get_text() for text in upper.texts]
    assert (told[0], told[-1]) == ("stage 1", "5")
    boxes = [text.get_window_extent() for text in upper.texts]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[i + 1 :])


def test_drawing_leaves_the_global_style_alone(tmp_path, scores):
    before = dict(matplotlib.rcParams)
    draw("roc", tmp_path, scores)
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("number", [1, 4, 60, 61, 150, 151, 506])
def test_summary_keeps_labels_apart_and_its_size_sane(number):
    sets = [
        (f"TF{i}_GM12878_TF{i}_(SC-{i})_HudsonAlpha", 0.5 + i / 1100, 0.5) for i in range(number)
    ]
    with matplotlib.rc_context(plots.STYLE):
        figure = plots.summary_figure(sets, (0.7, 0.6, 0.8))
        figure.draw_without_rendering()
    axes = figure.axes[0]
    labels = [label for label in axes.get_yticklabels() if label.get_text().startswith("TF")]
    assert len(labels) == (number if number <= 150 else 0)
    boxes = [label.get_window_extent() for label in labels]
    assert all(low.y1 <= high.y0 + 1 for low, high in pairwise(boxes))
    assert all(box.x0 >= 0 for box in boxes)
    assert figure.get_figheight() < 24


def test_summary_is_sorted_and_names_those_without_a_score():
    with matplotlib.rc_context(plots.STYLE):
        others = [(f"X{i}", "skipped", "few peaks") for i in range(30)]
        figure = plots.summary_figure([("b", 0.9, 0.5), ("a", 0.7, 0.5)], (0.8, 0.7, 0.9), others)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["a", "b"]
    texts = [text.get_text() for text in figure.texts]
    assert "skipped  X0: few peaks" in texts
    assert "and 10 more, see the table" in texts


def test_training_loss_is_shown_in_bits_per_base(tmp_path):
    """With stride s a token's loss is spread over s bases; the validation tells the factor."""
    events = plots.read_history(history(tmp_path / "m.jsonl", "language model"))
    with matplotlib.rc_context(plots.STYLE):
        figure = plots._language_model_curve(events, "x")
    train, validation = figure.axes[0].lines[:2]
    np.testing.assert_allclose(validation.get_ydata(), [event["bits_per_base"] for event in events])
    np.testing.assert_allclose(train.get_ydata(), validation.get_ydata() * 1.3 / 1.25)


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "no validation"), ('{"event": "begin"}\n', "no validation"), ("{torn\n", "line 1")],
)
def test_a_history_without_validations_is_refused(tmp_path, text, message):
    path = tmp_path / "metrics.jsonl"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        plots.plot_learning_curve(path, tmp_path / "out.svg", title="x")
    assert not (tmp_path / "out.svg").exists()


def test_one_validation_is_enough(tmp_path):
    for kind in ("classifier", "language model"):
        path = history(tmp_path / "metrics.jsonl", kind)
        path.write_text("\n".join(path.read_text().splitlines()[:2]) + "\n")
        plots.plot_learning_curve(path, tmp_path / f"{kind}.svg", title="x")
