"""The floor as a method of its own: predictions by the 16 dinucleotide counts."""

from __future__ import annotations

from pathlib import Path

from dflm.errors import InputError
from dflm.evaluation.baselines.tables import read_labelled, write_predictions
from dflm.evaluation.floor import floor_probabilities
from dflm.sequences.splits import read_split


def predict_floor(*, train: Path, sequences: Path, predictions: Path) -> None:
    """Learn from the training part of a set, and predict the sequences of another part.

    Parameters
    ----------
    train, sequences : Path
        Split files: name, sequence, label.
    predictions : Path
        TSV to write, see `write_predictions`.

    Raises
    ------
    InputError
        If a file is wrong, the training part lacks one of the two labels, or there is no sequence
        to predict.
    """
    learnt, known = read_labelled(train)
    names, bases, labels = read_split(sequences)
    if not names:
        raise InputError("holds no sequences to predict", sequences)
    write_predictions(predictions, names, labels, floor_probabilities(learnt, known, bases))
