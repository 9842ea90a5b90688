"""Jobs spread over the GPUs of a machine, whatever becomes of them."""

import logging
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from dflm import resources
from dflm.errors import InputError
from dflm.training import gpu_share
from dflm.training.device import pick_device

SCRIPTS = Path(__file__).resolve().parents[2] / "workflow" / "scripts"
HOLD = """
import sys
from pathlib import Path
import types
sys.modules["torch"] = types.ModuleType("torch")  # the locks need none, and it takes seconds
from dflm.training.gpu_share import take_device
print(*take_device(sys.argv[3:], int(sys.argv[2]), Path(sys.argv[1])), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def start(tmp_path):
    """Start a process that takes one of some devices; return it, the device and what was used."""
    running = []

    def begin(*names, share=25):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(tmp_path), str(share), *names],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=SCRIPTS, text=True,
        )  # fmt: skip
        running.append(process)
        return process, *map(int, process.stdout.readline().split())

    yield begin
    for process in running:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def test_jobs_spread_evenly_and_a_killed_one_makes_room(start):
    held = [start("A", "B") for _ in range(4)]
    assert [(chosen, used) for _, chosen, used in held] == [(0, 0), (1, 0), (0, 25), (1, 25)]
    held[1][0].kill()
    held[1][0].wait()
    assert start("A", "B")[1:] == (1, 25)
    assert start("A", "B")[1:] == (0, 50)


def test_shares_count_not_jobs(start):
    assert start("A", "B", share=100)[1] == 0
    for used in (0, 30, 60):
        assert start("A", "B", share=30)[1:] == (1, used)


def test_a_job_sees_what_takes_its_device_under_another_number(start):
    assert start("A", "B")[1] == 0
    assert start("A")[1:] == (0, 25)
    assert start("B", "A")[1:] == (0, 0)


def test_jobs_that_start_together_do_not_meet(tmp_path):
    command = [sys.executable, "-c", HOLD, str(tmp_path), "10", *"ABCD"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    together = [subprocess.Popen(command, cwd=SCRIPTS, text=True, **pipes) for _ in range(8)]
    told = [process.stdout.readline().split() for process in together]
    for process in together:
        process.communicate("")
    assert sorted(told) == sorted([device, used] for device in "0123" for used in ("0", "10"))


def test_a_job_gets_its_part_of_the_memory_of_the_device_it_took(monkeypatch, tmp_path, caplog):
    """With two devices that are none."""
    asked = {}
    fake = {
        "is_available": lambda: True,
        "device_count": lambda: 2,
        "get_device_properties": lambda number: SimpleNamespace(
            uuid=f"GPU-{number}", total_memory=100 * gpu_share.CONTEXT
        ),
        "get_device_name": lambda device: "a GPU",
        "set_device": lambda number: asked.update(device=number),
        "current_device": lambda: asked["device"],
        "set_per_process_memory_fraction": lambda part, number: asked.update(part=part, of=number),
    }
    for name, function in fake.items():
        monkeypatch.setattr(torch.cuda, name, function)
    monkeypatch.setattr(gpu_share.tempfile, "gettempdir", lambda: str(tmp_path))
    assert pick_device(1, 1, gpu_share=60) == torch.device("cuda", 0)
    assert asked == {"device": 0, "part": pytest.approx(0.59), "of": 0}
    assert pick_device(1, 1, gpu_share=60) == torch.device("cuda", 1)
    assert not [record for record in caplog.records if record.levelno > logging.INFO]
    assert pick_device(1, 1, gpu_share=60) == torch.device("cuda", 0)
    assert "60 % of this GPU were taken before" in caplog.text
    (folder,) = tmp_path.iterdir()
    assert folder.stat().st_mode & 0o077 == 0
    assert {path.name.split(".")[0] for path in folder.iterdir()} == {"lock", "GPU-0", "GPU-1"}


@pytest.mark.parametrize(
    ("resources", "gpus"),
    [
        ({}, 0),
        ({"gpu": 2}, 2),
        ({"gpu": 0, "gres": "shard:1"}, 1),
        ({"gres": "mps:25"}, 1),
        ({"gres": "gpu"}, 1),
        ({"gres": "gpu:h200"}, 1),
        ({"gres": "gpu:h200:4"}, 4),
        ({"gres": "gpu:h200:4", "nodes": 2}, 8),
        ({"gpu": 8, "nodes": 2}, 8),
        ({"gpu": 1, "gres": "lscratch:9"}, 1),
    ],
)
def test_a_part_of_a_gpu_is_one_to_the_job(resources, gpus):
    assert gpu_share.gpus_given(resources) == gpus


def test_a_share_holds_the_context_of_its_process():
    assert gpu_share.CONTEXT == resources.CUDA_CONTEXT
    for total in (8 * 10**9, 140 * 10**9):
        assert gpu_share.fraction_of(100, total) == 1
        four = 4 * (gpu_share.fraction_of(25, total) * total + gpu_share.CONTEXT)
        assert four <= total or total == 8 * 10**9
    assert gpu_share.fraction_of(25, 8 * 10**9) == 0.125


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_real_gpu_refuses_more_than_the_share(tmp_path):
    """In a process of its own, as the limit stays for its life."""
    code = """
import torch
from dflm.training.device import pick_device
device = pick_device(1, 1, gpu_share=20)
whole = torch.cuda.get_device_properties(device).total_memory
torch.empty(whole // 20, dtype=torch.uint8, device=device)
try:
    torch.empty(whole // 4, dtype=torch.uint8, device=device)
except torch.cuda.OutOfMemoryError:
    print("refused")
"""
    told = subprocess.check_output(
        [sys.executable, "-c", code],
        cwd=SCRIPTS,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        text=True,
    )
    assert told.split() == ["refused"]


def test_a_process_among_others_takes_the_device_that_it_was_given(tmp_path):
    names = ["GPU-0", "GPU-1"]
    assert gpu_share.take_device(names, 100, tmp_path, wanted=1) == (1, 0)
    # It holds it: the next job takes the other.
    assert gpu_share.take_device(names, 50, tmp_path) == (0, 0)
    assert gpu_share.take_device(names, 100, tmp_path, wanted=1) == (1, 100)


@pytest.mark.parametrize("share", [0, 101, -5])
def test_a_share_is_a_percentage(share):
    with pytest.raises(InputError, match="gpu_share"):
        gpu_share.share_gpu(share)
