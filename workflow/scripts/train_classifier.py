"""Train the classifier of one ChIP-seq set."""

from dflm.logs import setup_logging
from dflm.training.classify import train_classifier

setup_logging(snakemake.log[0])
train_classifier(
    weights_in=snakemake.input.weights,
    card_in=snakemake.input.card,
    train=snakemake.input.train,
    validation=snakemake.input.validation,
    weights=snakemake.output.weights,
    card=snakemake.output.card,
    history=snakemake.output.history,
    checkpoint=snakemake.params.checkpoint,
    args=snakemake.params.args,
    dataset=snakemake.params.dataset,
    seed=snakemake.params.seed,
    gpu=snakemake.resources.get("gpu", 0),
    threads=snakemake.threads,
)
