"""Put all that belongs to a model into one folder."""

from dflm.logs import setup_logging
from dflm.mining.packing import pack_model

setup_logging(snakemake.log[0])
pack_model(
    snakemake.input.weights,
    snakemake.input.card,
    snakemake.input.metrics,
    snakemake.input.licence,
    snakemake.output.folder,
    snakemake.input.get("motifs", ()),
)
