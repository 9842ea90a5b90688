"""From a narrowPeak file and a genome to the table, on real human sequence."""

import csv
import gzip
import json
import re

import pytest
import run_real
import yaml
from runs import Snakemake

SITE = "TGA[CG]TCA"  # AP-1, which reads the same on both strands
NAME = "AP1_sites"
HELD_OUT = "hg19_chr17_0_1000000"
CONFIG = {
    "genome": {"include": ["*"], "exclude": [], "validation": [HELD_OUT]},
    "datasets": {"source": None, "sheet": "sheet.tsv"},
    "chipseq": {"min_peaks": 500},
    "language_model": {"embedding": 32, "hidden": 96, "layers": 1, "drop_mult": 0.1},
    "pretrain": {
        "batch_size": 32,
        "learning_rate": 0.01,
        "validations_per_epoch": 2,
        "validation_tokens": 100_000,
    },
    "discriminate": {
        "epochs": 2,
        "windows": 3000,
        "validation_windows": 50,
        "batch_size": 32,
        "learning_rate": 0.005,
    },
    "finetune": {"epochs": 1, "batch_size": 32},
    "classifier": {
        "batch_size": 32,
        "drop_mult": 0.1,
        "lr_range": 5.0,
        "stages": [{"unfreeze": "all", "epochs": 10, "learning_rate": 0.02}],
        "patience": None,
    },
}


@pytest.mark.real
@pytest.mark.slow
def test_peaks_on_real_sequence_from_bed_to_table(real_data, tmp_path):
    """The motif that the peaks were placed by is found, and the floor is shown beside it."""
    genome = real_data / "genome" / "human_pieces.fa.gz"
    lines = [
        f"{contig}\t{at.start() - 90}\t{at.start() + 110}\t.\t0\t.\t1\t-1\t-1\t93\n"
        for contig, sequence in run_real.records(genome)
        for at in re.finditer(SITE, sequence.upper())
        if at.start() >= 90 and at.start() + 110 <= len(sequence)
    ]
    (tmp_path / "sites.narrowPeak.gz").write_bytes(gzip.compress("".join(lines).encode()))
    (tmp_path / "sheet.tsv").write_text(f"dataset\tpeaks\n{NAME}\tsites.narrowPeak.gz\n")
    config = CONFIG | {"genome": CONFIG["genome"] | {"source": str(genome)}}
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.yaml").write_text(yaml.safe_dump(config))
    run, results = Snakemake(tmp_path), tmp_path / "results"
    for kind in ("genomic", "shuffle"):
        output = run("--config", f"peaks={{negatives: {kind}}}")
        # The language model of the genome serves both.
        assert ("rule pretrain_lm:" in output) == (kind == "genomic")
        with (results / "summary" / "auc.tsv").open() as stream:
            row = next(csv.DictReader(stream, delimiter="\t"))
        metrics = json.loads((results / "classify" / NAME / "metrics.json").read_text())
        stats = json.loads((results / "chipseq" / NAME / "stats.json").read_text())
        shown = ("train_positives", "test_positives", "auroc", "floor_auroc")
        print(f"\n{kind}:", *(f"{name} {row[name]}" for name in shown))  # pytest -s
        assert (row["dataset"], row["status"]) == (NAME, "ok")
        assert stats["test_contigs"] == [HELD_OUT]
        assert float(row["test_in_corpus"]) == 0
        assert float(row["test_positives"]) > 100
        assert metrics["negatives"] == stats["negatives"] == kind
        if kind == "shuffle":
            assert float(row["floor_auroc"]) == pytest.approx(0.5, abs=0.03)
        assert float(row["auroc"]) > max(0.8, float(row["floor_auroc"]) + 0.2)
