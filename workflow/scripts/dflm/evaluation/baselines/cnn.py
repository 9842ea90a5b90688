"""The convolutional baseline: trained on the split of a set, applied to its test file."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from sklearn.metrics import roc_auc_score

from dflm.errors import InputError
from dflm.evaluation.baselines.convolution import ConvolutionalNetwork, Shape
from dflm.evaluation.baselines.tables import read_labelled, write_predictions
from dflm.files import atomic_path, sha256_of, write_json
from dflm.logs import progress
from dflm.model.files import FORMAT_VERSION, read_card
from dflm.sequences.splits import read_split
from dflm.software import made_by
from dflm.training.arguments import OptimizerArgs
from dflm.training.batches import SequenceBatches
from dflm.training.best import BestWeights
from dflm.training.checkpoint import Checkpoint
from dflm.training.device import autocast, pick_device, told_of
from dflm.training.history import History
from dflm.training.optim import adamw, clip_gradients

log = logging.getLogger(__name__)
CNN = "dflm-cnn"


@dataclass(frozen=True, kw_only=True)
class CnnArgs(OptimizerArgs):
    """How a convolutional network is trained.

    Parameters
    ----------
    batch_size, weight_decay, clip, momentum, pct_start, div, final_div, precision
        See `OptimizerArgs`; the training is one cycle.
    widths : list of int >= 1
    filters, hidden : int >= 1
        See `dflm.evaluation.baselines.convolution.Shape`.
    dropout, hidden_dropout : float in [0, 1)
        Of the pooled detectors and of the hidden layer.
    epochs : int >= 1
    learning_rate : float > 0
        The peak of the cycle.
    patience : int >= 1 or None
        Epochs without a better validation AUROC that end the training.
    fresh_negatives : bool
        Draw the shuffles of the training part anew every epoch.
    """

    widths: list[int]
    filters: int
    hidden: int
    dropout: float
    hidden_dropout: float
    epochs: int
    learning_rate: float
    patience: int | None
    fresh_negatives: bool

    def __post_init__(self) -> None:
        self.require("cnn", batch_size=2, epochs=1)  # batch norm cannot learn from one
        for name in ("dropout", "hidden_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"cnn.{name} is {getattr(self, name)}", mend="0 or more, below 1")
        if self.learning_rate <= 0:
            raise InputError(f"cnn.learning_rate is {self.learning_rate}", mend="above 0")
        if self.patience is not None:
            self.require("cnn", patience=1)
        _ = self.shape, self.one_cycle

    @property
    def shape(self) -> Shape:
        """What shapes the weights."""
        return Shape(tuple(self.widths), self.filters, self.hidden)


class _Training:
    """One network's training: data, position and the best weights so far."""

    def __init__(
        self,
        model: ConvolutionalNetwork,
        args: CnnArgs,
        train: SequenceBatches,
        validation: SequenceBatches,
        seed: int,
        history: History,
        fresh_negatives: bool,
    ) -> None:
        self.model, self.args, self.seed, self.history = model, args, seed, history
        self.fresh_negatives = fresh_negatives
        self.train, self.validation = train, validation
        self.optimizer = adamw([(model, args.learning_rate)], args.weight_decay)
        self.epoch, self.best = 0, BestWeights(args.patience)

    def run_epoch(self) -> None:
        """Pass once over the training set, validate, and keep the weights if they are the best."""
        args = self.args
        steps = -(-len(self.train) // args.batch_size)
        if self.fresh_negatives:
            self.train.shuffle_negatives((self.seed, self.epoch))
        batches = self.train.shuffled(args.batch_size, False, (self.seed, self.epoch))
        loss_sum, seen = torch.zeros((), device=self.train.device), 0
        self.model.train()
        desc = f"epoch {self.epoch + 1}/{args.epochs}"
        for i, (tokens, labels) in enumerate(progress(batches, total=steps, desc=desc)):
            with autocast(self.train.device, args.precision):
                scores = self.model(tokens)
            loss = torch.nn.functional.binary_cross_entropy_with_logits(
                scores.float(), labels.float()
            )
            self.optimizer.zero_grad()
            loss.backward()
            clip_gradients(list(self.model.parameters()), args.clip)
            args.one_cycle.apply(self.optimizer, (self.epoch + i / steps) / args.epochs)
            self.optimizer.step()
            loss_sum += loss.detach() * len(labels)
            seen += len(labels)
        self.epoch += 1
        self.validate(float(loss_sum) / max(1, seen))

    def validate(self, train_loss: float) -> None:
        """Score the validation part and record it."""
        labels = self.validation.labels.cpu().numpy()
        probability = _probabilities(
            self.model, self.validation, 2 * self.args.batch_size, self.args.precision
        )
        clipped = np.clip(probability, 1e-7, 1 - 1e-7)
        event = {
            "event": "validation",
            "epoch": self.epoch,
            "train_loss": train_loss,
            "loss": float(-np.log(np.where(labels == 1, clipped, 1 - clipped)).mean()),
            "learning_rate": self.args.learning_rate,
        }
        finite = np.isfinite(probability).all()
        event["auroc"] = float(roc_auc_score(labels, probability)) if finite else float("nan")
        self.history.add(event)
        self.best.observe(self.model, {name: event[name] for name in ("auroc", "loss", "epoch")})

    def state_dict(self) -> dict:
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "epoch": self.epoch,
            "best": self.best.state_dict(),
            "history": self.history.events,
        }

    def load_state_dict(self, state: dict) -> None:
        self.epoch = state["epoch"]
        self.best.load_state_dict(state["best"])
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.history.restore(state["history"])

    def run(self, checkpoint: Checkpoint) -> None:
        """Train to the end, from wherever the run stands, and load the best weights."""
        while self.epoch < self.args.epochs and not self.best.out_of_patience:
            self.run_epoch()
            checkpoint.save(self.state_dict())
        if self.epoch < self.args.epochs:
            log.info("stopped early: no better validation AUROC in %d epochs", self.best.waited)
        self.model.load_state_dict(self.best.weights)


@torch.no_grad()
def _probabilities(
    model: ConvolutionalNetwork, batches: SequenceBatches, batch_size: int, precision: str
) -> np.ndarray:
    """Return the probability of being bound, shape (N,) float64, of sequences in file order."""
    model.eval()
    parts = []
    for tokens in batches.ordered(batch_size, 0):
        with autocast(batches.device, precision):
            scores = model(tokens)
        parts.append(scores.float().sigmoid().cpu())
    return torch.cat(parts).double().numpy()


def train_cnn(
    *,
    train: Path,
    validation: Path,
    weights: Path,
    card: Path,
    history: Path,
    checkpoint: Path,
    args: dict,
    negatives: str,
    seed: int,
    gpu: int,
    threads: int,
    gpu_share: int | None = None,
) -> None:
    """Train the convolutional network of one set.

    Parameters
    ----------
    train, validation : Path
        Split files of the set. Validation chooses the epoch whose weights are kept.
    weights, card, history : Path
        Files to write: safetensors, JSON, and a line of JSON for each validation.
    checkpoint : Path
        Where the state is kept while the training runs.
    args : dict
        See `CnnArgs`.
    negatives : str
        What the set's negatives are, by its statistics; only "shuffle" can be drawn anew.
    seed : int >= 0
    gpu, threads, gpu_share : int
        What the job was given, see `dflm.training.device.pick_device`.

    Raises
    ------
    InputError
        If a setting or a split file is wrong, or a part lacks one of the two labels.
    """
    run_args = CnnArgs(**args)
    device = pick_device(gpu, threads, gpu_share)
    torch.manual_seed(seed)
    model = ConvolutionalNetwork(run_args.shape, run_args.dropout, run_args.hidden_dropout)
    parts = [SequenceBatches(*read_labelled(path), 1, 1, device) for path in (train, validation)]
    log.info("%d training and %d validation sequences", *map(len, parts))
    fresh = run_args.fresh_negatives and negatives == "shuffle"
    run = _Training(model.to(device), run_args, *parts, seed, History(history), fresh)
    provenance = {
        "cnn": asdict(run_args),
        "negatives": negatives,
        "seed": seed,
        "train_sha256": sha256_of(train),
        "validation_sha256": sha256_of(validation),
    }
    # The layout of a state, so that one of another is not taken for this.
    where = told_of(device, run_args.precision)
    saved = Checkpoint(checkpoint, {**provenance, "layout": 2}, where=where)
    if (state := saved.load()) is not None:
        run.load_state_dict(state)
    run.run(saved)
    state = {name: tensor.cpu().contiguous() for name, tensor in run.best.weights.items()}
    with atomic_path(weights) as partial:
        partial.write_bytes(save(state))
    write_json(
        card,
        {
            "format": CNN,
            "format_version": FORMAT_VERSION,
            "architecture": asdict(run_args.shape),
            "training": {"stage": "cnn", **provenance},
            "metrics": {
                "validation_auroc": run.best.found["auroc"],
                "validation_loss": run.best.found["loss"],
                "best_epoch": run.best.found["epoch"],
                "epochs_run": run.epoch,
                **saved.told,
            },
            "sha256": sha256_of(weights),
            "torch_version": torch.__version__,
            **made_by(),
        },
    )
    saved.remove()


def load_cnn(weights: Path, card: Path) -> ConvolutionalNetwork:
    """Load a convolutional network for inference, in evaluation mode.

    Parameters
    ----------
    weights, card : Path
        What `train_cnn` wrote.

    Raises
    ------
    InputError
        If card and weights do not fit each other or are no such network.
    """
    content = read_card(card, CNN)
    try:
        if content["sha256"] != sha256_of(weights):
            raise ValueError("its checksum is not the one in the card")
        told = content["architecture"]
        shape = Shape(tuple(told["widths"]), told["filters"], told["hidden"])
        state = load_file(weights)
        # Before memory is taken for them.
        if shape.largest > (there := sum(one.numel() for one in state.values())):
            raise ValueError(f"the card asks for {shape.largest} weights, and there are {there}")
        if not all(torch.isfinite(one).all() for one in state.values()):
            raise ValueError("a weight is not finite")
        model = ConvolutionalNetwork(shape, 0.0, 0.0)
        model.load_state_dict(state)
    except FileNotFoundError:
        raise InputError("there is no such file", weights) from None
    except (KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        raise InputError(
            f"not the network of {card} ({error})", weights, "copy both files again"
        ) from None
    return model.eval()


def predict_cnn(
    *,
    weights: Path,
    card: Path,
    sequences: Path,
    predictions: Path,
    batch_size: int,
    precision: str,
    gpu: int,
    threads: int,
) -> None:
    """Predict the sequences of a split file with a convolutional network.

    Parameters
    ----------
    weights, card : Path
        What `train_cnn` wrote.
    sequences : Path
        A split file: name, sequence, label.
    predictions : Path
        TSV to write, see `write_predictions`; the network reads both strands at once.
    batch_size : int >= 1
    precision : {"auto", "fp32", "bf16"}
    gpu, threads : int
        What the job was given.

    Raises
    ------
    InputError
        If a file is wrong or holds no sequence.
    """
    device = pick_device(gpu, threads)
    model = load_cnn(weights, card).to(device)
    names, bases, labels = read_split(sequences)
    if not names:
        raise InputError("holds no sequences to predict", sequences)
    batches = SequenceBatches(bases, labels, 1, 1, device)
    write_predictions(
        predictions, names, labels, _probabilities(model, batches, batch_size, precision)
    )
