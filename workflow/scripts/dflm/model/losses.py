"""The language model's loss and what it is reported as."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from dflm.sequences.kmers import PAD


def next_token_loss(logits: Tensor, tokens: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Sum the cross-entropy of the next token over the positions that count.

    A position counts when neither its token nor its target is the pad token: a k-mer that
    follows a gap shares no base with its predecessor and is no prediction of one base.

    Parameters
    ----------
    logits : Tensor, shape (B, T, V)
    tokens, targets : Tensor of int64, shape (B, T)

    Returns
    -------
    loss : Tensor, scalar
        Sum in nats.
    count : Tensor, scalar
        Number of positions that count.
    """
    counts = (tokens != PAD) & (targets != PAD)
    targets = targets.masked_fill(~counts, -100)
    loss = functional.cross_entropy(
        logits.flatten(0, 1).float(), targets.flatten(), ignore_index=-100, reduction="sum"
    )
    return loss, counts.sum()


def activation_penalty(dropped: Tensor, alpha: float) -> Tensor:
    """AR: `alpha` times the mean square of the last layer's dropped output (B, T, E)."""
    return alpha * dropped.float().pow(2).mean()


def temporal_penalty(raw: Tensor, beta: float) -> Tensor:
    """TAR: `beta` times the mean square step of the last layer's raw output (B, T, E)."""
    if raw.size(1) < 2:
        return raw.new_zeros(())
    return beta * (raw[:, 1:] - raw[:, :-1]).float().pow(2).mean()


@dataclass
class LanguageModelScore:
    """Running sums of a language model's validation.

    Parameters
    ----------
    bases_per_token : int
        New bases that a token brings: the smaller of k and stride.
    """

    bases_per_token: int
    loss: float = 0.0
    correct: int = 0
    tokens: int = 0

    def add(self, logits: Tensor, tokens: Tensor, targets: Tensor) -> None:
        """Count a window: logits (B, T, V), tokens and targets (B, T)."""
        loss, count = next_token_loss(logits, tokens, targets)
        counts = (tokens != PAD) & (targets != PAD)
        correct = ((logits.argmax(-1) == targets) & counts).sum()
        self.loss += float(loss)
        self.correct += int(correct)
        self.tokens += int(count)

    def as_dict(self) -> dict:
        """Return loss (nats a token), accuracy, perplexity, bits per base and the token count."""
        if self.tokens == 0:
            return dict.fromkeys(("loss", "accuracy", "perplexity", "bits_per_base")) | {
                "tokens": 0
            }
        loss = self.loss / self.tokens
        return {
            "loss": loss,
            "accuracy": self.correct / self.tokens,
            "perplexity": math.exp(loss),
            "bits_per_base": loss / math.log(2) / self.bases_per_token,
            "tokens": self.tokens,
        }


def mean_loss(loss: Tensor, count: Tensor) -> Tensor:
    """Divide a summed loss by its count, 0 where nothing counts."""
    return loss / torch.clamp(count, min=1)
