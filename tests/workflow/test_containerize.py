"""The image of all conda environments: what `snakemake --containerize` writes is committed."""

import os
import re
import subprocess
import sys

import pytest
from runs import ROOT, copy_workflow
from snakemake import __version__ as SNAKEMAKE

# Snakemake asks a conda who it is before it writes down what one would have to do.
CONDA = """#!/bin/sh
case "$1" in
--version) echo conda 24.9.9 ;;
info) echo '{"conda_prefix": "/", "root_prefix": "/", "platform": "linux-64", "envs": []}' ;;
config) echo '{"get": {"channel_priority": "strict"}}' ;;
esac
"""


def containerized(snakemake, **environment):
    programs = snakemake.folder / "programs"
    programs.mkdir(exist_ok=True)
    (programs / "conda").write_text(CONDA)
    (programs / "conda").chmod(0o755)
    environment |= {"PATH": f"{programs}:{os.environ['PATH']}"}
    command = [sys.executable, "-m", "snakemake", "--containerize"]
    done = subprocess.run(
        command,
        cwd=snakemake.folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(
    f"snakemake=={SNAKEMAKE}" not in (ROOT / "constraints.txt").read_text().split(),
    reason="another version of Snakemake words it in another way",
)
def test_the_committed_dockerfile_is_that_of_the_environments(snakemake):
    copy_workflow(snakemake)
    written = containerized(snakemake)
    how = "write it anew: snakemake --containerize > Dockerfile"
    assert (ROOT / "Dockerfile").read_text() == written, how


def test_every_environment_is_in_the_image():
    text = (ROOT / "Dockerfile").read_text()
    copied = set(re.findall(r"^COPY workflow/envs/(\S+)", text, re.MULTILINE))
    assert copied == {path.name for path in (ROOT / "workflow" / "envs").glob("*.yaml")}


def test_an_image_takes_the_place_of_the_environments(snakemake, monkeypatch):
    copy_workflow(snakemake)
    snakefile = snakemake.folder / "workflow" / "Snakefile"
    told = "print('IMAGE', workflow.modifier.global_container_img, "
    told += "workflow.modifier.global_is_containerized)\n"
    snakefile.write_text(snakefile.read_text() + told)
    assert "IMAGE None False" in snakemake("--dry-run")
    monkeypatch.setenv("DFLM_IMAGE", "dflm.sif")
    assert "IMAGE dflm.sif True" in snakemake("--dry-run")
