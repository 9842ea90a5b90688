"""Attributions: right gradients, credit that adds up, and agreement of the two methods."""

import numpy as np
import pytest
import torch
from dflm.errors import InputError
from dflm.mining.attribution.files import load_attributions, observed, save_attributions
from dflm.mining.attribution.gradients import (
    _gradient,
    _log_odds,
    embedded_as,
    integrated_gradients,
)
from dflm.mining.attribution.mutagenesis import hypothetical_of, mean_log_odds, mutation_effects
from dflm.mining.attribution.sequences import attribute
from dflm.mining.attribution.top_sites import plot_top_sites, top_sites
from dflm.mining.scoring import Scorer
from dflm.model.classifier import PoolingClassifier
from dflm.model.files import NO_DROPOUT
from dflm.sequences.kmers import N, reverse_complement
from planted import MOTIF, WIDTH, bound_sequences, plant, random_codes


@pytest.fixture(scope="module", params=["each strand", "both strands at once"])
def scorer(request, scorer):
    """The classifier of planted motifs, and one of its weights that reads both strands at once."""
    if request.param == "each strand":
        return scorer
    one = scorer.model
    shape = one.head_shape | {"strand_symmetric": True}
    model = PoolingClassifier(
        one.encoder.architecture, NO_DROPOUT, shape.pop("head_hidden"), 0.0, **shape
    )
    model.load_state_dict(one.state_dict())
    return Scorer(model, scorer.card, scorer.name, scorer.device, precision="fp32")


@pytest.fixture(scope="module")
def bound():
    codes = random_codes(np.random.default_rng(11), 12, WIDTH)
    for row in codes:
        plant(row, 15)
    return codes


@pytest.fixture(scope="module")
def effects(scorer, bound):
    return mutation_effects(scorer, bound)


def test_effects_are_differences_of_scores(scorer, bound, effects):
    before = mean_log_odds(scorer.score(bound[:1]))[0]
    for at, base in ((0, 1), (17, 0), (39, 3)):
        changed = bound[:1].copy()
        changed[0, at] = base
        expected = mean_log_odds(scorer.score(changed))[0] - before
        assert effects[0, at, base] == pytest.approx(expected, abs=1e-4)
    there = np.take_along_axis(effects, bound[..., None].astype(int), -1)
    assert (there == 0).all()


def test_effects_turn_with_the_sequence(scorer, bound, effects):
    turned = mutation_effects(scorer, reverse_complement(bound[:2]))
    assert turned[:, ::-1, ::-1] == pytest.approx(effects[:2], abs=1e-3)


def test_an_n_has_no_effect(scorer, bound):
    codes = bound[:1].copy()
    codes[0, 3] = N
    assert (mutation_effects(scorer, codes)[0, 3] == 0).all()
    assert (integrated_gradients(scorer, codes).hypothetical[0, 3] == 0).all()


def test_the_gradient_is_that_of_finite_differences(scorer, bound):
    tokens = scorer.tokens(bound[:4])
    read = scorer.model.as_read(tokens)
    point = scorer.model.encoder.embedding.weight[read].detach()
    gradient = _gradient(scorer.model, tokens, point)
    # Along the gradient itself, where differences stand out from the rounding of single precision.
    direction = gradient / gradient.norm()
    step = 1e-2
    high, low = (_log_odds(scorer.model, tokens, point + s * direction) for s in (step, -step))
    numeric = float((high.double() - low.double()).sum()) / (2 * step)
    assert float(gradient.norm()) == pytest.approx(numeric, rel=0.02)


def test_reading_embeddings_in_place_of_tokens_changes_nothing_afterwards(scorer, bound):
    tokens = scorer.tokens(bound[:2])
    point = scorer.model.encoder.embedding.weight[scorer.model.as_read(tokens)]
    before = scorer.model(tokens)
    with embedded_as(scorer.model, point):
        assert torch.equal(scorer.model(tokens), before)
    with embedded_as(scorer.model, torch.zeros_like(point)):
        assert not torch.equal(scorer.model(tokens), before)
    assert torch.equal(scorer.model(tokens), before)


def test_credit_adds_up_to_the_difference_of_the_scores(scorer, bound):
    """Completeness: the error falls with the number of steps, to under 3 % of the difference."""
    gaps = []
    for steps in (2, 64):
        found = integrated_gradients(scorer, bound, steps=steps, shuffles=4)
        difference = found.scores - found.baselines
        gaps.append(np.abs(found.contributions.sum(1) - difference).mean() / difference.mean())
    assert gaps[1] < gaps[0]
    assert gaps[1] < 0.03
    assert found.scores == pytest.approx(mean_log_odds(scorer.score(bound)), abs=1e-4)


def test_credit_does_not_depend_on_the_sequences_beside_it(scorer, bound):
    together = integrated_gradients(scorer, bound, seed=3)
    alone = integrated_gradients(scorer, bound[::-1][:2], seed=3)
    np.testing.assert_allclose(alone.contributions, together.contributions[::-1][:2], atol=1e-4)
    np.testing.assert_allclose(alone.baselines, together.baselines[::-1][:2], atol=1e-4)
    other = integrated_gradients(scorer, bound[:1], seed=4)
    assert abs(other.baselines[0] - together.baselines[0]) > 1e-3


def test_gradients_agree_with_mutagenesis(scorer, bound, effects):
    """Correlation over the bases of a sequence, as measured: mean at least 0.7."""
    fast = integrated_gradients(scorer, bound).contributions
    slow = observed(hypothetical_of(effects), bound)
    agreement = [np.corrcoef(x, y)[0, 1] for x, y in zip(fast, slow, strict=True)]
    print(f"mean correlation {np.mean(agreement):.3f}, least {np.min(agreement):.3f}")
    assert np.mean(agreement) > 0.7


def test_both_methods_credit_the_planted_motif(scorer, bound, effects):
    inside = slice(15, 15 + len(MOTIF))
    fast = integrated_gradients(scorer, bound).contributions
    slow = observed(hypothetical_of(effects), bound)
    for credit in (fast, slow):
        share = credit[:, inside].sum(1) / np.maximum(credit, 0).sum(1)
        assert np.median(share) > 0.6


def test_sequences_of_any_length_are_attributed_in_their_best_window(scorer, tmp_path):
    rng = np.random.default_rng(12)
    sequences = [random_codes(rng, 120), random_codes(rng, 25), random_codes(rng, 2)]
    plant(sequences[0], 70)
    found = attribute(scorer, ["long", "short", "none"], sequences, width=WIDTH, stride=5)
    assert found.names.tolist() == ["long", "short"]
    assert found.lengths.tolist() == [WIDTH, 25]
    assert found.starts[0] <= 70 <= found.starts[0] + WIDTH - len(MOTIF)
    assert (found.codes[1, 25:] == N).all()
    assert (found.hypothetical[1, 25:] == 0).all()
    (row, start), *_ = top_sites(found, 2, span=20)
    assert row == 0
    assert start + found.starts[0] <= 70
    assert start + found.starts[0] + 20 >= 70 + len(MOTIF)
    path = tmp_path / "a.npz"
    save_attributions(path, found)
    again = load_attributions(path)
    np.testing.assert_array_equal(again.hypothetical, found.hypothetical)
    np.testing.assert_array_equal(again.contributions, found.contributions)
    first = path.read_bytes()
    save_attributions(path, again)
    assert path.read_bytes() == first
    plot_top_sites(found, tmp_path / "a.svg", 2)
    assert (tmp_path / "a.svg").read_text().count("<svg") == 1


def test_files_that_are_none_of_ours_are_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        load_attributions(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", x=np.zeros(3))
    (tmp_path / "c.npz").write_text("nothing")
    for name in ("b.npz", "c.npz"):
        with pytest.raises(InputError, match="no attributions"):
            load_attributions(tmp_path / name)


def test_nothing_to_attribute_is_told(scorer):
    with pytest.raises(InputError, match="long enough"):
        attribute(scorer, ["x"], [np.zeros(2, dtype=np.uint8)], width=WIDTH, stride=5)
    with pytest.raises(InputError, match="method"):
        attribute(scorer, [], [], width=WIDTH, stride=5, method="guess")


def test_bound_sequences_are_bound(scorer):
    assert (
        scorer.score(bound_sequences(np.random.default_rng(13), 50)).probability > 0.5
    ).mean() > 0.9
