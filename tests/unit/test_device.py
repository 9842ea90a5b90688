"""Where and how precisely a training runs."""

import platform
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import dflm
import pytest
import torch
from dflm import resources
from dflm.training import device
from dflm.training.device import (
    DETERMINISTIC,
    autocast,
    inference_batch,
    lower_precision,
    pick_device,
    use_deterministic,
)

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def test_precision_is_what_was_asked_for():
    assert lower_precision(CPU, "bf16")
    assert not lower_precision(CPU, "fp32")


@pytest.mark.parametrize(
    ("has", "lower"),
    [
        ({"cpu_name": "AMD EPYC", "avx512_bf16": True, "amx_bf16": False}, True),
        ({"cpu_name": "Intel Xeon", "avx512_bf16": True, "amx_bf16": True}, True),
        ({"cpu_name": "Intel Xeon", "avx512_bf16": True, "amx_bf16": False}, False),
        ({"cpu_name": "AMD EPYC", "avx512_bf16": False, "amx_bf16": False}, False),
        ({"architecture": "aarch64"}, False),
    ],
)
def test_precision_is_lowered_by_itself_where_that_is_faster(monkeypatch, has, lower):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: has)
    assert lower_precision(CPU, "auto") is lower


@pytest.mark.parametrize(("precision", "dtype"), [("bf16", torch.bfloat16), ("fp32", torch.float)])
def test_autocast_lowers_products_only_when_asked_to_and_keeps_no_casts(precision, dtype):
    x, weight = torch.ones(2, 2), torch.ones(2, 2, requires_grad=True)
    with autocast(CPU, precision):
        assert (x @ weight).dtype == dtype
        assert not torch.is_autocast_cache_enabled()
    assert (x @ weight).dtype == torch.float


@pytest.fixture
def gpu_of(monkeypatch):
    """Give this process a share of a GPU with so many GiB; a machine without one has to be told."""

    def give(size, share=1.0):
        properties = SimpleNamespace(total_memory=size * 2**30)
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
        monkeypatch.setattr(torch.cuda, "get_per_process_memory_fraction", lambda device: share)

    return give


def test_a_gpu_reads_as_many_sequences_as_fill_it(gpu_of):
    gpu_of(24)
    assert inference_batch(CPU, 1000, 101) == 1000
    assert inference_batch(CUDA, 1000, 101) == 2560
    assert inference_batch(CUDA, 4000, 101) == 4000
    assert inference_batch(CUDA, 16, 100_000) == 16
    assert inference_batch(CUDA, 16, 1000) == 2560 * 128 // 1000


def test_a_small_gpu_or_a_share_reads_no_more_than_its_memory_allows(gpu_of):
    full = {"k": 3, "embedding": 200, "hidden": 800, "layers": 6}
    full |= {"detectors": 64, "detector_width": 15}
    for size, share in ((8, 1.0), (32, 0.25), (12, 0.5)):
        gpu_of(size, share)
        rows = inference_batch(CUDA, 16, 101)
        assert 500 < rows < 2560
        assert resources.of_prediction(full, rows * 101) < 0.75 * size * share * 2**30
    assert inference_batch(CUDA, 2000, 101) == 2000  # what was asked for stands


@pytest.mark.parametrize("asked", ["1", "0", None])
@pytest.mark.parametrize("there", [True, False])
def test_a_gpu_is_deterministic_when_the_run_asks_for_it(monkeypatch, asked, there):
    # A machine without a GPU can only be told that it has one.
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "a GPU")
    monkeypatch.setattr(device, "lower_precision", lambda device, precision: True)
    monkeypatch.delenv(DETERMINISTIC, raising=False)
    if asked is not None:
        monkeypatch.setenv(DETERMINISTIC, asked)
    threads = torch.get_num_threads()
    try:
        picked = pick_device(1, threads)
        on = there and asked == "1"
        assert torch.are_deterministic_algorithms_enabled() == on
        assert torch.is_deterministic_algorithms_warn_only_enabled() == on
        told = device.told_of(picked, "auto")
        assert told.get("deterministic") == (on if there else None)
        pick_device(0, threads)  # the next job of this process asks for no GPU
        assert not torch.are_deterministic_algorithms_enabled()
    finally:
        use_deterministic(False)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries cannot be told")
def test_freed_memory_is_kept_for_the_next_step():
    # In processes of their own: the setting stays for good.
    code = (
        "import resource, sys, torch\n"
        "from dflm.training.device import keep_freed_memory\n"
        "assert sys.argv[1] == 'default' or keep_freed_memory()\n"
        "def pages():\n"
        "    for _ in range(10): torch.ones(10_000_000)\n"
        "    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "before = pages()\n"
        "print(pages() - before)"
    )
    fresh = [
        int(
            subprocess.run(
                [sys.executable, "-c", code, how],
                cwd=Path(dflm.__file__).parents[1],
                capture_output=True,
                text=True,
                check=True,
            ).stdout
        )
        for how in ("default", "kept")
    ]
    assert fresh[1] < 100 < fresh[0]


FIRST_CALL = """
import torch
from dflm.training.device import pick_device

pick_device(0, 2)
x = torch.linspace(0.1, 0.9, 24576)
for _ in range(4):
    (x * 1.0).add_(1)  # both threads are awake
print(torch.equal(torch.acos(x), torch.acos(x)))
"""


def test_the_first_step_of_a_process_is_as_precise_as_the_next():
    # One process in five differs where its threads make MKL's first vector call together.
    for _ in range(10):
        done = subprocess.run(
            [sys.executable, "-c", FIRST_CALL],
            cwd=Path(dflm.__file__).parents[1],
            capture_output=True,
            text=True,
        )
        assert done.stdout == "True\n", done.stdout + done.stderr
