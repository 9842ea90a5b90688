"""Say which bases the scores of a set's positives rest on."""

from dflm.logs import setup_logging
from dflm.mining.attribution.of_set import attribute_set
from dflm.training.gpu_share import gpus_given

setup_logging(snakemake.log[0])
attribute_set(
    snakemake.input.weights,
    snakemake.input.sequences,
    snakemake.output.attributions,
    snakemake.output.logos,
    **snakemake.params.args,
    seed=snakemake.params.seed,
    gpu=gpus_given(snakemake.resources),
    threads=snakemake.threads,
    gpu_share=snakemake.resources.get("gpu_share", 100),
)
