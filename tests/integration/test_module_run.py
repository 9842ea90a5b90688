"""Another workflow uses this one as a module, with a prefix before all paths, and runs it."""

import json

import pytest
import yaml
from runs import ROOT, Snakemake
from small_run import CONFIG, STRONG, Run

SNAKEFILE = f"""
configfile: "mine.yaml"

rule first:
    input: "mine.txt"

module dflm:
    snakefile: "{ROOT}/workflow/Snakefile"
    config: config["tf"]
    prefix: "published"

use rule * from dflm as dflm_*

rule mine:
    input: rules.dflm_all.input
    output: "mine.txt"
    shell: "wc -l {{input:q}} > {{output}}"
"""


@pytest.mark.slow
def test_a_module_with_a_prefix_comes_to_the_table(tmp_path):
    config = CONFIG | {"datasets": CONFIG["datasets"] | {"select": [STRONG]}}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"tf": config | {"baselines": ["floor"]}}))
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    snakemake = Snakemake(tmp_path)
    snakemake.snakefile = tmp_path / "Snakefile"
    snakemake()
    assert "published/results/summary/methods.tsv" in (tmp_path / "mine.txt").read_text()
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} <= {
        *("published", ".snakemake", "cache")
    }
    run = Run(tmp_path / "published")
    row = run.table()[STRONG]
    assert row["status"] == "ok"
    assert float(row["auroc"]) > 0.75
    assert float(row["runtime_seconds"]) > 0  # from benchmarks, which are params
    metrics = json.loads(run.path("classify", STRONG, "metrics.json").read_text())
    assert float(row["auroc"]) == pytest.approx(metrics["auroc"], abs=1e-6)
