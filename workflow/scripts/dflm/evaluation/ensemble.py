"""An ensemble: the mean of what several classifiers say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dflm.calibration import calibrate_strands
from dflm.errors import InputError
from dflm.files import read_json, write_json
from dflm.predictions import read_strands, write_predictions
from dflm.scores import auroc
from dflm.software import made_by

ENSEMBLE = "dflm-ensemble"
FORMAT_VERSION = 1


def average(
    cards: Sequence[Path],
    validation: Sequence[Path],
    test: Sequence[Path],
    card: Path,
    predictions: Path,
    *,
    fdr: float,
    both_strands: bool,
) -> None:
    """Average probabilities over classifiers, and calibrate the means anew on validation.

    Parameters
    ----------
    cards : sequence of Path
        model.json of each member.
    validation, test : sequence of Path
        Their tables of the same validation and test sequences, see
        `dflm.predictions.write_predictions`.
    card : Path
        JSON to write: the members' weights by their checksums, the AUROC on the validation
        sequences, and the calibration.
    predictions : Path
        TSV of the test sequences to write.
    fdr : float
        See `dflm.calibration.operating_points`.
    both_strands : bool
        Whether `probability` is the mean of both strands, else that of the strand as given.

    Raises
    ------
    InputError
        If a table is wrong, or two tables are of different sequences.

    References
    ----------
    The mean of the probabilities of several networks: Lakshminarayanan et al., "Simple and scalable
    predictive uncertainty estimation using deep ensembles", NeurIPS 2017.
    """
    _, labels, forward, reverse = mean_of(validation)
    reached = auroc(labels, (forward + reverse) / 2 if both_strands else forward)
    calibration = calibrate_strands(labels, forward, reverse, fdr=fdr)
    names, labels, forward, reverse = mean_of(test)
    chosen = calibration["both_strands" if both_strands else "one_strand"]
    write_predictions(
        predictions, names, labels, forward, reverse, both_strands, chosen["temperature"]
    )
    members = [read_json(path) for path in cards]
    write_json(
        card,
        {
            "format": ENSEMBLE,
            "format_version": FORMAT_VERSION,
            "members": [
                {"sha256": one["sha256"], "seed": one["training"]["seed"]} for one in members
            ],
            "metrics": {"validation_auroc": reached},
            "calibration": calibration,
            **made_by(),
        },
    )


def mean_of(tables: Sequence[Path]) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray]:
    """Return names, labels, and the mean probabilities on each strand over tables.

    Raises
    ------
    InputError
        If two tables are of different sequences.
    """
    (names, labels, forward, reverse), *others = map(read_strands, tables)
    for path, (their_names, their_labels, *strands) in zip(tables[1:], others, strict=True):
        if their_names != names or not np.array_equal(their_labels, labels):
            raise InputError(f"is not of the sequences of {tables[0]}", path, "rerun predict")
        forward, reverse = forward + strands[0], reverse + strands[1]
    return names, labels, forward / len(tables), reverse / len(tables)
