"""Find the test sequences of all sets in the genome, to keep them from the language model."""

from dflm.logs import setup_logging
from dflm.phases import quick_imports

setup_logging(snakemake.log[0])
with quick_imports():
    from dflm.sequences.withholding import withhold_tests

withhold_tests(
    snakemake.input.tests,
    snakemake.input.index,
    snakemake.input.contigs,
    snakemake.output[0],
    width=snakemake.params.width,
)
