"""Average what several classifiers of a set predict."""

from dflm.files import write_json
from dflm.logs import setup_logging
from dflm.phases import Phases, quick_imports

setup_logging(snakemake.log[0])
with quick_imports():
    from dflm.evaluation.ensemble import average

phases = Phases()
with phases("averaging"):
    average(
        snakemake.input.cards,
        snakemake.input.validation,
        snakemake.input.test,
        snakemake.output.card,
        snakemake.output.predictions,
        fdr=snakemake.params.fdr,
        both_strands=snakemake.params.both_strands,
    )
write_json(snakemake.output.seconds, phases.as_dict())
