"""The layers hold to the semantics of AWD-LSTM."""

import pytest
import torch
from dflm.model.language_model import AWDLSTM, Architecture, Dropouts
from dflm.model.layers import EmbeddingDropout, WeightDropLSTM, locked_dropout
from dflm.sequences.kmers import PAD
from torch import nn

NONE = Dropouts(output=0.0, hidden=0.0, input=0.0, embedding=0.0, weight=0.0)


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


def zero_state(layer: WeightDropLSTM, batch: int, dtype=torch.float32):
    return tuple(torch.zeros(1, batch, layer.hidden_size, dtype=dtype) for _ in range(2))


def test_without_dropout_the_layer_is_torchs_lstm_forward_and_backward():
    layer = WeightDropLSTM(5, 7, p=0.0)
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
    layer = WeightDropLSTM(3, 4, p=0.4).double()
    x = torch.randn(5, 2, 3, dtype=torch.float64, requires_grad=True)
    state = zero_state(layer, 2, torch.float64)

    def run(x, *parameters):
        torch.manual_seed(3)  # the same mask at every evaluation
        return layer(x, state)[0]

    assert torch.autograd.gradcheck(run, (x, *layer.parameters()))


def test_weight_dropout_masks_recurrent_weights_only_and_never_the_parameter():
    layer = WeightDropLSTM(4, 6, p=0.5)
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    layer.train()
    output, _ = layer(torch.randn(3, 2, 4), zero_state(layer, 2))
    output.sum().backward()
    for name, value in layer.state_dict().items():
        assert torch.equal(value, before[name])
    dropped = (layer.weight_hh.grad == 0).float().mean()
    assert 0.2 < dropped < 0.8  # a dropped weight gets no gradient
    assert (layer.weight_ih.grad != 0).all()
    # train -> eval -> train leaves the layer deterministic in evaluation
    layer.eval()
    x = torch.randn(3, 2, 4)
    a, _ = layer(x, zero_state(layer, 2))
    layer.train()
    layer(x, zero_state(layer, 2))
    layer.eval()
    b, _ = layer(x, zero_state(layer, 2))
    assert torch.equal(a, b)


def test_the_recurrent_mask_is_the_same_for_all_time_steps():
    # With w_hh dropped wholly or not at all per draw, one long pass equals a step-by-step
    # pass under the same draw only if the mask does not change within a call.
    layer = WeightDropLSTM(3, 5, p=0.5).train()
    x = torch.randn(6, 2, 3)
    torch.manual_seed(7)
    once, _ = layer(x, zero_state(layer, 2))
    torch.manual_seed(7)
    mask = nn.functional.dropout(torch.ones_like(layer.weight_hh), 0.5)
    reference = reference_lstm(layer)
    with torch.no_grad():
        reference.weight_hh_l0.mul_(mask)
    torch.testing.assert_close(once, reference(x)[0])


def test_locked_dropout_is_constant_over_time_and_scaled():
    x = torch.ones(9, 50, 40)
    y = locked_dropout(x, 0.25, training=True)
    assert torch.equal(y, y[:1].expand_as(y))
    assert y.unique().tolist() == pytest.approx([0.0, 1 / 0.75])
    assert y.mean() == pytest.approx(1.0, abs=0.05)
    assert locked_dropout(x, 0.25, training=False) is x
    assert locked_dropout(x, 0.0, training=True) is x


def test_embedding_dropout_drops_whole_rows_and_scales_the_rest():
    table = EmbeddingDropout(200, 8, p=0.3).train()
    tokens = torch.arange(200)
    rows = table(tokens)
    ratio = rows[1:] / table.weight[1:]
    per_row = ratio.nan_to_num(0.0)
    assert torch.allclose(per_row, per_row[:, :1].expand_as(per_row))
    assert 0.5 < (per_row[:, 0] != 0).float().mean() < 0.9
    assert torch.allclose(per_row[per_row != 0], torch.tensor(1 / 0.7))
    assert torch.equal(table.eval()(tokens), table.weight)
    assert (table.weight[PAD] == 0).all()


def test_windows_with_carried_state_equal_one_long_pass():
    encoder = AWDLSTM(Architecture(k=2, stride=1, embedding=6, hidden=9, layers=3), NONE)
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
