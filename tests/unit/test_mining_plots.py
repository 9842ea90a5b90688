"""Pictures of scans and of effects show what the files say, and are the same bytes each time."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pyBigWig
import pytest
from dflm.errors import InputError
from dflm.mining.scan import plot as scan_plot
from dflm.mining.variants import plot as effect_plot

HEADER = "#contig\tstart\tend\tname\tscore\tstrand\tprobability\tcalibrated\tlog_odds\n"


@pytest.fixture
def scan(tmp_path):
    """Two contigs with a score every 10 bases, 0.1 but for one, and a third without any."""
    with pyBigWig.open(str(tmp_path / "scores.bw"), "w") as track:
        track.addHeader([("chr2", 6000), ("chr1", 3000), ("bare", 500)])
        for name, length, at in (("chr2", 6000, 4500), ("chr1", 3000, 10)):
            starts = np.arange(0, length, 10)
            values = np.where(starts == at, 0.9, 0.1)
            track.addEntries(name, starts.tolist(), values=values.tolist(), span=10)
    calls = "chr2\t4450\t4551\ta\t900\t.\t0.9\t0.9\t2.2\nother\t0\t101\tb\t900\t.\t0.9\t0.9\t2.2\n"
    (tmp_path / "calls.bed").write_text(HEADER + calls)
    return tmp_path / "scores.bw", tmp_path / "calls.bed"


def test_tracks_are_the_highest_scores_and_the_calls(scan):
    tracks, number = scan_plot.read_tracks(*scan, bins=60)
    assert number == 2
    assert [(track.name, track.start, track.end) for track in tracks] == [
        ("chr2", 0, 6000), ("chr1", 0, 3000),
    ]  # fmt: skip
    assert [len(track.best) for track in tracks] == [60, 30]
    assert tracks[0].best[45] == pytest.approx(0.9, abs=1e-6)
    assert np.delete(tracks[0].best, 45) == pytest.approx(0.1, abs=1e-6)
    assert tracks[1].best[0] == pytest.approx(0.9, abs=1e-6)
    assert tracks[0].mean[45] == pytest.approx(0.18, abs=1e-6)
    assert np.flatnonzero(tracks[0].calls).tolist() == [45]
    assert tracks[0].calls.sum() == 1
    assert tracks[1].calls.sum() == 0


def test_the_longest_contigs_are_drawn(scan):
    tracks, number = scan_plot.read_tracks(*scan, most=1)
    assert [track.name for track in tracks] == ["chr2"]
    assert number == 2


def test_a_locus_alone_is_drawn_where_it_was_scanned(tmp_path):
    with pyBigWig.open(str(tmp_path / "scores.bw"), "w") as track:
        track.addHeader([("chr1", 60_000), ("chr2", 50_000)])
        track.addEntries("chr1", list(range(30_000, 33_000, 10)), values=[0.5] * 300, span=10)
    (tmp_path / "calls.bed").write_text(HEADER + "chr1\t31000\t31100\ta\t9\t.\t0\t0\t0\n")
    (track,), _ = scan_plot.read_tracks(tmp_path / "scores.bw", tmp_path / "calls.bed", bins=60)
    assert (track.start, track.end, len(track.best)) == (30_000, 33_000, 60)
    assert track.best == pytest.approx(0.5)
    assert np.flatnonzero(track.calls).tolist() == [21]


@pytest.mark.parametrize("value", ["probability", "log-odds"])
def test_a_scan_draws_the_same_bytes_twice(scan, tmp_path, value):
    for name in "ab":
        scan_plot.plot_scan(*scan, tmp_path / f"{name}.svg", "a set", value)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert ElementTree.parse(tmp_path / "a.svg").getroot().tag.endswith("svg")
    figure = scan_plot.scan_figure(*scan_plot.read_tracks(*scan), "a set", value)
    assert "a set: 2 calls" in [figure.axes[0].get_title(loc=place) for place in ("left", "center")]


def test_a_scan_without_a_score_and_without_calls_is_drawn(tmp_path):
    with pyBigWig.open(str(tmp_path / "scores.bw"), "w") as track:
        track.addHeader([("chr1", 50)])
        track.addEntries("chr1", [0], values=[float("nan")], span=1)
    (tmp_path / "calls.bed").write_text(HEADER)
    scan_plot.plot_scan(tmp_path / "scores.bw", tmp_path / "calls.bed", tmp_path / "x.svg", "x")
    assert ElementTree.parse(tmp_path / "x.svg").getroot().tag.endswith("svg")


def test_files_of_no_scan_are_refused(scan, tmp_path):
    bigwig, calls = scan
    wrong = tmp_path / "wrong"
    wrong.write_text(HEADER + "chr1\tone\t2\ta\t9\t.\t0\t0\t0\n")
    with pytest.raises(InputError, match="line 2 has no start and end"):
        scan_plot.read_tracks(bigwig, wrong)
    with pytest.raises(InputError, match="no bigWig file"):
        scan_plot.read_tracks(wrong, calls)
    wrong.write_text("chr1\t1\t2\n")
    with pytest.raises(InputError, match="wrong"):
        scan_plot.read_tracks(bigwig, wrong)


COLUMNS = ["contig", "position", "id", "ref", "alt", "model", "status", "delta_log_odds", "q_value"]


def table(path, rows):
    lines = ["\t".join(COLUMNS), *("\t".join(row) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def effects(tmp_path):
    """Two models: one sees a variant weaken, the other nothing; a third variant is not scored."""
    return table(
        tmp_path / "effects.tsv",
        [
            ("chr1", "7", "rs1", "A", "C", "MYC", "scored", "-3.5", "0.01"),
            ("chr1", "7", "rs1", "A", "C", "SRF", "scored", "0.1", "0.9"),
            ("chr1", "9", ".", "A", "G", "MYC", "scored", "0.2", "0.8"),
            ("chr1", "9", ".", "A", "G", "SRF", "scored", "-0.1", "0.9"),
            ("chr1", "11", "rs3", "A", "G", "MYC", "reference differs", ".", "."),
        ],
    )


def texts(figure):
    return [each.get_text() for each in figure.axes[0].texts]


def test_effects_are_read_by_model(effects):
    models = effect_plot.read_effects(effects)
    assert list(models) == ["MYC", "SRF"]
    assert models["MYC"].names == {0: "rs1"}
    assert list(models["MYC"].deltas) == [-3.5, 0.2]
    assert list(models["SRF"].q_values) == [0.9, 0.9]


def test_of_many_models_those_that_are_drawn_are_read(tmp_path):
    row = ("chr1", "9", ".", "A", "G")
    rows = [(*row, f"m{i}", "scored", "0.2", "0.01") for i in range(effect_plot.MOST + 2)]
    models = effect_plot.read_effects(table(tmp_path / "a.tsv", rows))
    assert len(models) == effect_plot.MOST + 2
    assert sum(len(found.deltas) for found in models.values()) == effect_plot.MOST
    assert models["m0"].names == {0: "chr1:9 A>G"}


def test_what_stands_out_is_counted_and_named(effects, tmp_path):
    figure = effect_plot.effects_figure(effect_plot.read_effects(effects))
    assert texts(figure) == [
        "rs1",
        "2 alleles, 1 weaker, 0 stronger (q ≤ 0.05)",
        "2 alleles, 0 weaker, 0 stronger (q ≤ 0.05)",
    ]
    for name in "ab":
        effect_plot.plot_effects(effects, tmp_path / f"{name}.svg")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_effects_without_p_values_and_without_any(tmp_path):
    row = ("chr1", "7", "rs1", "A", "C", "MYC", "scored", "-3.5", ".")
    models = effect_plot.read_effects(table(tmp_path / "a.tsv", [row]))
    assert texts(effect_plot.effects_figure(models)) == ["1 allele, without p-values"]
    empty = effect_plot.effects_figure(effect_plot.read_effects(table(tmp_path / "b.tsv", [])))
    assert texts(empty) == ["no variant"]
    skipped = ("chr1", "7", "rs1", "A", "C", "MYC", "no such contig", ".", ".")
    models = effect_plot.read_effects(table(tmp_path / "c.tsv", [skipped]))
    assert texts(effect_plot.effects_figure(models)) == ["0 alleles, without p-values"]


def test_a_drawing_stays_small_whatever_the_number(tmp_path):
    rng = np.random.default_rng(0)
    found = effect_plot.Effects(
        rng.normal(size=50_000), [0.01] * 50_000, {i: f"rs{i}" for i in range(50_000)}
    )
    axes = effect_plot.effects_figure({"MYC": found}).axes[0]
    assert sum(len(line.get_xdata()) for line in axes.lines) <= 2 * effect_plot.DOTS + 2


def test_a_table_of_something_else_is_refused(tmp_path):
    wrong = table(tmp_path / "a.tsv", [("1", "7", "x", "A", "C", "MYC", "scored", "high", ".")])
    with pytest.raises(InputError, match="line 2 has no change of the log-odds"):
        effect_plot.read_effects(wrong)
    (tmp_path / "b.tsv").write_text("contig\tposition\n")
    with pytest.raises(InputError, match="model"):
        effect_plot.read_effects(tmp_path / "b.tsv")
