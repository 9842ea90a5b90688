"""The language model, its losses and its files."""

import json
import math

import numpy as np
import pytest
import torch
from dflm.errors import InputError
from dflm.model.classifier import Detectors, PoolingClassifier, concat_pool
from dflm.model.files import (
    NO_DROPOUT,
    load_classifier,
    load_language_model,
    save_model,
)
from dflm.model.language_model import Architecture, Dropouts, LanguageModel
from dflm.model.losses import (
    LanguageModelScore,
    activation_penalty,
    next_token_loss,
    temporal_penalty,
    training_loss,
)
from dflm.sequences.kmers import PAD, N, kmer_ids, reverse_complement
from torch.nn import functional

SMALL = Architecture(k=2, stride=1, embedding=6, hidden=8, layers=2)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def test_decoder_is_tied_and_pad_is_never_predicted():
    model = LanguageModel(SMALL, NO_DROPOUT)
    tokens = torch.randint(1, 17, (3, 10))
    logits, encoded = model(tokens)
    assert logits.shape == (3, 10, 17)
    assert torch.isneginf(logits[..., PAD]).all()
    by_hand = encoded.raw @ model.encoder.embedding.weight.t() + model.decoder.bias
    torch.testing.assert_close(logits[..., 1:], by_hand[..., 1:])
    loss, _ = next_token_loss(logits, tokens, tokens)
    loss.backward()
    assert (model.encoder.embedding.weight.grad[PAD] == 0).all()
    assert model.decoder.bias.grad[PAD] == 0
    assert torch.isfinite(loss)


def test_dropout_of_the_output_reaches_the_decoder_but_not_tar():
    dropouts = Dropouts(output=0.5, hidden=0.0, input=0.0, embedding=0.0, weight=0.0)
    _, encoded = LanguageModel(SMALL, dropouts).train()(torch.randint(1, 17, (3, 10)))
    zero = encoded.dropped == 0
    assert zero.any()
    assert not (encoded.raw == 0).any()
    torch.testing.assert_close(encoded.dropped[~zero], 2 * encoded.raw[~zero])


def test_the_loss_takes_the_dropped_output_for_ar_and_words_and_the_raw_one_for_tar():
    dropouts = Dropouts(output=0.5, hidden=0.0, input=0.0, embedding=0.0, weight=0.0)
    model = LanguageModel(SMALL, dropouts).train()
    tokens, targets = torch.randint(1, 17, (2, 3, 10))
    logits, encoded = model(tokens)
    table = model.encoder.embedding.weight
    by_hand = encoded.dropped @ table.T + model.decoder.bias
    torch.testing.assert_close(logits[..., 1:], by_hand[..., 1:])
    loss, _, _ = training_loss(logits, encoded, tokens, targets, alpha=2.0, beta=3.0)
    words = functional.cross_entropy(by_hand[..., 1:].reshape(-1, 16), targets.reshape(-1) - 1)
    ar = 2.0 * encoded.dropped.pow(2).mean()
    tar = 3.0 * (encoded.raw[:, 1:] - encoded.raw[:, :-1]).pow(2).mean()
    torch.testing.assert_close(loss, words + ar + tar)


def test_ar_and_tar_by_hand():
    h = torch.tensor([[[1.0, 2.0], [3.0, 5.0], [0.0, 1.0]]])  # (1, 3, 2)
    assert float(activation_penalty(h, 2.0)) == pytest.approx(2 * (1 + 4 + 9 + 25 + 0 + 1) / 6)
    assert float(temporal_penalty(h, 1.5)) == pytest.approx(1.5 * (4 + 9 + 9 + 16) / 4)
    assert float(temporal_penalty(h[:, :1], 1.0)) == 0.0


def test_positions_next_to_padding_do_not_count():
    tokens = torch.tensor([[5, 0, 0, 7, 8]])
    targets = torch.tensor([[0, 0, 7, 8, 9]])
    logits = torch.zeros(1, 5, 17)
    loss, count = next_token_loss(logits, tokens, targets)
    assert int(count) == 2  # 7 -> 8 and 8 -> 9
    assert float(loss) == pytest.approx(2 * math.log(17))


def test_bits_per_base_of_a_uniform_guess_over_four_successors_is_two():
    score = LanguageModelScore(bases_per_token=1)
    logits = torch.full((1, 4, 17), float("-inf"))
    logits[..., 1:5] = 0.0
    score.add(logits, torch.ones(1, 4).long(), torch.tensor([[1, 2, 3, 4]]))
    result = score.as_dict()
    assert result["bits_per_base"] == pytest.approx(2.0)
    assert result["perplexity"] == pytest.approx(4.0)
    assert result["tokens"] == 4
    assert LanguageModelScore(1).as_dict()["bits_per_base"] is None


def test_concat_pool_by_hand_leaves_padding_out():
    output = torch.tensor([[[1.0], [4.0], [-2.0], [9.0]], [[-5.0], [-3.0], [7.0], [8.0]]])
    tokens = torch.tensor([[1, 2, 3, PAD], [4, 5, PAD, PAD]])
    pooled = concat_pool(output, tokens)
    torch.testing.assert_close(pooled, torch.tensor([[-2.0, 4.0, 1.0], [-3.0, -3.0, -4.0]]))
    assert torch.equal(concat_pool(output, torch.zeros_like(tokens)), torch.zeros(2, 3))


@pytest.mark.parametrize("size", [2, 3])
def test_detectors_by_hand_look_past_the_ends_and_leave_padding_out(size):
    detectors = Detectors(1, 1, size).eval()
    # What stands before a token, less the token itself.
    detectors.convolution.weight.data = torch.tensor([[[1.0, -1.0, 0.0][:size]]])
    embedded = torch.tensor([[[1.0], [3.0], [2.0], [0.0], [0.0]]])
    tokens = torch.tensor([[7, 8, 9, PAD, PAD]])
    # 0 - 1, 1 - 3, 3 - 2: nothing lies before the first, and only the last is above zero.
    expected = torch.tensor([[1.0, 1 / 3]]) / (1 + 1e-5) ** 0.5
    torch.testing.assert_close(detectors(embedded, tokens), expected)


@pytest.mark.parametrize("width", [4, 5])
@pytest.mark.parametrize("detectors", [0, 6])
def test_a_padded_sequence_is_classified_as_the_bare_one(detectors, width):
    model = PoolingClassifier(SMALL, NO_DROPOUT, 5, 0.0, detectors, width).eval()
    tokens = torch.randint(1, 17, (2, 9))
    padded = torch.cat([tokens, torch.zeros(2, 4).long()], 1)
    torch.testing.assert_close(model(tokens), model(padded))


def both_strands(codes):
    """Return the tokens of sequences of both strands, shorter ones filled up at the end."""
    strands = codes, [reverse_complement(one) for one in codes]
    width = max(len(one) for one in codes)
    rows = [[np.pad(one, (0, width - len(one)), constant_values=N) for one in s] for s in strands]
    return [torch.from_numpy(kmer_ids(np.array(s), SMALL.k)).long() for s in rows]


@pytest.mark.parametrize("detectors", [0, 6])
def test_a_strand_symmetric_classifier_cannot_tell_strands_apart(detectors):
    rng = np.random.default_rng(1)
    codes = [rng.integers(0, 4, size, dtype=np.uint8) for size in (20, 20, 13)]
    codes[1][7] = N
    forward, reverse = both_strands(codes)
    model = PoolingClassifier(SMALL, NO_DROPOUT, 5, 0.0, detectors, 4, strand_symmetric=True).eval()
    torch.testing.assert_close(model(forward), model(reverse))
    assert model(forward).shape == (3, 2)
    one = PoolingClassifier(SMALL, NO_DROPOUT, 5, 0.0, detectors, 4).eval()
    one.load_state_dict(model.state_dict())
    assert not torch.allclose(one(forward), one(reverse))


def test_a_strand_symmetric_classifier_averages_what_is_pooled_on_each_strand():
    codes = np.random.default_rng(2).integers(0, 4, (3, 20), dtype=np.uint8)
    model = PoolingClassifier(SMALL, NO_DROPOUT, 5, 0.0, 6, 4, strand_symmetric=True).eval()
    one = PoolingClassifier(SMALL, NO_DROPOUT, 5, 0.0, 6, 4).eval()
    one.load_state_dict(model.state_dict())
    head, one.head = one.head, torch.nn.Identity()
    forward, reverse = both_strands(codes)
    torch.testing.assert_close(model(forward), head((one(forward) + one(reverse)) / 2))


def test_detectors_read_the_embedding_and_the_head_reads_them():
    model = PoolingClassifier(SMALL, NO_DROPOUT, 5, 0.0, 6, 4).train()
    for layer in model.encoder.layers:  # so that nothing comes by the encoder
        layer.requires_grad_(False)
        for parameter in layer.parameters():
            parameter.zero_()
    model(torch.randint(1, 17, (8, 9)))[:, 1].square().sum().backward()
    assert float(model.encoder.embedding.weight.grad.abs().sum()) > 0
    assert float(model.detectors.convolution.weight.grad.abs().sum()) > 0


@pytest.mark.parametrize("detectors", [0, 6])
def test_freeze_to_counts_groups_from_the_head(detectors):
    model = PoolingClassifier(SMALL, NO_DROPOUT, 5, 0.0, detectors, 4)
    groups = model.groups()
    assert len(groups) == SMALL.layers + 2
    for trainable in range(1, len(groups) + 1):
        model.freeze_to(trainable)
        learning = [all(p.requires_grad for p in group.parameters()) for group in groups]
        assert learning == [i >= len(groups) - trainable for i in range(len(groups))]
    assert sum(p.numel() for g in groups for p in g.parameters()) == sum(
        p.numel() for p in model.parameters()
    )


@pytest.mark.parametrize(("name", "p"), [("weight", 1.0), ("input", -0.1)])
def test_dropouts_out_of_range_are_named(name, p):
    values = dict.fromkeys(("output", "hidden", "input", "embedding", "weight"), 0.1) | {name: p}
    with pytest.raises(InputError, match=f"dropout.{name}"):
        Dropouts(**values)


# --- files ---------------------------------------------------------------------------------


@pytest.fixture
def saved(tmp_path):
    model = LanguageModel(SMALL, NO_DROPOUT)
    weights, card = tmp_path / "model.safetensors", tmp_path / "model.json"
    save_model(model, weights, card, training={"seed": 1}, metrics={"loss": 1.0})
    return model, weights, card


def test_a_model_comes_back_as_it_was_saved(saved, tmp_path):
    model, weights, card = saved
    again = load_language_model(weights, card, NO_DROPOUT)
    assert again.encoder.architecture == SMALL
    for name, value in model.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])
    first = weights.read_bytes(), card.read_bytes()
    save_model(again, weights, card, training={"seed": 1}, metrics={"loss": 1.0})
    assert (weights.read_bytes(), card.read_bytes()) == first


def test_scores_are_told_apart_although_the_encoder_runs_in_bfloat16():
    model = PoolingClassifier(SMALL, NO_DROPOUT, 5, 0.0, 6, 4).eval()
    tokens = torch.randint(1, SMALL.vocabulary, (200, 30))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        logits = model(tokens)
    assert logits.dtype == torch.float32
    assert len((logits[:, 1] - logits[:, 0]).unique()) > 190


@pytest.mark.parametrize(("detectors", "symmetric"), [(0, False), (6, False), (6, True)])
def test_a_classifier_comes_back_in_evaluation_mode(tmp_path, detectors, symmetric):
    model = PoolingClassifier(SMALL, NO_DROPOUT, 5, 0.1, detectors, 4, symmetric).eval()
    weights, card = tmp_path / "c.safetensors", tmp_path / "c.json"
    save_model(model, weights, card, training={}, metrics={})
    again = load_classifier(weights, card)
    tokens = torch.randint(0, 17, (4, 12))
    assert not again.training
    assert torch.equal(model(tokens), again(tokens))


def test_a_classifier_of_before_there_were_choices_is_read(tmp_path):
    model = PoolingClassifier(SMALL, NO_DROPOUT, 5, 0.1).eval()
    weights, card = tmp_path / "c.safetensors", tmp_path / "c.json"
    save_model(model, weights, card, training={}, metrics={})
    edit(card, lambda content: [content["architecture"].pop(x) for x in LATER_KEYS])
    tokens = torch.randint(0, 17, (4, 12))
    assert torch.equal(model(tokens), load_classifier(weights, card)(tokens))


LATER_KEYS = ("detectors", "detector_width", "strand_symmetric")


def edit(card, change):
    content = json.loads(card.read_text())
    change(content)
    card.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda w, c: c.unlink(), "no model card: there is no such file"),
        (lambda w, c: c.write_text("{"), "no model card: not a JSON file"),
        (lambda w, c: c.write_text("[]"), "no model card: holds no JSON object"),
        (lambda w, c: w.unlink(), "no such weights"),
        (lambda w, c: w.write_bytes(w.read_bytes()[:-5]), "checksum"),
        (lambda w, c: w.write_bytes(b"\x00" + w.read_bytes()[1:]), "checksum"),
        (lambda w, c: edit(c, lambda x: x.update(format="dflm-classifier")), "format"),
        (lambda w, c: edit(c, lambda x: x.update(format_version=99)), "format version"),
        (lambda w, c: edit(c, lambda x: x["architecture"].update(hidden=16)), "asks for"),
        (lambda w, c: edit(c, lambda x: x["architecture"].update(hidden=4)), "do not fit"),
        (lambda w, c: edit(c, lambda x: x["architecture"].pop("hidden")), "architecture"),
        (lambda w, c: edit(c, lambda x: x["architecture"].update(hidden=0)), "hidden"),
        (lambda w, c: edit(c, lambda x: x["vocabulary"].update(size=9)), "vocabulary"),
        (lambda w, c: edit(c, lambda x: x["vocabulary"].update(k=99)), "k"),
    ],
)
def test_damaged_or_lying_files_are_refused_with_a_message(saved, damage, message):
    _, weights, card = saved
    damage(weights, card)
    with pytest.raises(InputError, match=message):
        load_language_model(weights, card, NO_DROPOUT)


def test_weights_with_a_lying_header_are_refused(saved):
    from dflm.files import sha256_of

    _, weights, card = saved
    weights.write_bytes((2**40).to_bytes(8, "little") + b"{}")
    edit(card, lambda x: x.update(sha256=sha256_of(weights)))
    with pytest.raises(InputError, match="safetensors"):
        load_language_model(weights, card, NO_DROPOUT)
