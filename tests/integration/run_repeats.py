"""Run a tiny whole workflow again and again, and tell where the bytes of its results differ.

    .venv/bin/python tests/integration/run_repeats.py --directory repeats

Twice with one thread and twice with two, baselines, a variant and motifs included: nothing may
differ but times. Then as other machines would, up to the table alone: with the instructions of
older processors (AVX2 for torch, oneDNN and MKL), and in bf16. These are compared with the first
run, by the AUROC of each set and by the classifiers' weights. All precisions are pinned, since
`auto` goes by the processor. Started again, it goes on with what is there.
"""

import argparse
import copy
import csv
import os
import subprocess
import sys
from pathlib import Path

import yaml
from run_real import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "workflow" / "scripts"))
sys.path.insert(0, str(REPOSITORY / "tests" / "workflow"))

from safetensors.numpy import load_file
from small_run import COMPARED, CONFIG
from timeless import digests

STAGES = ("pretrain", "discriminate", "finetune", "classifier", "predict", "cnn")
THREADED = (
    *("pretrain_lm", "discriminate_genome", "finetune_lm", "train_classifier", "predict"),
    *("run_cnn", "attribute"),
)
OLDER = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_CBWR": "AVX2"}
TABLE = ("results/summary/auc.tsv",)
RUNS = {
    "1 thread": (1, "fp32", {}, ()),
    "1 thread again": (1, "fp32", {}, ()),
    "2 threads": (2, "fp32", {}, ()),
    "2 threads again": (2, "fp32", {}, ()),
    "AVX2": (1, "fp32", OLDER, TABLE),
    "bf16": (1, "bf16", {}, TABLE),
}
"""Threads, precision, environment and targets of each run."""
REPEATED = (("1 thread", "1 thread again"), ("2 threads", "2 threads again"))


def differences(one: Path, other: Path) -> list[str]:
    """Return the results of which two runs have not the same bytes, or that one of them lacks."""
    here, there = (digests(folder, "results") for folder in (one, other))
    return sorted(name for name in here.keys() | there.keys() if here.get(name) != there.get(name))


def run(
    folder: Path,
    threads: int,
    precision: str,
    environment: dict[str, str],
    targets: tuple[str, ...],
) -> None:
    """Run the workflow in a folder, up to the targets or to the last page."""
    config = copy.deepcopy(CONFIG | COMPARED)
    for stage in STAGES:
        config.setdefault(stage, {})["precision"] = precision
    config["mining"] = {
        "run": ["motifs", "models"],
        "attribution": {"part": "train", "sequences": 120},
        "motifs": {"finder": "seeds", "most": 2, "database": "resources/demo/motifs.meme"},
    }
    (folder / "config").mkdir(parents=True, exist_ok=True)
    (folder / "config" / "config.yaml").write_text(yaml.safe_dump(config))
    command = [sys.executable, "-m", "snakemake", "--snakefile", REPOSITORY / "workflow/Snakefile"]
    command += ["--directory", folder, "--cores", threads, "--quiet", "all", "--set-threads"]
    command += [*(f"{rule}={threads}" for rule in THREADED), "--", *targets]
    subprocess.run(
        [str(word) for word in command],
        env=os.environ | {"OMP_NUM_THREADS": str(threads)} | environment,
        check=True,
    )


def aurocs(folder: Path) -> dict[str, float]:
    """Return the AUROC of each set of a run."""
    with (folder / "results" / "summary" / "auc.tsv").open() as stream:
        rows = csv.DictReader(stream, delimiter="\t")
        return {row["dataset"]: float(row["auroc"]) for row in rows if row["dataset"] != "MEAN"}


def weights_apart(one: Path, other: Path) -> float:
    """Return how far apart the classifiers' weights of two runs are, relative to their norm.

    The greatest over the sets of the norm of the difference, all tensors as one vector.
    """
    apart = []
    for path in sorted((one / "results" / "classify").glob("*/model.safetensors")):
        here, there = load_file(path), load_file(other / path.relative_to(one))
        squares = [
            (((there[name] - here[name]) ** 2).sum(dtype=float), (here[name] ** 2).sum(dtype=float))
            for name in here
        ]
        difference, norm = map(sum, zip(*squares, strict=True))
        apart.append((difference / norm) ** 0.5)
    return max(apart)


def main() -> None:
    """Read the command line, run, and print what differs."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--directory", type=Path, default=Path("repeats"))
    args = parser.parse_args()
    folders = {name: args.directory / name.replace(" ", "_") for name in RUNS}
    for name, how in RUNS.items():
        run(folders[name], *how)
    wrong = []
    for one, other in REPEATED:
        found = differences(folders[one], folders[other])
        wrong += found
        print(f"{one}, twice: {', '.join(found) or 'the same bytes'}")
    first = folders["1 thread"]
    scores = aurocs(first)
    print("| against 1 thread, fp32 | AUROC, greatest difference | mean | weights |")
    print("|---|---|---|---|")
    for name in ("2 threads", "AVX2", "bf16"):
        apart = [aurocs(folders[name])[one] - value for one, value in scores.items()]
        print(
            f"| {name} | {max(map(abs, apart)):.4f} | {sum(apart) / len(apart):+.4f} | "
            f"{weights_apart(first, folders[name]):.1e} |"
        )
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
