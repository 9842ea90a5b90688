"""Which LSTM kernel is the faster one on a CPU: what the rule of dflm.model.recurrence stands on.

A layer as wide as its input over a window, forward and backward, by torch's kernel (oneDNN)
and by the time loop, in either precision; and forward alone, as for predictions. All take turns
within a round; one thread, CPU time. The rule takes the loop where the last column but one is
above 1. Run with
`PYTHONPATH=workflow/scripts python tests/benchmark/bench_recurrence.py`.
"""

import argparse
import statistics
from collections.abc import Callable

import torch
from dflm.model import recurrence
from dflm.training.device import lower_precision, pick_device
from torch import _VF, Tensor
from workload import Pace

HALF = torch.bfloat16


def onednn(x: Tensor, state: tuple[Tensor, Tensor], weights: list[Tensor], half: bool) -> Tensor:
    with torch.autocast("cpu", HALF, enabled=half, cache_enabled=False):
        return _VF.lstm(x, state, weights, True, 1, 0.0, torch.is_grad_enabled(), False, False)[0]


def loop(x: Tensor, state: tuple[Tensor, Tensor], weights: list[Tensor], half: bool) -> Tensor:
    return recurrence.time_loop(x, state, weights, HALF if half else torch.float32)[0]


def layer(
    kernel: Callable, width: int, batch: int, length: int, half: bool, training: bool
) -> Pace:
    """Return the pace of a kernel on a layer of that width."""
    torch.manual_seed(1)
    x = torch.randn(length, batch, width, requires_grad=training)
    state = torch.zeros(1, batch, width), torch.zeros(1, batch, width)
    shapes = [(4 * width, width)] * 2 + [(4 * width,)] * 2
    weights = [
        torch.empty(shape).uniform_(-(width**-0.5), width**-0.5).requires_grad_(training)
        for shape in shapes
    ]
    towards = torch.randn(length, batch, width)

    def step() -> None:
        with torch.set_grad_enabled(training):
            output = kernel(x, state, weights, half)
        if training:
            for tensor in (x, *weights):
                tensor.grad = None
            output.backward(towards.to(output.dtype))

    return Pace(step, length * batch, "cpu")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--precisions", nargs="+", default=["fp32", "bf16"])
    parser.add_argument(
        "--widths", nargs="+", type=int, default=[64, 192, 256, 384, 512, 800, 1150]
    )
    parser.add_argument("--batches", nargs="+", type=int, default=[32, 128, 512])
    parser.add_argument("--length", type=int, default=70, help="tokens of a window")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.2, help="of a kernel in a round")
    parser.add_argument(
        "--no-forward", action="store_true", help="leave the forward pass alone out"
    )
    parser.add_argument("--quick", action="store_true", help="a look: one short round, two widths")
    args = parser.parse_args()
    if args.quick:
        args.widths, args.batches, args.rounds, args.seconds = [192, 800], [32], 1, 0.05
    device = pick_device(0, 1)
    halves = [name == "bf16" for name in args.precisions]
    if not lower_precision(device, "auto"):
        halves = [False]
    print(
        "| pass | precision | width | batch | oneDNN, tokens/s | loop, tokens/s "
        "| loop / oneDNN | taken |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for training in [True] if args.no_forward else [True, False]:
        for half in halves:
            for width in args.widths:
                for batch in args.batches:
                    sides = [
                        layer(kernel, width, batch, args.length, half, training)
                        for kernel in (onednn, loop)
                    ]
                    rates = [
                        [side.rate(args.seconds) for side in sides] for _ in range(args.rounds)
                    ]
                    one, other = map(statistics.median, zip(*rates, strict=True))
                    with torch.autocast("cpu", HALF, enabled=half):
                        taken = recurrence.takes_time_loop(width, batch, training)
                    cells = [
                        "training" if training else "forward",
                        "bf16" if half else "fp32",
                        width,
                        batch,
                        f"{one:,.0f}",
                        f"{other:,.0f}",
                        f"{other / one:.2f}",
                        "loop" if taken else "oneDNN",
                    ]
                    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


if __name__ == "__main__":
    main()
