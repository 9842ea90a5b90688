"""Fine-tune the language model on a group's training peaks."""

from dflm.logs import setup_logging
from dflm.phases import quick_imports

setup_logging(snakemake.log[0])
with quick_imports():
    from dflm.training.checkpoint import checkpoint_beside
    from dflm.training.finetune import finetune
    from dflm.training.gpu_share import gpus_given

finetune(
    weights_in=snakemake.input.weights,
    card_in=snakemake.input.card,
    train=list(snakemake.input.train),
    validation=list(snakemake.input.validation),
    test=list(snakemake.input.test),
    weights=snakemake.output.weights,
    card=snakemake.output.card,
    metrics=snakemake.output.metrics,
    history=snakemake.output.history,
    checkpoint=checkpoint_beside(snakemake.output.weights, snakemake.input.lib),
    language_model=snakemake.params.architecture,
    args=snakemake.params.args,
    group=snakemake.params.group,
    members=list(snakemake.params.members),
    width=snakemake.params.width,
    seed=snakemake.params.seed,
    gpu=gpus_given(snakemake.resources),
    threads=snakemake.threads,
    gpu_share=snakemake.resources.get("gpu_share", 100),
)
