"""Fine-tuning of the language model on the peaks of one group of ChIP-seq sets."""

import logging
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from dflm.errors import InputError
from dflm.files import sha256_of, write_json
from dflm.logs import progress
from dflm.model.files import load_language_model, save_model
from dflm.model.language_model import LanguageModel
from dflm.model.losses import LanguageModelScore
from dflm.phases import Phases
from dflm.sequences.leaks import NONE, find_leaks
from dflm.sequences.splits import leave_out, read_split
from dflm.training.arguments import LanguageModelArgs, OptimizerArgs
from dflm.training.batches import SequenceBatches
from dflm.training.checkpoint import Checkpoint
from dflm.training.device import autocast, pick_device, told_of
from dflm.training.history import History
from dflm.training.optim import adamw
from dflm.training.step import LanguageModelStep

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class FinetuneArgs(OptimizerArgs):
    """How the language model is fine-tuned.

    Parameters
    ----------
    batch_size, weight_decay, clip, momentum, pct_start, div, final_div, precision
        See `OptimizerArgs`; a batch is that many peaks.
    epochs : int >= 1
        Passes over the group's training peaks.
    learning_rate : float > 0
        Peak of the one-cycle schedule.
    reverse_complement : bool
        Read each peak on a strand drawn anew every epoch.
    """

    epochs: int
    learning_rate: float
    reverse_complement: bool

    def __post_init__(self) -> None:
        self.require("finetune", epochs=1, batch_size=2)


def collect_peaks(
    train: list[Path], validation: list[Path], test: list[Path], width: int | None = None
) -> tuple[list[str], list[str], int]:
    """Collect the peaks of a group that its language model may see.

    Positives only: a shuffled sequence is no DNA of this factor. A training peak that stands,
    on either strand, in the validation or test part of any member is left out, since one
    set's test peaks do occur in another set's training file, if a few bases off.

    Parameters
    ----------
    train, validation, test : list of Path
        Split files of the members, in one order.
    width : int, 1 to 64, optional
        A training peak is also left out when it shares that many bases with one of these parts.
        None where the split of the one set decides that, `chipseq.leaks`.

    Returns
    -------
    peaks : list of str
        Distinct training peaks, in file order.
    held_out : list of str
        Distinct validation peaks.
    left_out : int
        Training peaks that stand in a validation or test part, or near it.
    """

    def positives(paths: list[Path]) -> list[str]:
        found = {}
        for path in paths:
            _, sequences, labels = read_split(path)
            found.update(dict.fromkeys(s for s, y in zip(sequences, labels, strict=True) if y == 1))
        return list(found)

    peaks, held_out = positives(train), positives(validation)
    elsewhere = held_out + positives(test)
    if width is None:
        kept, left_out = leave_out(peaks, elsewhere)
        return [peaks[i] for i in kept], held_out, left_out
    levels, _ = find_leaks(peaks, elsewhere, width)
    kept = [peak for peak, level in zip(peaks, levels, strict=True) if level == NONE]
    return kept, held_out, len(peaks) - len(kept)


@torch.no_grad()
def validate_sequences(
    model: LanguageModel, batches: SequenceBatches, batch_size: int, precision: str
) -> dict:
    """Score a language model on single sequences, each from a zero state, forward strand.

    Parameters
    ----------
    model : LanguageModel
    batches : SequenceBatches
    batch_size : int >= 1
        Sequences at once; the score does not depend on it.
    precision : {"auto", "fp32", "bf16"}

    Returns
    -------
    dict
        See `dflm.model.losses.LanguageModelScore.as_dict`.
    """
    was_training = model.training
    model.eval()
    score = LanguageModelScore(min(batches.k, batches.stride))
    for tokens in batches.ordered(batch_size, strand=0):
        with autocast(batches.device, precision):
            logits, _ = model(tokens[:, :-1])
        score.add(logits, tokens[:, :-1], tokens[:, 1:])
    model.train(was_training)
    return score.as_dict()


class _Finetuning:
    """One fine-tuning run: model, optimiser, peaks and position."""

    def __init__(
        self,
        model: LanguageModel,
        language_model: LanguageModelArgs,
        args: FinetuneArgs,
        train: SequenceBatches,
        validation: SequenceBatches,
        seed: int,
        history: History,
        phases: Phases,
    ) -> None:
        self.model, self.args, self.phases = model, args, phases
        self.train, self.validation, self.seed, self.history = train, validation, seed, history
        self.gradients = LanguageModelStep(model, language_model, args, train.device)
        self.optimizer = adamw([(model, args.learning_rate)], args.weight_decay)
        self.epoch = 0
        self.before: dict = {}

    def step(self, tokens: torch.Tensor, progress: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Learn from one batch (B, T + 1); return its summed loss and count."""
        _, summed, count = self.gradients(tokens[:, :-1], tokens[:, 1:])
        self.args.one_cycle.apply(self.optimizer, progress)
        self.optimizer.step()
        return summed, count

    def run_epoch(self) -> dict:
        """Pass once over the peaks, then validate."""
        args, n = self.args, len(self.train)
        batches = self.train.shuffled(
            args.batch_size, args.reverse_complement, (self.seed, self.epoch)
        )
        steps = -(-n // args.batch_size)
        loss = torch.zeros((), device=self.train.device)
        tokens = torch.zeros((), dtype=torch.int64, device=self.train.device)
        desc = f"epoch {self.epoch + 1}/{args.epochs}"
        with self.phases("training"):
            for i, (batch, _) in enumerate(progress(batches, total=steps, desc=desc)):
                summed, count = self.step(batch, (self.epoch + i / steps) / args.epochs)
                loss += summed
                tokens += count
            mean = float(loss) / max(1, int(tokens))
        self.epoch += 1
        return self.validate(mean)

    def score(self) -> dict:
        with self.phases("validation"):
            return validate_sequences(
                self.model, self.validation, self.args.batch_size, self.args.precision
            )

    def validate(self, train_loss: float | None) -> dict:
        """Validate on the held-out peaks and record it."""
        score = self.score()
        self.history.add(
            {
                "event": "validation",
                "epoch": self.epoch,
                "train_loss": train_loss,
                **score,
                "learning_rate": self.optimizer.param_groups[0]["lr"] if self.epoch else 0.0,
            }
        )
        return score

    def state_dict(self) -> dict:
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "epoch": self.epoch,
            "before": self.before,
            "history": self.history.events,
            "seconds": self.phases.as_dict(),
        }

    def load_state_dict(self, state: dict) -> None:
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch, self.before = state["epoch"], state["before"]
        self.history.restore(state["history"])
        self.phases.add(state["seconds"])

    def run(self, checkpoint: Checkpoint) -> dict:
        """Train to the last epoch, from wherever the run stands; return the last validation."""
        if not self.before:
            self.before = self.validate(None)
        score = {}
        while self.epoch < self.args.epochs:
            score = self.run_epoch()
            with self.phases("writing"):
                checkpoint.save(self.state_dict())
        return score or self.score()


def finetune(
    *,
    weights_in: Path,
    card_in: Path,
    train: list[Path],
    validation: list[Path],
    test: list[Path],
    weights: Path,
    card: Path,
    metrics: Path,
    history: Path,
    checkpoint: Path,
    language_model: dict,
    args: dict,
    group: str,
    members: list[str],
    width: int | None = None,
    seed: int,
    gpu: int,
    threads: int,
    gpu_share: int = 100,
) -> None:
    """Fine-tune a pretrained language model on the training peaks of a group of sets.

    Parameters
    ----------
    weights_in, card_in : Path
        The pretrained model.
    train, validation, test : list of Path
        Split files of the members.
    weights, card, metrics, history : Path
        Files to write. `metrics` alone differs between two runs, in `seconds`, see
        `dflm.phases.Phases`; of a resumed run they are those of all its processes, each up to
        its last checkpoint.
    checkpoint : Path
        Where the state is kept while the training runs.
    language_model : dict
        See `dflm.training.arguments.LanguageModelArgs`; its dropouts and penalties are used.
    args : dict
        See `FinetuneArgs`.
    group : str
        Name of the group, for the record.
    members : list of str
        Names of its sets.
    width : int, 1 to 64, optional
        See `collect_peaks`.
    seed : int >= 0
    gpu, threads, gpu_share : int
        What the job was given, see `dflm.training.device.pick_device`.

    Raises
    ------
    InputError
        If the model does not fit the settings or a split file is wrong.
    """
    phases = Phases()
    lm_args, run_args = LanguageModelArgs(**language_model), FinetuneArgs(**args)
    with phases("loading"):
        device = pick_device(gpu, threads, gpu_share)
        torch.manual_seed(seed)
        model = load_language_model(weights_in, card_in, lm_args.dropouts)
        found = model.encoder.architecture
        if found != lm_args.architecture:
            raise InputError(
                f"{card_in}: the model is {found}, but the configuration asks for "
                f"{lm_args.architecture}; change kmers and language_model to fit it"
            )
        model = model.to(device).train()
    with phases("reading"):
        peaks, held_out, left_out = collect_peaks(train, validation, test, width)
    log.info(
        "%d training peaks, %d held out for validation, %d left out (in or near another part)",
        len(peaks),
        len(held_out),
        left_out,
    )
    if len(peaks) < 2 or not held_out:
        raise InputError(f"group {group}: {len(peaks)} peaks are too few to fine-tune on")
    with phases("batches"):
        shape = (lm_args.k, lm_args.stride, device)
        batches = [SequenceBatches(part, None, *shape) for part in (peaks, held_out)]
    run = _Finetuning(model, lm_args, run_args, *batches, seed, History(history), phases)
    with phases("reading"):
        provenance = {
            "language_model": asdict(lm_args),
            "finetune": asdict(run_args),
            "seed": seed,
            "group": group,
            "members": list(members),
            "near_duplicate_width": width,
            "pretrained_sha256": sha256_of(weights_in),
            "train_sha256": [sha256_of(path) for path in train],
        }
        fingerprint = {**provenance, "held_out": [sha256_of(path) for path in [*validation, *test]]}
        where = told_of(device, run_args.precision)
        saved = Checkpoint(checkpoint, fingerprint, where=where)
        if (state := saved.load()) is not None:
            run.load_state_dict(state)
    after = run.run(saved)
    result = {
        **after,
        "before": run.before,
        "after": after,
        "sequences": len(peaks),
        "left_out": left_out,
        "members": list(members),
        "optimizer": "adamw",
        **saved.told,
    }
    with phases("writing"):
        training = {"stage": "finetune", **provenance}
        save_model(model, weights, card, training=training, metrics=result)
    write_json(metrics, {**result, "seconds": phases.as_dict()})
    saved.remove()
