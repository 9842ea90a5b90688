"""Cut a set's peaks out of the genome, split them, and find or make their negatives."""

from dflm.files import write_json
from dflm.logs import setup_logging
from dflm.phases import Phases, quick_imports

setup_logging(snakemake.log[0])
with quick_imports():
    from dflm.sequences.peak_splits import split_peaks

phases = Phases()
with phases("splitting"):
    split_peaks(
        snakemake.input.peaks,
        snakemake.input.get("negatives"),
        snakemake.input.index,
        snakemake.input.contigs,
        snakemake.output.train,
        snakemake.output.validation,
        snakemake.output.test,
        snakemake.output.stats,
        dataset=snakemake.params.dataset,
        seed=snakemake.params.seed,
        **snakemake.params.split,
    )
write_json(snakemake.output.seconds, phases.as_dict())
