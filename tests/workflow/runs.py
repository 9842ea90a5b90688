"""Runs of Snakemake in a folder of their own."""

import functools
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
NAMES = ("ELK1_GM12878_ELK1_(1277-1)_Stanford", "MED-2.1_H1-hESC", "USF1_H1-hESC_USF-1_Hudson")


class Snakemake:
    """Snakemake on this workflow, in one working directory."""

    options = ("--cores", "1")

    def __init__(self, folder):
        self.folder = folder
        self.snakefile = ROOT / "workflow" / "Snakefile"

    def start(self, *arguments, **how):
        """Start Snakemake and do not wait for it; `how` goes to Popen."""
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(self.snakefile)]
        return subprocess.Popen(
            [*command, "--directory", str(self.folder), *self.options, *arguments],
            cwd=self.folder,
            env=os.environ | {"XDG_CACHE_HOME": str(self.folder / "cache")},
            stderr=subprocess.STDOUT,
            text=True,
            **({"stdout": subprocess.PIPE} | how),
        )

    def __call__(self, *arguments, fails=False):
        with self.start(*arguments) as process:
            output, _ = process.communicate()
        assert (process.returncode != 0) == fails, output
        return output

    def plan(self, *arguments):
        """Return how many jobs of each rule a dry run plans, and its whole output."""
        output = self("--dry-run", *arguments)
        rows = re.findall(r"^(\w+) +(\d+)$", output, re.MULTILINE)
        jobs = {rule: int(number) for rule, number in rows if rule != "total"}
        return jobs, output


@functools.cache
def rule_functions(*more):
    """Return the functions of methods.smk and config.smk, and of more files of plain Python."""
    namespace = {}
    for name in ("methods.smk", "config.smk", *more):
        path = ROOT / "workflow" / "rules" / name
        exec(compile(path.read_text(), str(path), "exec"), namespace)
    return namespace


def copy_workflow(snakemake):
    """Let Snakemake run a copy, which a test may edit."""
    copy = snakemake.folder / "workflow"
    shutil.copytree(ROOT / "workflow", copy, ignore=shutil.ignore_patterns("__pycache__"))
    snakemake.snakefile = copy / "Snakefile"


def set_status(snakemake, status):
    parts = ("train", "validation", "test")
    sizes = {f"{part}_{kind}": 4 for part in parts for kind in ("positives", "negatives")}
    for name, word in status.items():
        path = snakemake.folder / "results" / "chipseq" / name / "stats.json"
        content = {"status": word, "reason": "too few peaks", "width": 101}
        path.write_text(json.dumps(content | sizes))


def write_folder(folder):
    """Write three sets as files, a genome, a sheet and a configuration of them into a folder."""
    (folder / "data").mkdir()
    for name in NAMES:
        for part in ("AC", "B"):
            (folder / "data" / f"{name}_{part}.seq.gz").write_bytes(b"\x1f\x8b")
    (folder / "genome.fa").write_text(">chr1\nACGT\n")
    (folder / "config").mkdir()
    (folder / "config" / "config.yaml").write_text(
        "genome: {source: genome.fa}\ndatasets: {source: data, sheet: sheet.tsv}\n"
    )
    rows = [f"{name}\tTF{number // 2}" for number, name in enumerate(NAMES)]
    (folder / "sheet.tsv").write_text("\n".join(["dataset\tfamily", *rows]) + "\n")
