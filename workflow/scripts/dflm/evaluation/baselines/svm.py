"""A linear support vector machine on gapped k-mers, by dual coordinate descent.

scikit-learn's LinearSVC solves the same problem, but copies all features, 16 bytes each; here
they are made as they are needed, so that memory grows with the windows and not with the features.
"""

from __future__ import annotations

import logging

import numpy as np

from dflm.evaluation.baselines.gapped import Readings, Windows, add, dot, lengths_of, project
from dflm.sequences.compiled import compiled

log = logging.getLogger(__name__)


class LinearSVM:
    """A hinge-loss SVM on features of length 1 and a constant 1.

    Minimises |w|^2 / 2 + cost * sum of share * max(0, 1 - sign * w . x).

    Parameters
    ----------
    windows : Windows
    labels : array of int, shape=(sequences,)
        1 bound, 0 not.
    reads : Readings
    seed : int >= 0
        Of the order in which sequences are visited.
    shares : array of float > 0, shape=(sequences,), optional
        What the error of each counts; 1 when not given.

    References
    ----------
    Hsieh et al., "A dual coordinate descent method for large-scale linear SVM", 2008: algorithms
    1 and 3 (shrinking).
    """

    def __init__(
        self,
        windows: Windows,
        labels: np.ndarray,
        reads: Readings,
        seed: int,
        shares: np.ndarray | None = None,
    ) -> None:
        self.windows, self.reads = windows, reads
        self.lengths = lengths_of(windows, reads)
        self.sign = np.where(np.asarray(labels) == 1, 1.0, -1.0)
        self.shares = np.ones(len(windows)) if shares is None else np.asarray(shares, np.float64)
        self.alpha = np.zeros(len(windows))
        self.weights = np.zeros(reads.features, dtype=np.float32)
        self.bias = np.zeros(1)
        self.rng = np.random.default_rng(seed)

    def fit(self, cost: float, tolerance: float, passes: int) -> tuple[int, float]:
        """Descend from where the machine stands, which may be the solution of a lower cost.

        Parameters
        ----------
        cost : float > 0
            No lower than that of the fit before.
        tolerance : float > 0
            Range of the projected gradient at which the descent ends.
        passes : int >= 1
            Passes at which it ends in any case, with a warning.

        Returns
        -------
        done : int
            Passes made.
        gap : float
            The range reached.
        """
        usable, costs = np.flatnonzero(self.lengths > 0), cost * self.shares
        active, limits, gap = usable, np.array([np.inf, -np.inf]), np.inf
        for done in range(1, passes + 1):
            order = self.rng.permutation(active)
            kept, top, bottom = _descend(
                *(order, self.windows.begin, self.windows.first, self.windows.second),
                *(self.reads.first, self.reads.second, self.reads.scale, self.lengths, self.sign),
                *(costs, limits, self.alpha, self.weights, self.bias),
            )
            gap, whole = top - bottom, len(active) == len(usable) == kept
            active = order[:kept]
            limits = np.array([top if top > 0 else np.inf, bottom if bottom < 0 else -np.inf])
            if gap <= tolerance and whole:
                return done, gap
            if gap <= tolerance:  # of the active ones; a last look at all of them decides
                active, limits = usable, np.array([np.inf, -np.inf])
        log.warning("cost %g: %d passes end at a gap of %.3g", cost, passes, gap)
        return passes, gap


def decide(windows: Windows, reads: Readings, weights: np.ndarray, bias: float) -> np.ndarray:
    """Return the decision values of sequences: w . x / |x| + bias.

    Parameters
    ----------
    windows : Windows
    reads : Readings
    weights : numpy.ndarray
        shape=(features,) float32.
    bias : float

    Returns
    -------
    numpy.ndarray
        shape=(sequences,) float64, positive for bound; the bias where a sequence has no window.
    """
    lengths = lengths_of(windows, reads)
    values = project(windows, reads, weights)
    return np.divide(values, lengths, out=np.zeros_like(values), where=lengths > 0) + bias


@compiled
def _descend(
    order, begin, first, second, head, tail, scale, lengths, sign, costs, limits, alpha, w, bias
):
    """Pass once over `order`; move those that may still change to its front.

    `limits` are the largest and the smallest projected slope of the pass before. Returns how many
    may still change, and the two slopes of this pass.
    """
    kept, top, bottom = 0, -np.inf, np.inf
    for i in order:
        value = dot(begin[i], begin[i + 1], first, second, head, tail, scale, w) / lengths[i]
        slope = sign[i] * (value + bias[0]) - 1.0
        lowest, highest = alpha[i] == 0.0, alpha[i] == costs[i]
        if (lowest and slope > limits[0]) or (highest and slope < limits[1]):
            continue
        order[kept] = i
        kept += 1
        projected = slope
        if lowest:
            projected = min(slope, 0.0)
        if highest:
            projected = max(slope, 0.0)
        top, bottom = max(top, projected), min(bottom, projected)
        if projected == 0.0:
            continue
        before = alpha[i]
        alpha[i] = min(max(before - slope / 2.0, 0.0), costs[i])  # the square of x and the constant
        step = sign[i] * (alpha[i] - before)
        add(begin[i], begin[i + 1], first, second, head, tail, scale, step / lengths[i], w)
        bias[0] += step
    return kept, top, bottom
