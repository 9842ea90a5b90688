"""A tiny classifier of a planted motif, trained in seconds, and sequences to try it on."""

import gzip

import numpy as np
from dflm.model.files import NO_DROPOUT, save_model
from dflm.model.language_model import Architecture, LanguageModel
from dflm.sequences.kmers import decode, encode, reverse_complement
from dflm.sequences.shuffle import dinucleotide_shuffle

MOTIF = "TTGACCTGA"
WIDTH = 40
ARCHITECTURE = Architecture(k=3, stride=1, embedding=16, hidden=24, layers=1)
ARGS = {
    "dropout": {"output": 0.0, "hidden": 0.0, "input": 0.1, "embedding": 0.0, "weight": 0.0},
    "drop_mult": 1.0,
    "head": {"hidden": 16, "dropout": 0.0, "detectors": 8, "detector_width": 7},
    "batch_size": 32,
    "stages": [{"unfreeze": "all", "epochs": 5, "learning_rate": 0.03}],
    "lr_range": 1.0,
    "weight_decay": 0.01,
    "clip": 0.5,
    "patience": None,
    "reverse_complement": True,
    "fresh_negatives": False,
    "fdr": 0.1,
    "precision": "fp32",
    "momentum": [0.8, 0.7],
    "pct_start": 0.3,
    "div": 25.0,
    "final_div": 2.5e5,
}


def random_codes(rng, *shape):
    return rng.integers(0, 4, shape).astype(np.uint8)


def plant(codes, at, strand="+"):
    """Write the motif into a sequence, in place."""
    site = encode(MOTIF)
    codes[at : at + len(site)] = site if strand == "+" else reverse_complement(site)


def bound_sequences(rng, n):
    """Return (n, WIDTH) random sequences with the motif somewhere, on either strand."""
    codes = random_codes(rng, n, WIDTH)
    for row in codes:
        plant(row, int(rng.integers(WIDTH - len(MOTIF) + 1)), rng.choice(["+", "-"]))
    return codes


def write_split(path, positives, negatives):
    with gzip.open(path, "wt") as file:
        file.write("name\tsequence\tlabel\n")
        for label, part in ((1, positives), (0, negatives)):
            for i, codes in enumerate(part):
                file.write(f"s{label}_{i}\t{decode(codes)}\t{label}\n")


def train_planted(folder, seed=1):
    """Train the classifier; return its folder."""
    import torch
    from dflm.training.classify import train_classifier

    rng = np.random.default_rng(seed)
    for part, n in (("train", 1500), ("validation", 200)):
        positives = bound_sequences(rng, n)
        write_split(folder / f"{part}.tsv.gz", positives, dinucleotide_shuffle(positives, seed))
    torch.manual_seed(seed)
    model = LanguageModel(ARCHITECTURE, NO_DROPOUT)
    lm = {"weights": folder / "lm.safetensors", "card": folder / "lm.json"}
    save_model(model, **lm, training={}, metrics={})
    made = folder / "PLANTED"
    made.mkdir()
    train_classifier(
        weights_in=lm["weights"],
        card_in=lm["card"],
        train=folder / "train.tsv.gz",
        validation=folder / "validation.tsv.gz",
        weights=made / "model.safetensors",
        card=made / "model.json",
        history=folder / "history.jsonl",
        predictions=folder / "validation.tsv",
        seconds=folder / "seconds.json",
        checkpoint=folder / "last.pt",
        args=ARGS,
        dataset="PLANTED",
        negatives="shuffle",
        seed=seed,
        gpu=0,
        threads=1,
    )
    return made
