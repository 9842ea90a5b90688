"""Fetch a file from an address or a local path, and check it."""

from dflm.downloads import fetch
from dflm.logs import setup_logging

setup_logging(snakemake.log[0])
fetch(snakemake.params.source, snakemake.output[0], snakemake.params.checksum)
