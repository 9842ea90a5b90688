"""What is left to say when some sets failed."""

import contextlib
import subprocess
import sys


def logs_there_are():
    """Return size and date of each log there is."""
    found = {}
    for path in Path("logs").rglob("*.log"):
        with contextlib.suppress(FileNotFoundError):
            told = path.stat()
            found[str(path)] = told.st_size, told.st_mtime_ns
    return found


# Before any job begins: what is left of an earlier run tells nothing of this one.
EARLIER_LOGS = logs_there_are() if workflow.is_main_process else {}


def unfinished_logs(dag, job, written):
    """Return the logs, if `written` has them, of a job and of all it waited for that did not end.

    The earliest stand first, and the set's own before those that all sets share.
    """
    waiting = [
        each
        for each in dag.bfs(dag.dependencies, job)
        if not (dag.finished(each) or not dag.needrun(each))
    ]
    waiting = sorted(reversed(waiting), key=lambda each: "dataset" not in each.wildcards_dict)
    return [log for each in waiting for log in each.log if str(log) in written]


def summarise_what_exists():
    """Make the tables of the sets that did end, after a run with --keep-going in which others failed.

    Their rules cannot do this, as their inputs lack the failed sets.
    """
    if not workflow.execution_settings.keep_going:
        return
    try:
        left = LeftOver(workflow.dag)
    except IncompleteCheckpointException:  # the archive itself failed, so no set is known
        return
    for table, summarise in {
        "auc.tsv": summarise_sets_that_ended,
        "motifs.tsv": summarise_motifs_that_ended,
        "comparison.tsv": compare_what_ended,
        "provenance.json": record_what_ended,
    }.items():
        if f"results/summary/{table}" in left.jobs:  # not where single results were asked for
            summarise(left)


class LeftOver:
    """What a broken run left: which files are whole, and why the others are not there."""

    def __init__(self, dag):
        self.dag, self.rows = dag, all_rows()
        self.written = dict(logs_there_are().items() - EARLIER_LOGS.items())
        self.jobs = {path: job for job in dag.jobs for path in job.output}
        self.done = {
            path for path, job in self.jobs.items() if dag.finished(job) or not dag.needrun(job)
        }
        splits = {row["dataset"]: self.split_of(row) for row in startable(self.rows)}
        self.stats = {name: path for name, path in splits.items() if path in self.done}

    @staticmethod
    def split_of(row):
        return f"results/chipseq/{row['dataset']}/stats.json"

    def ended(self, method, row):
        return metrics_of(method, row) in self.done

    def logs(self, result_of):
        """Return the logs of each set whose result, a function of its row, is missing."""
        found = {}
        for row in startable(self.rows):
            name, result = row["dataset"], result_of(row)
            if result not in self.done and (name not in self.stats or result in self.jobs):
                job = self.jobs.get(result) or self.jobs[self.split_of(row)]
                found[name] = unfinished_logs(self.dag, job, self.written)
        return found

    def logs_of(self, method):
        return self.logs(lambda row: metrics_of(method, row))

    @property
    def told(self):
        """What the scripts of all tables are told."""
        return dict(rows=summary_rows(), stats=self.stats)


def summarise_sets_that_ended(left):
    full, failed = METHODS[0], left.logs_of(METHODS[0])
    metrics = {row["dataset"]: metrics_of(full, row) for row in left.rows if left.ended(full, row)}
    made = make_without_rule(
        left,
        "results/summary/auc.tsv",
        "summarise_results.py",
        left.told
        | dict(
            metrics=metrics,
            logs=failed,
            benchmarks=summary_benchmarks(),
            seed=config["seed"],
            bootstrap=config["evaluate"]["bootstrap"],
            log="logs/summarise.log",
        ),
    )
    if made:
        logger.error(
            f"{len(failed)} of {len(left.rows)} sets failed on the way; results/summary/auc.tsv holds all "
            "sets, these with the reason."
        )


def summarise_motifs_that_ended(left):
    def table_of(row):
        return motif_tables([row])[0]

    lost = left.logs(table_of)
    motifs = {row["dataset"]: table_of(row) for row in left.rows if table_of(row) in left.done}
    made = make_without_rule(
        left,
        "results/summary/motifs.tsv",
        "summarise_motifs.py",
        left.told | dict(motifs=motifs, logs=lost, log="logs/summarise_motifs.log"),
    )
    if made:
        logger.error(
            f"the motifs of {len(lost)} of {len(left.rows)} sets are missing; "
            "results/summary/motifs.tsv tells why."
        )


def compare_what_ended(left):
    runs = [
        run | dict(logs=left.logs_of(method))
        for run, method in zip(comparison_runs(left.ended), METHODS)
    ]
    made = make_without_rule(
        left,
        "results/summary/comparison.tsv",
        "compare_methods.py",
        left.told
        | config["comparison"]
        | dict(runs=runs, seed=config["seed"], log="logs/compare_methods.log"),
    )
    if made:
        lost = sum(len(run["logs"]) for run in runs)
        logger.error(
            f"{lost} results of {len(METHODS)} methods are missing; results/summary/methods.tsv tells "
            "why, and results/summary/comparison.tsv compares those that are there."
        )


def record_what_ended(left):
    record = "results/summary/provenance.json"
    there = [path for path in left.jobs[record].input.results if os.path.exists(path)]
    make_without_rule(
        left,
        record,
        "write_provenance.py",
        provenance_told() | dict(results=there, log="logs/write_provenance.log"),
    )


def make_without_rule(left, table, script, task):
    """Make the outputs of the job behind a table by its script, and say whether that was done.

    The next run makes them anew by the rule, since these are dated before their inputs and have no
    metadata.
    """
    if table in left.done:
        return False
    job = left.jobs[table]
    outputs = job.output
    task |= {key: str(path) for key, path in outputs.items()}
    description = Path(".snakemake") / f"{Path(script).stem}.json"
    description.write_text(json.dumps(task))
    ended = subprocess.run([sys.executable, source_of(script), str(description)], check=False)
    if ended.returncode:
        logger.error(f"{table} of the sets that did end could not be made: {task['log']}")
        return False
    inputs = [path for path in job.input if path in left.done]
    oldest = min((os.stat(path).st_mtime for path in inputs), default=None)
    for path in outputs:
        workflow.persistence.cleanup_metadata(path)
        if oldest is not None:
            os.utime(path, (oldest - 1, oldest - 1))
    return True
