"""A model card or a weights file that lies is refused, before anything of its sizes is made."""

import json
import shutil
import struct

import pytest
import torch
from dflm.cli.program import main
from dflm.errors import InputError
from dflm.files import sha256_of
from dflm.mining.scoring import Scorer
from dflm.model.files import load_classifier
from safetensors.torch import load_file, save_file


@pytest.fixture
def model(planted_model, tmp_path):
    """A copy of a whole model, to be spoilt."""
    folder = tmp_path / "MODEL"
    shutil.copytree(planted_model, folder)
    return folder


def spoil_card(folder, section=None, **values):
    path = folder / "model.json"
    card = json.loads(path.read_text())
    (card if section is None else card[section]).update(values)
    path.write_text(json.dumps(card))


def with_right_hash(folder):
    spoil_card(folder, sha256=sha256_of(folder / "model.safetensors"))


def refused(folder, words):
    with pytest.raises(InputError, match=words) as error:
        Scorer.load(folder, device="cpu")
    assert len(str(error.value)) < 1000
    assert main(["info", str(folder)]) == 1


@pytest.mark.parametrize(
    ("section", "values", "words"),
    [
        ("architecture", {"hidden": 25, "layers": 2}, "asks for|do not fit"),
        ("architecture", {"embedding": 8}, "tensors do not fit the architecture"),
        ("architecture", {"embedding": 10**9}, "asks for .* weights or more"),
        ("architecture", {"hidden": 10**12, "layers": 3}, "asks for .* weights or more"),
        ("architecture", {"layers": 10**15}, "asks for .* weights or more"),
        ("architecture", {"head_hidden": 10**12}, "asks for .* weights or more"),
        ("architecture", {"head_hidden": True}, "lacks head_hidden"),
        ("architecture", {"embedding": -16}, "must be at least 1"),
        ("architecture", {"embedding": 16.5}, "no whole number"),
        ("architecture", {"layers": "1"}, "no whole number"),
        ("vocabulary", {"k": 10**9}, "k"),
        ("vocabulary", {"k": 4}, "vocabulary is not that of 4-mers"),
        ("vocabulary", {"k": 5, "size": 1025}, "asks for|do not fit"),
        ("vocabulary", {"stride": 0}, "stride is 0"),
        (None, {"sha256": "0" * 64}, "checksum is not the one"),
        (None, {"sha256": None}, "checksum is not the one"),
        (None, {"format": "dflm-language-model"}, "a card of format"),
        (None, {"format_version": 2}, "format version 2"),
        (None, {"architecture": 3}, "cannot be read"),
        (None, {"calibration": {"both_strands": {}}}, "calibration"),
    ],
)
def test_a_card_that_lies_is_refused(model, section, values, words):
    spoil_card(model, section, **values)
    refused(model, words)


def test_a_width_beyond_all_measure_is_refused(model):
    spoil_card(model, "training", width=10**12)
    scorer = Scorer.load(model, device="cpu")
    with pytest.raises(InputError, match="at most 100000"):
        scorer.width()


def test_weights_of_another_model_are_refused(model):
    state = load_file(model / "model.safetensors")
    other = {name: tensor + 1 for name, tensor in state.items()}
    save_file(other, model / "model.safetensors")
    refused(model, "checksum is not the one")
    # With a card that vouches for them, those of another shape.
    name, tensor = next((name, one) for name, one in state.items() if one.ndim)
    save_file(state | {name: tensor[:-1].clone()}, model / "model.safetensors")
    with_right_hash(model)
    refused(model, f"{name} is")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda tensor: tensor.half(), "float16, not torch.float32|holds .* at most"),
        (lambda tensor: tensor.double(), "float64, not torch.float32"),
        (lambda tensor: torch.full_like(tensor, float("nan")), "not finite"),
    ],
)
def test_weights_of_another_kind_are_refused(model, change, words):
    state = load_file(model / "model.safetensors")
    changed = {name: change(one) if one.is_floating_point() else one for name, one in state.items()}
    save_file(changed, model / "model.safetensors")
    with_right_hash(model)
    refused(model, words)


def lie_in_header(data, change):
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data[8 + length :]


def first(header):
    return header[min(name for name in header if name != "__metadata__")]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: b"",
        lambda data: data[:7],
        lambda data: struct.pack("<Q", 2**62) + data[8:],
        lambda data: struct.pack("<Q", len(data) * 2) + data[8:],
        lambda data: data[: len(data) // 2],
        lambda data: data + b"more",
        lambda data: lie_in_header(data, lambda h: first(h).update(shape=[2**40, 2**20])),
        lambda data: lie_in_header(data, lambda h: first(h).update(data_offsets=[0, 2**50])),
        lambda data: lie_in_header(data, lambda h: first(h).update(data_offsets=[-4, 0])),
        lambda data: lie_in_header(data, lambda h: first(h).update(dtype="F99")),
        lambda data: lie_in_header(data, lambda h: h.clear()),
        lambda data: lie_in_header(data, lambda h: h.pop(next(iter(h)))),
    ],
)
def test_a_weights_file_that_lies_is_refused(model, spoil):
    path = model / "model.safetensors"
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(InputError, match="checksum is not the one"):
        load_classifier(path, model / "model.json")
    with_right_hash(model)
    refused(model, "safetensors|holds .* at most|do not fit")


def test_a_list_of_models_tells_the_liar_and_goes_on(model, capsys):
    shutil.copytree(model, model.parent / "WHOLE")
    spoil_card(model, "architecture", layers=10**15)
    assert main(["models", str(model.parent)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "asks for" in next(line for line in lines if line.startswith("MODEL"))
    assert next(line for line in lines if line.startswith("WHOLE")).endswith("whole")
