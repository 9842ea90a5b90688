"""The workflow used from elsewhere: as a module, from any folder, in folders with blanks."""

import shutil
import subprocess
import sys

import pytest
import yaml
from runs import NAMES, ROOT, Snakemake

MODULE = """
rule mine:
    input: "mine.txt"

module dflm:
    snakefile: "{snakefile}"
    config: config["tf"]
    {prefix}

use rule * from dflm as dflm_*

use rule train_classifier from dflm as dflm_train_classifier with:
    resources:
        runtime=7

rule list:
    input: rules.dflm_all.input
    output: "mine.txt"
    shell: "ls {{input}} > {{output}}"
"""


def as_module(folder, prefix):
    """Let another workflow in this folder use the rules, with a configuration of its own."""
    mine = yaml.safe_load((folder / "config" / "config.yaml").read_text())
    config = {"tf": mine | {"seed": 5}}
    (folder / "mine.yaml").write_text(yaml.safe_dump(config))
    shutil.rmtree(folder / "config")
    text = MODULE.format(snakefile=ROOT / "workflow" / "Snakefile", prefix=prefix)
    (folder / "Snakefile").write_text('configfile: "mine.yaml"\n' + text)
    snakemake = Snakemake(folder)
    snakemake.snakefile = folder / "Snakefile"
    return snakemake


@pytest.mark.parametrize(
    ("prefix", "where"), [("", "results"), ('prefix: "published"', "published/results")]
)
def test_another_workflow_uses_the_rules_as_a_module(folder, prefix, where):
    snakemake = as_module(folder, prefix)
    with (folder / "Snakefile").open("a") as file:
        file.write("import sys\nprint('local:', *workflow._localrules, file=sys.stderr)\n")
    jobs, output = snakemake.plan()
    names = ("get_genome", "shard_genome", "pretrain_lm", "discriminate_genome", "summarise")
    sets = ("get_chipseq", "split_chipseq", "finetune_lm", "train_classifier", "evaluate")
    wanted = {f"dflm_{name}": 1 for name in names} | {f"dflm_{name}": len(NAMES) for name in sets}
    # The other's first rule stays its default target.
    assert wanted | {"mine": 1} == {name: jobs.get(name) for name in [*wanted, "mine"]}, output
    # Where jobs run there may be no way out to the internet.
    assert {"dflm_get_genome", "dflm_get_chipseq"} <= set(output.split("local: ")[1].split())
    for place in ("pretrain/model.safetensors", f"classify/{NAMES[0]}/metrics.json"):
        assert f" {where}/{place}" in output
    assert " results/" not in output.replace(f" {where}/", " ")
    assert "runtime=7" in output  # what the other workflow changes of a rule


def test_a_prefix_is_put_before_results_alone(folder):
    """Of a workflow that lies below the working directory, as a submodule of git does."""
    snakemake = as_module(folder, 'prefix: "published"')
    shutil.copytree(
        ROOT / "workflow", folder / "ext" / "workflow",
        ignore=shutil.ignore_patterns("__pycache__"),
    )  # fmt: skip
    shutil.copy(ROOT / "LICENSE", folder / "ext" / "LICENSE")
    file = folder / "Snakefile"
    asked = "sys.stderr.write(f'read at {told.source(None)}')"
    told = f"\nimport sys\ntold = workflow.get_rule('dflm_get_motif_database').params\n{asked}\n"
    file.write_text(file.read_text().replace(str(ROOT), str(folder / "ext")) + told)
    config = yaml.safe_load((folder / "mine.yaml").read_text())
    database = "resources/demo/motifs.meme"
    config["tf"]["mining"] = {"run": ["motifs", "models"], "motifs": {"database": database}}
    (folder / "mine.yaml").write_text(yaml.safe_dump(config))
    jobs, output = snakemake.plan()
    assert jobs["dflm_pack_model"] == len(NAMES)
    assert " ext/LICENSE" in output
    assert f"read at published/{database}" in output


@pytest.mark.parametrize("on", [True, False])
def test_each_job_is_told_whether_the_run_is_a_deterministic_one(folder, on):
    snakemake = as_module(folder, "")
    config = yaml.safe_load((folder / "mine.yaml").read_text())
    config["tf"]["deterministic"] = on
    (folder / "mine.yaml").write_text(yaml.safe_dump(config))
    rule = 'rule tell:\n    output: "told"\n    shell: "printenv DFLM_DETERMINISTIC > {output}"\n'
    with (folder / "Snakefile").open("a") as file:
        file.write(rule)
    snakemake("told")
    assert (folder / "told").read_text() == f"{int(on)}\n"


def test_the_module_is_checked_by_the_same_words(folder):
    snakemake = as_module(folder, "")
    (folder / "mine.yaml").write_text("tf: {genom: {source: genome.fa}}\n")
    output = snakemake("--dry-run", fails=True)
    assert "genom is no key of the configuration, did you mean genome" in output


def test_snakefile_and_directory_are_named_from_any_folder(folder, tmp_path_factory):
    """By --snakefile and --directory from a third folder, and without either within a copy."""
    third = tmp_path_factory.mktemp("third")
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--cores", "1", "--quiet", "rules"]
    snakefile = ["--snakefile", str(ROOT / "workflow" / "Snakefile")]
    subprocess.run([*command, *snakefile, "--directory", str(folder)], cwd=third, check=True)
    assert not list(third.iterdir())
    shutil.copytree(
        ROOT / "workflow", folder / "workflow", ignore=shutil.ignore_patterns("__pycache__")
    )
    subprocess.run(command, cwd=folder, check=True)


def test_folders_may_have_blanks_in_their_names(folder, tmp_path):
    """Of the workflow and of the working directory; a rule really runs there."""
    home = tmp_path / "a folder" / "my work"
    shutil.copytree(folder, home, ignore=shutil.ignore_patterns("a folder"))
    snakemake = Snakemake(home)
    shutil.copytree(
        ROOT / "workflow", home / "workflow", ignore=shutil.ignore_patterns("__pycache__")
    )
    snakemake.snakefile = home / "workflow" / "Snakefile"
    config = home / "config" / "config.yaml"
    chosen = "genome: {source: genome.fa, include: ['*'], exclude: [], validation: [chr8]}"
    config.write_text(config.read_text().replace("genome: {source: genome.fa}", chosen))
    (home / "genome.fa").write_text(">chr1\n" + "ACGT" * 50 + "\n>chr8\n" + "ACCT" * 50 + "\n")
    snakemake("--", "results/genome/index.json")
    assert (home / "results" / "genome" / "index.json").exists()
    jobs, _ = snakemake.plan()
    assert jobs["train_classifier"] == len(NAMES)


def test_the_workflow_catalog_is_told_what_there_is():
    told = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    deployment = told["software-stack-deployment"]
    rules = [path.read_text() for path in (ROOT / "workflow" / "rules").glob("*.smk")]
    assert deployment["conda"] == any("conda:" in text for text in rules)
    assert told["report"] == any("report(" in text for text in rules)
    # No flag is needed beyond those that the catalog shows, and config/ is where it looks.
    assert told["mandatory-flags"] == {"desc": None, "flags": None}
    assert (ROOT / "config" / "README.md").exists()
    assert (ROOT / "config" / "config.yaml").exists()
