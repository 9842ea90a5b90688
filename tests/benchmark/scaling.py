"""What the whole published experiment costs, from rates; prints the tables of SCALING.md.

Run with ``python tests/benchmark/scaling.py``; nothing is trained. The rates of a GPU that stand
as defaults are assumptions and not measurements: give measured ones by the options, and put what
is printed into SCALING.md. Host memory and device memory come from `dflm.resources`, sizes and
epochs from the configuration's schema.
"""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import dataclass

from stages import SCRIPTS, language_model, settings

sys.path.insert(0, str(SCRIPTS))

from dflm import resources

HG38 = 3_088_269_832  # bases of chr1 to chr22, X and Y
UNKNOWN = 150_000_000  # of them N
CHR8 = 145_138_636  # held out
SETS = 506
WIDTH = 101
GIB = 2**30


@dataclass(frozen=True)
class Work:
    """Tokens that the experiment reads, by kind of pass.

    A pass without gradients costs a third of one with them; where only the head of a classifier
    learns, the pass is counted as one without.
    """

    pretraining: float
    finetuning: float  # of one set
    classifying: float
    judging: float  # without gradients: validations and both strands of the test file


def work(peaks: int, test: int) -> Work:
    """Count the tokens by the configuration's defaults.

    Parameters
    ----------
    peaks : int
        Training positives of a set, the held-out ones left out.
    test : int
        Rows of its test file.
    """
    chosen = settings()
    tokens = WIDTH - chosen["kmers"]["k"] + 1
    rows = peaks * (1 + chosen["chipseq"]["negatives_per_positive"])
    share = chosen["chipseq"]["validation_fraction"] / (
        1 - chosen["chipseq"]["validation_fraction"]
    )
    layers = chosen["language_model"]["layers"] + 2
    learning = judging = 0.0
    epochs = 0
    for stage in chosen["classifier"]["stages"]:
        epochs += stage["epochs"]
        passed = rows * tokens * stage["epochs"]
        groups = layers if stage["unfreeze"] == "all" else stage["unfreeze"]
        # The forward pass goes through all layers, the backward pass through those that learn.
        part = 1 / 3 + 2 / 3 * (groups - 1) / (layers - 1)
        learning += passed * part
    # Classifier validations read both strands.
    judging += share * peaks * tokens * (chosen["finetune"]["epochs"] + 1)
    judging += share * rows * tokens * epochs * 2 + test * tokens * 2
    return Work(
        pretraining=(HG38 - UNKNOWN - CHR8) * chosen["pretrain"]["epochs"],
        finetuning=peaks * tokens * chosen["finetune"]["epochs"],
        classifying=learning,
        judging=judging,
    )


def hours(work: Work, gpus: int, args: argparse.Namespace) -> dict[str, float]:
    """Return hours on the wall of each part on that many devices, and device hours in all.

    Pretraining by data-parallel processes keeps the global batch, so a device's part of it, and
    with it its rate, falls: rate(b) = r b / (b + h), where h is the batch at half the rate r.
    The gradients are exchanged once a step.
    """
    model, chosen = language_model(), settings()["pretrain"]
    batch = chosen["batch_size"] * args.batch_factor
    used = min(gpus, batch)
    share = batch / used
    rate = args.train_rate * (1 + args.half_batch / chosen["batch_size"])
    window = share * chosen["bptt"] / (rate * share / (share + args.half_batch))
    size = 4 * resources.parameters(model)
    if used > 1:
        window += 2 * (used - 1) / used * size / (args.exchange * 1e9) + args.latency * 1e-6
    steps = work.pretraining / (batch * chosen["bptt"])
    judged = settings()["pretrain"]["validation_tokens"] * chosen["validations_per_epoch"]
    pretraining = steps * window + judged / args.infer_rate
    one_set = args.fixed + (work.finetuning + work.classifying) / args.set_rate
    one_set += work.judging / args.infer_rate
    slots = gpus * args.packed
    # Packed sets share the device: its rate is theirs together, the fixed costs overlap.
    lasting = (
        one_set
        if args.packed == 1
        else max(args.fixed + (one_set - args.fixed) * args.packed / args.packed_gain, one_set)
    )
    sets = math.ceil(SETS / slots) * lasting
    return {
        "pretraining": pretraining / 3600,
        "sets": sets / 3600,
        "wall": (pretraining + sets) / 3600,
        "device": (pretraining * used + sets * gpus) / 3600,
        "one set": one_set / 60,
    }


def parser() -> argparse.ArgumentParser:
    """Return the options; the defaults of the rates are assumptions."""
    made = argparse.ArgumentParser(description=__doc__)
    add = made.add_argument
    add("--train-rate", type=float, default=2.0e6, help="tokens/s, full size, batch 640 (assumed)")
    add("--set-rate", type=float, default=1.5e6, help="tokens/s of a set's training (assumed)")
    add("--infer-rate", type=float, default=6.0e6, help="tokens/s without gradients (assumed)")
    add("--half-batch", type=float, default=300, help="streams at half the best rate (assumed)")
    add("--exchange", type=float, default=100, help="GB/s of all-reduce between GPUs (assumed)")
    add("--latency", type=float, default=50, help="microseconds of an all-reduce (assumed)")
    add("--fixed", type=float, default=20, help="seconds of a set's jobs that no rate shortens")
    add("--packed", type=int, default=1, help="sets at once on a GPU")
    add("--packed-gain", type=float, default=1.0, help="rate of those together over that of one")
    add("--batch-factor", type=int, default=1, help="times the configured pretraining batch")
    add("--cpu-rate", type=float, default=None, help="tokens/s of full-size training on a CPU core")
    add("--peaks", type=int, default=20_000, help="training positives of a set (2 M tokens)")
    add("--test", type=int, default=1000, help="rows of a set's test file")
    add("--gpus", type=int, nargs="+", default=[1, 8, 64])
    return made


def main() -> None:
    args = parser().parse_args()
    total = work(args.peaks, args.test)
    one = total.finetuning + total.classifying
    print(f"tokens: {total.pretraining:.3g} of pretraining; a set's: {total.finetuning:.3g} of ")
    print(f"fine-tuning, {total.classifying:.3g} of classifying (as full passes), ")
    print(f"{total.judging:.3g} without gradients; {SETS} sets: {SETS * one:.3g}\n")
    print("| GPUs | pretraining | all sets | wall time | GPU hours | sequential part | gain |")
    print("|---|---|---|---|---|---|---|")
    base = hours(total, 1, args)["wall"]
    for gpus in args.gpus:
        found = hours(total, gpus, args)
        print(
            f"| {gpus} | {found['pretraining']:.2f} h | {found['sets']:.2f} h | "
            f"{found['wall']:.2f} h | {found['device']:.1f} | "
            f"{found['pretraining'] / found['wall']:.0%} | {base / found['wall']:.1f} |"
        )
    if args.cpu_rate:
        cpu = (total.pretraining + SETS * one) / args.cpu_rate
        print(f"\non one CPU core at {args.cpu_rate:.3g} tokens/s: {cpu / 3600:,.0f} core hours")
    print_space(args)


def print_space(args: argparse.Namespace) -> None:
    """Print memory and disk."""
    model, chosen = language_model(), settings()
    batch, bptt = chosen["pretrain"]["batch_size"], chosen["pretrain"]["bptt"]
    fine, head = chosen["finetune"]["batch_size"], chosen["classifier"]["batch_size"]
    rows = 2 * args.peaks + args.test
    shape = model | {"detectors": chosen["classifier"]["head"]["detectors"]}
    once = chosen["predict"]["batch_size"]
    predicting = resources.predicting_on_device(shape, once, WIDTH)
    print("\n| stage | host memory asked for | device memory |")
    print("|---|---|---|")
    table = [
        (
            "pretraining",
            resources.pretraining(model, batch, bptt, HG38),
            resources.on_device(model, batch * bptt, HG38),
        ),
        (
            "fine-tuning",
            resources.finetuning(model, fine, rows, WIDTH),
            resources.on_device(model, fine * WIDTH),
        ),
        (
            "classifying",
            resources.classifying(shape, head, rows, WIDTH),
            # Its validation reads as many rows at once as a prediction.
            max(resources.on_device(shape, head * WIDTH), predicting),
        ),
        ("predicting", resources.predicting(shape, once, rows, WIDTH), predicting),
    ]
    for name, host, device in table:
        print(f"| {name} | {host / GIB:.1f} GiB | {device / GIB:.1f} GiB |")
    weights = 4 * resources.parameters(model)
    print(f"\nweights of a model: {weights / 1e6:.0f} MB; a checkpoint: {3 * weights / 1e6:.0f} MB")
    print(f"two models of each of {SETS} sets and their tables: ", end="")
    print(f"{SETS * (2 * weights + 60 * rows) / 1e9:.0f} GB")


if __name__ == "__main__":
    main()
