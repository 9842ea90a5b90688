"""No set is silently gone from the table, and the mean is over those that ended."""

import csv
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from dflm.errors import InputError
from dflm.evaluation.plots import summary_figure
from dflm.evaluation.summary import COLUMNS, KILLED, NOT_RUN, format_table, runtime, summarise

GOOD = {"A_K562_a_(SC-1)_Lab": 0.97, "C_K562_c.2_Lab": 0.81, "B_GM12878_b_Lab": 0.9}
SKIPPED, FAILED, LATE, ORPHAN = "D_x_Lab", "E_<x>_&_Lab", "F_x_Lab", "G_x_Lab"


def row_of(dataset, **others):
    tf, cell_line = dataset.split("_")[:2]
    return {"dataset": dataset, "tf": tf, "cell_line": cell_line} | others


@pytest.fixture
def given_files(tmp_path):
    rows = [row_of(name) for name in [*list(GOOD)[:2], SKIPPED, FAILED, list(GOOD)[2], LATE]]
    rows.append(row_of(ORPHAN, status="failed", reason="there is no B file"))
    metrics, benchmarks, logs = {}, {}, {}
    for name, auroc in GOOD.items():
        metrics[name] = tmp_path / f"{name}.json"
        values = {"auroc": auroc, "auprc": auroc, "mcc": 0.5, "accuracy": 0.8, "floor_auroc": 0.5}
        values |= {"train_positives": 900, "test_positives": 500, "test_negatives": 500}
        values |= {"test_positives_in_corpus": 430 if auroc > 0.9 else None}
        values |= {"test_positives_shown": 7, "auroc_unshown": auroc - 0.001}
        values |= {"lm_bits_per_base_before": 1.93, "lm_bits_per_base_after": None}
        metrics[name].write_text(json.dumps(values))
        benchmarks[name] = [tmp_path / f"{name}.{i}.tsv" for i in range(3)]
        for path in benchmarks[name][:2]:  # the third was never written
            path.write_text("s\th:m:s\tmax_rss\n60.5\t0:01:00\t12.5\n")
    stats = {SKIPPED: tmp_path / "stats.json"}
    stats[SKIPPED].write_text(
        json.dumps({"status": "skipped", "reason": "870 positives", "train_positives": 0})
    )
    logs[FAILED] = [tmp_path / "split.log", tmp_path / "train.log", tmp_path / "none.log"]
    logs[FAILED][0].write_text("2026-01-01 INFO begins\nERROR x.gz: the file is damaged\n")
    logs[FAILED][1].write_text("ERROR a later one\n")
    return {"rows": rows, "metrics": metrics, "stats": stats, "benchmarks": benchmarks} | {
        "logs": logs
    }


def run(files, folder, **others):
    out = {"table": folder / "auc.tsv", "html": folder / "auc.html", "plot": folder / "auc.svg"}
    summarise(**(files | others), **out, seed=1, bootstrap=500)
    with open(out["table"], newline="") as handle:
        records = list(csv.DictReader(handle, delimiter="\t"))
    return out, records


def test_a_row_for_each_set_in_order_then_the_mean(given_files, tmp_path):
    _, records = run(given_files, tmp_path)
    wanted = [row["dataset"] for row in given_files["rows"]]
    assert [record["dataset"] for record in records] == [*wanted, "MEAN"]
    assert list(records[0]) == [column.name for column in COLUMNS]
    states = {record["dataset"]: (record["status"], record["reason"]) for record in records}
    assert states[SKIPPED] == ("skipped", "870 positives")
    assert states[FAILED] == ("failed", "x.gz: the file is damaged")
    assert states[LATE] == ("failed", NOT_RUN)
    given_files["logs"][LATE] = [tmp_path / "killed.log", tmp_path / "none.log"]
    given_files["logs"][LATE][0].write_text("2026-01-01 INFO begins\n")
    _, killed = run(given_files, tmp_path)
    assert killed[5]["reason"] == f"{KILLED}, see {tmp_path}/killed.log"
    assert states[ORPHAN] == ("failed", "there is no B file")
    assert all(states[name] == ("ok", "") for name in GOOD)


def test_values_and_their_mean(given_files, tmp_path):
    _, records = run(given_files, tmp_path)
    by_name = {record["dataset"]: record for record in records}
    for name, auroc in GOOD.items():
        assert float(by_name[name]["auroc"]) == pytest.approx(auroc)
        assert float(by_name[name]["runtime_seconds"]) == pytest.approx(121)
        assert by_name[name]["auroc_low"] == by_name[name]["lm_bits_per_base_after"] == ""
    assert by_name[SKIPPED]["auroc"] == by_name[FAILED]["auroc"] == ""
    assert by_name[SKIPPED]["train_positives"] == ""  # its tables hold no row, as it is skipped
    # Known of one set only: the mean is over those of which it is.
    assert [by_name[name]["test_in_corpus"] for name in GOOD] == ["430", "", ""]
    assert by_name[SKIPPED]["test_in_corpus"] == ""
    assert float(by_name["MEAN"]["test_in_corpus"]) == 430
    assert {by_name[name]["test_shown"] for name in GOOD} == {"7"}
    mean = by_name["MEAN"]
    assert float(mean["auroc_unshown"]) == pytest.approx(float(mean["auroc"]) - 0.001)
    assert float(mean["auroc"]) == pytest.approx(np.mean(list(GOOD.values())), abs=1e-6)
    low, high = float(mean["auroc_low"]), float(mean["auroc_high"])
    assert min(GOOD.values()) <= low < float(mean["auroc"]) < high <= max(GOOD.values())
    assert mean["reason"] == "over 3 sets"


def test_a_single_set_has_a_mean_and_no_interval(given_files, tmp_path):
    one = next(row for row in given_files["rows"] if row["dataset"] in GOOD)
    out, (record, mean) = run(given_files, tmp_path, rows=[one])
    assert mean["auroc"] == record["auroc"] != ""
    assert mean["auroc_low"] == mean["auroc_high"] == ""
    text = format_table(out["table"]).splitlines()
    assert text[-1] == f"mean AUROC {float(record['auroc']):.3f} over 1 set"
    assert "interval" not in out["html"].read_text()
    figure = summary_figure([("a set", 0.9, None)], (0.9, None, None))
    assert [text.get_text() for text in figure.axes[0].texts] == ["mean 0.900"]


def test_same_input_same_bytes(given_files, tmp_path):
    one, two = (run(given_files, tmp_path / name)[0] for name in ("one", "two"))
    for key, path in one.items():
        assert path.read_bytes() == two[key].read_bytes()


@pytest.mark.parametrize("rows", [None, []])
def test_without_a_single_score_all_three_are_still_made(given_files, tmp_path, rows):
    rows = given_files["rows"] if rows is None else rows
    out, records = run(given_files, tmp_path, metrics={}, rows=rows)
    assert len(records) == len(rows) + 1
    assert records[-1]["auroc"] == records[-1]["auroc_low"] == ""
    assert "no set has a score" in format_table(out["table"])
    assert out["plot"].read_text().rstrip().endswith("</svg>")


class Cells(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.values, self.text = [], [], ""

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.values += [value for _, value in attrs]

    def handle_data(self, data):
        self.text += data


def test_page_is_whole_escaped_and_needs_nothing_from_outside(given_files, tmp_path):
    out, _ = run(given_files, tmp_path)
    page = out["html"].read_text()
    parsed = Cells()
    parsed.feed(page)
    for row in given_files["rows"]:
        assert row["dataset"] in parsed.text
    assert "x.gz: the file is damaged" in parsed.text
    assert "test + in LM corpus" in parsed.text
    assert "<x>" not in page
    assert not {"link", "img", "iframe"} & set(parsed.tags)
    assert not re.search(r"https?://|src=|@import|url\(", page)
    assert parsed.tags.count("tr") == 2 + len(given_files["rows"])


def test_terminal_table_is_aligned_and_tells_reasons(given_files, tmp_path):
    out, _ = run(given_files, tmp_path)
    lines = format_table(out["table"]).splitlines()
    column = lines[0].index("AUROC") + len("AUROC")
    shown = {line.split()[0]: line[column - 5 : column] for line in lines[2:9]}
    for name, auroc in GOOD.items():
        assert shown[name] == f"{auroc:.3f}"
    assert shown[FAILED].strip() == "-"
    assert f"failed: {FAILED}: x.gz: the file is damaged" in lines
    assert any(line.startswith("mean AUROC 0.893 over 3 sets") for line in lines)


def test_reasons_with_tabs_and_lines_stay_in_their_field(given_files, tmp_path):
    rows = [row_of("A_b", status="failed", reason='one\ttwo\nthree "four')]
    out, records = run(given_files, tmp_path, rows=rows)
    assert out["table"].read_text().splitlines()[1].split("\t")[4] == 'one two three "four'
    assert len(records) == 2
    assert 'one two three "four' in format_table(out["table"])


def test_runtime_sums_what_exists(given_files, tmp_path):
    assert runtime([tmp_path / "none.tsv"]) is None
    assert runtime([]) is None
    wrong = tmp_path / "wrong.tsv"
    wrong.write_text("seconds\n1\n")
    with pytest.raises(InputError, match="column s"):
        runtime([wrong])
