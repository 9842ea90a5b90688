"""The workflow on a SLURM cluster: from nothing to the table, and after all that happens to jobs.

`make test-slurm` starts a cluster of one node for it. Another account or partition: the variables
DFLM_SLURM_ACCOUNT and DFLM_SLURM_PARTITION. The undisturbed run is made once; others have to come
to the same files.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import threading
import time

import psutil
import pytest
from runs import ROOT
from small_run import MEDIUM, STRONG, Run, contents

PROFILES = ROOT / "workflow" / "profiles"
ACCOUNT = os.environ.get("DFLM_SLURM_ACCOUNT", "lab")
PARTITION = os.environ.get("DFLM_SLURM_PARTITION", "main")
NAMES = (STRONG, MEDIUM)
PRETRAINED = "results/pretrain/model.safetensors"
CHECKPOINT = ("pretrain", "checkpoints", "last.pt")
TRAININGS = ("pretrain_lm", "discriminate_genome", "finetune_lm", "train_classifier", "predict")
MININGS = ("attribute", "scan_genome", "score_variants")
LONG = 4  # epochs of pretraining: some seconds in which to do something to it
PATIENCE = 1800  # seconds that anything may take on a machine that has other things to do


def told(*command):
    """Return what a command of SLURM says, a list of words for each line."""
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [line.split("|") for line in done.stdout.splitlines()]


def idle_nodes():
    if shutil.which("sinfo") is None:
        return 0
    command = ["sinfo", "--noheader", "--states", "idle,mixed", "--format", "%D"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return sum(int(line) for line in done.stdout.split())


pytestmark = [
    pytest.mark.slurm,
    pytest.mark.skipif(idle_nodes() < 1, reason="needs a SLURM cluster: make test-slurm"),
]


def until(happened, process=None):
    """Wait until something happened, and return what it came to."""
    deadline = time.monotonic() + PATIENCE
    while not (found := happened()):
        assert process is None or process.poll() is None, "Snakemake ended before"
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return found


class Cluster(Run):
    """Snakemake with a profile for SLURM, an account and a partition filled in."""

    profile = "slurm"

    @property
    def options(self):
        return (
            *("--workflow-profile", str(PROFILES / self.profile)),
            *("--default-resources", f"slurm_account={ACCOUNT}", f"slurm_partition={PARTITION}"),
            *("mem_mb=300", "runtime=5", "--latency-wait", "10"),
            *("--slurm-init-seconds-before-status-checks", "2"),
            *("--set-threads", *(f"{rule}=1" for rule in TRAININGS + MININGS)),
        )

    @contextlib.contextmanager
    def running(self, *arguments):
        """Start Snakemake, read along, and kill what is left of it in the end."""
        with self.start(*arguments, start_new_session=True) as process:
            said = []
            reader = threading.Thread(target=lambda: said.extend(process.stdout))
            reader.start()
            process.said = lambda: "".join(said)
            process.run_id = lambda: re.search(r"SLURM run ID: (\S+)", process.said())[1]
            try:
                yield process
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                reader.join()

    def ends(self, process, fails=False):
        assert (process.wait(PATIENCE) != 0) == fails, process.said()
        return process.said()


def jobs_of(process, rule=""):
    """Return the SLURM jobs of a run of Snakemake, queued or running."""
    command = ("squeue", "--noheader", "--name", process.run_id(), "--format", "%A|%T|%k")
    return [
        number for number, state, comment in told(*command) if comment.startswith(f"rule_{rule}")
    ]


def history(run_id):
    """Return state, rule, GPUs, memory and limit in minutes of all jobs that a run ever had."""
    fields = "JobID,State,Comment,AllocTRES,ReqMem,TimelimitRaw"
    command = ("sacct", "-X", "--noheader", "--parsable2", "--name", run_id, "--format", fields)
    return [dict(zip(fields.split(","), row, strict=True)) for row in told(*command)]


def script_of(name):
    """Return the process of a script on this node, if it runs."""
    for process in psutil.process_iter(["cmdline"]):
        line = process.info["cmdline"] or [""]
        if line[0].endswith("python") and line[-1].endswith(f".{name}.py"):
            return process
    return None


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The whole demo of two sets, on the cluster from nothing to the table."""
    run = Cluster(tmp_path_factory.mktemp("finished"))
    run.configure(
        datasets={"select": list(NAMES)}, pretrain={"epochs": LONG}, ablations=["no_detectors"]
    )
    run.output = run("--omit-from", "finetune_lm", "train_classifier")
    run.profile = "slurm-grouped"
    run.grouped = run()
    run.profile = "slurm"
    return run


@pytest.fixture
def copied(finished, tmp_path):
    shutil.copytree(finished.folder, tmp_path, dirs_exist_ok=True)
    return Cluster(tmp_path)


@pytest.fixture
def untrained(copied):
    """The finished run without its pretraining."""
    shutil.rmtree(copied.path("pretrain"))
    return copied


def same_model(run, other):
    """Say whether pretraining came to the same files in two runs, but for the time it took."""
    here, there = (contents(each.path("pretrain")) for each in (run, other))
    for found in (here, there):
        found.pop("learning_curve.svg", None)
    assert here == there
    return True


# ---- from nothing to the table -----------------------------------------------------------------


def test_the_demo_runs_on_a_cluster_with_gpus(finished):
    rows = finished.table()
    assert {name: row["status"] for name, row in rows.items() if name != "MEAN"} == dict.fromkeys(
        NAMES, "ok"
    )
    assert float(rows[STRONG]["auroc"]) > 0.75
    for log in ("pretrain_lm", f"finetune_lm/{STRONG}", f"train_classifier/{MEDIUM}"):
        text = finished.log(log)
        # A stand-in for a device: SLURM names it to the job, and torch finds none.
        assert re.search(r"CUDA_VISIBLE_DEVICES is [01]\b", text), text
        assert "the job was given a GPU, but torch finds none" in text
    assert "Nothing to be done" in finished()


def test_the_jobs_of_a_set_are_one_job_of_the_cluster(finished):
    (run_id,) = re.findall(r"SLURM run ID: (\S+)", finished.grouped)
    jobs = [job for job in history(run_id) if "group" in job["Comment"] or "_set" in job["Comment"]]
    with_gpu = [job for job in history(run_id) if "gres/gpu=1" in job["AllocTRES"]]
    assert len(with_gpu) == len(NAMES), (jobs, finished.grouped)
    assert {job["State"] for job in with_gpu} == {"COMPLETED"}


def test_sets_are_grouped_only_once_they_are_split(copied):
    shutil.rmtree(copied.path("chipseq", STRONG))
    copied.profile = "slurm-grouped"
    output = copied(fails=True)
    assert f"1 set has still to be split ({STRONG})" in output
    assert "--omit-from finetune_lm train_classifier" in output
    assert "has been submitted" not in output


def test_one_set_trained_again_has_the_same_bytes(finished, copied):
    copied("--forcerun", "train_classifier", "--", f"results/classify/{STRONG}/metrics.json")
    before, after = (run.path("classify", STRONG) for run in (finished, copied))
    assert contents(after) == contents(before)
    assert (after / "predictions.tsv").stat().st_mtime > (
        before / "predictions.tsv"
    ).stat().st_mtime
    before, after = (run.path("classify", MEDIUM, "model.json") for run in (finished, copied))
    assert after.stat().st_mtime_ns == before.stat().st_mtime_ns


def test_the_models_are_mined_on_the_cluster(copied):
    copied.configure(datasets={"select": [STRONG]}, pretrain={"epochs": LONG}).mine()
    output = copied()
    (run_id,) = re.findall(r"SLURM run ID: (\S+)", output)
    with_gpu = [job for job in history(run_id) if "gres/gpu=1" in job["AllocTRES"]]
    assert len(with_gpu) == len(MININGS), with_gpu
    for log in (f"attribute/{STRONG}", f"scan_genome/{STRONG}", "score_variants"):
        assert re.search(r"CUDA_VISIBLE_DEVICES is [01]\b", copied.log(log)), log
    assert "planted_STRONG" in copied.path("summary", "motifs.tsv").read_text()
    assert "Nothing to be done" in copied()


# ---- what happens to jobs ----------------------------------------------------------------------


def pretraining(run, process):
    """Wait for a checkpoint of the pretraining, and return its job's number."""
    until(run.path(*CHECKPOINT).exists, process)
    (job,) = jobs_of(process, "pretrain_lm")
    return job


def test_a_cancelled_job_is_submitted_again_and_goes_on(finished, untrained):
    with untrained.running("--", PRETRAINED) as process:
        job = pretraining(untrained, process)
        subprocess.run(["scancel", job], check=True)
        output = untrained.ends(process)
    assert f"SLURM-job '{job}' failed, SLURM status is: 'CANCELLED'" in output
    assert "resuming from results/pretrain/checkpoints/last.pt" in untrained.log("pretrain_lm")
    assert same_model(untrained, finished)


def test_a_killed_job_is_tried_again_with_more_memory_and_time(finished, untrained):
    with untrained.running("--", PRETRAINED) as process:
        pretraining(untrained, process)
        script_of("pretrain_lm").send_signal(signal.SIGKILL)
        output = untrained.ends(process)
    assert "SLURM status is: 'FAILED'" in output
    assert "resuming from results/pretrain/checkpoints/last.pt" in untrained.log("pretrain_lm")
    assert same_model(untrained, finished)
    first, second = history(process.run_id())
    assert (first["State"], second["State"]) == ("FAILED", "COMPLETED")
    assert int(second["TimelimitRaw"]) == 2 * int(first["TimelimitRaw"])
    memory = [float(job["ReqMem"].rstrip("M")) for job in (first, second)]
    assert memory[1] == pytest.approx(2 * memory[0], rel=0.01)


def test_a_job_that_always_fails_ends_with_its_reason(untrained):
    shutil.rmtree(untrained.path("genome", "contigs"))
    untrained.path("genome", "contigs").mkdir()
    output = untrained(
        *("--rerun-triggers", "mtime", "--retries", "1", "--", PRETRAINED), fails=True
    )
    assert output.count("SLURM status is: 'FAILED'") == 2
    assert "ERROR " in output  # the last line of the job's log, on the terminal


def test_snakemake_killed_leaves_jobs_that_can_be_ended_and_a_run_that_goes_on(finished, untrained):
    with untrained.running("--", PRETRAINED) as process:
        job = pretraining(untrained, process)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    # The job lives on without it; another run must not start beside it.
    assert jobs_of(process) == [job]
    assert "Directory cannot be locked" in untrained("--", PRETRAINED, fails=True)
    subprocess.run(["scancel", f"--name={process.run_id()}"], check=True)
    until(lambda: not jobs_of(process))
    untrained("--unlock")
    untrained("--", PRETRAINED)
    assert "resuming from results/pretrain/checkpoints/last.pt" in untrained.log("pretrain_lm")
    assert same_model(untrained, finished)


def test_ctrl_c_cancels_the_jobs(untrained):
    # Long enough not to end before the signal has come to it.
    untrained.configure(datasets={"select": list(NAMES)}, pretrain={"epochs": 1000})
    with untrained.running("--", PRETRAINED) as process:
        pretraining(untrained, process)
        process.send_signal(signal.SIGINT)
        untrained.ends(process, fails=True)
        until(lambda: not jobs_of(process))
    assert untrained.path(*CHECKPOINT).exists()
    untrained("--dry-run", "--", PRETRAINED)  # the folder is not locked


@pytest.mark.parametrize("warned", [True, False])
def test_pretraining_longer_than_its_limit_goes_on_in_another_job(finished, tmp_path, warned):
    """The limit is brought down as soon as there is something to go on from.

    SLURM looks at its limits every half minute, and warns up to a minute early: so it warns at
    once, or ends the job within a minute and a half, which the training outlasts by far. That one
    which went on comes to the same model, the tests above tell; this one is stopped there.
    """
    run = Cluster(tmp_path).configure(datasets={"select": list(NAMES)}, pretrain={"epochs": 1000})
    for folder in ("resources", "results/genome"):
        shutil.copytree(finished.folder / folder, tmp_path / folder)
    # The profile's own warning would come at once.
    extra = "--signal=URG@90" if warned else "--no-kill"
    signals = ("--set-resources", f"pretrain_lm:slurm_extra={extra}")
    plain = ("--rerun-triggers", "mtime", "--", PRETRAINED)
    goes_on = "resuming from results/pretrain/checkpoints/last.pt"
    with run.running(*signals, *plain) as process:
        job = pretraining(run, process)
        ((used,),) = told("squeue", "--noheader", "--job", job, "--format", "%M")
        minutes = int(used.split(":")[-2]) + (2 if warned else 1)
        command = ("scontrol", "update", f"JobId={job}", f"TimeLimit={minutes}")
        subprocess.run(command, check=True)
        # Between the two jobs there is no log.
        log = run.folder / "logs" / "pretrain_lm.log"
        until(lambda: log.exists() and goes_on in log.read_text(), process)
        process.send_signal(signal.SIGINT)
        output = run.ends(process, fails=True)
        until(lambda: not jobs_of(process))
    first, second = history(process.run_id())
    assert first["State"] == ("FAILED" if warned else "TIMEOUT"), output
    assert second["State"].startswith("CANCELLED"), output
    told_so = "asked to end: the checkpoint results/pretrain/checkpoints/last.pt stands" in output
    assert told_so or not warned
