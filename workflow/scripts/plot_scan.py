"""Draw the scores and calls of a scan along the contigs."""

from dflm.logs import setup_logging
from dflm.mining.scan.plot import plot_scan

setup_logging(snakemake.log[0])
plot_scan(
    snakemake.input.bigwig,
    snakemake.input.calls,
    snakemake.output.plot,
    snakemake.wildcards.dataset,
    snakemake.params.value,
)
