"""Sets in DeepBind's format: read, found, indexed, taken."""

import gzip
import os

import numpy as np
import pytest
from dflm.errors import InputError
from dflm.files import sha256_of
from dflm.sequences.chipseq import (
    EmptySetError,
    find_sets,
    index_sets,
    parse_name,
    read_set,
)
from dflm.sequences.sources import take_set

HEADER = "FoldID\tEventID\tseq\tBound\n"
ROWS = "A\tseq_1_peak\tACGTN\t1\nA\tseq_1_shuf\tACGTA\t0\n"
ODD = "ELK1_GM12878_ELK1_(1277-1)_Stan.ford"


def put(path, text: str):
    """Write a gzipped file, with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode(), mtime=0))
    return path


def put_set(folder, dataset: str, text: str = HEADER + ROWS, parts=("AC", "B")):
    """Write the files of a set."""
    for part in parts:
        put(folder / f"{dataset}_{part}.seq.gz", text)


@pytest.mark.parametrize(
    "text",
    [
        HEADER + ROWS,
        (HEADER + ROWS).replace("\n", "\r\n"),
        HEADER + ROWS + "\n",
        " \n\n" + HEADER + ROWS + "\t\n",
        "Bound\tmore\tseq\tEventID\n1\tx\tACGTN\tseq_1_peak\n0\t\tACGTA\tseq_1_shuf\n",
    ],
)
def test_columns_are_found_by_the_header(tmp_path, text):
    names, sequences, labels = read_set(put(tmp_path / "a.seq.gz", text))
    assert names == ["seq_1_peak", "seq_1_shuf"]
    assert sequences == ["ACGTN", "ACGTA"]
    assert labels.dtype == np.int8
    assert labels.tolist() == [1, 0]
    (tmp_path / "plain").write_text(text)
    assert read_set(tmp_path / "plain")[0] == names


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("FoldID\tEventID\tsequence\tBound\n" + ROWS, "line 1: no column seq"),
        (">chr1\nACGT\n", "line 1: no column EventID, seq, Bound"),
        (HEADER + ROWS + "A\tseq_2\tACGT\n", "line 4 has 3 fields, not 4"),
        (HEADER + "A\tseq_2\t\t1\n", "line 2 has an empty seq"),
        (HEADER + "A\tseq_2\tACGT\t2\n", "line 2: Bound is '2'"),
        (HEADER + "A\tseq_2\tACGT\t\n", "line 2: Bound is ''"),
    ],
)
def test_a_malformed_table_is_named_with_its_line(tmp_path, text, says):
    path = put(tmp_path / "a.seq.gz", text)
    with pytest.raises(InputError) as caught:
        read_set(path)
    assert says in str(caught.value)
    assert str(path) in str(caught.value)
    assert not isinstance(caught.value, EmptySetError)


@pytest.mark.parametrize(
    "content",
    [b"", b"\n \n", gzip.compress(b"", mtime=0), gzip.compress(HEADER.encode(), mtime=0)],
)
def test_an_empty_file_is_an_error_of_its_own(tmp_path, content):
    (tmp_path / "a.seq.gz").write_bytes(content)
    with pytest.raises(EmptySetError, match=r"a\.seq\.gz"):
        read_set(tmp_path / "a.seq.gz")


def test_a_torn_or_damaged_gzip_file_is_an_error(tmp_path):
    lines = [f"A\tseq_{i}\t{'ACGT' * (i % 7)}A\t1\n" for i in range(3000)]
    whole = put(tmp_path / "a.seq.gz", HEADER + "".join(lines)).read_bytes()
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 255
    (tmp_path / "b.seq.gz").write_bytes(damaged)
    with pytest.raises(InputError, match=r"b\.seq\.gz"):  # by its rows, before the check sum
        read_set(tmp_path / "b.seq.gz")
    for content in (whole[: len(whole) // 2], whole[:-4], whole[:5]):
        (tmp_path / "b.seq.gz").write_bytes(content)
        with pytest.raises(InputError, match=r"b\.seq\.gz: .*breaks off"):
            read_set(tmp_path / "b.seq.gz")
    with pytest.raises(InputError, match="no such file"):
        read_set(tmp_path / "none.seq.gz")


@pytest.mark.parametrize(
    ("dataset", "fields"),
    [
        ("ELK1_GM12878_ELK1_(1277-1)_Stanford", ("ELK1", "GM12878")),
        ("SERBP1_H1-hESC_HudsonAlpha", ("SERBP1", "H1-hESC")),
        ("CTCF", ("CTCF", "")),
        ("", ("", "")),
    ],
)
def test_names_need_no_fixed_number_of_fields(dataset, fields):
    assert parse_name(dataset) == fields


def test_sets_are_found_at_any_depth_and_orphans_keep_a_reason(tmp_path):
    put_set(tmp_path / "deep" / "er", ODD)
    put_set(tmp_path, "B_only", parts=("B",))
    put_set(tmp_path, "AC_only", parts=("AC",))
    put_set(tmp_path / "copy", ODD)  # the same content twice does no harm
    put(tmp_path / f"._{ODD}_AC.seq.gz", "a Mac's notes")
    put(tmp_path / "_AC.seq.gz", "no name")
    put(tmp_path / "other.txt.gz", "")
    pairs, orphans = find_sets(tmp_path)
    assert list(pairs) == [ODD]
    assert pairs[ODD].train.name == f"{ODD}_AC.seq.gz"
    assert list(orphans) == ["AC_only", "B_only"]
    assert "no test file" in orphans["AC_only"].reason
    assert "no training file" in orphans["B_only"].reason
    assert (orphans["B_only"].train, orphans["AC_only"].test) == (None, None)


def test_wrong_folders(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        find_sets(tmp_path / "none")
    with pytest.raises(InputError, match=r"no \*_AC"):
        find_sets(tmp_path)
    put_set(tmp_path / "a", ODD)
    put_set(tmp_path / "b", ODD, HEADER + ROWS * 2)
    with pytest.raises(InputError, match="two unlike files"):
        find_sets(tmp_path)


def test_a_name_that_is_not_utf_8_is_told(tmp_path):
    put_set(tmp_path / "in", ODD)
    (tmp_path / "in" / os.fsdecode(b"caf\xe9_AC.seq.gz")).write_bytes(b"")
    with pytest.raises(InputError, match=r"the name 'caf.*' is not UTF-8; rename the file"):
        index_sets(tmp_path / "in", tmp_path / "one.tsv")


def test_the_sheet_lists_every_set_sorted(tmp_path):
    put_set(tmp_path / "in", ODD)
    put_set(tmp_path / "in", "AAA", parts=("B",))
    index_sets(tmp_path / "in", tmp_path / "one.tsv")
    index_sets(tmp_path / "in", tmp_path / "two.tsv")
    assert sha256_of(tmp_path / "one.tsv") == sha256_of(tmp_path / "two.tsv")
    header, orphan, whole = (tmp_path / "one.tsv").read_text().splitlines()
    assert header == "dataset\ttf\tcell_line\ttrain\ttest\tnotes"
    assert orphan.split("\t")[:4] == ["AAA", "AAA", "", ""]
    assert "no training file" in orphan.split("\t")[5]
    folder = tmp_path / "in"
    assert whole.split("\t") == [
        ODD,
        "ELK1",
        "GM12878",
        f"{folder}/{ODD}_AC.seq.gz",
        f"{folder}/{ODD}_B.seq.gz",
        "",
    ]


def test_a_set_is_taken_from_a_folder_or_from_files(tmp_path):
    put_set(tmp_path / "in", ODD)
    put_set(tmp_path / "in", "AAA", parts=("B",))
    train, test = tmp_path / "out" / "train.gz", tmp_path / "out" / "test.gz"
    take_set(ODD, train, test, folder=tmp_path / "in")
    source = tmp_path / "in" / f"{ODD}_AC.seq.gz"
    assert train.read_bytes() == source.read_bytes()
    put(tmp_path / "mine.gz", HEADER + ROWS * 2)
    take_set(ODD, train, test, folder=tmp_path / "in", train=str(tmp_path / "mine.gz"))
    assert train.read_bytes() == (tmp_path / "mine.gz").read_bytes()
    take_set("X", train, test, train=f"file://{tmp_path}/mine.gz", test=str(source))
    assert test.read_bytes() == source.read_bytes()
    with pytest.raises(InputError, match="AAA: the set has no training file"):
        take_set("AAA", train, test, folder=tmp_path / "in")
    with pytest.raises(InputError, match="Z: the set has no training file"):
        take_set("Z", train, test, folder=tmp_path / "in")
    with pytest.raises(InputError, match="expected"):
        take_set(
            "X", train, test, train=str(source), test=str(source), test_checksum="md5:" + "0" * 32
        )


@pytest.mark.real
def test_all_real_sets_parse(real_data):
    pairs, orphans = find_sets(real_data / "chipseq")
    assert len(pairs) == 14
    assert not orphans
    for dataset, files in pairs.items():
        _, train, train_labels = read_set(files.train)
        _, test, labels = read_set(files.test)
        assert train_labels.all(), dataset
        assert 2 * labels.sum() == len(labels), dataset
        assert {len(sequence) for sequence in train + test} == {101}, dataset
        assert not set(train) & set(test), dataset
        assert parse_name(dataset)[0] == dataset.split("_")[0]


@pytest.mark.real
def test_one_real_row_holds_n(real_data):
    _, sequences, _ = read_set(real_data / "chipseq" / "SUZ12_H1-hESC_SUZ12_USC_AC.seq.gz")
    assert sum("N" in sequence for sequence in sequences) == 1


@pytest.mark.real
def test_real_negatives_have_the_dinucleotides_of_their_positives(real_data):
    """What the format says of B files, and what our own negatives are to match."""
    for dataset, files in find_sets(real_data / "chipseq")[0].items():
        names, sequences, _ = read_set(files.test)
        by_name = dict(zip(names, sequences, strict=True))
        for name in names:
            if name.endswith("_peak"):
                peak, shuffle = by_name[name], by_name[name.replace("_peak", "_shuf")]
                pairs = [sorted(s[i : i + 2] for i in range(len(s) - 1)) for s in (peak, shuffle)]
                assert pairs[0] == pairs[1], (dataset, name)
