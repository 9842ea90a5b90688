"""Where the time of one set goes, from its files to its metrics, and how much of it is fixed.

The demo's model on one simulated set, by the workflow's own jobs, each round with all jobs of the
set anew. Seconds are those that the jobs write to the set's metrics.json themselves, so that
Snakemake's own, named apart, do not count. Run with
`PYTHONPATH=workflow/scripts python tests/benchmark/bench_job.py --rounds 3`.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
MODEL = ("training", "validation", "predicting")  # what a longer training or more data lengthens
LIMIT = 8.0  # seconds of a set that may go elsewhere
CHAIN = ("split", "check_leaks", "finetune_lm", "train_classifier", "predict", "evaluate")
RULES = ("split_chipseq", *CHAIN[1:])


def snakemake(folder: Path, *arguments: str) -> float:
    """Run the workflow in `folder` on one core; return the wall seconds."""
    begin = time.perf_counter()
    command = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "workflow" / "Snakefile"]
    options = ["--cores", "1", "--quiet", "all", "--resources", "gpu=0"]
    subprocess.run(
        [*command, "--directory", folder, *options, *arguments],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(folder / "cache")},
        check=True,
    )
    return time.perf_counter() - begin


def prepare(folder: Path) -> str:
    """Simulate the data and train the language model; return the name of the set to work on."""
    config = yaml.safe_load((ROOT / "config" / "demo.yaml").read_text())
    config["simulate"]["genome_length"] = 200_000
    (folder / "config").mkdir()
    (folder / "config" / "config.yaml").write_text(yaml.safe_dump(config))
    snakemake(folder, "--", "results/pretrain/model.safetensors", "resources/chipseq/archive")
    found = sorted((folder / "resources" / "chipseq" / "archive").glob("STRONG*_AC.seq.gz"))
    return found[0].name.removesuffix("_AC.seq.gz")


def fixed(seconds: dict) -> float:
    """Return what a job takes beside the work of the model, by one clock."""
    return seconds["total"] - sum(seconds.get(name, 0.0) for name in MODEL)


def table(rounds: list[dict], clock: str) -> str:
    """Return each job's phases, medians over the rounds."""
    jobs = list(rounds[0])
    phases = list(dict.fromkeys(name for job in jobs for name in rounds[0][job][clock]))
    values = {name: lambda seconds, name=name: seconds.get(name, 0.0) for name in phases}
    del values["total"]
    values |= {"total": lambda seconds: seconds["total"], "fixed": fixed}
    lines = [f"{clock:12s}" + "".join(f"{job:>17s}" for job in jobs)]
    for name, value in values.items():
        cells = [
            statistics.median(value(seconds[job][clock]) for seconds in rounds) for job in jobs
        ]
        lines.append(f"{name:12s}" + "".join(f"{cell:17.2f}" for cell in cells))
    return "\n".join(lines)


def main(number: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        dataset = prepare(folder)
        target = f"results/classify/{dataset}/metrics.json"
        snakemake(folder, "--", target)  # compiles what numba has not in its cache
        rounds, around = [], []
        for _ in range(number):
            passed = snakemake(folder, "--forcerun", *RULES, "--", target)
            seconds = json.loads((folder / target).read_text())["seconds"]
            rounds.append({job: seconds[job] for job in CHAIN})
            around.append(passed - sum(job["wall"]["total"] for job in seconds.values()))
    print(f"one set, {number} rounds, medians, seconds; one of {os.cpu_count()} processors used")
    for clock in ("wall", "cpu"):
        print(f"\n{table(rounds, clock)}")
    for clock in ("wall", "cpu"):
        costs = [sum(fixed(job[clock]) for job in seconds.values()) for seconds in rounds]
        cost = statistics.median(costs)
        print(
            f"\nfixed cost of the set, {clock}: {cost:.2f} s ({min(costs):.2f} to "
            f"{max(costs):.2f}); limit {LIMIT:g}: {'kept' if cost <= LIMIT else 'missed'}",
            end="",
        )
    print(f"\nSnakemake around the jobs: {statistics.median(around):.2f} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a look: one round")
    options = parser.parse_args()
    main(1 if options.quick else options.rounds)
