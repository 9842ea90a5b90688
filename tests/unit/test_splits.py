"""Splits: nothing of one side on the other, every dropped row counted."""

import gzip
from collections import Counter
from itertools import chain, pairwise

import numpy as np
import pytest
from dflm.errors import InputError
from dflm.files import read_json, sha256_of
from dflm.sequences.chipseq import find_sets
from dflm.sequences.kmers import decode, encode, reverse_complement
from dflm.sequences.leaks import find_leaks
from dflm.sequences.splits import either_strand, hold_out, leave_out, read_split, split_dataset
from hypothesis import given
from hypothesis import strategies as st

HEADER = "FoldID\tEventID\tseq\tBound\n"
SETTINGS = {
    "dataset": "TF_cell_(1-1).lab",
    "min_peaks": 5,
    "max_peaks": None,
    "validation_fraction": 0.2,
    "ambiguous": "drop",
    "negatives_per_positive": 1,
    "near_duplicate_width": 40,
    "leaks": "report",
    "seed": 1,
}


def random_peaks(count: int, seed: int = 0, length: int = 41) -> list[str]:
    """Sequences of one length, all unlike."""
    rng = np.random.default_rng(seed)
    return [decode(rng.integers(0, 4, length, dtype=np.uint8)) for _ in range(count)]


def other_strand(sequence: str) -> str:
    return decode(reverse_complement(encode(sequence)))


def dinucleotides(sequence: str) -> Counter:
    return Counter(pairwise(sequence))


class Split:
    """What split_dataset made of rows (sequence, or sequence and label)."""

    def __init__(self, folder, train, test=None, **settings):
        test = [*((s, 1) for s in random_peaks(3, 99)), ("ACGT" * 10, 0)] if test is None else test
        folder.mkdir(exist_ok=True)
        for name, rows in (("in_AC", train), ("in_B", test)):
            text = rows if isinstance(rows, str) else HEADER
            for number, row in enumerate([] if isinstance(rows, str) else rows):
                sequence, label = (row, 1) if isinstance(row, str) else row
                text += f"A\tseq_{number}_peak\t{sequence}\t{label}\n"
            (folder / name).write_bytes(gzip.compress(text.encode(), mtime=0))
        self.folder = folder
        self.parts = [folder / name for name in ("train.gz", "validation.gz", "test.gz")]
        split_dataset(
            folder / "in_AC",
            folder / "in_B",
            *self.parts,
            folder / "stats.json",
            **{**SETTINGS, **settings},
        )
        self.stats = read_json(folder / "stats.json")
        self.train, self.validation, self.test = (
            list(zip(*read_split(path), strict=True)) for path in self.parts
        )

    def positives(self, part) -> list[str]:
        return [sequence for _, sequence, label in getattr(self, part) if label]


def test_every_peak_is_on_one_side_with_its_own_shuffle(tmp_path):
    peaks = random_peaks(100)
    split = Split(tmp_path, peaks, negatives_per_positive=2)
    assert sorted(split.positives("train") + split.positives("validation")) == sorted(peaks)
    assert len(split.positives("validation")) == 20
    for part in ("train", "validation"):
        by_name = {name: sequence for name, sequence, _ in getattr(split, part)}
        assert len(by_name) == len(getattr(split, part))
        for name, sequence, label in getattr(split, part):
            if label:
                for m in (1, 2):
                    shuffle = by_name[f"{name}_shuf{m}"]
                    assert shuffle != sequence
                    assert dinucleotides(shuffle) == dinucleotides(sequence)
                assert by_name[f"{name}_shuf1"] != by_name[f"{name}_shuf2"]
        assert split.stats[f"{part}_negatives"] == 2 * split.stats[f"{part}_positives"]
    assert split.stats["status"] == "ok"
    assert split.stats["reason"] is None
    assert split.stats["width"] == 41
    assert split.stats["sha256"]["train"] == sha256_of(tmp_path / "in_AC")


@given(st.integers(0, 2**63), st.integers(0, 30), st.floats(0.02, 0.98))
def test_copies_and_other_strands_stay_together(tmp_path_factory, seed, copies, fraction):
    peaks = random_peaks(20, seed % 1000)
    rows = peaks + peaks[: copies // 2] + [other_strand(s) for s in peaks[: copies // 3]]
    split = Split(tmp_path_factory.mktemp("split"), rows, seed=seed, validation_fraction=fraction)
    sides = [{either_strand(s) for s in split.positives(p)} for p in ("train", "validation")]
    assert not sides[0] & sides[1]
    if split.stats["status"] == "ok":
        assert len(split.positives("train") + split.positives("validation")) == len(rows)
        assert split.stats["duplicates"] == len(rows) - 20


def relatives(peaks, overlap=20):
    """Return for each peak a sequence that shares its last bases, on the other strand."""
    others = random_peaks(len(peaks), 77)
    return [other_strand(a[-overlap:] + b[overlap:]) for a, b in zip(peaks, others, strict=True)]


def test_near_duplicates_stay_on_one_side(tmp_path):
    peaks = random_peaks(100)
    near = relatives(peaks)
    split = Split(tmp_path, peaks + near, near_duplicate_width=16)
    sides = {s: part for part in ("train", "validation") for s in split.positives(part)}
    assert all(sides[a] == sides[b] for a, b in zip(peaks, near, strict=True))
    assert len(split.positives("validation")) == 40
    apart = Split(tmp_path, peaks + near, near_duplicate_width=21)
    sides = {s: part for part in ("train", "validation") for s in apart.positives(part)}
    assert any(sides[a] != sides[b] for a, b in zip(peaks, near, strict=True))


def test_a_family_larger_than_the_validation_part_is_trained_on(tmp_path):
    shared = random_peaks(1, 5)[0][:20]
    family = [shared + peak[20:] for peak in random_peaks(50, 6)]
    for seed in range(5):
        split = Split(tmp_path, random_peaks(50) + family, near_duplicate_width=16, seed=seed)
        assert set(family) <= set(split.positives("train"))
        assert len(split.positives("validation")) == 20


def test_a_family_is_held_out_as_often_as_a_sequence_alone():
    alone, shared = random_peaks(160, 1), random_peaks(4, 5)
    families = [
        [s[:20] + peak[20:] for peak in random_peaks(10, 9 - i)] for i, s in enumerate(shared)
    ]
    rows = [("", s, 1) for s in [*alone, *chain(*families)]]
    drawn = [hold_out(rows, 0.25, "set", seed, 16) for seed in range(200)]
    spelt = [{either_strand(s) for s in family} for family in families]
    of_families = np.mean([[family <= held_out for family in spelt] for held_out in drawn])
    assert of_families == pytest.approx(0.25, abs=0.06)  # 2 % either way is one deviation
    sizes = {len(held_out) for held_out in drawn}
    assert min(sizes) >= 45
    assert max(sizes) <= 55


def test_the_least_of_large_families_is_held_out_whatever_the_order_of_rows():
    peaks = random_peaks(6)
    rows = [("", s, 1) for peak in peaks for s in (peak, other_strand(peak))]
    drawn = [hold_out(rows, 0.05, "set", seed, 16) for seed in range(20)]
    assert drawn == [hold_out(rows[::-1], 0.05, "set", seed, 16) for seed in range(20)]
    assert len({frozenset(one) for one in drawn}) > 1


def test_a_validation_part_that_comes_out_small_is_told(tmp_path, caplog):
    shared = random_peaks(1, 5)[0][:20]
    family = [shared + peak[20:] for peak in random_peaks(300, 6)]
    split = Split(tmp_path, random_peaks(2) + family, near_duplicate_width=16)
    assert len(split.positives("validation")) == 2
    assert "only 2 of 60 wanted rows go to validation" in caplog.text


def test_near_duplicates_of_test_rows_are_left_out_on_demand_before_shuffles_are_made(tmp_path):
    peaks, unrelated = random_peaks(60), random_peaks(3, 99)
    near = relatives(peaks[:10])
    test = [*((s, i % 2) for i, s in enumerate(near)), *((s, 1) for s in unrelated)]
    kept = Split(tmp_path, peaks, test, near_duplicate_width=16)
    assert kept.stats["near_test"] == {"positives": 0, "negatives": 0}
    assert set(kept.positives("train") + kept.positives("validation")) == set(peaks)
    removed = Split(tmp_path, peaks, test, near_duplicate_width=16, leaks="remove")
    assert removed.stats["near_test"] == {"positives": 10, "negatives": 0}
    rows = removed.train + removed.validation
    assert {s for _, s, label in rows if label} == set(peaks[10:])
    assert len([name for name, *_ in rows if "_shuf" in name]) == 50
    assert removed.test == kept.test


def test_shuffles_that_are_near_duplicates_of_test_rows_are_left_out_too(tmp_path):
    peaks = random_peaks(20)
    unlike = [(random_peaks(1, 98)[0], 1)]
    first = Split(tmp_path / "first", peaks, [*unlike, ("ACGT" * 10, 0)])
    name, shuffled, _ = next(row for row in first.train if row[2] == 0)
    # The test holds most of what a peak's shuffle came to be.
    settings = {"near_duplicate_width": 16, "leaks": "remove"}
    test = [*unlike, (other_strand(shuffled[3:30]), 0)]
    split = Split(tmp_path / "second", peaks, test, **settings)
    assert split.stats["near_test"] == {"positives": 0, "negatives": 1}
    names = [one for one, *_ in split.train + split.validation]
    assert name not in names
    assert name.removesuffix("_shuf1") in names
    assert len(names) == 2 * len(peaks) - 1


def test_the_split_depends_on_seed_and_name_and_not_on_row_order(tmp_path):
    peaks = random_peaks(100)
    one = Split(tmp_path / "one", peaks)
    again = Split(tmp_path / "again", peaks)
    for a, b in zip(one.parts, again.parts, strict=True):
        assert a.read_bytes() == b.read_bytes()
    turned = Split(tmp_path / "turned", peaks[::-1])
    assert set(turned.positives("validation")) == set(one.positives("validation"))
    for change in ({"seed": 2}, {"dataset": "TF_other"}):
        other = Split(tmp_path / "other", peaks, **change)
        assert set(other.positives("validation")) != set(one.positives("validation"))


def test_the_row_rule_counts_what_it_drops(tmp_path):
    peaks = random_peaks(30)
    rows = [
        *peaks,
        peaks[0][:-1] + "N",  # ambiguous
        peaks[1][:-1] + "r",  # ambiguous, lower case
        peaks[2][:-1] + "E",  # another letter
        peaks[3] + "A",  # another length
    ]
    test = [(peaks[4][:-1] + "N", 1), ("ACGTACGT", 0), ("AC-T", 0), (peaks[5].lower(), 1)]
    test.append((other_strand(peaks[6]), 0))
    split = Split(tmp_path, rows, test)
    dropped = {"ambiguous": 2, "length": 1, "letters": 2, "beyond_max_peaks": 0}
    assert split.stats["dropped"] == dropped
    assert split.stats["shared_with_test"] == 2
    assert split.stats["test_kept_with_n"] == 1
    assert split.stats["rows"] == {"train": 34, "test": 5}
    assert [s for _, s, _ in split.test] == [
        peaks[4][:-1] + "N",
        "ACGTACGT",
        peaks[5],
        other_strand(peaks[6]),
    ]
    kept = set(split.positives("train") + split.positives("validation"))
    assert kept == set(peaks) - {peaks[5], peaks[6]}


def test_rows_with_n_are_kept_on_demand(tmp_path):
    peaks = random_peaks(30)
    split = Split(tmp_path, [*peaks, "R" + peaks[0][1:]], ambiguous="keep")
    assert split.stats["dropped"]["ambiguous"] == 0
    assert "N" + peaks[0][1:] in split.positives("train") + split.positives("validation")


def test_of_two_equally_common_lengths_the_longer_is_kept(tmp_path):
    split = Split(tmp_path, random_peaks(10) + random_peaks(10, length=30))
    assert (split.stats["width"], split.stats["dropped"]["length"]) == (41, 10)


def test_lower_case_is_upper_cased(tmp_path):
    peaks = random_peaks(20)
    split = Split(tmp_path, [peak.lower() for peak in peaks])
    assert set(split.positives("train") + split.positives("validation")) == set(peaks)


def test_a_peak_that_has_no_other_shuffle_is_counted(tmp_path):
    split = Split(tmp_path, [*random_peaks(20), "A" * 41])
    assert split.stats["unshuffled"] == 1


@pytest.mark.parametrize(
    ("train", "test", "says"),
    [
        (random_peaks(4), None, "4 training peaks, fewer than chipseq.min_peaks = 5"),
        ("", None, "training file: the file is empty"),
        (HEADER, None, "training file: the file has a header and no row"),
        (random_peaks(9), "", "test file: the file is empty"),
        (random_peaks(9), [("ACGT", 1)], "rows of one label only"),
        (random_peaks(9), [("ACGT", 1), ("AC-T", 0)], "rows of one label only"),
        (["ACGNT"] * 9, None, "0 training peaks"),
        (random_peaks(1) * 9, None, "too few unlike training peaks"),
        (random_peaks(2), None, "too few unlike training peaks"),
        (random_peaks(2) + random_peaks(1), None, "too few unlike training peaks"),
    ],
)
def test_a_set_is_skipped_with_its_reason(tmp_path, train, test, says):
    least = {"min_peaks": 2} if len(train) in (2, 3) else {}
    split = Split(tmp_path, train, test, **least)
    assert split.stats["status"] == "skipped"
    assert says in split.stats["reason"]
    assert (split.train, split.validation, split.test) == ([], [], [])
    for part in ("train", "validation", "test"):
        assert split.stats[f"{part}_positives"] == split.stats[f"{part}_negatives"] == 0


@pytest.mark.parametrize(
    ("train", "test", "settings", "says"),
    [
        ([*random_peaks(9), ("ACGT", 0)], None, {}, "seq_9_peak has Bound 0"),
        ("what\n", None, {}, "no column"),
        (random_peaks(9), ">chr1\nACGT\n", {}, "no column"),
        (random_peaks(9), None, {"ambiguous": "mask"}, "chipseq.ambiguous is 'mask'"),
        (random_peaks(9), None, {"leaks": "keep"}, "chipseq.leaks is 'keep'; give 'report' or"),
        (random_peaks(9), None, {"validation_fraction": 1.0}, "validation_fraction is 1.0"),
    ],
)
def test_a_malformed_set_fails(tmp_path, train, test, settings, says):
    with pytest.raises(InputError, match=says):
        Split(tmp_path, train, test, **settings)
    assert not (tmp_path / "stats.json").exists()


@given(st.lists(st.text("ACGTN", min_size=1, max_size=4)), st.lists(st.text("ACGTN", max_size=4)))
def test_leave_out_by_its_definition(sequences, held_out):
    kept, left_out = leave_out(sequences, held_out)
    forbidden = set(held_out) | {other_strand(sequence) for sequence in held_out}
    expected = [i for i, sequence in enumerate(sequences) if sequence not in forbidden]
    assert kept.tolist() == expected
    assert left_out == len(sequences) - len(expected)


def test_a_name_may_hold_signs_that_end_a_line_elsewhere(tmp_path):
    rows = ["a\x0bb\x85c\u2028d\tACGT\t1", "e\tACGT\t0"]
    (tmp_path / "a.tsv").write_text("\n".join(["name\tsequence\tlabel", *rows]) + "\n")
    names, sequences, labels = read_split(tmp_path / "a.tsv")
    assert names == ["a\x0bb\x85c\u2028d", "e"]
    assert (sequences, labels.tolist()) == (["ACGT"] * 2, [1, 0])


@pytest.mark.parametrize("text", ["", "name\tseq\n", "name\tsequence\tlabel\na\tACGT\n"])
def test_a_table_that_is_none_is_named(tmp_path, text):
    (tmp_path / "a.tsv.gz").write_bytes(gzip.compress(text.encode()))
    with pytest.raises(InputError, match=r"a\.tsv\.gz"):
        read_split(tmp_path / "a.tsv.gz")


@pytest.mark.real
def test_real_sets_split_without_overlap(real_data, tmp_path):
    """On three sets, among them the one with N and the one of another format."""
    pairs, _ = find_sets(real_data / "chipseq")
    for name in (
        "SUZ12_H1-hESC_SUZ12_USC",
        "SERBP1_H1-hESC_HudsonAlpha",
        "MYC_H1-hESC_c-Myc_Stanford",
    ):
        parts = [tmp_path / part for part in ("train", "validation", "test")]
        split_dataset(
            pairs[name].train,
            pairs[name].test,
            *parts,
            tmp_path / "stats.json",
            **{**SETTINGS, "dataset": name, "min_peaks": 1000, "validation_fraction": 0.1},
        )
        stats = read_json(tmp_path / "stats.json")
        assert stats["status"] == "ok"
        assert stats["width"] == 101
        assert stats["dropped"]["ambiguous"] == (name.startswith("SUZ12"))
        sides = [{either_strand(s) for s in read_split(path)[1]} for path in parts]
        assert not sides[0] & sides[1]
        assert not sides[0] & sides[2]
        assert not sides[1] & sides[2]
        kept = stats["train_positives"] + stats["validation_positives"]
        assert kept + sum(stats["dropped"].values()) == stats["rows"]["train"]


def test_the_first_rows_are_kept_where_there_is_a_limit(tmp_path):
    """Counted after cleaning; the split is made of what is left."""
    peaks = random_peaks(40)
    test = [(peaks[3], 1), *((sequence, 1) for sequence in random_peaks(3, 99)), ("ACGT" * 10, 0)]
    rows = [peaks[0], "N" + peaks[1][1:], peaks[2][:-1], *peaks[3:]]
    usable = [peaks[0], *peaks[4:]]
    split = Split(tmp_path / "capped", rows, test, max_peaks=20)
    assert set(split.positives("train") + split.positives("validation")) == set(usable[:20])
    assert len(split.positives("validation")) == 4
    dropped = {"ambiguous": 1, "length": 1, "letters": 0, "beyond_max_peaks": 17}
    assert split.stats["dropped"] == dropped
    assert split.stats["rows"]["train"] == 20 + 3 + 17
    whole = Split(tmp_path / "whole", rows, test, max_peaks=37)
    assert whole.stats["dropped"]["beyond_max_peaks"] == 0
    assert whole.train == Split(tmp_path / "none", rows, test).train
    few = Split(tmp_path / "few", rows, test, max_peaks=4)
    assert few.stats["reason"].startswith("4 training peaks, fewer")


@pytest.mark.real
def test_near_duplicates_in_a_real_set(real_data, tmp_path):
    """SRF has repeats: families stay together, and removal leaves no shared 40-mer."""
    pairs, _ = find_sets(real_data / "chipseq")
    name = "SRF_H1-hESC_SRF_HudsonAlpha"
    parts = [tmp_path / part for part in ("train", "validation", "test")]
    settings = {**SETTINGS, "dataset": name, "min_peaks": 1000, "validation_fraction": 0.1}
    for leaks in ("report", "remove"):
        options = {**settings, "leaks": leaks}
        split_dataset(
            pairs[name].train, pairs[name].test, *parts, tmp_path / "stats.json", **options
        )
        stats = read_json(tmp_path / "stats.json")
        train, validation, test = (read_split(path) for path in parts)
        positives = [
            [s for s, label in zip(part[1], part[2], strict=True) if label]
            for part in (train, validation)
        ]
        assert not find_leaks(*positives, 40)[0].any()
        assert len(positives[1]) == pytest.approx(0.1 * sum(map(len, positives)), abs=2)
        left = find_leaks(train[1] + validation[1], test[1], 40)[0]
        assert left.any() == (leaks == "report")
        assert stats["near_test"]["positives"] == (79 if leaks == "remove" else 0)
        kept = stats["train_positives"] + stats["validation_positives"]
        assert kept + stats["near_test"]["positives"] == stats["rows"]["train"]
