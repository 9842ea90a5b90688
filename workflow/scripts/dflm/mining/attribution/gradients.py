"""Integrated gradients on the embeddings, each k-mer's credit spread over its bases.

Sundararajan, Taly and Yan, "Axiomatic Attribution for Deep Networks", ICML 2017; over several
baselines as Erion et al., Nature Machine Intelligence 3:620, 2021. The baselines of a sequence are
its dinucleotide shuffles, so that what is attributed is the order of its bases and not their
composition.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from dflm.mining.attribution.files import observed
from dflm.mining.scoring import Scorer, other_strand
from dflm.sequences.kmers import BASES, PAD, N
from dflm.sequences.shuffle import dinucleotide_shuffle

STEPS, SHUFFLES = 4, 8


@dataclass(frozen=True)
class Attributions:
    """Credit of bases for the mean of both strands' log-odds."""

    hypothetical: np.ndarray
    """shape=(n, length, 4) float32: the credit each base would have at a place, by the gradient
    of the sequence as it is."""
    contributions: np.ndarray
    """shape=(n, length) float32: the credit of the bases that are there."""
    scores: np.ndarray
    """shape=(n,) what is attributed: the score of the sequence .."""
    baselines: np.ndarray
    """shape=(n,) .. less the mean score of its baselines."""


def integrated_gradients(
    scorer: Scorer,
    codes: np.ndarray,
    *,
    steps: int = STEPS,
    shuffles: int = SHUFFLES,
    seed: int = 0,
) -> Attributions:
    """Attribute the scores of sequences to their bases.

    Parameters
    ----------
    scorer : Scorer
    codes : numpy.ndarray
        shape=(n, length) uint8; an N gets no credit.
    steps : int >= 1
        Points of the path from each baseline to the sequence; more make the sum of the credits
        nearer to the difference of the scores. Each baseline has other points.
    shuffles : int >= 1
        Baselines of a sequence.
    seed : int
        Of the shuffles; those of a sequence depend on it and the sequence alone.
    """
    n, length = codes.shape
    hypothetical = np.zeros((n, length, len(BASES)))
    ends = np.zeros((2, n))
    size = max(1, scorer.batch_size // steps)  # the points of a path are read at once
    for start in range(0, n, size):
        rows = slice(start, start + size)
        part = codes[rows]
        draws = [_shuffled(part, seed, draw) for draw in range(shuffles)]
        for strand in (0, 1):
            turned = [other_strand(x) if strand else x for x in (part, *draws)]
            credit, score, baseline = _one_strand(scorer, turned[0], turned[1:], steps)
            if strand:  # back to the places and letters of the strand as given
                credit = credit[:, ::-1, ::-1]
            hypothetical[rows] += credit / 2
            ends[0, rows] += score / 2
            ends[1, rows] += baseline / 2
    hypothetical[codes == N] = 0
    contributions = observed(hypothetical, codes)
    return Attributions(hypothetical.astype(np.float32), contributions, *ends)


def _shuffled(codes: np.ndarray, seed: int, draw: int) -> np.ndarray:
    """Return a shuffle of each sequence that does not depend on its place among the others."""
    key = f"{seed} {draw}".encode()
    seeds = (hashlib.blake2b(row.tobytes(), digest_size=8, key=key).digest() for row in codes)
    return np.concatenate(
        [
            dinucleotide_shuffle(row[None], int.from_bytes(one, "little"))
            for row, one in zip(codes, seeds, strict=True)
        ]
    )


def _one_strand(
    scorer: Scorer, codes: np.ndarray, draws: list[np.ndarray], steps: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return credits, shape=(n, length, 4), and both ends' scores, shape=(n,), on one strand."""
    model, table = scorer.model, scorer.model.encoder.embedding.weight  # (V, E)
    tokens = scorer.tokens(np.ascontiguousarray(codes))  # (B, T)
    read = model.as_read(tokens)  # (S B, T), S the strands that the model reads at once
    embedded = table[read]  # (S B, T, E)
    one_read = (tokens.size(0), *embedded.shape[1:])
    mean_gradient = embedded.new_zeros(one_read)
    less = torch.zeros(tokens.shape, device=tokens.device)
    baselines = torch.zeros(len(codes), device=tokens.device)
    for number, draw in enumerate(draws):
        baseline = table[model.as_read(scorer.tokens(np.ascontiguousarray(draw)))]
        baseline = torch.where((read == PAD).unsqueeze(-1), embedded, baseline)
        at = (torch.arange(steps) + (number + 0.5) / len(draws)) / steps
        at = at.to(tokens.device).view(-1, 1, 1, 1, 1)
        # (S, steps, B, T, E), as the model puts the strands of a batch
        ends = [end.view(model.strands, 1, *one_read) for end in (baseline, embedded)]
        points = ends[0] + at.movedim(0, 1) * (ends[1] - ends[0])
        gradient = _gradient(model, tokens.repeat(steps, 1), points.flatten(0, 2))
        # What came by the other strand is credited when that one is given: both have a half.
        gradient = model.strands * gradient.view_as(points)[0].mean(0) / len(draws)
        mean_gradient += gradient
        less += (gradient * baseline[: tokens.size(0)]).sum(-1)
        baselines += _log_odds(model, tokens, baseline) / len(draws)
    credit = _spread(mean_gradient, less, tokens, table, codes, scorer.k, scorer.stride)
    scores = (_log_odds(model, tokens, embedded), baselines)
    return credit, *(score.double().cpu().numpy() for score in scores)


@contextlib.contextmanager
def embedded_as(model: nn.Module, values: Tensor) -> Iterator[None]:
    """Let the encoder read `values` whatever tokens it is given.

    These have the shape (B, T, E), or (2 B, T, E) of a model that reads both strands at once.
    """
    handle = model.encoder.embedding.register_forward_hook(lambda *_: values.transpose(0, 1))
    try:
        yield
    finally:
        handle.remove()


def _gradient(model: nn.Module, tokens: Tensor, point: Tensor) -> Tensor:
    # In evaluation mode: cuDNN's recurrent layers alone would give no gradient then, which
    # `dflm.model.layers` sees to.
    point = point.detach().requires_grad_()
    with torch.enable_grad(), embedded_as(model, point):
        logits = model(tokens).float()
        score = (logits[:, 1] - logits[:, 0]).sum()
    return torch.autograd.grad(score, point)[0]


@torch.no_grad()
def _log_odds(model: nn.Module, tokens: Tensor, point: Tensor) -> Tensor:
    with embedded_as(model, point):
        logits = model(tokens).float()
    return logits[:, 1] - logits[:, 0]


def _spread(
    gradient: Tensor,
    less: Tensor,
    tokens: Tensor,
    table: Tensor,
    codes: np.ndarray,
    k: int,
    stride: int,
) -> np.ndarray:
    """Share out each token's credit, its gradient times its embedding `less` the baseline's.

    Each base of a token gets an equal share.

    For each base of a token also what the credit would be with another base there; the sum over
    the tokens that hold a base is its hypothetical credit.
    """
    real = tokens != PAD
    result = np.zeros((*codes.shape, len(BASES)))
    count = tokens.size(1)
    span = (count - 1) * stride + 1
    for place in range(k):
        weight = len(BASES) ** (k - 1 - place)
        digit = (tokens - 1).div(weight, rounding_mode="floor") % len(BASES)
        for base in range(len(BASES)):
            other = torch.where(real, tokens + (base - digit) * weight, PAD)
            credit = (gradient * table[other]).sum(-1) - less
            credit = torch.where(real, credit, 0.0) / k
            result[:, place : place + span : stride, base] += credit.double().cpu().numpy()
    return result
