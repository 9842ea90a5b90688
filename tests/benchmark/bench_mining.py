"""What mining a model costs: bases scanned a second, and attributions by both methods.

Run with ``python tests/benchmark/bench_mining.py``; it prints its table in Markdown. The model is
one of random weights at the sizes of config/small.yaml (--size full: of the published
experiment), or, by --model, a trained one; the cost does not depend on the weights. Agreement of
the methods does, and is told only for a trained one, on --fasta. Sides take turns within a round;
figures are medians.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "workflow" / "scripts"))

import numpy as np
import torch
from dflm.mining.attribution.gradients import integrated_gradients, observed
from dflm.mining.attribution.mutagenesis import hypothetical_of, mutation_effects
from dflm.mining.attribution.sequences import attribute
from dflm.mining.scan.tiles import Tiler
from dflm.mining.scoring import Scorer, choose_device
from dflm.mining.sequences_in import each_fasta_record
from dflm.model.classifier import PoolingClassifier
from dflm.model.files import NO_DROPOUT
from dflm.model.language_model import Architecture

HG38 = 2.94e9  # bases that are no N
SIZES = {
    "small": Architecture(k=3, stride=1, embedding=64, hidden=192, layers=2),
    "full": Architecture(k=3, stride=1, embedding=200, hidden=800, layers=6),
}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="folder of a trained model, instead of random weights")
    parser.add_argument("--fasta", help="bound sequences to compare the two methods on")
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--width", type=int, default=101)
    parser.add_argument("--stride", type=int, default=25)
    parser.add_argument("--bases", type=int, default=50_000, help="to scan in a round")
    parser.add_argument("--sequences", type=int, default=8, help="to attribute in a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a look: one short round")
    args = parser.parse_args()
    if args.quick:
        args.bases, args.sequences, args.rounds = 5_000, 2, 1
    return args


def scorer_of(args: argparse.Namespace, precision: str) -> Scorer:
    if args.model:
        return Scorer.load(args.model, threads=args.threads, precision=precision)
    torch.manual_seed(0)
    model = PoolingClassifier(SIZES[args.size], NO_DROPOUT, 50, 0.0, 64, 15)
    return Scorer(model, {}, args.size, choose_device("auto", args.threads), precision=precision)


def timed(run) -> tuple[float, float]:
    """Return seconds of wall and of CPU."""
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - wall, time.process_time() - cpu


def scan(scorer: Scorer, codes: np.ndarray, args: argparse.Namespace) -> None:
    tiler = Tiler(scorer, args.width, args.stride, 0.1, lambda scores: None)
    tiler.write(codes)
    tiler.finish()


def measure(sides: dict, rounds: int) -> dict[str, list[tuple[float, float]]]:
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    for run in sides.values():
        run()  # what is compiled or loaded at the first call is no part of a rate
    for _ in range(rounds):
        for name, run in sides.items():
            found[name].append(timed(run))
    return found


def main() -> None:
    args = arguments()
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, args.bases).astype(np.uint8)
    sequences = rng.integers(0, 4, (args.sequences, args.width)).astype(np.uint8)
    exact, fast = scorer_of(args, "fp32"), scorer_of(args, "auto")
    device = exact.device
    name = torch.cuda.get_device_name() if device.type == "cuda" else f"{args.threads} CPU threads"
    print(f"{exact.name}, {name}, width {args.width}, stride {args.stride}\n")
    sides = {
        "scan, fp32": lambda: scan(exact, codes, args),
        "scan, auto": lambda: scan(fast, codes, args),
        "mutagenesis": lambda: mutation_effects(exact, sequences),
        "gradients": lambda: integrated_gradients(exact, sequences),
    }
    found = measure(sides, args.rounds)
    print("| side | wall s | CPU s | rate | whole hg38 |\n|---|---|---|---|---|")
    for side, times in found.items():
        wall = statistics.median(t[0] for t in times)
        cpu = statistics.median(t[1] for t in times)
        if side.startswith("scan"):
            rate = args.bases / wall
            shown = f"{rate:,.0f} bases/s | {HG38 / rate / 3600:.1f} h"
        else:
            shown = f"{args.sequences / wall:.2f} sequences/s | "
        print(f"| {side} | {wall:.3f} | {cpu:.3f} | {shown} |")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\npeak memory {peak:.0f} MiB")
    if args.model and args.fasta:
        agreement(exact, args)


def agreement(scorer: Scorer, args: argparse.Namespace) -> None:
    """Print how well gradients agree with mutagenesis on bound sequences."""
    records: list[tuple[str, np.ndarray]] = []
    each_fasta_record(args.fasta, records.append)
    names, sequences = zip(*records[: args.sequences], strict=True)
    place = {"width": scorer.width(args.width), "stride": args.stride}
    found = attribute(scorer, names, sequences, **place)
    slow = observed(hypothetical_of(mutation_effects(scorer, found.codes)), found.codes)
    each = [
        np.corrcoef(a[:n], b[:n])[0, 1]
        for a, b, n in zip(found.contributions, slow, found.lengths, strict=True)
    ]
    print(f"correlation with mutagenesis over bases: mean {np.mean(each):.3f}, "
          f"least {np.min(each):.3f}, of {len(each)} sequences")  # fmt: skip


if __name__ == "__main__":
    main()
