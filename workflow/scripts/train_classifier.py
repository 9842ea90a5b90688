"""Train the classifier of one ChIP-seq set."""

from dflm.files import read_json
from dflm.logs import setup_logging
from dflm.phases import quick_imports

setup_logging(snakemake.log[0])
with quick_imports():
    from dflm.training.checkpoint import checkpoint_beside
    from dflm.training.classify import train_classifier
    from dflm.training.gpu_share import gpus_given

train_classifier(
    weights_in=snakemake.input.get("weights"),
    card_in=snakemake.input.get("card"),
    architecture=snakemake.params.architecture,
    train=snakemake.input.train,
    validation=snakemake.input.validation,
    weights=snakemake.output.weights,
    card=snakemake.output.card,
    history=snakemake.output.history,
    predictions=snakemake.output.predictions,
    seconds=snakemake.output.seconds,
    checkpoint=checkpoint_beside(snakemake.output.weights, snakemake.input.lib),
    args=snakemake.params.args,
    dataset=snakemake.params.dataset,
    negatives=read_json(snakemake.input.stats)["negatives"],
    seed=snakemake.params.seed,
    gpu=gpus_given(snakemake.resources),
    threads=snakemake.threads,
    gpu_share=snakemake.resources.get("gpu_share", 100),
)
