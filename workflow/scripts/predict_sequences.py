"""Predict the sequences of a split file with a trained classifier."""

from dflm.logs import setup_logging
from dflm.training.predict import predict

setup_logging(snakemake.log[0])
predict(
    weights=snakemake.input.weights,
    card=snakemake.input.card,
    sequences=snakemake.input.test,
    predictions=snakemake.output.predictions,
    **snakemake.params.args,
    gpu=snakemake.resources.get("gpu", 0),
    threads=snakemake.threads,
)
