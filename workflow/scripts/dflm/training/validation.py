"""Scoring of a language model on the held-out part of a corpus."""

import torch

from dflm.model.language_model import LanguageModel
from dflm.model.losses import LanguageModelScore
from dflm.training.device import autocast
from dflm.training.distributed import ALONE, World
from dflm.training.shares import SharedStream


@torch.no_grad()
def validate_stream(
    model: LanguageModel, stream: SharedStream, limit: int, precision: str, world: World = ALONE
) -> dict:
    """Score a language model on held-out sequence, from a zero state.

    Parameters
    ----------
    model : LanguageModel
    stream : SharedStream
        The held-out corpus.
    limit : int >= 1
        Tokens to read at most, rounded up to whole windows.
    precision : {"auto", "fp32", "bf16"}
    world : World, optional
        The processes that share out the streams.

    Returns
    -------
    dict
        See `dflm.model.losses.LanguageModelScore.as_dict`; of all streams.
    """
    was_training = model.training
    model.eval()
    score = LanguageModelScore(min(stream.whole.k, stream.whole.stride))
    state, read = None, 0
    for start, length in stream.windows():
        if read >= limit:
            break
        read += length * stream.streams
        if stream.here is None:
            continue
        tokens, targets = stream.here.window(start, length)
        with autocast(stream.here.device, precision):
            logits, encoded = model(tokens, state)
        score.add(logits, tokens, targets)
        state = encoded.state
    model.train(was_training)
    sums = torch.tensor([score.loss, score.correct, score.tokens], dtype=torch.float64)
    loss, correct, tokens = world.sum(sums).tolist()
    score.loss, score.correct, score.tokens = loss, int(correct), int(tokens)
    return score.as_dict()
