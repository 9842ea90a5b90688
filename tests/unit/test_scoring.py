"""One home of scores: what the workflow predicts is what every command scores."""

import json
import shutil

import numpy as np
import pytest
import torch
from dflm.calibration import scaled
from dflm.errors import InputError
from dflm.mining.predict import best_windows, prediction_rows, tile_starts
from dflm.mining.scoring import Scorer, StrandScores, other_strand
from dflm.sequences.kmers import N, decode, encode, reverse_complement
from dflm.training.batches import SequenceBatches
from dflm.training.predict import strand_probabilities
from planted import MOTIF, WIDTH, bound_sequences, plant, random_codes


def copied(model, folder, **changes):
    """Copy a model with changes of its card."""
    target = folder / "COPY"
    shutil.copytree(model, target)
    card = json.loads((target / "model.json").read_text())
    (target / "model.json").write_text(json.dumps(card | changes))
    return target


def calibration_of(**changes):
    """Return a calibration as training writes it, with changes."""
    one = {"temperature": 1.0, "thresholds": {"max_mcc": {"threshold": 0.5}}}
    return dict.fromkeys(("both_strands", "one_strand"), one | changes)


def test_scores_are_those_of_the_workflow(scorer):
    rng = np.random.default_rng(0)
    texts = [decode(random_codes(rng, length)) for length in (40, 40, 33, 12, 40, 25)]
    texts[1] = "NNN" + texts[1][3:30] + "N" * 10  # Ns at the ends are no filling
    batches = SequenceBatches(texts, None, 3, 1, torch.device("cpu"))
    forward, reverse = strand_probabilities(scorer.model, batches, 4, "fp32")
    scores = scorer.score_list([encode(text) for text in texts])
    assert scores.probability == pytest.approx((forward + reverse) / 2, abs=1e-6)


def test_scores_do_not_depend_on_the_batch(scorer):
    codes = random_codes(np.random.default_rng(1), 9, WIDTH)
    whole = scorer.score(codes)
    for row in range(len(codes)):
        assert scorer.score(codes[row : row + 1]).forward == pytest.approx(
            whole.forward[row], abs=1e-5
        )


def test_both_strands_change_places_with_the_sequence(scorer):
    codes = random_codes(np.random.default_rng(2), 5, WIDTH)
    here, there = scorer.score(codes), scorer.score(reverse_complement(codes))
    assert there.forward == pytest.approx(here.reverse, abs=1e-5)
    assert there.log_odds == pytest.approx(here.log_odds, abs=1e-5)


def test_the_other_strand_of_a_filled_row_begins_at_its_first_base():
    codes = np.array([[0, 1, 2, N, N], [0, 1, 2, 3, 3]], dtype=np.uint8)
    turned = other_strand(codes, np.array([3, 5]))
    assert turned.tolist() == [[1, 2, 3, N, N], [0, 0, 1, 2, 3]]


def test_log_odds_hold_where_a_probability_has_no_digits_left():
    scores = StrandScores(np.array([60.0, -60.0, 800.0]), np.array([60.0, -60.0, 800.0]))
    assert scores.log_odds == pytest.approx([60.0, -60.0, 800.0])
    assert scores.probability[0] == 1.0


def test_the_width_is_the_card_s(scorer, planted_model, tmp_path):
    assert scorer.width() == WIDTH
    assert scorer.width(30) == 30
    training = scorer.card["training"] | {"width": None}
    bare = Scorer.load(copied(planted_model, tmp_path, training=training), device="cpu")
    with pytest.raises(InputError, match="--width"):
        bare.width()
    with pytest.raises(InputError, match="at least 4"):
        bare.width(3)


def test_thresholds_and_temperature_are_those_that_training_wrote(scorer):
    written = scorer.card["calibration"]["both_strands"]
    for name in ("max_mcc", "fdr", "half"):
        assert scorer.threshold(name) == written["thresholds"][name]["threshold"]
    assert scorer.threshold() == written["thresholds"]["max_mcc"]["threshold"]
    assert scorer.threshold("0.25") == scorer.threshold(0.25) == 0.25
    with pytest.raises(InputError, match="max_mcc"):
        scorer.threshold("best")


def test_probabilities_are_calibrated_as_by_the_workflow(scorer):
    scores = scorer.score(bound_sequences(np.random.default_rng(5), 20))
    temperature = scorer.card["calibration"]["both_strands"]["temperature"]
    expected = scaled(scores.probability, temperature)
    assert scorer.calibrated(scores.log_odds) == pytest.approx(expected, abs=1e-5)


def test_a_threshold_that_nothing_reaches_and_a_card_without(planted_model, tmp_path):
    points = {"max_mcc": {"threshold": 0.7}, "fdr": {"threshold": None, "limit": 0.01}}
    calibration = calibration_of(thresholds=points, temperature=2.0)
    model = Scorer.load(
        copied(planted_model, tmp_path / "a", calibration=calibration), device="cpu"
    )
    with pytest.raises(InputError, match=r"within 0\.01"):
        model.threshold("fdr")
    assert model.calibrated(np.array([4.0])) == pytest.approx(1 / (1 + np.exp(-2.0)))
    bare = Scorer.load(copied(planted_model, tmp_path / "b", calibration=None), device="cpu")
    assert bare.threshold() == 0.5
    assert bare.calibrated(np.array([4.0])) == pytest.approx(1 / (1 + np.exp(-4.0)))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": "dflm-language-model"}, "needed"),
        ({"format_version": 99}, "version"),
        ({"sha256": "0" * 64}, "checksum"),
        ({"calibration": {"temperature": 1.0}}, "cannot be read"),
        ({"calibration": "yes"}, "cannot be read"),
        ({"calibration": calibration_of(temperature=-1)}, "temperature"),
        ({"calibration": calibration_of(temperature="hot")}, "temperature"),
        ({"calibration": calibration_of(thresholds={})}, "cannot be read"),
        ({"calibration": calibration_of(thresholds={"max_mcc": {"threshold": 7}})}, "probability"),
        (
            {"architecture": {"embedding": 8, "hidden": 24, "layers": 1, "head_hidden": 16}},
            "do not fit",
        ),
    ],
)
def test_a_card_that_lies_is_refused(planted_model, tmp_path, changes, words):
    with pytest.raises(InputError, match=words):
        Scorer.load(copied(planted_model, tmp_path, **changes), device="cpu")


def test_weights_that_are_damaged_or_missing_are_refused(planted_model, tmp_path):
    model = copied(planted_model, tmp_path)
    raw = bytearray((model / "model.safetensors").read_bytes())
    raw[-1] ^= 1
    (model / "model.safetensors").write_bytes(raw)
    with pytest.raises(InputError, match="checksum"):
        Scorer.load(model, device="cpu")
    (model / "model.safetensors").unlink()
    with pytest.raises(InputError, match="no such weights"):
        Scorer.load(model, device="cpu")
    with pytest.raises(InputError, match="no such model folder"):
        Scorer.load(tmp_path / "nowhere", device="cpu")


def test_tiles_cover_a_sequence_and_end_at_its_end():
    assert tile_starts(30, 40, 5).tolist() == [0]
    assert tile_starts(40, 40, 5).tolist() == [0]
    assert tile_starts(52, 40, 5).tolist() == [0, 5, 10, 12]


def test_a_long_sequence_is_scored_by_its_best_window(scorer):
    codes = random_codes(np.random.default_rng(3), 300)
    plant(codes, 200)
    best = best_windows(scorer, [codes, codes[:WIDTH]], WIDTH, 5)
    assert best.starts[0] <= 200
    assert best.ends[0] >= 200 + len(MOTIF)
    starts = tile_starts(300, WIDTH, 5)
    scores = scorer.score(np.stack([codes[s : s + WIDTH] for s in starts]))
    assert best.scores.log_odds[0] == pytest.approx(scores.log_odds.max(), abs=1e-5)
    assert best.windows.tolist() == [len(starts), 1]


def test_a_gap_is_never_the_best_window(scorer):
    rng = np.random.default_rng(5)
    codes = np.concatenate([random_codes(rng, 90), np.full(300, N), random_codes(rng, 90)])
    best = best_windows(scorer, [codes.astype(np.uint8)], WIDTH, 1)
    assert (codes[best.starts[0] : best.ends[0]] == N).mean() <= 0.1
    expected = 2 * (90 - WIDTH + 1 + WIDTH // 10)
    assert best.windows.tolist() == [expected]


def test_nothing_to_read_has_a_row_without_a_score(scorer):
    assert scorer.k == 3
    sequences = [encode("ACN" * 13), encode("ACG"), bound_sequences(np.random.default_rng(4), 1)[0]]
    rows = [row.split("\t") for row in prediction_rows(scorer, "abc", sequences, WIDTH, 5)]
    assert [row[5] for row in rows[:2]] == [".", "."]
    assert float(rows[2][5]) > 0.9
