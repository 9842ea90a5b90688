"""Models of the baselines and records of runs that lie or are damaged."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import valid_files as valid
from bad_cases import Case, text
from dflm.evaluation.baselines.cnn import load_cnn
from dflm.evaluation.baselines.gkm import load_gkm
from dflm.provenance import verify

MIB = 2**20


def gkm(name: str, told: str, **values) -> Case:
    """Return a case of a gapped k-mer SVM with other arrays."""

    def build(folder: Path) -> None:
        with np.load(io.BytesIO(valid.gkm())) as arrays:
            np.savez(folder / "model.npz", **{**arrays, **values})

    return Case("gapped k-mer SVM", name, build, _read_gkm, told, 8 * MIB)


def _read_gkm(folder: Path) -> None:
    load_gkm(folder / "model.npz")


def cnn(name: str, told: str, **values) -> Case:
    """Return a case of a convolutional network whose card asks for another one."""

    def build(folder: Path) -> None:
        for path, content in valid.cnn().items():
            (folder / path).write_bytes(content)
        valid.spoil_card(folder, "architecture", **values)

    return Case("CNN", name, build, _read_cnn, told, 8 * MIB)


def _read_cnn(folder: Path) -> None:
    load_cnn(folder / "model.safetensors", folder / "model.json")


def record(name: str, told: str, **values) -> Case:
    """Return a case of a run whose record says something else."""

    def build(folder: Path) -> None:
        path = valid.write_run(folder / "run")
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return Case("record of a run", name, build, _verify, told)


def _verify(folder: Path) -> None:
    verify(folder / "run")


def _one_bad(count: int) -> np.ndarray:
    return np.array([np.nan, *np.zeros(count - 1)])


_WEIGHTS = len(np.load(io.BytesIO(valid.gkm()))["weights"])

CASES = [
    gkm("another format", "no gapped k-mer SVM .its format is x", format=np.array("x")),
    gkm("more bases than a window has", "it reads 6 bases of 4", shape=np.array([4, 6])),
    gkm("no window", "it reads 0 bases of 0", shape=np.array([0, 0])),
    gkm("windows of a length of its own", "it reads 2 bases of 40", shape=np.array([40, 2])),
    gkm("a shape of one number", "no gapped k-mer SVM", shape=np.array([4])),
    gkm("fewer weights than features", f"not {_WEIGHTS} numbers", weights=np.zeros(3, "f4")),
    gkm("weights of text", f"not {_WEIGHTS} numbers of 32 bits", weights=np.array(["a"] * 9)),
    gkm("weights of NaN", "is not finite", weights=_one_bad(_WEIGHTS).astype("f4")),
    gkm("a bias of NaN", "is not finite", scalars=_one_bad(2)),
    gkm("no slope", "no gapped k-mer SVM", scalars=np.zeros(1)),
    Case("gapped k-mer SVM", "no archive", text("x", "model.npz"), _read_gkm, "no gapped k-mer"),
    Case("gapped k-mer SVM", "missing", lambda folder: None, _read_gkm, "no such file"),
    cnn("huge filters", "the card asks for .* weights, and there are", filters=10**7),
    cnn("filters beyond all memory", "the card asks for .* weights", filters=10**30),
    cnn("fewer filters", "not the network of .*size mismatch", filters=1),
    cnn("no widths", "give one width or more", widths=[]),
    cnn("widths of text", "not the network of", widths=["a"]),
    cnn("no hidden", "not the network of", hidden=...),
    record("folders outside", "etc lies outside the run", folders=["/etc"]),
    record("folders above", "../.. lies outside the run", folders=["../.."]),
    record("files above", "passwd lies outside the run", files={"../passwd": {"sha256": "0"}}),
    record("a long name", "is no record of a run .File name too long", folders=["9" * 300]),
    record("no folders", "is no record of a run", folders=None),
    record("files without sums", "is no record of a run", files={"a": 1}),
    record("no path", "is no record of a run", path=3),
    Case("record of a run", "no record", lambda f: (f / "run").mkdir(), _verify, "holds neither"),
]
