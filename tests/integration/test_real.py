"""The main job on real sequence and real ChIP-seq sets reaches what RESULTS.md says."""

import csv

import pytest
import run_real


@pytest.mark.real
@pytest.mark.slow
def test_four_real_sets_from_genome_to_table(real_data, tmp_path):
    chosen = ["MYC_*", "SRF_*", "ELK1_*", "SUZ12_*"]
    seconds = run_real.run(tmp_path, cores=2, select=chosen, ablations=[])
    with (tmp_path / "results/summary/auc.tsv").open() as file:
        rows = {row["tf"]: row for row in csv.DictReader(file, delimiter="\t") if row["tf"]}
    assert {row["status"] for row in rows.values()} == {"ok"}
    auroc = [float(rows[tf]["auroc"]) for tf in ("MYC", "SRF", "ELK1", "SUZ12")]
    assert sum(auroc) / len(auroc) >= 0.90
    for row in rows.values():
        assert abs(float(row["floor_auroc"]) - 0.5) <= 0.03
        assert float(row["lm_bits_per_base_after"]) < float(row["lm_bits_per_base_before"])
    assert seconds < 40 * 60
