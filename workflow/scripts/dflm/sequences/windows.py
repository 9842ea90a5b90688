"""Windows of a genome, drawn at random for the second pretraining."""

from __future__ import annotations

import numpy as np

from dflm.errors import InputError
from dflm.sequences.corpus import Corpus
from dflm.sequences.kmers import N

DRAWS = 1000  # rounds of drawing windows before a genome counts as one without any


def draw_windows(corpus: Corpus, count: int, width: int, seed: tuple[int, ...]) -> np.ndarray:
    """Draw windows without N from anywhere in a corpus.

    Parameters
    ----------
    corpus : Corpus
    count, width : int >= 1
    seed : tuple of int
        The windows depend on it and the corpus alone.

    Returns
    -------
    numpy.ndarray
        shape=(count, width) uint8, values 0 to 3.

    Raises
    ------
    InputError
        If windows of that width are all but absent.
    """
    rng = np.random.default_rng(seed)
    found, missing = [], count
    for _ in range(DRAWS if len(corpus) >= width else 0):
        starts = np.sort(rng.integers(0, len(corpus) - width + 1, missing + missing // 4 + 16))
        codes = corpus.rows(starts, width)
        codes = codes[(codes < N).all(axis=1)]
        # Sorted starts read the maps in order; the windows that are kept must not depend on it.
        found.append(rng.permutation(codes)[:missing])
        missing -= len(found[-1])
        if missing == 0:
            return rng.permutation(np.concatenate(found))
    raise InputError(
        f"the genome has too few stretches of {width} bases without N to draw {count} windows",
        mend="lower discriminate.width, or set discriminate.epochs to 0",
    )
