"""Several processes train what one trains, and end as one does."""

import json
import logging
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from dflm.errors import InputError
from dflm.logs import setup_logging
from dflm.sequences.corpus import Corpus
from dflm.sequences.genome import GenomeIndex
from dflm.training import launch
from dflm.training.distributed import World
from dflm.training.launch import ProcessError, local_processes, run_together
from dflm.training.pretrain import pretrain
from dflm.training.shares import SharedStream
from safetensors.torch import load_file
from sharded import shard_all
from worlds import pretrain_each

SCRIPTS = Path(__file__).resolve().parents[2] / "workflow" / "scripts"
LANGUAGE_MODEL = {
    "k": 3,
    "stride": 1,
    "embedding": 12,
    "hidden": 16,
    "layers": 2,
    "dropout": {"output": 0.25, "hidden": 0.1, "input": 0.2, "embedding": 0.02, "weight": 0.15},
    "ar_alpha": 2.0,
    "tar_beta": 1.0,
}
ARGS = {
    "epochs": 2,
    "batch_size": 5,  # so that two processes have shares of different size
    "bptt": 50,
    "variable_bptt": False,
    "optimizer": "adamw",
    "learning_rate": 0.005,
    "weight_decay": 0.01,
    "clip": 0.25,
    "nonmono": 2,
    "validations_per_epoch": 2,
    "validation_tokens": 1000,
    "checkpoint_minutes": 60.0,
    "precision": "fp32",
    "momentum": [0.8, 0.7],
    "pct_start": 0.3,
    "div": 25.0,
    "final_div": 2.5e5,
}
NT_ASGD = {"optimizer": "nt-asgd", "learning_rate": 10.0, "nonmono": 1, "variable_bptt": True}
EVERY_STEP = {"checkpoint_minutes": 0.0, "validations_per_epoch": 5}
HERE = {"gpu": 0, "threads": 1}


def write_genome(folder: Path, validation: int) -> dict:
    """Write a genome whose gaps lie in the streams of one process more than in the other's."""
    rng = np.random.default_rng(0)
    unit = "ACGTTGCAC"
    bases = np.array(list(unit * 400))
    noise = rng.random(bases.size) < 0.05
    bases[noise] = rng.choice(list("ACGT"), noise.sum())
    for start in range(0, 1200, 12):
        bases[start : start + 1 + start % 3] = "N"
    text = "".join(bases)
    (folder / "g.fa").write_text(f">chr1\n{text}\n>chr2\n{(unit * 400)[:validation]}\n")
    index, contigs = shard_all(folder / "g.fa", folder)
    return {"index": str(index), "contigs": str(contigs)}


def arguments(genome: dict, folder: Path, drop_mult: float = 0.0, **changes) -> dict:
    """Return what `pretrain` takes, as plain values."""
    files = {
        "weights": "model.safetensors",
        "card": "model.json",
        "metrics": "metrics.json",
        "history": "metrics.jsonl",
        "checkpoint": "checkpoints/last.pt",
    }
    return {
        **genome,
        **{name: str(folder / file) for name, file in files.items()},
        "language_model": {**LANGUAGE_MODEL, "drop_mult": drop_mult},
        "args": {**ARGS, **changes},
        "seed": 3,
    }


def losses(folder: Path) -> np.ndarray:
    events = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return np.array([[event["loss"], event["train_loss"], event["accuracy"]] for event in events])


def assert_same(one: Path, other: Path) -> None:
    """Assert that two trainings differ by rounding alone."""
    np.testing.assert_allclose(losses(one), losses(other), rtol=2e-5)
    weights, others = (load_file(folder / "model.safetensors") for folder in (one, other))
    for name, tensor in weights.items():
        torch.testing.assert_close(tensor, others[name], rtol=1e-3, atol=2e-5, msg=name)


def identical(one: Path, other: Path) -> bool:
    names = ("model.safetensors", "metrics.jsonl")
    return all((one / name).read_bytes() == (other / name).read_bytes() for name in names)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Trainings by one and by two processes in folders of their own; each number starts once."""
    folder = tmp_path_factory.mktemp("runs of two")
    genomes = []
    for name, validation in (("many", 700), ("one", 60)):
        (folder / name).mkdir()
        genomes.append(write_genome(folder / name, validation))
    many, one = genomes  # streams to validate on

    def job(name, saves, genome, *given, **changes):
        return saves, arguments(genome, folder / name, *given, **changes)

    pretrain_each(
        [
            job("adamw by 1", 0, many),
            job("nt-asgd by 1", 0, one, **NT_ASGD, **EVERY_STEP),
            job("torn by 1, whole by 2", 9, one, **NT_ASGD, **EVERY_STEP),
        ],
        **HERE,
    )
    by_two = [
        job("adamw by 2", 0, many),
        job("nt-asgd by 2", 0, one, **NT_ASGD, **EVERY_STEP),
        job("torn by 1, whole by 2", 0, one, **NT_ASGD, **EVERY_STEP),
        job("torn by 2, whole by 1", 17, one, **NT_ASGD, **EVERY_STEP),
        job("dropout by 2", 0, many, 0.5, **EVERY_STEP),
        (*job("dropout alike by 2", 0, many, 0.5, **EVERY_STEP), "alike"),
        job("torn and whole by 2", 12, many, 0.5, **EVERY_STEP),
        job("torn and whole by 2", 0, many, 0.5, **EVERY_STEP),
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent))
        run_together("worlds:pretrain_each", {"jobs": by_two, "processes": 2, "nodes": 1, **HERE})
    pretrain_each([job("torn by 2, whole by 1", 0, one, **NT_ASGD, **EVERY_STEP)], **HERE)
    return folder


@pytest.mark.parametrize("optimizer", ["adamw", "nt-asgd"])
def test_two_processes_learn_as_one_does_whatever_their_shares(runs, optimizer):
    """Shares differ in streams and in gaps; of one validation stream a process has none."""
    one, two = (runs / f"{optimizer} by {size}" for size in (1, 2))
    assert_same(two, one)
    assert losses(two)[-1, 0] < 0.9 * losses(two)[0, 0]
    for folder, size in ((one, 1), (two, 2)):
        for name in ("metrics.json", "model.json"):
            text = json.loads((folder / name).read_text())
            assert text.get("metrics", text)["processes"] == size
    cards = [json.loads((folder / "model.json").read_text()) for folder in (one, two)]
    assert cards[0]["training"] == cards[1]["training"]
    assert not (two / "checkpoints").exists()


@pytest.mark.parametrize("name", ["torn by 1, whole by 2", "torn by 2, whole by 1"])
def test_a_checkpoint_goes_on_with_another_number_of_processes(runs, name):
    assert_same(runs / name, runs / "nt-asgd by 1")


def test_killed_and_resumed_by_two_gives_the_same_files(runs):
    assert identical(runs / "torn and whole by 2", runs / "dropout by 2")


def test_each_process_draws_dropout_of_its_own(runs):
    own, alike = (losses(runs / f"dropout {which}by 2") for which in ("", "alike "))
    assert not np.allclose(own, alike)


def test_shares_hold_each_stream_once_and_no_more_of_the_corpus(tmp_path):
    genome = write_genome(tmp_path, 700)
    corpus = Corpus(GenomeIndex.load(genome["index"], genome["contigs"]), "train", min_run=3)
    cpu = torch.device("cpu")
    for stride, batch_size, size in ((1, 5, 2), (2, 4, 4), (5, 7, 3)):
        whole = SharedStream(corpus, 3, stride, batch_size, 50, cpu, World())
        parts = [
            SharedStream(corpus, 3, stride, batch_size, 50, cpu, World(rank, size))
            for rank in range(size)
        ]
        assert all(len(part) == len(whole) for part in parts)
        assert sum(len(part.here.codes) for part in parts) <= len(corpus) + 3 * size
        for window in whole.windows(np.random.default_rng(1)):
            for i in range(2):
                rows = torch.cat([part.here.window(*window)[i] for part in parts])
                assert torch.equal(rows, whole.here.window(*window)[i])


def test_a_share_on_a_device_is_that_of_the_corpus(tmp_path):
    genome = write_genome(tmp_path, 700)
    corpus = Corpus(GenomeIndex.load(genome["index"], genome["contigs"]), "train", min_run=3)
    part = SharedStream(corpus, 3, 1, 4, 50, torch.device("cpu"), World(1, 2)).here.codes
    blocks = np.concatenate(list(part.blocks(97)))
    assert blocks.tolist() == corpus.rows(np.array([part.start]), len(part))[0].tolist()


def test_more_processes_than_streams_are_refused(tmp_path):
    genome = write_genome(tmp_path, 700)
    job = arguments(genome, tmp_path, batch_size=1)
    with pytest.raises(InputError, match=r"pretrain\.batch_size: 1 streams .* 2 processes"):
        pretrain(**job, **HERE, world=World(1, 2))


@pytest.mark.parametrize(
    ("gpu", "processes", "nodes", "there", "expected"),
    [
        (1, 1, 1, 0, 1),
        (4, 1, 1, 0, 1),  # no GPU is there
        (0, 3, 1, 4, 3),  # none was given
        (2, 1, 1, 4, 2),
        (4, 1, 1, 2, 2),
        (8, 9, 2, 4, 4),
        (0, 4, 2, 0, 2),
    ],
)
def test_each_gpu_that_was_given_and_is_there_gets_a_process(
    monkeypatch, gpu, processes, nodes, there, expected
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: there)
    assert local_processes(gpu, processes, nodes) == expected


# ---- ends ---------------------------------------------------------------------------------------


@pytest.fixture
def log(tmp_path):
    """The log of a job, which the processes go on with."""
    root = logging.getLogger()
    before, hook = (root.handlers[:], root.level), sys.excepthook
    setup_logging(tmp_path / "job.log")
    yield tmp_path / "job.log"
    for handler in root.handlers:
        handler.close()
    root.handlers, root.level = before
    logging.captureWarnings(False)
    sys.excepthook = hook


def test_a_process_that_fails_ends_all_and_its_reason_is_told(log, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    with pytest.raises(ProcessError, match=r"^process 1: FileNotFoundError: .*'/no/such file'"):
        run_together("worlds:fail_alone", {"processes": 2, "nodes": 1, **HERE})
    assert 'os.stat("/no/such file")' in log.read_text()


LOST = {"message": "RuntimeError: [gloo/pair.cc:5] Connection closed by peer", "exitcode": 1}


@pytest.mark.parametrize(
    ("failure", "kind", "reason"),
    [
        ({"exitcode": 1, "message": "InputError: no genome"}, InputError, "^no genome$"),
        ({"exitcode": 1, "message": "KeyError: 'a'"}, ProcessError, "^process 1: KeyError: 'a'$"),
        ({"exitcode": -9, "message": ""}, ProcessError, "process 1: .*SIGKILL.*memory"),
        ({"exitcode": 7, "message": ""}, ProcessError, "process 1: ended without a word"),
    ],
)
def test_the_reason_is_that_of_the_process_the_others_lost(failure, kind, reason):
    lost, asked = LOST | {"rank": 0, "timestamp": 1}, {"exitcode": 143, "message": ""}
    failures = [lost, asked | {"rank": 2, "timestamp": 0}, failure | {"rank": 1, "timestamp": 2}]
    with pytest.raises(kind, match=reason):
        launch._report(failures)
    with pytest.raises(SystemExit) as ended:
        launch._report(failures[1:2])
    assert ended.value.code == 143


def test_no_process_outlives_the_job(tmp_path, monkeypatch):
    """The agent is killed; its processes are in sessions of their own."""
    monkeypatch.setenv("PYTHONPATH", f"{SCRIPTS}:{Path(__file__).parent}")
    code = (
        "from dflm.training.launch import run_together;"
        "run_together('worlds:wait', {'processes': 2, 'nodes': 1, 'gpu': 0, 'threads': 1})"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path) as process:
        deadline = time.monotonic() + 120
        while len(list(tmp_path.iterdir())) < 2:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        others = psutil.Process(process.pid).children(recursive=True)
        assert len(others) == 2
        process.kill()
    _, alive = psutil.wait_procs(others, timeout=10)
    assert not alive


# ---- several nodes ------------------------------------------------------------------------------

SRUN = f"""#!{sys.executable}
import os, subprocess, sys
options = [word for word in sys.argv[1:] if word.startswith("--")]
command = sys.argv[1 + len(options):]
nodes = int(dict(option.split("=") for option in options if "=" in option)["--nodes"])
started = [subprocess.Popen(command, env=os.environ | {{"SLURM_NODEID": str(i)}})
           for i in range(nodes)]
sys.exit(max(process.wait() for process in started))
"""


@pytest.fixture
def srun(tmp_path, monkeypatch):
    """Return a function that sets what srun does in the SLURM job that this seems to be."""
    program = tmp_path / "bin" / "srun"
    program.parent.mkdir()
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_JOB_ID", "77")
    monkeypatch.setenv("SLURM_NTASKS", "1")

    def does(text):
        program.write_text(text)
        program.chmod(program.stat().st_mode | stat.S_IXUSR)

    return does


def test_an_agent_on_each_node_starts_processes_of_one_world(srun, tmp_path, monkeypatch):
    """On one machine, with a stand-in for srun."""
    srun(SRUN)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    run_together("worlds:meet", {"folder": tmp_path, "processes": 2, "nodes": 2, **HERE})
    met = json.loads((tmp_path / "met.json").read_text())
    assert sorted(world["node"] for world in met) == ["0", "1"]
    assert all(world["tasks"] is None for world in met)  # of the step around the job
    assert [world["rank"] for world in met] == [0, 1]


def test_failures_on_nodes_are_told(srun, tmp_path, monkeypatch):
    job = arguments(write_genome(tmp_path, 700), tmp_path)
    failure = {"rank": 1, "exitcode": 1, "timestamp": 0, "message": "InputError: no genome"}
    srun(f"#!/bin/sh\necho '{json.dumps(failure)}'\nexit 1\n")
    with pytest.raises(InputError, match=r"^no genome$"):
        pretrain(**job, **HERE, processes=2, nodes=2)
    srun("#!/bin/sh\nexit 3\n")
    with pytest.raises(ProcessError, match="srun ended with 3"):
        pretrain(**job, **HERE, processes=2, nodes=2)
    monkeypatch.delenv("SLURM_JOB_ID")
    with pytest.raises(InputError, match="no SLURM job"):
        pretrain(**job, **HERE, processes=2, nodes=2)
