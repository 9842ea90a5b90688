"""The second pretraining: to tell the genome from its shuffles, and to stay a language model.

Windows of the genome are told from their own dinucleotide shuffles, which needs no label of
binding. What a shuffle destroys is all that is longer than two bases: motifs, their spacing,
repeats. The next token is predicted along with it, so that the result is a language model like the
one that it starts from. The head that tells the two apart is thrown away.

Where a test's negatives are shuffles, a test peak in such a window was shown with the answer that
the test asks for; `dflm.sequences.leak_report` finds which were.
"""

import logging
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dflm.errors import InputError
from dflm.files import sha256_of, write_json
from dflm.logs import progress
from dflm.model.classifier import PoolingHead, concat_pool
from dflm.model.files import load_language_model, save_model
from dflm.model.language_model import Dropouts, LanguageModel
from dflm.model.losses import LanguageModelScore, next_token_loss
from dflm.phases import Phases
from dflm.scores import auroc
from dflm.sequences.corpus import Corpus
from dflm.sequences.genome import GenomeIndex
from dflm.sequences.shuffle import dinucleotide_shuffle
from dflm.sequences.windows import draw_windows
from dflm.training.arguments import OptimizerArgs
from dflm.training.batches import kmer_tokens
from dflm.training.checkpoint import Checkpoint
from dflm.training.device import autocast, pick_device, told_of
from dflm.training.history import History
from dflm.training.optim import adamw, clip_gradients

log = logging.getLogger(__name__)
HEAD_WIDTH = 50


@dataclass(frozen=True, kw_only=True)
class DiscriminateArgs(OptimizerArgs):
    """How a language model learns to tell the genome from its shuffles.

    Parameters
    ----------
    batch_size, weight_decay, clip, momentum, pct_start, div, final_div, precision
        See `OptimizerArgs`; a batch is that many windows and as many shuffles.
    epochs : int >= 1
        Each has windows of its own.
    windows : int >= 1
        Windows of an epoch.
    validation_windows : int >= 1
        Windows of the held-out contigs that a validation reads.
    width : int >= 20
        Bases of a window.
    learning_rate : float > 0
        Peak of the one-cycle schedule.
    lm_weight : float >= 0
        Weight of the next-token loss of the windows beside that of telling them apart.
    drop_mult : float >= 0
        Factor on the dropouts of the language model.
    """

    epochs: int
    windows: int
    validation_windows: int
    width: int
    learning_rate: float
    lm_weight: float
    drop_mult: float

    def __post_init__(self) -> None:
        self.require("discriminate", epochs=1, windows=1, validation_windows=1, width=20)
        self.require("discriminate", batch_size=1)


class _Discrimination:
    """One run: model, head, optimiser and position."""

    def __init__(
        self,
        model: LanguageModel,
        args: DiscriminateArgs,
        corpora: tuple[Corpus, Corpus],
        seed: int,
        device: torch.device,
        history: History,
        phases: Phases,
    ) -> None:
        self.model, self.args, self.seed, self.device = model, args, seed, device
        self.corpora, self.history, self.phases = corpora, history, phases
        features = 3 * model.encoder.architecture.embedding
        self.head = PoolingHead(features, HEAD_WIDTH, 0.0, 0.0)
        self.head = self.head.to(device).train()
        both = [(model, args.learning_rate), (self.head, args.learning_rate)]
        self.optimizer = adamw(both, args.weight_decay)
        self.parameters = [*model.parameters(), *self.head.parameters()]
        self.epoch = 0

    @staticmethod
    def with_shuffles(windows: np.ndarray, seed: tuple[int, ...]) -> np.ndarray:
        """Return codes (2, B, width) of windows and of their shuffles."""
        draw = int(np.random.SeedSequence(seed).generate_state(1)[0])
        return np.stack([windows, dinucleotide_shuffle(windows, draw)])

    def pairs(self, codes: np.ndarray) -> Tensor:
        """Return tokens (2, B, T) of what `with_shuffles` gives."""
        shape = self.model.encoder.architecture
        return kmer_tokens(torch.from_numpy(codes).to(self.device), shape.k, shape.stride)

    def forward(self, pairs: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits (2B, 2) of shuffle and genome, and next-token logits (B, T-1, V)."""
        tokens = pairs.flatten(0, 1)
        with autocast(self.device, self.args.precision):
            encoded = self.model.encoder(tokens)
            kept = encoded.dropped[: pairs.size(1), :-1]
            words = self.model.decoder(kept, self.model.encoder.embedding.weight)
            return self.head(concat_pool(encoded.raw, tokens)), words

    @staticmethod
    def labels(pairs: Tensor) -> Tensor:
        """Return the labels (2B,): 1 for the genome, then 0 for its shuffles."""
        return torch.tensor([1, 0], device=pairs.device).repeat_interleave(pairs.size(1))

    def run_epoch(self) -> None:
        """Learn from windows drawn for this epoch, then validate."""
        args, size = self.args, self.args.batch_size
        with self.phases("batches"):
            windows = draw_windows(
                self.corpora[0], args.windows, args.width, (self.seed, self.epoch)
            )
        steps = -(-len(windows) // size)
        sums = torch.zeros(2, device=self.device)
        desc = f"epoch {self.epoch + 1}/{args.epochs}"
        with self.phases("training"):
            for i in progress(range(steps), total=steps, desc=desc):
                batch, at = windows[i * size : (i + 1) * size], (self.seed, self.epoch, 1 + i)
                pairs = self.pairs(self.with_shuffles(batch, at))
                logits, words = self.forward(pairs)
                told = torch.nn.functional.cross_entropy(logits.float(), self.labels(pairs))
                summed, count = next_token_loss(words, pairs[0, :, :-1], pairs[0, :, 1:])
                loss = told + args.lm_weight * summed / count
                self.optimizer.zero_grad()
                loss.backward()
                clip_gradients(self.parameters, args.clip)
                args.one_cycle.apply(self.optimizer, (self.epoch + i / steps) / args.epochs)
                self.optimizer.step()
                sums += torch.stack([told.detach(), (summed / count).detach()])
            told, predicted = (sums / steps).tolist()
        self.epoch += 1
        self.validate(told, predicted)

    @torch.no_grad()
    def validate(self, discrimination_loss: float | None, train_loss: float | None) -> dict:
        """Score windows of the held-out contigs and record it."""
        args, shape = self.args, self.model.encoder.architecture
        for part in (self.model, self.head):
            part.eval()
        score, found = LanguageModelScore(min(shape.k, shape.stride)), []
        with self.phases("validation"):
            windows = draw_windows(self.corpora[1], args.validation_windows, args.width, (0,))
            codes = self.with_shuffles(windows, (0, 1))
            for start in range(0, len(windows), args.batch_size):
                pairs = self.pairs(codes[:, start : start + args.batch_size])
                logits, words = self.forward(pairs)
                score.add(words, pairs[0, :, :-1], pairs[0, :, 1:])
                found.append(logits.float().softmax(1)[:, 1].view(2, -1).cpu())
            genome, shuffled = torch.cat(found, 1).double().numpy()
        for part in (self.model, self.head):
            part.train()
        labels = np.repeat([1, 0], len(genome))
        event = {
            "event": "validation",
            "epoch": self.epoch,
            "train_loss": train_loss,
            "discrimination_loss": discrimination_loss,
            "auroc": auroc(labels, np.concatenate([genome, shuffled])),
            **score.as_dict(),
        }
        self.history.add(event)
        return event

    def state_dict(self) -> dict:
        return {
            "model": self.model.state_dict(),
            "head": self.head.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "epoch": self.epoch,
            "history": self.history.events,
            "seconds": self.phases.as_dict(),
        }

    def load_state_dict(self, state: dict) -> None:
        self.model.load_state_dict(state["model"])
        self.head.load_state_dict(state["head"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch = state["epoch"]
        self.history.restore(state["history"])
        self.phases.add(state["seconds"])

    def run(self, checkpoint: Checkpoint) -> dict:
        """Train to the last epoch, from wherever the run stands; return the last validation."""
        if not self.history.events:
            self.validate(None, None)
        while self.epoch < self.args.epochs:
            self.run_epoch()
            with self.phases("writing"):
                checkpoint.save(self.state_dict())
        return self.history.events[-1]


def discriminate(
    *,
    weights_in: Path,
    card_in: Path,
    index: Path,
    contigs: Path,
    weights: Path,
    card: Path,
    metrics: Path,
    history: Path,
    checkpoint: Path,
    dropout: dict,
    args: dict,
    seed: int,
    gpu: int,
    threads: int,
    gpu_share: int = 100,
    withheld: Path | None = None,
) -> None:
    """Train a language model to tell the genome from its dinucleotide shuffles as well.

    Parameters
    ----------
    weights_in, card_in : Path
        The pretrained language model.
    index, contigs : Path
        The genome that it was trained on; its held-out contigs are held out here too.
    withheld : Path, optional
        What of it may not be read, see `dflm.sequences.withholding.withhold_tests`.
    weights, card, metrics, history : Path
        Files to write: a language model again, its last validation, and all validations.
        `metrics` alone differs between two runs, in `seconds`, see `dflm.phases.Phases`.
    checkpoint : Path
        Where the state is kept while the training runs.
    dropout : dict
        The five probabilities of `dflm.model.language_model.Dropouts`.
    args : dict
        See `DiscriminateArgs`.
    seed : int >= 0
    gpu, threads, gpu_share : int
        What the job was given, see `dflm.training.device.pick_device`.

    Raises
    ------
    InputError
        If the model, the genome or a setting is wrong.

    References
    ----------
    To tell real tokens from replaced ones as pretraining: Clark et al., "ELECTRA", ICLR 2020.
    """
    phases, run_args = Phases(), DiscriminateArgs(**args)
    with phases("loading"):
        device = pick_device(gpu, threads, gpu_share)
        torch.manual_seed(seed)
        dropouts = Dropouts(**dropout).scaled(run_args.drop_mult)
        model = load_language_model(weights_in, card_in, dropouts).to(device).train()
        shape = model.encoder.architecture
        if run_args.width < shape.k + shape.stride:
            raise InputError(
                f"windows of {run_args.width} bases hold no two tokens of {shape.k} bases, "
                f"{shape.stride} apart",
                "discriminate.width",
                f"give {shape.k + shape.stride} or more",
            )
    with phases("reading"):
        genome = GenomeIndex.load(index, contigs, withheld)
        corpora = tuple(
            Corpus(genome, split, min_run=run_args.width) for split in ("train", "validation")
        )
    run = _Discrimination(model, run_args, corpora, seed, device, History(history), phases)
    provenance = {
        "discriminate": asdict(run_args),
        "dropout": dict(dropout),
        "seed": seed,
        "pretrained_sha256": sha256_of(weights_in),
        "genome_index_sha256": sha256_of(index),
        **({} if withheld is None else {"withheld_sha256": sha256_of(withheld)}),
    }
    saved = Checkpoint(checkpoint, provenance, where=told_of(device, run_args.precision))
    if (state := saved.load()) is not None:
        run.load_state_dict(state)
    last = run.run(saved)
    before = run.history.events[0]
    result = {name: last[name] for name in ("auroc", "loss", "bits_per_base", "tokens")}
    result |= {
        "bits_per_base_before": before["bits_per_base"],
        "windows": run_args.windows * run_args.epochs,
        **saved.told,
    }
    with phases("writing"):
        training = {"stage": "discriminate", **provenance}
        save_model(model, weights, card, training=training, metrics=result)
    write_json(metrics, {**result, "seconds": phases.as_dict()})
    saved.remove()
