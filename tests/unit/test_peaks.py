"""Peaks: what a file may hold, and the windows that are laid on them."""

import gzip
import logging
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
        assert peaks.has_summit.tolist() == [True, False]
        assert peaks.strengths.tolist() == [7.5, -0.01]


def test_idr_s_files_begin_as_narrow_peak(tmp_path):
    line = "chr1\t100\t500\t.\t1000\t.\t7.5\t-1\t-1\t30" + "\t1.0" * 10
    peaks = read_peaks(bed(tmp_path, line + "\n"))
    assert (peaks.kind, peaks.summits.tolist(), peaks.strengths.tolist()) == (
        "narrowPeak",
        [130],
        [7.5],
    )


NARROW = [  # the first has column 7 and 8 within its interval, as a BED9 would
    "chr1\t3\t500\tp\t900\t.\t12\t30\t20\t250",
    "chr1\t900\t1300\tp\t90\t.\t12\t30\t20\t-1",
    "chr2\t5000\t5400\tp\t9\t+\t3.5\t.\tinf\t399",
]
BED9 = [
    "chr1\t100\t500\tp\t900\t.\t100\t500\t0",
    "chr1\t900\t1300\tp\t90\t-\t950\t1250\t255,0,0",
    "chr2\t5000\t5400\tp\t9\t+\t5000\t5000\t.",
]


def with_columns(lines, *columns):
    return "".join("\t".join((line, *columns)) + "\n" for line in lines)


@pytest.mark.parametrize("columns", [(), ("7",), ("0.99", "x"), ("9",) * 10, ("chr1", "3", "500")])
def test_narrow_peak_is_known_by_its_columns_whatever_stands_behind(tmp_path, caplog, columns):
    caplog.set_level(logging.INFO)
    path = bed(tmp_path, with_columns(NARROW, *columns))
    peaks = read_peaks(path)
    assert peaks.kind == "narrowPeak"
    assert peaks.summits.tolist() == [253, 1100, 5399]
    assert peaks.has_summit.tolist() == [True, False, True]
    assert peaks.strengths.tolist() == [12, 12, 3.5]
    why = "columns 6 to 10 are a strand, three numbers and a summit within the peak in 3 of 3 lines"
    assert caplog.messages == [f"{path}: read as narrowPeak, as {why}"]


@pytest.mark.parametrize(
    "columns",
    [
        ("3",),  # a number that could be a summit
        ("3", "0.5"),
        ("2", "100,100,", "0,300,"),  # BED12, whose blocks fill the interval
        ("3", "1,200,1", "0,90,399", "4.5", "6.7", "3.2"),  # gappedPeak
    ],
)
def test_bed_with_columns_of_its_own_is_no_narrow_peak(tmp_path, caplog, columns):
    caplog.set_level(logging.INFO)
    peaks = read_peaks(bed(tmp_path, with_columns(BED9, *columns)))
    assert (peaks.kind, peaks.summits.tolist()) == ("BED", [300, 1100, 5200])
    assert not peaks.has_summit.any()
    assert peaks.strengths.tolist() == [900, 90, 9]
    assert "read as BED, as columns 7 and 8 lie within the interval" in caplog.text
    assert "in 3 of 3 lines" in caplog.text


def test_a_bed_12_without_thick_parts_is_known_by_its_blocks(tmp_path):
    lines = ["chr1\t100\t500\tp\t900\t+\t0\t0\t0\t2\t150,90\t0,310"] * 3
    assert read_peaks(bed(tmp_path, with_columns(lines))).kind == "BED"
    for spoilt in ("2\t150,90\t0,300", "2\t150\t0,310", "2\t,90\t0,310", "3\t150,90\t0,310"):
        text = with_columns(lines).replace("2\t150,90\t0,310", spoilt)
        assert read_peaks(bed(tmp_path, text)).kind == "narrowPeak"


def test_a_bed_may_say_by_zeros_that_nothing_of_a_line_is_thick(tmp_path):
    lines = [
        *["chr1\t100\t500\tp\t900\t+\t100\t500\t0\t3"] * 3,
        "chr1\t900\t1300\tp\t90\t-\t0\t0\t0\t3",
    ]
    peaks = read_peaks(bed(tmp_path, with_columns(lines)))
    assert (peaks.kind, peaks.summits.tolist()) == ("BED", [300, 300, 300, 1100])


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("chr1\t100\t500\tp\t9\t+\t1.5\t2.5\t3.5", "INFO"),  # broadPeak
        ("chr1\t100\t500\tp\t9\t+\t1.5\t2.5\t3.5\tgene\t7", "INFO"),
        ("chr1\t100\t500\tp\t9\tx\t1.5\t2.5\t3.5\t200\t7", "INFO"),
        ("chr1\t100\t500\tp\t9\t+\t1.5\t2.5\t3.5\t400\t7", "INFO"),
        ("chr1\t100\t500\tp\t9\t+\tchr1\t50\t900\tg", "WARNING"),  # of bedtools intersect -wa -wb
        ("chr1\t100\t500\tp\t9\t+" + "\t7.5" * 11, "INFO"),  # of IDR on broad peaks
    ],
)
def test_what_lacks_a_mark_of_narrow_peak_is_bed_and_the_log_tells(tmp_path, caplog, line, level):
    caplog.set_level(logging.INFO)
    peaks = read_peaks(bed(tmp_path, f"{line}\n" * 2))
    assert (peaks.kind, peaks.summits.tolist(), peaks.strengths.tolist()) == (
        "BED",
        [300, 300],
        [9, 9],
    )
    (told,) = caplog.records
    assert told.levelname == level
    assert re.search("as BED, as (narrowPeak has ten columns, not 9|.* 0 of 2)", told.message)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (with_columns(NARROW[1:], "x") + with_columns(BED9[1:2], "9", "x"), "line 3: .* of BED, "),
        (with_columns(NARROW[1:]) + with_columns(BED9[1:2], "9"), "line 3: .* of BED, and"),
        (with_columns(BED9[:2], "9") + NARROW[1], "line 3: columns 6 to 12 are those of narrow"),
        (with_columns(NARROW, "x") + NARROW[1].replace("-1", "400") + "\tx", "line 4: the summit"),
        (with_columns(NARROW, "x") + NARROW[1].replace("12", "x") + "\tx", "line 4: the signalV"),
    ],
)
def test_lines_of_two_formats_and_mistakes_are_named(tmp_path, lines, told):
    with pytest.raises(InputError, match=f"{told}.*cut -f 1-6 makes a BED of it"):
        read_peaks(bed(tmp_path, lines))


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
    assert not peaks.has_summit[0]
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
        ("chr1\t1\t9\tn\t0\t.\t.5\t1\t1\t8", r"the summit \(column 10\) is '8'.* 0 to 7"),
        ("chr1\t1\t9\tn\t0\t.\t.5\t1\t1\t-2", "the summit"),
        ("chr1\t1\t9\tn\t0\t.\t.5\t1\t1\t.", "the summit"),
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


def made(rows, told=()):
    """Peaks from (contig, start, end, strength); those told have their summit at the start."""
    contigs, starts, ends, strengths = zip(*rows, strict=True) if rows else [()] * 4
    starts, ends = np.array(starts, dtype=np.int64), np.array(ends, dtype=np.int64)
    has_summit = np.isin(np.arange(len(rows)), told)
    summits = np.where(has_summit, starts, (starts + ends) // 2)
    return Peaks(
        list(contigs), starts, ends, summits, has_summit, np.array(strengths), "narrowPeak"
    )


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


def one_by_one(rows):
    """Unions of intervals that share a base, by the plainest way there is."""
    unions = []
    for contig, start, end, strength in sorted(rows):
        if unions and unions[-1][0] == contig and start < unions[-1][2]:
            _, low, high, most = unions.pop()
            start, end, strength = low, max(high, end), max(most, strength)
        unions.append((contig, start, end, strength))
    return unions


@given(peak_lists, st.integers(1, 260), st.sets(st.integers(0, 60)))
def test_peaks_without_a_summit_are_merged_where_they_overlap(genome, rows, width, told):
    placed = place_peaks(made(rows, list(told)), genome.opened, width, "x", merge=True)
    fits = [name in NAMES and end <= len(genome.texts[name]) for name, _, end, _ in rows]
    free = [i for i in range(len(rows)) if fits[i] and i not in told]
    others = [i for i in range(len(rows)) if not fits[i] or i in told]
    unions = one_by_one([rows[i] for i in free])
    of_told = [len(unions) + place for place, i in enumerate(others) if i in told]
    alone = made([*unions, *(rows[i] for i in others)], of_told)
    expected = place_peaks(alone, genome.opened, width, "x")
    assert placed.windows.starts.tolist() == expected.windows.starts.tolist()
    assert placed.windows.contigs.tolist() == expected.windows.contigs.tolist()
    assert placed.strengths.tolist() == expected.strengths.tolist()
    assert placed.dropped == expected.dropped | {"merged": len(free) - len(unions)}
    assert sum(placed.dropped.values()) + len(placed.windows) == len(rows)
    # What negatives stay away from: each peak as it was, and each window.
    known = [row for row in rows if row[0] in NAMES]
    assert placed.contigs.tolist() == [NAMES.index(name) for name, *_ in known]
    for (_, start, end, _), low, high in zip(known, placed.starts, placed.ends, strict=True):
        assert low <= start < end <= high
    for contig, start in zip(placed.windows.contigs, placed.windows.starts, strict=True):
        here = placed.contigs == contig
        assert (here & (placed.starts <= start) & (placed.ends >= start + width)).any()


def test_what_overlaps_becomes_one_and_what_touches_does_not(genome):
    rows = [
        ("chr1", 1200, 1900, 3.0),
        ("chr1", 1000, 1600, 9.0),
        ("chr1", 1900, 2000, 1.0),  # begins where the last ends
        ("chr2", 1000, 1600, 5.0),
        ("chr1", 3000, 3300, 2.0),  # with a summit of its own: below
        ("chr1", 3200, 3500, 4.0),
        ("chr1", 3250, 3600, 1.0),
    ]
    placed = place_peaks(made(rows, [4]), genome.opened, 100, "x", merge=True)
    assert window_names(placed.windows, genome.opened) == [
        "chr1:1400-1500",
        "chr1:1900-2000",
        "chr1:2950-3050",
        "chr1:3350-3450",
        "chr2:1250-1350",
    ]
    assert placed.strengths.tolist() == [9, 1, 2, 4, 5]
    assert placed.dropped["merged"] == 2
    assert placed.dropped["overlap"] == 0


def test_a_merged_peak_whose_window_does_not_fit_is_named_whole(genome):
    rows = [("chr1", 30, 45, 1.0), ("chr1", 5, 31, 1.0), ("chr1", 40, 60, 1.0)]
    placed = place_peaks(made(rows), genome.opened, 101, "x", merge=True)
    assert (placed.dropped["merged"], placed.dropped["window_off_end"]) == (2, 1)
    assert placed.named["window_off_end"] == ["chr1:5-60"]


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
        "merged": 0,
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


NUMBERS = [str(number) for number in range(1, 23)]
SCAFFOLDS = [f"GL{number:06}.1" for number in range(60)]


@pytest.mark.parametrize(
    ("of_genome", "rows", "told"),
    [
        (("chr1", "chr2", "chrM"), ("1", "chr2", "MT"), "put chr before the"),
        (("1", "2", "MT"), ("chr1", "2", "chrM"), "take the chr off the"),
        (("1", "2", "MT"), ("Chr1", "CHR2", "ChrM"), "take the chr off the"),
        (("1", "2", "Mt", "Pt"), ("Chr1", "Chr2", "ChrM", "ChrC"), "take the chr off the"),
        (("chr1", "chr2"), ("Chr1", "CHR2"), "begin the peaks' contigs with chr "),
        (("Chr1", "Chr2", "ChrM"), ("chr1", "2", "Mt"), "put Chr before the"),
        (("I", "II", "Mito"), ("chrI", "chrII", "chrM"), "take the chr off the"),
        (("chrI", "chrII", "chrM"), ("I", "II", "Mito"), "put chr before the"),
        (("I", "II", "MtDNA"), ("chrI", "II", "chrM"), "take the chr off the"),
        (("2L", "mitochondrion_genome"), ("chr2L", "chrM"), "take the chr off the"),
        (("chr1", "chrM"), ("chr1", "chrMT"), "rename the"),
        (("chr1", "MT"), ("1", "M"), "put chr before the"),
        (("chr1", "Chr2", "CHR3", "chr4"), ("1", "2", "3", "4"), "put chr before the"),
        (("chr1.1", "chra|b", "chrit's"), ("1.1", "a|b", "it's"), "put chr before the"),
        # Long ones: all take the prefix, or scaffolds keep their names.
        ([f"chr{name}" for name in NUMBERS + SCAFFOLDS], NUMBERS + SCAFFOLDS, "put chr before"),
        ([f"chr{name}" for name in NUMBERS] + SCAFFOLDS, NUMBERS + SCAFFOLDS, "put chr before"),
        ([*NUMBERS, "chrUn_1"], [*(f"Chr{name}" for name in NUMBERS), "chrUn_1"], "take the chr"),
    ],
)
def test_the_command_that_is_told_mends_the_names(tmp_path, of_genome, rows, told):
    contigs = [{"name": name, "length": 999, "split": "train"} for name in of_genome]
    genome = GenomeIndex({"contigs": contigs}, "nowhere")
    with pytest.raises(InputError, match=f"; {told}") as error:
        place_peaks(made([(name, 5, 500, 1.0) for name in rows]), genome, 101, "my.bed")
    command = re.search("sed .*", str(error.value))[0]
    assert len(command) < 250
    head = 'track name="x"\nbrowser position chr1\n# 1\n\n \t\n'
    peaks = head + "".join(f"{name}\t5\t500\tM\n" for name in rows)
    peaks += "".join(f"{name} 5 500 1\n" for name in rows)
    mended = subprocess.run(command, input=peaks, shell=True, capture_output=True, text=True)
    path = tmp_path / "my.bed"
    path.write_text(mended.stdout)
    assert mended.stdout.startswith(head)
    assert read_peaks(path).contigs == [*of_genome, *of_genome]


def test_names_that_are_not_the_same_contig_s_are_no_clash():
    contigs = [{"name": name, "length": 999, "split": "train"} for name in ("chr1", "chrM")]
    genome = GenomeIndex({"contigs": contigs}, "nowhere")
    rows = [(name, 100, 400, 1.0) for name in ("chr1", "chrMT_1", "10", "m1", "Pt", "chr")]
    assert place_peaks(made(rows), genome, 101, "x").dropped["unknown_contig"] == 5


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
