"""What each stage takes of memory and what its rule asks for; prints a table for RESULTS.md.

Run with ``python tests/benchmark/bench_memory.py``: minutes on one core, of which ``--full`` (the
published size at small batches) takes most. Each stage is the library's own function in a process
of its own. Snakemake's process, for which the rules ask 300 MB more, is left out on both sides.
With ``--gpu`` the trainings run on the GPU, and their device memory stands beside.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import stages

sys.path.insert(0, str(stages.SCRIPTS))

from dflm import resources

TRAININGS = {"small": (stages.SMALL, (64, 256)), "full": (stages.FULL, (4, 32))}
BATCHES = 4


def rows(full: bool, gpus: int) -> list[tuple[str, Callable, Callable]]:
    """Return name, measurement (of a folder) and declared amount (of the same) of each row."""
    found = []
    for size in ("small", "full") if full else ("small",):
        widths, batches = TRAININGS[size]
        model, classifier = (
            make(**widths) for make in (stages.language_model, stages.classifier_model)
        )
        for batch in batches:
            found.append(
                (
                    f"pretrain_lm, {size}, {batch} x 70",
                    lambda f, m=model, b=batch: stages.pretraining(f, m, b, 70, BATCHES),
                    lambda f, m=model, b=batch: resources.pretraining(
                        m, b, 70, b * 70 * BATCHES, gpus=gpus
                    ),
                )
            )
            for rule, name, shape in (
                ("finetune_lm", "finetuning", model),
                ("train_classifier", "classifying", classifier),
                ("predict", "predicting", classifier),
            ):
                found.append(
                    (
                        f"{rule}, {size}, {batch} x 101",
                        lambda f, m=shape, b=batch, n=name: getattr(stages, n)(
                            f, m, b, b * BATCHES
                        ),
                        lambda f, m=shape, b=batch, n=name: getattr(resources, n)(
                            m, b, b * BATCHES, 101, gpus
                        ),
                    )
                )
    for bases in (10**6, 10**8):
        found.append(
            (
                f"shard_genome, {bases:,} bases",
                lambda f, b=bases: stages.sharding(f, b),
                lambda f: resources.sharding(),
            )
        )
        found.append(
            (
                f"check_leaks, contig of {bases:,}",
                lambda f, b=bases: stages.checking(f, b, 1000),
                lambda f, b=bases: resources.checking(b, 3000, 101),
            )
        )
    for bases, peaks in ((10**7, 2000), (10**8, 20_000)):
        found.append(
            (
                f"split_peaks, {peaks:,} peaks on {bases:,} bases",
                lambda f, b=bases, n=peaks: stages.cutting(f, b, n, "genomic"),
                lambda f, b=bases: resources.splitting_peaks(
                    resources.lines_in(f / "peaks.bed"), 0, b, b - b // 10, 101, 1
                ),
            )
        )
    for peaks in (2000, 20_000):
        found.append(
            (
                f"split_chipseq, {peaks:,} peaks",
                lambda f, n=peaks: stages.splitting(f, n),
                lambda f: resources.splitting(
                    sum((f / f"{part}.seq.gz").stat().st_size for part in ("AC", "B"))
                ),
            )
        )
        found.append(
            (
                f"evaluate, {peaks:,} + 1,000 rows",
                lambda f, n=peaks: stages.evaluating(f, n, 1000),
                lambda f, n=peaks: resources.evaluating(n + 1000, 101),
            )
        )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="the published size too")
    parser.add_argument("--gpu", action="store_true", help="compare with what a GPU job asks for")
    parser.add_argument("--quick", action="store_true", help="a look: the first rows")
    args = parser.parse_args()
    print("| stage | taken | asked for | times | device |\n|---|---|---|---|---|")
    for name, measure, declare in rows(args.full, int(args.gpu))[: 4 if args.quick else None]:
        with tempfile.TemporaryDirectory() as made:
            taken = measure(Path(made))
            asked = declare(Path(made)) - resources.SNAKEMAKE
        peak, device = taken["peak"], taken["device_peak"]
        on_device = f"{device / 1e6:.0f} MB" if device else ""
        print(
            f"| {name} | {peak / 1e6:.0f} MB | {asked / 1e6:.0f} MB | {asked / peak:.2f} "
            f"| {on_device} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
