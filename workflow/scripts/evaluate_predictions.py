"""Judge a set's predictions on its test file."""

from pathlib import Path

from dflm.logs import setup_logging
from dflm.phases import quick_imports

setup_logging(snakemake.log[0])
with quick_imports():
    from dflm.evaluation.metrics import evaluate

# Of a skipped set the rule asks for nothing but the statistics, which say why.
evaluate(
    snakemake.input.get("predictions"),
    snakemake.input.get("card"),
    snakemake.input.stats,
    snakemake.input.get("lm_metrics"),
    snakemake.input.get("train"),
    snakemake.input.get("test"),
    snakemake.input.get("leaks"),
    {Path(path).stem: path for path in snakemake.input.get("seconds", ())},
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
