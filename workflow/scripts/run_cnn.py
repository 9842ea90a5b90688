"""Train the convolutional network of a set and predict its test sequences."""

from dflm.files import read_json, write_json
from dflm.logs import setup_logging
from dflm.phases import Phases, quick_imports

setup_logging(snakemake.log[0])
with quick_imports():
    from dflm.evaluation.baselines.cnn import predict_cnn, train_cnn
    from dflm.training.checkpoint import checkpoint_beside
    from dflm.training.gpu_share import gpus_given

phases = Phases()
args = snakemake.params.args
given = {"gpu": gpus_given(snakemake.resources), "threads": snakemake.threads}
with phases("training"):
    train_cnn(
        train=snakemake.input.train,
        validation=snakemake.input.validation,
        weights=snakemake.output.weights,
        card=snakemake.output.card,
        history=snakemake.output.history,
        checkpoint=checkpoint_beside(snakemake.output.weights, snakemake.input.lib),
        args=args,
        negatives=read_json(snakemake.input.stats)["negatives"],
        seed=snakemake.params.seed,
        gpu_share=snakemake.resources.get("gpu_share", 100),
        **given,
    )
with phases("predicting"):
    predict_cnn(
        weights=snakemake.output.weights,
        card=snakemake.output.card,
        sequences=snakemake.input.test,
        predictions=snakemake.output.predictions,
        batch_size=args["batch_size"],
        precision=args["precision"],
        **given,
    )
write_json(snakemake.output.seconds, phases.as_dict())
