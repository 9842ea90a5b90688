"""Draw what variants do to the scores of all classifiers."""

from dflm.logs import setup_logging
from dflm.mining.variants.plot import plot_effects

setup_logging(snakemake.log[0])
plot_effects(snakemake.input.table, snakemake.output.plot)
