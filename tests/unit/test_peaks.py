"""Peaks: what a file may hold, and the windows that are laid on them."""

import gzip
import re
import subprocess
from itertools import pairwise

import numpy as np
import pytest
from dflm.errors import InputError
from dflm.sequences.backgrounds import gc_counts, genomic_windows
from dflm.sequences.bed import Peaks, read_peaks
from dflm.sequences.genome import GenomeIndex
from dflm.sequences.kmers import N, decode
from dflm.sequences.peaks import cut_windows, held_out_contigs, place_peaks, window_names
from hypothesis import given
from hypothesis import strategies as st

NAMES = ["chr1", "chr2", "chr3", "alt"]  # of the fixture's genome


# ---- files -------------------------------------------------------------------------------------


def bed(tmp_path, text, name="peaks.bed"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_narrow_peak_has_summits_and_strengths(tmp_path):
    text = b"chr1\t100\t200\tp\t900\t.\t7.5\t-1\t-1\t30\nchr2\t10\t21\t.\t0\t+\t-1e-2\t2\t3\t-1\n"
    for content in (text, gzip.compress(text)):
        peaks = read_peaks(bed(tmp_path, content))
        assert peaks.kind == "narrowPeak"
        assert peaks.contigs == ["chr1", "chr2"]
        assert peaks.summits.tolist() == [130, 15]
        assert peaks.strengths.tolist() == [7.5, -0.01]


def test_idr_s_files_begin_as_narrow_peak(tmp_path):
    line = "chr1\t100\t500\t.\t1000\t.\t7.5\t-1\t-1\t30" + "\t1.0" * 10
    peaks = read_peaks(bed(tmp_path, line + "\n"))
    assert (peaks.kind, peaks.summits.tolist(), peaks.strengths.tolist()) == (
        "narrowPeak",
        [130],
        [7.5],
    )


@pytest.mark.parametrize(
    ("text", "strength"),
    [
        ("chr1\t100\t201\n", 0),
        ("\ufeffchr1\t100\t201\tname with blanks\n", 0),
        ("chr1 100 201 name 3.5\n", 3.5),
        ("chr1\t100\t201\tname\t.\t+\n", 0),
        ("track name=x\nbrowser position chr1\n# a\n\n \t\nchr1 \t100\t201\r\n", 0),
        ("chr1\t100\t201\tn\t9\t+\t100\t201\t0,0,0\t1\t101\t0", 9),
    ],
)
def test_bed_in_all_its_forms(tmp_path, text, strength):
    peaks = read_peaks(bed(tmp_path, text))
    assert (peaks.kind, peaks.contigs) == ("BED", ["chr1"])
    assert (peaks.starts[0], peaks.ends[0], peaks.summits[0]) == (100, 201, 150)
    assert peaks.strengths.tolist() == [strength]


def test_a_file_of_comments_holds_no_peak(tmp_path):
    assert len(read_peaks(bed(tmp_path, "# nothing\ntrack x\n"))) == 0
    assert len(read_peaks(bed(tmp_path, ""))) == 0


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("chrom\tstart\tend", "line 2: the start is 'start', not a whole number"),
        ("chr1\t1e5\t200000", "the start is '1e5'"),
        ("chr1\t-5\t20", "the start is '-5', not a whole number from 0"),
        ("chr1\t5\t20.0", "the end is '20.0'"),
        ("chr1\t1_0\t20", "the start is '1_0'"),
        ("chr1\t5\t9999999999999999999", "the end is '9999999999999999999'"),
        ("chr1\t20\t20", "the start, 20, is not below the end, 20"),
        ("chr1\t30\t20", "the start, 30, is not below the end, 20"),
        ("chr1\t20", "2 columns, and a peak has at least three"),
        ("chr1", "1 column, and"),
        ("chr1 20\t30", "2 columns"),
        ("\t20\t30", "column 1, the contig, is empty"),
        ("chr1\t20\t30\tname", "4 columns, and the lines before have 3"),
    ],
)
def test_a_bad_line_is_named(tmp_path, line, told):
    path = bed(tmp_path, f"chr1\t1\t2\n{line}\n")
    with pytest.raises(InputError) as error:
        read_peaks(path)
    assert str(error.value).startswith(f"{path}: line 2: ")
    assert told in str(error.value)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("chr1\t1\t9\tn\tx", "the score is 'x', not a number"),
        ("chr1\t1\t9\tn\tnan", "the score is 'nan'"),
        ("chr1\t1\t9\tn\t0\t.\tx\t1\t1\t3", r"the signalValue \(column 7\) is 'x'"),
        ("chr1\t1\t9\tn\t0\t.\t1\t1\t1\t8", r"the summit \(column 10\) is '8'.* 0 to 7"),
        ("chr1\t1\t9\tn\t0\t.\t1\t1\t1\t-2", "the summit"),
        ("chr1\t1\t9\tn\t0\t.\t1\t1\t1\t.", "the summit"),
    ],
)
def test_a_bad_score_or_summit_is_named(tmp_path, line, told):
    with pytest.raises(InputError, match=f"line 1: .*{told}"):
        read_peaks(bed(tmp_path, line))


def test_torn_files_and_no_text_are_named(tmp_path):
    whole = gzip.compress("".join(f"chr1\t{i}\t{i * i + 50}\n" for i in range(999)).encode())
    with pytest.raises(InputError, match="breaks off or is damaged after line"):
        read_peaks(bed(tmp_path, whole[:-900]))
    with pytest.raises(InputError, match="no text after line"):
        read_peaks(bed(tmp_path, b"chr1\t1\t2\n\xff\xfe\x00"))
    with pytest.raises(InputError, match="there is no such file"):
        read_peaks(tmp_path / "none.bed")


# ---- windows -----------------------------------------------------------------------------------


def made(rows, kind="BED"):
    """Peaks from (contig, start, end, strength)."""
    contigs, starts, ends, strengths = zip(*rows, strict=True) if rows else [()] * 4
    starts, ends = np.array(starts, dtype=np.int64), np.array(ends, dtype=np.int64)
    return Peaks(list(contigs), starts, ends, (starts + ends) // 2, np.array(strengths), kind)


peak_lists = st.lists(
    st.tuples(
        st.sampled_from([*NAMES, "chrUn"]),
        st.integers(0, 3_000),
        st.integers(1, 400),
        st.sampled_from([0.0, 1.0, 2.0]),
    ),
    min_size=1,
    max_size=60,
).map(lambda rows: [("chr1", 500, 600, 1.0), *((c, s, s + w, x) for c, s, w, x in rows)])


@given(peak_lists, st.integers(1, 260))
def test_windows_are_the_genomes_bases_around_summits_and_never_overlap(genome, rows, width):
    peaks = made(rows)
    placed = place_peaks(peaks, genome.opened, width, "x")
    codes = cut_windows(placed.windows, genome.opened)
    assert codes.shape == (len(placed.windows), width)
    for name, bases in zip(window_names(placed.windows, genome.opened), codes, strict=True):
        contig, _, span = name.partition(":")
        start, end = map(int, span.split("-"))
        assert end - start == width
        assert decode(bases) == genome.texts[contig][start:end]
    places = list(zip(placed.windows.contigs.tolist(), placed.windows.starts.tolist(), strict=True))
    for (contig, start), (other, later) in pairwise(places):
        assert contig < other or (contig == other and later - start >= width)
    # Each kept window is a peak's, and each that fits and was not kept touches a stronger one.
    strengths = {}
    for name, summit, strength in zip(
        peaks.contigs, peaks.summits.tolist(), peaks.strengths.tolist(), strict=True
    ):
        if name in NAMES:
            key = (NAMES.index(name), summit - width // 2)
            strengths[key] = max(strength, strengths.get(key, strength))
    assert set(places) <= set(strengths)
    fitting = 0
    for i, name in enumerate(peaks.contigs):
        start = int(peaks.summits[i]) - width // 2
        if name not in NAMES or peaks.ends[i] > len(genome.texts[name]):
            continue
        if 0 <= start <= len(genome.texts[name]) - width:
            fitting += 1
            at = NAMES.index(name)
            assert any(
                contig == at
                and abs(kept - start) < width
                and strengths[contig, kept] >= peaks.strengths[i]
                for contig, kept in places
            )
    assert placed.dropped["overlap"] == fitting - len(places)
    assert sum(placed.dropped.values()) + len(places) == len(peaks)


@given(peak_lists, st.randoms(use_true_random=False))
def test_the_order_of_the_file_changes_nothing(genome, rows, random):
    one = place_peaks(made(rows), genome.opened, 101, "x").windows
    random.shuffle(rows)
    other = place_peaks(made(rows), genome.opened, 101, "x").windows
    assert one.starts.tolist() == other.starts.tolist()
    assert one.contigs.tolist() == other.contigs.tolist()


def test_the_stronger_of_two_is_kept_and_a_third_beside_it(genome):
    rows = [("chr1", 1000, 1101, 1.0), ("chr1", 1060, 1161, 5.0), ("chr1", 1161, 1262, 2.0)]
    placed = place_peaks(made(rows), genome.opened, 101, "x")
    assert placed.windows.starts.tolist() == [1060, 1161]
    assert placed.dropped["overlap"] == 1


def test_what_does_not_fit_is_counted_and_named(genome):
    rows = [
        ("chr1", 1000, 1101, 1.0),
        ("chr1", 3, 30, 1.0),  # the window begins before the contig
        ("chr2", 39_990, 40_000, 1.0),  # the window ends behind it
        ("chr2", 39_990, 40_001, 1.0),  # the peak itself does
        ("chrUn_1", 5, 500, 1.0),
        ("chrUn_2", 5, 500, 1.0),
        ("chrUn_2", 5, 500, 1.0),
    ]
    placed = place_peaks(made(rows), genome.opened, 101, "x")
    assert placed.dropped == {
        "unknown_contig": 3,
        "beyond_contig_end": 1,
        "window_off_end": 2,
        "overlap": 0,
    }
    assert placed.named == {
        "unknown_contig": {"chrUn_2": 2, "chrUn_1": 1},
        "beyond_contig_end": ["chr2:39990-40001"],
        "window_off_end": ["chr1:3-30", "chr2:39990-40000"],
    }


@pytest.mark.parametrize(
    ("contigs", "told"),
    [
        (["1", "2"], "the peaks name contigs as 1, 2, the genome as chr1, chr2; put chr before"),
        (["chr1", "2"], "the peaks name contigs as 2, the genome as chr2"),
        (["X", "scaffold_9"], "no peak is on a contig of the genome: the peaks name X, scaffold_9"),
    ],
)
def test_contigs_named_in_another_way_are_explained(genome, contigs, told):
    with pytest.raises(InputError, match=f"my.bed: {told}"):
        place_peaks(made([(c, 5, 500, 1.0) for c in contigs]), genome.opened, 101, "my.bed")


def test_the_other_way_round_is_explained_too():
    contigs = [{"name": name, "length": 999, "split": "train"} for name in ("1", "2", "MT")]
    genome = GenomeIndex({"contigs": contigs}, "nowhere")
    rows = [(name, 5, 500, 1.0) for name in ("chr1", "chrM", "chrUn")]
    with pytest.raises(InputError, match=r"as chr1, chrM, the genome as 1, MT; take the chr off"):
        place_peaks(made(rows), genome, 101, "my.bed")


@pytest.mark.parametrize(
    ("of_genome", "rows"),
    [
        (("chr1", "chr2", "chrM"), ("1", "chr2", "MT")),
        (("1", "2", "MT"), ("chr1", "2", "chrM")),
    ],
)
def test_the_command_that_is_told_mends_the_names(tmp_path, of_genome, rows):
    contigs = [{"name": name, "length": 999, "split": "train"} for name in of_genome]
    genome = GenomeIndex({"contigs": contigs}, "nowhere")
    with pytest.raises(InputError) as told:
        place_peaks(made([(name, 5, 500, 1.0) for name in rows]), genome, 101, "my.bed")
    command = re.search("sed .*", str(told.value))[0]
    peaks = "track name=x\n# 1\n" + "".join(f"{name}\t5\t500\n" for name in rows)
    mended = subprocess.run(command, input=peaks, shell=True, capture_output=True, text=True)
    path = tmp_path / "my.bed"
    path.write_text(mended.stdout)
    assert read_peaks(path).contigs == list(of_genome)


def test_contigs_are_held_out_by_name_or_pattern(genome):
    assert held_out_contigs(genome.opened, None).tolist() == [False, False, True, False]
    assert held_out_contigs(genome.opened, ["chr[12]"]).tolist() == [True, True, False, False]
    with pytest.raises(InputError, match=r"'chr8' of peaks\.test matches no contig.*chr1, chr2"):
        held_out_contigs(genome.opened, ["chr1", "chr8"])
    with pytest.raises(InputError, match="holds out all contigs"):
        held_out_contigs(genome.opened, ["*"])


# ---- genomic negatives -------------------------------------------------------------------------


def drawn(genome, rows, wanted, width, distance=0, tolerance=0, seed=1, allowed=(1, 1, 0, 1)):
    placed = place_peaks(made(rows), genome.opened, width, "x")
    return genomic_windows(
        genome.opened,
        np.array(allowed, dtype=bool),
        np.array(wanted, dtype=np.int64),
        width,
        avoid=(placed.contigs, placed.starts, placed.ends),
        distance=distance,
        tolerance=tolerance,
        seed=seed,
    )


@given(
    peak_lists,
    st.lists(st.floats(0, 1), max_size=200),
    st.integers(5, 120),
    st.integers(0, 2_000),
    st.integers(0, 5),
    st.integers(0, 2**63),
)
def test_negatives_match_gc_and_stay_away(genome, rows, shares, width, distance, tolerance, seed):
    wanted = [round(share * width) for share in shares]
    windows, found = drawn(genome, rows, wanted, width, distance, tolerance, seed)
    codes = cut_windows(windows, genome.opened)
    assert found.tolist() == sorted(set(found.tolist()))
    assert (codes < N).all()
    assert (np.abs(gc_counts(codes) - np.array(wanted, dtype=int)[found]) <= tolerance).all()
    assert set(windows.contigs.tolist()) <= {0, 1, 3}
    places = sorted(zip(windows.contigs.tolist(), windows.starts.tolist(), strict=True))
    for (contig, start), (other, later) in pairwise(places):
        assert contig != other or later - start >= width
    for contig, start in places:
        for name, begin, end, _ in rows:
            if name == NAMES[contig]:
                assert start - end >= distance or begin - (start + width) >= distance


@pytest.mark.parametrize("width", [7, 101, 150])
def test_none_is_missing_as_long_as_there_is_one(genome, width):
    """All that is asked for is the whole grid, but for the cells with N and those near the peak."""
    everything = np.repeat(np.arange(width + 1), 60_000 // width)
    windows, _ = drawn(genome, [("chr1", 500, 600, 1.0)], everything, width)
    assert set(windows.contigs.tolist()) >= {0, 1}
    for contig in set(windows.contigs.tolist()):
        starts = set(windows.starts[windows.contigs == contig].tolist())
        assert len({start % width for start in starts}) == 1
        text, first = genome.texts[NAMES[contig]], min(start % width for start in starts)
        around = range(550 - width // 2, 550 - width // 2 + width)  # the peak's window
        low, high = min(500, around.start), max(600, around.stop)
        for start in range(first, len(text) - width + 1, width):
            near = contig == 0 and start < high and start + width > low
            whole = "N" not in text[start : start + width]
            assert (start in starts) == (whole and not near)


def test_negatives_depend_on_the_seed_alone(genome):
    wanted = [50] * 40
    one, two, other = (
        drawn(genome, [("chr1", 500, 600, 1.0)], wanted, 101, tolerance=3, seed=seed)[0]
        for seed in (1, 1, 2)
    )
    assert one.starts.tolist() == two.starts.tolist()
    assert one.starts.tolist() != other.starts.tolist()


def test_no_allowed_contig_gives_none(genome):
    windows, found = drawn(
        genome, [("chr1", 500, 600, 1.0)], [50], 101, allowed=(0, 0, 0, 0), tolerance=101
    )
    assert len(windows) == found.size == 0
