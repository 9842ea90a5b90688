"""How well the trained baselines tell real ChIP-seq peaks; prints a table for RESULTS.md.

Run with ``python tests/benchmark/bench_baselines.py --data ../shared/data/chipseq gkm MYC SRF``;
without a method both are run, on MYC alone.
A set is the first --peaks positives of its AC file, a tenth of them for validation, with one
dinucleotide shuffle each; its B file is scored once. Each training is a process of its own, on
one thread; its CPU time and its memory are those of training and prediction.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[name] = "1"

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "workflow" / "scripts"))

from dflm.files import read_json
from dflm.sequences.splits import split_dataset
from stages import settings

METHODS = ("gkm", "cnn")


def defaults(method: str) -> dict:
    """Return a method's settings by default, but in single precision on any processor."""
    args = settings()[method]
    return args | {"precision": "fp32"} if "precision" in args else args


def prepare(data: Path, tf: str, peaks: int, seed: int, folder: Path) -> dict[str, Path]:
    """Split the set whose name starts with `tf`; return the three tables."""
    (whole,) = data.glob(f"{tf}_*_AC.seq.gz")
    capped = folder / whole.name
    with gzip.open(whole, "rt") as source, gzip.open(capped, "wt") as target:
        target.writelines(line for line, _ in zip(source, range(peaks + 1), strict=False))
    dataset = whole.name.removesuffix("_AC.seq.gz")
    parts = {part: folder / f"{part}.tsv.gz" for part in ("train", "validation", "test")}
    split_dataset(
        capped,
        data / f"{dataset}_B.seq.gz",
        *parts.values(),
        folder / "stats.json",
        dataset=dataset,
        **settings()["chipseq"] | {"min_peaks": 1},
        seed=seed,
    )
    return parts


def work(method: str, folder: Path, args: dict, seed: int) -> None:
    """Train and predict in this process; print the figures of one row."""
    from sklearn.metrics import roc_auc_score

    parts = {part: folder / f"{part}.tsv.gz" for part in ("train", "validation", "test")}
    learnt = {part: parts[part] for part in ("train", "validation")}
    predictions = folder / "predictions.tsv"
    begin = time.process_time()
    if method == "gkm":
        from dflm.evaluation.baselines.gkm import predict_gkm, train_gkm

        model, metrics = folder / "model.npz", folder / "metrics.json"
        train_gkm(**learnt, model=model, metrics=metrics, args=args, negatives="shuffle", seed=seed)
        predict_gkm(model=model, sequences=parts["test"], predictions=predictions)
        validation = read_json(metrics)["validation_auroc"]
    else:
        from dflm.evaluation.baselines.cnn import predict_cnn, train_cnn

        model = {"weights": folder / "model.safetensors", "card": folder / "model.json"}
        train_cnn(
            **learnt,
            **model,
            history=folder / "metrics.jsonl",
            checkpoint=folder / "last.pt",
            args=args,
            negatives="shuffle",
            seed=seed,
            gpu=0,
            threads=1,
        )
        predict_cnn(
            **model,
            sequences=parts["test"],
            predictions=predictions,
            batch_size=256,
            precision="fp32",
            gpu=0,
            threads=1,
        )
        validation = read_json(model["card"])["metrics"]["validation_auroc"]
    spent = time.process_time() - begin
    rows = [line.split("\t") for line in predictions.read_text().splitlines()[1:]]
    test = roc_auc_score([int(row[1]) for row in rows], [float(row[2]) for row in rows])
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{validation:.4f} {test:.4f} {spent:.0f} {memory:.0f}")


def main() -> None:
    """Print a row for each set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("method", nargs="?", choices=METHODS)
    parser.add_argument("tf", nargs="*", help="sets, by their first field; all when none is given")
    data = os.environ.get("DFLM_REAL_DATA", "../shared/data")
    parser.add_argument("--data", type=Path, default=Path(data, "chipseq"))
    parser.add_argument("--peaks", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--args", default="{}", help="JSON: settings other than by default")
    parser.add_argument("--quick", action="store_true", help="a look: few peaks")
    options = parser.parse_args()
    if options.worker:
        args = defaults(options.method) | json.loads(options.args)
        work(options.method, options.worker, args, options.seed)
        return
    if not options.data.is_dir():
        print(f"no real data: {options.data} is missing; name it by --data or DFLM_REAL_DATA")
        return
    if options.quick:
        options.peaks = 500
    here = sorted(path.name.split("_")[0] for path in options.data.glob("*_AC.seq.gz"))
    sets = options.tf or (here if options.method else ["MYC"])
    print("| set | method | validation AUROC | test AUROC | CPU s | peak MiB |")
    print("|---|---|---|---|---|---|")
    for method in [options.method] if options.method else METHODS:
        judge(method, sets, options)


def judge(method: str, sets: list[str], options: argparse.Namespace) -> None:
    """Print the rows of one method."""
    for tf in sets:
        with tempfile.TemporaryDirectory() as folder:
            prepare(options.data, tf, options.peaks, options.seed, Path(folder))
            command = [sys.executable, __file__, method, "--worker", folder]
            done = subprocess.run(
                [*command, "--args", options.args, "--seed", str(options.seed)],
                check=True,
                stdout=subprocess.PIPE,
                text=True,
            )
        print(f"| {tf} | {method} | " + " | ".join(done.stdout.split()) + " |", flush=True)


if __name__ == "__main__":
    main()
