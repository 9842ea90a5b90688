"""Bring the two files of a ChIP-seq set to their place."""

from dflm.logs import setup_logging
from dflm.sequences.sources import take_set

setup_logging(snakemake.log[0])
take_set(
    snakemake.wildcards.dataset,
    snakemake.output.train,
    snakemake.output.test,
    **snakemake.params.source,
)
