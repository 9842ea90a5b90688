"""Attributions of sequences of any lengths, and the file that keeps them."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dflm.errors import InputError
from dflm.files import atomic_path
from dflm.logs import progress
from dflm.mining.gradients import integrated_gradients, observed
from dflm.mining.mutagenesis import hypothetical_of, mean_log_odds, mutation_effects
from dflm.mining.predict import best_windows
from dflm.mining.scoring import Scorer
from dflm.sequences.kmers import BASES, N

METHODS = ("gradients", "mutagenesis")
FORMAT = "dflm-attributions"
_TOGETHER = 256  # sequences between two steps of the progress bar


@dataclass(frozen=True)
class AttributionSet:
    """Attributed windows, one of each sequence, filled up with N to one length."""

    names: np.ndarray
    """shape=(n,) of str."""
    starts: np.ndarray
    """shape=(n,) int64: where in its sequence each window starts, from 0."""
    lengths: np.ndarray
    """shape=(n,) int64: bases of each window."""
    codes: np.ndarray
    """shape=(n, length) uint8."""
    hypothetical: np.ndarray
    """shape=(n, length, 4) float32: the credit of each base at each place."""
    log_odds: np.ndarray
    """shape=(n,) float64: mean log-odds of both strands, which is what is attributed."""
    method: str
    """One of `METHODS`."""
    model: str
    """Name of the model."""

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, rows) -> AttributionSet:
        return AttributionSet(
            self.names[rows],
            self.starts[rows],
            self.lengths[rows],
            self.codes[rows],
            self.hypothetical[rows],
            self.log_odds[rows],
            self.method,
            self.model,
        )

    @property
    def contributions(self) -> np.ndarray:
        """The credit of the bases that are there, shape=(n, length) float32."""
        return observed(self.hypothetical, self.codes)

    @property
    def one_hot(self) -> np.ndarray:
        """The sequences, shape=(n, length, 4) float32; zeros at an N."""
        return (self.codes[..., None] == np.arange(len(BASES))).astype(np.float32)


def attribute(
    scorer: Scorer,
    names: Sequence[str],
    sequences: Sequence[np.ndarray],
    *,
    width: int,
    stride: int,
    method: str = "gradients",
    seed: int = 0,
) -> AttributionSet:
    """Attribute the score of the best window of each sequence to its bases.

    Parameters
    ----------
    scorer : Scorer
    names : sequence of str
    sequences : sequence of numpy.ndarray
        Each shape=(length,) uint8.
    width, stride : int >= 1
        The windows, see `dflm.mining.predict.best_windows`.
    method : {"gradients", "mutagenesis"}
        Integrated gradients, or the change by each single base; see their modules.
    seed : int
        Of the baselines' shuffles.

    Raises
    ------
    InputError
        If there is no sequence that can be read, or no such method.
    """
    if method not in METHODS:
        raise InputError(f"no method {method!r}", mend=f"give one of {', '.join(METHODS)}")
    best = best_windows(scorer, sequences, width, stride)
    rows = np.flatnonzero(best.windows)
    if not rows.size:
        raise InputError("no sequence is long enough to be read", scorer.name)
    lengths = (best.ends - best.starts)[rows]
    codes = np.full((len(rows), int(lengths.max())), N, dtype=np.uint8)
    hypothetical = np.zeros((*codes.shape, len(BASES)), dtype=np.float32)
    for place, row in enumerate(rows):
        codes[place, : lengths[place]] = sequences[row][best.starts[row] : best.ends[row]]
    groups = [
        (length, some)
        for length in np.unique(lengths)
        for some in _parts(np.flatnonzero(lengths == length))
    ]
    for length, some in progress(groups, total=len(groups), desc=method):
        part = codes[some, :length]
        if method == "mutagenesis":
            found = hypothetical_of(mutation_effects(scorer, part))
        else:
            found = integrated_gradients(scorer, part, seed=seed).hypothetical
        hypothetical[some, :length] = found
    return AttributionSet(
        np.array([names[row] for row in rows]),
        best.starts[rows],
        lengths,
        codes,
        hypothetical,
        mean_log_odds(best.scores[rows]),
        method,
        scorer.name,
    )


def _parts(rows: np.ndarray) -> list[np.ndarray]:
    return [rows[start : start + _TOGETHER] for start in range(0, len(rows), _TOGETHER)]


def save_attributions(path: str | os.PathLike, found: AttributionSet) -> None:
    """Write attributions as an npz file, of arrays alone: numpy.load needs no pickle for it."""
    arrays = {
        "names": found.names.astype(str),
        "starts": found.starts,
        "lengths": found.lengths,
        "codes": found.codes,
        "hypothetical": found.hypothetical,
        "contributions": found.contributions,
        "log_odds": found.log_odds,
        "method": np.array(found.method),
        "model": np.array(found.model),
        "format": np.array(FORMAT),
    }
    with atomic_path(path) as temporary, open(temporary, "wb") as stream:
        np.savez(stream, **arrays)


def load_attributions(path: str | os.PathLike) -> AttributionSet:
    """Read what `save_attributions` wrote.

    Raises
    ------
    InputError
        If the file is missing, damaged or another one.
    """
    fields = ("names", "starts", "lengths", "codes", "hypothetical", "log_odds")
    try:
        with np.load(path, allow_pickle=False) as file:
            if str(file["format"]) != FORMAT:
                raise KeyError("format")
            arrays = [file[name] for name in fields]
            found = AttributionSet(*arrays, str(file["method"]), str(file["model"]))
    except FileNotFoundError:
        raise InputError("there is no such file", path) from None
    except (KeyError, ValueError, OSError, zipfile.BadZipFile, AttributeError) as error:
        raise InputError(
            f"no attributions ({error})", path, "make them by dflm attribute"
        ) from None
    n = len(found.names)
    shapes = {found.starts.shape, found.lengths.shape, found.log_odds.shape}
    if shapes != {(n,)} or found.hypothetical.shape != (*found.codes.shape, len(BASES)):
        raise InputError("arrays whose shapes do not go together", path)
    return found
