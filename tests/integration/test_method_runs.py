"""Baselines, an ablation, a variant, seeds and their ensemble, really run, to the comparison."""

import csv
import json
import xml.etree.ElementTree as ElementTree
import zipfile

import numpy as np
import pytest
from dflm.predictions import read_strands
from small_run import COMPARED, NONE, STRONG, Run

METHODS = ("full", "random", "wide", "floor", "gkm", "cnn")
TARGET = ("--", "results/summary/comparison.tsv")
SIZE = {"datasets": {"select": [STRONG, NONE]}, "chipseq": {"max_peaks": 200}}


def table(path):
    with path.open() as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of two sets, with all methods, up to their comparison."""
    run = Run(tmp_path_factory.mktemp("methods")).configure(**SIZE, **COMPARED)
    run(*TARGET)
    return run


def test_all_methods_are_judged_on_the_same_sequences_and_compared(run, tmp_path):
    results = run.path()
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
    assert "Nothing to be done" in run(*TARGET)
    run("--report", str(tmp_path / "report.zip"), *TARGET)
    with zipfile.ZipFile(tmp_path / "report.zip") as archive:
        names = {name.rpartition("/")[2] for name in archive.namelist()}
        page = archive.read("report/report.html").decode()
    assert {"comparison.tsv", "comparison.html", "comparison.svg", "ranks.svg"} <= names
    assert '"Comparison"' in page
    # Negatives that leak are no negatives for any method.
    jobs, output = run.plan("--config", "evaluate={floor_tolerance: 0.02}", *TARGET)
    assert jobs.get("evaluate") == len(METHODS) * 2, output


def test_a_second_seed_is_trained_and_both_are_averaged(run):
    """For one set and beside one baseline, to be quick; all else is there from the run before."""
    run.configure(
        **SIZE | {"datasets": {"select": [STRONG]}},
        baselines=["floor"],
        seeds=2,
        ensemble=["full"],
        comparison=COMPARED["comparison"],
    )
    of_set = ("classify", STRONG)
    before = run.path(*of_set, "predictions.tsv").read_bytes()
    output = run(*TARGET)
    for rule in ("pretrain_lm", "discriminate_genome", "split_chipseq", "run_floor"):
        assert f"rule {rule}:" not in output, output
    assert run.path(*of_set, "predictions.tsv").read_bytes() == before
    folders = {
        ("full", "1"): run.path(),
        ("full", "2"): run.path("methods", "full-seed2"),
        ("ensemble", "1"): run.path("methods", "ensemble"),
        ("floor", "1"): run.path("methods", "floor"),  # a seed changes nothing
    }
    rows = {(row["method"], row["seed"]): row for row in table(run.path("summary", "methods.tsv"))}
    assert set(rows) == set(folders)
    for key, folder in folders.items():
        metrics = json.loads(folder.joinpath(*of_set, "metrics.json").read_text())
        assert float(rows[key]["auroc"]) == pytest.approx(metrics["auroc"], abs=1e-6)
    strands = {
        key: read_strands(folder.joinpath(*of_set, "predictions.tsv"))
        for key, folder in folders.items()
    }
    members = strands["full", "1"], strands["full", "2"]
    together = strands["ensemble", "1"]
    assert together[0] == members[0][0]
    assert not np.allclose(members[0][2], members[1][2])
    for strand in (2, 3):
        mean = (members[0][strand] + members[1][strand]) / 2
        np.testing.assert_allclose(together[strand], mean, rtol=1e-6)
    # Of one set a method's mean is that over its seeds.
    compared = {
        one["method"]: one
        for one in table(run.path("summary", "comparison.tsv"))
        if one["metric"] == "auroc"
    }
    assert {name: one["seeds"] for name, one in compared.items()} == {
        "full": "2", "ensemble": "1", "floor": "1"
    }  # fmt: skip
    for name, one in compared.items():
        scores = [float(row["auroc"]) for (method, _), row in rows.items() if method == name]
        assert float(one["mean"]) == pytest.approx(np.mean(scores), abs=1e-6)
    pair = float(compared["full"]["mean"]) - float(compared["ensemble"]["mean"])
    assert float(compared["ensemble"]["difference"]) == pytest.approx(pair, abs=1e-6)
