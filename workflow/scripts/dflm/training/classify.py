"""Training of a factor's classifier: gradual unfreezing over a fine-tuned encoder."""

import logging
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from dflm.calibration import calibrate_strands
from dflm.errors import InputError
from dflm.files import sha256_of, write_json
from dflm.logs import progress
from dflm.model.classifier import PoolingClassifier
from dflm.model.files import NO_DROPOUT, load_language_model, save_model
from dflm.model.language_model import AWDLSTM, Architecture, Dropouts
from dflm.phases import Phases
from dflm.predictions import write_predictions
from dflm.scores import auroc
from dflm.sequences.splits import read_split
from dflm.training.arguments import OptimizerArgs
from dflm.training.batches import SequenceBatches
from dflm.training.best import BestWeights
from dflm.training.checkpoint import Checkpoint
from dflm.training.device import autocast, pick_device, told_of
from dflm.training.history import History
from dflm.training.optim import adamw, clip_gradients, discriminative_rates
from dflm.training.predict import strand_probabilities

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stage:
    """One stage of gradual unfreezing.

    Parameters
    ----------
    unfreeze : int >= 1 or "all"
        Layer groups that learn, counted from the head down.
    epochs : int >= 1
    learning_rate : float > 0
        Peak rate of the head.
    """

    unfreeze: int | str
    epochs: int
    learning_rate: float

    def trainable(self, groups: int) -> int:
        """Return how many of `groups` groups learn."""
        return groups if self.unfreeze == "all" else min(int(self.unfreeze), groups)


@dataclass(frozen=True, kw_only=True)
class ClassifierArgs(OptimizerArgs):
    """How a classifier is trained.

    Parameters
    ----------
    batch_size, weight_decay, clip, momentum, pct_start, div, final_div, precision
        See `OptimizerArgs`; a stage is one cycle.
    dropout : dict
        The five probabilities of `dflm.model.language_model.Dropouts`; `output` is that of the
        pooled features.
    drop_mult : float >= 0
        Factor on all of them.
    head : dict
        `hidden`, width of the head's hidden layer, and `dropout`, its dropout; `detectors` and
        `detector_width`, see `dflm.model.classifier.Detectors`; `strand_symmetric`, see
        `dflm.model.classifier.PoolingClassifier`.
    stages : list of dict
        See `Stage`.
    lr_range : float >= 1
        Learning rate of the head over that of the embedding; geometric between.
    patience : int >= 1 or None
        Epochs without a better validation AUROC, all groups learning, that end the training.
    reverse_complement : bool
        Read each sequence on a strand drawn anew every epoch.
    fresh_negatives : bool
        Draw the shuffles of the training part anew every epoch.
    fdr : float >= 0, < 1
        See `dflm.calibration.operating_points`; decides one threshold and nothing of the training.
    """

    dropout: dict
    drop_mult: float
    head: dict
    stages: list[dict]
    lr_range: float
    patience: int | None
    reverse_complement: bool
    fresh_negatives: bool
    fdr: float

    def __post_init__(self) -> None:
        if not self.stages:
            raise InputError("classifier.stages is empty; at least one stage is needed")
        self.require("classifier", batch_size=2)  # batch norm cannot learn from one

    @property
    def dropouts(self) -> Dropouts:
        """The dropouts, scaled."""
        return Dropouts(**self.dropout).scaled(self.drop_mult)

    @property
    def schedule(self) -> list[Stage]:
        """The stages."""
        return [Stage(**stage) for stage in self.stages]


class _Classification:
    """One classifier's training: model, data, position and the best weights so far."""

    def __init__(
        self,
        model: PoolingClassifier,
        args: ClassifierArgs,
        train: SequenceBatches,
        validation: SequenceBatches,
        seed: int,
        history: History,
        phases: Phases,
        fresh_negatives: bool,
    ) -> None:
        self.model, self.args, self.phases = model, args, phases
        self.fresh_negatives = fresh_negatives
        self.train, self.validation, self.seed, self.history = train, validation, seed, history
        self.stages = args.schedule
        self.stage, self.epoch = 0, 0  # epoch within the stage
        self.best = BestWeights(args.patience)
        self.optimizer: torch.optim.Optimizer | None = None

    @property
    def trainable(self) -> int:
        return self.stages[self.stage].trainable(len(self.model.groups()))

    def begin_stage(self) -> None:
        """Unfreeze the stage's groups and give each its learning rate."""
        stage, groups = self.stages[self.stage], self.model.groups()
        self.model.freeze_to(self.trainable)
        rates = discriminative_rates(stage.learning_rate, self.args.lr_range, len(groups))
        self.optimizer = adamw(
            list(zip(groups, rates, strict=True))[len(groups) - self.trainable :],
            self.args.weight_decay,
        )

    def run_epoch(self) -> None:
        """Pass once over the training set, validate, and keep the weights if they are the best."""
        args, stage = self.args, self.stages[self.stage]
        parameters = [p for p in self.model.parameters() if p.requires_grad]
        steps = -(-len(self.train) // args.batch_size)
        at = (self.seed, self.stage, self.epoch)
        if self.fresh_negatives:
            with self.phases("batches"):
                self.train.shuffle_negatives(at)
        batches = self.train.shuffled(args.batch_size, args.reverse_complement, at)
        desc = f"stage {self.stage + 1}/{len(self.stages)} epoch {self.epoch + 1}/{stage.epochs}"
        loss_sum, seen = torch.zeros((), device=self.train.device), 0
        self.model.train()
        with self.phases("training"):
            for i, (tokens, labels) in enumerate(progress(batches, total=steps, desc=desc)):
                with autocast(self.train.device, args.precision):
                    logits = self.model(tokens)
                loss = torch.nn.functional.cross_entropy(logits.float(), labels)
                self.optimizer.zero_grad()
                loss.backward()
                clip_gradients(parameters, args.clip)
                args.one_cycle.apply(self.optimizer, (self.epoch + i / steps) / stage.epochs)
                self.optimizer.step()
                loss_sum += loss.detach() * len(labels)
                seen += len(labels)
            mean = float(loss_sum) / max(1, seen)
        self.epoch += 1
        self.validate(mean)

    def validate(self, train_loss: float) -> None:
        """Score the validation part on the strands that it learns from, and record it."""
        labels = self.validation.labels.cpu().numpy()
        with self.phases("validation"):
            forward, reverse = strand_probabilities(
                self.model, self.validation, 2 * self.args.batch_size, self.args.precision
            )
        read = (forward + reverse) / 2 if self.args.reverse_complement else forward
        chosen = np.clip(np.where(labels == 1, read, 1 - read), 1e-7, None)
        event = {
            "event": "validation",
            "stage": self.stage + 1,
            "epoch": self.epoch,
            "train_loss": train_loss,
            "loss": float(-np.log(chosen).mean()),
            "auroc": auroc(labels, read),
            "accuracy": float(((read >= 0.5) == (labels == 1)).mean()),
            "learning_rate": self.stages[self.stage].learning_rate,
        }
        self.history.add(event)
        self.best.observe(
            self.model,
            {name: event[name] for name in ("auroc", "loss", "stage", "epoch")},
            waits=self.trainable == len(self.model.groups()),
        )

    def state_dict(self) -> dict:
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "stage": self.stage,
            "epoch": self.epoch,
            "best": self.best.state_dict(),
            "history": self.history.events,
            "seconds": self.phases.as_dict(),
        }

    def load_state_dict(self, state: dict) -> None:
        self.stage, self.epoch = state["stage"], state["epoch"]
        self.best.load_state_dict(state["best"])
        self.model.load_state_dict(state["model"])
        self.begin_stage()
        self.optimizer.load_state_dict(state["optimizer"])
        self.history.restore(state["history"])
        self.phases.add(state["seconds"])

    def run(self, checkpoint: Checkpoint) -> None:
        """Train to the end, from wherever the run stands, and load the best weights."""
        best = self.best
        while self.stage < len(self.stages) and not best.out_of_patience:
            if self.optimizer is None:
                self.begin_stage()
            while self.epoch < self.stages[self.stage].epochs and not best.out_of_patience:
                self.run_epoch()
                with self.phases("writing"):
                    checkpoint.save(self.state_dict())
            self.stage, self.epoch, self.optimizer = self.stage + 1, 0, None
        if best.out_of_patience:
            log.info("stopped early: no better validation AUROC in %d epochs", best.waited)
        self.model.load_state_dict(best.weights)


def _build(args: ClassifierArgs, shape: Architecture, encoder: AWDLSTM | None) -> PoolingClassifier:
    """Return a classifier with a language model's encoder, or of random weights."""
    head = dict(args.head)
    hidden, dropout = head.pop("hidden"), head.pop("dropout")
    model = PoolingClassifier(shape, args.dropouts, hidden, dropout, **head)
    if encoder is not None:
        model.encoder.load_state_dict(encoder.state_dict())
    return model


def _read_part(
    path: Path, shape: Architecture, device: torch.device, phases: Phases
) -> tuple[list[str], SequenceBatches]:
    """Return names and batches of a split file, which has to hold both labels."""
    with phases("reading"):
        names, sequences, labels = read_split(path)
    if len(set(np.asarray(labels).tolist())) < 2:
        raise InputError("holds one label only, which nothing can be learnt from", path)
    with phases("batches"):
        return names, SequenceBatches(sequences, labels, shape.k, shape.stride, device)


def train_classifier(
    *,
    weights_in: Path | None,
    card_in: Path | None,
    train: Path,
    validation: Path,
    weights: Path,
    card: Path,
    history: Path,
    predictions: Path,
    seconds: Path,
    checkpoint: Path,
    args: dict,
    dataset: str,
    negatives: str,
    seed: int,
    gpu: int,
    threads: int,
    gpu_share: int = 100,
    architecture: dict | None = None,
) -> None:
    """Train the classifier of one ChIP-seq set from a language model's encoder.

    Parameters
    ----------
    weights_in, card_in : Path or None
        The language model, as a rule fine-tuned on the set's group; None starts from random
        weights.
    train, validation : Path
        Split files of the set. Validation chooses the epoch whose weights are kept, and these
        are calibrated on it.
    weights, card, history, predictions, seconds : Path
        Files to write. `predictions` are those of the validation sequences, see
        `dflm.predictions.write_predictions`. `seconds`, which differs between two runs,
        tells where the time went, see `dflm.phases.Phases`; of a resumed run it is that of all
        its processes, each up to its last checkpoint.
    checkpoint : Path
        Where the state is kept while the training runs.
    args : dict
        See `ClassifierArgs`.
    dataset : str
    negatives : str
        What the set's negatives are, by its statistics; only "shuffle" can be drawn anew.
    seed : int >= 0
    gpu, threads, gpu_share : int
        What the job was given, see `dflm.training.device.pick_device`.
    architecture : dict, optional
        Of an encoder of random weights: what `dflm.model.language_model.Architecture` takes.

    Raises
    ------
    InputError
        If the model or a split file is wrong, or a part lacks one of the two labels.
    """
    phases = Phases()
    run_args = ClassifierArgs(**args)
    with phases("loading"):
        device = pick_device(gpu, threads, gpu_share)
        torch.manual_seed(seed)
        encoder = None
        if weights_in is not None:
            encoder = load_language_model(weights_in, card_in, NO_DROPOUT).encoder
        shape = encoder.architecture if encoder else Architecture(**architecture)
        model = _build(run_args, shape, encoder).to(device)
    _, learnt_from = _read_part(train, shape, device, phases)
    names, held_out = _read_part(validation, shape, device, phases)
    sizes = len(learnt_from), len(held_out)
    log.info("%s: %d training and %d validation sequences", dataset, *sizes)
    fresh = run_args.fresh_negatives and negatives == "shuffle"
    data = learnt_from, held_out
    run = _Classification(model, run_args, *data, seed, History(history), phases, fresh)
    with phases("reading"):
        provenance = {
            "classifier": asdict(run_args),
            "seed": seed,
            "dataset": dataset,
            "negatives": negatives,
            "width": learnt_from.codes.size(-1),
            "language_model_sha256": sha256_of(weights_in) if weights_in is not None else None,
            "train_sha256": sha256_of(train),
            "validation_sha256": sha256_of(validation),
        }
        # Of a language model its checksum tells the architecture, of random weights nothing does.
        fingerprint = {**provenance, "architecture": asdict(shape)}
        where = told_of(device, run_args.precision)
        saved = Checkpoint(checkpoint, fingerprint, where=where)
        if (state := saved.load()) is not None:
            run.load_state_dict(state)
    run.run(saved)
    with phases("validation"):
        forward, reverse = strand_probabilities(
            run.model, held_out, 2 * run_args.batch_size, run_args.precision
        )
    labels = held_out.labels.cpu().numpy()
    calibration = calibrate_strands(labels, forward, reverse, fdr=run_args.fdr)
    best = run.best.found
    metrics = {
        "validation_auroc": best["auroc"],
        "validation_loss": best["loss"],
        "best_stage": best["stage"],
        "best_epoch": best["epoch"],
        "stages_run": run.history.events[-1]["stage"],
        "epochs_run": len(run.history.events),
        **saved.told,
    }
    with phases("writing"):
        training = {"stage": "classify", **provenance}
        save_model(
            run.model, weights, card, training=training, metrics=metrics, calibration=calibration
        )
        both = run_args.reverse_complement
        temperature = calibration["both_strands" if both else "one_strand"]["temperature"]
        write_predictions(predictions, names, labels, forward, reverse, both, temperature)
    write_json(seconds, phases.as_dict())
    saved.remove()
