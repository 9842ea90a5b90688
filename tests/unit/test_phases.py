"""The seconds of a job add up to what passed since its process was created."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from dflm import phases as module
from dflm.phases import Phases, process_age

SCRIPTS = Path(__file__).resolve().parents[2] / "workflow" / "scripts"


def told_by_a_process(code):
    begin = time.monotonic()
    told = subprocess.check_output([sys.executable, "-c", code], cwd=SCRIPTS, text=True)
    return told.split(), time.monotonic() - begin


def test_the_start_reaches_back_to_the_creation_of_the_process():
    code = (
        "import time; time.sleep(0.4); from dflm.phases import Phases;"
        "print(Phases().as_dict()['wall']['start'])"
    )
    (start,), passed = told_by_a_process(code)
    assert 0.4 <= float(start) <= passed + 0.02  # the system's clock ticks every 10 ms


def test_without_the_systems_word_cpu_time_stands_in(monkeypatch):
    monkeypatch.setattr(module.Path, "read_text", lambda self: "1 (python) S")
    assert process_age() == pytest.approx(time.process_time(), abs=0.1)


def test_blocks_of_one_name_add_up_and_a_failing_one_counts():
    phases = Phases()
    for _ in range(2):
        with phases("training"):
            time.sleep(0.03)
    with pytest.raises(ValueError, match="negative"), phases("writing"):
        time.sleep(time.sleep(0.03) or -1)
    told = phases.as_dict()
    assert told["wall"]["training"] >= 0.06
    assert told["wall"]["writing"] >= 0.03
    assert told["cpu"]["training"] < 0.06  # a sleep is no work
    for clock in ("wall", "cpu"):
        parts = [told[clock][name] for name in ("start", "training", "writing")]
        assert sum(parts) - 0.002 <= told[clock]["total"]
        assert set(told[clock]) == {"start", "training", "writing", "total"}


def test_an_earlier_process_of_the_job_counts_too():
    phases = Phases()
    alone = phases.as_dict()
    earlier = {"start": 2.0, "training": 30.0, "total": 33.0}
    phases.add({"wall": earlier, "cpu": {**earlier, "training": 29.0, "total": 31.5}})
    told = phases.as_dict()
    for clock, training, total in (("wall", 30.0, 33.0), ("cpu", 29.0, 31.5)):
        assert told[clock]["start"] == pytest.approx(alone[clock]["start"] + 2.0, abs=0.002)
        assert told[clock]["training"] == training
        assert told[clock]["total"] >= alone[clock]["total"] + total - 0.002


def test_imports_leave_nothing_to_collect_and_the_collector_on():
    code = (
        "import gc; from dflm.phases import quick_imports\n"
        "with quick_imports():\n"
        "    off = gc.isenabled(); import json.tool\n"
        "print(off, gc.isenabled(), gc.get_freeze_count() > 1000, len(gc.get_objects()) < 1000)"
    )
    assert told_by_a_process(code)[0] == ["False", "True", "True", "True"]
