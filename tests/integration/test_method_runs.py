"""Baselines, an ablation and a variant, really run at the smallest size, to the comparison."""

import csv
import json
import xml.etree.ElementTree as ElementTree
import zipfile

import yaml
from small_run import COMPARED, CONFIG, NONE, STRONG, Run

METHODS = ("full", "random", "wide", "floor", "gkm", "cnn")


def table(path):
    with path.open() as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


def test_all_methods_are_judged_on_the_same_sequences_and_compared(tmp_path):
    run, results = Run(tmp_path), tmp_path / "results"
    (tmp_path / "config").mkdir()
    config = CONFIG | COMPARED | {"datasets": CONFIG["datasets"] | {"select": [STRONG, NONE]}}
    config["chipseq"] = {"min_peaks": 100, "max_peaks": 200}
    (tmp_path / "config" / "config.yaml").write_text(yaml.safe_dump(config))
    target = ("--", "results/summary/comparison.tsv")
    run(*target)
    rows = table(results / "summary" / "methods.tsv")
    assert {(row["method"], row["dataset"], row["status"]) for row in rows} == {
        (method, name, "ok") for method in METHODS for name in (STRONG, NONE)
    }
    folders = {method: results / "methods" / method for method in METHODS} | {"full": results}
    tested = table(results / "classify" / STRONG / "predictions.tsv")
    for method, folder in folders.items():
        found = table(folder / "classify" / STRONG / "predictions.tsv")
        assert [(row["name"], row["label"]) for row in found] == [
            (row["name"], row["label"]) for row in tested
        ]
        metrics = json.loads((folder / "classify" / STRONG / "metrics.json").read_text())
        assert (metrics["method"], metrics["train_positives"]) == (method, 180)
        (row,) = [row for row in rows if (row["method"], row["dataset"]) == (method, STRONG)]
        assert abs(float(row["auroc"]) - metrics["auroc"]) < 1e-6
        assert float(row["runtime_seconds"]) > 0
        known = method in ("full", "wide")
        assert (metrics["lm_bits_per_base_after"] is not None) == known
        assert (metrics["test_positives_in_corpus"] is not None) == known
    scores = {row["method"]: float(row["auroc"]) for row in rows if row["dataset"] == STRONG}
    assert scores["floor"] == 0.5
    assert min(scores["gkm"], scores["cnn"]) > 0.8
    # What is the same stands once.
    assert sorted(path.name for path in folders["wide"].iterdir()) == ["classify"]
    cards = {
        method: json.loads((folders[method] / "classify" / STRONG / "model.json").read_text())
        for method in ("full", "random", "wide")
    }
    sha256 = {method: card["training"]["language_model_sha256"] for method, card in cards.items()}
    assert sha256["full"] == sha256["wide"]
    assert sha256["random"] is None
    records = table(results / "summary" / "comparison.tsv")
    assert [record["method"] for record in records] == [*METHODS] * 2
    assert {(one["sets"], one["missing"]) for one in records} == {("2", "0")}
    for one in records:  # of two sets the least p is 0.5
        other = one["method"] != "full"
        assert (0.5 <= float(one["p"]) <= float(one["p_holm"]) <= 1) if other else not one["p"]
    for name in ("comparison", "ranks"):
        picture = results / "summary" / f"{name}.svg"
        assert len(ElementTree.parse(picture).getroot().findall(".//{*}path")) > 10
    assert "one-hot CNN" in (results / "summary" / "comparison.html").read_text()
    assert "Nothing to be done" in run(*target)
    run("--report", str(tmp_path / "report.zip"), *target)
    with zipfile.ZipFile(tmp_path / "report.zip") as archive:
        names = {name.rpartition("/")[2] for name in archive.namelist()}
        page = archive.read("report/report.html").decode()
    assert {"comparison.tsv", "comparison.html", "comparison.svg", "ranks.svg"} <= names
    assert '"Comparison"' in page
    # Negatives that leak are no negatives for any method.
    jobs, output = run.plan("--config", "evaluate={floor_tolerance: 0.02}", *target)
    assert jobs.get("evaluate") == len(METHODS) * 2, output
