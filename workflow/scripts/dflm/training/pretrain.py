"""Pretraining of the language model on the genome."""

import logging
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dflm.errors import InputError
from dflm.files import sha256_of, write_json
from dflm.logs import progress
from dflm.model.files import save_model
from dflm.model.language_model import LanguageModel, State
from dflm.model.losses import LanguageModelScore
from dflm.sequences.corpus import Corpus
from dflm.sequences.genome import GenomeIndex
from dflm.training.arguments import LanguageModelArgs, OptimizerArgs
from dflm.training.batches import BPTTStream, on_device
from dflm.training.checkpoint import Checkpoint, end_on_request, stop_request
from dflm.training.device import autocast, lower_precision, pick_device
from dflm.training.history import History
from dflm.training.optim import NTASGD, adamw
from dflm.training.step import LanguageModelStep

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


@torch.no_grad()
def validate_stream(model: LanguageModel, stream: BPTTStream, limit: int, precision: str) -> dict:
    """Score a language model on held-out sequence, from a zero state.

    Parameters
    ----------
    model : LanguageModel
    stream : BPTTStream
        The held-out corpus.
    limit : int >= 1
        Tokens to read at most, rounded up to whole windows.
    precision : {"auto", "fp32", "bf16"}

    Returns
    -------
    dict
        See `dflm.model.losses.LanguageModelScore.as_dict`.
    """
    was_training = model.training
    model.eval()
    score = LanguageModelScore(min(stream.k, stream.stride))
    state, read = None, 0
    for start, length in stream.windows():
        if read >= limit:
            break
        tokens, targets = stream.window(start, length)
        with autocast(stream.device, precision):
            logits, encoded = model(tokens, state)
        score.add(logits, tokens, targets)
        state = encoded.state
        read += tokens.numel()
    model.train(was_training)
    return score.as_dict()


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


class _Pretraining:
    """One pretraining run: model, optimiser, streams and position."""

    def __init__(
        self,
        model: LanguageModel,
        language_model: LanguageModelArgs,
        args: PretrainArgs,
        train: BPTTStream,
        validation: BPTTStream,
        seed: int,
        history: History,
    ) -> None:
        self.model, self.args = model, args
        self.train, self.validation, self.seed, self.history = train, validation, seed, history
        self.device = train.device
        self.gradients = LanguageModelStep(model, language_model, args, self.device)
        self.averaged: NTASGD | None = None
        if args.optimizer == "nt-asgd":
            self.averaged = NTASGD(
                self.gradients.parameters, args.learning_rate, args.weight_decay, args.nonmono
            )
        else:
            self.adamw = adamw([(model, args.learning_rate)], args.weight_decay, self.device)
        self.at = _Position()
        self.at.loss, self.at.count = self.at.loss.to(self.device), self.at.count.to(self.device)

    def windows(self) -> list[tuple[int, int]]:
        rng = np.random.default_rng((self.seed, self.at.epoch))
        return self.train.windows(rng if self.args.variable_bptt else None)

    def step(self, start: int, length: int) -> None:
        """Learn from one window."""
        args, at = self.args, self.at
        scale = length / args.bptt if args.variable_bptt else 1.0
        tokens, targets = self.train.window(start, length)
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
        if self.averaged is not None:
            self.averaged.swap_average()
        score = validate_stream(
            self.model, self.validation, self.args.validation_tokens, self.args.precision
        )
        if self.averaged is not None:
            self.averaged.swap_average()
        event = {
            "event": "validation",
            "epoch": self.at.done / self.train.length,
            "step": self.at.steps,
            "train_loss": float(self.at.loss) / max(1, int(self.at.count)),
            **score,
        }
        if self.averaged is not None:
            event["learning_rate"] = self.args.learning_rate
            event["averaging_begins"] = self.averaged.observe(score["loss"])
        else:
            event["learning_rate"] = self.adamw.param_groups[0]["lr"]
        self.history.add(event)
        self.at.loss.zero_()
        self.at.count.zero_()
        return score

    def state_dict(self) -> dict:
        optimizer = self.averaged if self.averaged is not None else self.adamw
        return {
            "model": self.model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "position": {**vars(self.at)},
            "history": self.history.events,
        }

    def load_state_dict(self, state: dict) -> None:
        self.model.load_state_dict(state["model"])
        optimizer = self.averaged if self.averaged is not None else self.adamw
        optimizer.load_state_dict(state["optimizer"])
        self.at = _Position(**state["position"])
        if self.at.hidden is not None:
            self.at.hidden = [(h.to(self.device), c.to(self.device)) for h, c in self.at.hidden]
        self.at.loss, self.at.count = self.at.loss.to(self.device), self.at.count.to(self.device)
        self.history.events = list(state["history"])
        self.history.write()

    def run(self, checkpoint: Checkpoint) -> dict:
        """Train to the end, from wherever the position is; return the last validation."""
        args = self.args
        with stop_request() as stop:
            saved, score = time.monotonic(), {}
            while self.at.epoch < args.epochs:
                windows = self.windows()
                every = max(1, len(windows) // args.validations_per_epoch)
                pace = _Pace(self.train.batch_size)
                for start, length in progress(
                    windows[self.at.window :],
                    total=len(windows) - self.at.window,
                    desc=f"epoch {self.at.epoch + 1}/{args.epochs}",
                ):
                    self.step(start, length)
                    self.at.window += 1
                    pace.count(length)
                    left = len(windows) - self.at.window
                    if left == 0 or (self.at.window % every == 0 and left >= every):
                        score = self.validate()
                        pace.report()
                    if stop.signal or time.monotonic() - saved > 60 * args.checkpoint_minutes:
                        checkpoint.save(self.state_dict())
                        saved = time.monotonic()
                    if stop.signal:
                        end_on_request(stop, checkpoint.path)
                self.at.epoch, self.at.window, self.at.hidden = self.at.epoch + 1, 0, None
        if self.averaged is not None:
            self.averaged.swap_average()
        return score or {
            name: value for name, value in self.history.events[-1].items() if name in _SCORES
        }


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


def _stream(
    genome: GenomeIndex,
    split: str,
    args: LanguageModelArgs,
    size: PretrainArgs,
    device: torch.device,
) -> BPTTStream:
    codes = on_device(Corpus(genome, split, min_run=args.k), device)
    stream = BPTTStream(codes, args.k, args.stride, size.batch_size, size.bptt)
    log.info("%s: %d tokens in %d streams", split, len(stream), stream.batch_size)
    return stream


def pretrain(
    *,
    index: Path,
    contigs: Path,
    weights: Path,
    card: Path,
    metrics: Path,
    history: Path,
    checkpoint: Path,
    language_model: dict,
    args: dict,
    seed: int,
    gpu: int,
    threads: int,
) -> None:
    """Pretrain a language model on the training contigs of a sharded genome.

    Parameters
    ----------
    index, contigs : Path
        What `dflm.sequences.genome.shard_genome` wrote.
    weights, card, metrics, history : Path
        Files to write: the model, its last validation, and all validations.
    checkpoint : Path
        Where the state is kept while the training runs.
    language_model : dict
        See `LanguageModelArgs`.
    args : dict
        See `PretrainArgs`.
    seed : int >= 0
    gpu, threads : int
        What the job was given.

    Raises
    ------
    InputError
        If an argument is out of range or the genome does not fit its index.
    """
    lm_args, run_args = LanguageModelArgs(**language_model), PretrainArgs(**args)
    genome = GenomeIndex.load(index, contigs)
    device = pick_device(gpu, threads)
    torch.manual_seed(seed)
    model = LanguageModel(lm_args.architecture, lm_args.dropouts).to(device).train()
    log.info("%d parameters", sum(p.numel() for p in model.parameters()))
    run = _Pretraining(
        model,
        lm_args,
        run_args,
        _stream(genome, "train", lm_args, run_args, device),
        _stream(genome, "validation", lm_args, run_args, device),
        seed,
        History(history),
    )
    provenance = {
        "language_model": asdict(lm_args),
        "pretrain": asdict(run_args),
        "seed": seed,
        "genome_index_sha256": sha256_of(index),
    }
    saved = Checkpoint(checkpoint, provenance)
    if (state := saved.load()) is not None:
        run.load_state_dict(state)
    score = run.run(saved)
    result = {
        **score,
        "optimizer": run_args.optimizer,
        "epochs": run_args.epochs,
        "steps": run.at.steps,
        "train_tokens": len(run.train),
        "device": device.type,
        "bf16": lower_precision(device, run_args.precision),
        "averaged": run.averaged is not None and run.averaged.triggered,
    }
    save_model(model, weights, card, training={"stage": "pretrain", **provenance}, metrics=result)
    write_json(metrics, result)
    saved.remove()
