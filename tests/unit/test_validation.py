"""Validation scores are those of one long pass, whatever it is cut into."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from dflm.model.files import NO_DROPOUT
from dflm.model.language_model import Architecture, Dropouts, LanguageModel
from dflm.model.losses import next_token_loss
from dflm.training.batches import BPTTStream, SequenceBatches
from dflm.training.finetune import validate_sequences
from dflm.training.validation import validate_stream

K, STRIDE = 2, 1
CPU = torch.device("cpu")


@pytest.fixture
def model():
    torch.manual_seed(3)
    made = LanguageModel(Architecture(K, STRIDE, 6, 9, 2), NO_DROPOUT)
    with torch.no_grad():  # so that what came before matters
        for parameter in made.parameters():
            parameter.mul_(3)
    return made


def stream_of(bptt, length=600, streams=4):
    codes = torch.from_numpy(np.random.default_rng(5).integers(0, 4, length).astype(np.uint8))
    stream = BPTTStream(codes, K, STRIDE, streams, bptt)
    return SimpleNamespace(
        whole=stream, here=stream, windows=stream.windows, streams=stream.batch_size
    )


def bits(summed, count):
    return float(summed) / int(count) / math.log(2) / min(K, STRIDE)


@pytest.mark.parametrize("bptt", [7, 40, 149])
def test_windows_with_the_state_carried_are_one_long_pass(model, bptt):
    stream = stream_of(bptt)
    whole = stream.whole
    tokens, targets = whole.window(0, whole.length)
    with torch.no_grad():
        logits, _ = model.eval()(tokens)
    found = validate_stream(model, stream, 10**6, "fp32")
    assert found["tokens"] == len(whole)
    expected = bits(*next_token_loss(logits, tokens, targets))
    assert found["bits_per_base"] == pytest.approx(expected, rel=1e-5)


def test_a_limit_is_rounded_up_to_whole_windows(model):
    stream = stream_of(10)
    assert validate_stream(model, stream, 1, "fp32")["tokens"] == 40
    assert validate_stream(model, stream, 41, "fp32")["tokens"] == 80


def test_a_model_is_judged_without_dropout_and_goes_on_as_it_was():
    torch.manual_seed(3)
    half = Dropouts(output=0.5, hidden=0.5, input=0.5, embedding=0.5, weight=0.5)
    model = LanguageModel(Architecture(K, STRIDE, 6, 9, 2), half)
    for training in (True, False):
        model.train(training)
        one, again = (validate_stream(model, stream_of(20), 10**6, "fp32") for _ in range(2))
        assert one == again
        assert model.training is training


def test_single_sequences_each_start_from_nothing(model):
    rng = np.random.default_rng(7)
    sequences = ["".join(rng.choice(list("ACGT"), n)) for n in (30, 30, 12, 30)]
    batches = SequenceBatches(sequences, None, K, STRIDE, CPU)
    summed, count = 0.0, 0
    for text in sequences:
        alone = SequenceBatches([text], None, K, STRIDE, CPU)
        (tokens,) = alone.ordered(1, strand=0)
        with torch.no_grad():
            logits, _ = model.eval()(tokens[:, :-1])
        loss, number = next_token_loss(logits, tokens[:, :-1], tokens[:, 1:])
        summed, count = summed + float(loss), count + int(number)
    for size in (1, 3, 4):
        found = validate_sequences(model, batches, size, "fp32")
        assert found["tokens"] == count
        assert found["bits_per_base"] == pytest.approx(bits(summed, count), rel=1e-5)
