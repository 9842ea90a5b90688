"""What the record of a run is made of: its results, its sources, and who made what."""

import shlex
import sys

# By the environment, which jobs inherit: params or a file would run the rule anew for each command.
if workflow.is_main_process:
    os.environ.update(DFLM_COMMAND=shlex.join(["snakemake", *sys.argv[1:]]))


def trained_models(method, row):
    """Return the metrics of the language models that a method has on a set."""
    chosen = method.settings
    start = chosen["classifier"]["start"]
    if method.kind != "model" or start == "random":
        return []
    folders = []
    if chosen["language_model"]["pretrained"] is None:
        folders.append(f"{home_at('pretrain', method.at)}pretrain")
        if discriminates(chosen):
            folders.append(f"{home_at('discriminate', method.at)}discriminate")
    if start == "finetuned":
        folders.append(finetuned_folder(method, row))
    return [f"results/{folder}/metrics.json" for folder in folders]


def reads_genome():
    """Say whether anything of the run reads the genome."""
    return bool(PEAK_SETS or mines("scan") or mines("variants") or any(map(reads_corpus, METHODS)))


def provenance_inputs(wildcards):
    """Return a file of each folder of results, and all that is made last."""
    rows = startable(all_rows())
    good = good_rows(rows)
    files = [split_file(row["dataset"], "stats.json") for row in rows]
    files += [metrics_of(method, row) for method in METHODS for row in good]
    files += [path for method in METHODS for row in good for path in trained_models(method, row)]
    if reads_genome():
        files.append("results/genome/index.json")
    names = ("auc.tsv", "methods.md")
    files += [f"results/summary/{name}" for name in names] + comparison_files()
    files += set_pages(wildcards) + learning_curves(wildcards) + mining_files(wildcards)
    if mines("motifs"):
        files += motif_summary_inputs(wildcards)["pages"]
    return dict(results=sorted(set(files)))


def provenance_sources():
    """Return the files that the run was given or fetched."""
    files, mined = [], config["mining"]
    if reads_genome():
        files.append(placed(GENOME))
    # A sheet's rows may all name their own files.
    fetched = ROWS is None or any(
        not (row["peaks"] or (row["train"] and row["test"])) for row in ROWS
    )
    if fetched and is_archive(config["datasets"]["source"]):
        files.append(placed(ARCHIVE))
    files.append(config["datasets"]["sheet"] or placed("results/chipseq/datasets.tsv"))
    for row in startable(all_rows()):
        name = row["dataset"]
        if name in PEAK_SETS:
            kinds = ["peaks", "negatives"] if row["negatives"] else ["peaks"]
            files += [placed(f"resources/peaks/{name}.{kind}") for kind in kinds]
        else:
            files += [placed(f"resources/chipseq/{name}_{part}.seq.gz") for part in ("AC", "B")]
    given = {method.settings["language_model"]["pretrained"] for method in METHODS} - {None}
    files += [path for each in sorted(given) for path in pretrained_files(each)]
    if mines("motifs") and mined["motifs"]["database"]:
        files.append(placed(MOTIF_DATABASE))
    if mines("scan") and mined["scan"]["regions"]:
        files.append(mined["scan"]["regions"])
    if mines("variants"):
        files.append(mined["variants"]["vcf"])
    return files


def provenance_told():
    """Return, as params, what `dflm.provenance.write_provenance` takes beside results and command."""
    return dict(
        sources=provenance_sources(),
        rules={
            each.name: [re.compile(path.regex()).pattern for path in each.output]
            for each in workflow.rules
            if each.output and each.output[0].startswith(placed("results/"))
        },
        config=config,
        seeds={name_at(method.at): method.seed for method in METHODS},
        snakemake=SNAKEMAKE,
        workflow=RULES if is_address(RULES) else None,
    )
