"""Attributed sequences, and the file that keeps them."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np

from dflm.errors import InputError
from dflm.files import BROKEN_NUMPY, atomic_path
from dflm.sequences.kmers import BASES, N

METHODS = ("gradients", "mutagenesis")
FORMAT = "dflm-attributions"


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


def observed(hypothetical: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return the credit of the bases that are there.

    Parameters
    ----------
    hypothetical : numpy.ndarray
        shape=(n, length, 4), the credit that each base would have.
    codes : numpy.ndarray
        shape=(n, length) uint8, the bases.

    Returns
    -------
    numpy.ndarray
        shape=(n, length) float32; 0 at an N.
    """
    place = np.minimum(codes, len(BASES) - 1)[..., None].astype(np.int64)
    found = np.take_along_axis(hypothetical, place, -1)[..., 0]
    return np.where(codes == N, 0, found).astype(np.float32)


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
    except BROKEN_NUMPY as error:
        raise InputError(
            f"no attributions ({error})", path, "make them by dflm attribute"
        ) from None
    singles = (found.names, found.starts, found.lengths, found.log_odds)
    shape = found.codes.shape
    if (
        len(shape) != 2
        or {one.shape for one in singles} != {shape[:1]}
        or found.hypothetical.shape != (*shape, len(BASES))
    ):
        raise InputError("arrays whose shapes do not go together", path)
    kinds = "".join(one.dtype.kind for one in (*singles, found.hypothetical, found.codes))
    if kinds != "Uiiffu" or found.codes.max(initial=0) > N:
        raise InputError("arrays of other things than attributions", path)
    return found
