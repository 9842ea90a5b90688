"""Splits of peaks: contigs held out, negatives of the same contigs, every dropped peak counted."""

import gzip
import logging
import re
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from dflm.errors import InputError
from dflm.evaluation.floor import dinucleotide_floor
from dflm.evaluation.methods_peaks import LEFT_OUT
from dflm.evaluation.set_page import DROPPED
from dflm.files import read_json
from dflm.sequences.genome import shard_genome
from dflm.sequences.peak_splits import split_peaks
from dflm.sequences.splits import either_strand, read_split
from hypothesis import given, settings
from hypothesis import strategies as st
from sharded import shard_all

SETTINGS = {
    "dataset": "TF_cell",
    "seed": 1,
    "min_peaks": 5,
    "max_peaks": None,
    "validation_fraction": 0.2,
    "ambiguous": "drop",
    "negatives_per_positive": 1,
    "near_duplicate_width": 40,
    "leaks": "report",
    "width": 51,
    "test": None,
    "negatives": "genomic",
    "distance": 100,
    "gc_tolerance": 0.1,
}
PARTS = ("train", "validation", "test")


def random_peaks(count, seed=0, contigs=("chr1", "chr2", "chr3")):
    rng = np.random.default_rng(seed)
    starts = rng.integers(0, 30_000, count)
    return [
        f"{contigs[i % len(contigs)]}\t{start}\t{start + 40}\tp{i}\t{i}"
        for i, start in enumerate(starts.tolist())
    ]


def span(name):
    contig, _, rest = name.removesuffix("_shuf1").removesuffix("_shuf2").rpartition(":")
    start, end = map(int, rest.split("-"))
    return contig, start, end


class Split:
    """What split_peaks made of lines of BED."""

    def __init__(self, folder, genome, lines, own=None, **settings):
        folder.mkdir(exist_ok=True)
        self.genome = genome
        self.files = [folder / f"{part}.tsv.gz" for part in PARTS]
        (folder / "peaks.bed").write_text("".join(f"{line}\n" for line in lines))
        if own is not None:
            text = "".join(f"{line}\n" for line in own)
            (folder / "negatives.bed").write_bytes(gzip.compress(text.encode()))
        split_peaks(
            folder / "peaks.bed",
            None if own is None else folder / "negatives.bed",
            genome.index,
            genome.contigs,
            *self.files,
            folder / "stats.json",
            **{**SETTINGS, **settings},
        )
        self.stats = read_json(folder / "stats.json")
        for part, path in zip(PARTS, self.files, strict=True):
            setattr(self, part, list(zip(*read_split(path), strict=True)))

    def rows(self, label, *parts):
        return [row for part in parts for row in getattr(self, part) if row[2] == label]

    def check(self):
        """Hold what is true of every split that is not skipped."""
        width, spans = self.stats["width"], {}
        for part in PARTS:
            names = [name for name, *_ in getattr(self, part)]
            assert len(set(names)) == len(names)
            for name, sequence, label in getattr(self, part):
                contig, start, end = span(name)
                assert end - start == len(sequence) == width
                assert (contig in self.stats["test_contigs"]) == (part == "test")
                if label or self.stats["negatives"] != "shuffle":
                    assert sequence == self.genome.texts[contig][start:end]
                    spans.setdefault(contig, []).append((start, end))
            for kind, label in (("positives", 1), ("negatives", 0)):
                assert self.stats[f"{part}_{kind}"] == len(self.rows(label, part))
        for ends in spans.values():
            assert all(end <= start for (_, end), (start, _) in pairwise(sorted(ends)))
        sides = [{either_strand(s) for _, s, _ in getattr(self, part)} for part in PARTS]
        assert sum(map(len, sides)) == len(set().union(*sides))
        if self.stats["negatives"] != "shuffle":
            negatives = [either_strand(s) for _, s, _ in self.rows(0, *PARTS)]
            assert len(set(negatives)) == len(negatives)
        dropped, rows = self.stats["dropped"], self.stats["rows"]
        kept = len(self.rows(1, *PARTS)) + self.stats["shared_with_test"]
        assert kept + sum(dropped.values()) == sum(rows.values()) + dropped["unknown_contig"]
        return self


def test_repeats_of_the_genome_stand_in_one_place_alone(open_genome, tmp_path):
    """One window of the test contig again in a training contig, and a positive as a negative."""
    rng = np.random.default_rng(3)
    texts = {name: "".join(rng.choice(list("ACGT"), 30_000)) for name in ("chr1", "chr2", "chr3")}
    copy = texts["chr1"][1000:1051].translate(str.maketrans("ACGT", "TGCA"))[::-1]
    texts["chr3"] = texts["chr3"][:2000] + copy + texts["chr3"][2051:]
    texts["chr2"] = texts["chr2"][:9000] + texts["chr2"][4000:4051] + texts["chr2"][9051:]
    for contig in ("chr1", "chr3"):  # and negatives as other negatives of their own part
        text = texts[contig]
        texts[contig] = text[:6500] + text[6000:6051] + text[6551:]
    (tmp_path / "g.fa").write_text("".join(f">{name}\n{text}\n" for name, text in texts.items()))
    genome = open_genome(*shard_all(tmp_path / "g.fa", tmp_path, "chr3"))
    starts = range(1000, 5000, 500)
    lines = [f"{c}\t{at}\t{at + 51}\tp\t1" for c in ("chr1", "chr2", "chr3") for at in starts]
    own = [f"{c}\t{at + 5000}\t{at + 5051}" for c in ("chr1", "chr2", "chr3") for at in starts]
    split = Split(tmp_path / "s", genome, lines, own, negatives="bed", test=["chr1"]).check()
    assert split.stats["shared_with_test"] == 1
    assert split.stats["background"]["repeats_left_out"] == 3
    assert len(split.rows(1, *PARTS)) == len(lines) - 1
    assert len(split.rows(0, *PARTS)) == len(own) - 3


@settings(max_examples=30)
@given(
    st.integers(0, 2**63),
    st.integers(30, 150),
    st.sampled_from(["genomic", "shuffle"]),
    st.integers(1, 2),
    st.sampled_from([None, ["chr2"], ["chr[13]"]]),
)
def test_contigs_are_held_out_and_every_peak_accounted_for(
    genome, tmp_path_factory, seed, count, kind, per_positive, test
):
    lines = random_peaks(count, seed % 1000)
    split = Split(
        tmp_path_factory.mktemp("split"),
        genome,
        [*lines, "chrUn\t5\t500\tp\t0"],
        seed=seed,
        negatives=kind,
        negatives_per_positive=per_positive,
        test=test,
        gc_tolerance=1.0,
    ).check()
    assert split.stats["negatives"] == kind
    for part in PARTS:
        wanted = len(split.rows(1, part)) * (1 if part == "test" else per_positive)
        assert len(split.rows(0, part)) == wanted
    training = split.stats["train_positives"] + split.stats["validation_positives"]
    assert split.stats["validation_positives"] == max(1, round(0.2 * training))


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(genome, tmp_path):
    lines = random_peaks(120)
    one = Split(tmp_path / "one", genome, lines)
    again = Split(tmp_path / "again", genome, lines[::-1])
    other = Split(tmp_path / "other", genome, lines, seed=2)
    for a, b, c in zip(one.files, again.files, other.files, strict=True):
        assert a.read_bytes() == b.read_bytes() != c.read_bytes()


def test_genomic_negatives_are_as_the_positives_are_and_away_from_all_peaks(genome, tmp_path):
    lines = random_peaks(60)
    split = Split(tmp_path, genome, lines, gc_tolerance=0.0, distance=150).check()
    for part in PARTS:
        gc = [
            Counter(s.count("G") + s.count("C") for _, s, _ in split.rows(label, part))
            for label in (0, 1)
        ]
        assert gc[0] <= gc[1]  # a count that the grid lacks has none
        assert gc[0].total() >= 0.8 * gc[1].total()
    for name, *_ in split.rows(0, *PARTS):
        contig, start, end = span(name)
        for line in lines:
            other, low, high = line.split("\t")[:3]
            assert contig != other or start - int(high) >= 150 or int(low) - end >= 150
    assert split.stats["background"]["train"]["largest_gc_difference"] == 0


def test_shuffles_have_the_dinucleotides_of_their_positives(genome, tmp_path):
    split = Split(tmp_path, genome, random_peaks(60), negatives="shuffle").check()
    positives = {name: sequence for name, sequence, _ in split.rows(1, *PARTS)}
    for name, sequence, _ in split.rows(0, *PARTS):
        of = positives[name.removesuffix("_shuf1")]
        assert sequence != of
        assert Counter(pairwise(sequence)) == Counter(pairwise(of))


def test_negatives_of_ones_own_are_used_but_for_those_on_a_peak(genome, tmp_path):
    peaks = ["chr1\t1000\t3000", *random_peaks(60, contigs=("chr2", "chr3"))]
    peaks = ["\t".join(line.split("\t")[:3]) for line in peaks]
    own = [f"chr1\t{start}\t{start + 51}" for start in range(10_000, 20_000, 100)]
    own += ["chr1\t2940\t2991", "chr1\t3000\t3051", "chr1\t5100\t5151", "chr1\t2\t9"]
    own += ["chr3\t29000\t29051", "chr3\t29100\t29151", "chr9\t5\t10"]
    peaks = [line for line in peaks if not (line.startswith("chr3") and "\t29" in line)]
    split = Split(tmp_path, genome, peaks, own).check()
    background = split.stats["background"]
    assert split.stats["negatives"] == "bed"
    assert background["read"] == 107
    assert background["dropped"] == {
        "unknown_contig": 1,
        "beyond_contig_end": 0,
        "window_off_end": 1,
        "merged": 0,
        "overlap": 0,
        "on_a_peak": 1,
        "ambiguous": 1,
    }
    assert background["dropped_names"]["unknown_contig"] == {"chr9": 1}
    assert [name for name, *_ in split.rows(0, "test")] == ["chr3:29000-29051", "chr3:29100-29151"]
    kept = {name for name, *_ in split.rows(0, "train", "validation")}
    assert "chr1:3000-3051" in kept
    assert len(kept) == 101
    assert len(split.rows(0, "validation")) == 20


def test_peaks_that_overlap_are_merged_and_negatives_of_ones_own_are_not(genome, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    pairs = [
        f"{contig}\t{at + shift}\t{at + shift + 600}"
        for contig in ("chr1", "chr2", "chr3")
        for at in range(8000, 24_000, 2000)
        for shift in (0, 200)
    ]
    own = [
        f"{contig}\t{at + shift}\t{at + shift + 100}"
        for contig in ("chr1", "chr2", "chr3")
        for at in range(9200, 24_000, 2000)
        for shift in (0, 60)
    ]
    split = Split(tmp_path, genome, pairs, own).check()
    assert split.stats["rows"] == {"train": 32, "test": 16}
    assert split.stats["dropped"]["merged"] == 24
    assert split.stats["dropped"]["overlap"] == 0
    for name, *_ in split.rows(1, *PARTS):
        assert (span(name)[1] + 25) % 2000 == 400
    reasons = split.stats["background"]["dropped"]
    assert reasons["merged"] == 0
    assert len(split.rows(0, *PARTS)) == len(own)
    # What is counted has words on the set's page and in the methods section.
    assert reasons.keys() <= {*DROPPED, "on_a_peak"}
    assert reasons.keys() <= LEFT_OUT.keys()
    assert "TF_cell: 24 peaks without a summit were merged with others" in caplog.text
    assert "peaks.bed: read as BED, as narrowPeak has ten columns, not 3" in caplog.text


def test_negatives_stay_away_from_all_of_a_merged_peak(genome, tmp_path):
    """Three long peaks, each of many that overlap by one base; only the rest is for negatives."""
    lines = [
        f"{contig}\t{at}\t{at + 101}"
        for contig in ("chr1", "chr2", "chr3")
        for at in range(8000, 16_000, 100)
    ]
    lines += random_peaks(60, contigs=("chr1", "chr2", "chr3"))
    lines = ["\t".join(line.split("\t")[:3]) for line in lines]
    split = Split(tmp_path, genome, lines, gc_tolerance=1.0).check()
    assert split.stats["dropped"]["merged"] >= 3 * 79
    for name, *_ in split.rows(0, *PARTS):
        _, start, end = span(name)
        assert end + 100 <= 8000 or start - 100 >= 15_901 + 100


def test_windows_with_n_are_dropped_and_kept_on_demand_with_shuffles(genome, tmp_path):
    lines = [*random_peaks(60), "chr1\t5290\t5320\tp\t99", "chr3\t5290\t5320\tp\t99"]
    dropped = Split(tmp_path / "a", genome, lines).check().stats["dropped"]["ambiguous"]
    assert dropped >= 2
    kept = Split(tmp_path / "b", genome, lines, negatives="shuffle", ambiguous="keep")
    assert kept.stats["dropped"]["ambiguous"] == 0
    assert kept.stats["test_kept_with_n"] >= 1
    genomic = Split(tmp_path / "c", genome, lines, ambiguous="keep")
    assert genomic.stats["dropped"]["ambiguous"] == dropped


@pytest.mark.parametrize("kind", ["genomic", "shuffle"])
def test_near_duplicates_of_test_peaks_are_left_out_on_demand(open_genome, tmp_path, kind):
    """Five peaks of chr1 share 30 bases with peaks of the test's chr3."""
    rng = np.random.default_rng(11)
    texts = {name: rng.choice([*"ACGT"], 30_000) for name in ("chr1", "chr2", "chr3")}
    for start in range(1000, 6000, 1000):
        texts["chr3"][start : start + 30] = texts["chr1"][start : start + 30]
    fasta = "".join(f">{name}\n{''.join(text)}\n" for name, text in texts.items())
    (tmp_path / "genome.fa").write_text(fasta)
    places = tmp_path / "index.json", tmp_path / "contigs"
    choice = {"include": ["*"], "exclude": [], "validation": ["chr3"], "soft_masked": "keep"}
    shard_genome(tmp_path / "genome.fa", *places[::-1], **choice)
    lines = [f"{name}\t{at}\t{at + 40}" for name in texts for at in range(1000, 26_000, 1000)]
    settings = {"near_duplicate_width": 20, "negatives": kind}
    kept = Split(tmp_path / "kept", open_genome(*places), lines, **settings).check()
    split = Split(tmp_path / "removed", open_genome(*places), lines, leaks="remove", **settings)
    assert kept.stats["near_test"] == {"positives": 0, "negatives": 0}
    assert split.stats["near_test"]["positives"] == 5
    gone = set(kept.rows(1, "train", "validation")) - set(split.rows(1, "train", "validation"))
    assert {name for name, *_ in gone} == {f"chr1:{at}-{at + 51}" for at in range(995, 5995, 1000)}
    assert split.rows(1, "test") == kept.rows(1, "test")
    shuffled = {name.removesuffix("_shuf1") for name, *_ in split.rows(0, *PARTS)}
    assert kind == "genomic" or shuffled == {name for name, *_ in split.rows(1, *PARTS)}


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["# nothing"], "the file holds no peak"),
        (random_peaks(6), "4 training peaks, fewer than chipseq.min_peaks = 5"),
        (random_peaks(20, contigs=("chr1",)), r"none that can be used is on chr3 \(peaks.test\)"),
    ],
)
def test_a_set_is_skipped_with_its_reason(genome, tmp_path, lines, says):
    split = Split(tmp_path, genome, lines)
    assert split.stats["status"] == "skipped"
    assert split.train == split.validation == split.test == []
    with pytest.raises(AssertionError, match=says):
        raise AssertionError(split.stats["reason"])


@pytest.mark.parametrize(
    ("settings", "own", "says"),
    [
        ({"distance": 50_000}, None, r"TF_cell: only \d genomic negatives were found for the"),
        ({"test": ["chrX"]}, None, "'chrX' of peaks.test matches no contig"),
        ({}, ["chr1\t20000\t20051", "chr1\t21000\t21051"], "no negative is left for the test part"),
        ({}, ["1\t20000\t20051"], "negatives.bed: the peaks name contigs as 1, the genome as chr1"),
    ],
)
def test_what_leaves_no_negatives_fails(genome, tmp_path, settings, own, says):
    with pytest.raises(InputError, match=says):
        Split(tmp_path, genome, random_peaks(60), own, **settings)
    assert not (tmp_path / "stats.json").exists()


@pytest.mark.real
def test_peaks_placed_on_real_sequence(real_data, open_genome, tmp_path):
    """Peaks at AP-1 sites of human sequence; the genome's own dinucleotides tell little."""
    pieces = real_data / "genome" / "human_pieces.fa.gz"
    genome = open_genome(*shard_all(pieces, tmp_path, "hg19_chr17_0_1000000"))
    lines = [
        f"{name}\t{at.start() - 90}\t{at.start() + 110}\t.\t0\t.\t{at.start() % 17}\t-1\t-1\t93"
        for name, text in genome.texts.items()
        for at in re.finditer("TGA[CG]TCA", text)
        if at.start() >= 90 and at.start() + 110 <= len(text)
    ]
    assert len(lines) > 500
    split = Split(tmp_path / "split", genome, lines, min_peaks=300, width=101, distance=1000)
    split.check()
    assert split.stats["status"] == "ok"
    assert split.stats["format"] == "narrowPeak"
    for name, sequence, _ in split.rows(1, *PARTS):
        assert sequence[47:54] in ("TGACTCA", "TGAGTCA"), name
    for _, sequence, _ in split.rows(0, *PARTS):
        assert not re.search("TGA[CG]TCA", sequence)
    fit, held = (list(zip(*rows, strict=True)) for rows in (split.train, split.test))
    assert 0.4 < dinucleotide_floor(*fit[1:], *held[1:]) < 0.75


def test_of_peaks_without_scores_some_are_drawn_from_everywhere(tmp_path, genome, caplog):
    lines = [
        f"{contig}\t{start}\t{start + 40}"
        for contig in ("chr1", "chr2", "chr3")
        for start in range(200, 20_000, 500)
    ]
    drawn = [
        Split(tmp_path / str(seed), genome, lines, negatives="shuffle", max_peaks=20, seed=seed)
        for seed in (1, 2, 1)
    ]
    names = [[name for name, *_ in one.rows(1, "train", "validation")] for one in drawn]
    assert names[0] == names[2] != names[1]
    for one in names:
        assert len(one) == 20
        starts = Counter((contig, start > 10_000) for contig, start, _ in map(span, one))
        assert len(starts) == 4, "of both contigs, at both ends"
    assert re.search(r"among 7\d equally strong peaks, of which 20 are drawn", caplog.text)
    assert drawn[0].stats["drawn_of_equal"]["drawn"] == 20


def test_test_contigs_that_pretraining_reads_are_told(tmp_path, genome, caplog):
    lines = random_peaks(90)
    Split(tmp_path / "held", genome, lines)
    assert "a pretraining on it" not in caplog.text
    Split(tmp_path / "read", genome, lines, test=["chr3", "chr2"])
    assert "the test contigs chr2 are no validation contigs of the genome: a" in caplog.text


@pytest.mark.parametrize("negatives", ["genomic", "shuffle"])
def test_the_strongest_peaks_are_kept_where_there_is_a_limit(tmp_path, genome, negatives):
    rng = np.random.default_rng(3)
    lines = [
        f"{contig}\t{start}\t{start + 40}\tp\t{score}"
        for contig in ("chr1", "chr2", "chr3")
        for start, score in zip(range(200, 20_000, 500), rng.permutation(40) // 2, strict=True)
    ]
    whole = Split(tmp_path / "whole", genome, lines, negatives=negatives).check()
    split = Split(tmp_path / "capped", genome, lines, negatives=negatives, max_peaks=20).check()
    score = {
        (contig, int(start) - 5): int(score)
        for contig, start, _, _, score in (line.split("\t") for line in lines)
    }

    def scores(made):
        named = [span(name) for name, *_ in made.rows(1, "train", "validation")]
        return sorted((score[contig, start] for contig, start, _ in named), reverse=True)

    assert scores(split) == scores(whole)[:20]
    assert split.stats["dropped"]["beyond_max_peaks"] == len(scores(whole)) - 20
    assert split.rows(1, "test") == whole.rows(1, "test")
