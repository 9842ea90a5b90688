"""The pretraining loop: windows, steps, validations and checkpoints."""

import logging
import time
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from dflm.errors import InputError
from dflm.logs import progress
from dflm.model.language_model import LanguageModel, State
from dflm.phases import Phases
from dflm.training.arguments import LanguageModelArgs, OptimizerArgs
from dflm.training.checkpoint import Checkpoint, end_on_request, stop_request
from dflm.training.distributed import World
from dflm.training.history import History
from dflm.training.optim import NTASGD, adamw
from dflm.training.shares import SharedStream
from dflm.training.step import LanguageModelStep
from dflm.training.validation import validate_stream

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class PretrainArgs(OptimizerArgs):
    """How the language model is pretrained.

    Parameters
    ----------
    batch_size, weight_decay, clip, momentum, pct_start, div, final_div, precision
        See `OptimizerArgs`; a batch is that many parallel streams, and nt-asgd has no cycle.
    epochs : int >= 1
        Passes over the training contigs.
    bptt : int >= 5
        Tokens of a window.
    variable_bptt : bool
        Draw the length of each window around `bptt`, and scale the learning rate with it.
    optimizer : {"adamw", "nt-asgd"}
        AdamW with a one-cycle schedule, or SGD that averages once it stops gaining.
    learning_rate : float > 0
        Peak rate (adamw) or constant rate (nt-asgd).
    nonmono : int >= 1
        See `dflm.training.optim.NTASGD`; not used by adamw.
    validations_per_epoch : int >= 1
    validation_tokens : int >= 1
        Most tokens of the held-out contigs that a validation reads.
    checkpoint_minutes : float >= 0
        Time between two checkpoints.
    """

    epochs: int
    bptt: int
    variable_bptt: bool
    optimizer: str
    learning_rate: float
    nonmono: int
    validations_per_epoch: int
    validation_tokens: int
    checkpoint_minutes: float

    def __post_init__(self) -> None:
        if self.optimizer not in ("adamw", "nt-asgd"):
            raise InputError(f"optimizer is {self.optimizer!r}; allowed are adamw and nt-asgd")
        self.require(
            "pretrain",
            epochs=1,
            batch_size=1,
            bptt=5,
            validations_per_epoch=1,
            validation_tokens=1,
        )


@dataclass
class _Position:
    """Where a pretraining stands."""

    epoch: int = 0
    window: int = 0  # next window of the epoch
    done: int = 0  # tokens of a stream read over all epochs
    steps: int = 0
    hidden: State | None = None
    loss: Tensor = field(default_factory=lambda: torch.zeros(()))  # since the last validation
    count: Tensor = field(default_factory=lambda: torch.zeros((), dtype=torch.int64))


class Pretraining:
    """One pretraining run: model, optimiser, streams and position.

    Parameters
    ----------
    model : LanguageModel
        In training mode, on the device that the streams are on.
    language_model : LanguageModelArgs
    args : PretrainArgs
    train, validation : SharedStream
    seed : int >= 0
        Draws the windows' lengths.
    history : History
    world : World
        The processes that train together; they call each method together.
    phases : Phases
        Gets the time of ``training``, ``validation`` and ``writing``.
    """

    def __init__(
        self,
        model: LanguageModel,
        language_model: LanguageModelArgs,
        args: PretrainArgs,
        train: SharedStream,
        validation: SharedStream,
        seed: int,
        history: History,
        world: World,
        phases: Phases,
    ) -> None:
        if train.streams < world.size:
            raise InputError(
                f"{train.streams} streams are too few for {world.size} processes",
                "pretrain.batch_size",
                "train with fewer GPUs or processes, or on a larger batch",
            )
        self.model, self.args, self.world, self.phases = model, args, world, phases
        self.train, self.validation, self.seed, self.history = train, validation, seed, history
        self.device = train.here.device
        together = world if world.size > 1 else None
        self.gradients = LanguageModelStep(model, language_model, args, self.device, together)
        self.averaged: NTASGD | None = None
        if args.optimizer == "nt-asgd":
            self.averaged = NTASGD(
                self.gradients.parameters, args.learning_rate, args.weight_decay, args.nonmono
            )
        else:
            self.adamw = adamw([(model, args.learning_rate)], args.weight_decay)
        self.at = _Position()
        self.at.loss, self.at.count = self.at.loss.to(self.device), self.at.count.to(self.device)

    def windows(self) -> list[tuple[int, int]]:
        rng = np.random.default_rng((self.seed, self.at.epoch))
        return self.train.windows(rng if self.args.variable_bptt else None)

    def step(self, start: int, length: int) -> None:
        """Learn from one window."""
        args, at = self.args, self.at
        scale = length / args.bptt if args.variable_bptt else 1.0
        tokens, targets = self.train.here.window(start, length)
        at.hidden, summed, count = self.gradients(tokens, targets, at.hidden)
        if self.averaged is not None:
            self.averaged.step(scale)
        else:
            args.one_cycle.apply(self.adamw, at.done / (self.train.length * args.epochs))
            for group in self.adamw.param_groups:
                group["lr"] *= scale
            self.adamw.step()
        at.loss += summed
        at.count += count
        at.done += length
        at.steps += 1

    def validate(self) -> dict:
        """Validate, with the averaged weights once there are any, and record it."""
        with self.phases("training"):  # a GPU may still be at it
            sums = torch.stack([self.at.loss.double(), self.at.count])
            loss, count = self.world.sum(sums).tolist()
        if self.averaged is not None:
            self.averaged.swap_average()
        with self.phases("validation"):
            score = validate_stream(
                self.model,
                self.validation,
                self.args.validation_tokens,
                self.args.precision,
                self.world,
            )
        if self.averaged is not None:
            self.averaged.swap_average()
        event = {
            "event": "validation",
            "epoch": self.at.done / self.train.length,
            "step": self.at.steps,
            "train_loss": loss / max(1.0, count),
            **score,
        }
        if self.averaged is not None:
            event["learning_rate"] = self.args.learning_rate
            event["averaging_begins"] = self.averaged.observe(score["loss"])
        else:
            event["learning_rate"] = self.adamw.param_groups[0]["lr"]
        if self.world.leads:
            self.history.add(event)
        self.at.loss.zero_()
        self.at.count.zero_()
        return score

    def state_dict(self) -> dict:
        """Return what `load_state_dict` needs to go on, with any number of processes."""
        at, optimizer = self.at, self.averaged if self.averaged is not None else self.adamw
        hidden = None if at.hidden is None else [(h.cpu(), c.cpu()) for h, c in at.hidden]
        shares = self.world.gather((hidden, at.loss.cpu(), at.count.cpu()))
        position = {**vars(at), **_joined(shares)} if self.world.leads else None
        return {
            "model": self.model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "position": position,
            "history": self.history.events,
            "seconds": self.phases.as_dict(),
        }

    def load_state_dict(self, state: dict) -> None:
        self.model.load_state_dict(state["model"])
        optimizer = self.averaged if self.averaged is not None else self.adamw
        optimizer.load_state_dict(state["optimizer"])
        self.at = at = _Position(**state["position"])
        if at.hidden is not None:
            mine = slice(*self.world.share(self.train.streams))
            at.hidden = [
                tuple(part[:, mine].contiguous().to(self.device) for part in layer)
                for layer in at.hidden
            ]
        at.loss, at.count = (self._own(sums).to(self.device) for sums in (at.loss, at.count))
        if self.world.leads:
            self.history.restore(state["history"])
            self.phases.add(state["seconds"])

    def _own(self, sums: Tensor) -> Tensor:
        """Return this process's part of sums that each process of another run had its part of."""
        if sums.numel() == self.world.size:
            return sums[self.world.rank].clone()
        return sums.sum() if self.world.leads else torch.zeros_like(sums[0])

    def run(self, checkpoint: Checkpoint) -> dict:
        """Train to the end, from wherever the position is; return the last validation."""
        args = self.args
        with stop_request() as stop:
            saved, score = time.monotonic(), {}
            while self.at.epoch < args.epochs:
                windows = self.windows()
                shares = np.arange(1, args.validations_per_epoch + 1) / args.validations_per_epoch
                ends = set(np.maximum(1, np.round(len(windows) * shares)).astype(int).tolist())
                pace = _Pace(self.train.streams)
                left = windows[self.at.window :]
                if self.world.leads:
                    left = progress(left, len(left), f"epoch {self.at.epoch + 1}/{args.epochs}")
                for start, length in left:
                    with self.phases("training"):
                        self.step(start, length)
                    self.at.window += 1
                    pace.count(length)
                    if self.at.window in ends:
                        score = self.validate()
                        pace.report()
                    due = time.monotonic() - saved > 60 * args.checkpoint_minutes
                    # All processes stop after the same step, whichever of them got the signal;
                    # 1 is no signal that a process can catch and go on from.
                    asked = self.world.largest(stop.signal or int(due and self.world.leads))
                    if asked:
                        with self.phases("writing"):
                            checkpoint.save(self.state_dict())
                        saved = time.monotonic()
                    if asked > 1:
                        stop.signal = asked
                        end_on_request(stop, checkpoint.path)
                self.at.epoch, self.at.window, self.at.hidden = self.at.epoch + 1, 0, None
        if self.averaged is not None:
            self.averaged.swap_average()
        last = score or self.world.broadcast(self.history.events[-1:])[0]
        return {name: last[name] for name in _SCORES}


def _joined(shares: list[tuple[State | None, Tensor, Tensor]]) -> dict:
    """Put the processes' shares together: hidden states by stream, sums one by one."""
    states, losses, counts = zip(*shares, strict=True)
    hidden = None
    if states[0] is not None:
        hidden = [
            tuple(torch.cat(parts, dim=1) for parts in zip(*layer, strict=True))
            for layer in zip(*states, strict=True)
        ]
    return {"hidden": hidden, "loss": torch.stack(losses), "count": torch.stack(counts)}


_SCORES = ("loss", "accuracy", "perplexity", "bits_per_base", "tokens")


class _Pace:
    """Tokens a second since the last report, for the log."""

    def __init__(self, batch_size: int) -> None:
        self.batch_size, self.tokens, self.since = batch_size, 0, time.monotonic()

    def count(self, length: int) -> None:
        self.tokens += length * self.batch_size

    def report(self) -> None:
        now = time.monotonic()
        log.info("%.0f tokens/s, validation included", self.tokens / max(now - self.since, 1e-9))
        self.tokens, self.since = 0, now
