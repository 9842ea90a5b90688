"""A scan scores what predict scores, finds what was planted, and goes on where it was stopped."""

import gzip
import json
import os
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyBigWig
import pysam
import pytest
from dflm.errors import InputError
from dflm.mining.genomes import open_genome
from dflm.mining.motifs.motif import Motif
from dflm.mining.scan import contigs as scans
from dflm.mining.scan import files
from dflm.mining.scan.calls import suppress
from dflm.mining.scan.contigs import (
    ScanParts,
    ScanSettings,
    merge_regions,
    scan_fasta,
    scan_identity,
    scan_regions,
    windows_of,
)
from dflm.mining.scan.files import ScanOutput, scan_to_files
from dflm.mining.scan.locate import locator
from dflm.mining.scan.tiles import Tiler
from dflm.mining.scan.tracks import VALUES, call_lines, write_bigwig
from dflm.sequences.kmers import N, decode, encode
from planted import MOTIF, WIDTH, plant, random_codes

SCRIPTS = Path(__file__).resolve().parents[2] / "workflow" / "scripts"
STRIDE = 10
SETTINGS = ScanSettings(WIDTH, STRIDE, 0.1)


def write_fasta(path, contigs):
    with open(path, "w") as file:
        for name, codes in contigs.items():
            text = decode(codes)
            lines = [text[i : i + 60] for i in range(0, len(text), 60)]
            file.write(f">{name} of a test\n" + "\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Three contigs with planted sites, a gap, and one shorter than a window."""
    rng = np.random.default_rng(7)
    contigs = {
        "a": random_codes(rng, 6005),
        "b": random_codes(rng, 3000),
        "c": random_codes(rng, 30),
    }
    sites = []
    for name in "ab":
        for i, at in enumerate(range(100, len(contigs[name]) - 100, 400)):
            strand = "+-"[i % 2]
            plant(contigs[name], at, strand)
            sites.append((name, at, strand))
    contigs["a"][1500:1580] = N
    return contigs, sites, write_fasta(tmp_path_factory.mktemp("scan") / "g.fa", contigs)


def scanned(scorer, path, folder, settings=SETTINGS):
    parts = ScanParts(folder, {})
    scan_fasta(path, scorer, settings, parts)
    return parts


def test_scores_equal_those_of_the_windows_alone(scorer, world, tmp_path):
    contigs, _, path = world
    pieces = {piece.contig: piece for piece in scanned(scorer, path, tmp_path).pieces()}
    assert list(pieces) == ["a", "b", "c"]
    assert len(pieces["c"].scores) == 0  # shorter than a window
    for name in "ab":
        codes, piece = contigs[name], pieces[name]
        starts = windows_of(piece, SETTINGS)
        # The last window is the last that ends within the contig.
        assert starts.tolist() == list(range(0, len(codes) - WIDTH + 1, STRIDE))
        windows = np.stack([codes[start : start + WIDTH] for start in starts])
        usable = (windows == N).mean(1) <= 0.1
        alone = scorer.score(windows[usable])
        assert piece.scores.forward[usable] == pytest.approx(alone.forward, abs=1e-4)
        assert piece.scores.reverse[usable] == pytest.approx(alone.reverse, abs=1e-4)
        assert np.isnan(piece.scores.forward[~usable]).all()
        assert usable.all() == (name == "b")


@pytest.mark.parametrize("stride", [1, 7, 40, 55])
def test_pieces_of_any_size_give_the_same_windows(stride, monkeypatch):
    class Sums:
        batch_size = 2

        def score(self, windows):
            from dflm.mining.scoring import StrandScores

            return StrandScores(windows.sum(1).astype(float), windows[:, 0].astype(float))

    monkeypatch.setattr("dflm.mining.scan.tiles.PIECE", 64)
    codes = random_codes(np.random.default_rng(8), 1000)
    expected = [codes[i : i + 40].sum() for i in range(0, 1000 - 40 + 1, stride)]
    for size in (1, 13, 64, 999, 1000):
        taken = []
        tiler = Tiler(Sums(), 40, stride, 0.0, taken.append)
        for start in range(0, len(codes), size):
            tiler.write(codes[start : start + size])
        tiler.finish()
        assert np.concatenate(taken, axis=1)[0].tolist() == expected


def test_planted_sites_are_called(scorer, world, tmp_path):
    """Precision and recall of the planted sites, at least 0.9 each."""
    _, sites, path = world
    pieces = scanned(scorer, path, tmp_path).pieces()
    lines = [line.split("\t") for line in call_lines(pieces, scorer, SETTINGS, 0.9, WIDTH)]
    calls = [(line[0], int(line[1]), int(line[2]), line[5]) for line in lines]
    planted = [site for site in sites if not (site[0] == "a" and 1500 - WIDTH < site[1] < 1580)]
    found = [
        site
        for site in planted
        if any(c == site[0] and s <= site[1] and site[1] + len(MOTIF) <= e for c, s, e, _ in calls)
    ]
    true = [
        call
        for call in calls
        if any(c == call[0] and call[1] < at + len(MOTIF) and at < call[2] for c, at, _ in planted)
    ]
    assert len(found) / len(planted) >= 0.9
    assert len(true) / len(calls) >= 0.9
    for before, after in pairwise(calls):
        assert before[0] != after[0] or before[2] <= after[1]


def test_calls_tell_the_planted_strand_and_place(scorer, world, tmp_path):
    _, sites, path = world
    matrix = np.full((len(MOTIF), 4), 0.01)
    matrix[np.arange(len(MOTIF)), encode(MOTIF)] = 0.97
    locate = locator(open_genome(path), [Motif("neg_1", matrix, 0), Motif("planted", matrix, 0)])
    pieces = scanned(scorer, path, tmp_path).pieces()
    lines = list(call_lines(pieces, scorer, SETTINGS, 0.9, WIDTH, locate))
    right = []
    for line in (line.split("\t") for line in lines):
        contig, start, end, told = line[0], int(line[1]), int(line[2]), (line[5], int(line[10]))
        inside = [
            (strand, at)
            for name, at, strand in sites
            if name == contig and start <= at and at + len(MOTIF) <= end
        ]
        if inside:
            assert line[9] == "planted"
            assert int(line[11]) - told[1] == len(MOTIF)
            right.append(told in inside)
    assert len(right) > 15
    assert np.mean(right) >= 0.9
    assert {strand for _, _, strand in sites} == {line.split("\t")[5] for line in lines}


def test_memory_does_not_grow_with_a_contig(tmp_path):
    """Of a scorer that takes none itself; windows are few, so that scores weigh little."""
    code = """
import sys
from pathlib import Path
from types import SimpleNamespace
import numpy as np
from dflm.mining.scan.contigs import ScanParts, ScanSettings, scan_fasta
from dflm.mining.scoring import StrandScores
from dflm.mining.scan.tracks import write_bigwig
class Stub:
    batch_size, k, stride, precision = 256, 3, 1, "fp32"
    def score(self, codes, lengths=None):
        return StrandScores(*np.zeros((2, len(codes))))
    def calibrated(self, odds):
        return odds
folder, settings = Path(sys.argv[1]), ScanSettings(101, 500, 0.1)
parts = ScanParts(folder / "parts", {})
scan_fasta(folder / "g.fa", Stub(), settings, parts)
lengths = {piece.contig: piece.length for piece in parts.pieces()}
write_bigwig(folder / "s.bw", parts.pieces(), lengths, Stub(), settings)
print(int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024)
"""

    def peak(bases):
        folder = tmp_path / str(bases)
        folder.mkdir()
        line = b"ACGTTGCAACGTACGTTGCAACGTTGCAACGTTGCAACGTTGCAACGTTGCAACGTTGCA"[:60] + b"\n"
        (folder / "g.fa").write_bytes(b">c\n" + line * (bases // 60))
        done = subprocess.run(
            [sys.executable, "-c", code, str(folder)],
            env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return int(done.stdout)

    few, many = peak(3_000_000), peak(60_000_000)
    assert many - few < 15_000_000  # a byte a base would be 57 MB


@pytest.mark.parametrize("kind", VALUES)
def test_a_bigwig_holds_the_scores(scorer, world, tmp_path, kind):
    contigs, _, path = world
    parts = scanned(scorer, path, tmp_path / "parts")
    lengths = {name: len(codes) for name, codes in contigs.items()}
    write_bigwig(tmp_path / "s.bw", parts.pieces(), lengths, scorer, SETTINGS, kind)
    with pyBigWig.open(str(tmp_path / "s.bw")) as file:
        assert file.chroms() == lengths
        for piece in parts.pieces():
            values = {
                "probability": piece.scores.probability,
                "calibrated": scorer.calibrated(piece.scores.log_odds),
                "log-odds": piece.scores.log_odds,
            }[kind]
            for start, value in zip(windows_of(piece, SETTINGS), values, strict=True):
                middle = int(start) + (WIDTH - STRIDE) // 2
                held = file.values(piece.contig, middle, middle + STRIDE)
                assert held == pytest.approx([value] * STRIDE, abs=1e-5, nan_ok=True)


def test_a_bigwig_that_lacks_its_end_is_no_result(scorer, world, tmp_path, monkeypatch):
    """As on a full disk, of which pyBigWig only warns."""
    _, _, path = world
    parts = scanned(scorer, path, tmp_path / "parts")
    lengths = {piece.contig: piece.length for piece in parts.pieces()}
    opened = pyBigWig.open

    class Short:
        def __init__(self, path, mode):
            self.path, self.file = path, opened(path, mode)

        def __getattr__(self, name):
            return getattr(self.file, name)

        def close(self):
            self.file.close()
            os.truncate(self.path, os.path.getsize(self.path) - 100)

    monkeypatch.setattr(pyBigWig, "open", Short)
    with pytest.raises(OSError, match=r"could not be written to its end.*s\.bw"):
        write_bigwig(tmp_path / "s.bw", parts.pieces(), lengths, scorer, SETTINGS)
    assert not list(tmp_path.glob("*s.bw"))


def test_a_stopped_scan_goes_on_to_the_same_scores(scorer, world, tmp_path, monkeypatch):
    _, _, path = world
    whole = list(scanned(scorer, path, tmp_path / "whole").pieces())

    class Stopped(BaseException):
        pass

    finish, left = scans.ScanParts.finish, [1]

    def stopping(self, *place):
        finish(self, *place)
        left[0] -= 1
        if left[0] == 0:
            raise Stopped

    monkeypatch.setattr(scans.ScanParts, "finish", stopping)
    with pytest.raises(Stopped):
        scanned(scorer, path, tmp_path / "parts")
    monkeypatch.undo()
    assert not list((tmp_path / "parts").glob(".partial*b.npy"))
    parts = scanned(scorer, path, tmp_path / "parts")
    assert parts.kept == 1
    for before, after in zip(whole, parts.pieces(), strict=True):
        assert before.contig == after.contig
        np.testing.assert_array_equal(before.scores.forward, after.scores.forward)
        np.testing.assert_array_equal(before.scores.reverse, after.scores.reverse)
    parts.remove()
    assert not (tmp_path / "parts").exists()


@pytest.mark.parametrize("damaged", ["npy", "json"])
def test_a_damaged_piece_is_scored_anew(scorer, world, tmp_path, damaged):
    _, _, path = world
    whole = list(scanned(scorer, path, tmp_path).pieces())
    number = len(whole)
    path_of_one = sorted(tmp_path.glob(f"*.{damaged}"))[0]
    content = bytearray(path_of_one.read_bytes())
    content[-3] ^= 64
    path_of_one.write_bytes(content)
    parts = scanned(scorer, path, tmp_path)
    assert parts.kept == number - 1
    for before, after in zip(whole, parts.pieces(), strict=True):
        np.testing.assert_array_equal(before.scores.forward, after.scores.forward)


def test_parts_of_another_scan_are_not_used(scorer, world, tmp_path):
    _, _, path = world
    scanned(scorer, path, tmp_path)
    parts = ScanParts(tmp_path, {"stride": 3})
    scan_fasta(path, scorer, SETTINGS, parts)
    assert parts.kept == 0


def test_a_scan_is_known_by_all_that_its_scores_depend_on(
    planted_model, world, tmp_path, monkeypatch
):
    model, path = tmp_path / "model", tmp_path / "g.fa"
    shutil.copytree(planted_model, model)
    shutil.copy2(world[2], path)
    known = [scan_identity(model, path, SETTINGS, bf16=False)]
    assert scan_identity(model, path, SETTINGS, bf16=False) == known[0]
    known.append(scan_identity(model, path, SETTINGS, bf16=True))
    for settings in ((WIDTH + 1, STRIDE, 0.1), (WIDTH, STRIDE + 1, 0.1), (WIDTH, STRIDE, 0.2)):
        known.append(scan_identity(model, path, ScanSettings(*settings), bf16=False))
    os.utime(path, ns=(0, 0))
    known.append(scan_identity(model, path, SETTINGS, bf16=False))
    weights = bytearray((model / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (model / "model.safetensors").write_bytes(weights)
    known.append(scan_identity(model, path, SETTINGS, bf16=False))
    monkeypatch.delitem(sys.modules, "dflm.mining.scan.tiles")  # as if the code were without it
    known.append(scan_identity(model, path, SETTINGS, bf16=False))
    assert len({json.dumps(one, sort_keys=True) for one in known}) == len(known) == 8


def test_stopped_regions_go_on_and_another_scan_begins_anew(scorer, world, tmp_path, monkeypatch):
    genome = open_genome(world[2])
    found = [("a", 0, 700), ("a", 900, 1200), ("b", 0, 500)]
    whole = ScanParts(tmp_path / "whole", {"one": 1})
    scan_regions(found, genome, scorer, SETTINGS, whole)
    expected = list(whole.pieces())
    parts, read = ScanParts(tmp_path / "parts", {"one": 1}), type(genome).codes

    def stopping(self, contig, start, end):
        if contig == "b":
            raise KeyboardInterrupt
        return read(self, contig, start, end)

    monkeypatch.setattr(type(genome), "codes", stopping)
    with pytest.raises(KeyboardInterrupt):
        scan_regions(found, genome, scorer, SETTINGS, parts)
    monkeypatch.undo()
    assert not list((tmp_path / "parts").glob(".partial*"))
    parts = ScanParts(tmp_path / "parts", {"one": 1})
    scan_regions(found, genome, scorer, SETTINGS, parts)
    assert parts.kept == 2
    for before, after in zip(expected, parts.pieces(), strict=True):
        assert (before.contig, before.start) == (after.contig, after.start)
        np.testing.assert_array_equal(before.scores.forward, after.scores.forward)
    other = ScanParts(tmp_path / "parts", {"one": 2})
    scan_regions(found, genome, scorer, SETTINGS, other)
    assert other.kept == 0


def test_regions_are_scanned_like_contigs(scorer, world, tmp_path):
    contigs, _, path = world
    genome = open_genome(path)
    found = merge_regions(
        [("b", 500, 700), ("a", 990, 1000), ("b", 650, 900), ("c", 0, 10)],
        genome.lengths,
        WIDTH,
        pad=True,
    )
    assert found == [("a", 975, 1015), ("b", 500, 900), ("c", 0, 30)]
    parts = ScanParts(tmp_path, {})
    scan_regions(found, genome, scorer, SETTINGS, parts)
    a, b, c = parts.pieces()
    assert len(c.scores) == 0
    assert windows_of(a, SETTINGS).tolist() == [975]
    assert windows_of(b, SETTINGS).tolist() == list(range(500, 861, STRIDE))
    alone = scorer.score(contigs["b"][None, 500 : 500 + WIDTH])
    assert b.scores.forward[0] == pytest.approx(alone.forward[0], abs=1e-4)


def test_regions_are_widened_before_they_are_put_in_order():
    found = merge_regions(
        [("a", 700, 990), ("a", 1000, 1500), ("a", 1001, 1003)], {"a": 2000}, 101, pad=True
    )
    assert found == [("a", 700, 1500)]


def test_calls_of_two_regions_are_apart_too(scorer, world, tmp_path):
    _, _, path = world
    genome = open_genome(path)
    parts = ScanParts(tmp_path, {})
    scan_regions([("b", 500, 560), ("b", 600, 660)], genome, scorer, SETTINGS, parts)
    for apart, number in ((WIDTH, 2), (500, 1)):
        lines = list(call_lines(parts.pieces(), scorer, SETTINGS, 0.0, apart))
        assert len(lines) == number
    best = max(piece.scores.log_odds.max() for piece in parts.pieces())
    assert float(lines[0].split("\t")[8]) == pytest.approx(best, rel=1e-4)


def test_a_genome_is_read_at_any_place(world, tmp_path):
    contigs, _, path = world
    genome = open_genome(path)
    assert genome.codes("b", 10, 300).tolist() == contigs["b"][10:300].tolist()
    beyond = genome.codes("c", -2, 33)
    assert beyond.tolist() == [N, N, *contigs["c"].tolist(), N, N, N]
    with pytest.raises(InputError, match="no contig 'chr1'"):
        genome.codes("chr1", 0, 5)
    packed = tmp_path / "g.fa.gz"
    with gzip.open(packed, "wb") as file:
        file.write(path.read_bytes())
    with pytest.raises(InputError, match="bgzip"):
        open_genome(packed)


def test_a_packed_genome_is_that_of_its_index_or_refused(tmp_path):
    rng = np.random.default_rng(3)
    lengths = (70_000, 65_280 - 4, 130_000, 5)  # bgzip's blocks hold 65,280 bytes
    path, indices = tmp_path / "g.fa.gz", [tmp_path / f"g.fa.gz.{end}" for end in ("fai", "gzi")]
    contigs = {f"c{i}": random_codes(rng, length) for i, length in enumerate(lengths)}

    def pack(contigs):
        write_fasta(tmp_path / "g.fa", contigs)
        with pysam.BGZFile(str(path), "wb") as file:
            file.write((tmp_path / "g.fa").read_bytes())

    pack(contigs)
    for _ in ("made", "found"):
        genome = open_genome(path)
        for name, codes in contigs.items():
            assert (genome.codes(name, 0, len(codes)) == codes).all()
    # Another genome comes in its place; its blocks or its contigs begin elsewhere.
    for other in ({**contigs, "c0": random_codes(rng, 69_990)}, dict(list(contigs.items())[1:])):
        pack(other)
        with pytest.raises(InputError, match="are not the index of this file; delete both"):
            open_genome(path)
    for index in indices:
        index.unlink()
    assert list(open_genome(path).lengths) == ["c1", "c2", "c3"]


def test_outputs_that_cannot_be_written_are_told_before_anything_is_scored(
    scorer, world, planted_model, tmp_path, monkeypatch
):
    _, _, path = world
    monkeypatch.setattr(type(scorer), "score", lambda *_: pytest.fail("was scored"))
    too_long = tmp_path / ("x" * 254)  # as of any path that cannot be opened: no other for root
    for output in (ScanOutput(bigwig=too_long), ScanOutput(calls=too_long)):
        with pytest.raises(OSError, match="name too long"):
            scan_to_files(scorer, planted_model, SETTINGS, output, genome=path)
    with pytest.raises(IsADirectoryError, match=str(tmp_path)):
        scan_to_files(scorer, planted_model, SETTINGS, ScanOutput(calls=tmp_path), genome=path)
    with pytest.raises(OSError, match="name too long"):
        write_bigwig(too_long, [], {"a": 10}, scorer, SETTINGS)
    calls = tmp_path / "calls.bed"
    calls.write_text("of before\n")
    monkeypatch.setattr(files, "_scan_genome", lambda *_: calls.read_text() and pytest.fail("end"))
    with pytest.raises(pytest.fail.Exception, match="end"):
        scan_to_files(scorer, planted_model, SETTINGS, ScanOutput(calls=calls), genome=path)
    output = ScanOutput(calls=calls, motifs=tmp_path / "typo.meme")
    with pytest.raises(InputError, match=r"typo\.meme"):
        scan_to_files(scorer, planted_model, SETTINGS, output, genome=path)
    assert calls.read_text() == "of before\n"
    assert [one.name for one in tmp_path.iterdir()] == ["calls.bed"]


def test_a_set_that_has_no_such_threshold_has_scores_and_no_calls(planted_model, world, tmp_path):
    shutil.copytree(planted_model, tmp_path / "model")
    card = json.loads((tmp_path / "model" / "model.json").read_text())
    card["calibration"]["both_strands"]["thresholds"]["fdr"] = {"threshold": None, "limit": 0.1}
    (tmp_path / "model" / "model.json").write_text(json.dumps(card))
    outputs = [tmp_path / name for name in ("s.bw", "c.bed", "parts")]
    how = {"stride": 50, "max_n": 0.1, "value": "probability", "precision": "fp32"}
    job = {"regions": None, "motifs": None, "gpu": 0, "threads": 1}
    for threshold, called in (("fdr", False), (0.5, True)):
        weights = tmp_path / "model" / "model.safetensors"
        files.scan_set(weights, world[2], *outputs, threshold=threshold, **how, **job)
        assert (len(outputs[1].read_text().splitlines()) > 1) == called
        assert outputs[0].stat().st_size > 1000


def test_suppression_keeps_the_best_and_leaves_the_rest_apart():
    starts = np.array([0, 10, 20, 30, 45, 100])
    scores = np.array([1.0, 3.0, 2.0, 2.5, 2.9, 0.1])
    assert suppress(starts, scores, 30).tolist() == [1, 4, 5]
    kept = suppress(starts, scores, 20)
    assert (np.diff(starts[kept]) >= 20).all()
    assert suppress(starts[:0], scores[:0], 20).size == 0
