"""Simulate the demo's genome and ChIP-seq archive."""

from dflm.logs import setup_logging
from dflm.simulate import simulate_demo

setup_logging(snakemake.log[0])
simulate_demo(
    snakemake.output.genome,
    snakemake.output.archive,
    snakemake.output.truth,
    snakemake.output.motifs,
    seed=snakemake.params.seed,
    **snakemake.params.args,
)
