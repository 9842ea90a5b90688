"""The language model's loss and what it is reported as."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from dflm.model.language_model import Encoded
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
    """Return AR, which keeps activations small.

    Parameters
    ----------
    dropped : Tensor, shape (B, T, E)
        The last layer's output after its dropout; where a row is filled up counts as well.
    alpha : float >= 0
        Factor on the mean square.

    Returns
    -------
    Tensor, scalar

    References
    ----------
    Merity, McCann and Socher, "Revisiting Activation Regularization for Language RNNs", 2017.
    """
    return alpha * dropped.float().pow(2).mean()


def temporal_penalty(raw: Tensor, beta: float) -> Tensor:
    """Return TAR, which keeps the change from one time step to the next small.

    Parameters
    ----------
    raw : Tensor, shape (B, T, E)
        The last layer's output before its dropout; of a single time step it is 0. Where a row is
        filled up counts as well.
    beta : float >= 0
        Factor on the mean square of the steps.

    Returns
    -------
    Tensor, scalar

    References
    ----------
    See `activation_penalty`.
    """
    if raw.size(1) < 2:
        return raw.new_zeros(())
    return beta * (raw[:, 1:] - raw[:, :-1]).float().pow(2).mean()


def training_loss(
    logits: Tensor,
    encoded: Encoded,
    tokens: Tensor,
    targets: Tensor,
    alpha: float,
    beta: float,
    among: Callable[[Tensor, int], tuple[Tensor, Tensor]] | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the loss that a language model learns from: mean cross-entropy, AR and TAR.

    Parameters
    ----------
    logits : Tensor, shape (B, T, V)
    encoded : Encoded
        What the encoder made of `tokens`.
    tokens, targets : Tensor of int64, shape (B, T)
    alpha, beta : float >= 0
        Weights of AR and TAR.
    among : callable, optional
        For streams shared out over processes whose gradients are averaged: takes this process's
        count and B, returns the divisor of its sum and the factor of its penalties by which the
        average becomes the loss of all streams together.

    Returns
    -------
    loss : Tensor, scalar
        To be minimised; its cross-entropy is 0 where no position counts.
    summed, count : Tensor, scalar
        The cross-entropy as a sum, and the positions that count; detached.

    References
    ----------
    Merity, McCann and Socher, "Revisiting Activation Regularization for Language RNNs", 2017.
    """
    summed, count = next_token_loss(logits, tokens, targets)
    divisor, factor = among(count, tokens.size(0)) if among else (count.clamp(min=1), 1.0)
    loss = (
        summed / divisor
        + activation_penalty(encoded.dropped, alpha * factor)
        + temporal_penalty(encoded.raw, beta * factor)
    )
    return loss, summed.detach(), count


@dataclass
class LanguageModelScore:
    """Running sums of a language model's validation.

    They are kept where the logits are, so that adding to them waits for no GPU.

    Parameters
    ----------
    bases_per_token : int
        New bases that a token brings: the smaller of k and stride.
    loss : float or Tensor, scalar
        Sum in nats, in float64.
    correct, tokens : int or Tensor, scalar
        Positions predicted right, and all that count.
    """

    bases_per_token: int
    loss: float | Tensor = 0.0
    correct: int | Tensor = 0
    tokens: int | Tensor = 0

    def add(self, logits: Tensor, tokens: Tensor, targets: Tensor) -> None:
        """Count a window.

        Parameters
        ----------
        logits : Tensor, shape (B, T, V)
        tokens, targets : Tensor of int64, shape (B, T)
            A position counts where neither is the pad token.
        """
        loss, count = next_token_loss(logits, tokens, targets)
        counts = (tokens != PAD) & (targets != PAD)
        correct = ((logits.argmax(-1) == targets) & counts).sum()
        self.loss = self.loss + loss.double()
        self.correct = self.correct + correct
        self.tokens = self.tokens + count

    def as_dict(self) -> dict:
        """Return loss (nats a token), accuracy, perplexity, bits per base and the token count."""
        summed, correct, tokens = float(self.loss), int(self.correct), int(self.tokens)
        if tokens == 0:
            return dict.fromkeys(("loss", "accuracy", "perplexity", "bits_per_base")) | {
                "tokens": 0
            }
        loss = summed / tokens
        return {
            "loss": loss,
            "accuracy": correct / tokens,
            "perplexity": math.exp(min(loss, 700.0)),  # beyond, it is no number any more
            "bits_per_base": loss / math.log(2) / self.bases_per_token,
            "tokens": tokens,
        }
