"""Predict a set's test sequences by dinucleotide counts alone."""

from dflm.files import write_json
from dflm.logs import setup_logging
from dflm.phases import Phases, quick_imports

setup_logging(snakemake.log[0])
with quick_imports():
    from dflm.evaluation.baselines.composition import predict_floor

phases = Phases()
with phases("fitting"):
    predict_floor(
        train=snakemake.input.train,
        sequences=snakemake.input.test,
        predictions=snakemake.output.predictions,
    )
write_json(snakemake.output.seconds, phases.as_dict())
