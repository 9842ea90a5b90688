"""Write the methods section from the configuration and what the run counted."""

from dflm.evaluation.methods_text import write_methods
from dflm.logs import setup_logging

setup_logging(snakemake.log[0])
write_methods(
    snakemake.params.config,
    snakemake.params.rows,
    list(snakemake.input.metrics),
    list(snakemake.input.get("cards", [])),
    list(snakemake.input.stats),
    snakemake.input.get("index"),
    snakemake.input.get("pretrain"),
    snakemake.input.get("discriminate"),
    snakemake.input.get("pretrained_card"),
    snakemake.output.text,
    snakemake=snakemake.params.snakemake,
)
