"""Draw the learning curve of a training run."""

from dflm.evaluation.plots import plot_learning_curve
from dflm.logs import setup_logging

setup_logging(snakemake.log[0])
plot_learning_curve(snakemake.input.history, snakemake.output.plot, title=snakemake.params.title)
