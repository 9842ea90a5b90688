"""What the training engine does on a GPU: its tests, its rates, and where the time goes.

Run on a GPU machine with ``PYTHONPATH=workflow/scripts python tests/benchmark/bench_gpu.py``; it
prints its tables in Markdown and takes some minutes. Without a GPU it says so and ends. The peers
are in bench_training.py; here the sides are our own: the step launched kernel by kernel (eager),
recorded into a CUDA graph (graph), and recorded with the layers in chunks of that many time steps
(wavefront), at full size in bfloat16. All sides take turns within a round; the tables give medians
over the rounds with the lowest and the highest. The roof is the arithmetic of the LSTM's matrix
products at the rate of a large bfloat16 product in the same rounds. A multiprocessor counts as
idle where the kernels that run have fewer blocks than there are multiprocessors.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from itertools import pairwise
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT / "workflow" / "scripts"), str(HERE)]

import torch
from bench_training import LENGTH, Ours, matrix_rate, shown
from dflm.model.wavefront import Wavefront
from workload import Pace, flop_per_token, workload

BATCHES = (640, 1280, 2560)
CHUNKS = (10, 14, 35)
HG38 = 2.94e9  # bases that are no N


def engine(work: dict, side: str) -> Ours:
    """Return our engine: "eager", "graph", or "wavefront" and the steps of a chunk."""
    ours = Ours(work)
    if side == "eager":
        ours.step.replayed = None
    elif side.startswith("wavefront"):
        ours.step.wavefront = Wavefront(int(side.split()[1]))
    return ours


def row(*cells: object) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"


def rates(batch: int, sides: list[str], args: argparse.Namespace) -> list[str]:
    """Measure all sides on one batch size; rows of a table."""
    work = workload("full", batch, LENGTH, "cuda", True)
    paces, memory = {}, {}
    for side in [*sides, "inference"]:
        gc.collect()
        torch.cuda.empty_cache()
        before = torch.cuda.memory_reserved()
        ours = engine(work, side)
        step = ours.infer if side == "inference" else ours.train
        for _ in range(3):
            step()
        memory[side] = torch.cuda.memory_reserved() - before
        paces[side] = Pace(step, batch * LENGTH, "cuda")
    measured: dict[str, list[float]] = {side: [] for side in paces}
    roof = []
    for _ in range(args.rounds):
        roof.append(matrix_rate("cuda", True, 0.5))
        for side, pace in paces.items():
            measured[side].append(pace.rate(args.seconds))
    rows = []
    for side, values in measured.items():
        training = side != "inference"
        rate = statistics.median(values)
        share = rate * flop_per_token(work, training) / statistics.median(roof)
        ratio = rate / statistics.median(measured["eager"]) if training else None
        epoch = f"{HG38 / rate / 60:.1f}" if training else ""
        rows.append(
            row(
                batch,
                side,
                shown(values),
                f"{ratio:.2f}" if ratio else "",
                f"{share:.0%}",
                epoch,
                f"{memory[side] / 2**30:.1f}",
            )
        )
    rows.append(row(batch, "roof, TFLOP/s", shown([x / 1e12 for x in roof]), "", "", "", ""))
    paces.clear()
    gc.collect()
    torch.cuda.empty_cache()
    return rows


def kernels(step, steps: int) -> list[dict]:
    """Return the kernels that some steps ran: name, start and duration (us), blocks."""
    for _ in range(4):
        step()
    torch.cuda.synchronize()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        for _ in range(steps):
            step()
        torch.cuda.synchronize()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        profile.export_chrome_trace(str(path))
        events = json.loads(path.read_text())["traceEvents"]
    found = []
    for event in events:
        if event.get("cat") == "kernel" and event["dur"] > 0:
            x, y, z = event["args"].get("grid", (1, 1, 1))
            found.append(
                {
                    "name": event["name"],
                    "start": float(event["ts"]),
                    "time": float(event["dur"]),
                    "blocks": x * y * z,
                }
            )
    return sorted(found, key=lambda kernel: kernel["start"])


def idle(found: list[dict], multiprocessors: int) -> tuple[float, float, float]:
    """Tell how much of the time was left unused.

    Returns
    -------
    empty : float
        Share of the time in which no kernel ran.
    unused : float
        Share of the multiprocessors' time for which the kernels that ran had too few blocks.
    at_once : float
        Kernels that ran at a time, on average.
    """
    moments = []
    for i, kernel in enumerate(found):
        moments.append((kernel["start"], True, i))
        moments.append((kernel["start"] + kernel["time"], False, i))
    moments.sort()
    running: set[int] = set()
    empty = used = at_once = 0.0
    for (now, begins, i), (then, _, _) in pairwise(moments):
        if begins:
            running.add(i)
        else:
            running.remove(i)
        blocks = sum(found[j]["blocks"] for j in running)
        empty += (then - now) * (not running)
        used += (then - now) * min(1.0, blocks / multiprocessors)
        at_once += (then - now) * len(running)
    whole = moments[-1][0] - moments[0][0]
    return empty / whole, 1 - used / whole, at_once / whole


def profile(batch: int, sides: list[str], steps: int) -> list[str]:
    """Tell where the time of each side goes; lines of Markdown."""
    multiprocessors = torch.cuda.get_device_properties(0).multi_processor_count
    work = workload("full", batch, LENGTH, "cuda", True)
    lines = [
        row("side", "kernels a step", "no kernel", "multiprocessors idle", "kernels at once"),
        row(*["---"] * 5),
    ]
    longest: list[str] = []
    for side in sides:
        found = kernels(engine(work, side).train, steps)
        if not found:
            lines.append(row(side, "the profiler saw no kernel", "", "", ""))
            continue
        empty, unused, at_once = idle(found, multiprocessors)
        lines.append(
            row(side, len(found) // steps, f"{empty:.0%}", f"{unused:.0%}", f"{at_once:.2f}")
        )
        total, spent = sum(kernel["time"] for kernel in found), Counter()
        for kernel in found:
            spent[kernel["name"]] += kernel["time"]
        longest += [
            row(side, f"{time / total:.1%}", f"`{name[:90]}`")
            for name, time in spent.most_common(8)
        ]
        gc.collect()
        torch.cuda.empty_cache()
    return [
        *lines,
        "",
        row("side", "share of kernel time", "kernel"),
        row(*["---"] * 3),
        *longest,
    ]


def tests() -> int:
    """Run the tests that need a GPU; print what they say at the end, return their exit status."""
    files = [path for path in (ROOT / "tests").rglob("test_*.py") if "mark.gpu" in path.read_text()]
    # Named one by one, so that no other test's packages are needed on the GPU machine.
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-m", "gpu", *map(str, sorted(files))],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    said = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR", "E "))]
    print("\n".join(f"    {line}" for line in [*said, *done.stdout.splitlines()[-1:]]), flush=True)
    return done.returncode


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of a side in a round")
    parser.add_argument("--batches", type=int, nargs="+", default=BATCHES)
    parser.add_argument("--chunks", type=int, nargs="*", default=CHUNKS, help="of the wavefront")
    parser.add_argument("--no-tests", action="store_true")
    parser.add_argument("--quick", action="store_true", help="a look: one short round")
    args = parser.parse_args()
    if args.quick:
        args.rounds, args.seconds = 1, 0.5
    return args


def main() -> int:
    """Measure, if there is a GPU; the exit status is that of the tests."""
    args = options()
    if not torch.cuda.is_available():
        print("torch finds no CUDA device: nothing of the GPU engine was measured")
        return 0
    name, cudnn = torch.cuda.get_device_name(), torch.backends.cudnn.version()
    print(f"{name}, torch {torch.__version__}, cuDNN {cudnn}, {args.rounds} rounds\n", flush=True)
    status = 0
    if not args.no_tests:
        print("## Tests\n")
        status = tests()
    sides = ["eager", "graph", *(f"wavefront {chunk}" for chunk in args.chunks)]
    print(f"\n## Tokens a second, full size, windows of {LENGTH}, bf16\n")
    print(
        "| batch | side | tokens/s, median (range) | faster than eager by | of the roof "
        "| minutes an hg38 epoch | GiB reserved |"
    )
    print(row(*["---"] * 7))
    for batch in args.batches:
        print("\n".join(rates(batch, sides, args)), flush=True)
    print(f"\n## Where the time goes, batch {args.batches[0]}\n")
    few = ["eager", "graph", *sides[2:3]]
    print("\n".join(profile(args.batches[0], few, 3)))
    return status


if __name__ == "__main__":
    sys.exit(main())
