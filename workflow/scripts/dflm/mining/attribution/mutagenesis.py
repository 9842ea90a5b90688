"""In-silico mutagenesis: what each change of a base does to a score; the reference.

The score is the mean over both strands of the log-odds of being bound. Unlike the log-odds of the
mean probability it is a sum, so that a strand's credit does not depend on the other strand's.
"""

from __future__ import annotations

import numpy as np

from dflm.mining.scoring import Scorer, StrandScores
from dflm.sequences.kmers import BASES, N

_SEQUENCES = 16  # mutated together; each is 3 x length rows


def mean_log_odds(scores: StrandScores) -> np.ndarray:
    """Return the score that is attributed to bases: the mean of both strands', shape=(n,)."""
    return (scores.forward + scores.reverse) / 2


def mutation_effects(scorer: Scorer, codes: np.ndarray) -> np.ndarray:
    """Score every single base change of sequences.

    Parameters
    ----------
    scorer : Scorer
        In full precision: differences of scores are smaller than bfloat16 tells apart.
    codes : numpy.ndarray
        shape=(n, length) uint8.

    Returns
    -------
    numpy.ndarray
        shape=(n, length, 4) float32: score with the base instead of the one there, minus the
        score as it is; 0 for the base that is there. At an N all four are 0: it has no effect to
        compare with.
    """
    n, length = codes.shape
    effects = np.zeros((n, length, len(BASES)), dtype=np.float32)
    for start in range(0, n, _SEQUENCES):
        part = codes[start : start + _SEQUENCES]
        before = mean_log_odds(scorer.score(part))
        row, at, base = np.nonzero(
            (np.arange(len(BASES)) != part[..., None]) & (part[..., None] != N)
        )
        mutated = part[row]
        mutated[np.arange(len(row)), at] = base
        after = mean_log_odds(scorer.score(mutated))
        effects[start + row, at, base] = after - before[row]
    return effects


def hypothetical_of(effects: np.ndarray) -> np.ndarray:
    """Turn effects, shape=(n, length, 4), into what each base contributes against the average base.

    So the contribution of the base that is there is minus the mean effect of all four: high where
    any change lowers the score.
    """
    return effects - effects.mean(-1, keepdims=True)
