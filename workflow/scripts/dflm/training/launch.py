"""Starting the processes of a training: torch's elastic agent, on each node of a job."""

import importlib
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from dflm.errors import InputError
from dflm.logs import setup_logging
from dflm.training.checkpoint import STOP_SIGNALS, stop_request
from dflm.training.distributed import World

log = logging.getLogger(__name__)

SECONDS_TO_END = 120  # for a checkpoint after a signal, before a process is killed
STOPPED = {128 + number for number in STOP_SIGNALS}
# Started by a command, since the job's own script cannot be imported. The library lies where
# neither its process nor any other would look for it.
_CALL = (
    "import importlib, json, sys\n"
    "job = json.loads(sys.argv[1])\n"
    "sys.path.append(job['library'])\n"
    "from dflm.phases import quick_imports\n"
    "with quick_imports():\n"
    "    from dflm.training.launch import {0}\n"
    "    importlib.import_module(job['function'].partition(':')[0])\n"
    "{0}(job)"
)
# What the ends of torch's connections say when the process at the other end has gone.
_LOST = re.compile(
    r"gloo|nccl|DistBackendError|DistNetworkError|DistStoreError|TCPStore"
    r"|connection (closed|reset|refused)|broken pipe",
    re.IGNORECASE,
)


class ProcessError(RuntimeError):
    """A process of a training ended with an error that is none of the input."""


def local_processes(gpu: int, processes: int, nodes: int) -> int:
    """Return how many processes a node is to run.

    Parameters
    ----------
    gpu : int >= 0
        GPUs that the job was given on all nodes; where torch finds any, each gets a process.
    processes : int >= 1
        Processes on all nodes where it finds none.
    nodes : int >= 1
    """
    if gpu < 1 or not torch.cuda.is_available():
        return -(-processes // nodes)
    wanted, there = -(-gpu // nodes), torch.cuda.device_count()
    if there < wanted:
        log.warning("the job was given %d GPUs on a node, but torch finds %d", wanted, there)
    return min(wanted, there)


def run_together(function: str, arguments: dict) -> None:
    """Call a function in several processes that train together, and wait for them.

    Parameters
    ----------
    function : str
        As ``module:name``. Each process calls it with its `World` as ``world``.
    arguments : dict
        Of the function, plain values and paths; ``gpu``, ``threads``, ``processes`` and
        ``nodes`` say where it runs.

    Raises
    ------
    InputError
        If a process raised it, or there are several nodes but no SLURM job.
    ProcessError
        If a process failed otherwise; its traceback stands in the log.
    SystemExit
        If they were asked to end.
    """
    files = [h for h in logging.getLogger().handlers if isinstance(h, logging.FileHandler)]
    job = {
        "library": str(Path(__file__).resolve().parents[2]),
        "function": function,
        "arguments": {
            name: os.fspath(value) if isinstance(value, os.PathLike) else value
            for name, value in arguments.items()
            if name not in ("processes", "nodes", "world")
        },
        "log": files[0].baseFilename if files else None,
        **{name: arguments[name] for name in ("gpu", "threads", "processes", "nodes")},
    }
    _report(run_agent(job) if job["nodes"] == 1 else _run_on_nodes(job))


def run_agent(job: dict) -> list[dict]:
    """Run this node's processes; return the failures, none if all went well.

    Returns
    -------
    list of dict
        Of each failed process: rank, exitcode, timestamp, message and traceback.
    """
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    count = local_processes(job["gpu"], job["processes"], job["nodes"])
    job["arguments"]["threads"] = max(1, job["threads"] // count)
    with tempfile.TemporaryDirectory(prefix="dflm-", ignore_cleanup_errors=True) as folder:
        config = LaunchConfig(
            min_nodes=job["nodes"],
            max_nodes=job["nodes"],
            nproc_per_node=count,
            run_id=job.get("id", "dflm"),
            rdzv_backend="c10d",
            rdzv_endpoint=job.get("endpoint", "localhost:0"),
            # One node needs no name that others could reach it by.
            local_addr=None if "endpoint" in job else "localhost",
            max_restarts=0,
            logs_specs=DefaultLogsSpecs(log_dir=folder),
            shutdown_timeout=SECONDS_TO_END,
        )
        try:
            elastic_launch(config, sys.executable)("-P", "-c", _CALL.format("work"), _packed(job))
        except ChildFailedError as error:
            return [_failure(rank, failure) for rank, failure in error.failures.items()]
        except SignalException as error:
            return [{"rank": -1, "exitcode": 128 + error.sigval, "timestamp": 0, "message": ""}]
    return []


def work(job: dict) -> None:
    """Be one of the processes that an agent starts."""
    from torch.distributed.elastic.multiprocessing.errors import record

    _end_with_parent()
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    setup_logging(job["log"] if rank == 0 else None, append=True)
    if rank > 0:
        logging.getLogger().setLevel(logging.ERROR)

    def call() -> None:
        cuda = job["gpu"] >= 1 and torch.cuda.is_available()
        if cuda:
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        # Numbers that the processors exchange wait for no GPU.
        torch.distributed.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo")
        module, name = job["function"].split(":")
        function = getattr(importlib.import_module(module), name)
        world = World(rank, size)
        function(**job["arguments"], world=world)
        world.barrier()
        torch.distributed.destroy_process_group()

    code = 0
    try:
        record(call)()
    except SystemExit as stop:
        code = int(stop.code or 0)
    except Exception:
        # The agent has it from `record` and reports the first of all processes' errors.
        code = 1
    # All is written. Taking the interpreter down as usual now and then aborts the process, when a
    # thread of torch's store is still there at that moment.
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def node(job: dict) -> None:
    """Be one node of several: run its processes, and print their failures, a line each."""
    setup_logging()
    failures = run_agent(job)
    for failure in failures:
        print(json.dumps(failure), flush=True)
    if any(failure["exitcode"] not in STOPPED for failure in failures):
        raise SystemExit(1)


def _run_on_nodes(job: dict) -> list[dict]:
    if "SLURM_JOB_ID" not in os.environ:
        raise InputError(
            f"the job was given {job['nodes']} nodes, but this is no SLURM job",
            mend="run it with --executor slurm, or on one node",
        )
    with socket.socket() as free:
        free.bind(("", 0))
        endpoint = f"{socket.gethostname()}:{free.getsockname()[1]}"
    job |= {"endpoint": endpoint, "id": os.environ["SLURM_JOB_ID"]}
    nodes = job["nodes"]
    command = [
        *("srun", "--overlap", f"--nodes={nodes}", f"--ntasks={nodes}", "--ntasks-per-node=1"),
        *(f"--cpus-per-task={job['threads']}", "--cpu-bind=none", "--kill-on-bad-exit=1"),
        *(sys.executable, "-P", "-c", _CALL.format("node"), _packed(job)),
    ]
    # What the step around this process was given is not what the new one is to get.
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SLURM_", "SRUN_")) or name in ("SLURM_JOB_ID", "SLURM_JOBID")
    }
    log.info("%d nodes, meeting at %s", nodes, endpoint)
    # SLURM sends its signal to all processes of a job: this one waits for the others.
    with stop_request() as stop:
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=env, check=False)
    if stop.signal:
        raise SystemExit(128 + stop.signal)
    failures = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode and not failures:
        raise ProcessError(f"srun ended with {done.returncode}; the job's SLURM log says why")
    return failures


def _packed(job: dict) -> str:
    # A dollar sign would have the agent look for a variable.
    return json.dumps(job).replace("$", "\\u0024")


def _failure(rank: int, failure: object) -> dict:
    """Return what the agent knows of a failed process as plain values."""
    told = failure.error_file_data.get("message", {})
    return {
        "rank": rank,
        "exitcode": failure.exitcode,
        "timestamp": failure.timestamp,
        "message": told.get("message", "") if isinstance(told, dict) else str(told),
        "traceback": told.get("extraInfo", {}).get("py_callstack", "")
        if isinstance(told, dict)
        else "",
    }


def _report(failures: list[dict]) -> None:
    """Raise the error behind the failures of processes, if there are any."""
    codes = {failure["exitcode"] for failure in failures}
    if not codes:
        return
    if codes <= STOPPED:
        raise SystemExit(max(codes))
    # A process that lost another one says so in the same second; and those that the agent then
    # asked to end had no failure of their own.
    first = min(
        (failure for failure in failures if failure["exitcode"] not in STOPPED),
        key=lambda failure: (bool(_LOST.search(failure["message"])), failure["timestamp"]),
    )
    kind, _, message = first["message"].partition(": ")
    if kind == InputError.__name__:
        raise InputError(message)
    if first.get("traceback"):
        log.error("process %d:\n%s", first["rank"], first["traceback"].rstrip())
    reason = first["message"]
    if first["exitcode"] < 0:
        name = signal.Signals(-first["exitcode"]).name
        reason = f"was ended by {name}" + ", often for lack of memory" * (name == "SIGKILL")
    raise ProcessError(f"process {first['rank']}: {reason or 'ended without a word'}")


def _end_with_parent() -> None:
    """Have the system end this process with the agent, also when that one is killed.

    An agent starts its processes in sessions of their own, which a kill of its group spares.
    """
    if sys.platform == "linux":
        import ctypes

        parent_death_signal = 1  # PR_SET_PDEATHSIG, see prctl(2)
        ctypes.CDLL(None).prctl(parent_death_signal, signal.SIGKILL)
