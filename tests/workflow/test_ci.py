"""The project's own checks on a server are those of the Makefile."""

import re
import tomllib

import yaml
from runs import ROOT

JOBS = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())["jobs"]
STEPS = [step["run"] for job in JOBS.values() for step in job["steps"] if "run" in step]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_every_step_is_a_target_of_the_makefile():
    makefile = (ROOT / "Makefile").read_text()
    targets = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[1].split()
    settings = set(re.findall(r"^(\w+) \?=", makefile, re.MULTILINE))
    for step in STEPS:
        command, target, *given = step.split(maxsplit=2)
        assert command == "make", step
        assert target in targets, step
        assert set(re.findall(r"(\w+)=", " ".join(given))) <= settings, step
    used = {step.split()[1] for step in STEPS}
    assert {"lint", "test", "dry-run", "demo", "test-workflow"} <= used


def test_the_oldest_python_and_snakemake_that_are_promised_are_tried():
    oldest = PROJECT["project"]["requires-python"].removeprefix(">=")
    assert JOBS["test"]["strategy"]["matrix"]["python"][0] == oldest
    tried = JOBS["snakemake"]["strategy"]["matrix"]["snakemake"]
    snakefile = (ROOT / "workflow" / "Snakefile").read_text()
    least = re.search(r'min_version\("(.*)"\)', snakefile)[1]
    (wanted,) = [
        need.removeprefix("snakemake")
        for need in PROJECT["dependency-groups"]["run"]
        if isinstance(need, str) and re.match(r"snakemake[<>=]", need)
    ]
    assert tried == [f"=={least}.*", wanted]
