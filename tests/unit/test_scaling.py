"""The figures of SCALING.md are its program's, and the program's those of the formula."""

import re
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "benchmark"))

import scaling

DOCUMENT = Path(scaling.__file__).with_name("SCALING.md").read_text()


def options(*given: str):
    return scaling.parser().parse_args(given)


def test_one_gpu_takes_tokens_over_rate():
    args = options(
        "--train-rate", "1e6", "--set-rate", "2e6", "--infer-rate", "1e12", "--fixed", "3"
    )
    work = scaling.work(args.peaks, args.test)
    assert work.finetuning == 20_000 * 99 * 10
    # Five stages of three epochs: the head, two groups, three, and twice all eight.
    parts = [1 / 3 + 2 / 3 * n / 7 for n in (0, 1, 2, 7, 7)]
    assert work.classifying == pytest.approx(40_000 * 99 * 3 * sum(parts))
    found = scaling.hours(work, 1, args)
    assert found["pretraining"] == pytest.approx(work.pretraining / 1e6 / 3600)
    one = 3 + (work.finetuning + work.classifying) / 2e6
    assert found["sets"] == pytest.approx(506 * one / 3600)
    assert found["device"] == pytest.approx(found["wall"]) == found["pretraining"] + found["sets"]


def test_more_gpus_gain_less_than_their_number():
    args = options()
    work = scaling.work(args.peaks, args.test)
    one, eight, many = (scaling.hours(work, n, args) for n in (1, 8, 64))
    assert one["wall"] > eight["wall"] > many["wall"] > one["wall"] / 64
    assert one["device"] < eight["device"] < many["device"]
    assert scaling.hours(work, 10**6, args)["sets"] == pytest.approx(one["one set"] / 60)
    packed = scaling.hours(work, 8, options("--packed", "4", "--packed-gain", "3"))
    assert packed["sets"] < eight["sets"]


@pytest.mark.parametrize(
    "command",
    re.findall(r"`python tests/benchmark/scaling\.py(.*?)`", DOCUMENT),
)
def test_the_document_holds_what_the_program_prints(command, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["scaling.py", *command.split()])
    scaling.main()
    printed = capsys.readouterr().out
    rows = [line for line in printed.splitlines() if line.startswith("|") and "GPU" not in line]
    assert len(rows) >= 7
    assert all(row in DOCUMENT for row in rows), printed
    if core := re.search(r"([\d,]+) core hours", printed):
        assert core[0] in DOCUMENT
