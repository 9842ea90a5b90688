"""Find the motifs that a classifier has learnt."""

from dflm.logs import setup_logging
from dflm.mining.motifs.discovery import find_set_motifs

setup_logging(snakemake.log[0])
find_set_motifs(
    snakemake.input.attributions,
    snakemake.output.meme,
    snakemake.output.transfac,
    snakemake.output.about,
    **snakemake.params.args,
)
