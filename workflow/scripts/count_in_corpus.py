"""Count the test sequences of a set that stand in the language model's genome."""

from dflm.logs import setup_logging
from dflm.sequences.overlap import count_in_corpus

setup_logging(snakemake.log[0])
count_in_corpus(
    snakemake.input.index,
    snakemake.input.contigs,
    snakemake.input.test,
    snakemake.output.counts,
    dataset=snakemake.params.dataset,
)
