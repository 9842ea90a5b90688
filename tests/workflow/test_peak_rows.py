"""Rows of peaks beside others: what is planned for them, and a real run up to the split."""

import csv
import gzip
import hashlib
import json
import re

import numpy as np
import pytest
from runs import NAMES

OWN = "MYTF_cells_(1.0)"
OTHER = f"{OWN}_own-negatives"


@pytest.fixture
def peaks(snakemake):
    """Two sets of peaks beside the three of sequences, on a genome of three contigs."""
    rng, folder = np.random.default_rng(3), snakemake.folder
    lengths = {"chr1": 40_000, "chr2": 30_000, "chr3": 30_000}
    texts = {name: "".join(rng.choice([*"ACGT"], length)) for name, length in lengths.items()}
    fasta = "".join(f">{name}\n{text}\n" for name, text in texts.items())
    (folder / "genome.fa.gz").write_bytes(gzip.compress(fasta.encode()))
    lines = [
        f"{name}\t{start}\t{start + 80}\t.\t0\t.\t{start % 7}\t-1\t-1\t40\n"
        for name, length in lengths.items()
        for start in range(500, length - 500, 700)
    ]
    (folder / "my peaks.narrowPeak.gz").write_bytes(gzip.compress("".join(lines).encode()))
    own = [f"{name}\t{s}\t{s + 9}\n" for name in lengths for s in range(850, 29_000, 700)]
    (folder / "own.bed").write_text("".join(own))
    digest = hashlib.sha256((folder / "own.bed").read_bytes()).hexdigest()
    rows = [
        ("dataset", "peaks", "negatives", "negatives_sha256"),
        (NAMES[0], "", "", ""),
        (OWN, "my peaks.narrowPeak.gz", "", ""),
        (OTHER, "my peaks.narrowPeak.gz", "own.bed", digest),
    ]
    (folder / "sheet.tsv").write_text("".join("\t".join(row) + "\n" for row in rows))
    (folder / "config" / "config.yaml").write_text(
        "genome: {source: genome.fa.gz, include: ['*'], exclude: [], validation: [chr3]}\n"
        "datasets: {source: data, sheet: sheet.tsv}\n"
        "chipseq: {min_peaks: 50}\n"
        "peaks: {distance: 50, width: 61}\n"
    )
    return texts


def test_peaks_are_planned_through_to_the_table(snakemake, peaks):
    jobs, output = snakemake.plan()
    assert jobs["split_peaks"] == jobs["get_peaks"] == 2
    assert jobs["split_chipseq"] == jobs["get_chipseq"] == jobs["get_negatives"] == 1
    assert jobs["get_genome"] == jobs["shard_genome"] == jobs["summarise"] == 1
    for rule in ("finetune_lm", "train_classifier", "predict", "check_leaks", "evaluate"):
        assert jobs[rule] == 3
    assert f"results/classify/{OWN}/metrics.json" in output
    # A name that begins like a set of peaks is no such set.
    output = snakemake("-n", "--", f"results/chipseq/{OWN}x/stats.json", fails=True)
    assert f"{OWN}x is no set of this run, did you mean {OWN}" in output


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (
            ["kmers={stride: 60}", "discriminate={epochs: 0}"],
            r"peaks.width is 61, but two tokens take k \+ stride = 63 bases \(kmers\); raise it",
        ),
        (
            ["variants={far: {kmers: {stride: 59}, discriminate: {epochs: 0}}}"],
            r"two tokens take k \+ stride = 62 bases \(variants.far\)",
        ),
        (
            ["baselines=[lsgkm]", "peaks={distance: 50, width: 2048}"],
            "peaks.width is 2048, and LS-GKM reads 2047 bases at most",
        ),
    ],
)
def test_widths_that_no_method_can_read_are_told_before_any_job(snakemake, peaks, config, told):
    assert re.search(told, snakemake("--dry-run", "--config", *config, fails=True))


def test_peaks_are_cut_split_and_given_negatives(snakemake, peaks):
    """Really run up to the split, with names that a shell would trip over."""
    targets = [f"results/chipseq/{name}/stats.json" for name in (OWN, OTHER)]
    snakemake("--", *targets)
    for name, kind in ((OWN, "genomic"), (OTHER, "bed")):
        folder = snakemake.folder / "results" / "chipseq" / name
        stats = json.loads((folder / "stats.json").read_text())
        assert (stats["status"], stats["negatives"], stats["width"]) == ("ok", kind, 61)
        contigs = {}
        for part in ("train", "validation", "test"):
            with gzip.open(folder / f"{part}.tsv.gz", "rt") as stream:
                rows = list(csv.DictReader(stream, delimiter="\t"))
            assert {row["label"] for row in rows} == {"0", "1"}
            for row in rows:
                contig, _, span = row["name"].partition(":")
                start, end = map(int, span.split("-"))
                assert row["sequence"] == peaks[contig][start:end]
                contigs.setdefault(part, set()).add(contig)
                if row["label"] == "1":
                    assert (start + 30) % 700 == 540
        assert contigs["test"] == {"chr3"}
        assert contigs["train"] == {"chr1", "chr2"}
    # Another width makes the split anew, and nothing else; a checksum that is given holds.
    jobs, _ = snakemake.plan("--config", "peaks={width: 71}", "--", *targets)
    assert jobs == {"split_peaks": 2}
    # What the user's own negatives are not made by splits nothing anew.
    jobs, _ = snakemake.plan("--config", "peaks={width: 61, distance: 60}", "--", *targets)
    assert jobs == {"split_peaks": 1}
    (snakemake.folder / "own.bed").write_text("chr1\t5\t9\n")
    output = snakemake("--", targets[1], fails=True)
    assert "ERROR own.bed: sha256 is" in output


def test_contigs_of_another_custom_fail_with_the_reason(snakemake, peaks):
    text = gzip.decompress((snakemake.folder / "my peaks.narrowPeak.gz").read_bytes()).decode()
    (snakemake.folder / "my peaks.narrowPeak.gz").write_text(text.replace("chr", ""))
    output = snakemake("--", f"results/chipseq/{OWN}/stats.json", fails=True)
    assert (
        f"ERROR resources/peaks/{OWN}.peaks: the peaks name contigs as 1, 2, 3, the genome as "
        "chr1, chr2, chr3; put chr before the peaks' contigs"
    ) in output
