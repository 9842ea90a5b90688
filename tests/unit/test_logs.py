"""A job's log ends with the reason of its failure."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from dflm.logs import last_error, progress

SCRIPTS = Path(__file__).parents[2] / "workflow" / "scripts"


def run(code: str, log: Path) -> subprocess.CompletedProcess:
    """Run code after setup_logging in a process of its own."""
    start = "import logging, sys; from dflm.logs import setup_logging; "
    start += "from dflm.errors import InputError; setup_logging(sys.argv[1])\n"
    return subprocess.run(
        [sys.executable, "-c", start + code, str(log)],
        env={"PYTHONPATH": str(SCRIPTS)},
        capture_output=True,
        text=True,
    )


def test_an_input_error_is_one_line_without_traceback(tmp_path):
    log = tmp_path / "new" / "job.log"
    done = run("logging.info('begin')\nraise InputError('is\\nwrong', 'a.txt', 'mend it')", log)
    assert done.returncode == 1
    code, *lines = log.read_text().splitlines()
    assert re.search(r"INFO DFLM \S+, commit (unknown|[0-9a-f]{40}(, modified)?)$", code)
    assert lines[0].endswith("INFO begin")
    assert lines[1:] == ["ERROR a.txt: is wrong; mend it"]
    assert done.stderr.splitlines() == lines[1:]
    assert last_error(log) == "a.txt: is wrong; mend it"


def test_another_error_has_its_traceback_and_ends_with_its_type(tmp_path):
    log = tmp_path / "job.log"
    assert run("import warnings; warnings.warn('odd')\n1 / 0", log).returncode == 1
    text = log.read_text()
    assert "Traceback" in text
    assert "odd" in text
    assert text.splitlines()[-1] == "ERROR ZeroDivisionError: division by zero"
    assert last_error(log) == "ZeroDivisionError: division by zero"


def test_a_logged_error_record_is_not_taken_for_the_reason(tmp_path):
    log = tmp_path / "job.log"
    assert run("logging.error('mended by itself')", log).returncode == 0
    assert last_error(log) is None


def test_a_new_run_begins_a_new_log(tmp_path):
    log = tmp_path / "job.log"
    run("raise InputError('first')", log)
    run("logging.info('second')", log)
    assert last_error(log) is None


def test_processes_write_behind_each_other(tmp_path):
    log = tmp_path / "job.log"
    child = f"from dflm.logs import setup_logging; setup_logging({str(log)!r}, append=True)"
    child = f"import logging; {child}; logging.info('of the child'); logging.info('again')"
    code = "logging.info('first'); import subprocess; "
    code += f"subprocess.run([sys.executable, '-c', {child!r}], check=True); logging.info('last')"
    assert run(code, log).returncode == 0
    lines = [line for line in log.read_text().splitlines() if "commit" not in line]
    words = [line.rpartition(" INFO ")[2] for line in lines]
    assert words == ["first", "of the child", "again", "last"]


def test_no_log_has_no_reason(tmp_path):
    assert last_error(tmp_path / "none.log") is None


def test_progress_gives_what_it_is_given(monkeypatch):
    assert list(progress(iter("abc"), total=3)) == ["a", "b", "c"]
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert list(progress(iter("abc"), total=3, desc="x")) == ["a", "b", "c"]


@pytest.mark.parametrize("text", ["", "2025-01-01 00:00:00 INFO x\n"])
def test_a_log_without_error(tmp_path, text):
    (tmp_path / "a.log").write_text(text)
    assert last_error(tmp_path / "a.log") is None
