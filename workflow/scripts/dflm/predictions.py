"""Tables of predictions: what a classifier says of each sequence, on both strands and together."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dflm.calibration import scaled
from dflm.errors import InputError
from dflm.files import atomic_path
from dflm.tables import read_records


def write_predictions(
    path: str | os.PathLike,
    names: Sequence[str],
    labels: Sequence[int],
    forward: np.ndarray,
    reverse: np.ndarray,
    both_strands: bool,
    temperature: float,
) -> None:
    """Write the table of predictions.

    Parameters
    ----------
    path : path-like
        TSV to write: name, label, probability, probability_calibrated, probability_forward,
        probability_reverse.
    names, labels : sequence of length N
    forward, reverse : array of shape (N,)
        Probability on each strand, see `dflm.training.predict.strand_probabilities`.
    both_strands : bool
        `probability` is the mean of both strands, else that of the strand as given.
    temperature : float
        Of `probability_calibrated`, see `dflm.calibration.scaled`.
    """
    probability = (forward + reverse) / 2 if both_strands else forward
    columns = (probability, scaled(probability, temperature), forward, reverse)
    header = ("", "_calibrated", "_forward", "_reverse")
    with atomic_path(path) as partial, Path(partial).open("w", encoding="utf-8") as file:
        file.write("\t".join(["name", "label", *(f"probability{end}" for end in header)]) + "\n")
        for name, label, *values in zip(names, labels, *columns, strict=True):
            file.write(f"{name}\t{label}\t" + "\t".join(f"{value:.9g}" for value in values) + "\n")


def read_predictions(path: str | os.PathLike) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Read a predictions table.

    Parameters
    ----------
    path : path-like
        Tab-separated; the columns name, label, probability are found by the header.

    Returns
    -------
    names : list of str
    labels : numpy.ndarray, shape=(n,), dtype=int64
    probabilities : numpy.ndarray, shape=(n,), dtype=float64

    Raises
    ------
    InputError
        If a column is missing, a label is not 0 or 1, or a probability not from 0 to 1.
    """
    names, labels, (probabilities,) = _read(path, ("probability",))
    return names, labels, probabilities


def read_strands(path: str | os.PathLike) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray]:
    """Read names, labels, and the probabilities on the forward and the reverse strand.

    See `read_predictions`.
    """
    names, labels, strands = _read(path, ("probability_forward", "probability_reverse"))
    return names, labels, *strands


def _read(
    path: str | os.PathLike, columns: Sequence[str]
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Read names, labels, and columns of numbers as the rows of an array."""
    names, labels, values = [], [], []
    for number, row in read_records(path, ("name", "label", *columns), "rerun predict"):
        try:
            label, numbers = int(row["label"]), [float(row[name]) for name in columns]
        except ValueError:
            label, numbers = -1, []
        if label not in (0, 1) or not all(0 <= value <= 1 for value in numbers):
            what = f"line {number} holds no label and probability"
            raise InputError(what, path, "rerun predict")
        names.append(row["name"])
        labels.append(label)
        values.append(numbers)
    numbers = np.array(values, dtype=np.float64).reshape(len(values), len(columns)).T
    return names, np.array(labels, dtype=np.int64), numbers
