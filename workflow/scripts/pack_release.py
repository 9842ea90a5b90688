"""Pack a whole run into one file."""

from dflm.logs import setup_logging
from dflm.mining.packing import pack_release

setup_logging(snakemake.log[0])
pack_release(
    snakemake.output.archive,
    snakemake.input.models,
    snakemake.input.summary,
    snakemake.input.licence,
    snakemake.params.config,
)
