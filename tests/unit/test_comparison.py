"""All methods in one table: none is silently gone, and the best of a set is marked."""

import csv
import json
import xml.etree.ElementTree as ElementTree

import pytest
from dflm.errors import InputError
from dflm.evaluation.comparison import COLUMNS, METRICS, Run, compare_methods, format_comparison

SETS = ("A_K562_a_(SC-1)_Lab", "B_<x>_&_Lab", "C_x_Lab", "SKIPPED_x_Lab")
SCORES = {"full": (0.9, 0.8, 0.7), "cnn": (0.85, 0.82, None), "floor": (0.5, 0.5, 0.5)}
OPTIONS = {"references": ["full"], "metrics": ["auroc", "brier"], "tie": 0.01}
OPTIONS |= {"resamples": 200, "seed": 1}


@pytest.fixture
def task(tmp_path):
    """Rows, runs and statistics of three methods, the cnn with two seeds and a set that failed."""
    rows = [{"dataset": name, "tf": name.split("_")[0], "cell_line": "x"} for name in SETS]
    stats = {SETS[3]: tmp_path / "stats.json"}
    stats[SETS[3]].write_text(json.dumps({"status": "skipped", "reason": "9 training peaks"}))
    log = tmp_path / "cnn.log"
    log.write_text("ERROR it diverged\n")
    runs = []
    for method, seed in (("full", 1), ("cnn", 1), ("floor", 1), ("cnn", 2)):
        run = Run(method, seed, {}, {}, {})
        for name, score in zip(SETS, SCORES[method], strict=False):
            if score is None:
                run.logs[name] = [log]
                continue
            path = tmp_path / f"{method}{seed}{len(run.metrics)}.json"
            values = dict.fromkeys(METRICS, 0.5) | {"auroc": score + 0.02 * (seed - 1)}
            values |= {"brier": 1 - score, "train_positives": 900, "method": "?", "seed": 99}
            path.write_text(json.dumps(values))
            run.metrics[name] = path
        runs.append(run)
    return {"rows": rows, "runs": runs, "stats": stats}


def compared(task, folder, **others):
    out = {name: folder / name for name in ("table", "comparison", "page", "plot", "ranks")}
    compare_methods(**(task | OPTIONS | others), **out)
    tables = []
    for name in ("table", "comparison"):
        with out[name].open(newline="") as stream:
            tables.append(list(csv.DictReader(stream, delimiter="\t")))
    return out, *tables


def test_a_row_for_each_method_set_and_seed(task, tmp_path):
    _, rows, _ = compared(task, tmp_path)
    assert list(rows[0]) == list(COLUMNS)
    found = [(row["method"], row["seed"], row["dataset"]) for row in rows]
    runs = [("full", "1"), ("cnn", "1"), ("floor", "1"), ("cnn", "2")]
    assert found == [(*run, name) for run in runs for name in SETS]
    states = {(row["method"], row["dataset"]): (row["status"], row["reason"]) for row in rows}
    assert states["full", SETS[0]] == ("ok", "")
    assert states["cnn", SETS[2]] == ("failed", "it diverged")
    for method in SCORES:
        assert states[method, SETS[3]] == ("skipped", "9 training peaks")
    assert float(rows[0]["auroc"]) == 0.9
    assert rows[0]["train_positives"] == "900"
    assert rows[3]["auroc"] == rows[0]["runtime_seconds"] == ""


def test_seeds_are_averaged_and_lacking_sets_counted(task, tmp_path):
    _, _, records = compared(task, tmp_path)
    assert [(one["metric"], one["method"]) for one in records] == [
        (metric, method) for metric in OPTIONS["metrics"] for method in SCORES
    ]
    full, cnn, floor = records[:3]
    assert (full["sets"], full["missing"], full["reference"]) == ("3", "0", "")
    assert (cnn["sets"], cnn["missing"], cnn["seeds"], cnn["paired"]) == ("2", "1", "2", "2")
    assert float(cnn["mean"]) == pytest.approx((0.86 + 0.83) / 2)
    assert [cnn[name] for name in ("wins", "ties", "losses")] == ["1", "0", "1"]
    assert float(floor["difference"]) == pytest.approx(0.3)
    # Less is better of the Brier score.
    assert records[4]["wins"] == "1"
    text = format_comparison(tmp_path / "comparison").splitlines()
    assert len(text) == 2 + len(SCORES)
    assert text[0].split()[:2] == ["method", "sets"]
    assert "full minus it" in text[0]
    assert "1/0/1" in text[3]


def test_pictures_and_page_are_whole_and_the_best_is_marked(task, tmp_path):
    out, _, _ = compared(task, tmp_path)
    for name in ("plot", "ranks"):
        assert len(ElementTree.parse(out[name]).getroot().findall(".//{*}path")) > 10
    page = out["page"].read_text()
    assert "<x>" not in page
    assert "B_&lt;x&gt;_&amp;_Lab" in page
    lines = page.splitlines()
    best = {
        name: [cell.split(">")[1] for cell in line.split("<td")[2:] if 'class="n best"' in cell]
        for name in SETS
        for line in lines
        if line.startswith("<tr>") and name.split("_")[0] + "_" in line.split("</td>")[0]
    }
    assert [len(cells) for cells in best.values()] == [1, 1, 1, 0]
    assert best[SETS[0]][0].startswith("0.900")
    assert best[SETS[1]][0].startswith("0.830")  # the cnn's two seeds
    assert "one-hot CNN" in page
    # A mean over fewer sets is not read beside the others unseen.
    (means,) = [line for line in lines if "MEAN" in line]
    assert ["(2 of 3 sets)" in cell for cell in means.split("<td")[2:]] == [False, True, False]


def test_several_references_have_a_block_each(task, tmp_path):
    out, _, records = compared(task, tmp_path, references=["full", "cnn"])
    found = [(one["metric"], one["reference"], one["method"]) for one in records]
    assert found == [
        (metric, *pair)
        for metric in OPTIONS["metrics"]
        for pair in (
            *(("", "full"), ("full", "cnn"), ("full", "floor")),
            *(("cnn", "full"), ("cnn", "floor")),
        )
    ]
    _, one_way, _, other_way, _ = records[:5]
    assert float(one_way["difference"]) == -float(other_way["difference"])
    assert (one_way["wins"], one_way["losses"]) == (other_way["losses"], other_way["wins"])
    text = format_comparison(out["comparison"])
    assert [block.split("  ")[0] for block in text.split("\n\n")] == ["method", "method"]
    assert "full minus it" in text
    assert "cnn minus it" in text
    assert "Compared with DFLM and one-hot CNN" in out["page"].read_text()


@pytest.mark.parametrize("kept", [[], ["full"], ["floor"]])
def test_what_there_is_is_compared_although_methods_have_no_score_at_all(task, tmp_path, kept):
    runs = [run if run.method in kept else Run(run.method, run.seed, {}) for run in task["runs"]]
    out, rows, records = compared(task, tmp_path, runs=runs)
    assert len(rows) == 4 * len(SETS)
    assert {one["method"]: int(one["sets"]) for one in records[:3]} == {
        method: 3 if method in kept else 0 for method in SCORES
    }
    assert all(path.exists() for path in out.values())
    assert format_comparison(out["comparison"])


def test_same_input_same_bytes(task, tmp_path):
    one, two = (compared(task, tmp_path / name)[0] for name in ("one", "two"))
    for name, path in one.items():
        assert path.read_bytes() == two[name].read_bytes()


def test_a_reference_that_did_not_run_is_told(task, tmp_path):
    with pytest.raises(InputError, match="no row of the method gkm"):
        compared(task, tmp_path, references=["full", "gkm"])
