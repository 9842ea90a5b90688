"""Predictions of a classifier: the probability that a sequence is bound."""

from pathlib import Path

import numpy as np
import torch

from dflm.calibration import calibration_in
from dflm.errors import InputError
from dflm.files import write_json
from dflm.model.classifier import PoolingClassifier
from dflm.model.files import CLASSIFIER, load_classifier, read_card
from dflm.phases import Phases
from dflm.predictions import write_predictions
from dflm.sequences.splits import read_split
from dflm.training.batches import SequenceBatches
from dflm.training.device import autocast, inference_batch, pick_device


@torch.no_grad()
def strand_probabilities(
    model: PoolingClassifier, batches: SequenceBatches, batch_size: int, precision: str
) -> tuple[np.ndarray, np.ndarray]:
    """Predict on both strands.

    Parameters
    ----------
    model : PoolingClassifier
        Set to evaluation mode for the call.
    batches : SequenceBatches
    batch_size : int >= 1
        At least; see `dflm.training.device.inference_batch`.
    precision : {"auto", "fp32", "bf16"}

    Returns
    -------
    forward, reverse : array of float64, shape (N,)
        Probability of being bound, in [0, 1].
    """
    was_training = model.training
    model.eval()
    width = model.strands * batches.codes.size(-1)
    batch_size = inference_batch(batches.device, batch_size, width)
    result = []
    for strand in (0, 1):
        parts = []
        for tokens in batches.ordered(batch_size, strand):
            with autocast(batches.device, precision):
                logits = model(tokens)
            parts.append(logits.float().softmax(1)[:, 1])
        result.append(torch.cat(parts).cpu().double().numpy())
    model.train(was_training)
    return result[0], result[1]


def predict(
    *,
    weights: Path,
    card: Path,
    sequences: Path,
    predictions: Path,
    seconds: Path,
    batch_size: int,
    both_strands: bool,
    precision: str,
    gpu: int,
    threads: int,
    gpu_share: int = 100,
) -> None:
    """Predict the sequences of a split file with a trained classifier.

    Parameters
    ----------
    weights, card : Path
        The classifier.
    sequences : Path
        A split file: name, sequence, label.
    predictions : Path
        TSV to write, see `write_predictions`.
    seconds : Path
        JSON to write: where the time went, see `dflm.phases.Phases`.
    batch_size : int >= 1
    both_strands : bool
        `probability` is the mean of both strands, else that of the strand as given.
    precision : {"auto", "fp32", "bf16"}
    gpu, threads, gpu_share : int
        What the job was given, see `dflm.training.device.pick_device`.

    Raises
    ------
    InputError
        If a file is wrong or holds no sequence, or the classifier was not calibrated.
    """
    phases = Phases()
    with phases("loading"):
        device = pick_device(gpu, threads, gpu_share)
        model = load_classifier(weights, card).to(device)
        calibration = calibration_in(read_card(card, CLASSIFIER), both_strands, card)
    with phases("reading"):
        names, bases, labels = read_split(sequences)
    if not names:
        raise InputError(f"{sequences}: holds no sequences to predict")
    with phases("batches"):
        architecture = model.encoder.architecture
        batches = SequenceBatches(bases, labels, architecture.k, architecture.stride, device)
    with phases("predicting"):
        forward, reverse = strand_probabilities(model, batches, batch_size, precision)
    temperature = calibration["temperature"]
    with phases("writing"):
        write_predictions(predictions, names, labels, forward, reverse, both_strands, temperature)
    write_json(seconds, phases.as_dict())
