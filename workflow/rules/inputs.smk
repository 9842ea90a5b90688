"""Input functions: what a job of a set, a group, a method or all of them takes."""


def local_source(source):
    """Return a local source as an input, and nothing for an address."""
    if source is None or is_address(source):
        return []
    return source if source.startswith(DEMO) else outside(source)


def source_place(source):
    """Return, as params, where a source is read: what the demo simulates stands among the results."""
    return placed(source) if source and source.startswith(DEMO) else source


def is_archive(source):
    """Say whether the sets come out of an archive rather than a folder or the sheet."""
    return source is not None and (is_address(source) or not Path(source).is_dir())


def chipseq_folder():
    """Return the folder that holds the sets' files, unpacked or the user's; [] if there is none."""
    source = config["datasets"]["source"]
    if is_archive(source):
        return "resources/chipseq/archive"
    return outside(source) if source else []


def sets_in_folder(wildcards):
    """Return, as params, the files of sets in the user's folder, whose own date tells nothing of folders in it."""
    source = config["datasets"]["source"]
    if not source or is_archive(source):
        return None
    return sorted(str(path.relative_to(source)) for path in Path(source).rglob("*.seq.gz"))


def chipseq_files(wildcards):
    """Return the local files that rule get_chipseq copies, or the folder that will hold them."""
    row, source, files = row_of(wildcards.dataset), config["datasets"]["source"], []
    for column, part in (("train", "AC"), ("test", "B")):
        if row[column]:
            given = local_source(row[column])
            files += [given] if given else []
        elif is_archive(source):
            files.append(chipseq_folder())
        else:
            files.append(outside(find_in(source, f"{row['dataset']}_{part}.seq.gz") or source))
    return files


def chipseq_source(wildcards):
    """Return where rule get_chipseq takes a set from, as arguments of `take_set`."""
    row = row_of(wildcards.dataset)
    where = {column: row[column] or None for column in ("train", "test")}
    for column in ("train", "test"):
        digest = row.get(f"{column}_sha256")
        where[f"{column}_checksum"] = f"sha256:{digest}" if digest else None
    # Of a row that names both files the folder is no matter, nor then a reason to train again.
    folder = (chipseq_folder() or None) if not (row["train"] and row["test"]) else None
    return where | dict(
        folder=placed(folder) if folder and is_archive(config["datasets"]["source"]) else folder
    )


def peak_files(wildcards):
    """Return the fetched peaks of a set and, where the sheet names them, its negatives."""
    kinds = ["peaks", "negatives"] if row_of(wildcards.dataset)["negatives"] else ["peaks"]
    return {kind: f"resources/peaks/{wildcards.dataset}.{kind}" for kind in kinds}


def peak_split(wildcards):
    """Return, as params, what `split_peaks` takes, None for what the set's kind of negatives is not
    made by: a change of that is no reason to train again."""
    given = bool(row_of(wildcards.dataset)["negatives"])
    idle = []
    if given or config["peaks"]["negatives"] == "shuffle":
        idle += ["distance", "gc_tolerance"]
    if given:
        idle += ["negatives", "negatives_per_positive"]
    return config["chipseq"] | config["peaks"] | dict.fromkeys(idle)


def sheet_checksum(wildcards, column):
    """Return the checksum that the sheet gives for a file of a set, or None."""
    digest = row_of(wildcards.dataset)[f"{column}_sha256"]
    return f"sha256:{digest}" if digest else None


def pretrained_model(wildcards):
    """Return weights and card of the language model that a method's second pretraining starts from."""
    return model_in(f"{home_at('pretrain', wildcards.at)}pretrain")


def language_model(wildcards):
    """Return weights and card of the pretrained language model of a method."""
    chosen = settings(wildcards)
    given = chosen["language_model"]["pretrained"]
    if given is None:
        stage = "discriminate" if discriminates(chosen) else "pretrain"
        return model_in(f"{home_at(stage, wildcards.at)}{stage}")
    weights, card = pretrained_files(given)
    return dict(weights=outside(weights), card=outside(card))


def model_in(folder):
    """Return weights and card of the model in a folder of results/."""
    return dict(weights=f"results/{folder}/model.safetensors", card=f"results/{folder}/model.json")


def group_rows(wildcards):
    """Return the rows of a group's sets."""
    method = method_of(wildcards)
    rows = [row for row in all_rows() if group_of(row, method) == wildcards.group]
    if not rows:
        groups = sorted({group_of(row, method) for row in all_rows()})
        raise WorkflowError(
            f"{wildcards.group} is no group of finetune.group_by: "
            f"{method.settings['finetune']['group_by']}{closest(wildcards.group, groups)}"
        )
    return rows


def group_members(wildcards):
    """Return the names of a group's sets that were not skipped."""
    return [row["dataset"] for row in good_rows(group_rows(wildcards))]


def split_stats(rows):
    """Return the statistics of all sets that could start.

    A job that takes the good ones of several sets waits for these too: a set that an earlier run
    skipped may be a good one now. One that was skipped for good is nothing to it.
    """
    names = [row["dataset"] for row in startable(rows)]
    return [
        split_file(name, "stats.json")
        for name in names
        if not (is_split(name) and is_skipped(name))
    ]


def group_stats(wildcards):
    return split_stats(group_rows(wildcards))


def width_between_members(wildcards):
    """Return the bases by which peaks of several sets of a group are near duplicates; of one, None."""
    several = len(group_members(wildcards)) > 1
    return config["chipseq"]["near_duplicate_width"] if several else None


def group_splits(part):
    """Return an input function for one part of the splits of a group's sets."""
    return lambda wildcards: [
        split_file(name, f"{part}.tsv.gz") for name in group_members(wildcards)
    ]


def finetuned_folder(method, row):
    """Return where in results/ the fine-tuned language model of a method stands that serves a set."""
    return f"{home_at('finetune', method.at)}finetune/{group_of(row, method)}"


def encoder_of(wildcards):
    """Return weights and card of the language model that a classifier starts from, if there is one."""
    method, row = method_of(wildcards), row_of(wildcards.dataset)
    start = method.settings["classifier"]["start"]
    if start == "random":
        return {}
    if start == "pretrained":
        return language_model(wildcards)
    return model_in(finetuned_folder(method, row))


def classifier_of(wildcards):
    """Return weights and card of the classifier that predicts for a method."""
    return model_in(f"{home_at('classify', wildcards.at)}classify/{wildcards.dataset}")


def members_of_ensemble():
    """Return the trainings that are averaged: of each method named, with each seed."""
    return [method for method in METHODS if method.name in config["ensemble"]]


def ensemble_inputs(wildcards):
    """Return what the members of an ensemble say of validation and test sequences, and their cards."""
    homes = [home_at("classify", method.at) for method in members_of_ensemble()]
    folders = [f"results/{home}classify/{wildcards.dataset}" for home in homes]
    own = [f"results/{method.at}classify/{wildcards.dataset}" for method in members_of_ensemble()]
    return dict(
        cards=[f"{folder}/model.json" for folder in folders],
        validation=[f"{folder}/validation_predictions.tsv" for folder in folders],
        test=[f"{folder}/predictions.tsv" for folder in own],
    )


def evaluation_inputs(wildcards):
    """Return what evaluate needs; of a skipped set only the statistics, which say why."""
    dataset, method = wildcards.dataset, method_of(wildcards)
    row, own = row_of(dataset), f"results/{method.at}classify/{dataset}"
    files = dict(stats=split_file(dataset, "stats.json"))
    if is_skipped(dataset):
        return files
    files |= dict(
        predictions=f"{own}/predictions.tsv",
        train=f"results/chipseq/{dataset}/train.tsv.gz",
        test=f"results/chipseq/{dataset}/test.tsv.gz",
        leaks=f"results/chipseq/{dataset}/leaks.json",
        seconds=[
            f"results/chipseq/{dataset}/seconds/{job}.json" for job in ("split", "check_leaks")
        ],
    )
    if method.kind != "model":
        files["seconds"].append(f"{own}/seconds/run_{method.kind}.json")
        return files if method.kind == "floor" else files | dict(card=f"{own}/model.json")
    home = f"results/{home_at('classify', method.at)}classify/{dataset}"
    files["card"] = f"{home}/model.json"
    files["seconds"] += [f"{home}/seconds/train_classifier.json", f"{own}/seconds/predict.json"]
    start = method.settings["classifier"]["start"]
    if start == "finetuned":
        files["lm_metrics"] = f"results/{finetuned_folder(method, row)}/metrics.json"
    return files


def reads_corpus(method):
    """Say whether a method has read the genome's training contigs, as far as is known.

    What a given language model has read is not. An ensemble has read what any of its members has.
    """
    if method.kind == ENSEMBLE:
        return any(map(reads_corpus, members_of_ensemble()))
    if method.kind != "model" or method.settings["classifier"]["start"] == "random":
        return False
    return method.settings["language_model"]["pretrained"] is None


def windows_of(method):
    """Return what draws the windows of a method's second pretraining, or None without one."""
    if method.kind != "model" or not reads_corpus(method) or not discriminates(method.settings):
        return None
    chosen = method.settings["discriminate"]
    return {key: chosen[key] for key in ("epochs", "windows", "width")} | {"seed": config["seed"]}


def windows_shown():
    """Return those that the leak check looks through: of all methods, each once."""
    found = []
    for windows in filter(None, map(windows_of, METHODS)):
        if windows not in found:
            found.append(windows)
    return found


def shown_to(method):
    """Return what draws the windows of a method's second pretraining, of an ensemble's members'."""
    if method.kind == ENSEMBLE:
        drawn = [windows for member in members_of_ensemble() for windows in shown_to(member)]
        return [one for number, one in enumerate(drawn) if one not in drawn[:number]]
    return list(filter(None, [windows_of(method)]))


def corpus_of_any(wildcards):
    """Return the genome that the leak check looks test sequences up in, if a method reads it."""
    return corpus(wildcards) if any(map(reads_corpus, METHODS)) else {}


def corpus(wildcards):
    """Return what a language model reads: the genome, and what of it is withheld, if anything is."""
    files = dict(index="results/genome/index.json", contigs="results/genome/contigs")
    if config["genome"]["leaks"] == "remove":
        files["withheld"] = "results/genome/withheld.bed"
    return files


def test_parts(wildcards):
    """Return the test parts of the good sets, and the statistics of all that could start."""
    return dict(
        tests=[split_file(row["dataset"], "test.tsv.gz") for row in good_rows(all_rows())],
        stats=split_stats(all_rows()),
    )


def summary_inputs(wildcards):
    """Return the metrics of the good sets and the statistics of all that could start."""
    rows = startable(all_rows())
    return dict(
        metrics=[metrics_of(METHODS[0], row) for row in good_rows(rows)],
        stats=[split_file(row["dataset"], "stats.json") for row in rows],
    )


def summary_files(wildcards):
    """Return `summary_inputs` as one list.

    Another workflow that takes `rules.dflm_all.input` as an input of its own has no `unpack` around it.
    """
    return [path for paths in summary_inputs(wildcards).values() for path in paths]


def metrics_of(method, row):
    return f"results/{method.at}classify/{row['dataset']}/metrics.json"


def comparison_inputs(wildcards):
    """Return the metrics of all methods on the good sets, and what `summary_inputs` does."""
    rows = startable(all_rows())
    good = good_rows(rows)
    return dict(
        metrics=[metrics_of(method, row) for method in METHODS for row in good],
        stats=[split_file(row["dataset"], "stats.json") for row in rows],
    )


def comparison_files():
    """Return what rule compare_methods makes, as soon as there is something to compare."""
    names = ("methods.tsv", "comparison.tsv", "comparison.html", "comparison.svg", "ranks.svg")
    return [f"results/summary/{name}" for name in names] if len(METHODS) > 1 else []


def labels_of(view):
    """Return the labels of a set's picture in the report."""
    return lambda wildcards: {
        "set": wildcards.dataset,
        "method": name_at(wildcards.at),
        "plot": view,
    }


def methods_inputs(wildcards):
    """Return what the methods section tells of: what the configuration itself made on good sets."""
    files, rows = summary_inputs(wildcards), good_rows(all_rows())
    files["cards"] = [f"results/classify/{row['dataset']}/model.json" for row in rows]
    given = config["language_model"]["pretrained"]
    if PEAK_SETS or reads_corpus(METHODS[0]):
        files["index"] = "results/genome/index.json"
    if reads_corpus(METHODS[0]):
        files["pretrain"] = "results/pretrain/metrics.json"
        if discriminates(config):
            files["discriminate"] = "results/discriminate/metrics.json"
    elif given is not None and config["classifier"]["start"] != "random":
        files["pretrained_card"] = outside(pretrained_files(given)[1])
    return files


def set_pages(wildcards):
    """Return the page of each good set."""
    return [f"results/classify/{row['dataset']}/report.html" for row in good_rows(all_rows())]


def learning_curves(wildcards):
    """Return the plots of all training runs of the configuration itself."""
    rows, start = good_rows(all_rows()), config["classifier"]["start"]
    trained = start != "random" and config["language_model"]["pretrained"] is None
    runs = ["pretrain"] if trained else []
    if trained and discriminates(config):
        runs.append("discriminate")
    if start == "finetuned":
        runs += sorted({f"finetune/{group_of(row, METHODS[0])}" for row in rows})
    runs += [f"classify/{row['dataset']}" for row in rows]
    return [f"results/{run}/learning_curve.svg" for run in runs]


# ---- mining -------------------------------------------------------------------------------------


def mines(what):
    return what in config["mining"]["run"]


def matches_of(wildcards):
    """Return the matches of a set's motifs and the database, if there is one."""
    if config["mining"]["motifs"]["database"] is None:
        return {}
    return dict(matches=f"results/motifs/{wildcards.dataset}/matches.tsv", database=MOTIF_DATABASE)


def database_name():
    """Return what the motif database is called: its file's name, of an address that of its path."""
    given = config["mining"]["motifs"]["database"] or ""
    path = urlsplit(given).path if is_address(given) else given
    return os.path.basename(path) or os.path.basename(MOTIF_DATABASE)


def motif_tables(rows):
    return [f"results/motifs/{row['dataset']}/motifs.tsv" for row in rows]


def motif_summary_inputs(wildcards):
    """Return the tables of motifs of the good sets, and the statistics of all that could start."""
    rows = startable(all_rows())
    good = good_rows(rows)
    return dict(
        motifs=motif_tables(good),
        about=[f"results/motifs/{row['dataset']}/motifs.json" for row in good],
        logos=[f"results/motifs/{row['dataset']}/logos" for row in good],
        pages=[f"results/motifs/{row['dataset']}/index.html" for row in good],
        stats=[split_file(row["dataset"], "stats.json") for row in rows],
    )


def scanned_with(wildcards):
    """Return what a scan takes if it is asked for: regions, and the motifs that tell strands."""
    files = {}
    if config["mining"]["scan"]["regions"] is not None:
        files["regions"] = outside(config["mining"]["scan"]["regions"])
    if mines("motifs"):
        files["motifs"] = f"results/motifs/{wildcards.dataset}/motifs.meme"
    return files


def models_of_good_sets(wildcards):
    """Return weights and cards of all good sets, and the statistics of all that could start."""
    names = [row["dataset"] for row in good_rows(all_rows())]
    return dict(
        weights=[f"results/classify/{name}/model.safetensors" for name in names],
        cards=[f"results/classify/{name}/model.json" for name in names],
        stats=split_stats(all_rows()),
    )


def mining_files(wildcards):
    """Return what is made of the trained classifiers, as far as mining.run asks for it."""
    names, files = [row["dataset"] for row in good_rows(all_rows())], []
    if mines("attributions"):
        files += [f"results/motifs/{name}/attributions.npz" for name in names]
    if mines("motifs"):
        files.append("results/summary/motifs.tsv")
    if mines("scan"):
        files += [
            f"results/scan/{name}/{end}" for name in names for end in ("calls.bed", "scan.svg")
        ]
    if mines("variants") and names:
        files += ["results/variants/annotated.vcf.gz", "results/variants/effects.svg"]
    if mines("models"):
        files += [f"results/models/{name}" for name in names]
    return files


def licence():
    """Return where the licence of the workflow lies."""
    if LOCAL:
        return outside(os.path.relpath(os.path.join(RULES, "..", "..", "LICENSE")))
    return workflow.source_path("../../LICENSE")


def motifs_to_pack(wildcards):
    """Return the files about a set's motifs, if they are made."""
    if not mines("motifs"):
        return {}
    names = ("motifs.meme", "motifs.tsv", "index.html")
    return dict(motifs=[f"results/motifs/{wildcards.dataset}/{name}" for name in names])


def release_inputs(wildcards):
    """Return the folders of the good sets' models, what tells of all sets, and which are good.

    The last is not packed: only a job that takes what a checkpoint makes is planned anew after it.
    """
    names = ["auc.tsv", "auc.html", "methods.md", "provenance.json"]
    names += ["motifs.tsv", "motifs.html"] if mines("motifs") else []
    return dict(
        models=[f"results/models/{row['dataset']}" for row in good_rows(all_rows())],
        summary=[f"results/summary/{name}" for name in names] + comparison_files(),
        stats=[split_file(row["dataset"], "stats.json") for row in startable(all_rows())],
    )
