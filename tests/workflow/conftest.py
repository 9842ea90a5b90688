"""A working directory with three sets, and Snakemake in it."""

import pytest
from runs import NAMES, Snakemake


@pytest.fixture
def folder(tmp_path):
    """A working directory with three sets as files, a genome, and a configuration of them."""
    (tmp_path / "data").mkdir()
    for name in NAMES:
        for part in ("AC", "B"):
            (tmp_path / "data" / f"{name}_{part}.seq.gz").write_bytes(b"\x1f\x8b")
    (tmp_path / "genome.fa").write_text(">chr1\nACGT\n")
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.yaml").write_text(
        "genome: {source: genome.fa}\ndatasets: {source: data, sheet: sheet.tsv}\n"
    )
    rows = [f"{name}\tTF{number // 2}" for number, name in enumerate(NAMES)]
    (tmp_path / "sheet.tsv").write_text("\n".join(["dataset\tfamily", *rows]) + "\n")
    return tmp_path


@pytest.fixture
def snakemake(folder):
    return Snakemake(folder)
