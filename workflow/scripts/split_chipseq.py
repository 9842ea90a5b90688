"""Split a ChIP-seq set and make its negatives."""

from dflm.logs import setup_logging
from dflm.sequences.splits import split_dataset

setup_logging(snakemake.log[0])
split_dataset(
    snakemake.input.train,
    snakemake.input.test,
    snakemake.output.train,
    snakemake.output.validation,
    snakemake.output.test,
    snakemake.output.stats,
    dataset=snakemake.params.dataset,
    seed=snakemake.params.seed,
    **snakemake.params.args,
)
