"""Turn a genome into arrays of base codes."""

from dflm.logs import setup_logging
from dflm.sequences.genome import shard_genome

setup_logging(snakemake.log[0])
shard_genome(
    snakemake.input.genome,
    snakemake.output.contigs,
    snakemake.output.index,
    **snakemake.params.args,
)
