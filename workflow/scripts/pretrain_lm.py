"""Pretrain the language model on the genome."""

import os

from dflm.logs import setup_logging
from dflm.phases import quick_imports

setup_logging(snakemake.log[0])
with quick_imports():
    from dflm.training.checkpoint import checkpoint_beside
    from dflm.training.gpu_share import gpus_given
    from dflm.training.pretrain import pretrain

pretrain(
    index=snakemake.input.index,
    contigs=snakemake.input.contigs,
    withheld=snakemake.input.get("withheld"),
    weights=snakemake.output.weights,
    card=snakemake.output.card,
    metrics=snakemake.output.metrics,
    history=snakemake.output.history,
    checkpoint=checkpoint_beside(snakemake.output.weights, snakemake.input.lib),
    language_model=snakemake.params.architecture,
    args=snakemake.params.args
    | {"checkpoint_minutes": float(os.environ.get("DFLM_CHECKPOINT_MINUTES", "10"))},
    seed=snakemake.params.seed,
    gpu=gpus_given(snakemake.resources),
    threads=snakemake.threads,
    processes=snakemake.resources.get("processes", 1),
    nodes=snakemake.resources.get("nodes", 1),
    gpu_share=snakemake.resources.get("gpu_share", 100),
)
