"""Count the test sequences of a set that stand in the language model's genome."""

from dflm.files import write_json
from dflm.logs import setup_logging
from dflm.phases import Phases, quick_imports

setup_logging(snakemake.log[0])
with quick_imports():
    from dflm.sequences.overlap import count_in_corpus

phases = Phases()
with phases("looking up"):
    count_in_corpus(
        snakemake.input.index,
        snakemake.input.contigs,
        snakemake.input.test,
        snakemake.output.counts,
        dataset=snakemake.params.dataset,
    )
write_json(snakemake.output.seconds, phases.as_dict())
