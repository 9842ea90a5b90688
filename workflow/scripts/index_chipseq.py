"""List the ChIP-seq sets of a folder."""

from dflm.logs import setup_logging
from dflm.sequences.chipseq import index_sets

setup_logging(snakemake.log[0])
index_sets(snakemake.input.folder, snakemake.output.sheet)
