"""Model folders, checkpoints and attributions that lie or are damaged."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
from pathlib import Path
from unittest import mock

import numpy as np
import torch
import valid_files as valid
from bad_cases import Case, RefusedError, command, text
from dflm.errors import InputError
from dflm.mining.attribution.files import load_attributions
from dflm.mining.packing import check_sums
from dflm.mining.scoring import Scorer
from dflm.model.files import load_language_model
from dflm.training.checkpoint import Checkpoint
from safetensors.torch import load, save

MIB = 2**20
_COMMAND = command("info", "{}/MODEL")


def _load_and_tell(folder: Path) -> None:
    """Let a model be refused by what scores with it, and by the command."""
    try:
        Scorer.load(folder / "MODEL", device="cpu")
    except InputError:
        _COMMAND(folder)
    else:
        raise AssertionError("it is taken")


def card(name: str, told: str, section: str | None = None, **values) -> Case:
    """Return a case of a card with other values; ``...`` takes a key out."""

    def build(folder: Path) -> None:
        valid.spoil_card(valid.write_model(folder / "MODEL"), section, **values)

    return Case("model card", name, build, _load_and_tell, "^dflm info: .*" + told, 8 * MIB)


def written(name: str, content: str | bytes, told: str) -> Case:
    """Return a case of a card whose whole text is another."""

    def build(folder: Path) -> None:
        text(content, "model.json")(valid.write_model(folder / "MODEL"))

    return Case("model card", name, build, _load_and_tell, "^dflm info: .*" + told)


def _without(name: str):
    return lambda folder: (valid.write_model(folder / "MODEL") / name).unlink()


def _wide(folder: Path) -> None:
    valid.spoil_card(valid.write_model(folder / "MODEL"), "training", width=10**12)


_POINT = {"threshold": 0.5, "limit": None}
CARDS = [
    card("hidden of another model", "asks for|do not fit", "architecture", hidden=7, layers=2),
    card("embedding of another model", "do not fit", "architecture", embedding=3),
    card("huge embedding", "asks for .* weights or more", "architecture", embedding=10**9),
    card("huge hidden", "asks for .* weights or more", "architecture", hidden=10**12, layers=3),
    card("layers without end", "asks for .* weights or more", "architecture", layers=10**15),
    card("huge head", "asks for .* weights or more", "architecture", head_hidden=10**12),
    card("a head of true", "lacks head_hidden", "architecture", head_hidden=True),
    card("huge detectors", "asks for .* weights or more", "architecture", detectors=10**12),
    card("wide detectors", "asks for .* weights or more", "architecture", detector_width=10**12),
    card("fewer detectors", "do not fit", "architecture", detectors=1),
    card("detectors below none", "lacks detectors", "architecture", detectors=-1),
    card("detectors without a width", "lacks detector_width", "architecture", detector_width=None),
    card("strands of a word", "strand_symmetric is neither", "architecture", strand_symmetric="no"),
    card("no head", "lacks head_hidden", "architecture", head_hidden=...),
    card("negative embedding", "must be at least 1", "architecture", embedding=-4),
    card("broken embedding", "no whole number", "architecture", embedding=4.5),
    card("layers of text", "no whole number", "architecture", layers="1"),
    card("no layers", "cannot be read: 'layers'", "architecture", layers=...),
    card("k beyond all measure", "k", "vocabulary", k=10**9),
    card("k of another vocabulary", "vocabulary is not that of 3-mers", "vocabulary", k=3),
    card("k of more weights", "asks for|do not fit", "vocabulary", k=3, size=65),
    card("a stride of 0", "stride is 0", "vocabulary", stride=0),
    card("a pad elsewhere", "vocabulary is not that of 2-mers", "vocabulary", pad=1),
    card("the checksum of other weights", "checksum is not the one.*copy both ag", sha256="0" * 64),
    card("no checksum", "checksum is not the one", sha256=None),
    card(
        "a language model's", "a card of format 'dflm-classifier' is", format="dflm-language-model"
    ),
    card("no format", "holds None, but a card of format", format=...),
    card("a version of the future", "has format version 2; this program reads", format_version=2),
    card("an architecture that is a number", "cannot be read", architecture=3),
    card("a vocabulary that is a list", "cannot be read", vocabulary=[1]),
    card("no vocabulary", "cannot be read: 'vocabulary'", vocabulary=...),
    card("a calibration without thresholds", "calibration", calibration={"both_strands": {}}),
    card("a calibration that is a number", "calibration cannot be read", calibration=3),
    card(
        "a temperature of 0",
        "temperature is 0, not a number from",
        calibration={"both_strands": {"temperature": 0, "thresholds": {"max_mcc": _POINT}}},
    ),
    card(
        "a threshold of 2",
        "threshold of the card is 2, no prob",
        calibration={
            "both_strands": {"temperature": 1, "thresholds": {"max_mcc": {"threshold": 2}}}
        },
    ),
    card(
        "a limit of text",
        "threshold of the card is 'x', no prob",
        calibration={
            "both_strands": {"temperature": 1, "thresholds": {"max_mcc": _POINT | {"limit": "x"}}}
        },
    ),
    written("empty", "", "no model card: not a JSON file"),
    written("a list", "[]", "no model card: holds no JSON object"),
    written("binary", b"\xff\xfe", "no model card: not a JSON file"),
    written("nested without end", "[" * 10**5, "not a JSON file .nested too deeply"),
    written("cut short", valid.model()["model.json"][:50], "no model card: not a JSON file"),
    Case(
        "model card",
        "missing",
        _without("model.json"),
        _load_and_tell,
        "no model card: there is no such",
    ),
    Case("model card", "no folder", lambda f: None, _load_and_tell, "no such model folder"),
    Case(
        "model card",
        "a width beyond all measure",
        _wide,
        lambda f: Scorer.load(f / "MODEL", device="cpu").width(),
        "at most 100000 are read at once",
    ),
]


def weights(name: str, change, told: str) -> Case:
    """Return a case of changed weights that the card vouches for."""

    def build(folder: Path) -> None:
        made = valid.write_model(folder / "MODEL")
        path = made / "model.safetensors"
        path.write_bytes(change(path.read_bytes()))
        valid.vouch(made)

    return Case("weights", name, build, _load_and_tell, "^dflm info: .*" + told, 16 * MIB)


def _header(change):
    """Return a change of a safetensors file's header that leaves the weights as they are."""

    def spoil(data: bytes) -> bytes:
        (length,) = struct.unpack("<Q", data[:8])
        header = json.loads(data[8 : 8 + length])
        change(header)
        raw = json.dumps(header).encode()
        return struct.pack("<Q", len(raw)) + raw + data[8 + length :]

    return spoil


def _first(header: dict) -> dict:
    return header[min(name for name in header if name != "__metadata__")]


def _each(change):
    """Return a change of all tensors but those of whole numbers."""

    def of(one: torch.Tensor) -> torch.Tensor:
        return change(one) if one.is_floating_point() else one

    return lambda data: save({name: of(one) for name, one in load(data).items()})


def _one_row_less(data: bytes) -> bytes:
    state = load(data)
    name = next(name for name, one in state.items() if one.ndim)
    return save(state | {name: state[name][:-1].clone()})


def _overlap(header: dict) -> None:
    first, second = sorted(name for name in header if name != "__metadata__")[:2]
    header[second]["data_offsets"] = header[first]["data_offsets"]
    header[second]["shape"] = header[first]["shape"]


def _pickled(data: bytes) -> bytes:
    held = io.BytesIO()
    torch.save(load(data), held)
    return held.getvalue().ljust(len(data), b"\0")


class Evil:
    """A pickle of it runs a command where it is read."""

    def __reduce__(self):
        return os.mkdir, ("executed",)


def _of_language_model(folder: Path) -> None:
    made = valid.write_model(folder / "MODEL")
    (made / "model.safetensors").write_bytes(valid.model("language model")["model.safetensors"])
    valid.vouch(made)


def _swapped(folder: Path) -> None:
    made = valid.write_model(folder / "MODEL")
    path = made / "model.safetensors"
    path.write_bytes(_each(lambda one: one + 1)(path.read_bytes()))


def _as_language_model(folder: Path) -> None:
    made = folder / "MODEL"
    load_language_model(made / "model.safetensors", made / "model.json", valid.NO_DROPOUT)


_NONE = "safetensors|holds .* at most|do not fit"
WEIGHTS = [
    weights("empty", lambda data: b"", _NONE),
    weights("shorter than a header's length", lambda data: data[:7], _NONE),
    weights("a header of 2**62 bytes", lambda data: struct.pack("<Q", 2**62) + data[8:], _NONE),
    weights(
        "a header longer than the file",
        lambda data: struct.pack("<Q", 2 * len(data)) + data[8:],
        "not a safetensors file",
    ),
    weights(
        "a header that is no JSON", lambda data: data[:8] + b"?" + data[9:], "not a safetensors"
    ),
    weights(
        "a header that is no text", lambda data: data[:9] + b"\xff\xfe" + data[11:], "not a safet"
    ),
    weights(
        "a header nested without end",
        lambda data: struct.pack("<Q", 10**5) + b"[" * 10**5 + data,
        "not a safetensors file",
    ),
    weights("cut short", lambda data: data[: len(data) // 2], _NONE),
    weights("a byte short", lambda data: data[:-1], "not a safetensors file"),
    weights("longer than told", lambda data: data + b"more", "not a safetensors file"),
    weights(
        "a huge shape", _header(lambda h: _first(h).update(shape=[2**40, 2**20])), "not a safe"
    ),
    weights(
        "offsets beyond the file",
        _header(lambda h: _first(h).update(data_offsets=[0, 2**50])),
        "not a safetensors file",
    ),
    weights(
        "negative offsets", _header(lambda h: _first(h).update(data_offsets=[-4, 0])), "not a saf"
    ),
    weights("overlapping offsets", _header(_overlap), "not a safetensors file"),
    weights(
        "an unknown kind of number", _header(lambda h: _first(h).update(dtype="F99")), "not a safe"
    ),
    weights(
        "a kind of as many bytes",
        _header(lambda h: _first(h).update(dtype="I32")),
        "is torch.int32",
    ),
    weights(
        "a kind that torch may not have",
        _header(
            lambda h: [
                one.update(dtype="F8_E8M0", shape=[one["data_offsets"][1] - one["data_offsets"][0]])
                for name, one in h.items()
                if name != "__metadata__"
            ]
        ),
        "safetensors|do not fit",
    ),
    weights("no tensor", _header(lambda h: h.clear()), "not a safetensors file|do not fit"),
    weights(
        "a tensor less", _header(lambda h: h.pop(next(iter(h)))), "not a safetensors|do not fit"
    ),
    weights("a row less", _one_row_less, "tensors do not fit the architecture .* is .*, expected"),
    weights("half precision", _each(lambda one: one.half()), "is torch.float16|holds .* at most"),
    weights(
        "double precision", _each(lambda one: one.double()), "is torch.float64, not torch.float32"
    ),
    weights("NaN", _each(lambda one: torch.full_like(one, float("nan"))), "not finite"),
    weights("infinity", _each(lambda one: one / 0), "not finite"),
    weights("a pickle", _pickled, "not a safetensors file"),
    weights(
        "a pickle of code", lambda data: pickle.dumps(Evil()).ljust(len(data), b"\0"), "not a safe"
    ),
    Case(
        "weights", "missing", _without("model.safetensors"), _load_and_tell, "no such weights file"
    ),
    Case(
        "weights",
        "those of another training",
        _swapped,
        _load_and_tell,
        "checksum is not the one in",
    ),
    Case(
        "weights",
        "those of a language model",
        _of_language_model,
        _load_and_tell,
        "asks for|do not fit",
    ),
    Case(
        "weights",
        "a classifier as a language model",
        lambda f: valid.write_model(f / "MODEL"),
        _as_language_model,
        "holds 'dflm-classifier', but a card of format 'dflm-language-model'",
    ),
]


def _resume(folder: Path) -> None:
    """Refuse as a training does: it logs why a checkpoint is not taken, and begins afresh."""
    told = mock.Mock()
    with mock.patch("dflm.training.checkpoint.log", told):
        if Checkpoint(folder / "in", {"seed": 1}).load() is None:
            words, *values = told.warning.call_args.args
            raise RefusedError(words % tuple(values))


def checkpoint(
    name: str, content: bytes, told: str = "in cannot be read .*: starting afresh"
) -> Case:
    return Case("checkpoint", name, text(content), _resume, told)


def _saved(content: object, **how) -> bytes:
    held = io.BytesIO()
    torch.save(content, held, **how)
    return held.getvalue()


def _flipped() -> bytes:
    """Return a checkpoint with one bit of a weight another."""
    content = bytearray(
        _saved({"fingerprint": {"seed": 1}, "where": [], "rng": [], "state": torch.full((9,), 0.5)})
    )
    content[content.index(struct.pack("<f", 0.5) * 9)] ^= 1
    return bytes(content)


_RNG = [{"cpu": torch.get_rng_state()}]
CHECKPOINTS = [
    checkpoint("empty", b""),
    checkpoint("text", b"no checkpoint"),
    checkpoint("cut short", valid.checkpoint()[:900]),
    checkpoint("a bit of a weight flipped", _flipped(), "in cannot be read .*is damaged"),
    checkpoint("a pickle of code", pickle.dumps(Evil())),
    checkpoint(
        "a checkpoint of code",
        _saved({"fingerprint": {"seed": 1}, "where": [{}], "rng": _RNG, "state": Evil()}),
    ),
    checkpoint("torch's older format", _saved({"x": 1}, _use_new_zipfile_serialization=False)),
    checkpoint("no state", _saved({"fingerprint": {"seed": 1}, "where": [{}], "rng": _RNG})),
    checkpoint("a list", _saved([1, 2])),
    checkpoint(
        "generators that are none",
        _saved({"fingerprint": {"seed": 1}, "where": [{}], "rng": [1], "state": 1}),
    ),
    checkpoint(
        "of another training",
        _saved({"fingerprint": {"seed": 2}, "where": [{}], "rng": _RNG, "state": 1}),
        "is of other arguments, inputs or code: starting afresh",
    ),
]


def attributions(name: str, content: bytes, told: str) -> Case:
    return Case(
        "attributions",
        name,
        text(content),
        lambda f: load_attributions(f / "in"),
        "in: .*" + told,
        64 * MIB,
    )


def _npz(**changed) -> bytes:
    with np.load(io.BytesIO(valid.attributions()), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    held = io.BytesIO()
    arrays = {name: one for name, one in (arrays | changed).items() if one is not None}
    np.savez(held, **arrays)
    return held.getvalue()


def _npy(array: np.ndarray, **how) -> bytes:
    held = io.BytesIO()
    np.save(held, array, **how)
    return held.getvalue()


_MAKE = "no attributions .*make them by dflm attribute"
ATTRIBUTIONS = [
    attributions("empty", b"", _MAKE),
    attributions("cut short", valid.attributions()[:-30], _MAKE),
    attributions("one array", _npy(np.zeros(3)), _MAKE),
    attributions("a pickle of code", pickle.dumps(Evil()), _MAKE),
    attributions(
        "an array of pickles", _npz(names=np.array([Evil(), Evil()], dtype=object)), _MAKE
    ),
    attributions(
        "a header that lies", valid.attributions().replace(b"(2, 20)", b"(9**9,)", 1), _MAKE
    ),
    attributions("no log-odds", _npz(log_odds=None), _MAKE),
    attributions("another format", _npz(format=np.array("x")), _MAKE),
    attributions(
        "other shapes", _npz(starts=np.zeros(3, dtype=np.int64)), "shapes do not go together"
    ),
    attributions(
        "names that are numbers", _npz(names=np.arange(2)), "other things than attributions"
    ),
    attributions(
        "codes beyond N", _npz(codes=np.full((2, valid.WIDTH), 9, np.uint8)), "other things"
    ),
    Case(
        "attributions",
        "missing",
        lambda f: None,
        lambda f: load_attributions(f / "in"),
        "no such file",
    ),
]


def sums(name: str, change, told: str) -> Case:
    def build(folder: Path) -> None:
        change(valid.summed(folder / "MODEL"))

    return Case("packed model", name, build, lambda f: check_sums(f / "MODEL"), told)


PACKED = [
    sums(
        "no checksums", lambda f: (f / "SHA256SUMS").unlink(), "holds no SHA256SUMS; pack it again"
    ),
    sums("a line of something else", lambda f: (f / "SHA256SUMS").write_text("x\n"), "is not what"),
    sums(
        "binary checksums",
        lambda f: (f / "SHA256SUMS").write_bytes(b"\xff"),
        "no text after line 0",
    ),
    sums(
        "a file changed",
        lambda f: (f / "model.json").write_text("{}"),
        "model.json: is not what SHA2",
    ),
    sums(
        "a file more", lambda f: (f / "x").write_text("x"), "x: is not what SHA256SUMS says; pack"
    ),
    sums(
        "a file less", lambda f: (f / "model.json").unlink(), "model.json: is not what SHA256SUMS"
    ),
    sums(
        "a name that leads out",
        lambda f: (f / "SHA256SUMS").write_text("0" * 64 + "  ../x\n"),
        "is not",
    ),
]

CASES = [*CARDS, *WEIGHTS, *CHECKPOINTS, *ATTRIBUTIONS, *PACKED]
