"""Files are whole or not there, and the same content gives the same bytes."""

import gzip
import json
import os
import pickle
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from dflm.errors import InputError
from dflm.files import (
    atomic_path,
    open_text,
    read_json,
    sha256_of,
    text_lines,
    write_gzip_text,
    write_json,
)

LIBRARY = os.environ | {
    "PYTHONPATH": str(Path(__file__).parents[2] / "workflow" / "scripts"),
}


def test_a_failed_write_leaves_what_was_there(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")

    def write_half():
        with atomic_path(target) as temporary:
            temporary.write_text("new, but ha")
            raise RuntimeError("half")

    with pytest.raises(RuntimeError, match="half"):
        write_half()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_write_makes_missing_folders_and_keeps_the_ending(tmp_path):
    with atomic_path(tmp_path / "x" / "y" / "a.tsv.gz") as temporary:
        assert temporary.name.endswith("a.tsv.gz")
        assert temporary.parent == tmp_path / "x" / "y"
        temporary.write_text("")
    assert [p.name for p in (tmp_path / "x" / "y").iterdir()] == ["a.tsv.gz"]


def test_what_a_killed_write_left_goes_with_the_next_one_and_nothing_else(tmp_path):
    target = tmp_path / "a.txt"
    program = "import os, sys; from dflm.files import atomic_path as f\n"
    program += "with f(sys.argv[1]) as t: t.write_text('half'); os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", program, str(target)], env=LIBRARY, check=False)
    (left,) = tmp_path.iterdir()
    assert left.name.endswith(".a.txt")
    dead = left.name.partition("-")[2]
    kept = {
        f"{left.name.partition('-')[0]}-{os.getppid()}.a.txt",
        f".of00it-{dead}",
        ".x.a.txt",
        f"{left.name}x",
        left.name.replace("a.", "b."),
    }
    for name in kept:
        (tmp_path / name).write_text("of another")
    with atomic_path(target) as temporary:
        temporary.write_text("whole")
    assert {path.name for path in tmp_path.iterdir()} == kept | {"a.txt"}
    assert target.read_text() == "whole"


def test_json_is_sorted_and_strict(tmp_path):
    write_json(tmp_path / "a.json", {"b": 1, "a": [1.5, None]})
    text = (tmp_path / "a.json").read_text()
    assert text.index('"a"') < text.index('"b"')
    assert text.endswith("}\n")
    assert read_json(tmp_path / "a.json") == {"a": [1.5, None], "b": 1}
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "b.json", float("nan"))
    assert not (tmp_path / "b.json").exists()


@pytest.mark.parametrize("text", ["", "[1]", "{", None])
def test_a_wrong_json_file_is_named(tmp_path, text):
    path = tmp_path / "a.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=r"a\.json"):
        read_json(path)


def test_gzip_text_does_not_depend_on_time_or_name(tmp_path, monkeypatch):
    for name, moment in (("a.gz", 1e9), ("b.gz", 1.5e9)):
        monkeypatch.setattr(time, "time", lambda moment=moment: moment)
        with write_gzip_text(tmp_path / name) as stream:
            stream.write("x\ny\n")
    assert sha256_of(tmp_path / "a.gz") == sha256_of(tmp_path / "b.gz")
    with open_text(tmp_path / "a.gz") as stream:
        assert stream.read() == "x\ny\n"


def test_text_is_read_plain_or_gzipped_whatever_the_name(tmp_path):
    (tmp_path / "a.gz").write_text("plain")
    (tmp_path / "b.txt").write_bytes(gzip.compress(b"packed"))
    with open_text(tmp_path / "a.gz") as one, open_text(tmp_path / "b.txt") as two:
        assert (one.read(), two.read()) == ("plain", "packed")
    with pytest.raises(InputError, match="no such file"):
        open_text(tmp_path / "c")


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_pipe_is_read_whole(tmp_path, pack):
    text = "".join(f"line {i}\n" for i in range(20_000))
    os.mkfifo(tmp_path / "pipe")
    with ThreadPoolExecutor() as pool:
        written = pool.submit((tmp_path / "pipe").write_bytes, pack(text.encode()))
        with open_text(tmp_path / "pipe") as stream:
            assert stream.read() == text
        written.result()


def test_what_is_no_file_is_written_and_not_replaced(tmp_path):
    pipe, link, target = tmp_path / "pipe", tmp_path / "link", tmp_path / "there" / "a.json"
    os.mkfifo(pipe)
    with ThreadPoolExecutor() as pool:
        read = pool.submit(pipe.read_text)
        write_json(pipe, {"a": 1})
        assert json.loads(read.result()) == {"a": 1}
    assert pipe.is_fifo()
    reader, writer = os.pipe()
    with open(reader, closefd=True) as end:  # as /dev/stdout is: a link to what has no name
        write_json(f"/dev/fd/{writer}", {"a": 3})
        os.close(writer)
        assert json.loads(end.read()) == {"a": 3}
    target.parent.mkdir()
    target.write_text("{}")
    link.symlink_to(target)
    write_json(link, {"a": 2})
    assert link.is_symlink()
    assert read_json(target) == {"a": 2}
    assert os.listdir(target.parent) == ["a.json"]


def test_an_input_error_survives_another_process():
    error = InputError("is wrong", "a.txt", "mend it")
    assert str(pickle.loads(pickle.dumps(error))) == "a.txt: is wrong; mend it"


@pytest.mark.parametrize("cut", [9, 20])
def test_a_text_that_breaks_off_is_named_with_its_last_line(tmp_path, cut):
    path = tmp_path / "a.txt"
    path.write_bytes(gzip.compress(b"one\r\ntwo\n" * 99)[:-cut])
    with pytest.raises(InputError, match=r"after line \d+ .*fetch it again") as caught:
        list(text_lines(path))
    assert str(path) in str(caught.value)


def test_lines_are_numbered_from_one_without_their_ends(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"one\r\n\ntwo")
    assert list(text_lines(tmp_path / "a.txt")) == [(1, "one"), (2, ""), (3, "two")]
    (tmp_path / "a.txt").write_bytes(b"one\n\xff\xfe\n")
    with pytest.raises(InputError, match=r"no text after line 0.*give text"):
        list(text_lines(tmp_path / "a.txt", "give text"))
