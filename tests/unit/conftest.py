"""A small genome as the workflow keeps it, for the tests of peaks."""

import numpy as np
import pytest
from dflm.sequences.genome import GenomeIndex
from dflm.sequences.kmers import decode
from planted import train_planted
from sharded import shard_all


class Genome:
    """A sharded genome, and its contigs as upper-case text."""

    def __init__(self, index, contigs):
        self.index, self.contigs = index, contigs
        self.opened = GenomeIndex.load(index, contigs)
        self.texts = {name: decode(self.opened.codes(name)) for name in self.opened.contigs()}


@pytest.fixture(scope="session")
def open_genome():
    return Genome


@pytest.fixture(scope="session")
def genome(tmp_path_factory):
    """Four contigs of unlike GC content along them, with gaps; chr3 is for validation."""
    folder, rng = tmp_path_factory.mktemp("genome"), np.random.default_rng(5)
    with open(folder / "genome.fa", "w") as fasta:
        for name, length in (("chr1", 60_000), ("chr2", 40_000), ("chr3", 30_000), ("alt", 150)):
            gc = np.repeat(rng.uniform(0.3, 0.7, length // 500 + 1), 500)[:length]
            strong, weak = (rng.choice([*pair], length) for pair in ("GC", "AT"))
            letters = np.where(rng.random(length) < gc, strong, weak)
            letters[5_000:5_300] = "N"
            letters[7_000:7_100] = np.char.lower(letters[7_000:7_100])
            fasta.write(f">{name}\n{''.join(letters)}\n")
    return Genome(*shard_all(folder / "genome.fa", folder, "chr3"))


@pytest.fixture(scope="session")
def planted_model(tmp_path_factory):
    """The folder of a tiny classifier that has learnt a planted motif; see planted.py."""
    return train_planted(tmp_path_factory.mktemp("planted"))


@pytest.fixture(scope="session")
def scorer(planted_model):
    """That classifier, ready to score, in full precision."""
    from dflm.mining.scoring import Scorer

    return Scorer.load(planted_model, device="cpu", precision="fp32")
