"""Training learns, and a run that was killed goes on to the same files, bit for bit."""

import gzip
import json
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from dflm.calibration import calibrate_strands, scaled
from dflm.errors import InputError
from dflm.model.files import NO_DROPOUT
from dflm.predictions import read_predictions
from dflm.scores import auroc
from dflm.sequences.splits import read_split
from dflm.training import checkpoint as checkpoints
from dflm.training import classify, loop
from dflm.training import finetune as finetuning
from dflm.training.checkpoint import Checkpoint
from dflm.training.classify import train_classifier
from dflm.training.finetune import collect_peaks, finetune
from dflm.training.optim import OneCycle, adamw
from dflm.training.predict import predict
from dflm.training.pretrain import pretrain
from dflm.training.step import LanguageModelStep
from safetensors.torch import load_file
from sharded import shard_all

SCRIPTS = Path(__file__).resolve().parents[2] / "workflow" / "scripts"
DROPOUT = {"output": 0.25, "hidden": 0.1, "input": 0.2, "embedding": 0.02, "weight": 0.15}
LANGUAGE_MODEL = {
    "k": 3,
    "stride": 1,
    "embedding": 12,
    "hidden": 16,
    "layers": 2,
    "dropout": DROPOUT,
    "drop_mult": 0.5,
    "ar_alpha": 2.0,
    "tar_beta": 1.0,
}
CYCLE = {"momentum": [0.8, 0.7], "pct_start": 0.3, "div": 25.0, "final_div": 2.5e5}
PRETRAIN = {
    "epochs": 2,
    "batch_size": 4,
    "bptt": 25,
    "variable_bptt": False,
    "optimizer": "adamw",
    "learning_rate": 0.05,
    "weight_decay": 0.01,
    "clip": 0.25,
    "nonmono": 2,
    "validations_per_epoch": 2,
    "validation_tokens": 2000,
    "checkpoint_minutes": 60.0,
    "precision": "fp32",
    **CYCLE,
}
FINETUNE = {
    "epochs": 3,
    "batch_size": 32,
    "learning_rate": 0.01,
    "weight_decay": 0.01,
    "clip": 0.25,
    "reverse_complement": True,
    "precision": "fp32",
    **CYCLE,
}
CLASSIFIER = {
    "dropout": {"output": 0.4, "hidden": 0.2, "input": 0.6, "embedding": 0.1, "weight": 0.5},
    "drop_mult": 0.25,
    "head": {"hidden": 10, "dropout": 0.1, "detectors": 6, "detector_width": 4},
    "batch_size": 32,
    "stages": [
        {"unfreeze": 1, "epochs": 2, "learning_rate": 0.02},
        {"unfreeze": 2, "epochs": 1, "learning_rate": 0.01},
        {"unfreeze": "all", "epochs": 2, "learning_rate": 0.005},
    ],
    "lr_range": 45.7,
    "weight_decay": 0.01,
    "clip": 0.25,
    "patience": None,
    "fresh_negatives": True,
    "fdr": 0.1,
    "reverse_complement": True,
    "precision": "fp32",
    **CYCLE,
}
JOB = {"seed": 3, "gpu": 0, "threads": 1}


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it, and no cleaning up is relied on."""


@pytest.fixture
def kill_after(monkeypatch):
    """Let the n-th checkpoint be the last thing that a training does."""

    def arm(n: int) -> None:
        left = [n]
        save = Checkpoint.save

        def dying(self, state):
            save(self, state)
            left[0] -= 1
            if left[0] == 0:
                raise Killed

        monkeypatch.setattr(checkpoints.Checkpoint, "save", dying)

    yield arm
    monkeypatch.undo()


def random_dna(rng, n: int) -> str:
    return "".join(rng.choice(list("ACGT"), n))


@pytest.fixture(scope="module")
def genome(tmp_path_factory):
    """A genome of a repeated unit with noise: a language model must fall far below 2 bits."""
    folder = tmp_path_factory.mktemp("genome")
    rng = np.random.default_rng(0)
    unit = random_dna(rng, 9)
    lines = []
    for name, n in (("chr1", 9000), ("chr2", 4000)):
        bases = np.array(list((unit * (n // 9 + 1))[:n]))
        noise = rng.random(n) < 0.05
        bases[noise] = rng.choice(list("ACGT"), noise.sum())
        lines.append(f">{name}\n{''.join(bases)}\n")
    (folder / "g.fa").write_text("".join(lines))
    index, contigs = shard_all(folder / "g.fa", folder)
    return {"index": index, "contigs": contigs}


def model_files(folder: Path) -> dict:
    return {
        "weights": folder / "model.safetensors",
        "card": folder / "model.json",
        "history": folder / "metrics.jsonl",
        "checkpoint": folder / "checkpoints" / "last.pt",
    }


def run_pretraining(genome, folder: Path, language_model=LANGUAGE_MODEL, **changes) -> dict:
    pretrain(
        **genome,
        **model_files(folder),
        metrics=folder / "metrics.json",
        language_model=language_model,
        args={**PRETRAIN, **changes},
        **JOB,
    )
    return json.loads((folder / "metrics.json").read_text())


def results(folder: Path) -> dict[str, bytes]:
    """Return the files of a run as bytes, but for the times that they tell."""
    found = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    found.pop("seconds.json", None)
    if "metrics.json" in found:
        metrics = json.loads(found["metrics.json"])
        metrics.pop("seconds", None)
        found["metrics.json"] = json.dumps(metrics).encode()
    return found


@pytest.fixture(scope="module")
def pretrained(genome, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pretrained")
    run_pretraining(genome, folder)
    return folder


def write_split(path: Path, rows: list[tuple[str, str, int]]) -> Path:
    with gzip.open(path, "wt") as file:
        file.write("name\tsequence\tlabel\n")
        file.writelines(f"{name}\t{sequence}\t{label}\n" for name, sequence, label in rows)
    return path


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    """Sequences with a planted word against plain ones."""
    folder = tmp_path_factory.mktemp("split")
    rng = np.random.default_rng(1)
    files = {}
    for part, n in (("train", 120), ("validation", 40), ("test", 40)):
        rows = []
        for i in range(n):
            sequence = random_dna(rng, 40)
            label = i % 2
            if label:
                sequence = sequence[:12] + "TGACGTCATC" + sequence[22:]
            rows.append((f"{part}{i}", sequence, label))
        files[part] = write_split(folder / f"{part}.tsv.gz", rows)
    return files


def run_finetuning(pretrained: Path, split, folder: Path, **changes) -> dict:
    finetune(
        weights_in=pretrained / "model.safetensors",
        card_in=pretrained / "model.json",
        train=[split["train"]],
        validation=[split["validation"]],
        test=[split["test"]],
        **model_files(folder),
        metrics=folder / "metrics.json",
        group="g",
        members=["a"],
        **{"language_model": LANGUAGE_MODEL, "args": FINETUNE, **JOB, **changes},
    )
    return json.loads((folder / "metrics.json").read_text())


def run_classifier(
    pretrained: Path | None,
    split,
    folder: Path,
    negatives: str = "shuffle",
    *,
    architecture: dict | None = None,
    **changes,
) -> dict:
    """Train a classifier from a language model, or without one from an architecture."""
    train_classifier(
        weights_in=pretrained and pretrained / "model.safetensors",
        card_in=pretrained and pretrained / "model.json",
        architecture=architecture,
        train=split["train"],
        validation=split["validation"],
        **model_files(folder),
        predictions=folder / "validation.tsv",
        seconds=folder / "seconds.json",
        args={**CLASSIFIER, **changes},
        dataset="a",
        negatives=negatives,
        **JOB,
    )
    return json.loads((folder / "model.json").read_text())


def run_prediction(folder: Path, sequences: Path, both_strands: bool = True) -> Path:
    """Predict with the classifier in a folder; return the table, which is written there."""
    predict(
        weights=folder / "model.safetensors",
        card=folder / "model.json",
        sequences=sequences,
        predictions=folder / "predictions.tsv",
        seconds=folder / "predict.json",
        batch_size=7,
        both_strands=both_strands,
        precision="fp32",
        gpu=0,
        threads=1,
    )
    return folder / "predictions.tsv"


# --- pretraining ---------------------------------------------------------------------------


def test_pretraining_learns_the_repeat(pretrained):
    result = json.loads((pretrained / "metrics.json").read_text())
    assert result["bits_per_base"] < 1.4
    history = [json.loads(line) for line in (pretrained / "metrics.jsonl").open()]
    assert len(history) == 4
    assert history[-1]["loss"] == result["loss"]
    assert history[-1]["epoch"] == pytest.approx(2.0)
    assert not (pretrained / "checkpoints").exists()
    card = json.loads((pretrained / "model.json").read_text())
    assert card["training"]["seed"] == JOB["seed"]


@pytest.mark.parametrize("wanted", [1, 7, 10, 1000])
def test_validations_are_as_many_as_asked_for_as_far_as_there_are_windows(
    genome, tmp_path, monkeypatch, wanted
):
    monkeypatch.setattr(loop.Pretraining, "windows", lambda self: [(25 * i, 25) for i in range(19)])
    run_pretraining(genome, tmp_path, epochs=1, validations_per_epoch=wanted)
    steps = [json.loads(line)["step"] for line in (tmp_path / "metrics.jsonl").open()]
    assert len(steps) == min(wanted, 19)
    assert steps[-1] == 19
    assert max(np.diff([0, *steps])) <= 19 / len(steps) + 1


def test_two_runs_of_one_seed_are_identical(genome, pretrained, tmp_path):
    run_pretraining(genome, tmp_path)
    assert results(tmp_path) == results(pretrained)


@pytest.mark.parametrize(("k", "stride"), [(1, 1), (4, 2), (5, 1), (8, 3)])
def test_any_k_and_stride_goes_from_genome_to_predictions(genome, split, tmp_path, k, stride):
    tokens = {**LANGUAGE_MODEL, "k": k, "stride": stride}
    result = run_pretraining(genome, tmp_path / "lm", tokens, epochs=1)
    assert result["bits_per_base"] == pytest.approx(
        result["loss"] / np.log(2) / min(k, stride), rel=1e-6
    )
    run_finetuning(tmp_path / "lm", split, tmp_path / "tuned", language_model=tokens)
    card = run_classifier(tmp_path / "tuned", split, tmp_path / "set")
    assert card["vocabulary"] == {"k": k, "stride": stride, "size": 4**k + 1, "pad": 0}
    _, labels, probabilities = read_predictions(tmp_path / "set" / "validation.tsv")
    assert card["metrics"]["validation_auroc"] == pytest.approx(auroc(labels, probabilities))


@pytest.mark.parametrize("n", [1, 29, 41])
@pytest.mark.parametrize("optimizer", ["adamw", "nt-asgd"])
def test_pretraining_killed_and_resumed_gives_the_same_files(
    genome, tmp_path, kill_after, monkeypatch, caplog, n, optimizer
):
    changes = {
        "optimizer": optimizer,
        "variable_bptt": True,
        "validations_per_epoch": 5,
        "checkpoint_minutes": 0.0,
        "bptt": 60,
    }
    if optimizer == "nt-asgd":
        changes |= {"learning_rate": 30.0, "nonmono": 1}
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    run_pretraining(genome, whole, **changes)
    kill_after(n)
    with pytest.raises(Killed):
        run_pretraining(genome, torn, **changes)
    monkeypatch.undo()
    torch.manual_seed(99)  # a fresh process has another state of its generators
    with caplog.at_level(logging.INFO):  # kept at other times, it is the same training
        run_pretraining(genome, torn, **changes | {"checkpoint_minutes": 60.0})
    assert "resuming from" in caplog.text
    assert results(torn) == results(whole)


def test_nt_asgd_averages_in_the_end(genome, tmp_path):
    result = run_pretraining(
        genome,
        tmp_path,
        optimizer="nt-asgd",
        learning_rate=30.0,
        nonmono=1,
        epochs=3,
        validations_per_epoch=12,
    )
    assert result["averaged"]
    history = [json.loads(line) for line in (tmp_path / "metrics.jsonl").open()]
    begun = [event["averaging_begins"] for event in history]
    assert sum(begun) == 1
    assert result["loss"] < history[0]["loss"]


@pytest.fixture
def watched(monkeypatch):
    """Note rate, momentum and norm of the gradient of each step of a module's AdamW."""

    def watch(module):
        steps = []

        def made(*arguments):
            optimizer = adamw(*arguments)
            step, groups = optimizer.step, optimizer.param_groups

            def stepping():
                gradients = [p.grad for group in groups for p in group["params"]]
                norm = torch.stack([one.norm() for one in gradients if one is not None]).norm()
                steps.append((groups[-1]["lr"], groups[-1]["betas"][0], float(norm)))
                return step()

            optimizer.step = stepping
            return optimizer

        monkeypatch.setattr(module, "adamw", made)
        return steps

    return watch


def holds_the_cycle(steps, peak, clip):
    """Hold the rates and momenta of a run's steps against its cycle, its gradients' norms too."""
    cycle = OneCycle(**CYCLE)
    for i, (rate, momentum, norm) in enumerate(steps):
        fraction, wanted = cycle.at(i / len(steps))
        assert rate == pytest.approx(peak * fraction, abs=0.01 * peak)
        assert momentum == pytest.approx(wanted, abs=0.005)
        assert norm <= clip * 1.001
    assert max(norm for *_, norm in steps) > 0.99 * clip


def test_pretraining_follows_its_cycle_clips_and_carries_its_state(
    genome, tmp_path, watched, monkeypatch
):
    states, learn = [], LanguageModelStep.__call__

    def learning(self, tokens, targets, state=None):
        after, *rest = learn(self, tokens, targets, state)
        states.append((state, after))
        return after, *rest

    monkeypatch.setattr(LanguageModelStep, "__call__", learning)
    steps = watched(loop)
    run_pretraining(genome, tmp_path, clip=0.05)
    holds_the_cycle(steps, PRETRAIN["learning_rate"], 0.05)
    assert len(states) == len(steps)
    epoch = len(states) // PRETRAIN["epochs"]
    for i, (before, _) in enumerate(states):
        assert before is (None if i % epoch == 0 else states[i - 1][1])


def test_fine_tuning_and_the_classifier_follow_their_cycles_and_clip(
    pretrained, split, tmp_path, watched
):
    args, steps = FINETUNE | {"clip": 0.05}, watched(finetuning)
    run_finetuning(pretrained, split, tmp_path / "tuned", args=args)
    holds_the_cycle(steps, FINETUNE["learning_rate"], 0.05)
    stages = [{"unfreeze": "all", "epochs": 3, "learning_rate": 0.01}]
    steps = watched(classify)
    run_classifier(pretrained, split, tmp_path / "set", stages=stages, clip=0.05, patience=None)
    holds_the_cycle(steps, 0.01, 0.05)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGURG])
def test_a_signal_writes_a_checkpoint_and_the_next_run_goes_on(genome, tmp_path, number, caplog):
    """A real process, a real signal."""
    torn, whole = tmp_path / "torn", tmp_path / "whole"
    changes = {"epochs": 8}
    code = (
        "import sys, json; sys.path.insert(0, sys.argv[1]); from pathlib import Path;"
        "from dflm.training.pretrain import pretrain;"
        "job = json.loads(sys.argv[2]); pretrain(**job)"
    )
    job = {
        **{name: str(path) for name, path in {**genome, **model_files(torn)}.items()},
        "metrics": str(torn / "metrics.json"),
        "language_model": LANGUAGE_MODEL,
        "args": {**PRETRAIN, **changes},
        **JOB,
    }
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(SCRIPTS), json.dumps(job)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    deadline = time.monotonic() + 120
    while not (torn / "metrics.jsonl").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(number)
    assert process.wait(60) == 128 + number
    assert (torn / "checkpoints" / "last.pt").exists()
    with caplog.at_level(logging.INFO):
        run_pretraining(genome, torn, **changes)
    assert "resuming from" in caplog.text
    run_pretraining(genome, whole, **changes)
    assert results(torn) == results(whole)


def flipped(content, place):
    """Return the content with one bit changed; in the middle of a checkpoint that is a weight."""
    return content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :]


@pytest.mark.parametrize(
    "damage",
    [
        lambda p: p.write_bytes(p.read_bytes()[: p.stat().st_size // 2]),
        lambda p: p.write_bytes(b""),
        lambda p: p.write_bytes(b"no checkpoint"),
        lambda p: p.write_bytes(p.read_bytes()[:-2000] + bytes(2000)),
        lambda p: p.write_bytes(flipped(p.read_bytes(), 20_000)),
    ],
)
def test_a_damaged_checkpoint_is_not_resumed(tmp_path, damage, caplog):
    saved = Checkpoint(tmp_path / "last.pt", {"a": 1})
    saved.save({"x": torch.arange(5000)})
    damage(tmp_path / "last.pt")
    assert saved.load() is None
    assert "starting afresh" in caplog.text


def test_a_checkpoint_of_the_cpu_touches_no_gpu(tmp_path, monkeypatch):
    """A machine may have one that another job holds, and to ask for its state opens it."""

    def touched(*_):
        raise AssertionError("a CUDA context was opened")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_rng_state", touched)
    monkeypatch.setattr(torch.cuda, "set_rng_state", touched)
    saved = Checkpoint(tmp_path / "last.pt", {"a": 1})
    saved.save({"x": torch.arange(5)})
    assert saved.load()["x"].tolist() == [0, 1, 2, 3, 4]


def test_a_full_disk_is_named_as_what_keeps_a_checkpoint_from_being_written(tmp_path):
    path = tmp_path / "last.pt"
    path.with_name(f"{path.name}.{os.getpid()}.tmp").symlink_to("/dev/full")
    with pytest.raises(OSError, match=f"No space left on device: '{path}'"):
        Checkpoint(path, {}).save({"x": torch.zeros(50_000)})
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_of_other_arguments_is_not_resumed(tmp_path, caplog):
    Checkpoint(tmp_path / "last.pt", {"lr": 1.0}).save({"x": 1})
    assert Checkpoint(tmp_path / "last.pt", {"lr": 2.0}).load() is None
    assert "other arguments" in caplog.text
    assert Checkpoint(tmp_path / "last.pt", {"lr": 1.0}).load() == {"x": 1}


def test_a_training_that_goes_on_elsewhere_tells_where_it_was(tmp_path, caplog):
    told = {}
    for place in ("bf16", "bf16", "fp32", "bf16"):
        saved = Checkpoint(tmp_path / "last.pt", {"lr": 1.0}, where={"precision": place})
        caplog.clear()
        saved.load()
        told[place] = saved.told, "under way elsewhere" in caplog.text
        saved.save({"x": 1})
        if place == "bf16" and len(told) == 1:
            assert told[place] == ({"precision": "bf16"}, False)
    before = [{"precision": "bf16"}]
    assert told["fp32"] == ({"precision": "fp32", "earlier": before}, True)
    assert told["bf16"] == ({"precision": "bf16", "earlier": [{"precision": "fp32"}]}, True)


def test_a_checkpoint_of_other_code_is_not_resumed(tmp_path, monkeypatch):
    monkeypatch.setenv(checkpoints.CODE, "")
    code, weights = tmp_path / "losses.py", str(tmp_path / "model.safetensors")
    loaded = []
    for text in ("a = 1", "a = 2", "a = 1"):
        code.write_text(text)
        saved = Checkpoint(checkpoints.checkpoint_beside(weights, [str(code)]), {"lr": 1.0})
        loaded.append(saved.load())
        if len(loaded) == 1:
            saved.save({"x": 1})
    assert loaded == [None, None, {"x": 1}]
    assert saved.path == tmp_path / "checkpoints" / "last.pt"


def test_a_training_that_diverges_is_told_and_leaves_no_model(genome, tmp_path):
    with pytest.raises(InputError, match=r"the training has diverged: .*loss is (nan|inf).*lower"):
        run_pretraining(genome, tmp_path, learning_rate=1e30, clip=None, precision="fp32")
    assert not (tmp_path / "model.safetensors").exists()


def test_a_classifier_that_diverges_is_told(pretrained, split, tmp_path):
    stages = [{"unfreeze": "all", "epochs": 2, "learning_rate": 1e30}]
    with pytest.raises(InputError, match="the training has diverged"):
        run_classifier(pretrained, split, tmp_path, stages=stages, clip=None)


# --- fine-tuning ---------------------------------------------------------------------------


def test_peaks_of_another_part_on_either_strand_are_left_out(tmp_path):
    train = [("a", "ACGTT", 1), ("b", "GGGTA", 1), ("c", "TTTTT", 0), ("d", "CATCA", 1)]
    other = [("e", "CCCAA", 1), ("f", "ACGTT", 1)]
    train_files = [
        write_split(tmp_path / "t1.gz", train),
        write_split(tmp_path / "t2.gz", [*other, ("a2", "CATCA", 1)]),
    ]
    validation = [write_split(tmp_path / "v.gz", [("g", "TACCC", 1), ("h", "GATTA", 0)])]
    test = [write_split(tmp_path / "x.gz", [("i", "CCCAA", 1), ("j", "CATCA", 0)])]
    peaks, held_out, left_out = collect_peaks(train_files, validation, test)
    # GGGTA is TACCC's other strand, CCCAA a test peak; a negative keeps nothing out
    assert peaks == ["ACGTT", "CATCA"]
    assert held_out == ["TACCC"]
    assert left_out == 2


def test_peaks_of_several_sets_are_compared_by_what_they_share(tmp_path):
    """The same site in two cell lines, called a base apart."""
    rng = np.random.default_rng(8)
    site, other, third = ("".join(rng.choice(list("ACGT"), 60)) for _ in range(3))
    turned = site[2:].translate(str.maketrans("ACGT", "TGCA"))[::-1] + "AC"
    train = [
        write_split(tmp_path / "t1.gz", [("a", other, 1)]),
        write_split(tmp_path / "t2.gz", [("b", "A" + site[:-1], 1), ("c", turned, 1)]),
    ]
    validation = [write_split(tmp_path / "v.gz", [("g", third, 1)])] * 2
    test = [write_split(tmp_path / "x.gz", [("i", site, 1), ("j", other, 0)])]
    assert collect_peaks(train, validation, test, 40) == ([other], [third], 2)
    # Alone, a set's own split decides.
    assert collect_peaks(train, validation, test)[2] == 0


def test_fine_tuning_lowers_the_bits_of_the_peaks(pretrained, split, tmp_path):
    result = run_finetuning(pretrained, split, tmp_path)
    assert result["sequences"] == 60
    assert result["after"]["bits_per_base"] < result["before"]["bits_per_base"]
    history = [json.loads(line) for line in (tmp_path / "metrics.jsonl").open()]
    assert [event["epoch"] for event in history] == [0, 1, 2, 3]


@pytest.mark.parametrize("n", [1, 3])
def test_fine_tuning_killed_and_resumed_gives_the_same_files(
    pretrained, split, tmp_path, kill_after, monkeypatch, caplog, n
):
    run_finetuning(pretrained, split, tmp_path / "whole")
    kill_after(n)
    with pytest.raises(Killed):
        run_finetuning(pretrained, split, tmp_path / "torn")
    monkeypatch.undo()
    torch.manual_seed(99)
    with caplog.at_level(logging.INFO):
        run_finetuning(pretrained, split, tmp_path / "torn")
    assert "resuming from" in caplog.text
    assert results(tmp_path / "torn") == results(tmp_path / "whole")


def test_the_seconds_of_a_resumed_run_are_those_of_all_its_processes(
    pretrained, split, tmp_path, kill_after, monkeypatch
):
    kill_after(2)
    with pytest.raises(Killed):
        run_finetuning(pretrained, split, tmp_path)
    monkeypatch.undo()
    content = torch.load(tmp_path / "checkpoints" / "last.pt", weights_only=True)
    before = content["state"]["seconds"]["wall"]
    seconds = run_finetuning(pretrained, split, tmp_path)["seconds"]["wall"]
    assert {"start", "loading", "reading", "batches", "training", "validation", "writing"} < {
        *seconds
    }
    assert seconds["training"] > before["training"] > 0
    assert seconds["start"] > 2 * before["start"]  # both ran in this process
    assert seconds["total"] >= sum(seconds.values()) - seconds["total"] - 0.01


def test_a_pretrained_model_of_another_shape_is_refused(pretrained, split, tmp_path):
    with pytest.raises(InputError, match="configuration asks for"):
        run_finetuning(pretrained, split, tmp_path, language_model={**LANGUAGE_MODEL, "hidden": 99})


# --- the classifier ------------------------------------------------------------------------


def test_the_classifier_finds_the_planted_word_and_predicts_it(pretrained, split, tmp_path):
    stages = [
        {"unfreeze": 1, "epochs": 2, "learning_rate": 0.02},
        {"unfreeze": "all", "epochs": 25, "learning_rate": 0.02},
    ]
    card = run_classifier(pretrained, split, tmp_path, stages=stages, drop_mult=0.0)
    assert card["metrics"]["validation_auroc"] > 0.9
    predictions = run_prediction(tmp_path, split["test"])
    for name in ("seconds.json", "predict.json"):
        assert json.loads((tmp_path / name).read_text())["wall"]["total"] > 0
    names, labels, values = read_table(predictions)
    assert names == [f"test{i}" for i in range(40)]
    np.testing.assert_allclose(values[:, 0], values[:, 2:].mean(1), rtol=1e-6)
    assert values[labels == 1, 0].mean() > values[labels == 0, 0].mean() + 0.3
    found = card["calibration"]["both_strands"]
    np.testing.assert_allclose(values[:, 1], scaled(values[:, 0], found["temperature"]), rtol=1e-6)


def read_table(path):
    """Return names, labels and the columns of probabilities, mean, calibrated, forward, reverse."""
    header, *rows = [line.split("\t") for line in path.read_text().splitlines()]
    ends = ("", "_calibrated", "_forward", "_reverse")
    assert header == ["name", "label", *(f"probability{end}" for end in ends)]
    values = np.array([[float(x) for x in row[2:]] for row in rows])
    return [row[0] for row in rows], np.array([int(row[1]) for row in rows]), values


def test_the_classifier_is_calibrated_on_its_validation_part(pretrained, split, tmp_path):
    """Temperature and thresholds are those of the best weights' predictions, which are kept."""
    card = run_classifier(pretrained, split, tmp_path)
    names, labels, values = read_table(tmp_path / "validation.tsv")
    assert names == read_split(split["validation"])[0]
    again = calibrate_strands(labels, values[:, 2], values[:, 3], fdr=CLASSIFIER["fdr"])
    for name, found in card["calibration"].items():
        assert found["temperature"] == pytest.approx(again[name]["temperature"], rel=1e-4)
        assert set(found["thresholds"]) == {"fdr", "max_mcc", "half"}
        for kind, point in found["thresholds"].items():
            called = values[:, 0 if name == "both_strands" else 2] >= (
                2 if point["threshold"] is None else point["threshold"]
            )
            assert point["called"] == called.sum() == again[name]["thresholds"][kind]["called"]
    assert auroc(labels, values[:, 0]) == pytest.approx(card["metrics"]["validation_auroc"])


def test_a_classifier_that_was_not_calibrated_predicts_nothing(pretrained, split, tmp_path):
    card = run_classifier(pretrained, split, tmp_path)
    del card["calibration"]
    (tmp_path / "model.json").write_text(json.dumps(card))
    with pytest.raises(InputError, match="tells no calibration; train the classifier anew"):
        run_prediction(tmp_path, split["test"])
    assert not (tmp_path / "predictions.tsv").exists()


@pytest.mark.parametrize("n", [1, 2, 4])
def test_the_classifier_killed_and_resumed_gives_the_same_files(
    pretrained, split, tmp_path, kill_after, monkeypatch, caplog, n
):
    run_classifier(pretrained, split, tmp_path / "whole")
    kill_after(n)
    with pytest.raises(Killed):
        run_classifier(pretrained, split, tmp_path / "torn")
    monkeypatch.undo()
    torch.manual_seed(99)
    with caplog.at_level(logging.INFO):
        run_classifier(pretrained, split, tmp_path / "torn")
    assert "resuming from" in caplog.text
    assert results(tmp_path / "torn") == results(tmp_path / "whole")


def test_each_stage_learns_in_its_own_groups_at_its_own_rate(
    pretrained, split, tmp_path, monkeypatch
):
    begun = []

    def recorded(groups, weight_decay):
        optimizer = adamw(groups, weight_decay)
        begun.append([group["peak_lr"] for group in optimizer.param_groups])
        return optimizer

    monkeypatch.setattr(classify, "adamw", recorded)
    stages = [{"unfreeze": 1, "epochs": 1, "learning_rate": 0.02}]
    run_classifier(pretrained, split, tmp_path / "frozen", stages=stages)
    stages.append({"unfreeze": "all", "epochs": 1, "learning_rate": 0.005})
    run_classifier(pretrained, split, tmp_path / "freed", stages=stages, patience=None)
    rates = [sorted(set(one)) for one in begun]
    assert rates[0] == rates[1] == [0.02]
    assert len(rates[2]) == 4  # embedding, two layers, head with detectors
    assert rates[2][0] == pytest.approx(0.005 / CLASSIFIER["lr_range"])
    assert rates[2][-1] == 0.005
    given = load_file(pretrained / "model.safetensors")
    frozen = load_file(tmp_path / "frozen" / "model.safetensors")
    shared = {name for name in given if name.startswith("encoder.")} & frozen.keys()
    assert shared
    assert all(torch.equal(given[name], frozen[name]) for name in shared)


def test_a_model_of_one_strand_learns_and_predicts_on_that_one(pretrained, split, tmp_path):
    both = run_classifier(pretrained, split, tmp_path / "both")
    one = run_classifier(pretrained, split, tmp_path / "one", reverse_complement=False)
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("both", "one")]
    assert weights[0] != weights[1]
    for card, folder, column in ((both, "both", 0), (one, "one", 2)):
        _, labels, values = read_table(tmp_path / folder / "validation.tsv")
        assert card["metrics"]["validation_auroc"] == pytest.approx(
            auroc(labels, values[:, column])
        )
        assert (values[:, 0] == values[:, column]).all()
    run_finetuning(pretrained, split, tmp_path / "lm both")
    run_finetuning(
        pretrained, split, tmp_path / "lm one", args={**FINETUNE, "reverse_complement": False}
    )
    weights = [(tmp_path / f"lm {x}" / "model.safetensors").read_bytes() for x in ("both", "one")]
    assert weights[0] != weights[1]
    predictions = run_prediction(tmp_path / "one", split["test"], both_strands=False)
    _, _, values = read_table(predictions)
    assert (values[:, 0] == values[:, 2]).all()
    assert (values[:, 2] != values[:, 3]).any()
    found = one["calibration"]["one_strand"]["temperature"]
    np.testing.assert_allclose(values[:, 1], scaled(values[:, 0], found), rtol=1e-6)


def test_patience_ends_the_training_and_the_best_epoch_is_kept(pretrained, split, tmp_path):
    stages = [{"unfreeze": "all", "epochs": 40, "learning_rate": 1e-7}]
    card = run_classifier(pretrained, split, tmp_path, stages=stages, patience=2)
    history = [json.loads(line) for line in (tmp_path / "metrics.jsonl").open()]
    best = max(history, key=lambda event: event["auroc"])
    assert len(history) < 40
    assert card["metrics"]["best_epoch"] == best["epoch"]
    assert len(history) - history.index(best) - 1 == 2


def test_epochs_with_frozen_layers_cost_no_patience(pretrained, split, tmp_path):
    stages = [
        {"unfreeze": 1, "epochs": 5, "learning_rate": 1e-12},
        {"unfreeze": "all", "epochs": 5, "learning_rate": 1e-12},
    ]
    run_classifier(pretrained, split, tmp_path, stages=stages, patience=1)
    history = [json.loads(line) for line in (tmp_path / "metrics.jsonl").open()]
    assert [event["stage"] for event in history].count(1) == 5
    assert len(history) < 10


def test_a_part_with_one_label_is_refused(pretrained, split, tmp_path):
    alone = write_split(tmp_path / "one.gz", [("a", "ACGTACGTAC", 1)] * 4)
    with pytest.raises(InputError, match="one label"):
        run_classifier(pretrained, {**split, "validation": alone}, tmp_path)


def test_a_batch_can_be_overfitted():
    from dflm.model.classifier import PoolingClassifier
    from dflm.model.language_model import Architecture

    torch.manual_seed(0)
    model = PoolingClassifier(Architecture(3, 1, 16, 32, 2), NO_DROPOUT, 20, 0.0)
    tokens, labels = torch.randint(1, 65, (16, 30)), torch.arange(16) % 2
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(80):
        loss = torch.nn.functional.cross_entropy(model(tokens), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.01


ARCHITECTURE = {
    key: LANGUAGE_MODEL[key] for key in ("k", "stride", "embedding", "hidden", "layers")
}


def test_a_classifier_without_a_language_model_starts_from_the_seed(split, tmp_path):
    one, two = (
        run_classifier(None, split, tmp_path / name, architecture=ARCHITECTURE)
        for name in ("one", "two")
    )
    assert one["training"]["language_model_sha256"] is None
    assert one["vocabulary"]["k"] == ARCHITECTURE["k"]
    assert one == two


def test_a_checkpoint_of_random_weights_is_of_one_architecture(split, tmp_path, caplog):
    """With another stride the tensors have the same shapes, and nothing else tells."""

    def train(**changes):
        run_classifier(None, split, tmp_path, architecture=ARCHITECTURE | changes)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpoint, "remove", lambda self: None)
        train()
        train()
    assert "starting afresh" not in caplog.text
    train(stride=ARCHITECTURE["stride"] + 1)
    assert "is of other arguments, inputs or code: starting afresh" in caplog.text


def test_negatives_are_drawn_anew_only_where_they_are_shuffles(pretrained, split, tmp_path):
    def weights(folder, negatives, fresh):
        run_classifier(pretrained, split, tmp_path / folder, negatives, fresh_negatives=fresh)
        return (tmp_path / folder / "model.safetensors").read_bytes()

    kept = weights("kept", "shuffle", False)
    assert weights("fresh", "shuffle", True) != kept
    assert weights("genomic", "genomic", True) == kept
