"""The second pretraining tells genome from shuffles, stays a language model, and resumes."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from dflm.errors import InputError
from dflm.model.files import NO_DROPOUT, load_language_model, save_model
from dflm.model.language_model import Architecture, LanguageModel
from dflm.sequences.corpus import Corpus
from dflm.sequences.genome import GenomeIndex
from dflm.sequences.kmers import N
from dflm.sequences.windows import draw_windows
from dflm.training import checkpoint as checkpoints
from dflm.training.discriminate import discriminate
from sharded import shard_all

WORD = "TGACGTCATCAGGTACC"
DROPOUT = {"output": 0.25, "hidden": 0.1, "input": 0.2, "embedding": 0.02, "weight": 0.15}
ARGS = {
    "epochs": 3,
    "windows": 600,
    "validation_windows": 100,
    "width": 40,
    "batch_size": 16,
    "learning_rate": 0.02,
    "lm_weight": 1.0,
    "drop_mult": 0.1,
    "weight_decay": 0.01,
    "clip": 0.25,
    "momentum": [0.8, 0.7],
    "pct_start": 0.3,
    "div": 25.0,
    "final_div": 2.5e5,
    "precision": "fp32",
}


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """A genome with one word all over, gaps between, and an untrained language model."""
    folder = tmp_path_factory.mktemp("given")
    rng = np.random.default_rng(2)

    def contig(pieces):
        parts = []
        for _ in range(pieces):
            parts.append("".join(rng.choice(list("ACGT"), int(rng.integers(4, 12)))) + WORD)
            if rng.random() < 0.02:
                parts.append("N" * 7)
        return "".join(parts)

    fasta = folder / "genome.fa"
    fasta.write_text(f">chr1\n{contig(900)}\n>chr2\n{contig(300)}\n")
    shard_all(fasta, folder)
    torch.manual_seed(0)
    model = LanguageModel(Architecture(3, 1, 12, 24, 2), NO_DROPOUT)
    files = folder / "model.safetensors", folder / "model.json"
    save_model(model, *files, training={}, metrics={})
    return folder


def run(given: Path, folder: Path, **changes) -> dict:
    folder.mkdir(exist_ok=True)
    discriminate(
        weights_in=given / "model.safetensors",
        card_in=given / "model.json",
        index=given / "index.json",
        contigs=given / "contigs",
        weights=folder / "model.safetensors",
        card=folder / "model.json",
        metrics=folder / "metrics.json",
        history=folder / "metrics.jsonl",
        checkpoint=folder / "checkpoints" / "last.pt",
        dropout=DROPOUT,
        args=ARGS | changes,
        seed=1,
        gpu=0,
        threads=1,
    )
    return json.loads((folder / "metrics.json").read_text())


def events(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").open()]


@pytest.fixture(scope="module")
def trained(given, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    return folder, run(given, folder)


def test_it_tells_genome_from_shuffles_and_predicts_better_than_before(given, trained):
    folder, result = trained
    assert result["auroc"] > 0.9
    assert result["bits_per_base"] < result["bits_per_base_before"] - 0.2
    assert result["windows"] == 1800
    first = events(folder)[0]
    assert first["epoch"] == 0
    assert first["auroc"] < 0.7
    assert not (folder / "checkpoints").exists()
    # What it writes is a language model like the one that it started from.
    model = load_language_model(folder / "model.safetensors", folder / "model.json", NO_DROPOUT)
    assert model.encoder.architecture == Architecture(3, 1, 12, 24, 2)


def test_without_the_other_loss_the_language_model_is_lost(given, trained, tmp_path):
    alone = run(given, tmp_path / "alone", lm_weight=0.0)
    assert alone["auroc"] > 0.9
    assert alone["bits_per_base"] > trained[1]["bits_per_base"] + 0.2


def test_a_killed_run_goes_on_to_the_same_model(given, trained, tmp_path, monkeypatch, caplog):
    saved, save = [], checkpoints.Checkpoint.save

    def killed(self, state):
        save(self, state)
        saved.append(state["epoch"])
        if len(saved) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoints.Checkpoint, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        run(given, tmp_path / "again")
    monkeypatch.setattr(checkpoints.Checkpoint, "save", save)
    with caplog.at_level(logging.INFO):
        run(given, tmp_path / "again")
    assert saved == [1, 2]
    assert "resuming from" in caplog.text
    for name in ("model.safetensors", "model.json", "metrics.jsonl"):
        assert (tmp_path / "again" / name).read_bytes() == (trained[0] / name).read_bytes()


def test_windows_hold_no_n_and_depend_on_the_seed_alone(given):
    genome = GenomeIndex.load(given / "index.json", given / "contigs")
    corpus = Corpus(genome, "train", min_run=40)
    one = draw_windows(corpus, 500, 40, (3, 1))
    assert one.shape == (500, 40)
    assert one.max() < N
    assert np.array_equal(one, draw_windows(corpus, 500, 40, (3, 1)))
    assert not np.array_equal(one, draw_windows(corpus, 500, 40, (3, 2)))
    text = corpus.rows(np.array([0]), len(corpus))[0].tobytes()
    assert all(row.tobytes() in text for row in one)


def test_a_genome_without_such_windows_is_refused(given, tmp_path):
    with pytest.raises(InputError, match="run of 9000"):
        run(given, tmp_path, width=9000)
