"""Attributions of sequences of any lengths."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dflm.errors import InputError
from dflm.logs import progress
from dflm.mining.attribution.files import METHODS, AttributionSet
from dflm.mining.attribution.gradients import integrated_gradients
from dflm.mining.attribution.mutagenesis import hypothetical_of, mean_log_odds, mutation_effects
from dflm.mining.predict import best_windows
from dflm.mining.scoring import Scorer
from dflm.sequences.kmers import BASES, N

_TOGETHER = 256  # sequences between two steps of the progress bar


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
