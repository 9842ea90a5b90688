"""Duplicates are those that a search of the texts finds, at any width and on either strand."""

import gzip
import json

import numpy as np
import pytest
from dflm.errors import InputError
from dflm.sequences.chipseq import find_sets, read_set
from dflm.sequences.corpus import Corpus
from dflm.sequences.genome import GenomeIndex, shard_genome
from dflm.sequences.kmers import N, decode, encode, reverse_complement
from dflm.sequences.leak_report import check_leaks
from dflm.sequences.leaks import (
    EXACT,
    NEAR,
    NONE,
    SHORTEST,
    families,
    find_in_genome,
    find_leaks,
    remove_leaks,
)
from dflm.sequences.splits import read_split
from dflm.sequences.windows import draw_windows
from dflm.sequences.withholding import withhold_tests
from dflm.sequences.words import WIDEST, places, scan, scan_each, word_table
from hypothesis import given, settings
from hypothesis import strategies as st

# ---- the same in plain Python -----------------------------------------------------------------


TURN = str.maketrans("ACGTN", "TGCAN")


def other_strand(sequence):
    return sequence.translate(TURN)[::-1]


def words_of(sequence, width):
    """Each word without N as the smaller of its two strands."""
    other, number = other_strand(sequence), len(sequence) - width + 1
    strands = (
        (sequence[i : i + width], other[number - 1 - i : number - 1 - i + width])
        for i in range(number)
    )
    return {min(pair) for pair in strands if "N" not in pair[0]}


def random_text(rng, length=101):
    return decode(rng.integers(0, 4, length, dtype=np.uint8))


def level(sequence, others, width):
    if any(sequence in (other, other_strand(other)) for other in others):
        return EXACT
    words = words_of(sequence, width)
    return NEAR if any(words & words_of(other, width) for other in others) else NONE


def level_in_genome(sequence, genome, width):
    strands = (sequence, other_strand(sequence))
    looked_for = "N" not in sequence and len(sequence) >= min(width, SHORTEST)
    if looked_for and any(strand in contig for contig in genome for strand in strands):
        return EXACT
    words = words_of(sequence, width)
    return NEAR if any(words & words_of(contig, width) for contig in genome) else NONE


@st.composite
def related(draw, longest=60):
    """Two lists of sequences that share pieces, some turned round, changed or broken by N.

    Few letters make repeats; a sequence may be shorter than a word, or empty.
    """
    letters = draw(st.sampled_from(["A", "AT", "AC", "ACGT"]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))

    def text(length):
        return "".join(rng.choice(list(letters), length))

    pool = [text(draw(st.integers(0, longest))) for _ in range(3)]

    def one():
        sequence = draw(st.sampled_from(pool))
        start, stop = sorted(draw(st.tuples(*[st.integers(0, len(sequence))] * 2)))
        if draw(st.booleans()):
            sequence = text(draw(st.integers(0, 8))) + sequence[start:stop] + text(3)
        if draw(st.booleans()):
            sequence = other_strand(sequence)
        if sequence and draw(st.integers(0, 3)) == 0:
            at = draw(st.integers(0, len(sequence) - 1))
            sequence = sequence[:at] + draw(st.sampled_from("NACGT")) + sequence[at + 1 :]
        return sequence

    return [[one() for _ in range(draw(st.integers(0, 6)))] for _ in range(2)]


WIDTHS = st.one_of(st.integers(1, 12), st.integers(1, WIDEST))


@settings(max_examples=150)
@given(related(), WIDTHS)
def test_levels_are_those_of_a_search_in_python(drawn, width):
    sequences, held_out = drawn
    found, found_held_out = find_leaks(sequences, held_out, width)
    assert found.tolist() == [level(one, held_out, width) for one in sequences]
    assert found_held_out.tolist() == [level(one, sequences, width) for one in held_out]


@settings(max_examples=100)
@given(related(longest=150), st.integers(30, WIDEST))
def test_long_words_too(drawn, width):
    sequences, held_out = drawn
    assert find_leaks(sequences, held_out, width)[0].tolist() == [
        level(one, held_out, width) for one in sequences
    ]


@settings(max_examples=100)
@given(WIDTHS, st.integers(0, 2**32))
def test_a_shared_word_is_found_wherever_it_stands(width, seed):
    """One word at each place of a long random sequence: none falls between two seeds."""
    rng = np.random.default_rng(seed)
    shared, sequence, contig = (
        rng.integers(0, 4, size, dtype=np.uint8) for size in (width, 101, 200)
    )
    at, into = rng.integers(0, 101 - width), rng.integers(0, 200 - width)
    sequence[at : at + width] = shared
    contig[into : into + width] = reverse_complement(shared) if seed % 2 else shared
    table = word_table([sequence], width)
    assert scan(table, [contig])[0].all()
    assert scan_each(table, [contig])[1].all()
    if width >= 30:
        contig[into + width // 2] = 4
        assert not scan(table, [contig])[0].any()


@settings(max_examples=100)
@given(related(longest=100), WIDTHS)
def test_scan_finds_what_stands_in_contigs(drawn, width):
    sequences, contigs = drawn
    table = word_table([encode(one) for one in sequences], width)
    shared, whole = scan(table, map(encode, contigs))
    for i, sequence in enumerate(sequences):
        words = words_of(sequence, width)
        assert shared[i] == any(words & words_of(contig, width) for contig in contigs)
        stands = any(
            strand in contig for contig in contigs for strand in (sequence, other_strand(sequence))
        )
        assert whole[i] == (stands and len(sequence) >= width and "N" not in sequence)


@settings(max_examples=100)
@given(related(longest=100), WIDTHS, st.integers(1, 60))
def test_places_are_those_that_words_cover(drawn, width, block):
    sequences, contigs = drawn
    table = word_table([encode(one) for one in sequences], width)
    known = set().union(*(words_of(one, width) for one in sequences))
    for contig in contigs:
        covered = set()
        for start in range(len(contig) - width + 1):
            if words_of(contig[start : start + width], width) & known:
                covered |= set(range(start, start + width))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("dflm.sequences.words._BLOCK", block)
            found = places(table, encode(contig))
        assert {base for start, end in found.tolist() for base in range(start, end)} == covered
        assert (found[1:, 0] > found[:-1, 1]).all()


def test_words_that_differ_in_their_first_bases_alone_are_told_apart():
    rng = np.random.default_rng(5)
    end = rng.integers(0, 4, 32, dtype=np.uint8)
    words = [np.append(rng.integers(0, 4, 8, dtype=np.uint8), end) for _ in range(400)]
    contig = np.concatenate([part for word in words[3:] for part in (word, [np.uint8(4)])])
    shared, whole = scan(word_table(words[:3], 40), [contig])
    assert not shared.any()
    assert not whole.any()
    assert scan(word_table(words[:3], 40), [contig, *words[1:3]])[0].tolist() == [False, True, True]


def test_widths_out_of_range_are_refused():
    for width in (0, WIDEST + 1):
        with pytest.raises(InputError, match=f"words of {width} bases"):
            find_leaks(["ACGT"], ["ACGT"], width)


def test_sequences_without_a_word_are_compared_whole():
    """They hold an N in each word, or are short; neither is near to what holds it."""
    rng = np.random.default_rng(6)
    short, broken = random_text(rng, 30), random_text(rng, 35) + "N" + random_text(rng, 35)
    both = [other_strand(short), other_strand(broken), short + broken, short[1:]]
    found, found_others = find_leaks([short, broken], both, 40)
    assert found.tolist() == [EXACT, EXACT]
    assert found_others.tolist() == [EXACT, EXACT, NONE, NONE]


@settings(max_examples=60, deadline=None)
@given(related(), st.integers(1, 20))
def test_families_are_what_duplicates_connect(drawn, width):
    sequences = [*drawn[0], *drawn[1]]
    expected = list(range(len(sequences)))
    for i, one in enumerate(sequences):
        for j in range(i):
            if level(one, [sequences[j]], width) != NONE:
                old, new = max(expected[i], expected[j]), min(expected[i], expected[j])
                expected = [new if each == old else each for each in expected]
    assert families(sequences, width).tolist() == expected


def test_a_long_chain_is_one_family():
    text = random_text(np.random.default_rng(4), 4000)
    pieces = [text[i : i + 101] for i in range(0, 3800, 50)]
    order = np.random.default_rng(5).permutation(len(pieces))
    turned = [other_strand(pieces[i]) if i % 2 else pieces[i] for i in order]
    assert set(families([*turned, "A" * 101], 40).tolist()) == {0, len(pieces)}
    assert families([], 40).size == 0


def test_nothing_to_compare():
    for sequences, held_out in (([], []), (["ACGT"], []), ([], ["ACGT"]), ([""], ["A" * 50])):
        found, found_held_out = find_leaks(sequences, held_out, 40)
        assert found.tolist() == [NONE] * len(sequences)
        assert found_held_out.tolist() == [NONE] * len(held_out)


# ---- removal ----------------------------------------------------------------------------------


def test_leaks_leave_together_with_their_shuffles():
    rng = np.random.default_rng(1)
    test = [random_text(rng) for _ in range(3)]
    free, shuffle_like_test = random_text(rng), test[2][10:60] + random_text(rng, 51)
    rows = [
        ("exact", other_strand(test[0]), 1),
        ("exact_shuf1", random_text(rng), 0),
        ("near", random_text(rng, 50) + test[1][:51], 1),
        ("near_shuf1", random_text(rng), 0),
        ("near_shuf2", test[1], 0),
        ("free", free, 1),
        ("free_shuf1", shuffle_like_test, 0),
        ("free_shuf2", random_text(rng), 0),
        ("near", random_text(rng), 1),  # another row of the same name
        ("near_shuf1", random_text(rng), 0),
        ("near_other", random_text(rng), 0),
        ("near_shuf1_shuf1", random_text(rng), 0),
        ("near_shuf1", random_text(rng), 1),  # a positive, whatever its name
    ]
    kept, removed = remove_leaks(rows, test, 40)
    assert removed == {"exact": 2, "near": 2, "shuffles": 2}
    assert kept == [rows[5], *rows[7:]]


@settings(max_examples=60)
@given(related(), st.integers(4, 20))
def test_what_is_kept_has_no_leak_and_no_orphan(drawn, width):
    sequences, held_out = drawn
    rows = []
    for i, sequence in enumerate(sequences):
        rows += [(f"p{i}", sequence, 1), (f"p{i}_shuf1", sequence[::-1], 0)]
    kept, removed = remove_leaks(rows, held_out, width)
    assert len(kept) + sum(removed.values()) == len(rows)
    assert not find_leaks([sequence for _, sequence, _ in kept], held_out, width)[0].any()
    names = {name for name, *_ in kept}
    assert all(name.removesuffix("_shuf1") in names for name in names)
    expected = [row for row in rows if level(row[1], held_out, width) == NONE]
    positives = {name for name, _, label in expected if label == 1}
    assert kept == [row for row in expected if row[0].removesuffix("_shuf1") in positives]


# ---- a genome, and files ----------------------------------------------------------------------


def shard(tmp_path, text):
    (tmp_path / "genome.fa").write_text(text)
    choice = {"include": ["*"], "exclude": [], "validation": ["v*"], "soft_masked": "keep"}
    paths = tmp_path / "contigs", tmp_path / "index.json"
    shard_genome(tmp_path / "genome.fa", *paths, **choice)
    return GenomeIndex.load(paths[1], paths[0])


def test_levels_in_a_genome_are_those_of_a_search(tmp_path):
    rng = np.random.default_rng(3)
    contigs = [random_text(rng, 700), random_text(rng, 500)]
    contigs[0] = contigs[0][:300] + "N" * 9 + contigs[0][309:]
    genome = shard(tmp_path, f">t0\n{contigs[0]}\n>v\n{random_text(rng, 90)}\n>t1\n{contigs[1]}\n")
    sequences = [random_text(rng), ""]
    for i in range(60):
        text = contigs[i % 2]
        at, length = rng.integers(0, len(text) - 110), rng.integers(5, 102)
        piece = text[at : at + length]
        piece = [piece, other_strand(piece)][i % 3 == 0]
        sequences.append([piece, random_text(rng, 20) + piece, piece + "N"][i // 2 % 3])
    for width in (12, 24, 40):
        levels, known = find_in_genome(sequences, genome, "train", width)
        assert levels.tolist() == [level_in_genome(one, contigs, width) for one in sequences]
        assert known.tolist() == [
            bool(words_of(one, width)) or (len(one) >= SHORTEST and "N" not in one)
            for one in sequences
        ]
        assert len(set(levels.tolist())) == 3


@pytest.fixture
def files(tmp_path):
    """A genome, and tables with one duplicate of each kind."""
    rng = np.random.default_rng(2)
    contig = random_text(rng, 400)
    shard(tmp_path, f">t\n{contig}\n>v\n{random_text(rng, 300)}\n")
    test = [("a", contig[:101], 1), ("b", contig[150:200] + random_text(rng, 51), 1)]
    test += [("c", random_text(rng), 1), ("d", random_text(rng), 0), ("e", random_text(rng, 9), 0)]
    tables = {
        "train": [("p1", test[2][1][20:80], 1), ("p1_shuf1", random_text(rng), 0)],
        "validation": [("p2", other_strand(test[2][1]), 1), ("p2_shuf1", test[3][1][:50], 0)],
        "test": test,
    }
    for part, rows in tables.items():
        lines = ["name\tsequence\tlabel", *("\t".join(map(str, row)) for row in rows), ""]
        (tmp_path / f"{part}.tsv.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    return {part: tmp_path / f"{part}.tsv.gz" for part in tables} | {
        "output": tmp_path / "out" / "leaks.json"
    }


def described(exact=(), near=(), exact_counts=(0, 0), near_counts=(0, 0)):
    keys = ("positives", "negatives")
    return {
        "exact": dict(zip(keys, exact_counts, strict=True)),
        "near": dict(zip(keys, near_counts, strict=True)),
        "names": {"exact": list(exact), "near": list(near)},
    }


def test_the_record_of_a_set(files, tmp_path):
    genome = {"index": tmp_path / "index.json", "contigs": tmp_path / "contigs"}
    record = check_leaks(**files, dataset="A_(b)", width=40, **genome)
    assert record == {
        "dataset": "A_(b)",
        "width": 40,
        "train": described(near=["p1"], near_counts=(1, 0)),
        "validation": described(["p2"], ["p2_shuf1"], (1, 0), (0, 1)),
        "test": described(["c"], ["d"], (1, 0), (0, 1)),
        "corpus": {
            "train": described(["a"], ["b"], (1, 0), (1, 0)),
            "validation": described(),
            "not_looked_up": 1,
            "bases": 700,
        },
        "shown": None,
    }
    written = files["output"].read_bytes()
    assert json.loads(written) == record
    check_leaks(**files, dataset="A_(b)", width=40, **genome)
    assert files["output"].read_bytes() == written
    assert check_leaks(**files, dataset="A_(b)", width=40) == record | {"corpus": None}


def test_what_is_withheld_is_read_and_counted_no_more(files, tmp_path):
    genome = {"index": tmp_path / "index.json", "contigs": tmp_path / "contigs"}
    bed = tmp_path / "withheld.bed"
    withhold_tests([files["test"]], *genome.values(), bed, width=40)
    # All of `a`, and what `b` has of the contig.
    (first, second) = bed.read_text().splitlines()
    assert first == "t\t0\t101"
    contig, start, end = second.split("\t")
    assert (contig, start) == ("t", "150")
    assert 200 <= int(end) < 210  # where the rest of `b` begins as the contig goes on
    whole = GenomeIndex.load(*genome.values())
    codes = whole.codes("t")
    expected = [codes[101:150], codes[int(end) :]]
    corpus = Corpus(GenomeIndex.load(*genome.values(), bed), "train", min_run=40)
    (read,) = corpus.blocks(1000)
    assert read.tolist() == [*expected[0].tolist(), N, *expected[1].tolist()]
    again = {"epochs": 1, "windows": 200, "width": 41, "seed": 4}
    options = {"dataset": "A", "width": 40, "windows": [again], **genome}
    before = check_leaks(**files, **options)
    assert before["shown"]["near"]["positives"] + before["shown"]["exact"]["positives"] == 2
    record = check_leaks(**files, **options, withheld=bed)
    assert record["corpus"]["train"] == record["corpus"]["validation"] == described()
    assert record["shown"]["rows"] == []


def test_peaks_that_the_second_pretraining_was_shown(files, tmp_path):
    """By the windows that it draws, looked through one by one."""
    genome = {"index": tmp_path / "index.json", "contigs": tmp_path / "contigs"}
    drawing = {"epochs": 2, "windows": 6, "width": 60, "seed": 4}
    corpus = Corpus(GenomeIndex.load(*genome.values()), "train", min_run=60)
    drawn = [draw_windows(corpus, 6, 60, (4, epoch)) for epoch in range(2)]
    words = {decode(one[i : i + 40]) for part in drawn for one in part for i in range(21)}
    words |= {other_strand(word) for word in words}
    names, sequences, _ = read_split(files["test"])
    expected = [
        name
        for name, text in zip(names, sequences, strict=True)
        if any(text[i : i + 40] in words for i in range(len(text) - 39))
    ]
    assert expected  # 12 windows of 60 in a contig of 400
    rows = [names.index(name) for name in expected]
    record = check_leaks(**files, dataset="A_(b)", width=40, **genome, windows=[drawing])
    assert record["shown"]["names"] == {"exact": [], "near": expected}
    assert record["shown"]["near"] == {"positives": len(expected), "negatives": 0}
    assert record["shown"]["rows"] == rows
    # Windows as long as a test peak and longer hold it whole.
    wide = drawing | {"windows": 200, "width": 120}
    record = check_leaks(**files, dataset="A_(b)", width=40, **genome, windows=[wide])
    assert record["shown"]["names"]["exact"] == ["a"]
    # Those of several pretrainings count together.
    record = check_leaks(**files, dataset="A_(b)", width=40, **genome, windows=[drawing, wide])
    assert record["shown"]["names"]["exact"] == ["a"]
    assert set(record["shown"]["rows"]) > set(rows)
    assert record["shown"]["drawn"][0] == {"windows": drawing, "rows": rows}
    # Of windows narrower than the width asked for, a peak that holds a whole one is found.
    narrow = drawing | {"windows": 200, "width": 30}
    record = check_leaks(**files, dataset="A_(b)", width=40, **genome, windows=[narrow])
    assert "a" in record["shown"]["names"]["near"]
    assert check_leaks(**files, dataset="A_(b)", width=40, windows=[narrow])["shown"] is None


@pytest.mark.real
def test_real_sets(real_data):
    """By sets of words, in Python: published sets share no whole sequence, and some words."""
    pairs, _ = find_sets(real_data / "chipseq")
    for name in ("SRF_H1-hESC_SRF_HudsonAlpha", "SUZ12_H1-hESC_SUZ12_USC"):
        _, train, _ = read_set(pairs[name].train)
        _, test, labels = read_set(pairs[name].test)
        found, found_test = find_leaks(train, test, 40)
        train_words, test_words = ([words_of(one, 40) for one in part] for part in (train, test))
        of_train, of_test = set().union(*train_words), set().union(*test_words)
        assert found.tolist() == [bool(words & of_test) for words in train_words]
        assert found_test.tolist() == [bool(words & of_train) for words in test_words]
        assert found_test[labels == 0].sum() == 0
        assert found_test.sum() == (21 if name.startswith("SRF") else 0)
