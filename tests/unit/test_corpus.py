"""The corpus is what its definition says, and holds next to nothing in memory."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from dflm.errors import InputError
from dflm.sequences import corpus as corpora
from dflm.sequences.corpus import Corpus
from dflm.sequences.genome import GenomeIndex, shard_genome
from dflm.sequences.kmers import encode
from dflm.training.batches import BPTTStream, on_device
from hypothesis import given
from hypothesis import strategies as st

SCRIPTS = Path(__file__).parents[2] / "workflow" / "scripts"
CHOICE = {"include": ["*"], "exclude": [], "validation": ["v*"], "soft_masked": "keep"}


def shard(folder, sequences, **choice) -> GenomeIndex:
    """Shard a genome of training contigs, with one to validate on."""
    text = "".join(f">t{i}\n{sequence}\n" for i, sequence in enumerate(sequences))
    (folder / "genome.fa").write_text(text + ">v\nGGGGGG\n")
    shard_genome(
        folder / "genome.fa", folder / "contigs", folder / "index.json", **{**CHOICE, **choice}
    )
    return GenomeIndex.load(folder / "index.json", folder / "contigs")


def slow_corpus(sequences: list[str], min_run: int) -> np.ndarray:
    """The corpus by its definition."""
    runs = [run for sequence in sequences for run in sequence.split("N")]
    return encode("N".join(run for run in runs if run and len(run) >= min_run))


def whole(corpus: Corpus, size: int = 2**20) -> np.ndarray:
    return np.concatenate(list(corpus.blocks(size)))


@given(
    st.lists(st.text("ACN", min_size=1, max_size=30), max_size=5),
    st.integers(1, 6),
    st.integers(1, 40),
    st.data(),
)
def test_the_corpus_is_runs_of_bases_with_one_n_between(
    tmp_path_factory, sequences, min_run, block, data
):
    """However the contigs lie over the blocks and the maps, whatever piece is asked for."""
    sequences = [*sequences, "ACACACACA"]
    index = shard(tmp_path_factory.mktemp("genome"), sequences)
    expected = slow_corpus(sequences, min_run)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpora, "_BLOCK", block)
        patch.setattr(corpora, "_MAPS", 2)
        patch.setattr(corpora, "_HELD", 3 * 2**16)
        corpus = Corpus(index, "train", min_run=min_run)
        assert len(corpus) == len(expected)
        np.testing.assert_array_equal(whole(corpus, block), expected)
        size = data.draw(st.integers(1, len(expected)))
        starts = data.draw(st.lists(st.integers(0, len(expected) - size), max_size=9))
        rows = corpus.rows(np.array(starts, dtype=np.int64), size)
    assert rows.shape == (len(starts), size)
    for row, start in zip(rows, starts, strict=True):
        np.testing.assert_array_equal(row, expected[start : start + size])
    assert whole(Corpus(index, "validation")).tolist() == [2] * 6


def test_masked_bases_part_runs_though_the_index_does_not_list_them(tmp_path):
    index = shard(tmp_path, ["ACgtACnACG", "acgtac", "GT"], soft_masked="mask")
    expected = slow_corpus(["ACNNACNACG", "NNNNNN", "GT"], 2)
    np.testing.assert_array_equal(whole(Corpus(index, "train", min_run=2)), expected)


def test_a_corpus_without_bases_and_a_piece_outside(tmp_path):
    index = shard(tmp_path, ["ACNACNA"])
    with pytest.raises(InputError, match="no run of 3 or more bases in the genome's train contigs"):
        Corpus(index, "train", min_run=3)
    corpus = Corpus(index, "train")
    assert len(corpus) == 7
    for start in (-1, 4):
        with pytest.raises(IndexError, match="4 codes leaves the stream of 7"):
            corpus.rows(np.array([0, start]), 4)


@pytest.mark.parametrize(("k", "stride"), [(1, 1), (3, 2), (1, 2), (2, 9), (8, 64)])
def test_no_two_tokens_side_by_side_stand_on_both_sides_of_a_gap(tmp_path, k, stride):
    rng = np.random.default_rng(2)
    sequences = ["".join(rng.choice(list("ACGT"), 400)) + "N" for _ in range(9)]
    index = shard(tmp_path, ["".join(sequences[:5]), "".join(sequences[5:])])
    corpus = Corpus(index, "train", min_run=k, gap=max(1, stride - k + 1))
    codes = whole(corpus)
    assert (codes == 4).sum() == 8 * max(1, stride - k + 1)
    for phase in range(min(stride, 20)):
        starts = np.arange(phase, len(codes) - stride - k + 1, stride)
        known = np.array([(codes[at : at + k] < 4).all() for at in range(len(codes) - k + 1)])
        pairs = starts[known[starts] & known[starts + stride]]
        assert len(pairs)
        assert all((codes[at : at + stride + k] < 4).all() for at in pairs)


@pytest.mark.parametrize(("k", "stride"), [(1, 1), (3, 1), (4, 3)])
def test_a_stream_reads_maps_as_it_reads_memory(tmp_path, k, stride):
    rng = np.random.default_rng(1)
    index = shard(tmp_path, ["".join(rng.choice(list("ACGTN"), 700)) for _ in range(3)])
    corpus = Corpus(index, "train", min_run=k)
    assert on_device(corpus, torch.device("cpu")) is corpus
    # Any other device gets all codes; "meta" holds none, which is enough to count them.
    assert on_device(corpus, torch.device("meta")).shape == (len(corpus),)
    mapped = BPTTStream(corpus, k, stride, 6, 20)
    held = BPTTStream(torch.from_numpy(whole(corpus)), k, stride, 6, 20)
    assert (len(mapped), mapped.batch_size) == (len(held), held.batch_size)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # torch warns of memory it must not write to
        for window in held.windows():
            for ours, theirs in zip(mapped.window(*window), held.window(*window), strict=True):
                assert torch.equal(ours, theirs)


def peak_of_reading(contigs: int, length: int) -> int:
    """Bytes of memory that a process has at most while it reads a corpus once, by streams."""
    code = f"""
import tempfile
from pathlib import Path
import numpy as np
from dflm.files import sha256_of
from dflm.sequences import corpus as corpora
from dflm.sequences.genome import GenomeIndex
corpora._HELD = 2**24
with tempfile.TemporaryDirectory() as folder:
    block = np.random.default_rng(1).integers(0, 4, 10**6, dtype=np.uint8)
    entries = []
    for i in range({contigs}):
        out = np.lib.format.open_memmap(
            f"{{folder}}/{{i}}", "w+", dtype=np.uint8, shape=({length},))
        for at in range(0, {length}, block.size):
            out[at : at + block.size] = block
            out._mmap.madvise(4)
        del out
        entries.append(dict(name=str(i), file=str(i), length={length}, split="train"))
        entries[-1]["sha256"] = sha256_of(f"{{folder}}/{{i}}")
    corpus = corpora.Corpus(GenomeIndex(dict(contigs=entries), folder), "train")
    starts = np.arange(32) * (len(corpus) // 32)
    for at in range(0, len(corpus) // 32 - 5000, 5000):
        corpus.rows(starts + at, 5000)
status = Path("/proc/self/status").read_text()
print(int(status.split("VmHWM:")[1].split()[0]) * 1024)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout)


def test_memory_does_not_grow_with_the_genome_or_a_contig():
    small, many, long = (
        peak_of_reading(*size) for size in ((1, 10**7), (16, 10**7), (1, 16 * 10**7))
    )
    assert many < small + 40_000_000
    assert long < small + 40_000_000
