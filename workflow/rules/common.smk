"""What the rules share: methods, sets, parameters and resources."""

import os
from functools import lru_cache
from urllib.parse import urlsplit

from snakemake import __version__ as SNAKEMAKE
from snakemake.exceptions import IncompleteCheckpointException
from snakemake.io import checkpoint_target

SCHEMA = workflow.source_path("../schemas/config.schema.yaml")
ROWS = read_configuration(config, SCHEMA, workflow.source_path("../schemas/datasets.schema.yaml"))
# No parameters of the jobs, since they are no reason to train again; each job reads this file anew.
os.environ.update(
    DFLM_DETERMINISTIC=str(int(config["deterministic"])),
    DFLM_CHECKPOINT_MINUTES=str(config["pretrain"]["checkpoint_minutes"]),
)
METHODS = methods_of(config, read_schema(SCHEMA))
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
    run="(methods/[^/]+/)?(pretrain|discriminate|(finetune|classify)/[^/]+)",


# ---- the methods --------------------------------------------------------------------------------


def method_of(wildcards):
    """Return the method whose folder a path lies in, or say which methods there are."""
    at = wildcards.get("at", "")
    for method in METHODS:
        if method.at == at:
            return method
    names = [method.at.split("/")[1] for method in METHODS if method.at]
    name = name_at(at)
    raise WorkflowError(
        f"{name} is no method of this run{closest(name, names)} (methods come from baselines, "
        f"ablations, variants and seeds; there are: {', '.join(names) or 'none but full'})"
    )


def name_at(at):
    """Return the name of the method whose folder this is; a further seed has one of its own."""
    return at.split("/")[1] if at else FULL


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
    _, rows = read_table(index)
    grouped_by = groupings(config)
    for row in rows:
        # A set that lacks a file keeps its row in the summary, with the reason.
        whole = row["train"] and row["test"]
        problem = name_problem(row["dataset"]) or (None if whole else row["notes"])
        for group_by in grouped_by:
            if not row[group_by]:
                problem = problem or f"its {group_by} is unknown, and finetune.group_by asks for it"
            elif wrong := name_problem(row[group_by]):
                problem = problem or f"its {group_by} (finetune.group_by): {wrong}"
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


def split_of(dataset):
    return (checkpoints.split_peaks if dataset in PEAK_SETS else checkpoints.split_chipseq).get(
        dataset=dataset
    )


def is_split(dataset):
    """Say whether the split of a set is there and nothing asks for another."""
    try:
        split_of(dataset)
    except IncompleteCheckpointException:
        return False
    return True


def split_status(dataset):
    """Return what the split said of a set, ok or skipped, or None before it ran.

    What an earlier run's split said holds until Snakemake knows better. To a job that waits for a
    checkpoint of its own it would look for no change of code and settings, and where the sets too
    come from a checkpoint it never looks again.
    """
    try:
        stats = split_of(dataset).output.stats
    except IncompleteCheckpointException:
        stats = placed(f"results/chipseq/{dataset}/stats.json")
        if not os.path.exists(stats):
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


def evaluation_args(wildcards):
    """Return what evaluate has to know of a method.

    How far off 0.5 the floor may be is the same for all: on a set that leaks no method has a score.
    """
    method = method_of(wildcards)
    return dict(
        floor_tolerance=config["evaluate"]["floor_tolerance"],
        both_strands=method.settings["predict"]["both_strands"],
        corpus=reads_corpus(method),
        shown=shown_to(method),
    )


def without(section, *keys):
    """Return, as params, a section of a method's configuration, but for these keys."""
    return lambda wildcards: {
        key: value for key, value in settings(wildcards)[section].items() if key not in keys
    }


def growing(amount):
    """Return a resource that grows with each attempt, for profiles with retries."""
    return lambda wildcards, attempt: amount * attempt


def summary_rows():
    """Return what the table knows of each set before any result: the sheet's words."""
    keys = ("dataset", "tf", "cell_line", "status", "reason")
    return [{key: row[key] for key in keys if row.get(key)} for row in all_rows()]


def benchmarks_of(method, row):
    """Return the paths of the run times that belong to a method on a set."""
    name = row["dataset"]
    if method.kind == ENSEMBLE:
        members = (path for each in members_of_ensemble() for path in benchmarks_of(each, row))
        # Once each: members may share a fine-tuning or a classifier.
        own = placed(f"benchmarks/{method.at}run_{ENSEMBLE}/{name}.tsv")
        return [*dict.fromkeys(members), own]
    if method.kind != "model":
        return [placed(f"benchmarks/{method.at}run_{method.kind}/{name}.tsv")]
    trained = [f"benchmarks/{home_at('classify', method.at)}train_classifier/{name}.tsv"]
    if method.settings["classifier"]["start"] == "finetuned":
        group, home = group_of(row, method), home_at("finetune", method.at)
        trained.insert(0, f"benchmarks/{home}finetune_lm/{group}.tsv")
    return [placed(path) for path in (*trained, f"benchmarks/{method.at}predict/{name}.tsv")]


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
            metrics={
                row["dataset"]: placed(metrics_of(method, row))
                for row in rows
                if ended(method, row)
            },
            benchmarks={row["dataset"]: benchmarks_of(method, row) for row in rows},
        )
        for method in METHODS
    ]


def finished_runs(wildcards):
    """Return the runs of all methods where all of them ended on all good sets."""
    good = {row["dataset"] for row in good_rows(startable(all_rows()))}
    return comparison_runs(lambda method, row: row["dataset"] in good)
