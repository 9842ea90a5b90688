"""The share of a corpus that one of several processes reads."""

from collections.abc import Iterator

import numpy as np
import torch

from dflm.sequences.corpus import Corpus
from dflm.training.batches import BPTTStream, on_device
from dflm.training.distributed import World


class CorpusPart:
    """A piece of a corpus, read as `dflm.sequences.corpus.Corpus` is.

    Parameters
    ----------
    corpus : Corpus
    start, stop : int
        Its first code, and the one after its last.
    """

    def __init__(self, corpus: Corpus, start: int, stop: int) -> None:
        self.corpus, self.start, self.stop = corpus, start, stop

    def __len__(self) -> int:
        """Return the number of codes."""
        return self.stop - self.start

    def rows(self, starts: np.ndarray, size: int) -> np.ndarray:
        """Copy pieces of `size` codes from `starts` on, shape=(rows, size) uint8."""
        return self.corpus.rows(np.asarray(starts) + self.start, size)

    def blocks(self, size: int) -> Iterator[np.ndarray]:
        """Yield the piece in order, `size` codes at a time, the last block fewer."""
        for start in range(0, len(self), size):
            yield self.rows(np.array([start]), min(size, len(self) - start))[0]


class SharedStream:
    """A corpus cut into parallel streams, of which this process reads its share.

    Parameters
    ----------
    corpus : Corpus
    k, stride, batch_size, bptt : int
        Of the corpus as a whole, see `dflm.training.batches.BPTTStream`.
    device : torch.device
        Gets the codes of this process's streams and no others.
    world : World

    Attributes
    ----------
    here : BPTTStream or None
        This process's streams; None when there are fewer streams than processes.
    streams, length : int
        Number of streams of all processes, and tokens of each.
    """

    def __init__(
        self,
        corpus: Corpus,
        k: int,
        stride: int,
        batch_size: int,
        bptt: int,
        device: torch.device,
        world: World,
    ) -> None:
        self.whole = BPTTStream(corpus, k, stride, batch_size, bptt)
        self.streams, self.length = self.whole.batch_size, self.whole.length
        first, end = world.share(self.streams)
        self.here = None
        if end > first:
            bases = self.length * stride  # from one stream's first to the next one's
            part = corpus
            if world.size > 1:
                part = CorpusPart(corpus, first * bases, end * bases + k)
            self.here = BPTTStream(on_device(part, device), k, stride, end - first, bptt)

    def __len__(self) -> int:
        """Return the tokens that the streams of all processes hold together."""
        return len(self.whole)

    def windows(self, rng: np.random.Generator | None = None) -> list[tuple[int, int]]:
        """Return (start, length) of an epoch's windows, the same in every process."""
        return self.whole.windows(rng)
