"""Train a pretrained language model to tell the genome from its shuffles as well."""

from dflm.logs import setup_logging
from dflm.phases import quick_imports

setup_logging(snakemake.log[0])
with quick_imports():
    from dflm.training.checkpoint import checkpoint_beside
    from dflm.training.discriminate import discriminate
    from dflm.training.gpu_share import gpus_given

discriminate(
    weights_in=snakemake.input.weights,
    card_in=snakemake.input.card,
    index=snakemake.input.index,
    contigs=snakemake.input.contigs,
    withheld=snakemake.input.get("withheld"),
    weights=snakemake.output.weights,
    card=snakemake.output.card,
    metrics=snakemake.output.metrics,
    history=snakemake.output.history,
    checkpoint=checkpoint_beside(snakemake.output.weights, snakemake.input.lib),
    dropout=snakemake.params.dropout,
    args=snakemake.params.args,
    seed=snakemake.params.seed,
    gpu=gpus_given(snakemake.resources),
    threads=snakemake.threads,
    gpu_share=snakemake.resources.get("gpu_share", 100),
)
