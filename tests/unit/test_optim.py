"""Schedules, discriminative rates and NT-ASGD."""

import copy
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from dflm.errors import InputError
from dflm.training.optim import NTASGD, OneCycle, adamw, clip_gradients, discriminative_rates
from torch import nn

SCRIPTS = Path(__file__).resolve().parents[2] / "workflow" / "scripts"
CYCLE = OneCycle((0.8, 0.7), 0.3, 25.0, 2.5e5)


def test_one_cycle_starts_peaks_and_ends_where_it_should():
    assert CYCLE.at(0.0) == pytest.approx((1 / 25, 0.8))
    assert CYCLE.at(0.3) == pytest.approx((1.0, 0.7))
    assert CYCLE.at(1.0) == pytest.approx((1 / 2.5e5, 0.8))
    rates = [CYCLE.at(i / 100)[0] for i in range(101)]
    assert rates[:31] == sorted(rates[:31])
    assert rates[30:] == sorted(rates[30:], reverse=True)


@pytest.mark.parametrize("bad", [{"pct_start": 1.0}, {"div": 0.5}, {"momentum": (0.8,)}])
def test_impossible_schedules_are_refused(bad):
    values = {"momentum": (0.8, 0.7), "pct_start": 0.3, "div": 25.0, "final_div": 1e4} | bad
    with pytest.raises(InputError):
        OneCycle(**values)


def test_discriminative_rates_of_eight_groups_are_dflms():
    rates = discriminative_rates(0.01, 2.6**4, 8)
    assert rates[-1] == pytest.approx(0.01)
    assert rates[0] == pytest.approx(0.01 / 2.6**4)
    assert [b / a for a, b in pairwise(rates)] == pytest.approx([2.6 ** (4 / 7)] * 7)
    assert discriminative_rates(0.01, 50.0, 1) == [0.01]


def test_adamw_is_torchs_and_leaves_the_compiler_alone():
    """In a process of its own, since one that has imported the compiler cannot tell."""
    code = """
import sys, torch
from dflm.training.optim import adamw
def train(optimizer_of):
    torch.manual_seed(0)
    model = torch.nn.Linear(4, 3)
    optimizer = optimizer_of(model)
    for batch in torch.randn(7, 5, 4):
        optimizer.zero_grad()
        model(batch).square().mean().backward()
        optimizer.step()
        optimizer.load_state_dict(optimizer.state_dict())
    return torch.cat([p.detach().flatten() for p in model.parameters()])
found = train(lambda model: adamw([(model, 0.1)], 0.3))
assert "torch._dynamo" not in sys.modules
expected = train(lambda model: torch.optim.AdamW([
    {"params": [model.weight], "weight_decay": 0.3}, {"params": [model.bias], "weight_decay": 0.0}
], lr=0.1, betas=(0.9, 0.99)))
assert "torch._dynamo" in sys.modules
torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7)
"""
    subprocess.run([sys.executable, "-c", code], cwd=SCRIPTS, check=True)


@pytest.mark.parametrize("fused", [True, False])
def test_adamw_takes_over_a_state_but_not_how_it_was_made(fused):
    model = nn.Linear(4, 3)
    optimizers = [adamw([(model, 0.1)], 0.3) for _ in range(2)]
    for group in optimizers[0].param_groups:
        group["fused"] = fused
    model(torch.ones(2, 4)).sum().backward()
    optimizers[0].step()
    state = copy.deepcopy(optimizers[0].state_dict())
    optimizers[1].load_state_dict(state)
    assert [group["fused"] for group in optimizers[1].param_groups] == [True, True]
    again = optimizers[1].state_dict()["state"]
    for number, moments in state["state"].items():
        assert all(torch.equal(again[number][name], value) for name, value in moments.items())
    optimizers[1].step()


def test_frozen_parameters_stay_and_vectors_are_not_decayed():
    a, b = nn.Linear(3, 3), nn.Linear(3, 3)
    a.requires_grad_(False)
    optimizer = adamw([(a, 0.1), (b, 0.2)], 0.3)
    assert [(g["peak_lr"], g["weight_decay"]) for g in optimizer.param_groups] == [
        (0.2, 0.3),
        (0.2, 0.0),
    ]
    CYCLE.apply(optimizer, 0.0)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.2 / 25)
    assert optimizer.param_groups[0]["betas"] == pytest.approx((0.8, 0.99))


def test_clipping_bounds_the_common_norm():
    parameters = [nn.Parameter(torch.zeros(3)), nn.Parameter(torch.zeros(2))]
    for p in parameters:
        p.grad = torch.full_like(p, 2.0)
    clip_gradients(parameters, None)
    assert parameters[0].grad[0] == 2.0
    clip_gradients(parameters, 0.25)
    assert torch.cat([p.grad for p in parameters]).norm() == pytest.approx(0.25, rel=1e-4)


def nt_asgd(start: float, nonmono: int = 2) -> tuple[nn.Parameter, NTASGD]:
    weight = nn.Parameter(torch.tensor([start]))
    return weight, NTASGD([weight], 0.1, 0.0, nonmono)


def test_nt_asgd_triggers_when_a_loss_is_worse_than_the_best_of_long_ago():
    _, optimizer = nt_asgd(1.0, nonmono=2)
    losses = [5.0, 4.0, 3.0, 3.5, 3.4, 3.3]
    # looked at when more than 2 losses stand; compared with the best but for the last 2
    assert [optimizer.observe(loss) for loss in losses] == [False] * 5 + [True]
    assert optimizer.triggered
    assert not optimizer.observe(9.0)


def test_averaging_is_the_mean_of_the_weights_since_the_trigger():
    weight, optimizer = nt_asgd(1.0)
    for loss in (1.0, 1.0, 1.0, 2.0):
        optimizer.observe(loss)
    assert optimizer.triggered
    seen = []
    for scale in (1.0, 0.5, 1.0, 2.0):
        before = float(weight.detach())
        weight.grad = torch.ones(1)
        optimizer.step(scale)
        assert before - float(weight.detach()) == pytest.approx(0.1 * scale, rel=1e-5)
        seen.append(float(weight.detach()))
    last = float(weight.detach())
    optimizer.swap_average()
    # With t0 = 0, as in Merity et al., torch's ASGD restarts the mean at the second step.
    assert float(weight.detach()) == pytest.approx(sum(seen[1:]) / len(seen[1:]), rel=1e-5)
    optimizer.swap_average()
    assert float(weight.detach()) == last


def test_nt_asgd_goes_on_from_its_state():
    weight, optimizer = nt_asgd(1.0)
    for loss in (1.0, 1.0, 1.0, 2.0):
        optimizer.observe(loss)
    weight.grad = torch.ones(1)
    optimizer.step()
    again, other = nt_asgd(float(weight.detach()))
    other.load_state_dict(optimizer.state_dict())
    for w, o in ((weight, optimizer), (again, other)):
        w.grad = torch.full((1,), 0.5)
        o.step()
        o.swap_average()
    assert torch.equal(weight, again)
    assert other.losses == optimizer.losses


def test_nt_asgd_goes_on_from_the_state_of_another_device():
    weight, optimizer = nt_asgd(1.0)
    for loss in (1.0, 1.0, 1.0, 2.0):
        optimizer.observe(loss)
    state = optimizer.state_dict()
    state["optimizer"]["param_groups"][0]["capturable"] = True  # as a GPU leaves it
    optimizer.load_state_dict(state)
    weight.grad = torch.ones(1)
    optimizer.step()  # torch refuses this setting on the CPU
    assert weight.item() == pytest.approx(0.9)
