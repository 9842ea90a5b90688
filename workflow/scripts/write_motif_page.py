"""Write the page, the tables and the logos of a set's motifs."""

from pathlib import Path

from dflm.logs import setup_logging
from dflm.mining.motifs.folder import write_motif_page

setup_logging(snakemake.log[0])
write_motif_page(
    snakemake.input.attributions,
    snakemake.input.motifs,
    snakemake.input.about,
    Path(snakemake.output.page).parent,
    matches=snakemake.input.get("matches"),
    database=snakemake.input.get("database"),
    called=snakemake.params.database,
)
