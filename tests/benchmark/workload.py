"""What all sides of the training benchmark share: the model's sizes, the tokens, the clock.

Imports torch alone, since the peers run in an environment without DFLM's other packages.
"""

import math
import time
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

# The published model's dropouts (output, hidden, input, embedding, weight) times drop_mult 0.5.
DROPOUTS = {"output": 0.125, "hidden": 0.05, "input": 0.1, "embedding": 0.01, "weight": 0.075}
SIZES = {
    "full": {"embedding": 200, "hidden": 800, "layers": 6},
    "small": {"embedding": 64, "hidden": 192, "layers": 2},
}
K = 3
VOCABULARY = 4**K + 1
ALPHA, BETA, CLIP, DECAY = 2.0, 1.0, 0.25, 0.01


def workload(size: str, batch: int, length: int, device: str, bf16: bool, **changes: int) -> dict:
    """Return what an engine is built from; `changes` replace a width or the number of layers."""
    return {
        **SIZES[size],
        **changes,
        "batch": batch,
        "length": length,
        "device": device,
        "bf16": bf16,
        "dropouts": DROPOUTS,
        "learning_rate": 1e-3,
    }


def multiply_adds(work: dict) -> int:
    """Multiply-adds of the LSTM layers for a token's forward pass.

    A layer has four gates, each a product with the input and one with the state before. The
    embedding's look-up has none; the decoder's (0.05 % at full size) are left out.
    """
    inner = [work["hidden"]] * (work["layers"] - 1)
    widths = [work["embedding"], *inner, work["embedding"]]
    return sum(4 * b * (a + b) for a, b in pairwise(widths))


def flop_per_token(work: dict, training: bool) -> int:
    """Floating-point operations of a token: two a multiply-add, and the backward pass is two more
    products of the same size as the forward pass."""
    return multiply_adds(work) * (6 if training else 2)


def windows(work: dict, count: int, seed: int = 1) -> Tensor:
    """Return `count` windows that follow each other in `batch` streams: (count, batch, length + 1).

    Overlapping k-mers of DNA whose next base leans on the base before, so that there is more to
    learn than the overlap. The last token of a window is the first of the next.
    """
    generator = torch.Generator().manual_seed(seed)
    bases = count * work["length"] + K
    codes = torch.randint(4, (work["batch"], bases), generator=generator)
    follow = torch.rand(work["batch"], bases, generator=generator) < 0.3
    for at in range(1, bases):
        codes[:, at] = torch.where(follow[:, at], (codes[:, at - 1] + 1) % 4, codes[:, at])
    grams = codes.unfold(1, K, 1)
    tokens = 1 + (grams * torch.tensor([4**i for i in reversed(range(K))])).sum(-1)
    length = work["length"]
    cut = [tokens[:, i * length : (i + 1) * length + 1] for i in range(count)]
    return torch.stack(cut).to(work["device"])


def wait(device: str) -> None:
    """Let a GPU come to an end."""
    if device == "cuda":
        torch.cuda.synchronize()


def clock(device: str) -> float:
    """Seconds; of CPU time where all work is on one thread, since the machine may be shared."""
    return time.process_time() if is_cpu_time(device) else time.perf_counter()


def is_cpu_time(device: str) -> bool:
    """Whether the clock counts CPU time."""
    return device == "cpu" and torch.get_num_threads() == 1


class Pace:
    """Measures the rate of one kind of step, round by round.

    Parameters
    ----------
    step : callable
        Takes one step, or the number of them that it is given when `many` is set.
    tokens : int
        Tokens of a step.
    device : {"cpu", "cuda"}
    many : bool
    """

    def __init__(
        self, step: Callable[..., object], tokens: int, device: str, many: bool = False
    ) -> None:
        self.step, self.tokens, self.device, self.many = step, tokens, device, many
        step()  # allocates, and draws what is drawn once
        self.one = 0.0
        self.one = self.timed(1)

    def timed(self, steps: int) -> float:
        """Seconds that a number of steps takes."""
        wait(self.device)
        start = clock(self.device)
        if self.many:
            self.step(steps)
        else:
            for _ in range(steps):
                self.step()
        wait(self.device)
        return clock(self.device) - start

    def rate(self, seconds: float) -> float:
        """Tokens per second over about as many seconds, at least one step.

        The number of steps is settled before the clock starts: nothing waits for the GPU between.
        """
        steps = max(1, math.ceil(seconds / self.one))
        taken = self.timed(steps)
        self.one = taken / steps
        return self.tokens * steps / taken
