"""What the rules share: the sheet, the library as input, input functions, resources."""

import ast
import os
import sys
from functools import lru_cache
from pathlib import PurePosixPath

from snakemake.exceptions import IncompleteCheckpointException
from snakemake.io import checkpoint_target

SCHEMA = workflow.source_path("../schemas/config.schema.yaml")
ROWS = read_configuration(config, SCHEMA, workflow.source_path("../schemas/datasets.schema.yaml"))
METHODS = methods_of(config, yaml.safe_load(Path(SCHEMA).read_text()))
# The sets whose sequences are cut out of the genome; only a sheet names any.
PEAK_SETS = [row["dataset"] for row in ROWS or [] if row["peaks"]]


def one_of(names):
    """Return a regular expression that these names match and no other; nothing if there is none."""
    return f"(?:{'|'.join(map(re.escape, names))})" if names else "(?!)"


def other_than(names):
    """Return a regular expression that all names but these match."""
    return f"(?!(?:{one_of(names)})(?:/|$))[^/]+"


wildcard_constraints:
    at="(methods/[^/]+/)?",
    dataset="[^/]+",
    group="[^/]+",
    run="(methods/[^/]+/)?(pretrain|(finetune|classify)/[^/]+)",


# ---- the methods --------------------------------------------------------------------------------


def method_of(wildcards):
    """Return the method whose folder a path lies in, or say which methods there are."""
    at = wildcards.get("at", "")
    for method in METHODS:
        if method.at == at:
            return method
    names = [method.at.split("/")[1] for method in METHODS if method.at]
    name = at.split("/")[1]
    raise WorkflowError(
        f"{name} is no method of this run{closest(name, names)} (methods come from baselines, "
        f"ablations, variants and seeds; there are: {', '.join(names) or 'none but full'})"
    )


def settings(wildcards):
    """Return the configuration of the method whose folder a path lies in."""
    return method_of(wildcards).settings


def setting(section):
    """Return, as params, a section of the configuration of a job's method."""
    return lambda wildcards: settings(wildcards)[section]


def training_seed(wildcards):
    return method_of(wildcards).seed


@lru_cache(maxsize=None)
def home_at(stage, at):
    """Return below which folder the results of a stage stand that a method shares, or has itself."""
    (method,) = [method for method in METHODS if method.at == at]
    return home_of(stage, method, METHODS).at


def folders_of(*kinds):
    """Return a regular expression for the folders of the methods of these kinds."""
    return one_of([method.at for method in METHODS if method.kind in kinds])


# ---- the library as input -----------------------------------------------------------------------


# Where this file lies: a folder, or an address when the workflow is used from elsewhere.
RULES = workflow.current_basedir.get_path_or_uri(secret_free=True)
# A storage provider takes every plain path for one of its own.
LOCAL = os.path.isdir(RULES) and not workflow.storage_settings.default_storage_provider


@lru_cache(maxsize=None)
def source_of(path):
    """Return where a file of workflow/scripts/ can be read, or None if there is none.

    workflow.source_path copies, for each run of Snakemake, and scripts import the copies: what
    numba and Python compiled, which they keep beside a module, would be lost with every run.
    """
    if LOCAL:
        file = os.path.normpath(os.path.join(RULES, "..", "scripts", path))
        return file if os.path.isfile(file) else None
    try:
        return workflow.source_path(f"../scripts/{path}")
    except (OSError, WorkflowError):
        return None


@lru_cache(maxsize=None)
def imports_of(path):
    """Return the library files that a file imports itself, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(Path(source_of(path)).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = PurePosixPath(path).parents[node.level - 1]
                base = ".".join([*package.parts, *filter(None, [node.module])])
            names.update([base, *(f"{base}.{alias.name}" for alias in node.names)])
    found = set()
    for name in names:
        parts = name.split(".")
        if parts[0] != "dflm":
            continue
        # `import dflm.a.b` runs the packages above it too; the last part may be no module but a
        # name within one.
        for depth in range(1, len(parts) + 1):
            stem = "/".join(parts[:depth])
            found.update(filter(source_of, [f"{stem}/__init__.py"]))
            if source_of(f"{stem}.py"):
                found.add(f"{stem}.py")
                break
    return frozenset(found)


@lru_cache(maxsize=None)
def library_files(script):
    """Return the names of all library files that a script imports, directly or not."""
    todo, seen = [script], set()
    while todo:
        new = imports_of(todo.pop()) - seen
        seen |= new
        todo += new
    return tuple(sorted(seen))


def library(script):
    """Return the library files of a script as input of its rule.

    Snakemake reruns a job when its script changes, but knows nothing of the script's imports;
    as inputs they count, for reruns and for the between-workflow cache. Files of a local workflow
    are named relative to the working directory: then moving both, or a change of their dates
    alone (a git checkout), reruns nothing, as Snakemake compares small inputs by their content.
    """
    files = []
    for path in library_files(script):
        file = source_of(path)
        files.append(os.path.relpath(file) if LOCAL else file)
    return files


# ---- the sets -----------------------------------------------------------------------------------


def all_rows():
    """Return the rows of the selected sets; waits for rule index_chipseq if there is no sheet."""
    if ROWS is not None:
        return ROWS
    index = checkpoints.index_chipseq.get().output.sheet
    return indexed_rows(index, mtime=Path(index).stat().st_mtime_ns)


@lru_cache(maxsize=1)
def indexed_rows(index, mtime):
    """Read what rule index_chipseq wrote, as long as the file stays the same."""
    columns, rows = read_table(index)
    grouped_by = groupings(config)
    for group_by in grouped_by:
        if group_by not in columns:
            raise WorkflowError(
                f"finetune.group_by is {group_by}; allowed without a sheet: dataset, tf, cell_line"
            )
    for row in rows:
        # A set that lacks a file keeps its row in the summary, with the reason.
        whole = row["train"] and row["test"]
        problem = name_problem(row["dataset"]) or (None if whole else row["notes"])
        for group_by in grouped_by:
            if not row[group_by]:
                problem = problem or f"its {group_by} is unknown, and finetune.group_by asks for it"
        row |= dict(status="failed" if problem else "ok", reason=problem, train="", test="")
    return select_rows(rows, config["datasets"]["select"], config["datasets"]["source"])


def row_of(dataset):
    """Return the row of a set, or say which sets there are."""
    rows = {row["dataset"]: row for row in all_rows()}
    if dataset not in rows:
        raise WorkflowError(
            f"{dataset} is no set of this run{closest(dataset, rows)} "
            "(sets come from datasets.sheet or datasets.source, narrowed by datasets.select)"
        )
    return rows[dataset]


def group_of(row, method):
    return row[method.settings["finetune"]["group_by"]]


def startable(rows):
    """Return the rows whose two files are there."""
    return [row for row in rows if row.get("status") != "failed"]


def split_status(dataset):
    """Return what the split said of a set, ok or skipped, or None before it ran."""
    split = checkpoints.split_peaks if dataset in PEAK_SETS else checkpoints.split_chipseq
    try:
        stats = split.get(dataset=dataset).output.stats
    except IncompleteCheckpointException:
        return None
    return json.loads(Path(stats).read_text())["status"]


def is_skipped(dataset):
    """Say whether the split left a set out.

    Until that is known the set counts as good: so each set goes its own way, and one that fails
    holds up no other. The jobs planned for it are dropped when the checkpoint says otherwise.
    """
    return split_status(dataset) == "skipped"


def split_file(dataset, name):
    """Return an output of a set's split; marked, before it ran, as what the job waits for.

    By the mark Snakemake knows to plan anew once the checkpoint is there.
    """
    path = f"results/chipseq/{dataset}/{name}"
    return checkpoint_target(path) if split_status(dataset) is None else path


def good_rows(rows):
    return [row for row in startable(rows) if not is_skipped(row["dataset"])]


# ---- input functions ----------------------------------------------------------------------------


def local_source(source):
    """Return a local source as an input, and nothing for an address."""
    return [] if source is None or is_address(source) else source


def is_archive(source):
    """Say whether the sets come out of an archive rather than a folder or the sheet."""
    return source is not None and (is_address(source) or not Path(source).is_dir())


def chipseq_folder():
    """Return the folder that holds the sets' files, unpacked or the user's; [] if there is none."""
    source = config["datasets"]["source"]
    return "resources/chipseq/archive" if is_archive(source) else source or []


def chipseq_files(wildcards):
    """Return the local files that rule get_chipseq copies, or the folder that will hold them."""
    row, source, files = row_of(wildcards.dataset), config["datasets"]["source"], []
    for column, part in (("train", "AC"), ("test", "B")):
        if row[column]:
            files.append(local_source(row[column]))
        elif is_archive(source):
            files.append(chipseq_folder())
        else:
            files.append(find_in(source, f"{row['dataset']}_{part}.seq.gz") or source)
    return files


def chipseq_source(wildcards):
    """Return where rule get_chipseq takes a set from, as arguments of `take_set`."""
    row = row_of(wildcards.dataset)
    where = {column: row[column] or None for column in ("train", "test")}
    for column in ("train", "test"):
        digest = row.get(f"{column}_sha256")
        where[f"{column}_checksum"] = f"sha256:{digest}" if digest else None
    return where | dict(folder=chipseq_folder() or None)


def peak_files(wildcards):
    """Return the fetched peaks of a set and, where the sheet names them, its negatives."""
    kinds = ["peaks", "negatives"] if row_of(wildcards.dataset)["negatives"] else ["peaks"]
    return {kind: f"resources/peaks/{wildcards.dataset}.{kind}" for kind in kinds}


def sheet_checksum(wildcards, column):
    """Return the checksum that the sheet gives for a file of a set, or None."""
    digest = row_of(wildcards.dataset)[f"{column}_sha256"]
    return f"sha256:{digest}" if digest else None


def language_model(wildcards):
    """Return weights and card of the pretrained language model of a method."""
    given = settings(wildcards)["language_model"]["pretrained"]
    if given is None:
        return model_in(f"{home_at('pretrain', wildcards.at)}pretrain")
    weights, card = pretrained_files(given)
    return dict(weights=weights, card=card)


def model_in(folder):
    """Return weights and card of the model in a folder of results/."""
    return dict(weights=f"results/{folder}/model.safetensors", card=f"results/{folder}/model.json")


def group_members(wildcards):
    """Return the names of a group's sets that were not skipped."""
    method = method_of(wildcards)
    rows = [row for row in all_rows() if group_of(row, method) == wildcards.group]
    if not rows:
        groups = sorted({group_of(row, method) for row in all_rows()})
        raise WorkflowError(
            f"{wildcards.group} is no group of finetune.group_by: "
            f"{method.settings['finetune']['group_by']}{closest(wildcards.group, groups)}"
        )
    return [row["dataset"] for row in good_rows(rows)]


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
        seconds=[f"results/chipseq/{dataset}/seconds/split.json"],
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
    # What a given language model has read is not known.
    if start != "random" and method.settings["language_model"]["pretrained"] is None:
        files["corpus"] = f"results/chipseq/{dataset}/corpus.json"
        files["seconds"].append(f"results/chipseq/{dataset}/seconds/count_in_corpus.json")
    return files


def summary_inputs(wildcards):
    """Return the metrics of the good sets and the statistics of all that could start."""
    rows = startable(all_rows())
    return dict(
        metrics=[metrics_of(METHODS[0], row) for row in good_rows(rows)],
        stats=[split_file(row["dataset"], "stats.json") for row in rows],
    )


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
        "method": wildcards.at.split("/")[1] if wildcards.at else FULL,
        "plot": view,
    }


def learning_curves(wildcards):
    """Return the plots of all training runs of the configuration itself."""
    rows, start = good_rows(all_rows()), config["classifier"]["start"]
    trained = start != "random" and config["language_model"]["pretrained"] is None
    runs = ["pretrain"] if trained else []
    if start == "finetuned":
        runs += sorted({f"finetune/{group_of(row, METHODS[0])}" for row in rows})
    runs += [f"classify/{row['dataset']}" for row in rows]
    return [f"results/{run}/learning_curve.svg" for run in runs]


# ---- parameters and resources -------------------------------------------------------------------


def architecture_of(settings):
    """Return what the language model is made of, tokens included."""
    model = settings["language_model"]
    return {key: value for key, value in model.items() if key != "pretrained"} | settings["kmers"]


def architecture(wildcards):
    return architecture_of(settings(wildcards))


def random_architecture(wildcards):
    """Return the shape of an encoder of random weights; None where the weights are given."""
    chosen = settings(wildcards)
    if chosen["classifier"]["start"] != "random":
        return None
    sizes = ("embedding", "hidden", "layers")
    return {key: chosen["language_model"][key] for key in sizes} | chosen["kmers"]


def floor_check(wildcards):
    """Return how far off 0.5 the floor may be; the set fails once, with the configuration itself."""
    main = not method_of(wildcards).at
    return dict(floor_tolerance=config["evaluate"]["floor_tolerance"] if main else None)


def without(section, *keys):
    """Return, as params, a section of a method's configuration, but for these keys."""
    return lambda wildcards: {
        key: value for key, value in settings(wildcards)[section].items() if key not in keys
    }


def growing(amount):
    """Return a resource that grows with each attempt, for profiles with retries."""
    return lambda wildcards, attempt: amount * attempt


def checkpoint_beside(wildcards, output):
    """Return where a training run keeps what it resumes from.

    It stands beside the outputs without being one: Snakemake deletes outputs before a run.
    """
    return os.path.join(os.path.dirname(output.weights), "checkpoints", "last.pt")


def summary_rows():
    """Return what the table knows of each set before any result: the sheet's words."""
    keys = ("dataset", "tf", "cell_line", "status", "reason")
    return [{key: row[key] for key in keys if row.get(key)} for row in all_rows()]


def benchmarks_of(method, row):
    """Return the paths of the run times that belong to a method on a set."""
    name = row["dataset"]
    if method.kind != "model":
        return [f"benchmarks/{method.at}run_{method.kind}/{name}.tsv"]
    trained = [f"benchmarks/{home_at('classify', method.at)}train_classifier/{name}.tsv"]
    if method.settings["classifier"]["start"] == "finetuned":
        group, home = group_of(row, method), home_at("finetune", method.at)
        trained.insert(0, f"benchmarks/{home}finetune_lm/{group}.tsv")
    return [*trained, f"benchmarks/{method.at}predict/{name}.tsv"]


def summary_benchmarks():
    """Return the paths of the run times that belong to each set."""
    return {row["dataset"]: benchmarks_of(METHODS[0], row) for row in all_rows()}


def comparison_runs(ended):
    """Return each method's run, as `dflm.evaluation.comparison.Run` takes it.

    `ended` tells of a method and a row whether its metrics are there.
    """
    rows = all_rows()
    return [
        dict(
            method=method.name,
            seed=method.seed,
            metrics={row["dataset"]: metrics_of(method, row) for row in rows if ended(method, row)},
            benchmarks={row["dataset"]: benchmarks_of(method, row) for row in rows},
        )
        for method in METHODS
    ]


def finished_runs(wildcards):
    """Return the runs of all methods where all of them ended on all good sets."""
    good = {row["dataset"] for row in good_rows(startable(all_rows()))}
    return comparison_runs(lambda method, row: row["dataset"] in good)
