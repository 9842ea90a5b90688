"""The gapped k-mer SVM: trained on the split of a set, applied to its test file.

References
----------
Ghandi et al. 2014, doi:10.1371/journal.pcbi.1003711 (the kernel); Lee 2016,
doi:10.1093/bioinformatics/btw142 (LS-GKM, the usual program).
"""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from dflm.calibration import soft_targets
from dflm.errors import InputError
from dflm.evaluation.baselines.gapped import Readings, Windows, readings, windows_of
from dflm.evaluation.baselines.svm import LinearSVM, decide
from dflm.evaluation.baselines.tables import read_labelled, write_predictions
from dflm.files import BROKEN_NUMPY, atomic_path, sha256_of, write_json
from dflm.sequences.kmers import decode, encode
from dflm.sequences.shuffle import dinucleotide_shuffle_list
from dflm.sequences.splits import hash_of, read_split
from dflm.software import made_by

log = logging.getLogger(__name__)
WORD_MAX = 12
INFORMATIVE_MAX = 8
FORMAT = "dflm-gkm 2"
FLATTEST = 1e-3  # slope of the sigmoid over the spread of scores, at least


@dataclass(frozen=True, kw_only=True)
class GkmArgs:
    """How a gapped k-mer SVM is trained.

    Parameters
    ----------
    word : int, 2 to 12
        l, the bases of a window.
    informative : int, 1 to 8, at most `word`
        k, the bases of it that are read.
    shuffles : int >= 1
        Shuffles of each training peak that are learnt from, where negatives are shuffles: the
        one of the split and others drawn here, each counting one n-th.
    costs : list of float > 0
        The SVM's C; the one of the best validation AUROC is taken.
    tolerance : float > 0
        Range of the projected gradient at which a fit ends.
    passes : int >= 1
        Passes over the training part at which it ends in any case.
    """

    word: int
    informative: int
    shuffles: int
    costs: list[float]
    tolerance: float
    passes: int

    def __post_init__(self) -> None:
        if not 2 <= self.word <= WORD_MAX:
            raise InputError(f"gkm.word is {self.word}", mend=f"2 to {WORD_MAX}")
        if not 1 <= self.informative <= min(self.word, INFORMATIVE_MAX):
            raise InputError(
                f"gkm.informative is {self.informative}",
                mend=f"1 to {INFORMATIVE_MAX}, and no more than gkm.word",
            )
        if self.shuffles < 1:
            raise InputError(f"gkm.shuffles is {self.shuffles}", mend="1 or more")
        if not self.costs or min(self.costs) <= 0:
            raise InputError(f"gkm.costs is {self.costs}", mend="give one or more, above 0")
        if self.tolerance <= 0 or self.passes < 1:
            raise InputError("gkm.tolerance must be above 0 and gkm.passes at least 1")


def train_gkm(
    *,
    train: Path,
    validation: Path,
    model: Path,
    metrics: Path,
    args: dict,
    negatives: str,
    seed: int,
) -> None:
    """Train the gapped k-mer SVM of one set, on one thread.

    Parameters
    ----------
    train, validation : Path
        Split files of the set. Validation chooses C and turns scores into probabilities.
    model : Path
        The npz file to write; it holds arrays alone.
    metrics : Path
        The JSON file to write: what each C reached.
    args : dict
        See `GkmArgs`.
    negatives : str
        What the set's negatives are, by its statistics; of "shuffle" more are drawn.
    seed : int >= 0
        Of these, and of the order of the sequences, on which the solution does not depend beyond
        `tolerance`.

    Raises
    ------
    InputError
        If a split file is wrong, lacks one of the two labels, or holds no window.
    """
    run = GkmArgs(**args)
    reads = readings(run.word, run.informative)
    parts: list[tuple[Windows, np.ndarray]] = []
    further = 0
    for path in (train, validation):
        sequences, labels = read_labelled(path)
        draws = 0
        if path == train and negatives == "shuffle":
            each = max(1, round((labels == 0).sum() / (labels == 1).sum()))
            draws = further = max(0, run.shuffles // each - 1)  # of each of the split's
        sequences, labels = _with_shuffles(sequences, labels, draws, seed)
        windows = windows_of(sequences, run.word)
        if not len(windows.first):
            raise InputError(f"no sequence holds {run.word} known bases in a row", path)
        parts.append((windows, labels))
    (windows, labels), (held, held_labels) = parts
    shares = np.where(labels == 1, 1.0, 1.0 / (1 + further))
    machine = LinearSVM(windows, labels, reads, seed, shares)
    best, tried = None, []
    for cost in sorted(set(map(float, run.costs))):  # each starts from the one below
        done, gap = machine.fit(cost, run.tolerance, run.passes)
        values = decide(held, reads, machine.weights, machine.bias[0])
        found = {
            "cost": cost,
            "passes": done,
            "gap": float(gap),
            "support_vectors": int((machine.alpha > 0).sum()),
            "validation_auroc": float(roc_auc_score(held_labels, values)),
        }
        log.info("%s", "  ".join(f"{name} {value:.4g}" for name, value in found.items()))
        tried.append(found)
        if best is None or found["validation_auroc"] > best[0]["validation_auroc"]:
            best = found, machine.weights.copy(), machine.bias[0], values
    chosen, weights, bias, values = best
    if len(tried) > 2 and chosen["cost"] in (tried[0]["cost"], tried[-1]["cost"]):
        log.warning("gkm.costs: the best, %g, is the last on its side", chosen["cost"])
    slope = platt_slope(values, held_labels)
    with atomic_path(model) as partial, partial.open("wb") as file:
        np.savez_compressed(
            file,
            allow_pickle=False,
            format=np.array(FORMAT),
            shape=np.array([run.word, run.informative], dtype=np.int64),
            weights=weights,
            scalars=np.array([bias, slope], dtype=np.float64),
        )
    write_json(
        metrics,
        {
            "method": "gkm",
            "args": asdict(run),
            "negatives": negatives,
            "seed": seed,
            "train_sha256": sha256_of(train),
            "validation_sha256": sha256_of(validation),
            "sequences": len(windows),
            "costs": tried,
            "cost": chosen["cost"],
            "validation_auroc": chosen["validation_auroc"],
            "sha256": sha256_of(model),
            **made_by(),
        },
    )


def _with_shuffles(
    sequences: list[str], labels: np.ndarray, draws: int, seed: int
) -> tuple[list[str], np.ndarray]:
    """Put so many further dinucleotide shuffles of each negative behind the sequences."""
    given = [encode(one) for one, label in zip(sequences, labels, strict=True) if label == 0]
    made = [
        decode(codes)
        for draw in range(draws)
        for codes in dinucleotide_shuffle_list(given, hash_of(seed, "gkm", str(draw)))
    ]
    return [*sequences, *made], np.concatenate([labels, np.zeros(len(made), labels.dtype)])


def platt_slope(values: np.ndarray, labels: np.ndarray) -> float:
    """Fit the sigmoid that turns scores into probabilities.

    It has no shift, as `dflm.calibration.fit_temperature` has none: of every method 0.5 is what it
    decides by, not what the validation part would have it decide by.

    Parameters
    ----------
    values : numpy.ndarray
        shape=(rows,), scores of sequences that were not learnt from, above 0 for bound.
    labels : numpy.ndarray
        shape=(rows,), 1 or 0; both occur.

    Returns
    -------
    float
        Of the probability 1 / (1 + exp(-slope * value)); above 0, so that probabilities have the
        order of the scores, also where `labels` have it the other way round by chance.

    References
    ----------
    Platt 1999, with his targets, see `dflm.calibration.soft_targets`: separable scores have a fit
    too.
    """
    target = soft_targets(labels)
    spread = float(np.std(values)) or 1.0
    model = LogisticRegression(C=np.inf, max_iter=1000, tol=1e-8, fit_intercept=False)
    model.fit(
        np.concatenate([values, values])[:, None] / spread,
        np.repeat([1, 0], len(values)),
        sample_weight=np.concatenate([target, 1 - target]),
    )
    return max(float(model.coef_[0, 0]), FLATTEST) / spread


def predict_gkm(*, model: Path, sequences: Path, predictions: Path) -> None:
    """Predict the sequences of a split file with a gapped k-mer SVM.

    Parameters
    ----------
    model : Path
        What `train_gkm` wrote.
    sequences : Path
        A split file: name, sequence, label.
    predictions : Path
        TSV to write, see `write_predictions`.

    Raises
    ------
    InputError
        If a file is wrong or holds no sequence.
    """
    machine = load_gkm(model)
    names, bases, labels = read_split(sequences)
    if not names:
        raise InputError("holds no sequences to predict", sequences)
    values = decide(windows_of(bases, machine.word), machine.reads, machine.weights, machine.bias)
    probabilities = 1 / (1 + np.exp(-machine.slope * values))
    write_predictions(predictions, names, labels, probabilities)


@dataclass(frozen=True)
class GkmModel:
    """A trained gapped k-mer SVM."""

    word: int
    reads: Readings
    weights: np.ndarray
    """shape=(features,) float32, finite."""
    bias: float
    slope: float
    """It turns a score into a probability, see `platt_slope`."""


def load_gkm(path: Path) -> GkmModel:
    """Read what `train_gkm` wrote.

    Raises
    ------
    InputError
        If the file is missing, damaged or another one.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            if str(arrays["format"]) != FORMAT:
                raise ValueError(f"its format is {arrays['format']}")
            word, informative = arrays["shape"].astype(np.int64).tolist()
            if not 2 <= word <= WORD_MAX or not 1 <= informative <= min(word, INFORMATIVE_MAX):
                raise ValueError(f"it reads {informative} bases of {word}")
            reads = readings(word, informative)
            weights, scalars = arrays["weights"], arrays["scalars"].astype(np.float64)
        if weights.shape != (reads.features,) or weights.dtype != np.float32:
            raise ValueError(f"its weights are not {reads.features} numbers of 32 bits")
        bias, slope = scalars.tolist()
        if not np.isfinite(weights).all() or not np.isfinite(scalars).all():
            raise ValueError("a number of it is not finite")
    except FileNotFoundError:
        raise InputError("there is no such file", path) from None
    except BROKEN_NUMPY as error:
        raise InputError(f"no gapped k-mer SVM ({error})", path, "train it again") from None
    return GkmModel(word, reads, weights, bias, slope)
