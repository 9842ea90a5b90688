"""Windows of a contig that passes by in pieces: scored in order, with bounded memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dflm.mining.scoring import Scorer
from dflm.sequences.kmers import N

PIECE = 2**20
"""Bases gathered before their windows are scored."""


class Tiler:
    """Scores the windows of one contig.

    Window i holds the bases i * stride to i * stride + width; one that would reach beyond the
    contig's end is none. A contig shorter than a window has none.

    Parameters
    ----------
    scorer : Scorer
    width, stride : int >= 1
    max_n : float, 0 to 1
        Share of N above which a window is not scored.
    take : callable
        Is given the next windows' scores, shape=(2, n) float32: log-odds of both strands; NaN
        where not scored.
    """

    def __init__(
        self,
        scorer: Scorer,
        width: int,
        stride: int,
        max_n: float,
        take: Callable[[np.ndarray], None],
    ) -> None:
        self.scorer, self.width, self.stride, self.max_n = scorer, width, stride, max_n
        self._take = take
        self._held: list[np.ndarray] = []  # codes from the next window's start on
        self._size = 0
        self._skip = 0  # bases to come before the next window, where stride exceeds width

    def write(self, codes: np.ndarray) -> None:
        """Take the next bases, shape=(length,); the array may be reused afterwards."""
        for start in range(0, len(codes), PIECE):
            part = codes[start : start + PIECE]
            dropped = min(self._skip, len(part))
            self._skip -= dropped
            part = part[dropped:]
            self._held.append(part.copy())
            self._size += len(part)
            if self._size >= PIECE + self.width:
                self._score()

    def finish(self) -> None:
        """Score what is left at the contig's end."""
        self._score()

    def _score(self) -> None:
        if self._size < self.width:
            return
        codes = np.concatenate(self._held)
        windows = np.lib.stride_tricks.sliding_window_view(codes, self.width)[:: self.stride]
        ns = np.concatenate([[0], np.cumsum(codes == N)])
        first = np.arange(len(windows)) * self.stride
        usable = ns[first + self.width] - ns[first] <= self.max_n * self.width
        usable &= ns[first + self.width] - ns[first] < self.width
        result = np.full((2, len(windows)), np.nan, dtype=np.float32)
        rows = np.flatnonzero(usable)
        # Rows of a view are copied a batch at a time, not all at once.
        step = 64 * self.scorer.batch_size
        for start in range(0, len(rows), step):
            some = rows[start : start + step]
            scores = self.scorer.score(windows[some])
            result[:, some] = scores.forward, scores.reverse
        self._take(result)
        after = len(windows) * self.stride
        self._skip = max(0, after - len(codes))
        rest = codes[after:].copy()
        self._held, self._size = [rest], len(rest)
