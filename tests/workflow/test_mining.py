"""What Snakemake plans for mining: nothing unless asked for, and each thing with what it needs."""

import csv
import gzip

import pytest
from runs import NAMES, set_status

SETS = len(NAMES)
RULES = {
    *("attribute", "find_motifs", "match_motifs", "write_motif_page", "summarise_motifs"),
    *("get_motif_database", "scan_genome", "plot_scan", "score_variants", "plot_effects"),
    "pack_model",
}


@pytest.fixture
def inputs(snakemake):
    (snakemake.folder / "db.meme").write_text("MEME version 4\n")
    (snakemake.folder / "my.vcf").write_text("##fileformat=VCFv4.2\n")
    (snakemake.folder / "my.bed").write_text("chr1\t0\t4\n")
    return snakemake


@pytest.mark.parametrize(
    ("mining", "planned"),
    [
        ("{}", {}),
        ("{run: []}", {}),
        ("{motifs: {database: db.meme}}", {}),  # settings alone make nothing
        ("{run: [attributions]}", {"attribute": SETS}),
        (
            "{run: [motifs]}",
            {
                **dict.fromkeys(("attribute", "find_motifs", "write_motif_page"), SETS),
                "summarise_motifs": 1,
            },
        ),
        (
            "{run: [motifs], motifs: {database: db.meme}}",
            {
                **dict.fromkeys(("attribute", "find_motifs", "match_motifs"), SETS),
                "write_motif_page": SETS,
                "get_motif_database": 1,
                "summarise_motifs": 1,
            },
        ),
        ("{run: [scan]}", {"scan_genome": SETS, "plot_scan": SETS}),
        ("{run: [models]}", {"pack_model": SETS}),
        ("{run: [variants], variants: {vcf: my.vcf}}", {"score_variants": 1, "plot_effects": 1}),
    ],
)
def test_only_what_the_switch_asks_for_is_planned(inputs, mining, planned):
    jobs, _ = inputs.plan("--config", f"mining={mining}")
    assert {rule: number for rule, number in jobs.items() if rule in RULES} == planned
    assert jobs["train_classifier"] == SETS


def test_everything_at_once_shares_the_models_and_the_motifs(inputs):
    jobs, output = inputs.plan(
        "--config",
        "mining={run: [attributions, motifs, scan, variants, models], variants: {vcf: my.vcf}, "
        "scan: {regions: my.bed}, motifs: {database: db.meme}}",
        "language_model={}",
    )
    assert set(jobs) >= RULES
    assert jobs["train_classifier"] == jobs["attribute"] == SETS
    # A scan takes regions, and the motifs that tell strands; one target needs its own set alone.
    scan = output[output.index("rule scan_genome:") :]
    inputs_of_scan = scan[: scan.index("output:")]
    assert "my.bed" in inputs_of_scan
    assert "/motifs.meme" in inputs_of_scan
    target = f"results/motifs/{NAMES[0]}/index.html"
    jobs, _ = inputs.plan("--", target)
    assert jobs["attribute"] == jobs["write_motif_page"] == jobs["train_classifier"] == 1
    assert "summarise_motifs" not in jobs


def test_a_run_is_packed_with_all_its_models_whatever_the_switch(inputs):
    jobs, output = inputs.plan("--config", "baselines=[floor]", "--", "results/release.zip")
    assert jobs["pack_model"] == SETS
    assert jobs["pack_release"] == jobs["summarise"] == 1
    assert "attribute" not in jobs
    packed = output[output.index("rule pack_release:") :]
    packed = packed[: packed.index("output:")]
    for name in ("auc.tsv", "comparison.tsv", "methods.tsv", "provenance.json"):
        assert f"results/summary/{name}" in packed
    # Open until the sets are split, so that one skipped there is left out when its time comes.
    assert "<TBD>" in packed


def test_without_a_good_set_nothing_is_mined(finished):
    set_status(finished, dict.fromkeys(NAMES, "skipped"))
    jobs, _ = finished.plan()
    assert jobs["write_provenance"] == 1
    assert not {"score_variants", "plot_effects", "scan_genome", "pack_model"} & set(jobs)


def test_the_record_holds_the_genome_that_mining_reads(inputs):
    started = ["--config", "classifier={start: random}"]
    for mining, recorded in (("[models]", False), ("[scan]", True)):
        _, output = inputs.plan(*started, f"mining={{run: {mining}}}")
        record = output[output.index("rule write_provenance:") :]
        assert ("results/genome/index.json" in record[: record.index("output:")]) == recorded


def test_motifs_of_sets_that_failed_or_were_skipped_keep_their_row(inputs):
    """Really run with --keep-going: a torn file, a set too small, a genome without chr8."""
    header, row = b"FoldID\tEventID\tseq\tBound\n", b"A\tseq_1\tACGTACGTAC\t%d\n"
    for part, rows in (("AC", row % 1), ("B", row % 1 + row % 0)):
        path = inputs.folder / "data" / f"{NAMES[1]}_{part}.seq.gz"
        path.write_bytes(gzip.compress(header + rows, mtime=0))
    output = inputs("--keep-going", "--config", "mining={run: [motifs]}", fails=True)
    assert "the motifs of 2 of 3 sets are missing; results/summary/motifs.tsv tells why" in output
    with open(inputs.folder / "results" / "summary" / "motifs.tsv") as stream:
        rows = {row["dataset"]: row for row in csv.DictReader(stream, delimiter="\t")}
    assert [rows[name]["status"] for name in NAMES] == ["failed", "skipped", "failed"]
    assert f"{NAMES[0]}_AC.seq.gz" in rows[NAMES[0]]["reason"]
    assert "min_peaks" in rows[NAMES[1]]["reason"]
    page = (inputs.folder / "results" / "summary" / "motifs.html").read_text()
    assert all(name in page for name in NAMES)
