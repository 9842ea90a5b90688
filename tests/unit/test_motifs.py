"""Motifs: formats, statistics, and that what was planted is found and named."""

import gzip
import json

import numpy as np
import pytest
from dflm.errors import InputError
from dflm.mining.attribution.files import AttributionSet
from dflm.mining.attribution.sequences import attribute
from dflm.mining.motifs.files import read_meme, write_meme, write_transfac
from dflm.mining.motifs.folder import find_motifs
from dflm.mining.motifs.motif import Motif, scan_scores, score_threshold
from dflm.mining.motifs.seeds import find_seed_motifs
from dflm.mining.motifs.sites import Sites, find_sites, positions, spacings
from dflm.mining.motifs.tomtom import benjamini_hochberg, compare
from dflm.mining.scan.locate import locator
from dflm.sequences.kmers import N, encode, reverse_complement
from planted import MOTIF, WIDTH, bound_sequences, random_codes


def sharp(name, consensus, probability=0.91):
    p = np.full((len(consensus), 4), (1 - probability) / 3)
    p[np.arange(len(consensus)), encode(consensus)] = probability
    return Motif(name, p, 10)


@pytest.fixture(scope="module")
def found(scorer):
    codes = bound_sequences(np.random.default_rng(31), 150)
    names = [f"s{i}" for i in range(len(codes))]
    return attribute(scorer, names, list(codes), width=WIDTH, stride=5)


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """A MEME file of 60 random motifs, and the planted one turned round."""
    rng = np.random.default_rng(32)
    letters = ["".join(rng.choice(list("ACGT"), rng.integers(7, 14))) for _ in range(60)]
    motifs = [sharp(f"RANDOM{i}", text, 0.8) for i, text in enumerate(letters)]
    motifs.append(sharp("PLANTED", MOTIF).reverse_complement())
    path = tmp_path_factory.mktemp("database") / "db.meme"
    write_meme(path, motifs)
    return path


@pytest.fixture(scope="module")
def compared(database):
    """What `find_motifs` takes of it."""
    return {"targets": read_meme(database), "database": database.name}


def test_meme_files_come_back_as_written(tmp_path):
    motifs = [sharp("a", "ACGTT"), sharp("b", "GGA", 0.7)]
    write_meme(tmp_path / "m.meme", motifs)
    with gzip.open(tmp_path / "m.meme.gz", "wb") as file:
        file.write((tmp_path / "m.meme").read_bytes())
    for name in ("m.meme", "m.meme.gz"):
        again = read_meme(tmp_path / name)
        assert [motif.name for motif in again] == ["a ACGTT", "b GGA"]
        assert again[0].probabilities == pytest.approx(motifs[0].probabilities, abs=1e-5)
        assert again[1].sites == 10
    write_transfac(tmp_path / "m.transfac", motifs)
    text = (tmp_path / "m.transfac").read_text()
    assert text.count("//\n") == 2
    assert "\n01 9.100 0.300 0.300 0.300 A\n" in text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no motif"),
        ("MOTIF a\nletter-probability matrix: w= 2\n0.5 0.5 0 0\n", "breaks off"),
        ("MOTIF a\nletter-probability matrix: w= 1\n0.5 0.5 0.5 0\n", "line 3"),
        ("ALPHABET= ACDEFGHIKLMNPQRSTVWY\n", "line 1"),
        ("MOTIF a\nletter-probability matrix: w= 1\none two three four\n", "line 3"),
    ],
)
def test_a_file_that_is_no_meme_file_is_told(tmp_path, text, words):
    (tmp_path / "m").write_text(text)
    with pytest.raises(InputError, match=words):
        read_meme(tmp_path / "m")


def test_a_motif_turns_trims_and_tells_its_letters():
    motif = sharp("a", "ACGTTG")
    flat = np.full((3, 4), 0.25)
    padded = Motif("a", np.concatenate([flat, motif.probabilities, flat[:1]]), 10)
    assert padded.consensus == "nnnACGTTGn"
    assert padded.trimmed().consensus == "ACGTTG"
    assert padded.trimmed().reverse_complement().consensus == "CAACGT"
    assert padded.information[:3] == pytest.approx(0, abs=1e-9)


def test_a_threshold_has_its_p_value():
    rng = np.random.default_rng(33)
    weights = Motif("a", rng.dirichlet([0.5] * 4, 10), 10).log_odds()
    codes = random_codes(rng, 1, 1_000_000)
    scores = scan_scores(codes, weights)[0]
    for p in (0.01, 0.001):
        assert (scores >= score_threshold(weights, p)).mean() == pytest.approx(p, rel=0.15)
    assert score_threshold(weights, 1e-9) > weights.max(1).sum()
    # Where scores are few, as with one letter as good as another, it is not exceeded.
    few = sharp("b", "ACGTTGCA", 0.7).log_odds()
    assert (scan_scores(codes, few)[0] >= score_threshold(few, 0.001)).mean() < 0.0011


def test_scores_are_minus_infinity_at_an_n():
    weights = sharp("a", "ACG").log_odds()
    codes = encode("ACGNACG")[None]
    scores = scan_scores(codes, weights)[0]
    assert np.isfinite(scores).tolist() == [True, False, False, False, True]
    assert scores[0] == pytest.approx(weights.max(1).sum(), abs=1e-5)
    assert scan_scores(codes[:, :2], weights).shape == (1, 0)


def test_benjamini_hochberg_by_hand():
    q = benjamini_hochberg(np.array([0.01, 0.04, 0.03, np.nan, 1.0]))
    assert q[:3] == pytest.approx([0.04, 0.16 / 3, 0.16 / 3])
    assert np.isnan(q[3])
    assert q[4] == 1.0


def covers(motif, consensus):
    """Say how many letters of a consensus a motif has, at its best place and strand."""
    best = 0
    for text in (consensus, "".join("TGCA"["ACGT".index(c)] for c in consensus[::-1])):
        letters = motif.consensus.upper()
        for shift in range(-len(text) + 4, len(letters) - 3):
            pairs = [
                (text[i], letters[i + shift])
                for i in range(len(text))
                if 0 <= i + shift < len(letters)
            ]
            best = max(best, sum(a == b for a, b in pairs))
    return best


def test_seeds_find_the_planted_motif(found):
    motifs = find_seed_motifs(found)
    assert covers(motifs[0], MOTIF) >= len(MOTIF) - 1
    assert motifs[0].sites > 100


def planted_credit(motifs, sequences=300, length=101):
    """Attributions whose credit lies on planted words alone, each once in each sequence."""
    rng = np.random.default_rng(34)
    codes = random_codes(rng, sequences, length)
    hypothetical = np.zeros((*codes.shape, 4), dtype=np.float32)
    for row in range(sequences):
        for number, word in enumerate(motifs):
            text = encode(word)
            text = 3 - text[::-1] if rng.random() < 0.5 else text
            at = 5 + number * (length // len(motifs)) + int(rng.integers(5))
            codes[row, at : at + len(text)] = text
            hypothetical[row, np.arange(at, at + len(text)), text] = 1
    n = np.zeros(sequences, dtype=np.int64)
    names = np.array([f"s{i}" for i in range(sequences)])
    return AttributionSet(names, n, n + length, codes, hypothetical, n + 1.0, "gradients", "M")


@pytest.mark.parametrize(
    ("words", "number"),
    [
        (["ACCGGAAGTG"], 1),
        (["ACCGGAAGTG", "ACCGGAAGTG"], 1),
        (["ACCGGAAGTG", "CACGTGATTC"], 2),
        (["TTCAGCACCATGGACAGCGC"], 2),  # wider than a seed and its flanks: in two pieces
    ],
)
def test_each_motif_is_found_once(words, number):
    motifs = find_seed_motifs(planted_credit(words), most=10)
    assert len(motifs) == number, [motif.consensus for motif in motifs]
    for word in words:
        assert max(covers(motif, word) for motif in motifs) >= min(len(word), 12) - 1


def test_seeds_find_nothing_where_nothing_has_credit(found):
    from dataclasses import replace

    assert find_seed_motifs(replace(found, hypothetical=np.zeros_like(found.hypothetical))) == []


def test_sites_are_those_planted(found):
    motif = sharp("planted", MOTIF)
    sites = find_sites(motif, found)
    # Each sequence has one; a chance match beside it carries no credit.
    assert len(np.unique(sites.rows)) >= 0.95 * len(found)
    assert len(sites) <= 1.05 * len(found)
    site = encode(MOTIF)
    for row, start, turned in zip(sites.rows, sites.starts, sites.reverse, strict=True):
        there = found.codes[row, start : start + len(MOTIF)]
        assert (there == (reverse_complement(site) if turned else site)).mean() > 0.7


def test_places_are_told_from_the_middle_and_distances_within_a_sequence():
    rows, starts = np.array([0, 0, 1, 1, 1, 3]), np.array([0, 30, 5, 20, 60, 2])
    turned = np.array([False, True, True, True, False, False])
    sites = Sites(rows, starts, turned, np.ones(6), np.ones(6))
    lengths = np.array([100, 80, 70, 11])
    told = positions(sites, 10, lengths)
    assert told.tolist() == [-45.0, -15.0, -30.0, -15.0, 25.0, 1.5]
    distances, same = spacings(sites)
    assert distances.tolist() == [30, 15, 40]
    assert same.tolist() == [False, True, False]


def test_a_motif_too_short_for_the_p_value_has_its_best_match(found):
    word = MOTIF[1:6]
    sites = find_sites(sharp("short", word), found)
    assert len(np.unique(sites.rows)) >= 0.9 * len(found)
    for row, start, turned in zip(sites.rows, sites.starts, sites.reverse, strict=True):
        there = found.codes[row, start : start + len(word)]
        assert (there == (reverse_complement(encode(word)) if turned else encode(word))).all()


def test_a_motif_s_strand_tells_that_of_a_call(tmp_path):
    from test_scan import write_fasta

    codes = random_codes(np.random.default_rng(34), 200)
    codes[50:59] = encode(MOTIF)
    codes[120:129] = reverse_complement(encode(MOTIF))
    from dflm.mining.genomes import open_genome

    genome = open_genome(write_fasta(tmp_path / "g.fa", {"c": codes}))
    against = "".join("ACGT"[code] for code in codes[54:63])
    locate = locator(genome, [sharp("neg_0", against), sharp("m", MOTIF), sharp("neg_1", MOTIF)])
    assert locate("c", 53, 80)[1] == "m"  # though the first one matches better there
    assert locate("c", 40, 80)[:4] == ("+", "m", "50", "59")
    assert locate("c", 100, 140)[:4] == ("-", "m", "120", "129")
    assert locate("c", 0, 5) == (".",) * 5


def test_a_model_s_motif_is_found_written_and_named(found, database, compared, tmp_path):
    """Seeds, TOMTOM and the page: the best match is the planted one, with a q-value below 0.01."""
    motifs = find_motifs(found, tmp_path, finder="seeds", **compared)
    matches = compare(motifs[:1], read_meme(database))
    assert matches[0].target.startswith("PLANTED")
    assert matches[0].q_value < 0.01
    rows = [line.split("\t") for line in (tmp_path / "motifs.tsv").read_text().splitlines()]
    assert rows[1][rows[0].index("best_match")].startswith("PLANTED")
    assert read_meme(tmp_path / "motifs.meme")[0].width == motifs[0].width
    page = (tmp_path / "index.html").read_text()
    assert page.count("data:image/svg+xml") == 2 * len(motifs)
    assert "PLANTED" in page
    sites = (tmp_path / "sites.tsv").read_text().splitlines()
    assert len(sites) > 100
    # Pictures of a motif of an earlier call go, what else lies there stays.
    logos, name = tmp_path / "logos", motifs[0].name
    with (tmp_path / "motifs.tsv").open("a") as table:
        table.write("\t".join(["seed_9", *rows[1][1:]]) + "\n")
    for other in ("seed_9.svg", "seed_9.sites.svg", "company.svg"):
        (logos / other).write_text("of before")
    find_motifs(found, tmp_path, finder="seeds", **compared)
    own = {f"{name}.svg", f"{name}.sites.svg"}
    assert {path.name for path in logos.iterdir()} >= own | {"company.svg"}
    assert not {path.name for path in logos.iterdir()} & {"seed_9.svg", "seed_9.sites.svg"}
    (logos / "company.svg").unlink()
    first = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    find_motifs(found, tmp_path, finder="seeds", **compared)
    assert first == {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}


def test_without_its_package_modisco_is_refused_and_auto_takes_seeds(found, tmp_path, monkeypatch):
    monkeypatch.setattr("dflm.mining.motifs.modisco.is_installed", lambda: False)
    with pytest.raises(InputError, match="--group modisco"):
        find_motifs(found, tmp_path, finder="modisco")
    find_motifs(found, tmp_path)
    assert json.loads((tmp_path / "motifs.json").read_text())["finder"] == "seeds"


@pytest.mark.slow
def test_modisco_finds_the_planted_motif(scorer, database, compared, tmp_path):
    pytest.importorskip("modiscolite", reason="modisco-lite is not installed: no part of `make`")
    codes = bound_sequences(np.random.default_rng(35), 600)
    names = [str(i) for i in range(len(codes))]
    found = attribute(scorer, names, list(codes), width=WIDTH, stride=5)
    motifs = find_motifs(found, tmp_path, finder="modisco", **compared)
    assert motifs[0].name == "pos_0"
    assert covers(motifs[0], MOTIF) >= len(MOTIF) - 2
    assert compare(motifs[:1], read_meme(database))[0].target.startswith("PLANTED")


def test_an_empty_finding_is_a_page_too(found, tmp_path):
    from dataclasses import replace

    nothing = replace(found, hypothetical=np.zeros_like(found.hypothetical))
    assert find_motifs(nothing, tmp_path, finder="seeds") == []
    assert "No motif was found" in (tmp_path / "index.html").read_text()
    with pytest.raises(InputError, match="finder"):
        find_motifs(found, tmp_path, finder="luck")


def test_codes_are_left_as_they_were(found):
    before = found.codes.copy()
    find_seed_motifs(found)
    assert (found.codes == before).all()
    assert (found.codes < N).all()
