"""Runs a stage of the workflow on made-up input, in a process of its own, and measures it.

Shared by the benchmarks of memory and by the tests that hold `dflm.resources` against it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import yaml

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "workflow" / "scripts"
SMALL = {"embedding": 64, "hidden": 192, "layers": 2}
FULL = {"embedding": 200, "hidden": 800, "layers": 6}
HEAD = ("detectors", "strand_symmetric")  # what a classifier's size rests on, beside its encoder

_CHILD = """
import importlib, json, sys, time
from pathlib import Path
task = json.load(sys.stdin)
exec(task["before"])
work = getattr(importlib.import_module(task["module"]), task["function"])
wall, cpu = time.perf_counter(), time.process_time()
work(*task["args"], **task["kwargs"])
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
# Not getrusage: its maximum outlives exec, so it would be that of the process before.
peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024
device = 0
if "torch" in sys.modules:
    import torch
    if torch.cuda.is_available():
        device = torch.cuda.max_memory_allocated()
print(json.dumps({"peak": peak, "device_peak": device, "seconds": wall, "cpu": cpu}))
"""


def measured(module: str, function: str, *args: object, before: str = "", **kwargs: object) -> dict:
    """Call a function of the library in a new process with one thread.

    `before` is code to run there first. Returns the peak of the process's memory and of the
    device's (bytes, 0 without CUDA) and the seconds of the call, by the wall and of CPU time;
    imports are left out.
    """
    task = {
        "module": module,
        "function": function,
        "before": before,
        "args": args,
        "kwargs": kwargs,
    }
    limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    done = subprocess.run(
        [sys.executable, "-c", _CHILD],
        input=json.dumps(task, default=str),
        env={**os.environ, **limits, "PYTHONPATH": str(SCRIPTS)},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"{module}.{function} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def settings() -> dict:
    """Return the configuration's defaults, which stand in its schema."""

    def fill(node: dict) -> object:
        if "properties" in node:
            return {name: fill(child) for name, child in node["properties"].items()}
        return node["default"]

    schema = yaml.safe_load((ROOT / "workflow" / "schemas" / "config.schema.yaml").read_text())
    return fill(schema)


def language_model(**changes: object) -> dict:
    """Return what the training functions take as `language_model`."""
    chosen = settings()
    model = {key: value for key, value in chosen["language_model"].items() if key != "pretrained"}
    return {**model, **chosen["kmers"], **changes}


def classifier_settings(model: dict) -> dict:
    """Return what the training of a classifier takes as `args`, with what `model` has of a head."""
    args = {key: value for key, value in settings()["classifier"].items() if key != "start"}
    return args | {"head": args["head"] | {key: model[key] for key in HEAD if key in model}}


def classifier_model(**changes: object) -> dict:
    """Return `language_model` with the number of a classifier's motif detectors."""
    return language_model(detectors=settings()["classifier"]["head"]["detectors"]) | changes


def outputs(folder: Path) -> dict:
    """Return the files that every training writes."""
    return {
        "weights": folder / "model.safetensors",
        "card": folder / "model.json",
        "history": folder / "metrics.jsonl",
        "checkpoint": folder / "checkpoints" / "last.pt",
    }


def write_fasta(path: Path, contigs: dict[str, int], line: int = 60) -> None:
    """Write random contigs of given lengths."""
    rng = np.random.default_rng(1)
    letters = np.frombuffer(b"ACGT", dtype=np.uint8)
    with open(path, "wb") as stream:
        for name, length in contigs.items():
            stream.write(f">{name}\n".encode())
            lines = np.full((-(-length // line), line + 1), ord("\n"), dtype=np.uint8)
            lines[:, :line] = letters[rng.integers(0, 4, (len(lines), line), dtype=np.uint8)]
            text = lines.tobytes()
            stream.write(text[: length + (length - 1) // line] + b"\n")


def make_genome(folder: Path, train: int, validation: int) -> dict:
    """Shard a random genome of that many bases; return `index` and `contigs`."""
    from dflm.sequences.genome import shard_genome

    folder.mkdir(parents=True, exist_ok=True)
    write_fasta(folder / "genome.fa", {"t": train, "v": validation})
    places = {"contigs": folder / "contigs", "index": folder / "index.json"}
    shard_genome(
        folder / "genome.fa",
        *places.values(),
        include=["*"],
        exclude=[],
        validation=["v"],
        soft_masked="keep",
    )
    return places


def make_model(folder: Path, model: dict, classifies: bool = False) -> dict:
    """Write an untrained language model, or a classifier; return `weights` and `card`."""
    from dflm.calibration import calibrate_strands
    from dflm.model.classifier import PoolingClassifier
    from dflm.model.files import save_model
    from dflm.model.language_model import LanguageModel
    from dflm.training.arguments import LanguageModelArgs

    args = LanguageModelArgs(**{key: value for key, value in model.items() if key not in HEAD})
    made = LanguageModel(args.architecture, args.dropouts)
    if classifies:
        head = classifier_settings(model)["head"]
        shape = head.pop("hidden"), head.pop("dropout")
        made = PoolingClassifier(args.architecture, args.dropouts, *shape, **head)
    files = {"weights": folder / "model.safetensors", "card": folder / "model.json"}
    folder.mkdir(parents=True, exist_ok=True)
    some = [0.1, 0.2, 0.6, 0.9]
    save_model(
        made,
        *files.values(),
        training={"dataset": "d", "width": 101},
        metrics={},
        calibration=calibrate_strands([0, 0, 1, 1], some, some, fdr=0.1),
    )
    return files


def write_split(path: Path, rows: int, width: int = 101, seed: int = 1) -> Path:
    """Write a table of random sequences, every other one bound."""
    from dflm.files import write_gzip_text
    from dflm.sequences.kmers import decode
    from dflm.sequences.splits import HEADER

    codes = np.random.default_rng(seed).integers(0, 4, (rows, width), dtype=np.uint8)
    with write_gzip_text(path) as stream:
        stream.write(HEADER + "\n")
        for i, row in enumerate(codes):
            stream.write(f"peak_{seed}_{i}\t{decode(row)}\t{i % 2}\n")
    return path


def write_set(path: Path, rows: int, positive: int, width: int = 101, seed: int = 1) -> Path:
    """Write a file in DeepBind's format; the first `positive` rows are bound."""
    from dflm.files import write_gzip_text
    from dflm.sequences.kmers import decode

    codes = np.random.default_rng(seed).integers(0, 4, (rows, width), dtype=np.uint8)
    with write_gzip_text(path) as stream:
        stream.write("FoldID\tEventID\tseq\tBound\n")
        for i, row in enumerate(codes):
            stream.write(f"A\tseq_{i:05d}_peak\t{decode(row)}\t{int(i < positive)}\n")
    return path


def pretraining(folder: Path, model: dict, batch: int, bptt: int, steps: int = 3) -> dict:
    """Measure `steps` windows of pretraining, a validation and all that stands around them."""
    bases = batch * bptt * steps + model["k"] + 1
    args = settings()["pretrain"]
    args |= {"batch_size": batch, "bptt": bptt, "validations_per_epoch": 1}
    return measured(
        "dflm.training.pretrain",
        "pretrain",
        **make_genome(folder / "genome", bases, bases),
        **outputs(folder / "out"),
        metrics=folder / "out" / "metrics.json",
        language_model=model,
        args=args,
        seed=1,
        gpu=1,
        threads=1,
    )


def discriminating(folder: Path, model: dict, batch: int, windows: int, width: int = 101) -> dict:
    """Measure an epoch of the second pretraining, of that many windows."""
    args = settings()["discriminate"]
    args |= {"batch_size": batch, "windows": windows, "epochs": 1, "validation_windows": 100}
    given = make_model(folder / "lm", model)
    return measured(
        "dflm.training.discriminate",
        "discriminate",
        weights_in=given["weights"],
        card_in=given["card"],
        **make_genome(folder / "genome", 100_000, 10_000),
        **outputs(folder / "out"),
        metrics=folder / "out" / "metrics.json",
        dropout=model["dropout"],
        args=args,
        seed=1,
        gpu=1,
        threads=1,
    )


def finetuning(folder: Path, model: dict, batch: int, sequences: int, width: int = 101) -> dict:
    """Measure an epoch of fine-tuning on a set with that many training sequences."""
    args = {key: value for key, value in settings()["finetune"].items() if key != "group_by"}
    given = make_model(folder / "lm", model)
    return measured(
        "dflm.training.finetune",
        "finetune",
        weights_in=given["weights"],
        card_in=given["card"],
        train=[write_split(folder / "train.tsv.gz", sequences, width)],
        validation=[write_split(folder / "validation.tsv.gz", sequences // 8, width, 2)],
        test=[write_split(folder / "test.tsv.gz", 100, width, 3)],
        **outputs(folder / "out"),
        metrics=folder / "out" / "metrics.json",
        language_model=model,
        args=args | {"batch_size": batch, "epochs": 1},
        group="g",
        members=["g"],
        seed=1,
        gpu=1,
        threads=1,
    )


def classifying(folder: Path, model: dict, batch: int, sequences: int, width: int = 101) -> dict:
    """Measure a classifier's training: an epoch of its head, and one of all its layers."""
    stages = [{"unfreeze": u, "epochs": 1, "learning_rate": 0.01} for u in (1, "all")]
    given, args = make_model(folder / "lm", model), classifier_settings(model)
    return measured(
        "dflm.training.classify",
        "train_classifier",
        weights_in=given["weights"],
        card_in=given["card"],
        train=write_split(folder / "train.tsv.gz", sequences, width),
        validation=write_split(folder / "validation.tsv.gz", sequences // 8, width, 2),
        **outputs(folder / "out"),
        predictions=folder / "validation.tsv",
        seconds=folder / "seconds.json",
        args=args | {"batch_size": batch, "stages": stages},
        dataset="d",
        negatives="shuffle",
        seed=1,
        gpu=1,
        threads=1,
    )


def predicting(folder: Path, model: dict, batch: int, sequences: int, width: int = 101) -> dict:
    """Measure the prediction of a table."""
    return measured(
        "dflm.training.predict",
        "predict",
        **make_model(folder / "classifier", model, classifies=True),
        sequences=write_split(folder / "test.tsv.gz", sequences, width),
        predictions=folder / "predictions.tsv",
        seconds=folder / "seconds.json",
        **settings()["predict"] | {"batch_size": batch},
        gpu=1,
        threads=1,
    )


def attributing(folder: Path, model: dict, sequences: int, width: int = 101) -> dict:
    """Measure the attributions of a table's bound half, and the picture of the strongest."""
    chosen = settings()["mining"]["attribution"]
    return measured(
        "dflm.mining.attribution.of_set",
        "attribute_set",
        make_model(folder / "classifier", model, classifies=True)["weights"],
        write_split(folder / "train.tsv.gz", 2 * sequences, width),
        folder / "attributions.npz",
        folder / "top_sites.svg",
        most=sequences,
        method=chosen["method"],
        seed=1,
        gpu=1,
        threads=1,
    )


def scanning(folder: Path, model: dict, bases: int) -> dict:
    """Measure a scan of two contigs, the first of that many bases."""
    chosen = settings()["mining"]["scan"]
    return measured(
        "dflm.mining.scan.files",
        "scan_set",
        make_model(folder / "classifier", model, classifies=True)["weights"],
        make_genome(folder / "genome", bases, 1000)["index"],
        folder / "scores.bw",
        folder / "calls.bed",
        folder / "parts",
        regions=None,
        motifs=None,
        **{name: chosen[name] for name in ("stride", "max_n", "threshold", "value", "precision")},
        gpu=1,
        threads=1,
    )


def annotating(folder: Path, model: dict, models: int, variants: int) -> dict:
    """Measure the annotation of single-base variants with several classifiers."""
    from dflm.mining.genomes import open_genome
    from dflm.sequences.kmers import decode

    weights = [
        make_model(folder / f"classifier_{i}", model, classifies=True)["weights"]
        for i in range(models)
    ]
    genome = make_genome(folder / "genome", 2000 * variants, 1000)
    codes = open_genome(genome["index"])
    vcf = folder / "variants.vcf"
    with vcf.open("w") as stream:
        stream.write("##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n")
        for i in range(variants):
            place = 2000 * i + 1000
            ref = decode(codes.codes("t", place, place + 1))
            alt = "ACGT"["CGTA".index(ref)]
            stream.write(f"t\t{place + 1}\tv{i}\t{ref}\t{alt}\t.\t.\t.\n")
    chosen = settings()["mining"]["variants"]
    return measured(
        "dflm.mining.variants.annotation",
        "annotate_with_sets",
        weights,
        vcf,
        genome["index"],
        folder / "effects.tsv",
        folder / "annotated.vcf.gz",
        **{name: chosen[name] for name in ("step", "max_n", "on_mismatch", "p_values")},
        null_size=20,
        seed=1,
        gpu=1,
        threads=1,
    )


def gapping(folder: Path, sequences: int, width: int = 101) -> dict:
    """Measure the training of a gapped k-mer SVM."""
    return measured(
        "dflm.evaluation.baselines.gkm",
        "train_gkm",
        train=write_split(folder / "train.tsv.gz", sequences, width),
        validation=write_split(folder / "validation.tsv.gz", sequences // 8, width, 2),
        model=folder / "model.npz",
        metrics=folder / "model.json",
        args=settings()["gkm"] | {"costs": [1.0], "passes": 3},
        negatives="shuffle",
        seed=1,
    )


def convolving(folder: Path, batch: int, sequences: int, width: int = 101) -> dict:
    """Measure the training of a convolutional network."""
    return measured(
        "dflm.evaluation.baselines.cnn",
        "train_cnn",
        train=write_split(folder / "train.tsv.gz", sequences, width),
        validation=write_split(folder / "validation.tsv.gz", sequences // 8, width, 2),
        **outputs(folder / "out"),
        args=settings()["cnn"] | {"batch_size": batch, "epochs": 2},
        negatives="shuffle",
        seed=1,
        gpu=1,
        threads=1,
    )


def splitting(folder: Path, sequences: int, width: int = 101, per_positive: int = 1) -> dict:
    """Measure the splitting of a set with that many training peaks and shuffles of each."""
    folder.mkdir(parents=True, exist_ok=True)
    return measured(
        "dflm.sequences.splits",
        "split_dataset",
        write_set(folder / "AC.seq.gz", sequences, sequences, width),
        write_set(folder / "B.seq.gz", 1000, 500, width, 2),
        *(folder / f"{part}.tsv.gz" for part in ("train", "validation", "test")),
        folder / "stats.json",
        dataset="TF_CELL_x",
        seed=1,
        **settings()["chipseq"] | {"negatives_per_positive": per_positive},
    )


def cutting(folder: Path, bases: int, peaks: int, negatives: str, width: int = 101) -> dict:
    """Measure the cutting of that many peaks out of a genome whose last contig is a tenth of it."""
    places = make_genome(folder / "genome", bases - bases // 10, bases // 10)
    gap = bases // peaks
    with (folder / "peaks.bed").open("w") as stream:
        for at in range(peaks):
            start, contig = at * gap, "t"
            if start >= bases - bases // 10:
                start, contig = start - (bases - bases // 10), "v"
            stream.write(f"{contig}\t{start + width}\t{start + 2 * width}\tpeak_{at}\t{at}\n")
    return measured(
        "dflm.sequences.peak_splits",
        "split_peaks",
        folder / "peaks.bed",
        None,
        places["index"],
        places["contigs"],
        *(folder / f"{part}.tsv.gz" for part in ("train", "validation", "test")),
        folder / "stats.json",
        dataset="TF_CELL_x",
        seed=1,
        **settings()["chipseq"],
        **settings()["peaks"] | {"negatives": negatives, "width": width},
    )


def averaging(folder: Path, sequences: int, members: int) -> dict:
    """Measure the averaging of what that many members say, half of it of the test."""
    for member in range(members):
        (folder / str(member)).mkdir(parents=True)
        (folder / str(member) / "model.json").write_text('{"sha256": "", "training": {"seed": 1}}')
        for part in ("validation", "test"):
            lines = ["name\tlabel\tprobability\tprobability_calibrated\tprobability_forward"]
            lines[0] += "\tprobability_reverse"
            lines += [
                f"seq_{i:06d}_peak\t{i % 2}" + 4 * "\t0.12345678" for i in range(sequences // 2)
            ]
            (folder / str(member) / f"{part}.tsv").write_text("\n".join([*lines, ""]))
    files = [
        [folder / str(member) / name for member in range(members)]
        for name in ("model.json", "validation.tsv", "test.tsv")
    ]
    out = folder / "card.json", folder / "out.tsv"
    return measured("dflm.evaluation.ensemble", "average", *files, *out, fdr=0.1, both_strands=True)


def sharding(folder: Path, bases: int, contigs: int = 4) -> dict:
    """Measure the sharding of a genome."""
    folder.mkdir(parents=True, exist_ok=True)
    sizes = {"v": 1000} | {f"t{i}": bases // contigs for i in range(contigs)}
    write_fasta(folder / "genome.fa", sizes)
    return measured(
        "dflm.sequences.genome",
        "shard_genome",
        folder / "genome.fa",
        folder / "contigs",
        folder / "index.json",
        include=["*"],
        exclude=[],
        validation=["v"],
        soft_masked="keep",
    )


def checking(
    folder: Path, longest: int, sequences: int, windows: int = 0, width: int = 101
) -> dict:
    """Measure a leak check of three tables of that many rows, and a genome with such a contig.

    With `windows` of a second pretraining, of two epochs.
    """
    tables = [
        write_split(folder / f"{part}.tsv.gz", sequences, width, seed)
        for seed, part in enumerate(("train", "validation", "test"))
    ]
    return measured(
        "dflm.sequences.leak_report",
        "check_leaks",
        *tables,
        folder / "leaks.json",
        dataset="d",
        width=settings()["chipseq"]["near_duplicate_width"],
        windows=[{"epochs": 2, "windows": windows, "width": width, "seed": 1}] if windows else [],
        **make_genome(folder / "genome", longest, 1000),
    )


def withholding(folder: Path, longest: int, sequences: int, width: int = 101) -> dict:
    """Measure the search of a genome with such a contig for the rows of a set's test table."""
    return measured(
        "dflm.sequences.withholding",
        "withhold_tests",
        [write_split(folder / "test.tsv.gz", sequences, width)],
        output=folder / "withheld.bed",
        width=settings()["chipseq"]["near_duplicate_width"],
        **make_genome(folder / "genome", longest, 1000),
    )


def evaluating(folder: Path, train: int, test: int, width: int = 101) -> dict:
    """Measure the judgement of a set's predictions, all of them by chance."""
    from dflm.files import write_json

    tables = [write_split(folder / f"{n}.tsv.gz", n, width, n) for n in (train, test)]
    predictions = folder / "predictions.tsv"
    with predictions.open("w") as stream:
        stream.write("name\tlabel\tprobability\n")
        for i, value in enumerate(np.random.default_rng(1).random(test)):
            stream.write(f"peak_{test}_{i}\t{i % 2}\t{value:.9g}\n")
    parts = [f"{part}_{kind}" for part in ("train", "test") for kind in ("positives", "negatives")]
    contents = {
        "card": {},
        "stats": {"status": "ok", **dict.fromkeys(parts, 1)},
        "lm": {"seconds": {}},
    }
    found = {kind: {"positives": 0, "negatives": 0} for kind in ("exact", "near")}
    write_json(folder / "leaks.json", {"test": found, "corpus": None, "shown": None})
    for name, content in contents.items():
        write_json(folder / f"{name}.json", content)
    return measured(
        "dflm.evaluation.metrics",
        "evaluate",
        predictions,
        *(folder / f"{name}.json" for name in contents),
        *tables,
        folder / "leaks.json",
        {},
        folder / "metrics.json",
        *(folder / f"{name}.svg" for name in ("roc", "pr", "reliability", "scores")),
        dataset="d",
        args={"floor_tolerance": 0.5, "both_strands": True, "corpus": False, "shown": []},
        seed=1,
        method="full",
    )
