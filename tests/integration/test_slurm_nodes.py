"""The workflow on a SLURM cluster of two nodes whose GPUs are divided into shards.

`make test-slurm` makes the two nodes of the one that its other tests run on.
"""

import json
import re

import pytest
from small_run import STRONG, Run
from test_slurm import NAMES, Cluster, history, idle_nodes

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.skipif(idle_nodes() < 2, reason="needs two idle nodes of SLURM: make test-slurm"),
]


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


def test_the_jobs_of_several_sets_share_a_gpu(tmp_path):
    run = Cluster(tmp_path).configure(datasets={"select": list(NAMES)})
    run.profile = "slurm-packed"
    output = run()
    rows = run.table()
    assert {rows[name]["status"] for name in NAMES} == {"ok"}
    assert float(rows[STRONG]["auroc"]) > 0.75
    (run_id,) = re.findall(r"SLURM run ID: (\S+)", output)
    given = [job["AllocTRES"].split(",") for job in history(run_id)]
    assert sum("gres/shard=1" in resources for resources in given) == 3 * len(NAMES), given
    assert sum("gres/gpu=1" in resources for resources in given) == 2, given
    for name in NAMES:
        for rule in ("finetune_lm", "train_classifier", "predict"):
            log = run.log(f"{rule}/{name}")
            assert re.search(r"CUDA_VISIBLE_DEVICES is [01]\b", log), log
