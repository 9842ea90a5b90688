"""Split a ChIP-seq set and make its negatives."""

from dflm.files import write_json
from dflm.logs import setup_logging
from dflm.phases import Phases, quick_imports

setup_logging(snakemake.log[0])
with quick_imports():
    from dflm.sequences.splits import split_dataset

phases = Phases()
with phases("splitting"):
    split_dataset(
        snakemake.input.train,
        snakemake.input.test,
        snakemake.output.train,
        snakemake.output.validation,
        snakemake.output.test,
        snakemake.output.stats,
        dataset=snakemake.params.dataset,
        seed=snakemake.params.seed,
        **snakemake.params.args,
    )
write_json(snakemake.output.seconds, phases.as_dict())
