"""Variants: what makes or breaks a planted motif comes first; what cannot be scored is told."""

import copy
import gzip
import tracemalloc
from collections import Counter

import numpy as np
import pysam
import pytest
from dflm.errors import InputError
from dflm.mining.genomes import open_genome
from dflm.mining.scoring import StrandScores
from dflm.mining.variants.alleles import Variant, haplotypes, why_not
from dflm.mining.variants.annotation import annotate, annotate_with_sets
from dflm.mining.variants.effects import effects_of, shuffled_null, significance
from dflm.mining.variants.files import (
    COLUMNS,
    read_variants,
    variant_lines,
    write_variant_table,
    write_variants,
)
from dflm.mining.variants.matched import like_elsewhere, matched_null
from dflm.mining.variants.scored import VariantSettings, score_variants
from dflm.sequences.kmers import BASES, N, decode, encode
from planted import MOTIF, WIDTH, plant, random_codes
from test_scan import write_fasta

QUICK = {"null_size": 60, "step": 10}


def other(base):
    return BASES[(BASES.index(base) + 2) % 4]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A contig with motifs at 200, 600, ..; variants that break them, make one, or do nothing."""
    rng = np.random.default_rng(21)
    codes = random_codes(rng, 4000)
    sites = list(range(200, 3800, 400))
    for at in sites:
        plant(codes, at)
    # A motif with one wrong base, which a variant mends.
    plant(codes, 3900)
    codes[3904] = BASES.index(other(MOTIF[4]))
    codes[3100:3110] = N
    path = write_fasta(tmp_path_factory.mktemp("variants") / "g.fa", {"chr1": codes})
    text = decode(codes)
    breaking = [Variant("chr1", at + 4, text[at + 4], other(text[at + 4])) for at in sites[:4]]
    deleting = [
        Variant("chr1", sites[4] + 2, text[sites[4] + 2 : sites[4] + 6], text[sites[4] + 2])
    ]
    inserting = [Variant("chr1", sites[5] + 3, text[sites[5] + 3], text[sites[5] + 3] + "ACGTAC")]
    making = [Variant("chr1", 3904, text[3904], MOTIF[4])]
    idle = [Variant("chr1", at + 200, text[at + 200], other(text[at + 200])) for at in sites[:8]]
    variants = [*breaking, *deleting, *inserting, *making, *idle]
    return open_genome(path), variants, len(variants) - len(idle), text, path


def test_what_breaks_or_makes_a_motif_ranks_first(scorer, world):
    genome, variants, strong, _, _ = world
    scored = score_variants(variants, genome, [scorer], VariantSettings(**QUICK))
    assert scored.rows[0].tolist() == list(range(len(variants)))
    delta = scored.effects[0].delta_log_odds
    assert set(np.argsort(-np.abs(delta))[:strong].tolist()) == set(range(strong))
    assert (delta[: strong - 1] < 0).all()
    assert delta[strong - 1] > 0
    assert scored.p[0][:strong].max() <= scored.p[0][strong:].min()
    assert scored.p[0][:strong].mean() < scored.p[0][strong:].mean()


def test_the_best_window_holds_the_variant_and_both_alleles_scores(scorer, world):
    genome, variants, _, text, _ = world
    variant = variants[0]
    found = haplotypes(variant, genome, WIDTH, 5, 0.1)
    effects = effects_of(scorer, [found], WIDTH)
    start = int(effects.window[0])
    assert start <= variant.position < start + WIDTH
    every = [haplotypes(one, genome, WIDTH, 5, 0.1) for one in variants]
    effects_of_all = effects_of(scorer, every, WIDTH)
    reached = np.maximum(effects_of_all.ref_log_odds, effects_of_all.alt_log_odds)
    best = []
    for one in every:
        windows = [kind[s : s + WIDTH] for kind in (one.ref, one.alt) for s in one.starts]
        best.append(scorer.score(np.stack(windows)).log_odds.max())
    np.testing.assert_allclose(reached, best, atol=1e-4)
    changed = text[: variant.position] + variant.alt + text[variant.position + 1 :]
    ref, alt = (scorer.score(encode(t[start : start + WIDTH])[None]) for t in (text, changed))
    assert effects.ref_log_odds[0] == pytest.approx(ref.log_odds[0], abs=1e-4)
    assert effects.alt_log_odds[0] == pytest.approx(alt.log_odds[0], abs=1e-4)
    before, after = (scorer.calibrated(scores.log_odds)[0] for scores in (ref, alt))
    assert effects.delta_probability[0] == pytest.approx(after - before, abs=1e-4)


@pytest.mark.parametrize(
    ("ref", "alt"), [("A", "C"), ("A", "ACGT"), ("ACGTA", "A"), ("AC", "GT"), ("A", "AG")]
)
def test_windows_of_indels_hold_the_alleles_whole(tmp_path, ref, alt):
    rng = np.random.default_rng(22)
    codes = random_codes(rng, 300)
    codes[150 : 150 + len(ref)] = encode(ref)
    text = decode(codes)
    genome = open_genome(write_fasta(tmp_path / "g.fa", {"c": codes}))
    variant = Variant("c", 150, ref, alt)
    assert why_not(variant, genome) is None
    found = haplotypes(variant, genome, 40, 1, 0.0)
    changed = text[:150] + alt + text[150 + len(ref) :]
    assert len(found.starts) == 40 - max(len(ref), len(alt)) + 1
    for start in found.starts:
        at = found.start + start
        assert at <= 150
        assert at + 40 >= 150 + max(len(ref), len(alt))
        assert decode(found.ref[start : start + 40]) == text[at : at + 40]
        assert decode(found.alt[start : start + 40]) == changed[at : at + 40]


def test_windows_stay_within_the_contig_and_off_gaps(tmp_path):
    codes = random_codes(np.random.default_rng(23), 100)
    codes[60:] = N
    genome = open_genome(write_fasta(tmp_path / "g.fa", {"c": codes, "short": codes[:20]}))
    text = decode(codes)
    first = haplotypes(Variant("c", 0, text[0], other(text[0])), genome, 40, 1, 0.0)
    assert first.starts.tolist() == [39]
    assert first.start + 39 == 0
    near = haplotypes(Variant("c", 59, text[59], other(text[59])), genome, 40, 1, 0.0)
    assert near.starts.tolist() == [0]
    assert haplotypes(Variant("c", 70, "N", "A"), genome, 40, 1, 0.0) is None
    assert haplotypes(Variant("short", 5, text[5], "A"), genome, 40, 1, 0.0) is None


def test_a_wrong_reference_allele_is_skipped_or_fails(scorer, world):
    genome, variants, _, text, _ = world
    wrong = Variant("chr1", 1000, other(text[1000]), text[1000])
    scored = score_variants(
        [variants[0], wrong], genome, [scorer], VariantSettings(null="none", step=20)
    )
    assert scored.reasons == [None, "ref_mismatch"]
    lines = [line.split("\t") for line in variant_lines(scored)]
    assert [line[6] for line in lines] == ["scored", "ref_mismatch"]
    assert all(len(line) == len(COLUMNS) for line in lines)
    settings = VariantSettings(on_mismatch="fail", **QUICK)
    with pytest.raises(InputError, match=r"1 of 2 reference alleles .* first chr1:1001"):
        score_variants([variants[0], wrong], genome, [scorer], settings)


def test_what_cannot_be_scored_says_why(scorer, world):
    genome, variants, _, text, _ = world
    some = [
        Variant("chr1", 10, text[10], "<DEL>"),
        Variant("chr1", 10, text[10], "*"),
        Variant("chr9", 10, "A", "C"),
        Variant("chr1", 50, text[50], "A" * 50),
        Variant("chr1", 3104, "N", "A"),
        Variant("chr1", 10, text[10], "N"),
    ]
    scored = score_variants(
        [*some, variants[0]], genome, [scorer], VariantSettings(null="none", max_n=0.0)
    )
    status = [line.split("\t")[6] for line in variant_lines(scored)]
    assert status[:6] == [
        "symbolic_allele",
        "symbolic_allele",
        "unknown_contig",
        "too_long",
        "no_window",
        "unknown_allele",
    ]
    with pytest.raises(InputError, match="none of the variants' contigs"):
        score_variants(some[2:3], genome, [scorer], VariantSettings())


def test_an_unknown_base_of_the_reference_allele_is_the_genome_s(scorer, world):
    genome, variants, _, text, _ = world
    known = variants[0]
    some = [
        Variant("chr1", known.position, "N", known.alt),
        Variant("chr1", known.position, "N", text[known.position]),
    ]
    scored = score_variants([known, *some], genome, [scorer], VariantSettings(null="none"))
    delta = scored.effects[0].delta_log_odds
    assert delta[0] == delta[1] != 0
    assert delta[2] == 0


def test_each_model_says_of_itself_what_it_did_not_score(scorer, tmp_path):
    codes = random_codes(np.random.default_rng(24), 60)
    text = decode(codes)
    fasta = write_fasta(tmp_path / "g.fa", {"c": codes})
    wide = copy.copy(scorer)
    wide.name, wide.card = "WIDE", scorer.card | {"training": {"width": 90}}
    (tmp_path / "in.vcf").write_text(
        "##fileformat=VCFv4.2\n##contig=<ID=c>\n##contig=<ID=long>\n"
        "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
        f"c\t31\t.\t{text[30]}\t{other(text[30])}\t.\t.\t.\n"
        "long\t600000000\t.\tA\tC\t.\t.\t.\n"
    )
    for scorers in ([scorer, wide], [wide, scorer]):
        out = tmp_path / "out.vcf.gz"
        annotate(scorers, tmp_path / "in.vcf", fasta, None, out, VariantSettings(null="none"))
        with gzip.open(out, "rt") as stream:
            here, far = (line.split("\t")[7] for line in stream if not line.startswith("#"))
        assert here.count("|PLANTED|") == 1
        assert f"DFLM_SKIPPED={other(text[30])}|WIDE|no_window" in here
        assert far.strip() == "DFLM_SKIPPED=C|*|unknown_contig"
        # Behind 2**29 bases an index of the usual kind ends.
        assert (tmp_path / "out.vcf.gz.csi").exists()
        assert not (tmp_path / "out.vcf.gz.tbi").exists()


def test_an_allele_is_too_long_for_narrow_windows_only(scorer, tmp_path):
    text = decode(random_codes(np.random.default_rng(25), 400))
    fasta = write_fasta(tmp_path / "g.fa", {"c": encode(text)})
    wide = copy.copy(scorer)
    wide.name, wide.card = "WIDE", scorer.card | {"training": {"width": 90}}
    inserted = Variant("c", 200, text[200], text[200] + "ACGTT" * 6)
    for scorers in ([scorer, wide], [wide, scorer]):
        found = score_variants(
            [inserted], open_genome(fasta), scorers, VariantSettings(null="none")
        )
        told = {line.split("\t")[5]: line.split("\t")[6] for line in variant_lines(found)}
        assert told == {"PLANTED": "too_long", "WIDE": "scored"}


def test_without_any_classifier_nothing_is_annotated(vcf, world, tmp_path):
    with pytest.raises(InputError, match="no set has a classifier"):
        annotate_with_sets(
            [], vcf, world[2], tmp_path / "t.tsv", tmp_path / "a.vcf.gz",
            step=None, max_n=0.1, on_mismatch="skip", p_values="none", null_size=100, seed=1,
            gpu=0, threads=1,
        )  # fmt: skip


@pytest.fixture
def vcf(world, tmp_path):
    """A VCF file of the variants, one record with two alternatives, one symbolic."""
    variants = world[1]
    ordered = sorted(variants[:3], key=lambda v: v.position)
    lines = ["##fileformat=VCFv4.2", "##contig=<ID=chr1>", '##FILTER=<ID=q,Description="q">']
    lines.append("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO")
    for i, v in enumerate(ordered):
        alt = f"{v.alt},<DEL>" if i == 1 else v.alt
        lines.append(f"chr1\t{v.position + 1}\trs{i}\t{v.ref}\t{alt}\t.\tq\t.")
    path = tmp_path / "in.vcf"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_vcf_comes_back_with_what_variants_do(scorer, world, vcf, tmp_path):
    genome = world[0]
    packed = tmp_path / "in.vcf.gz"
    pysam.tabix_compress(str(vcf), str(packed), force=True)
    for path, out in ((vcf, tmp_path / "out.vcf"), (packed, tmp_path / "out.vcf.gz")):
        found = read_variants(path)
        assert [record for record, _ in found] == [0, 1, 1, 2]
        scored = score_variants(
            [one for _, one in found], genome, [scorer], VariantSettings(**QUICK)
        )
        write_variants(out, path, scored, [record for record, _ in found])
        with pysam.VariantFile(str(out)) as file:
            records = list(file)
        assert len(records) == 3
        assert [record.id for record in records] == ["rs0", "rs1", "rs2"]
        fields = records[0].info["DFLM"][0].split("|")
        assert fields[:2] == [records[0].alts[0], "PLANTED"]
        assert float(fields[2]) == pytest.approx(scored.effects[0].delta_log_odds[0], rel=1e-4)
        assert records[1].info["DFLM_SKIPPED"] == ("<DEL>|*|symbolic_allele",)
        assert list(records[0].filter) == ["q"]
    assert (tmp_path / "out.vcf.gz.tbi").is_file()
    assert write_variant_table(tmp_path / "t.tsv", scored) == 4


def test_a_vcf_s_own_values_stand_as_they_did(scorer, world, tmp_path):
    genome, (known, *_), _, _, _ = world
    own = '##INFO=<ID=DFLMSCORE,Number=1,Type=Float,Description="another\'s">'
    head = ["##fileformat=VCFv4.2", "##contig=<ID=chr1>", own]
    head.append('##INFO=<ID=BIG,Number=1,Type=Integer,Description="b">')
    head.append("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO")
    fields = ["chr1", str(known.position + 1), "rs", known.ref, known.alt, "1234567.89", "."]
    info = "DFLMSCORE=0.123456789;BIG=3000000000;X=a\rb"
    path, out = tmp_path / "in.vcf", tmp_path / "out.vcf"
    path.write_bytes("\r\n".join([*head, "\t".join([*fields, info]), ""]).encode())
    for _ in range(2):  # what an earlier call wrote is replaced
        found = read_variants(path)
        scored = score_variants(
            [one for _, one in found], genome, [scorer], VariantSettings(null="none", step=20)
        )
        write_variants(out, path, scored, [record for record, _ in found])
        *lines, last = out.read_bytes().decode().removesuffix("\n").split("\n")
        assert own in lines
        *told, annotated = last.split("\t")
        assert told == fields
        assert annotated.startswith(f"{info};DFLM=")
        assert annotated.count("DFLM=") == 1
        path = out.rename(tmp_path / "again.vcf")


def test_few_null_variants_for_many_alleles_are_told(scorer, world, caplog):
    genome, variants, _, _, _ = world
    many = variants[:3]
    for size, told in ((20, True), (100, False)):
        caplog.clear()
        score_variants(many, genome, [scorer], VariantSettings(null_size=size, step=20))
        assert ("give more by --null-size" in caplog.text) == told


def test_several_models_have_a_line_each(scorer, world):
    genome, variants, _, _, _ = world
    again = type(scorer)(scorer.model, scorer.card, "AGAIN", scorer.device, precision="fp32")
    settings = VariantSettings(null="none", step=20)
    scored = score_variants(variants[:2], genome, [scorer, again], settings)
    lines = [line.split("\t") for line in variant_lines(scored)]
    assert [line[5] for line in lines] == ["PLANTED", "AGAIN"] * 2
    assert lines[0][7:] == lines[1][7:]


def test_a_null_has_no_more_n_in_its_windows_than_the_variants(world, tmp_path):
    genome, variants, _, _, _ = world
    one = next(v for v in variants if len(v.ref) == len(v.alt) == 1)
    codes = genome.codes("chr1", 0, genome.lengths["chr1"]).copy()
    codes[one.position + 20 : one.position + 200] = N
    masked = open_genome(write_fasta(tmp_path / "n.fa", {"chr1": codes}))
    found = [haplotypes(one, masked, WIDTH, 1, 0.0)]
    assert (found[0].ref == N).any()
    for drawn in shuffled_null(found, [(1, 1)], 20, 1):
        windows = drawn.starts[:, None] + np.arange(WIDTH)
        assert not (drawn.ref[windows] == N).any()
        assert not (drawn.alt[windows] == N).any()
        assert (drawn.ref == N).sum() == (found[0].ref == N).sum()


def test_a_null_keeps_alleles_and_composition(world):
    genome, variants, _, _, _ = world
    found = [haplotypes(v, genome, WIDTH, 10, 0.1) for v in variants]
    lengths = [(len(v.ref), len(v.alt)) for v in variants]
    null = shuffled_null(found, lengths, 2 * len(variants), 3)
    assert len(null) == 2 * len(variants)

    def pairs(codes):
        return Counter(zip(codes[:-1].tolist(), codes[1:].tolist(), strict=True))

    seen = Counter()
    for one in null:
        # By its place: the surroundings of no two variants start at the same one.
        source = next(i for i, other in enumerate(found) if other.start == one.start)
        variant, whole = variants[source], found[source]
        seen[source] += 1
        left = WIDTH - max(len(variant.ref), len(variant.alt))
        for codes, allele in ((one.ref, variant.ref), (one.alt, variant.alt)):
            assert decode(codes[left : left + len(allele)]) == allele
        assert (one.ref[:left] == one.alt[:left]).all()
        assert pairs(one.ref[:left]) == pairs(whole.ref[:left])
        assert (one.ref[:left] != whole.ref[:left]).any()
        # Behind the shorter allele the flank stands whole, and the longer one's is its beginning.
        longer, shorter = sorted(((one.ref, variant.ref), (one.alt, variant.alt)), key=_allele)
        flank = shorter[0][left + len(shorter[1]) :]
        rest = longer[0][left + len(longer[1]) :]
        assert (flank[: len(rest)] == rest).all()
        given = whole.alt if shorter[1] == variant.alt else whole.ref
        assert pairs(flank) == pairs(given[left + len(shorter[1]) :])
        assert (flank != given[left + len(shorter[1]) :]).any()
    assert set(seen.values()) == {2}


def _allele(pair):
    return -len(pair[1])


def test_a_matched_null_has_the_change_and_the_neighbours(world):
    genome, variants, _, text, _ = world
    at = 1000
    steps = "".join(other(base) for base in text[at : at + 3])
    variants = [*variants, Variant("chr1", at, text[at : at + 3], steps)]
    rng = np.random.default_rng(5)
    kinds = set()
    for variant in variants:
        drawn = [like_elsewhere(variant, genome, "chr1", rng) for _ in range(30)]
        drawn = [one for one in drawn if one is not None]
        assert drawn
        around = text[variant.position - 1 : variant.position + 2]
        change = len(variant.alt) - len(variant.ref)
        kinds.add((len(variant.ref), change))
        assert len({one.position for one in drawn}) > 1
        for one in drawn:
            assert text[one.position - 1 : one.position + 2] == around
            assert text[one.position : one.position + len(one.ref)] == one.ref
            assert (len(one.ref), len(one.alt) - len(one.ref)) == (len(variant.ref), change)
            if change < 0:
                assert one.ref.startswith(one.alt)
            elif len(variant.ref) == 1:
                assert one.alt == variant.alt
            else:
                assert [other(base) for base in one.ref] == list(one.alt)
    assert kinds == {(1, 0), (4, -3), (1, 6), (3, 0)}


def test_p_values_come_from_a_matched_null(scorer, world):
    genome, variants = world[:2]
    settings = VariantSettings(null="matched", **QUICK)
    scored = score_variants(variants[:4] + variants[-4:], genome, [scorer], settings)
    some = variants[:4] + variants[-4:]
    null = matched_null(some, genome, WIDTH, QUICK["step"], settings.max_n, 60, settings.seed)
    drawn = effects_of(scorer, null, WIDTH).delta_log_odds
    expected, _ = significance(scored.effects[0].delta_log_odds, drawn)
    np.testing.assert_array_equal(scored.p[0], expected)
    shuffled = score_variants(some, genome, [scorer], VariantSettings(null="shuffled", **QUICK))
    assert (shuffled.p[0] != scored.p[0]).any()
    assert (scored.q[0] >= scored.p[0] - 1e-12).all()
    assert len(matched_null(variants[-2:], genome, WIDTH, 10, 0.1, 30, 1)) == 30


def test_memory_holds_the_variants_at_work_alone(world, scorer):
    """Haplotypes of all variants would take thousands of bytes each."""
    genome, _, _, text, _ = world
    places = [at for at in range(200, 3000) if text[at] != "N"]

    def peak(times):
        variants = [Variant("chr1", at, text[at], other(text[at])) for at in places] * times
        tracemalloc.start()
        score_variants(variants, genome, [stub], VariantSettings(null="none", step=200))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    class Stub(type(scorer)):
        def score(self, codes, lengths=None):
            return StrandScores(*np.zeros((2, len(codes))))

    stub = Stub(scorer.model, scorer.card, "STUB", scorer.device, precision="fp32")
    few, many = peak(1), peak(4)
    assert (many - few) / (3 * len(places)) < 200


def test_p_values_count_the_null_on_both_sides():
    null = np.array([-1.0, 0.5, 2.0])
    p, q = significance(np.array([0.6, -3.0, 0.0]), null)
    assert p.tolist() == [3 / 4, 1 / 4, 1.0]
    assert q == pytest.approx([1.0, 0.75, 1.0])


def test_settings_are_checked():
    for wrong in ({"null": "none of it"}, {"on_mismatch": "shrug"}, {"null_size": 3}, {"step": 0}):
        with pytest.raises(InputError):
            VariantSettings(**wrong)


def test_a_file_that_is_no_vcf_is_told(tmp_path):
    (tmp_path / "x.vcf").write_text("chr1\t5\tA\n")
    for name in ("x.vcf", "nothing.vcf"):
        with pytest.raises(InputError):
            read_variants(tmp_path / name)
