"""Train the gapped k-mer SVM of a set and predict its test sequences."""

from dflm.files import read_json, write_json
from dflm.logs import setup_logging
from dflm.phases import Phases, quick_imports

setup_logging(snakemake.log[0])
with quick_imports():
    from dflm.evaluation.baselines.gkm import predict_gkm, train_gkm

phases = Phases()
with phases("training"):
    train_gkm(
        train=snakemake.input.train,
        validation=snakemake.input.validation,
        model=snakemake.output.model,
        metrics=snakemake.output.card,
        args=snakemake.params.args,
        negatives=read_json(snakemake.input.stats)["negatives"],
        seed=snakemake.params.seed,
    )
with phases("predicting"):
    predict_gkm(
        model=snakemake.output.model,
        sequences=snakemake.input.test,
        predictions=snakemake.output.predictions,
    )
write_json(snakemake.output.seconds, phases.as_dict())
