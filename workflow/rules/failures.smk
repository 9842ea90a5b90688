"""What is left to say when some sets failed."""

import subprocess
import sys


def unfinished_logs(dag, job):
    """Return the logs of a job and of all it waited for that did not end.

    The earliest stand first, and the set's own before those that all sets share.
    """
    waiting = [
        each
        for each in dag.bfs(dag.dependencies, job)
        if not (dag.finished(each) or not dag.needrun(each))
    ]
    waiting = sorted(reversed(waiting), key=lambda each: "dataset" not in each.wildcards_dict)
    return [log for each in waiting for log in each.log if os.path.exists(log)]


def summarise_what_exists():
    """Make the tables of the sets that did end, after a run with --keep-going in which others failed.

    Their rules cannot do this, as their inputs lack the failed sets.
    """
    dag = workflow.dag
    jobs = {path: job for job in dag.jobs for path in job.output}
    if not workflow.execution_settings.keep_going:
        return
    done = {path for path, job in jobs.items() if dag.finished(job) or not dag.needrun(job)}
    try:
        rows = all_rows()
    except IncompleteCheckpointException:  # the archive itself failed, so no set is known
        return
    stats = {
        row["dataset"]: path
        for row in startable(rows)
        if (path := f"results/chipseq/{row['dataset']}/stats.json") in done
    }

    def ended(method, row):
        return metrics_of(method, row) in done

    def motif_logs():
        """Return the logs of each set whose motifs did not end."""
        found = {}
        for row in startable(rows):
            name = row["dataset"]
            (table,), split = motif_tables([row]), f"results/chipseq/{name}/stats.json"
            if table not in done and (name not in stats or table in jobs):
                found[name] = unfinished_logs(dag, jobs.get(table) or jobs[split])
        return found

    def logs(method):
        """Return the logs of each set that did not end."""
        found = {}
        for row in startable(rows):
            name, metrics = row["dataset"], metrics_of(method, row)
            if metrics not in done and (name not in stats or metrics in jobs):
                split = f"results/chipseq/{name}/stats.json"
                found[name] = unfinished_logs(dag, jobs.get(metrics) or jobs[split])
        return found

    common = dict(rows=summary_rows(), stats=stats, seed=config["seed"])
    (main, *_), failed = METHODS, logs(METHODS[0])
    made = make_without_rule(
        jobs,
        done,
        "results/summary/auc.tsv",
        "summarise_results.py",
        common
        | dict(
            metrics={row["dataset"]: metrics_of(main, row) for row in rows if ended(main, row)},
            logs=failed,
            benchmarks=summary_benchmarks(),
            bootstrap=config["evaluate"]["bootstrap"],
            log="logs/summarise.log",
        ),
    )
    if made:
        logger.error(
            f"{len(failed)} of {len(rows)} sets failed on the way; results/summary/auc.tsv holds all "
            "sets, these with the reason."
        )
    if "results/summary/motifs.tsv" in jobs:
        lost = motif_logs()
        tables = {row["dataset"]: path for row in rows if (path := motif_tables([row])[0]) in done}
        made = make_without_rule(
            jobs,
            done,
            "results/summary/motifs.tsv",
            "summarise_motifs.py",
            dict(
                rows=summary_rows(),
                stats=stats,
                motifs=tables,
                logs=lost,
                log="logs/summarise_motifs.log",
            ),
        )
        if made:
            logger.error(
                f"the motifs of {len(lost)} of {len(rows)} sets are missing; "
                "results/summary/motifs.tsv tells why."
            )
    runs = [run | dict(logs=logs(each)) for run, each in zip(comparison_runs(ended), METHODS)]
    made = make_without_rule(
        jobs,
        done,
        "results/summary/comparison.tsv",
        "compare_methods.py",
        common | config["comparison"] | dict(runs=runs, log="logs/compare_methods.log"),
    )
    if made:
        lost = sum(len(run["logs"]) for run in runs)
        logger.error(
            f"{lost} results of {len(METHODS)} methods are missing; results/summary/methods.tsv tells "
            "why, and results/summary/comparison.tsv compares those that are there."
        )
    record = "results/summary/provenance.json"
    if record in jobs:
        there = [path for path in jobs[record].input.results if os.path.exists(path)]
        log = dict(log="logs/write_provenance.log")
        make_without_rule(
            jobs,
            done,
            record,
            "write_provenance.py",
            provenance_told() | dict(results=there) | log,
        )


def make_without_rule(jobs, done, table, script, task):
    """Make the outputs of the job behind a table by its script, and say whether that was done.

    The next run makes them anew by the rule, since these are dated before their inputs and have no
    metadata.
    """
    if table not in jobs or table in done:
        return False
    outputs = jobs[table].output
    task |= {key: str(path) for key, path in outputs.items()}
    description = Path(".snakemake") / f"{Path(script).stem}.json"
    description.write_text(json.dumps(task))
    ended = subprocess.run([sys.executable, source_of(script), str(description)], check=False)
    if ended.returncode:
        logger.error(f"{table} of the sets that did end could not be made: {task['log']}")
        return False
    inputs = [path for path in jobs[table].input if path in done]
    oldest = min((os.stat(path).st_mtime for path in inputs), default=None)
    for path in outputs:
        workflow.persistence.cleanup_metadata(path)
        if oldest is not None:
            os.utime(path, (oldest - 1, oldest - 1))
    return True
