"""The whole workflow, really run at the smallest size: nothing to table, and after mishaps."""

import csv
import functools
import gzip
import hashlib
import http.server
import json
import os
import shutil
import signal
import threading
import time
import xml.etree.ElementTree as ElementTree
import zipfile

import psutil
import pytest
from dflm.checksums import files_in
from dflm.model.files import NO_DROPOUT, load_language_model
from dflm.provenance import RECORD, verify
from dflm.scores import auroc
from small_run import MEDIUM, NAMES, NONE, STRONG, TEST_POSITIVES, WEAK, Run, contents

PICTURES = ("roc", "pr", "reliability", "scores")


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """The small experiment, run from nothing to the table; tests change copies of it only."""
    run = Run(tmp_path_factory.mktemp("finished")).configure()
    run()
    return run


@pytest.fixture
def copied(finished, tmp_path):
    """A copy of the finished run, to be changed at will."""
    shutil.copytree(finished.folder, tmp_path, dirs_exist_ok=True)
    return Run(tmp_path)


@pytest.fixture
def fresh(tmp_path):
    return Run(tmp_path)


def split_rows(run, name, part):
    with gzip.open(run.path("chipseq", name, f"{part}.tsv.gz"), "rt") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


def lines_of(path):
    with gzip.open(path, "rt") as stream:
        return stream.read().splitlines(keepends=True)


def write_lines(path, lines):
    path.write_bytes(gzip.compress("".join(lines).encode(), mtime=0))


# ---- from nothing to the table -----------------------------------------------------------------


def test_every_set_stands_in_the_table_with_its_figures(finished):
    rows = finished.table()
    assert list(rows)[-1] == "MEAN"
    assert set(rows) == {*NAMES, "MEAN"}
    for name in NAMES:
        row = rows[name]
        assert row["status"] == "ok"
        assert row["tf"] == name.partition("_")[0]
        assert int(row["test_positives"]) == int(row["test_negatives"]) == TEST_POSITIVES
        assert abs(float(row["floor_auroc"]) - 0.5) <= 0.03
        assert float(row["lm_bits_per_base_after"]) < float(row["lm_bits_per_base_before"])
        assert float(row["runtime_seconds"]) > 0
    auroc = [float(rows[name]["auroc"]) for name in NAMES]
    mean = rows["MEAN"]
    assert float(mean["auroc"]) == pytest.approx(sum(auroc) / len(auroc), abs=1e-5)
    assert float(mean["auroc_low"]) <= float(mean["auroc"]) <= float(mean["auroc_high"])
    # Even this small it learns: the motif is found, and nothing where there is nothing.
    assert float(rows[STRONG]["auroc"]) > 0.75
    assert abs(float(rows[NONE]["auroc"]) - 0.5) < 0.2
    page = finished.path("summary", "auc.html").read_text()
    assert all(name in page for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_set_has_predictions_of_its_test_file_metrics_and_a_model(finished, name):
    with finished.path("classify", name, "predictions.tsv").open() as stream:
        predictions = list(csv.DictReader(stream, delimiter="\t"))
    test = split_rows(finished, name, "test")
    assert len(test) == 2 * TEST_POSITIVES
    assert [(row["name"], row["label"]) for row in predictions] == [
        (row["name"], row["label"]) for row in test
    ]
    archive = finished.folder / "resources" / "chipseq" / "archive"
    given = [line.split("\t")[2] for line in lines_of(archive / f"{name}_B.seq.gz")[1:]]
    assert [row["sequence"] for row in test] == given
    metrics = json.loads(finished.path("classify", name, "metrics.json").read_text())
    assert {
        *("dataset", "seed", "auroc", "auprc", "accuracy", "precision", "recall", "specificity"),
        *("mcc", "fpr", "fnr", "brier", "floor_auroc", "validation_auroc", "best_epoch"),
        *("lm_bits_per_base_before", "lm_bits_per_base_after", "best_stage", "stages_run"),
        *("train_positives", "train_negatives", "test_positives", "test_negatives"),
    } <= set(metrics)
    assert metrics["train_positives"] == metrics["train_negatives"] > 200
    assert float(finished.table()[name]["auroc"]) == pytest.approx(metrics["auroc"], abs=1e-6)
    card = json.loads(finished.path("classify", name, "model.json").read_text())
    weights = finished.path("classify", name, "model.safetensors").read_bytes()
    assert card["sha256"] == hashlib.sha256(weights).hexdigest()
    encoder = finished.path("finetune", name, "model.safetensors").read_bytes()
    assert card["training"]["language_model_sha256"] == hashlib.sha256(encoder).hexdigest()


@pytest.mark.parametrize("name", NAMES)
def test_a_set_is_calibrated_checked_for_leaks_and_has_its_page(finished, name):
    folder = finished.path("classify", name)
    card = json.loads((folder / "model.json").read_text())["calibration"]["both_strands"]
    metrics = json.loads((folder / "metrics.json").read_text())
    tables = {}
    for table in ("predictions", "validation_predictions"):
        with (folder / f"{table}.tsv").open() as stream:
            rows = list(csv.DictReader(stream, delimiter="\t"))
        tables[table] = [
            [float(row[key]) for row in rows]
            for key in ("probability", "probability_calibrated", "label")
        ]
    # The calibrated probability keeps the order, and so all that rests on it.
    raw, calibrated, labels = tables["predictions"]
    ranked = sorted(zip(raw, calibrated, strict=True))
    assert [pair[1] for pair in ranked] == sorted(calibrated)
    assert auroc(labels, calibrated) == pytest.approx(auroc(labels, raw), abs=1e-4)
    for kind, point in card["thresholds"].items():
        found = metrics["calibration"]["thresholds"][kind]
        assert found["threshold"] == point["threshold"]
        for words, where in ((point, "validation_predictions"), (found, "predictions")):
            called = [p for p in tables[where][0] if p >= (point["threshold"] or 0)]
            assert words["called"] == (0 if point["threshold"] is None else len(called))
    assert metrics["calibration"]["temperature"] == card["temperature"]
    assert len(tables["validation_predictions"][0]) == len(split_rows(finished, name, "validation"))
    leaks = json.loads(finished.path("chipseq", name, "leaks.json").read_text())
    assert leaks["test"]["exact"]["positives"] == metrics["test_in_train"] == 0
    assert leaks["corpus"]["train"]["exact"]["positives"] == metrics["test_positives_in_corpus"]
    page = (folder / "report.html").read_text()
    assert f"{metrics['auroc']:.3f}" in page
    assert page.count("data:image/svg+xml") == len(PICTURES) + 1


def test_the_methods_section_tells_of_this_run(finished):
    text = " ".join(finished.path("summary", "methods.md").read_text().split())
    index = json.loads(finished.path("genome", "index.json").read_text())
    stats = [json.loads(finished.path("chipseq", name, "stats.json").read_text()) for name in NAMES]
    for words in (
        "learnt from 4 ChIP-seq sets",
        f"{sum(one['train_positives'] for one in stats):,} positives to train on",
        index["source"]["sha256"],
        stats[0]["sha256"]["train"],
        "of 1 layer and an embedding of width 16",
        "in which the last 1 and 3 of 3 layer groups learnt for 1 and 6 epochs",
    ):
        assert words in text, words


def test_the_run_is_recorded_and_verified(finished):
    record = json.loads(finished.path("summary", "provenance.json").read_text())
    assert verify(finished.folder) == (len(record["files"]) + len(record["inputs"]), [])
    left = {f"results/{name}" for name in files_in(finished.path())} - {RECORD}
    assert left == {*record["files"], *record["inputs"]} - {
        name for name in record["inputs"] if name.startswith("resources/")
    }
    assert all(one["rule"] for one in record["files"].values())
    told = {name: one["rule"] for name, one in record["files"].items()}
    assert told["results/summary/auc.tsv"] == "summarise"
    assert told[f"results/classify/{STRONG}/model.safetensors"] == "train_classifier"
    index = json.loads(finished.path("genome", "index.json").read_text())
    genome = record["inputs"]["resources/genome/genome.fa.gz"]
    assert genome["sha256"] == index["source"]["sha256"]
    assert record["command"].startswith("snakemake --snakefile ")
    assert record["models"]["device"] == ["cpu"]
    assert record["models"]["threads"] == [1, 2]  # the second pretraining has two


def test_every_picture_is_whole(finished):
    runs = [
        "pretrain",
        *(f"{stage}/{name}" for stage in ("finetune", "classify") for name in NAMES),
    ]
    pictures = [f"{run}/learning_curve.svg" for run in runs]
    pictures += [f"classify/{name}/{kind}.svg" for name in NAMES for kind in PICTURES]
    for picture in [*pictures, "summary/auc.svg"]:
        root = ElementTree.parse(finished.path(picture)).getroot()
        assert len(root.findall(".//{*}path")) > 10, picture


def test_a_second_call_finds_nothing_to_do(finished):
    assert "Nothing to be done" in finished()


def test_the_report_holds_the_table_with_captions_and_categories(finished, tmp_path):
    finished("--report", str(tmp_path / "report.zip"))
    with zipfile.ZipFile(tmp_path / "report.zip") as archive:
        names = archive.namelist()
        page = archive.read("report/report.html").decode()
        table = next(name for name in names if name.endswith("/auc.tsv"))
        assert archive.read(table) == finished.path("summary", "auc.tsv").read_bytes()
    assert sum(name.endswith("/roc.svg") for name in names) == len(NAMES)
    assert sum(name.endswith("/learning_curve.svg") for name in names) == 2 + 2 * len(NAMES)
    assert sum(name.endswith("/report.html") for name in names) == len(NAMES) + 1  # with its own
    assert any(name.endswith("/methods.md") for name in names)
    for category in ("Summary", "Sets", "Classifiers", "Learning curves"):
        assert f'"{category}"' in page
    assert "One row per ChIP-seq set" in page
    assert f"ROC curve of {STRONG} on its test file" in page


# ---- the same again ----------------------------------------------------------------------------


def test_one_set_trained_again_has_the_same_bytes(finished, copied):
    copied("--forcerun", "train_classifier", "--", f"results/classify/{STRONG}/metrics.json")
    before, after = (run.path("classify", STRONG) for run in (finished, copied))
    assert contents(after) == contents(before)
    for name in ("model.safetensors", "predictions.tsv", "metrics.json"):
        assert (after / name).stat().st_mtime_ns > (before / name).stat().st_mtime_ns
    before, after = (
        run.path("classify", MEDIUM, "model.safetensors") for run in (finished, copied)
    )
    assert after.stat().st_mtime_ns == before.stat().st_mtime_ns


def wait_for(happened, process):
    deadline = time.monotonic() + 120
    while not happened():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.005)


def ask_to_end(process):
    """Send SIGTERM to the pretraining that Snakemake runs."""
    jobs = psutil.Process(process.pid).children(recursive=True)
    jobs = [job for job in jobs if job.name().startswith("python")]
    (job,) = [job for job in jobs if job.cmdline()[-1].endswith("pretrain_lm.py")]
    job.send_signal(signal.SIGTERM)


def test_pretraining_killed_then_asked_to_end_comes_to_the_same_model(finished, copied):
    """Twice torn off: Snakemake and all its jobs by SIGKILL, the job alone by SIGTERM."""
    checkpoint = copied.path("pretrain", "checkpoints", "last.pt")
    target = ("--", "results/pretrain/model.safetensors")
    shutil.rmtree(copied.path("pretrain"))
    with copied.start(*target, start_new_session=True) as process:
        wait_for(checkpoint.exists, process)
        os.killpg(process.pid, signal.SIGKILL)
    assert not copied.path("pretrain", "model.safetensors").exists()
    copied("--unlock")
    torn = checkpoint.stat().st_mtime_ns
    with copied.start("--rerun-incomplete", *target) as process:
        wait_for(lambda: checkpoint.stat().st_mtime_ns > torn, process)
        ask_to_end(process)
        output, _ = process.communicate()
    assert process.returncode != 0
    assert "resuming from results/pretrain/checkpoints/last.pt" in output
    assert "asked to end: the checkpoint results/pretrain/checkpoints/last.pt stands" in output
    assert checkpoint.exists()
    assert not copied.path("pretrain", "model.safetensors").exists()
    copied(*target)
    assert "resuming from results/pretrain/checkpoints/last.pt" in copied.log("pretrain_lm")
    whole = contents(finished.path("pretrain"))
    del whole["learning_curve.svg"]
    assert contents(copied.path("pretrain")) == whole
    assert not checkpoint.exists()


def test_two_processes_pretrain_end_when_asked_and_go_on(finished, copied):
    checkpoint = copied.path("pretrain", "checkpoints", "last.pt")
    by_two = ("--set-threads", "pretrain_lm=2", "--set-resources", "pretrain_lm:processes=2", "--")
    shutil.rmtree(copied.path("pretrain"))
    with copied.start(*by_two, "results/pretrain/model.safetensors") as process:
        wait_for(checkpoint.exists, process)
        ask_to_end(process)
        output, _ = process.communicate()
    assert process.returncode != 0
    assert "asked to end: the checkpoint results/pretrain/checkpoints/last.pt stands" in output
    assert not copied.path("pretrain", "model.safetensors").exists()
    copied(*by_two, "results/pretrain/learning_curve.svg")
    log = copied.log("pretrain_lm")
    assert "resuming from results/pretrain/checkpoints/last.pt" in log
    assert log.count(" 2 processes") == 1
    assert log.count("tokens in 16 streams") == 2  # to learn from and to validate on
    card = copied.path("pretrain", "model.json")
    load_language_model(copied.path("pretrain", "model.safetensors"), card, NO_DROPOUT)
    two, one = (
        json.loads(run.path("pretrain", "metrics.json").read_text()) for run in (copied, finished)
    )
    assert (two["processes"], one["processes"]) == (2, 1)
    assert two["steps"] == one["steps"]
    # Its dropout is drawn otherwise.
    assert two["bits_per_base"] == pytest.approx(one["bits_per_base"], rel=0.05)


def test_pretraining_is_done_once_for_all_folders_that_share_a_cache(
    finished, copied, tmp_path_factory, monkeypatch
):
    monkeypatch.setenv("SNAKEMAKE_OUTPUT_CACHE", str(tmp_path_factory.mktemp("shared")))
    log = copied.folder / "logs" / "pretrain_lm.log"
    for trained in (True, False):
        shutil.rmtree(copied.path("pretrain"))
        log.unlink()
        copied("--cache", "pretrain_lm", "--", "results/pretrain/model.safetensors")
        # Snakemake touches the log of a job taken from the cache, but does not run it.
        assert ("tokens" in log.read_text()) == trained
        for name in ("model.safetensors", "model.json", "metrics.jsonl"):
            same = copied.path("pretrain", name).read_bytes()
            assert same == finished.path("pretrain", name).read_bytes()


# ---- sets that cannot be run -------------------------------------------------------------------


def test_failed_and_skipped_sets_keep_their_rows_beside_a_good_one(finished, fresh):
    archive, sets = finished.folder / "resources" / "chipseq" / "archive", fresh.folder / "sets"
    sets.mkdir()
    for name in (STRONG, MEDIUM, WEAK, NONE):
        for part in ("AC", "B"):
            shutil.copy(archive / f"{name}_{part}.seq.gz", sets)
    torn, small = (sets / f"{name}_AC.seq.gz" for name in (MEDIUM, WEAK))
    torn.write_bytes(torn.read_bytes()[:-2000])
    write_lines(small, lines_of(small)[:31])
    (sets / f"{NONE}_AC.seq.gz").unlink()
    given = {"pretrained": str(finished.path("discriminate"))}
    fresh.configure(datasets={"source": "sets"}, language_model=given)

    output = fresh("--keep-going", fails=True)
    rows = fresh.table()
    assert {name: rows[name]["status"] for name in NAMES} == {
        STRONG: "ok",
        MEDIUM: "failed",
        WEAK: "skipped",
        NONE: "failed",
    }
    damaged = f"{MEDIUM}_AC.seq.gz: the gzip file breaks off or is damaged"
    assert damaged in rows[MEDIUM]["reason"]
    assert rows[WEAK]["reason"] == "30 training peaks, fewer than chipseq.min_peaks = 100"
    assert rows[NONE]["reason"] == "no training file (AC.seq.gz) beside it"
    assert float(rows[STRONG]["auroc"]) == float(finished.table()[STRONG]["auroc"])
    assert rows["MEAN"]["reason"] == "over 1 set"
    page = fresh.path("summary", "auc.html").read_text()
    assert all(name in page for name in NAMES)
    # The user sees the reason on the terminal, without a traceback of ours.
    assert f"ERROR sets/{damaged}" in output
    assert 'File "/' not in output
    # A model that is given is the same as one that is made in the run.
    for stage in ("finetune", "classify"):
        there, here = (run.path(stage, STRONG) for run in (finished, fresh))
        assert contents(here)["model.safetensors"] == contents(there)["model.safetensors"]

    trained = fresh.path("classify", STRONG, "model.safetensors").stat().st_mtime_ns
    shutil.copy(archive / torn.name, torn)
    output = fresh("--", "results/summary/auc.tsv")
    rows = fresh.table()
    # What a given model was trained on is not known here, nor is the time the same.
    unknown = ("test_in_corpus", "test_near_corpus", "test_shown", "auroc_unshown")
    differing = dict.fromkeys(("runtime_seconds", *unknown), "")
    assert rows[MEDIUM] | differing == finished.table()[MEDIUM] | differing
    assert [rows[name]["status"] for name in (STRONG, WEAK, NONE)] == ["ok", "skipped", "failed"]
    assert rows["MEAN"]["reason"] == "over 2 sets"
    assert "rule summarise:" in output
    assert fresh.path("classify", STRONG, "model.safetensors").stat().st_mtime_ns == trained
    assert "Nothing to be done" in fresh("--", "results/summary/auc.tsv")


# ---- groups ------------------------------------------------------------------------------------


def test_two_sets_of_one_factor_share_a_language_model(finished, fresh):
    """Each set's test peaks are left out, although the other set would train on them."""
    archive, sets = finished.folder / "resources" / "chipseq" / "archive", fresh.folder / "sets"
    sets.mkdir()
    header, *train = lines_of(archive / f"{STRONG}_AC.seq.gz")
    test = lines_of(archive / f"{STRONG}_B.seq.gz")[1:]
    pair = ("STRONG_A_(1)", "STRONG_B_(2)")
    shared = [row for row in test if row.rstrip().endswith("1")][:20]
    for name, rows in zip(pair, (train[:125], train[125:] + shared), strict=True):
        write_lines(sets / f"{name}_AC.seq.gz", [header, *rows])
    for name, source in zip(pair, (STRONG, MEDIUM), strict=True):
        shutil.copy(archive / f"{source}_B.seq.gz", sets / f"{name}_B.seq.gz")
    fresh.configure(
        datasets={"source": "sets"},
        language_model={"pretrained": str(finished.path("pretrain"))},
        finetune={"group_by": "tf"},
    )
    fresh("--", "results/finetune/STRONG/metrics.json")

    def peaks(*parts):
        return {
            row["sequence"]
            for name in pair
            for part in parts
            for row in split_rows(fresh, name, part)
            if row["label"] == "1"
        }

    metrics = json.loads(fresh.path("finetune", "STRONG", "metrics.json").read_text())
    left_out = peaks("train") & peaks("validation", "test")
    assert len(left_out) > 10
    assert metrics["left_out"] == len(left_out)
    assert metrics["sequences"] == len(peaks("train")) - len(left_out)
    assert metrics["members"] == list(pair)
    jobs, _ = fresh.plan("--", *(f"results/classify/{name}/model.json" for name in pair))
    assert jobs == {"train_classifier": 2}


# ---- downloads ---------------------------------------------------------------------------------


@pytest.fixture
def address(finished):
    """The address of a server of the finished run's files."""
    handler = functools.partial(
        http.server.SimpleHTTPRequestHandler, directory=finished.folder / "resources"
    )
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_genome_and_sets_come_from_a_server_and_only_with_the_right_checksum(
    finished, fresh, address
):
    genome, archive = "resources/genome/genome.fa.gz", "resources/chipseq/archive.zip"
    there = (finished.folder / genome).read_bytes()
    right = f"sha256:{hashlib.sha256(there).hexdigest()}"
    wrong = f"sha256:{hashlib.sha256(b'another').hexdigest()}"
    source = f"{address}/genome/genome.fa.gz"
    sets = {"source": f"{address}/chipseq/archive.zip"}
    fresh.configure(genome={"source": source, "checksum": wrong}, datasets=sets)
    output = fresh("--", genome, fails=True)
    reason = f"ERROR {source}: sha256 is {right[7:]}, expected {wrong[7:]}"
    assert reason in fresh.log("get_genome")
    assert reason in output
    assert not (fresh.folder / genome).exists()
    fresh.configure(genome={"source": source, "checksum": right}, datasets=sets)
    fresh("--", genome, archive)
    for path in (genome, archive):
        assert (fresh.folder / path).read_bytes() == (finished.folder / path).read_bytes()


# ---- mining ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mined(finished, tmp_path_factory):
    """The finished run, of which one set is mined: motifs, a scan, and two variants."""
    folder = tmp_path_factory.mktemp("mined")
    shutil.copytree(finished.folder, folder, dirs_exist_ok=True)
    run = Run(folder).configure(datasets={"select": [STRONG]}).mine()
    run("--set-threads", "attribute=1", "scan_genome=1", "score_variants=1")
    return run


def test_the_planted_motif_is_found_and_named(mined):
    with mined.path("summary", "motifs.tsv").open() as stream:
        (row,) = csv.DictReader(stream, delimiter="\t")
    assert (row["dataset"], row["status"], row["reason"]) == (STRONG, "ok", "")
    assert row["best_match"].startswith("planted_STRONG")
    assert float(row["q_value"]) < 0.01
    assert int(row["attributed"]) == 120
    assert int(row["sequences"]) > 60
    folder = mined.path("motifs", STRONG)
    with (folder / "motifs.tsv").open() as stream:
        motifs = list(csv.DictReader(stream, delimiter="\t"))
    assert motifs[0]["consensus"] == row["consensus"]
    page = (folder / "index.html").read_text()
    assert page.count("data:image/svg+xml") == 2 * len(motifs)
    assert "planted_STRONG" in page
    for name in ("top_sites.svg", f"logos/{motifs[0]['motif']}.svg"):
        assert len(ElementTree.parse(folder / name).getroot().findall(".//{*}path")) > 10
    assert "planted_STRONG" in mined.path("summary", "motifs.html").read_text()


def test_a_scan_scores_the_genome_and_tells_strands_by_the_motifs(mined):
    import pyBigWig

    index = json.loads(mined.path("genome", "index.json").read_text())
    lengths = {contig["name"]: contig["length"] for contig in index["contigs"]}
    with pyBigWig.open(str(mined.path("scan", STRONG, "scores.bw"))) as scores:
        assert scores.chroms() == lengths
        assert 0 <= scores.stats("chr1")[0] <= 1
    header, *calls = mined.path("scan", STRONG, "calls.bed").read_text().splitlines()
    columns = header.lstrip("#").split("\t")
    assert columns[-1] == "motif_score"
    rows = [dict(zip(columns, call.split("\t"), strict=True)) for call in calls]
    assert {row["strand"] for row in rows} == {"+", "-"}
    assert not mined.path("scan", STRONG, "parts").exists()
    picture = ElementTree.parse(mined.path("scan", STRONG, "scan.svg"))
    assert len(picture.getroot().findall(".//{*}path")) > 10
    number, wrong = verify(mined.folder)
    assert wrong == []
    assert number > 50


def test_variants_are_annotated_or_told_why_not(mined):
    with mined.path("variants", "effects.tsv").open() as stream:
        rows = {row["id"]: row for row in csv.DictReader(stream, delimiter="\t")}
    assert rows["right"]["status"] == "scored"
    assert rows["right"]["model"] == STRONG
    assert 0 < float(rows["right"]["p_value"]) <= 1
    assert rows["wrong"]["delta_log_odds"] == "."
    with gzip.open(mined.path("variants", "annotated.vcf.gz"), "rt") as stream:
        records = [line for line in stream if not line.startswith("#")]
    assert "DFLM=" in records[0]
    assert "DFLM_SKIPPED=" in records[1]
    assert "1 of 2 alleles scored with 1 models" in mined.log("score_variants")
    picture = ElementTree.parse(mined.path("variants", "effects.svg"))
    assert len(picture.getroot().findall(".//{*}path")) > 10


def test_what_is_mined_stands_in_the_report_with_captions(mined, tmp_path):
    mined("--report", str(tmp_path / "report.zip"))
    with zipfile.ZipFile(tmp_path / "report.zip") as archive:
        names = archive.namelist()
        page = archive.read("report/report.html").decode()
    assert '"Motifs"' in page
    assert f"What the classifier of {STRONG} has learnt" in page
    assert f"The scan with the classifier of {STRONG}" in page
    for name in ("motifs.html", "index.html", "top_sites.svg", "scan.svg", "effects.svg"):
        assert any(entry.endswith(f"/{name}") for entry in names), name


def test_another_database_compares_anew_and_finds_nothing_anew(mined):
    jobs, _ = mined.plan("--config", "mining={motifs: {database: null}}")
    # The methods section and the record take the whole configuration.
    summaries = {"summarise_motifs": 1, "write_methods": 1, "write_provenance": 1}
    assert jobs == {"write_motif_page": 1, **summaries, "all": 1}
    assert "Nothing to be done" in mined()
