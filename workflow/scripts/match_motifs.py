"""Compare motifs with those of a database."""

from dflm.logs import setup_logging
from dflm.mining.motifs.tomtom import match_motifs

setup_logging(snakemake.log[0])
match_motifs(snakemake.input.motifs, snakemake.input.database, snakemake.output.matches)
