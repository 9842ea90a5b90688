"""What Snakemake plans: the fan-out, groups, skipped sets, edits of the library."""

import csv
import gzip
import json
import os
import re
import shutil
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from runs import NAMES, ROOT, copy_workflow, set_status
from snakemake_executor_plugin_slurm.utils import set_gres_string


def test_a_sheet_fans_out_at_once_names_with_parentheses_too(snakemake):
    jobs, output = snakemake.plan()
    for rule in ("get_chipseq", "split_chipseq", "finetune_lm", "train_classifier", "predict"):
        assert jobs[rule] == len(NAMES)
    assert jobs["check_leaks"] == jobs["evaluate"] == jobs["write_set_page"] == len(NAMES)
    assert jobs["pretrain_lm"] == jobs["shard_genome"] == jobs["summarise"] == 1
    assert jobs["discriminate_genome"] == 1
    assert jobs["plot_learning_curve"] == 2 + 2 * len(NAMES)
    assert not {"simulate_demo", "get_chipseq_archive", "index_chipseq"} & set(jobs)
    assert "compare_methods" not in jobs
    assert f"results/classify/{NAMES[0]}/metrics.json" in output


def test_one_set_is_one_target(snakemake):
    jobs, _ = snakemake.plan("--", f"results/classify/{NAMES[0]}/metrics.json")
    assert jobs["train_classifier"] == jobs["split_chipseq"] == jobs["evaluate"] == 1
    assert "summarise" not in jobs
    output = snakemake("-n", "--", "results/classify/MED-2.1_H1/metrics.json", fails=True)
    assert "MED-2.1_H1 is no set of this run, did you mean MED-2.1_H1-hESC?" in output


def test_groups_share_a_language_model(snakemake):
    jobs, output = snakemake.plan("--config", "finetune={group_by: family}")
    assert jobs["finetune_lm"] == 2
    assert jobs["train_classifier"] == len(NAMES)
    assert "results/finetune/TF0/model.safetensors" in output
    # One target still brings in the other members of its group, whose test parts are left out.
    target = f"results/classify/{NAMES[0]}/metrics.json"
    jobs, _ = snakemake.plan("--config", "finetune={group_by: family}", "--", target)
    assert jobs["split_chipseq"] == 2
    assert jobs["train_classifier"] == 1


def test_a_given_language_model_asks_for_no_genome(snakemake):
    folder = snakemake.folder / "lm"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"")
    card = {
        "format": "dflm-language-model",
        "architecture": {"embedding": 200, "hidden": 800, "layers": 6},
        "vocabulary": {"k": 3, "stride": 1},
    }
    (folder / "model.json").write_text(json.dumps(card))
    jobs, _ = snakemake.plan("--config", "language_model={pretrained: lm}")
    assert jobs["finetune_lm"] == jobs["evaluate"] == len(NAMES)
    assert jobs["check_leaks"] == len(NAMES)  # between training and test
    assert not {"get_genome", "shard_genome", "pretrain_lm"} & set(jobs)


def test_select_narrows_the_fan_out(snakemake):
    jobs, _ = snakemake.plan("--config", "datasets={select: ['*_H1-hESC*']}")
    assert jobs["train_classifier"] == 2


def test_a_wrong_configuration_stops_before_any_job_without_a_traceback(snakemake):
    output = snakemake("--config", "pretrain={epoch: 2}", fails=True)
    assert "pretrain.epoch is no key of the configuration, did you mean epochs" in output
    assert "Traceback" not in output
    assert "Building DAG" not in output


def test_the_demo_plans_and_the_workflow_is_clean_to_lint(snakemake):
    demo = str(ROOT / "config" / "demo.yaml")
    shutil.rmtree(snakemake.folder / "config")
    jobs, _ = snakemake.plan("--configfile", demo)
    assert set(jobs) == {
        "simulate_demo",
        "get_chipseq_archive",
        "unpack_chipseq",
        "index_chipseq",
        "summarise",
        "compare_methods",
        "write_methods",
        "write_provenance",
        "all",
    }
    assert "in a good condition" in snakemake("--lint", "--configfile", demo)


def test_files_come_to_their_place_and_the_index_lists_torn_sets(snakemake, monkeypatch):
    """Really run, with names that a shell would trip over."""
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    data = snakemake.folder / "data"
    (data / f"{NAMES[2]}_B.seq.gz").unlink()
    for path in data.iterdir():
        path.write_bytes(gzip.compress(b"FoldID\tEventID\tseq\tBound\n", mtime=0))
    everything = ("--config", "datasets={sheet: null}")
    copy_workflow(snakemake)
    snakemake(*everything, "--", *(f"resources/chipseq/{name}_AC.seq.gz" for name in NAMES[:2]))
    for part in ("AC", "B"):
        copy = snakemake.folder / "resources" / "chipseq" / f"{NAMES[0]}_{part}.seq.gz"
        assert copy.read_bytes() == (data / f"{NAMES[0]}_{part}.seq.gz").read_bytes()
    # The library was imported from where it lies, so that what is compiled of it stays.
    library = snakemake.folder / "workflow" / "scripts" / "dflm"
    assert list((library / "sequences" / "__pycache__").glob("sources.*.pyc"))
    # A change of the library's dates alone reruns nothing.
    for path in (snakemake.folder / "workflow" / "scripts" / "dflm").rglob("*.py"):
        path.touch()
    jobs, _ = snakemake.plan(*everything)
    assert jobs["split_chipseq"] == jobs["evaluate"] == 2
    assert not {"index_chipseq", "get_chipseq"} & set(jobs)
    index = (snakemake.folder / "results" / "chipseq" / "datasets.tsv").read_text()
    assert len(index.splitlines()) == 4


BASELINES = ("run_floor", "run_gkm", "run_lsgkm", "run_cnn")
# What takes the output of what.
FEEDS = {
    "get_genome": {"shard_genome"},
    "shard_genome": {"pretrain_lm", "discriminate_genome", "check_leaks", "write_methods"},
    "pretrain_lm": {"discriminate_genome", "plot_learning_curve", "write_methods"},
    "discriminate_genome": {"finetune_lm", "plot_learning_curve", "write_methods"},
    "get_chipseq": {"split_chipseq"},
    "split_chipseq": {
        "finetune_lm",
        "train_classifier",
        "predict",
        "check_leaks",
        "evaluate",
        "summarise",
        "compare_methods",
        "write_set_page",
        "write_methods",
        *BASELINES,
    },
    **{rule: {"evaluate"} for rule in BASELINES},
    "check_leaks": {"evaluate", "write_set_page"},
    "finetune_lm": {"train_classifier", "evaluate", "plot_learning_curve"},
    "train_classifier": {
        "predict",
        "evaluate",
        "plot_learning_curve",
        "write_set_page",
        "write_methods",
    },
    "predict": {"evaluate"},
    "evaluate": {"summarise", "compare_methods", "write_set_page", "write_methods"},
    "plot_learning_curve": {"write_set_page"},
    "attribute": {"find_motifs", "write_motif_page"},
    "find_motifs": {"match_motifs", "write_motif_page", "scan_genome"},
    "match_motifs": {"write_motif_page"},
    "write_motif_page": {"summarise_motifs"},
}
FEEDS["shard_genome"] |= {"scan_genome", "score_variants"}
FEEDS["split_chipseq"] |= {"attribute", "scan_genome", "score_variants", "summarise_motifs"}
FEEDS["train_classifier"] |= {"attribute", "scan_genome", "score_variants", "pack_model"}
FEEDS["scan_genome"], FEEDS["score_variants"] = {"plot_scan"}, {"plot_effects"}
FEEDS["find_motifs"] |= {"pack_model"}
FEEDS["write_motif_page"] |= {"pack_model"}
FEEDS["evaluate"] |= {"pack_model"}
for rule in (
    *("shard_genome", "pretrain_lm", "discriminate_genome", "split_chipseq", "finetune_lm"),
    *("evaluate", "plot_learning_curve", "write_set_page", "summarise", "write_methods"),
    *("compare_methods", "write_motif_page", "summarise_motifs", "scan_genome"),
    *("score_variants", "pack_model", "plot_scan", "plot_effects"),
):
    FEEDS.setdefault(rule, set()).add("write_provenance")


def with_all_after(rules):
    after = set().union(*(FEEDS.get(rule, set()) for rule in rules)) | rules
    return after if after == rules else with_all_after(after)


def test_an_edit_of_the_library_reruns_the_rules_that_import_it(finished):
    library = finished.folder / "workflow" / "scripts" / "dflm"
    assert "Nothing to be done" in finished("--dry-run")
    known, loaded = {*FEEDS, *set().union(*FEEDS.values())}, modules_loaded_by_rules()
    for module in (
        "evaluation.summary",
        "evaluation.plots",
        "training.pretrain",
        "sequences.fasta",
        "mining.scan.contigs",
        "mining.motifs.seeds",
        "mining.motifs.page",
        "mining.variants.effects",
        "provenance",
    ):
        path = library / f"{module.replace('.', '/')}.py"
        before, times = path.read_text(), path.stat()
        path.write_text(before + "\nEDITED = True\n")
        jobs, output = finished.plan()
        path.write_text(before)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        users = {rule for rule in known if f"dflm.{module}" in loaded[rule]}
        assert users, module
        assert set(jobs) - {"all"} == with_all_after(users), output[-3000:]


LOADED = """
import ast, json, sys
from pathlib import Path
loaded = {}
for path in Path().glob("*.py"):
    for name in [name for name in sys.modules if name.startswith("dflm")]:
        del sys.modules[name]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            exec(ast.unparse(node))
    loaded[path.name] = [name for name in sys.modules if name.startswith("dflm")]
print(json.dumps(loaded))
"""


def modules_loaded_by_rules():
    """Return, as Python tells it rather than ast, the library modules behind each rule."""
    scripts = ROOT / "workflow" / "scripts"
    loaded = json.loads(subprocess.check_output([sys.executable, "-c", LOADED], cwd=scripts))
    text = "\n\n".join(path.read_text() for path in (ROOT / "workflow" / "rules").glob("*.smk"))
    found = re.findall(r"^(?:rule|checkpoint) (\w+):\n(.*?)(?=^\S|\Z)", text, re.M | re.S)
    return {
        rule: loaded[re.search(r'script:\s+"\.\./scripts/(.*?)"', body)[1]] for rule, body in found
    }


def test_a_skipped_set_is_planned_no_further(finished):
    for folder in (finished.folder / "results").glob(f"**/classify/{NAMES[1]}"):
        shutil.rmtree(folder)
    for stage in ("finetune", "motifs", "scan", "models"):
        shutil.rmtree(finished.folder / "results" / stage / NAMES[1])
    set_status(finished, {NAMES[1]: "skipped"})
    finished("--touch", "--", f"results/chipseq/{NAMES[1]}/stats.json")
    jobs, _ = finished.plan()
    summaries = {"summarise", "compare_methods", "write_methods", "summarise_motifs"}
    summaries.add("write_provenance")
    assert set(jobs) == summaries | {"score_variants", "plot_effects", "all"}
    # Asked for by name it fails at once, without any training, and says why.
    target = f"results/classify/{NAMES[1]}/metrics.json"
    output = finished("--", target, fails=True)
    assert f"ERROR {NAMES[1]}: the set was skipped: too few peaks" in output
    assert "rule pretrain_lm:" not in output


def test_what_takes_the_good_sets_waits_for_those_that_were_skipped(finished):
    """Such a set may be a good one now: its peaks have to be in its group's language model."""
    set_status(finished, {NAMES[1]: "skipped"})
    again = ["--forcerun", "split_chipseq", "--config", "finetune={group_by: family}"]
    _, output = finished.plan(*again)
    for rule, count in (("finetune_lm", 1), ("score_variants", 1)):
        jobs = re.findall(rf"^rule {rule}:\n    input: (.*)", output, re.M)
        waiting = [job for job in jobs if f"results/chipseq/{NAMES[1]}/stats.json" in job]
        assert len(waiting) == count, output
        assert not any(f"results/chipseq/{NAMES[1]}/train.tsv.gz" in job for job in waiting)
    # One that stays skipped is no input of theirs, so that another such set trains nothing anew.
    finished("--touch", "--", f"results/chipseq/{NAMES[1]}/stats.json")
    _, output = finished.plan("--config", "finetune={group_by: family, epochs: 3}")
    for rule in ("finetune_lm", "score_variants"):
        jobs = re.findall(rf"^rule {rule}:\n    input: (.*)", output, re.M)
        assert jobs
        assert not any(f"results/chipseq/{NAMES[1]}/stats.json" in job for job in jobs)


def test_withheld_test_sequences_are_found_before_any_pretraining(snakemake):
    changes = ["--config", "genome={leaks: remove}"]
    jobs, _ = snakemake.plan(*changes, "--", "results/pretrain/model.safetensors")
    assert jobs["withhold_tests"] == jobs["pretrain_lm"] == 1
    assert jobs["split_chipseq"] == len(NAMES)
    _, output = snakemake.plan(*changes)
    for rule in ("pretrain_lm", "discriminate_genome"):
        (reads,) = re.findall(rf"^rule {rule}:\n    input: (.*)", output, re.M)
        assert "results/genome/withheld.bed" in reads
    jobs, output = snakemake.plan()
    assert "withhold_tests" not in jobs
    assert "withheld.bed" not in output


def profile(name):
    return yaml.safe_load((ROOT / "workflow" / "profiles" / name / "config.yaml").read_text())


@pytest.mark.parametrize("name", ["slurm", "slurm-grouped", "slurm-packed"])
def test_lines_taken_out_of_comments_make_no_key_a_second_time(name):
    """YAML would let the second one win, without a word."""
    lines = (ROOT / "workflow" / "profiles" / name / "config.yaml").read_text().splitlines()
    offered = re.compile(r' *# *\w+:( "[^"]*"| \d+)?')
    text = [line.replace("# ", "", 1) if offered.fullmatch(line) else line for line in lines]
    assert len([line for line in lines if offered.fullmatch(line)]) >= 2

    def keys_of(node):
        if isinstance(node, yaml.MappingNode):
            keys = [key.value for key, _ in node.value]
            assert len(set(keys)) == len(keys), keys
            for _, value in node.value:
                keys_of(value)

    keys_of(yaml.compose("\n".join(text)))


def test_no_profile_caps_the_gpus_of_a_run():
    for folder in (ROOT / "workflow" / "profiles").iterdir():
        told = profile(folder.name)
        local = told.get("set-resource-scopes", {}).get("gpu") == "local"
        assert "gpu" not in told.get("resources", {}) or local


def test_the_slurm_profiles_name_each_rule_that_takes_a_gpu():
    source = "\n".join(path.read_text() for path in (ROOT / "workflow" / "rules").glob("*.smk"))
    rules = re.findall(r"^rule (\w+):\n(?:(?:    .*)?\n)*?        gpu=1,$", source, re.M)
    assert len(rules) >= 9
    for name in ("slurm", "slurm-packed"):
        text = (ROOT / "workflow" / "profiles" / name / "config.yaml").read_text()
        # By an entry, or by one that waits behind a # for the partition.
        assert set(rules) <= set(re.findall(r"^#? +(\w+):$", text, re.M)), name


def test_the_packed_profiles_give_each_job_of_a_set_its_part_of_a_gpu(snakemake):
    common = [
        {
            key: value
            for key, value in profile(name).items()
            if key[:4] not in ("set-", "grou", "reso")
        }
        for name in ("slurm", "slurm-packed", "slurm-grouped")
    ]
    assert common[0] == common[1] == common[2]
    warning = profile("slurm")["set-resources"]["pretrain_lm"]
    assert profile("slurm-packed")["set-resources"]["pretrain_lm"] == warning
    where = ROOT / "workflow" / "profiles"
    for name, resources in (
        ("packed", {"gpu=1", "gpu_share=25"}),
        ("slurm-packed", {"gpu=0", "gpu_share=25", "gres=shard:1"}),
    ):
        _, output = snakemake.plan("--workflow-profile", str(where / name))
        for rule in ("finetune_lm", "train_classifier", "predict"):
            jobs = re.findall(rf"^rule {rule}:\n(?:    .*\n)*?    resources: (.*)", output, re.M)
            assert len(jobs) == len(NAMES)
            assert all(resources <= set(job.split(", ")) for job in jobs), jobs
    # What the executor makes of it; a job is what has resources, by name as well as by key.
    asked = type("Asked", (dict,), {"__getattr__": dict.__getitem__})(
        gpu=0, gres="shard:1", gpu_share=25
    )
    assert set_gres_string(SimpleNamespace(resources=asked)) == " --gres=shard:1"


def test_a_log_of_an_earlier_run_is_no_reason(snakemake):
    """Really run: the genome lacks contigs, so that the set's own training is not begun."""
    rng = np.random.default_rng(0)
    peaks = ["".join(rng.choice(list("ACGT"), 40)) for _ in range(22)]
    for part, rows in (("AC", peaks[:20]), ("B", peaks[20:])):
        lines = ["FoldID\tEventID\tseq\tBound"]
        lines += [f"A\tp{i}\t{row}\t{int(part == 'AC' or i)}" for i, row in enumerate(rows)]
        path = snakemake.folder / "data" / f"{NAMES[1]}_{part}.seq.gz"
        path.write_bytes(gzip.compress("\n".join([*lines, ""]).encode(), mtime=0))
    log = snakemake.folder / "logs" / "train_classifier" / f"{NAMES[1]}.log"
    log.parent.mkdir(parents=True)
    log.write_text("ERROR of long ago\n")
    chosen = [f"datasets={{source: data, select: ['{NAMES[1]}']}}", "chipseq={min_peaks: 5}"]
    snakemake("--keep-going", "--config", *chosen, fails=True)
    with open(snakemake.folder / "results" / "summary" / "auc.tsv") as stream:
        row = next(csv.DictReader(stream, delimiter="\t"))
    assert row["status"] == "failed"
    assert "matches no contig" in row["reason"]


@pytest.mark.parametrize("given", [("https://x.org/a.gz", "https://x.org/b.gz"), ("", "file:///b")])
def test_a_row_may_name_addresses(snakemake, given):
    rows = [("dataset", "train", "test"), (NAMES[0], *given)]
    sheet = snakemake.folder / "sheet.tsv"
    sheet.write_text("".join("\t".join(row) + "\n" for row in rows))
    jobs, _ = snakemake.plan()
    assert jobs["get_chipseq"] == jobs["train_classifier"] == 1


def test_a_set_that_comes_into_a_folder_below_is_found(snakemake):
    chosen = ("--config", "datasets={source: data, sheet: null}")
    sheet = "results/chipseq/datasets.tsv"
    snakemake(*chosen, "--", sheet)
    assert snakemake.plan(*chosen, "--", sheet)[0] == {}
    below = snakemake.folder / "data" / "below"
    below.mkdir()
    snakemake("--touch", *chosen, "--", sheet)  # as after a day: the folder's date is old
    for part in ("AC", "B"):
        (below / f"NEW_x_Lab_{part}.seq.gz").write_bytes(b"\x1f\x8b")
    assert snakemake.plan(*chosen, "--", sheet)[0] == {"index_chipseq": 1}


def test_failed_sets_keep_their_row_with_the_reason(snakemake):
    """Really run with --keep-going: a torn file, a set too small, a genome without chr8."""
    header, row = b"FoldID\tEventID\tseq\tBound\n", b"A\tseq_1\tACGTACGTAC\t%d\n"
    for part, rows in (("AC", row % 1), ("B", row % 1 + row % 0)):
        path = snakemake.folder / "data" / f"{NAMES[1]}_{part}.seq.gz"
        path.write_bytes(gzip.compress(header + rows, mtime=0))
    output = snakemake("--keep-going", "--config", "baselines=[floor]", fails=True)
    assert "2 of 3 sets failed on the way; results/summary/auc.tsv holds all" in output
    summary = snakemake.folder / "results" / "summary"
    with open(summary / "auc.tsv") as stream:
        rows = {row["dataset"]: row for row in csv.DictReader(stream, delimiter="\t")}
    assert rows[NAMES[0]]["status"] == "failed"
    assert f"{NAMES[0]}_AC.seq.gz" in rows[NAMES[0]]["reason"]
    assert rows[NAMES[1]]["status"] == "skipped"
    assert "min_peaks" in rows[NAMES[1]]["reason"]
    assert (summary / "auc.html").exists()
    assert (summary / "auc.svg").exists()
    record = json.loads((summary / "provenance.json").read_text())
    assert "results/summary/auc.tsv" in record["files"]
    assert record["files"][f"results/chipseq/{NAMES[1]}/stats.json"]["rule"] == "split_chipseq"
    with open(summary / "methods.tsv") as stream:
        methods = {
            (row["method"], row["dataset"]): row for row in csv.DictReader(stream, delimiter="\t")
        }
    assert len(methods) == 2 * len(NAMES)
    for name in NAMES:
        assert methods["full", name]["status"] == rows[name]["status"]
    assert methods["floor", NAMES[0]]["status"] == "failed"
    assert f"{NAMES[0]}_AC.seq.gz" in methods["floor", NAMES[0]]["reason"]
    assert (summary / "comparison.html").exists()
    # Of a single result that fails its own message is all that is told.
    (summary / "auc.tsv").unlink()
    target = f"results/chipseq/{NAMES[0]}/stats.json"
    output = snakemake("--keep-going", "--", target, fails=True)
    assert "_AC.seq.gz" in output
    assert not re.search("Traceback|KeyError|summary/auc.tsv holds all", output)
    assert not (summary / "auc.tsv").exists()
    # The rule makes the table anew as soon as it can, although its files are there.
    only_skipped = ("--config", f"datasets={{select: ['{NAMES[1]}']}}")
    jobs, _ = snakemake.plan(*only_skipped, "--", "results/summary/auc.tsv")
    assert jobs == {"summarise": 1}
