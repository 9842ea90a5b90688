"""Each malformed input is refused by the message meant for it, and leaves nothing behind."""

from unittest import mock

import bad_addresses
import bad_baselines
import bad_mining
import bad_models
import bad_sequences
import pytest
import valid_files as valid
from bad_cases import REJECTED, attempt
from dflm.cli.program import main

CASES = [
    case
    for module in (bad_sequences, bad_models, bad_baselines, bad_mining, bad_addresses)
    for case in module.CASES
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_bad_input_is_refused_in_words(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert attempt(case, tmp_path) == (REJECTED, mock.ANY)


def test_cases_are_told_apart():
    assert len({str(case) for case in CASES}) == len(CASES)


def test_a_list_of_models_tells_the_liar_and_goes_on(tmp_path, capsys):
    valid.write_model(tmp_path / "WHOLE")
    valid.spoil_card(valid.write_model(tmp_path / "MODEL"), "architecture", layers=10**15)
    (valid.write_model(tmp_path / "DEEP") / "model.json").write_text("[" * 10**5)
    assert main(["models", str(tmp_path)]) == 0
    _, *lines = capsys.readouterr().out.splitlines()
    liar, whole = sorted(lines)
    assert liar.startswith("MODEL")
    assert "asks for" in liar
    assert whole.startswith("WHOLE")
    assert whole.endswith("whole")


def test_metrics_of_other_kinds_do_not_stop_a_model_from_being_shown(tmp_path, capsys):
    folder = valid.write_model(tmp_path / "MODEL")
    valid.spoil_card(folder, metrics={"validation_auroc": "high"})
    valid.spoil_card(folder, "training", train_sha256=5, dataset="a\tb")
    assert main(["info", str(folder)]) == 0
    assert "validation AUROC" not in capsys.readouterr().out
    assert main(["models", str(tmp_path)]) == 0
    assert [len(line.split("\t")) for line in capsys.readouterr().out.splitlines()] == [6, 6]
