"""The best weights are kept, and an epoch without better ones is waited out."""

import pytest
import torch
from dflm.training.best import BestWeights
from torch import nn


def observed(best, scores, waits=True):
    """Let each score be that of a layer whose weight is the score; return the layer."""
    layer = nn.Linear(1, 1, bias=False)
    for score in scores:
        nn.init.constant_(layer.weight, score)
        best.observe(layer, {"auroc": score, "epoch": score}, waits)
    return layer


def test_the_first_of_equally_good_ones_is_kept_as_it_was():
    best = BestWeights(None)
    layer = observed(best, [0.5, 0.9, 0.7, 0.9])
    assert best.found == {"auroc": 0.9, "epoch": 0.9}
    assert best.waited == 2
    nn.init.zeros_(layer.weight)  # what was kept is a copy
    assert float(best.weights["weight"]) == pytest.approx(0.9)
    assert not best.out_of_patience


def test_patience_ends_when_no_better_one_came_for_so_many_epochs():
    best = BestWeights(2)
    observed(best, [0.5, 0.4])
    assert not best.out_of_patience
    observed(best, [0.6, 0.6])
    assert not best.out_of_patience
    observed(best, [0.1])
    assert best.out_of_patience


def test_epochs_that_do_not_wait_cost_no_patience():
    best = BestWeights(1)
    observed(best, [0.9, 0.5, 0.5], waits=False)
    assert not best.out_of_patience
    observed(best, [0.5])
    assert best.out_of_patience


def test_it_goes_on_from_its_state():
    best, other = BestWeights(3), BestWeights(3)
    observed(best, [0.9, 0.5])
    other.load_state_dict(best.state_dict())
    for each in (best, other):
        observed(each, [0.2, 0.8])
    assert other.out_of_patience
    assert torch.equal(best.weights["weight"], other.weights["weight"])
    assert best.state_dict() == other.state_dict()
