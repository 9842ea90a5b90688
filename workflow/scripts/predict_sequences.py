"""Predict the sequences of a split file with a trained classifier."""

from dflm.logs import setup_logging
from dflm.phases import quick_imports

setup_logging(snakemake.log[0])
with quick_imports():
    from dflm.training.gpu_share import gpus_given
    from dflm.training.predict import predict

predict(
    weights=snakemake.input.weights,
    card=snakemake.input.card,
    sequences=snakemake.input.test,
    predictions=snakemake.output.predictions,
    seconds=snakemake.output.seconds,
    **snakemake.params.args,
    gpu=gpus_given(snakemake.resources),
    threads=snakemake.threads,
    gpu_share=snakemake.resources.get("gpu_share", 100),
)
