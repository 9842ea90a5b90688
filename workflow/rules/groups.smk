"""Jobs that a profile puts together: those of a set become one job of a cluster."""


def refuse_early_groups():
    """Stop a run that groups jobs while a set has still to be split.

    At the end of each checkpoint Snakemake plans anew. It then takes what a running group has done
    already out of that group, holds the rest for another group, and submits it a second time (its
    issue 1628), so that two jobs write the same files.
    """
    needed = list(workflow.dag.needrun_jobs())
    if not any(job.group for job in needed):
        return
    sets = sorted(job.wildcards_dict.get("dataset", "") for job in needed if job.is_checkpoint)
    if not sets:
        return
    names = ", ".join(filter(None, sets[:3])) + (", .." if len(sets) > 3 else "")
    if sets == [""]:
        told = "the sets have still to be listed"
    else:
        told = (
            f"{len(sets)} {'sets have' if len(sets) > 1 else 'set has'} still to be split ({names})"
        )
    raise WorkflowError(
        f"{told}, and jobs can be put together only after that. First run all that comes before: the "
        "same command with --workflow-profile workflow/profiles/slurm --omit-from finetune_lm "
        "train_classifier. A set that cannot be split goes out by datasets.select."
    )
