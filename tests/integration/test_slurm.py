"""Pretraining on several nodes of a SLURM cluster."""

import json
import shutil
import subprocess

import pytest
from test_workflow import Run


def idle_nodes():
    if shutil.which("sinfo") is None:
        return 0
    command = ["sinfo", "--noheader", "--states", "idle", "--format", "%D"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return sum(int(line) for line in done.stdout.split())


@pytest.mark.slurm
@pytest.mark.skipif(idle_nodes() < 2, reason="needs a SLURM cluster with two idle nodes")
def test_two_nodes_pretrain_together(tmp_path):
    run = Run(tmp_path).configure()
    run("--", "results/genome/index.json")
    resources = {
        **{"nodes": 2, "processes": 2, "gpu": 0, "mem_mb": 2000, "runtime": 10},
        # By these the plugin leaves the start of the tasks to the job.
        **{"mpi": "srun", "tasks": 2},
    }
    run(
        *("--executor", "slurm", "--jobs", "1", "--slurm-status-command", "squeue"),
        *("--slurm-init-seconds-before-status-checks", "3", "--set-resources"),
        *(f"pretrain_lm:{name}={value}" for name, value in resources.items()),
        *("--", "results/pretrain/model.safetensors"),
    )
    assert "2 nodes, meeting at " in run.log("pretrain_lm")
    assert json.loads(run.path("pretrain", "metrics.json").read_text())["processes"] == 2
