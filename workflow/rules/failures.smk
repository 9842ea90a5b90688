"""What is left to say when some sets failed."""

import subprocess


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
    """Make the table of the sets that did end, after a run with --keep-going in which others failed.

    Rule summarise cannot do this, as its inputs lack the failed sets; the next run makes the
    table anew by the rule, since this one is dated before its inputs and has no metadata.
    """
    dag = workflow.dag
    jobs = {path: job for job in dag.jobs for path in job.output}
    table = "results/summary/auc.tsv"
    if not workflow.execution_settings.keep_going or table not in jobs:
        return
    done = {path for path, job in jobs.items() if dag.finished(job) or not dag.needrun(job)}
    if table in done:
        return
    try:
        rows = all_rows()
    except IncompleteCheckpointException:  # the archive itself failed, so no set is known
        return
    task = dict(
        rows=summary_rows(),
        metrics={},
        stats={},
        logs={},
        benchmarks=summary_benchmarks(),
        bootstrap=config["evaluate"]["bootstrap"],
        seed=config["seed"],
        log="logs/summarise.log",
    )
    for row in startable(rows):
        name = row["dataset"]
        metrics = f"results/classify/{name}/metrics.json"
        stats = f"results/chipseq/{name}/stats.json"
        if stats in done:
            task["stats"][name] = stats
        if metrics in done:
            task["metrics"][name] = metrics
        elif stats not in done or metrics in jobs:
            task["logs"][name] = unfinished_logs(dag, jobs.get(metrics) or jobs[stats])
    outputs = jobs[table].output
    task |= {key: str(path) for key, path in outputs.items()}
    description = Path(".snakemake/summary.json")
    description.write_text(json.dumps(task))
    script = source_of("summarise_results.py")
    ended = subprocess.run([sys.executable, script, str(description)], check=False)
    if ended.returncode:
        logger.error("The summary of the sets that did end could not be made: logs/summarise.log")
        return
    inputs = [*task["stats"].values(), *task["metrics"].values()]
    oldest = min((os.stat(path).st_mtime for path in inputs), default=None)
    for path in outputs:
        workflow.persistence.cleanup_metadata(path)
        if oldest is not None:
            os.utime(path, (oldest - 1, oldest - 1))
    logger.error(
        f"{len(task['logs'])} of {len(task['rows'])} sets failed on the way; {table} holds all "
        "sets, these with the reason."
    )
