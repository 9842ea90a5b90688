"""The page of a set is whole in itself and shows the numbers of its files."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from dflm.calibration import calibrate_strands
from dflm.evaluation.metrics import calibration_record, classification_metrics
from dflm.evaluation.score_plot import plot_scores, scores_figure
from dflm.evaluation.set_page import PICTURES, set_page, write_set_page

NAME = "ELK1_GM12878_ELK1_(1277-1)_<Stanford>"


def scored(number, seed):
    rng = np.random.default_rng(seed)
    labels = np.arange(number) % 2
    return labels, 1 / (1 + np.exp(-3 * rng.normal(np.where(labels, 1, -1), 1.2)))


def level(exact, near):
    both = (("exact", exact), ("near", near))
    return {kind: dict(zip(("positives", "negatives"), n, strict=True)) for kind, n in both}


@pytest.fixture
def told():
    """What the files of a set hold."""
    labels, p = scored(400, 1)
    card = {
        "sha256": "ab" * 32,
        "dflm_version": "0.1.0",
        "torch_version": "2.13.0",
        "vocabulary": {"k": 3, "stride": 1},
        "architecture": {"embedding": 200, "hidden": 800},
        "training": {"classifier": {"batch_size": 400}, "language_model_sha256": "cd" * 32},
        "calibration": calibrate_strands(labels, p, p[::-1], fdr=0.15),
    }
    labels, p = scored(600, 2)
    found = calibration_record(labels, p, card["calibration"]["one_strand"])
    metrics = classification_metrics(labels, p) | {
        "dataset": NAME,
        "seed": 7,
        "floor_auroc": 0.5,
        "ece": found["after"]["ece"],
        "calibration": found,
        "test_positives": 300,
        "test_negatives": 300,
        "lm_bits_per_base_before": 1.93,
        "lm_bits_per_base_after": 1.9,
        "best_stage": 4,
        "best_epoch": 2,
        "validation_auroc": 0.91,
    }
    stats = {"tf": "ELK1", "cell_line": "GM12878", "width": 101, "sha256": {"train": "ef" * 32}}
    stats |= {"dropped": {"ambiguous": 3, "length": 0}, "shared_with_test": 2}
    stats |= {f"{part}_{kind}": 4567 for part in ("train", "validation", "test")
              for kind in ("positives", "negatives")}  # fmt: skip
    leaks = {"width": 40, "test": level((0, 1), (17, 2))}
    leaks["corpus"] = {"train": level((431, 0), (12, 0)), "validation": level((29, 0), (0, 0))}
    leaks["shown"] = level((3, 0), (21, 1))
    return [metrics, card, stats, leaks]


class Text(HTMLParser):
    """Collects a page's words and the files that it asks for."""

    def __init__(self, page):
        super().__init__()
        self.words, self.asked = [], []
        self.feed(page)

    def handle_data(self, data):
        self.words.append(data.strip())

    def handle_starttag(self, tag, attrs):
        self.asked += [value for name, value in attrs if name in ("src", "href")]


def drawn():
    return {name: f"<svg id='{name}'/>".encode() for name, _ in PICTURES}


def test_the_page_shows_what_the_files_hold(told):
    page = set_page(*told, drawn(), both_strands=False)
    text = Text(page)
    words = " ".join(text.words)
    metrics, card, _, _ = told
    assert NAME in words
    assert f"{metrics['auroc']:.3f}" in words
    for name, point in metrics["calibration"]["thresholds"].items():
        validated = card["calibration"]["one_strand"]["thresholds"][name]
        for value in (point["threshold"], point["calibrated"], point["precision"], point["mcc"]):
            assert f"{value:.3f}" in words
        assert f"{validated['recall']:.3f}" in words
    for when in ("before", "after"):
        assert f"{metrics['calibration'][when]['nll']:.4f}" in words
    for told_words in (
        "FDR at most 0.15",
        "4,567",
        "3 with N",
        "2 that stand in the",
        "50 % in both parts",
        "training or validation part, with labels 0 1 17 2 ",
        "pretrained on, without labels of binding 431 0 12 0 ",
        "held out of pretraining 29 0 0 0 ",
        "told from their shuffles 3 0 21 1 ",
    ):
        assert told_words in words, told_words
    for digest in ("ab", "cd", "ef"):
        assert digest * 32 in words
    assert "from 1.930 to 1.900 bits per base" in words
    assert '"batch_size": 400' in words


def test_the_page_needs_no_other_file(told):
    page = set_page(*told, drawn(), both_strands=False)
    asked = Text(page).asked
    assert len(asked) == len(PICTURES)
    assert all(one.startswith("data:image/svg+xml;base64,") for one in asked)
    assert not re.search(r"https?://|url\(", page)


def test_without_corpus_and_without_language_model_nothing_is_made_up(told):
    metrics, card, stats, leaks = told
    metrics |= {"lm_bits_per_base_before": None, "lm_bits_per_base_after": None}
    nothing = leaks | {"corpus": None, "shown": None}
    text = set_page(metrics, card, stats, nothing, drawn(), both_strands=False)
    assert "second pretraining" not in text
    assert "bits per base" not in text
    assert "pretrained on" not in text
    assert "None" not in text


def test_shares_of_positives_that_differ_are_both_told(told):
    told[0] |= {"test_positives": 100, "test_negatives": 300}
    page = set_page(*told, drawn(), both_strands=False)
    assert "50 % in the validation part, where the FDR is kept, 25 % in the test file" in page


def test_what_became_of_negatives_that_are_no_shuffles_is_told(told):
    found = {"train": {"wanted": 1000, "found": 700}, "test": {"wanted": 90, "found": 90}}
    told[2]["background"] = found | {"repeats_left_out": 4}
    page = set_page(*told, drawn(), both_strands=False)
    assert "Of 1,000 genomic negatives wanted for training and validation 700 were found." in page
    assert "wanted for the test" not in page
    assert "Negatives left out: 4 that stand there as another sequence." in page
    told[2]["background"] = {"read": 9, "dropped": {"on_a_peak": 5, "overlap": 0, "ambiguous": 2}}
    page = set_page(*told, drawn(), both_strands=False)
    assert "Negatives left out: 5 on a peak; 2 with N." in page
    told[2] |= {"dropped": {}, "shared_with_test": 0}
    page = set_page(*told, drawn(), both_strands=False)
    assert "No positive was left out." in page
    assert "No sequence was left out" not in page


def test_a_threshold_that_does_not_exist_is_a_dash(told):
    metrics = told[0]
    point = metrics["calibration"]["thresholds"]["fdr"]
    point |= {"threshold": None, "calibrated": None, "precision": None, "called": 0}
    assert "<td class=n>–</td>" in set_page(*told, drawn(), both_strands=False)


def test_files_are_read_and_the_bytes_are_the_same(told, tmp_path):
    names = ("metrics", "card", "stats", "leaks")
    for name, content in zip(names, told, strict=True):
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    pictures = {name: tmp_path / f"{name}.svg" for name, _ in PICTURES}
    for name, svg in drawn().items():
        pictures[name].write_bytes(svg)

    def page(name, read_corpus, was_shown, **row):
        files = (tmp_path / f"{name}.json" for name in names)
        how = {"both_strands": False, "row": row}
        flags = {"read_corpus": read_corpus, "was_shown": was_shown}
        write_set_page(*files, pictures, tmp_path / name, **how, **flags)
        return (tmp_path / name).read_text()

    whole = page("a.html", True, True)
    assert page("b.html", True, True) == whole
    assert "ELK1 in GM12878" in whole
    # What the sheet says wins over the set's name; what another method has read is not told.
    assert "CTCF in GM12878" in page("c.html", True, True, tf="CTCF", cell_line=None)
    for flags, said in (((False, False), (False, False)), ((True, False), (True, False))):
        words = page("d.html", *flags)
        assert ("pretrained on" in words, "second pretraining" in words) == said


def test_the_histogram_names_each_label_and_shows_each_threshold(told, tmp_path):
    labels, p = scored(600, 2)
    thresholds = told[0]["calibration"]["thresholds"]
    figure = scores_figure(labels, p, thresholds, "a set")
    axes = figure.axes[0]
    assert len(axes.lines) == len(thresholds) == 3
    lines = sorted(line.get_xdata()[0] for line in axes.lines)
    assert lines == sorted(point["threshold"] for point in thresholds.values())
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert {"negatives (300)", "positives (300)"} <= set(names)
    none = thresholds | {"fdr": {"threshold": None, "limit": 0.1}}
    assert len(scores_figure(labels, p, none, "a set").axes[0].lines) == 2
    for name in ("a.svg", "b.svg"):
        plot_scores(labels, p, thresholds, tmp_path / name, "a set")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
