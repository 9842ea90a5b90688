"""A working directory with three sets, and Snakemake in it."""

import json

import pytest
from runs import NAMES, Snakemake, copy_workflow, set_status, write_folder

BASELINES = ("floor", "gkm", "lsgkm", "cnn")
METHODS = """
baselines: [floor, gkm, lsgkm, cnn]
ablations: [random]
variants: {wide: {classifier: {head: {hidden: 100}}}}
mining:
  run: [motifs, scan, variants, models]
  motifs: {database: db.meme}
  variants: {vcf: my.vcf}
"""


@pytest.fixture
def folder(tmp_path):
    """A working directory with three sets as files, a genome, and a configuration of them."""
    write_folder(tmp_path)
    return tmp_path


@pytest.fixture
def snakemake(folder):
    return Snakemake(folder)


@pytest.fixture
def finished(snakemake):
    """A run that has ended, as far as Snakemake knows, of a copy of the workflow."""
    copy_workflow(snakemake)
    config = snakemake.folder / "config" / "config.yaml"
    config.write_text(config.read_text() + METHODS)
    for name in ("db.meme", "my.vcf"):
        (snakemake.folder / name).write_text(name)
    files = ["resources/genome/genome.fa", "results/genome/index.json"]
    files += ["resources/motifs/database.meme", "results/variants/annotated.vcf.gz"]
    files += ["results/variants/effects.tsv", "results/variants/effects.svg"]
    files += ["results/summary/motifs.tsv"]
    files += ["results/summary/motifs.html", "LICENSE"]
    files += [f"results/models/{name}/model.json" for name in NAMES]
    ends = ("attributions.npz", "top_sites.svg", "motifs.meme", "motifs.transfac", "motifs.json")
    ends += ("matches.tsv", "index.html", "motifs.tsv", "sites.tsv", "logos/pos_0.svg")
    files += [f"results/motifs/{name}/{end}" for name in NAMES for end in ends]
    ends = ("scores.bw", "calls.bed", "scan.svg")
    files += [f"results/scan/{name}/{end}" for name in NAMES for end in ends]
    runs = [f"results/{shelf}/{name}" for shelf in ("classify", "finetune") for name in NAMES]
    folders = [f"results/methods/{method}/classify" for method in ("random", "wide", "gkm")]
    folders += [f"results/methods/{method}/classify" for method in ("floor", "lsgkm", "cnn")]
    for run in [
        "results/pretrain",
        "results/discriminate",
        *runs,
        *(f"{each}/{name}" for each in folders for name in NAMES),
    ]:
        files += [f"{run}/{name}" for name in ("model.safetensors", "model.json")]
        files += [f"{run}/{name}" for name in ("metrics.json", "metrics.jsonl")]
        files.append(f"{run}/learning_curve.svg")
    for name in NAMES:
        files += [f"resources/chipseq/{name}_{part}.seq.gz" for part in ("AC", "B")]
        files += [
            f"results/chipseq/{name}/{part}.tsv.gz" for part in ("train", "validation", "test")
        ]
        files.append(f"results/chipseq/{name}/leaks.json")
        for folder in ("results/classify", *folders):
            ends = ("predictions.tsv", "validation_predictions.tsv", "model.npz", "model.txt")
            ends += ("roc.svg", "pr.svg", "reliability.svg", "scores.svg")
            files += [f"{folder}/{name}/{end}" for end in ends]
            jobs = ("train_classifier", "predict", *(f"run_{kind}" for kind in BASELINES))
            files += [f"{folder}/{name}/seconds/{job}.json" for job in jobs]
        files += [
            f"results/chipseq/{name}/seconds/{rule}.json" for rule in ("split", "check_leaks")
        ]
    files += [f"results/summary/auc.{end}" for end in ("tsv", "html", "svg")]
    files += [f"results/summary/comparison.{end}" for end in ("tsv", "html", "svg")]
    files += ["results/summary/methods.tsv", "results/summary/ranks.svg"]
    files += ["results/summary/methods.md", "results/summary/provenance.json"]
    files += [f"results/classify/{name}/report.html" for name in NAMES]
    for file in files:
        path = snakemake.folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file)
    (snakemake.folder / "results" / "genome" / "contigs").mkdir()
    contig = {"split": "train", "length": 4, "soft_masked": 0}
    index = snakemake.folder / "results" / "genome" / "index.json"
    index.write_text(json.dumps({"contigs": [contig]}))
    set_status(snakemake, dict.fromkeys(NAMES, "ok"))
    snakemake("--touch")
    return snakemake
