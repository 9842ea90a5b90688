"""Train LS-GKM on a set and predict its test sequences."""

from dflm.files import write_json
from dflm.logs import setup_logging
from dflm.phases import Phases, quick_imports

setup_logging(snakemake.log[0])
with quick_imports():
    from dflm.evaluation.baselines.lsgkm import run_lsgkm

phases = Phases()
with phases("training"):
    run_lsgkm(
        train=snakemake.input.train,
        validation=snakemake.input.validation,
        sequences=snakemake.input.test,
        model=snakemake.output.model,
        card=snakemake.output.card,
        predictions=snakemake.output.predictions,
        threads=snakemake.threads,
    )
write_json(snakemake.output.seconds, phases.as_dict())
