"""Tables that baselines read and write, the same for each of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dflm.errors import InputError
from dflm.files import atomic_path
from dflm.sequences.splits import read_split


def read_labelled(path: Path) -> tuple[list[str], np.ndarray]:
    """Read a split file to learn from.

    Returns
    -------
    sequences : list of str
    labels : numpy.ndarray
        shape=(rows,) int8: 1 bound, 0 not.

    Raises
    ------
    InputError
        If the file is wrong or lacks one of the two labels.
    """
    _, sequences, labels = read_split(path)
    if len(set(labels.tolist())) < 2:
        raise InputError("holds one label only; a baseline needs both, 0 and 1", path)
    return sequences, labels


def write_predictions(
    path: Path, names: Sequence[str], labels: np.ndarray, probability: np.ndarray
) -> None:
    """Write predictions of a method that reads both strands at once.

    Parameters
    ----------
    path : Path
        TSV with the columns of `dflm.training.predict.predict`; both strands have the
        probability of the sequence.
    names : sequence of str
    labels, probability : numpy.ndarray
        shape=(rows,); probabilities in [0, 1].
    """
    with atomic_path(path) as partial, partial.open("w", encoding="utf-8") as file:
        file.write("name\tlabel\tprobability\tprobability_forward\tprobability_reverse\n")
        for name, label, value in zip(names, labels, probability, strict=True):
            file.write(f"{name}\t{label}\t" + "\t".join([f"{value:.9g}"] * 3) + "\n")
