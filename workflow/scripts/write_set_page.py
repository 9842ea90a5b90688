"""Write the page of one set."""

from dflm.evaluation.set_page import PICTURES, write_set_page
from dflm.logs import setup_logging

setup_logging(snakemake.log[0])
write_set_page(
    snakemake.input.metrics,
    snakemake.input.card,
    snakemake.input.stats,
    snakemake.input.leaks,
    {name: snakemake.input[name] for name, _ in PICTURES},
    snakemake.output.page,
    both_strands=snakemake.params.both_strands,
    row=snakemake.params.row,
    read_corpus=snakemake.params.read_corpus,
    was_shown=snakemake.params.was_shown,
)
