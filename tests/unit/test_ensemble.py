"""An ensemble says the mean of what its members say, and is calibrated on its own."""

import json

import numpy as np
import pytest
from dflm.calibration import calibrate_strands
from dflm.errors import InputError
from dflm.evaluation.ensemble import average
from dflm.predictions import read_predictions, read_strands, write_predictions
from dflm.scores import auroc

ROWS = 400


def member(folder, seed, labels, rng):
    """Write what a classifier leaves behind: noisy probabilities on both strands, and a card."""
    folder.mkdir()
    names = [f"s{i}" for i in range(len(labels))]
    for part in ("validation", "test"):
        strands = 1 / (1 + np.exp(-(2 * labels - 1 + rng.normal(0, 2, (2, len(labels))))))
        write_predictions(folder / f"{part}.tsv", names, labels, *strands, True, 1.0)
    card = {"sha256": f"{seed:064d}", "training": {"seed": seed}}
    (folder / "model.json").write_text(json.dumps(card))
    return folder


@pytest.fixture
def members(tmp_path):
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 2, ROWS)
    return [member(tmp_path / str(seed), seed, labels, rng) for seed in (1, 2, 3)]


def run(members, folder, both_strands=True):
    tables = [[one / name for one in members] for name in ("model.json", "validation.tsv")]
    average(
        *tables,
        [one / "test.tsv" for one in members],
        folder / "card.json",
        folder / "out.tsv",
        fdr=0.1,
        both_strands=both_strands,
    )
    return json.loads((folder / "card.json").read_text())


@pytest.mark.parametrize("both_strands", [True, False])
def test_the_ensemble_is_the_mean_and_better_than_its_members(members, tmp_path, both_strands):
    card = run(members, tmp_path, both_strands)
    names, labels, probability = read_predictions(tmp_path / "out.tsv")
    strands = np.mean([read_strands(one / "test.tsv")[2:] for one in members], axis=0)
    wanted = strands.mean(axis=0) if both_strands else strands[0]
    np.testing.assert_allclose(probability, wanted, rtol=1e-8)
    assert names == [f"s{i}" for i in range(ROWS)]
    read = [read_strands(one / "test.tsv")[2:] for one in members]
    alone = [auroc(labels, (one[0] + one[1]) / 2 if both_strands else one[0]) for one in read]
    assert auroc(labels, probability) > max(alone)
    assert [one["seed"] for one in card["members"]] == [1, 2, 3]


def test_it_is_calibrated_on_the_means_of_the_validation_part(members, tmp_path):
    card = run(members, tmp_path)
    read = [read_strands(one / "validation.tsv") for one in members]
    forward, reverse = np.mean([one[2:] for one in read], axis=0)
    wanted = calibrate_strands(read[0][1], forward, reverse, fdr=0.1)
    assert card["calibration"] == json.loads(json.dumps(wanted))
    reached = auroc(read[0][1], (forward + reverse) / 2)
    assert card["metrics"] == {"validation_auroc": reached}


def test_one_member_gives_its_own_predictions(members, tmp_path):
    run(members[:1], tmp_path)
    for mine, theirs in zip(
        read_strands(tmp_path / "out.tsv"), read_strands(members[0] / "test.tsv"), strict=True
    ):
        assert np.array_equal(mine, theirs)


def test_tables_of_other_sequences_are_refused(members, tmp_path):
    path = members[1] / "test.tsv"
    path.write_text(path.read_text().replace("\ns7\t", "\nother\t"))
    with pytest.raises(InputError, match="not of the sequences") as caught:
        run(members, tmp_path)
    assert str(path) in str(caught.value)
    assert not (tmp_path / "out.tsv").exists()
