"""The layers hold to the semantics of AWD-LSTM."""

import pytest
import torch
from dflm.model.language_model import AWDLSTM, Architecture, Dropouts, LanguageModel
from dflm.model.layers import EmbeddingDropout, WeightDropLSTM, apply_mask, draw_masks
from dflm.sequences.kmers import PAD
from torch import nn

NONE = Dropouts(output=0.0, hidden=0.0, input=0.0, embedding=0.0, weight=0.0)
ALL = Dropouts(output=0.4, hidden=0.3, input=0.2, embedding=0.1, weight=0.5)
SMALL = Architecture(k=2, stride=1, embedding=6, hidden=9, layers=3)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def reference_lstm(layer: WeightDropLSTM) -> nn.LSTM:
    reference = nn.LSTM(layer.input_size, layer.hidden_size)
    with torch.no_grad():
        reference.weight_ih_l0.copy_(layer.weight_ih)
        reference.weight_hh_l0.copy_(layer.weight_hh)
        reference.bias_ih_l0.copy_(layer.bias_ih)
        reference.bias_hh_l0.copy_(layer.bias_hh)
    return reference


def draw(shape, p, like=None):
    return draw_masks([(shape, p)], torch.empty(0) if like is None else like, together=False)[0]


def zero_state(layer: WeightDropLSTM, batch: int, dtype=torch.float32):
    return tuple(torch.zeros(1, batch, layer.hidden_size, dtype=dtype) for _ in range(2))


def test_without_dropout_the_layer_is_torchs_lstm_forward_and_backward():
    layer = WeightDropLSTM(5, 7)
    reference = reference_lstm(layer)
    x = torch.randn(11, 3, 5)
    ours, (h, c) = layer(x, zero_state(layer, 3))
    theirs, (h_ref, c_ref) = reference(x)
    for a, b in ((ours, theirs), (h, h_ref), (c, c_ref)):
        torch.testing.assert_close(a, b)
    ours.pow(2).sum().backward()
    theirs.pow(2).sum().backward()
    torch.testing.assert_close(layer.weight_hh.grad, reference.weight_hh_l0.grad)
    torch.testing.assert_close(layer.weight_ih.grad, reference.weight_ih_l0.grad)
    torch.testing.assert_close(layer.bias_ih.grad, reference.bias_ih_l0.grad)


def test_gradients_of_a_weight_dropped_layer_are_right_in_float64():
    layer = WeightDropLSTM(3, 4).double()
    x = torch.randn(5, 2, 3, dtype=torch.float64, requires_grad=True)
    state = zero_state(layer, 2, torch.float64)
    mask = draw((16, 4), 0.4, like=x)

    def run(x, *parameters):
        return layer(x, state, mask)[0]

    assert torch.autograd.gradcheck(run, (x, *layer.parameters()))


def test_weight_dropout_masks_recurrent_weights_only_and_never_the_parameter():
    layer = WeightDropLSTM(4, 6)
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    x, mask = torch.randn(3, 2, 4), draw((24, 6), 0.5)
    output, _ = layer(x, zero_state(layer, 2), mask)
    output.sum().backward()
    for name, value in layer.state_dict().items():
        assert torch.equal(value, before[name])
    assert 0.2 < (mask == 0).float().mean() < 0.8
    assert (layer.weight_hh.grad[mask == 0] == 0).all()  # a dropped weight gets no gradient
    assert (layer.weight_hh.grad[mask != 0] != 0).all()
    assert (layer.weight_ih.grad != 0).all()


def test_a_masked_layer_is_torchs_lstm_with_masked_recurrent_weights():
    layer = WeightDropLSTM(3, 5)
    x, mask = torch.randn(6, 2, 3), draw((20, 5), 0.5)
    reference = reference_lstm(layer)
    with torch.no_grad():
        reference.weight_hh_l0.mul_(mask)
    torch.testing.assert_close(layer(x, zero_state(layer, 2), mask)[0], reference(x)[0])


def test_a_mask_over_features_is_constant_over_time():
    x = torch.ones(9, 50, 40)
    y = apply_mask(x, draw((1, 50, 40), 0.25))
    assert torch.equal(y, y[:1].expand_as(y))
    assert apply_mask(x, None) is x
    assert apply_mask(x.bfloat16(), draw((1, 50, 40), 0.25)).dtype == torch.bfloat16


@pytest.mark.parametrize("together", [False, True])
def test_masks_have_their_probability_and_scale(together):
    shapes = [((40, 50), 0.25), ((3,), 0.0), ((1, 60, 30), 0.25), ((2000, 1), 0.5)]
    masks = draw_masks(shapes, torch.empty(0), together)
    assert masks[1] is None
    for mask, (shape, p) in zip(masks[:1] + masks[2:], shapes[:1] + shapes[2:], strict=True):
        assert mask.shape == shape
        assert mask.unique().tolist() == pytest.approx([0.0, 1 / (1 - p)])
        assert mask.mean() == pytest.approx(1.0, abs=0.1)
    assert not torch.equal(masks[0].flatten()[:1800], masks[2].flatten())


def test_a_mask_over_the_embedding_drops_whole_rows():
    table = EmbeddingDropout(200, 8)
    tokens = torch.arange(200)
    mask = draw((200, 1), 0.3)
    torch.testing.assert_close(table(tokens, mask), table.weight * mask)
    assert torch.equal(table(tokens), table.weight)
    assert (table.weight[PAD] == 0).all()


def test_a_windows_masks_fall_where_they_should():
    encoder = AWDLSTM(SMALL, ALL)
    masks = encoder.draw_masks(4)
    assert masks.embedding.shape == (17, 1)
    assert masks.input.shape == (1, 4, 6)
    assert [m.shape for m in masks.weights] == [(36, 9), (36, 9), (24, 6)]
    assert [m.shape for m in masks.outputs] == [(1, 4, 9), (1, 4, 9), (1, 4, 6)]
    scales = [masks.embedding, masks.input, masks.weights[1], masks.outputs[0], masks.outputs[2]]
    for mask, p in zip(scales, (0.1, 0.2, 0.5, 0.3, 0.4), strict=True):
        assert float(mask.max()) == pytest.approx(1 / (1 - p))
    assert encoder.eval().draw_masks(4) == (None, None, [None] * 3, [None] * 3)


def test_each_mask_falls_on_its_place_in_the_stack_and_the_decoder_is_never_dropped():
    model, tokens = LanguageModel(SMALL, ALL), torch.randint(1, 17, (4, 12))
    encoder, masks = model.encoder, model.encoder.draw_masks(4)
    logits, encoded = model(tokens, None, masks)
    table = encoder.embedding.weight
    x = (table * masks.embedding)[tokens.t()] * masks.input
    for layer, weights, output in zip(encoder.layers, masks.weights, masks.outputs, strict=True):
        reference = reference_lstm(layer)
        with torch.no_grad():
            reference.weight_hh_l0.mul_(weights)
        raw = reference(x)[0]
        x = raw * output
    torch.testing.assert_close(encoded.raw, raw.transpose(0, 1))
    torch.testing.assert_close(encoded.dropped, x.transpose(0, 1))
    expected = x.transpose(0, 1) @ table.t() + model.decoder.bias
    words = [word for word in range(17) if word != PAD]
    torch.testing.assert_close(logits[..., words], expected[..., words])


def test_training_draws_a_windows_masks_and_evaluation_drops_nothing():
    encoder, tokens = AWDLSTM(SMALL, ALL), torch.randint(1, 17, (4, 12))
    torch.manual_seed(5)
    drawn = encoder(tokens).dropped
    torch.manual_seed(5)
    given = encoder(tokens, masks=encoder.draw_masks(4)).dropped
    assert torch.equal(drawn, given)
    assert not torch.equal(drawn, encoder(tokens).dropped)
    plain = AWDLSTM(SMALL, NONE)
    plain.load_state_dict(encoder.state_dict())
    assert torch.equal(encoder.eval()(tokens).dropped, plain(tokens).dropped)


def test_windows_with_carried_state_equal_one_long_pass():
    encoder = AWDLSTM(SMALL, NONE)
    tokens = torch.randint(1, 17, (4, 30))
    whole = encoder(tokens)
    state, parts = None, []
    for start, end in ((0, 7), (7, 8), (8, 21), (21, 30)):
        encoded = encoder(tokens[:, start:end], state)
        state = encoded.state
        parts.append(encoded.raw)
    torch.testing.assert_close(torch.cat(parts, 1), whole.raw)
    for (h, c), (h_ref, c_ref) in zip(state, whole.state, strict=True):
        torch.testing.assert_close(h, h_ref)
        torch.testing.assert_close(c, c_ref)


def test_widths_run_from_embedding_over_hidden_to_embedding():
    encoder = AWDLSTM(Architecture(k=1, stride=1, embedding=6, hidden=9, layers=4), NONE)
    shapes = [(layer.input_size, layer.hidden_size) for layer in encoder.layers]
    assert shapes == [(6, 9), (9, 9), (9, 9), (9, 6)]
