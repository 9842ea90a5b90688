"""Unpack the sequence files of an archive of ChIP-seq sets."""

from dflm.logs import setup_logging
from dflm.sequences.archives import unpack_archive

setup_logging(snakemake.log[0])
unpack_archive(snakemake.input.archive, snakemake.output.folder)
