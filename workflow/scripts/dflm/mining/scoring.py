"""Scores of sequences with a trained classifier: the one place where mining runs a model."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dflm.calibration import TEMPERATURES, calibration_in
from dflm.errors import InputError
from dflm.files import read_json
from dflm.model.classifier import PoolingClassifier
from dflm.model.files import load_classifier
from dflm.sequences.kmers import N, reverse_complement
from dflm.training.batches import kmer_tokens
from dflm.training.device import autocast, inference_batch, pick_device

log = logging.getLogger(__name__)

WEIGHTS, CARD = "model.safetensors", "model.json"
THRESHOLD, DEFAULT_THRESHOLD = "max_mcc", 0.5
"""The threshold of a card that calls are made by, and what stands in for it in a card without."""
WIDEST = 100_000
"""Bases of a window at most; a set's sequences have 10,000 at most."""
BATCH_SIZE = 256
"""Sequences read at once on a CPU; a GPU takes as many as fill it."""


@dataclass(frozen=True)
class StrandScores:
    """Log-odds of being bound, of each sequence on each strand."""

    forward: np.ndarray
    """shape=(n,) float64, natural logarithm; the sequence as given."""
    reverse: np.ndarray
    """shape=(n,) float64; its other strand."""

    def __len__(self) -> int:
        return len(self.forward)

    def __getitem__(self, rows) -> StrandScores:
        return StrandScores(self.forward[rows], self.reverse[rows])

    @classmethod
    def joined(cls, parts: Sequence[StrandScores]) -> StrandScores:
        """Return the scores of several, one after the other."""
        forward = np.concatenate([part.forward for part in parts])
        return cls(forward, np.concatenate([part.reverse for part in parts]))

    @property
    def probability(self) -> np.ndarray:
        """Mean of both strands' probabilities, shape=(n,), as the workflow's predictions."""
        return (sigmoid(self.forward) + sigmoid(self.reverse)) / 2

    @property
    def log_odds(self) -> np.ndarray:
        """Log-odds of `probability`, shape=(n,), also where that is 1 to all digits."""
        with np.errstate(invalid="ignore"):  # NaN, a window without a score, stays NaN
            bound = np.logaddexp(log_sigmoid(self.forward), log_sigmoid(self.reverse))
            unbound = np.logaddexp(log_sigmoid(-self.forward), log_sigmoid(-self.reverse))
        return bound - unbound


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-x))."""
    return np.exp(log_sigmoid(x))


def log_sigmoid(x: np.ndarray) -> np.ndarray:
    """Return the logarithm of `sigmoid`, without overflow."""
    with np.errstate(invalid="ignore"):
        return -np.logaddexp(0, -np.asarray(x, dtype=np.float64))


class Scorer:
    """A trained classifier, ready to score sequences of base codes.

    Parameters
    ----------
    model : PoolingClassifier
    card : dict
        Its card; ``training.width`` and ``calibration`` may be missing.
    name : str
        What to call it.
    device : torch.device
    batch_size : int >= 1
    precision : {"auto", "fp32", "bf16"}
    """

    def __init__(
        self,
        model: PoolingClassifier,
        card: dict,
        name: str,
        device: torch.device,
        batch_size: int = BATCH_SIZE,
        precision: str = "auto",
    ) -> None:
        self.model = model.to(device).eval().requires_grad_(False)
        self.card, self.name, self.device = card, name, device
        self.batch_size, self.precision = batch_size, precision
        self.k, self.stride = model.encoder.architecture.k, model.encoder.architecture.stride
        self.calibration = checked_calibration(card, name)
        self.temperature = float(self.calibration.get("temperature", 1.0))

    @classmethod
    def load(
        cls,
        folder: str | Path,
        *,
        device: str = "auto",
        threads: int = 1,
        batch_size: int = BATCH_SIZE,
        precision: str = "auto",
    ) -> Scorer:
        """Load the classifier of a folder that holds model.safetensors and model.json.

        Parameters
        ----------
        folder : path-like
            As ``results/classify/NAME``, or a copy of it.
        device : {"auto", "cpu", "cuda"}
            "auto" is CUDA where there is a GPU.
        threads : int >= 1
            Of the CPU.
        batch_size, precision
            See the class.

        Raises
        ------
        InputError
            If a file is missing or damaged, or card and weights do not belong together.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise InputError(
                "no such model folder", folder, f"give one that holds {WEIGHTS} and {CARD}"
            )
        chosen = choose_device(device, threads)
        model = load_classifier(folder / WEIGHTS, folder / CARD)
        name = folder.resolve().name
        return cls(model, read_json(folder / CARD), name, chosen, batch_size, precision)

    @classmethod
    def of_job(
        cls,
        weights: str | Path,
        *,
        gpu: int,
        threads: int,
        gpu_share: int = 100,
        precision: str = "fp32",
        device: torch.device | None = None,
    ) -> Scorer:
        """Load a classifier for a job of the workflow.

        Parameters
        ----------
        weights : path-like
            model.safetensors, beside its card.
        gpu, threads, gpu_share : int
            What the job was given, see `dflm.training.device.pick_device`.
        precision : {"auto", "fp32", "bf16"}
        device : torch.device, optional
            Where another model of the job lies already.

        Raises
        ------
        InputError
            As `load`.
        """
        device = device or pick_device(gpu, threads, gpu_share)
        folder = Path(weights).parent
        model = load_classifier(weights, folder / CARD)
        name = folder.resolve().name
        return cls(model, read_json(folder / CARD), name, device, precision=precision)

    @property
    def trained_width(self) -> int | None:
        """Bases of the sequences it was trained on; None where the card does not say."""
        training = self.card.get("training")
        width = training.get("width") if isinstance(training, dict) else None
        return width if isinstance(width, int) and width >= self.k else None

    def width(self, given: int | None = None) -> int:
        """Return the bases of a window: as given, else as trained.

        Raises
        ------
        InputError
            If nothing says it, or it is too short for the model.
        """
        width = given if given is not None else self.trained_width
        if width is None:
            raise InputError(
                "the card does not say the width it was trained on", self.name, "give --width"
            )
        if width > WIDEST:
            raise InputError(
                f"windows of {width} bases", self.name, f"at most {WIDEST} are read at once"
            )
        if width < self.k + self.stride:
            raise InputError(
                f"windows of {width} bases", self.name, f"at least {self.k + self.stride} are read"
            )
        return width

    def threshold(self, given: str | float | None = None) -> float:
        """Return the probability, before calibration, from which a window is called bound.

        Parameters
        ----------
        given : float or str, optional
            A probability, or the name of a threshold of the card: ``max_mcc``, ``fdr`` or
            ``half``; not given, `THRESHOLD`, or 0.5 where the card tells no calibration.

        Raises
        ------
        InputError
            If it is no probability and no threshold of the card.
        """
        known = self.calibration.get("thresholds", {})
        if given is None:
            if not known:
                log.warning(
                    "%s: no threshold in the card, %s is taken", self.name, DEFAULT_THRESHOLD
                )
                return DEFAULT_THRESHOLD
            given = THRESHOLD
        value = known[given]["threshold"] if given in known else given
        if value is None:
            limit = known[given].get("limit")
            raise InputError(
                f"no threshold keeps the false discovery rate within {limit}",
                self.name,
                "give a number",
            )
        try:
            value = float(value)
        except (TypeError, ValueError):
            value = float("nan")
        if not 0 <= value <= 1:
            names = ", ".join(sorted(known)) or "none"
            raise InputError(
                f"a threshold of {given!r}",
                self.name,
                f"give 0 to 1 or a name of the card ({names})",
            )
        return value

    def calibrated(self, log_odds: np.ndarray) -> np.ndarray:
        """Return probabilities after the card's temperature; without one, as they are."""
        return sigmoid(np.asarray(log_odds) / self.temperature)

    @torch.no_grad()
    def score(self, codes: np.ndarray, lengths: np.ndarray | None = None) -> StrandScores:
        """Score sequences on both strands.

        Parameters
        ----------
        codes : numpy.ndarray
            shape=(n, length) uint8; may be a view, as a sliding window.
        lengths : numpy.ndarray, optional
            shape=(n,) bases of each, where some are shorter and filled up with N at the end.
        """
        size = self._batch(codes.shape[-1])
        result = np.empty((2, len(codes)))
        for start in range(0, len(codes), size):
            part = np.ascontiguousarray(codes[start : start + size])
            some = None if lengths is None else lengths[start : start + size]
            for strand, oriented in enumerate((part, other_strand(part, some))):
                logits = self._log_odds(self.tokens(oriented))
                result[strand, start : start + size] = logits.cpu().numpy()
        return StrandScores(*result)

    def score_list(self, sequences: Sequence[np.ndarray]) -> StrandScores:
        """Score sequences of any lengths, each shape=(length,), batched with those of like length.

        Raises
        ------
        InputError
            If one is too short for the model.
        """
        lengths = np.array([len(sequence) for sequence in sequences], dtype=np.int64)
        if lengths.size and lengths.min() < self.k:
            raise InputError(
                f"sequence {int(lengths.argmin()) + 1} has {lengths.min()} bases",
                self.name,
                f"at least {self.k} are read",
            )
        result = np.empty((2, len(sequences)))
        order = np.argsort(lengths, kind="stable")
        size = self._batch(int(lengths.max(initial=1)))
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            part = np.full((len(rows), int(lengths[rows].max())), N, dtype=np.uint8)
            for place, row in enumerate(rows):
                part[place, : lengths[row]] = sequences[row]
            scores = self.score(part, lengths[rows])
            result[:, rows] = scores.forward, scores.reverse
        return StrandScores(*result)

    def tokens(self, codes: np.ndarray) -> Tensor:
        """Return the tokens, shape (n, T), of codes, shape=(n, length), on the device."""
        return kmer_tokens(torch.from_numpy(codes).to(self.device), self.k, self.stride)

    def _batch(self, width: int) -> int:
        """Return how many sequences of `width` bases to read at once."""
        return inference_batch(self.device, self.batch_size, self.model.strands * max(1, width))

    def _log_odds(self, tokens: Tensor) -> Tensor:
        with autocast(self.device, self.precision):
            logits = self.model(tokens)
        return (logits[:, 1].float() - logits[:, 0].float()).double()


def other_strand(codes: np.ndarray, lengths: np.ndarray | None = None) -> np.ndarray:
    """Return the reverse complements of codes, shape=(n, length).

    Where `lengths`, shape=(n,), says that a row is shorter, its first bases alone are turned, and
    what it is filled up with stays behind them.
    """
    turned = reverse_complement(codes)
    if lengths is not None:
        for shift in np.unique(codes.shape[1] - lengths):
            rows = lengths == codes.shape[1] - shift
            turned[rows] = np.roll(turned[rows], -shift, axis=1)
    return turned


def choose_device(device: str, threads: int) -> torch.device:
    """Return the device to compute on, and set the threads of a CPU.

    Raises
    ------
    InputError
        If CUDA is asked for and is not there.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("torch finds no GPU", "--device cuda", "give --device cpu")
    return pick_device(int(device != "cpu" and torch.cuda.is_available()), threads)


def checked_calibration(card: dict, name: str) -> dict:
    """Return what a card says of probabilities averaged over both strands.

    Parameters
    ----------
    card : dict
        The content of model.json.
    name : str
        What to call the model.

    Returns
    -------
    dict
        See `dflm.calibration.calibrate`; empty where the card says nothing.

    Raises
    ------
    InputError
        If it says something else.
    """
    if not card.get("calibration"):
        return {}
    try:
        found = calibration_in(card, True, name)
        temperature, thresholds = found["temperature"], found["thresholds"]
        told = [thresholds[known]["threshold"] for known in (THRESHOLD, *thresholds)]
        told += [point.get("limit") for point in thresholds.values()]
    except (KeyError, TypeError) as error:
        raise InputError(f"the card's calibration cannot be read ({error})", name) from None
    low, high = TEMPERATURES
    if not isinstance(temperature, int | float) or not low <= temperature <= high:
        raise InputError(
            f"the card's temperature is {temperature!r}, not a number from {low} to {high}", name
        )
    for value in told:
        if value is not None and not (isinstance(value, int | float) and 0 <= value <= 1):
            raise InputError(f"a threshold of the card is {value!r}, no probability", name)
    return found
