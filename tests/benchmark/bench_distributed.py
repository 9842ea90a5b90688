"""What several processes gain over one, as pretraining shares out its streams.

Run with ``python tests/benchmark/bench_distributed.py``. The sides take turns within a round: one
process with one thread, one process with as many threads as there are processes, and the processes
with one thread each; where torch finds several GPUs, one of them against all. All train on the
same number of streams together. The table gives tokens a second of wall time as the median over
the rounds with the lowest and the highest, and the medians of the ratios within a round.
"""

import argparse
import os
import statistics
import sys
import time
from pathlib import Path
from types import SimpleNamespace

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1] / "workflow" / "scripts"), str(HERE)]

import torch
from bench_training import Ours, shown
from dflm.training.distributed import World
from dflm.training.launch import run_together
from dflm.training.step import LanguageModelStep
from workload import ALPHA, BETA, wait, workload

LENGTH = 70


class Together(Ours):
    """Steps of a process that has its share of the streams."""

    def __init__(self, work: dict, world: World) -> None:
        first, end = world.share(work["batch"])
        super().__init__({**work, "batch": end - first})
        penalties = SimpleNamespace(ar_alpha=ALPHA, tar_beta=BETA)
        self.step = LanguageModelStep(self.model, penalties, self.step.args, self.device, world)


def seconds_of(engine: Ours | None, steps: int, threads: int, world: World) -> float:
    """Seconds that the steps take this process; without an engine it waits for the others."""
    torch.set_num_threads(threads)
    world.barrier()
    start = time.perf_counter()
    if engine is not None:
        for _ in range(steps):
            engine.train()
        wait(engine.device.type)
    taken = time.perf_counter() - start
    world.barrier()
    return taken


def measure(works, rounds, seconds, gpu, threads, world):
    """Print a row of the table for each workload; called in each process."""
    for work in works:
        label = work.pop("label")
        together = Together(work, world)
        alone = Ours(work) if world.leads else None
        sides = {"1": (alone, 1), "many": (together, 1)}
        if not gpu:
            sides["threads"] = (alone, world.size)
        steps, rates = {}, {name: [] for name in sides}
        for name, side in sides.items():
            seconds_of(side[0], 1, side[1], world)  # allocates
            one = seconds_of(side[0], 1, side[1], world)
            steps[name] = world.broadcast(max(1, round(seconds / one)))
        for _ in range(rounds):
            for name, side in sides.items():
                taken = seconds_of(side[0], steps[name], side[1], world)
                rates[name].append(work["batch"] * work["length"] * steps[name] / taken)
        if world.leads:
            cells = [shown(rates[name]) for name in ("1", "threads", "many") if name in rates]
            for name in ("1", "threads"):
                if name in rates:
                    pairs = zip(rates["many"], rates[name], strict=True)
                    cells.append(f"{statistics.median(a / b for a, b in pairs):.2f}")
            print(f"| {label} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    gpus = torch.cuda.device_count()
    gpu = gpus if gpus > 1 else 0
    parser.add_argument("--processes", type=int, default=gpu or 2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--sizes", nargs="*", default=["small", "full"])
    parser.add_argument("--quick", action="store_true", help="a look: one short round")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds, options.sizes = 1, 0.3, ["small"]
    count, device = options.processes, "cuda" if gpu else "cpu"
    batches = {"small": (1280, 5120), "full": (640, 2560)} if gpu else {"small": (32, 128)}
    batches = {"full": (16,), **batches}
    works = [
        workload(size, batch, LENGTH, device, bool(gpu)) | {"label": f"{size}, batch {batch}"}
        for size in options.sizes
        for batch in batches[size]
    ]
    if gpu:
        print(f"| | one GPU | {count} GPUs | ratio |\n| --- | --- | --- | --- |")
    else:
        print(
            f"| | 1 process, 1 thread | 1 process, {count} threads "
            f"| {count} processes, 1 thread each | over the first | over the second |\n"
            "| --- | --- | --- | --- | --- | --- |"
        )
    sys.stdout.flush()
    # The processes find this file there.
    os.environ["PYTHONPATH"] = str(HERE)
    arguments = {"works": works, "rounds": options.rounds, "seconds": options.seconds}
    place = {"gpu": gpu and count, "processes": count, "nodes": 1, "threads": count}
    run_together("bench_distributed:measure", {**arguments, **place})


if __name__ == "__main__":
    main()
