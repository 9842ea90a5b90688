"""The simulated demo is what it says: format, truth, reproducibility, honest negatives."""

import gzip
import hashlib
import json
import re
import zipfile

import numpy as np
import pytest
from dflm.mining.motifs.files import read_meme
from dflm.simulate import DEMO_SETS, EDGE, FOLDER, WIDTH, Motif, simulate_demo
from dflm.simulated_genome import random_background, sample_background
from dflm.simulated_motifs import DECOYS

NAMES = [simulated.name for simulated in DEMO_SETS]


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    return make(folder, seed=3)


def make(folder, seed):
    paths = [folder / name for name in ("genome.fa.gz", "encode.zip", "truth.json", "motifs.meme")]
    simulate_demo(*paths, seed=seed, genome_length=60_000, peaks=240, test_positives=50)
    return paths


def rows(archive, name, part):
    with zipfile.ZipFile(archive) as opened:
        lines = gzip.decompress(opened.read(f"{FOLDER}/{name}_{part}.seq.gz")).decode().splitlines()
    assert lines[0] == "FoldID\tEventID\tseq\tBound"
    return [line.split("\t") for line in lines[1:]]


def dinucleotides(sequence):
    return sorted(sequence[i : i + 2] for i in range(len(sequence) - 1))


def contigs(genome):
    text = gzip.decompress(genome.read_bytes()).decode()
    entries = (entry.split("\n", 1) for entry in text.split(">")[1:])
    return {name: body.replace("\n", "") for name, body in entries}


def digests(paths):
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]


def test_same_seed_same_bytes_and_another_seed_others(demo, tmp_path):
    assert digests(make(tmp_path / "again", 3)) == digests(demo)
    assert not set(digests(make(tmp_path / "other", 4))) & set(digests(demo))


def test_genome_holds_what_a_real_one_does(demo):
    drawn = contigs(demo[0])
    assert list(drawn) == ["chr1", "chr2", "chr3", "chr4", "chrM", "chr1_DEMO01v1_alt"]
    for name in ("chr1", "chr2", "chr3", "chr4"):
        runs = re.findall("N+", drawn[name])
        assert len(runs) == 3
        assert drawn[name].startswith("N")
        assert drawn[name].endswith("N")
        lower = sum(letter.islower() for letter in drawn[name]) / len(drawn[name])
        assert 0.15 < lower < 0.4
    letters = set("".join(drawn.values()).upper())
    assert letters == set("ACGTNRMY")
    assert sum(map(len, drawn.values())) == 64_000


@pytest.mark.parametrize("name", NAMES)
def test_sets_follow_the_published_format(demo, name):
    train, test = rows(demo[1], name, "AC"), rows(demo[1], name, "B")
    assert len(train) == 190
    assert len(test) == 100
    for fold, event, sequence, bound in train + test:
        assert fold == "A"
        assert len(sequence) == WIDTH
        assert re.fullmatch("[ACGTN]+", sequence)
        assert event.endswith("_peak" if bound == "1" else "_shuf")
    assert [row[1] for row in test[:2]] == ["seq_00002_peak", "seq_00004_peak"]
    assert [row[1] for row in train[:2]] == ["seq_00001_peak", "seq_00003_peak"]
    assert all(row[3] == "1" for row in train)
    assert sum("N" in row[2] for row in train) == 1
    assert not {row[2] for row in train} & {row[2] for row in test}


@pytest.mark.parametrize("name", NAMES)
def test_negatives_keep_the_dinucleotides_of_their_positives(demo, name):
    test = rows(demo[1], name, "B")
    for positive, negative in zip(test[:50], test[50:], strict=True):
        assert positive[1][:9] == negative[1][:9]
        assert dinucleotides(positive[2]) == dinucleotides(negative[2])
        assert positive[2] != negative[2]


def test_truth_says_where_the_motif_stands(demo):
    truth = json.loads(demo[2].read_text())["sets"]
    name = NAMES[0]
    matrix = np.array([row.split() for row in truth[name]["motif"]["pwm"]], dtype=float)
    np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-3)
    consensus, width = matrix.argmax(axis=1), len(matrix)
    peaks = {row[1]: row[2] for part in ("AC", "B") for row in rows(demo[1], name, part)}
    matches = []
    for event, sites in truth[name]["sites"].items():
        for site in sites.split(","):
            start, strand = int(site[:-1]), site[-1]
            assert EDGE <= start <= WIDTH - EDGE - width
            codes = np.array(["ACGT".index(base) for base in peaks[event][start : start + width]])
            codes = codes if strand == "+" else 3 - codes[::-1]
            matches.append((codes == consensus).mean())
    expected = matrix.max(axis=1).mean()
    assert abs(np.mean(matches) - expected) < 0.02
    assert len(truth[name]["sites"]) == 240
    assert truth[NAMES[3]]["motif"] is None
    assert truth[NAMES[3]]["sites"] == {}
    share = len(truth[NAMES[2]]["sites"]) / 240
    assert abs(share - truth[NAMES[2]]["fraction"]) < 0.12


def test_background_is_equal_on_both_strands_and_learnable():
    background = random_background(np.random.default_rng(0), order=4)
    words = (background.stationary[:, None] * background.conditional).reshape((4,) * 5)
    mirrored = words.transpose()[(slice(None, None, -1),) * 5]
    np.testing.assert_allclose(words, mirrored, atol=1e-12)
    assert background.entropy < 1.85
    codes = sample_background(np.random.default_rng(1), background, 400_000)
    single = np.bincount(codes, minlength=4) / len(codes)
    pairs = np.bincount(codes[:-1] * 4 + codes[1:], minlength=16) / len(codes)
    assert abs(single[1] + single[2] - 0.42) < 0.06
    assert pairs[1 * 4 + 2] < 0.5 * single[1] * single[2]  # CpG is depleted


def test_information_of_a_motif():
    assert Motif("free", "NN", "99").information() == pytest.approx(0)
    assert Motif("two", "AR", "99").information() > Motif("two", "AR", "55").information()


@pytest.mark.parametrize("wrong", [{"genome_length": 10}, {"peaks": 100}, {"test_positives": 0}])
def test_numbers_that_do_not_fit_are_refused(tmp_path, wrong):
    with pytest.raises(ValueError, match="genome_length"):
        simulate_demo(*(tmp_path / name for name in "gatm"), seed=1, **wrong)
    assert not list(tmp_path.iterdir())


def test_the_planted_motifs_stand_in_a_database_among_random_ones(demo):
    motifs = {motif.name: motif for motif in read_meme(demo[3])}
    planted = {each.name.split("_")[0]: each.motif for each in DEMO_SETS if each.motif}
    assert sum(name.startswith("random_") for name in motifs) == DECOYS
    assert len(motifs) == DECOYS + len(planted)
    for factor, motif in planted.items():
        written = motifs[f"planted_{factor} {motif.name}"]
        assert written.probabilities == pytest.approx(motif.matrix(), abs=1e-5)
