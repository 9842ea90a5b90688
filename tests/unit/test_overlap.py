"""A sequence is found where str.find finds it or its other strand, and nowhere else."""

import gzip
import json

import numpy as np
import pytest
from dflm.errors import InputError
from dflm.sequences.genome import GenomeIndex, shard_genome
from dflm.sequences.kmers import decode, encode, reverse_complement
from dflm.sequences.overlap import SEED, can_be_looked_up, count_in_corpus, look_up
from dflm.sequences.splits import read_split, split_dataset
from hypothesis import given
from hypothesis import strategies as st


def stands(sequence: str, genome: list[str]) -> bool:
    """The reference: a search of each contig for the text of either strand."""
    other = decode(reverse_complement(encode(sequence)))
    return any(strand in contig for contig in genome for strand in (sequence, other))


@st.composite
def genomes_and_sequences(draw):
    """A few contigs, and sequences cut from them, from over their ends, changed, and foreign.

    Few letters make repeats, so that sequences share their first bases with others.
    """
    letters = draw(st.sampled_from(["A", "AC", "ACGT"]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))

    def text(length):
        return "".join(rng.choice(list(letters), length))

    contigs = [list(text(draw(st.integers(0, 150)))) for _ in range(draw(st.integers(1, 3)))]
    for contig in contigs:
        for _ in range(draw(st.integers(0, 2))):
            at = draw(st.integers(0, max(0, len(contig) - 1)))
            contig[at : at + 3] = "N" * len(contig[at : at + 3])
    genome = ["".join(contig) for contig in contigs]
    joined = "".join(genome)
    sequences = []
    for _ in range(draw(st.integers(0, 12))):
        length = draw(st.integers(SEED, 60))
        at = draw(st.integers(0, len(joined)))
        sequence = joined[at : at + length].replace("N", "A")
        sequence += text(max(0, length - len(sequence)))
        if draw(st.booleans()):
            sequence = decode(reverse_complement(encode(sequence)))
        if draw(st.booleans()):
            at = draw(st.integers(0, length - 1))
            sequence = sequence[:at] + draw(st.sampled_from("ACGT")) + sequence[at + 1 :]
        sequences.append(sequence)
    return genome, sequences


@given(genomes_and_sequences())
def test_found_is_what_a_search_of_the_text_finds(drawn):
    genome, sequences = drawn
    found = look_up([encode(sequence) for sequence in sequences], map(encode, genome))
    assert found.tolist() == [stands(sequence, genome) for sequence in sequences]


@given(st.integers(0, 70), st.integers(SEED, 70), st.booleans(), st.integers(0, 2**32))
def test_places_at_and_over_the_ends_of_a_contig(before, length, forward, seed):
    rng = np.random.default_rng(seed)
    sequence, start, end = (
        rng.integers(0, 4, size, dtype=np.uint8) for size in (length, before, 70 - before)
    )
    planted = sequence if forward else reverse_complement(sequence)
    whole = np.concatenate([start, planted, end])
    assert look_up([sequence], [whole]).all()
    # One base less, at either side, and two contigs that hold a part each.
    assert not look_up([sequence], [whole[: before + length - 1]]).any()
    assert not look_up([sequence], [whole[before + 1 :]]).any()
    cut = before + 1 + seed % (length - 1)
    assert not look_up([sequence], [whole[:cut], whole[cut:]]).any()
    # An N within; then a whole copy behind it, without a base between.
    broken = whole.copy()
    broken[cut] = 4
    assert not look_up([sequence], [broken]).any()
    assert look_up([sequence], [np.concatenate([broken[: cut + 1], planted])]).all()


def test_sequences_that_begin_alike_are_told_apart():
    rng = np.random.default_rng(1)
    head = rng.integers(0, 4, SEED, dtype=np.uint8)
    tails = [np.array(list(np.binary_repr(i, 8)), dtype=np.uint8) for i in range(256)]
    sequences = [np.concatenate([head, tail]) for tail in tails]
    planted = [3, 77, 255]
    gap = np.array([4], dtype=np.uint8)
    contig = np.concatenate([part for i in planted for part in (sequences[i], gap)])
    assert np.flatnonzero(look_up(sequences, [contig])).tolist() == planted
    assert look_up([sequences[3], sequences[3]], [contig]).all()


@pytest.mark.parametrize("sequence", ["ACGT" * 10 + "N", "A" * (SEED - 1), ""])
def test_short_sequences_and_those_with_n_are_refused(sequence):
    assert not can_be_looked_up(encode(sequence))
    with pytest.raises(ValueError, match="31 bases"):
        look_up([encode(sequence)], [])


# ---- files ------------------------------------------------------------------------------------


def random_text(rng, length):
    return decode(rng.integers(0, 4, length, dtype=np.uint8))


@pytest.fixture
def files(tmp_path):
    """A genome of two training contigs and a held-out one, and a test table cut from them."""
    rng = np.random.default_rng(2)
    t1, t2, held = (random_text(rng, length) for length in (500, 300, 400))
    t1 = t1[:200] + "N" * 20 + t1[220:]
    genome = tmp_path / "genome.fa"
    genome.write_text(f">t1\n{t1}\n>v1\n{held}\n>t2\n{t2.lower()}\n")
    choice = {"include": ["*"], "exclude": [], "validation": ["v*"], "soft_masked": "keep"}
    shard_genome(genome, tmp_path / "contigs", tmp_path / "index.json", **choice)
    rows = [
        (t1[:101], 1),  # at the start
        (decode(reverse_complement(encode(t2[199:]))), 1),  # at the end, other strand
        (t2[100:201], 0),
        (held[7:108], 1),
        (held[200:301], 0),
        (held[299:400], 0),
        (t1[450:] + held[:51], 1),  # over the end of a contig
        (random_text(rng, 101), 0),
        (t1[150:251], 1),  # holds N
        (t1[:30], 0),  # short
    ]
    lines = [f"s{i}\t{sequence}\t{label}" for i, (sequence, label) in enumerate(rows)]
    write_table(tmp_path / "test.tsv.gz", lines)
    return {
        "index": tmp_path / "index.json",
        "contigs": tmp_path / "contigs",
        "test": tmp_path / "test.tsv.gz",
        "output": tmp_path / "out" / "corpus.json",
    }


def write_table(path, lines):
    path.write_bytes(gzip.compress("\n".join(["name\tsequence\tlabel", *lines, ""]).encode()))


def test_the_counts_of_a_set(files):
    record = count_in_corpus(**files, dataset="A_(b-1)_C")
    assert record == {
        "dataset": "A_(b-1)_C",
        "train": {"positives": 2, "negatives": 1},
        "validation": {"positives": 1, "negatives": 2},
        "not_looked_up": 2,
        "bases": 1200,
    }
    written = files["output"].read_bytes()
    assert json.loads(written) == record
    count_in_corpus(**files, dataset="A_(b-1)_C")
    assert files["output"].read_bytes() == written


def test_a_table_without_rows_has_nothing_in_the_corpus(files):
    write_table(files["test"], [])
    record = count_in_corpus(**files, dataset="empty")
    assert record["train"] == record["validation"] == {"positives": 0, "negatives": 0}


def test_a_missing_contig_is_an_error(files):
    (files["contigs"] / "t2.npy").unlink()
    with pytest.raises(InputError, match="no array of contig t2"):
        count_in_corpus(**files, dataset="A")
    assert not files["output"].exists()


@pytest.mark.real
def test_real_sets_in_real_sequence(real_data, tmp_path):
    """The counts are those of a plain search, of sets with repeats, N and planted sequences."""
    name = "SERBP1_H1-hESC_HudsonAlpha"
    parts = [tmp_path / f"{part}.tsv.gz" for part in ("train", "validation", "test")]
    ends = (real_data / "chipseq" / f"{name}_{part}.seq.gz" for part in ("AC", "B"))
    options = {"min_peaks": 1000, "validation_fraction": 0.1, "ambiguous": "drop"}
    options |= {"max_peaks": None, "negatives_per_positive": 1, "seed": 1, "dataset": name}
    split_dataset(*ends, *parts, tmp_path / "stats.json", **options)
    _, sequences, labels = read_split(parts[2])
    # A piece of hg38's chr2 with every fifth test positive put behind it, N between.
    with gzip.open(real_data / "genome" / "hg38_chr2_part.fa.gz", "rt") as stream:
        piece = "".join(line.strip() for line in stream if not line.startswith(">"))[:200_000]
    planted = [sequences[i] for i in np.flatnonzero(labels)[::5]]
    genome = tmp_path / "genome.fa"
    genome.write_text(f">v\nACGT\n>t\n{'N'.join([piece, *planted])}\n")
    choice = {"include": ["*"], "exclude": [], "validation": ["v"], "soft_masked": "keep"}
    shard_genome(genome, tmp_path / "contigs", tmp_path / "index.json", **choice)
    text = [
        decode(
            np.asarray(GenomeIndex.load(tmp_path / "index.json", tmp_path / "contigs").codes("t"))
        )
    ]
    usable = [i for i, sequence in enumerate(sequences) if "N" not in sequence]
    found = np.array([stands(sequences[i], text) for i in usable])
    record = count_in_corpus(
        tmp_path / "index.json", tmp_path / "contigs", parts[2], tmp_path / "out.json", dataset=name
    )
    assert record["train"]["positives"] == (found & (labels[usable] == 1)).sum() >= len(planted) - 2
    assert record["train"]["negatives"] == (found & (labels[usable] == 0)).sum()
    assert record["not_looked_up"] == len(sequences) - len(usable)
