"""Say what variants do to the scores of all classifiers."""

from dflm.logs import setup_logging
from dflm.mining.variants.annotation import annotate_with_sets
from dflm.training.gpu_share import gpus_given

setup_logging(snakemake.log[0])
annotate_with_sets(
    snakemake.input.weights,
    snakemake.input.vcf,
    snakemake.input.index,
    snakemake.output.table,
    snakemake.output.vcf,
    **snakemake.params.args,
    seed=snakemake.params.seed,
    gpu=gpus_given(snakemake.resources),
    threads=snakemake.threads,
    gpu_share=snakemake.resources.get("gpu_share", 100),
)
