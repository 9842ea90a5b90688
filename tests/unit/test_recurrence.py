"""The time loop against torch's kernel, against differences, and the rule that chooses it."""

from functools import partial

import pytest
import torch
from dflm.model.layers import WeightDropLSTM
from dflm.model.recurrence import LOOP_SHARE, LOOP_WIDTH, lstm, takes_time_loop, time_loop
from torch import _VF


def layer(steps, batch, width, hidden, dtype=torch.float32):
    """An input, a state and weights, all of which want gradients."""
    torch.manual_seed(3)
    shapes = [(4 * hidden, width), (4 * hidden, hidden), (4 * hidden,), (4 * hidden,)]
    bound = hidden**-0.5
    weights = [torch.empty(shape, dtype=dtype).uniform_(-bound, bound) for shape in shapes]
    x = torch.randn(steps, batch, width, dtype=dtype)
    state = [torch.randn(1, batch, hidden, dtype=dtype) for _ in "hc"]
    return (
        x.requires_grad_(),
        [s.requires_grad_() for s in state],
        [weight.requires_grad_() for weight in weights],
    )


def by_torch(x, state, weights):
    output, h, c = _VF.lstm(x, tuple(state), weights, True, 1, 0.0, True, False, False)
    return output, (h, c)


def results(run, x, state, weights):
    """Output and state, then the gradients of x, state and weights for random ones of those."""
    output, (h, c) = run(x, state, weights)
    torch.manual_seed(5)
    loss = sum((part * torch.randn(part.shape, dtype=part.dtype)).sum() for part in (output, h, c))
    return [output, h, c, *torch.autograd.grad(loss, [x, *state, *weights])]


@pytest.mark.parametrize(("steps", "batch"), [(1, 1), (1, 4), (7, 1), (9, 5)])
def test_the_loop_equals_torchs_kernel(steps, batch):
    for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 2e-5)):
        made = layer(steps, batch, 6, 10, dtype)
        ours = results(lambda *args: time_loop(*args, args[0].dtype), *made)
        for a, b in zip(ours, results(by_torch, *made), strict=True):
            torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


def test_the_backward_pass_equals_differences():
    x, state, weights = layer(4, 3, 2, 3, torch.float64)

    def flat(x, h, c, *weights):
        output, after = time_loop(x, (h, c), list(weights), torch.float64)
        return output, *after

    assert torch.autograd.gradcheck(flat, (x, *state, *weights))


def test_windows_with_carried_state_equal_one_pass():
    x, state, weights = layer(8, 2, 3, 4, torch.float64)
    whole, last = time_loop(x, state, weights, torch.float64)
    first, between = time_loop(x[:3], state, weights, torch.float64)
    second, after = time_loop(x[3:], between, weights, torch.float64)
    torch.testing.assert_close(torch.cat([first, second]), whole)
    torch.testing.assert_close(after, last)


def test_a_frozen_layer_gets_no_gradient_and_hands_it_on():
    x, state, weights = layer(5, 2, 3, 4)
    wanted = results(by_torch, x, state, weights)[3]
    frozen = [weight.detach() for weight in weights]
    output, (h, c) = time_loop(x, [s.detach() for s in state], frozen, torch.float32)
    torch.manual_seed(5)
    loss = sum((part * torch.randn(part.shape)).sum() for part in (output, h, c))
    loss.backward()
    torch.testing.assert_close(x.grad, wanted, rtol=2e-5, atol=2e-5)
    assert all(weight.grad is None for weight in weights)


def test_bf16_products_stay_close_and_the_state_stays_float32():
    made = layer(30, 8, 16, 32)
    exact = results(by_torch, *made)
    ours = results(lambda *args: time_loop(*args, torch.bfloat16), *made)
    for a, b in zip(ours, exact, strict=True):
        assert a.dtype == torch.float32
        # bf16 has 8 bits; of the gradients, sums over time, the norm counts.
        assert (a - b).norm() < 0.02 * b.norm()
    assert not torch.equal(ours[0], exact[0])


def test_the_rule_takes_the_loop_to_learn_wide_layers_in_bf16_or_where_there_is_nothing_else():
    most = LOOP_WIDTH // LOOP_SHARE
    assert not takes_time_loop(LOOP_WIDTH, most, True)
    else_none = not torch.ops.mkldnn._is_mkldnn_bf16_supported()
    with torch.autocast("cpu", torch.bfloat16):
        assert takes_time_loop(LOOP_WIDTH, most, True)
        assert takes_time_loop(LOOP_WIDTH, most + 1, True) == else_none
        assert takes_time_loop(LOOP_WIDTH - 1, 1, True) == else_none
        assert takes_time_loop(LOOP_WIDTH, most, False) == else_none
    x, state, weights = layer(3, 2, 4, LOOP_WIDTH)
    assert torch.equal(lstm(x, state, weights)[0], by_torch(x, state, weights)[0])
    frozen = x.detach(), [s.detach() for s in state], [weight.detach() for weight in weights]
    with torch.autocast("cpu", torch.bfloat16):
        looped = time_loop(x, state, weights, torch.bfloat16)[0]
        assert torch.equal(lstm(x, state, weights)[0], looped)
        with torch.no_grad():
            predicted = lstm(x, state, weights)[0]
        assert torch.equal(predicted, lstm(*frozen)[0])
        assert torch.equal(predicted, looped if else_none else by_torch(*frozen)[0])
    torch.testing.assert_close(predicted.float(), looped, rtol=0.05, atol=0.02)


@pytest.mark.parametrize("batch", [1, 5, 32])
def test_products_in_onednns_order_equal_plain_ones(monkeypatch, batch):
    made = layer(6, batch, 40, 48)
    run = partial(time_loop, dtype=torch.bfloat16)
    ordered = results(run, *made)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    for a, b in zip(ordered, results(run, *made), strict=True):
        assert (a - b).norm() < 0.01 * b.norm()  # some results round the other way


def test_wide_and_narrow_layers_follow_each_other_in_bf16():
    torch.manual_seed(1)
    stack = [WeightDropLSTM(8, LOOP_WIDTH), WeightDropLSTM(LOOP_WIDTH, 8)]
    x = torch.randn(3, 2, 8)
    state = [tuple(torch.zeros(1, 2, n) for _ in "hc") for n in (LOOP_WIDTH, 8)]
    for _ in range(2):  # the second window takes the state that the first one left
        exact, low = x, x
        for i, one in enumerate(stack):
            exact, _ = one(exact, state[i])
            with torch.autocast("cpu", torch.bfloat16):
                low, state[i] = one(low, state[i])
        torch.testing.assert_close(low.float(), exact, rtol=0.05, atol=0.02)
        state = [tuple(part.detach() for part in pair) for pair in state]
    low.float().sum().backward()
    assert all(p.grad.isfinite().all() and p.grad.any() for one in stack for p in one.parameters())
