"""Judge a set's predictions on its test file."""

from pathlib import Path

from dflm.errors import InputError
from dflm.files import read_json
from dflm.logs import setup_logging
from dflm.phases import quick_imports

setup_logging(snakemake.log[0])
with quick_imports():
    from dflm.evaluation.metrics import evaluate

stats = read_json(snakemake.input.stats)
if stats["status"] != "ok":  # then its rule asks for nothing but the statistics
    raise InputError(
        f"the set was skipped: {stats['reason']}",
        snakemake.params.dataset,
        "mend its files or chipseq.min_peaks, or ask for another set",
    )
evaluate(
    snakemake.input.predictions,
    snakemake.input.get("card"),
    snakemake.input.stats,
    snakemake.input.get("lm_metrics"),
    snakemake.input.train,
    snakemake.input.test,
    snakemake.input.leaks,
    {Path(path).stem: path for path in snakemake.input.seconds},
    snakemake.output.metrics,
    snakemake.output.roc,
    snakemake.output.pr,
    snakemake.output.reliability,
    snakemake.output.scores,
    dataset=snakemake.params.dataset,
    args=snakemake.params.args,
    seed=snakemake.params.seed,
    method=snakemake.params.method,
)
