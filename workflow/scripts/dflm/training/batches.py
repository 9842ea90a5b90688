"""Batches of tokens, made on the device from base codes.

The corpus stays one byte a base; k-mer ids exist only for the window in hand.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from dflm.errors import InputError
from dflm.sequences.corpus import Corpus
from dflm.sequences.kmers import PAD, N, encode, reverse_complement
from dflm.sequences.shuffle import dinucleotide_shuffle

_BLOCK = 2**26  # codes brought to a device at a time


def kmer_tokens(codes: Tensor, k: int, stride: int) -> Tensor:
    """Turn base codes into k-mer ids.

    Parameters
    ----------
    codes : Tensor of uint8, shape (..., L)
        0 to 3 for A, C, G, T; 4 for N.
    k : int, 1 to 8
    stride : int >= 1

    Returns
    -------
    Tensor of int64, shape (..., (L - k) // stride + 1)
        1 + the base-4 value of the k-mer; the pad id where it holds an N. The values are those
        of `dflm.sequences.kmers.kmer_ids`.
    """
    count = (codes.size(-1) - k) // stride + 1
    if count < 1:
        return torch.zeros((*codes.shape[:-1], 0), dtype=torch.int64, device=codes.device)
    span = (count - 1) * stride + 1
    ids = torch.zeros((*codes.shape[:-1], count), dtype=torch.int32, device=codes.device)
    gap = torch.zeros(ids.shape, dtype=torch.bool, device=codes.device)
    for j in range(k):
        base = codes[..., j : j + span : stride]
        ids = ids * 4 + base
        gap |= base == N
    return (ids + 1).masked_fill_(gap, PAD).long()


def on_device(corpus: Corpus, device: torch.device) -> Corpus | Tensor:
    """Return what a stream on `device` reads.

    Parameters
    ----------
    corpus : Corpus
    device : torch.device

    Returns
    -------
    Corpus or Tensor of uint8, shape (len(corpus),)
        On the CPU the corpus itself: its memory maps feed a training many times over. Elsewhere
        all of its codes, resident on the device; no more than a block of them passes through
        the host's memory.
    """
    if device.type == "cpu":
        return corpus
    codes = torch.empty(len(corpus), dtype=torch.uint8, device=device)
    for i, block in enumerate(corpus.blocks(_BLOCK)):
        codes[i * _BLOCK : i * _BLOCK + block.size].copy_(torch.from_numpy(block))
    return codes


class BPTTStream:
    """A corpus cut into parallel streams, read window by window.

    Stream b holds the tokens b * L to (b + 1) * L of the corpus; a window takes the next T
    tokens of every stream, so that the state after one window is the right one for the next.

    Parameters
    ----------
    codes : Tensor of uint8, shape (n,), or Corpus
        The corpus, with so many N between pieces that do not belong together that a token on one
        side is none of the next on the other: one, or `stride` - `k` + 1 where that is more.
    k, stride : int
    batch_size : int >= 1
        Number of streams, B; fewer when the corpus is too short for them.
    bptt : int >= 1
        Tokens of a window.
    """

    def __init__(
        self, codes: Tensor | Corpus, k: int, stride: int, batch_size: int, bptt: int
    ) -> None:
        self.codes, self.k, self.stride, self.bptt = codes, k, stride, bptt
        self.device = codes.device if isinstance(codes, Tensor) else torch.device("cpu")
        tokens = (len(codes) - k) // stride + 1
        self.batch_size = max(1, min(batch_size, (tokens - 1) // bptt))
        self.length = (tokens - 1) // self.batch_size  # tokens of a stream that have a target
        if self.length < 1:
            raise InputError(
                f"the corpus has {max(tokens, 0)} tokens; at least 2 are needed to learn from"
            )

    def __len__(self) -> int:
        """Return the tokens that all streams hold together."""
        return self.length * self.batch_size

    def windows(self, rng: np.random.Generator | None = None) -> list[tuple[int, int]]:
        """Return (start, length) of an epoch's windows.

        Parameters
        ----------
        rng : numpy Generator, optional
            With it the lengths vary as in Merity et al. 2018: around bptt with probability
            0.95, else around half of it, standard deviation 5, at least 5. Without it all are
            bptt but the last.
        """
        windows, start = [], 0
        while start < self.length:
            length = self.bptt
            if rng is not None:
                centre = self.bptt if rng.random() < 0.95 else self.bptt / 2
                length = max(5, int(rng.normal(centre, 5)))
            length = min(length, self.length - start)
            windows.append((start, length))
            start += length
        return windows

    def window(self, start: int, length: int) -> tuple[Tensor, Tensor]:
        """Return a window of every stream.

        Parameters
        ----------
        start, length : int
            Its first token in each stream, and its tokens.

        Returns
        -------
        tokens, targets : Tensor of int64, shape (B, length)
            The targets are the tokens one further.
        """
        size = length * self.stride + self.k  # bases under length + 1 tokens
        first, step = start * self.stride, self.length * self.stride
        if isinstance(self.codes, Tensor):
            codes = self.codes.as_strided((self.batch_size, size), (step, 1), first)
        else:
            starts = first + step * np.arange(self.batch_size)
            codes = torch.from_numpy(self.codes.rows(starts, size))
        tokens = kmer_tokens(codes, self.k, self.stride)
        return tokens[:, :-1], tokens[:, 1:]


class SequenceBatches:
    """Sequences of one set, both strands on the device, in batches.

    Parameters
    ----------
    sequences : list of str
        A, C, G, T or N; shorter ones are filled up with N at the end.
    labels : array of int, optional
        One a sequence; zeros when not given.
    k, stride : int
    device : torch.device
    """

    def __init__(
        self,
        sequences: list[str],
        labels: np.ndarray | None,
        k: int,
        stride: int,
        device: torch.device,
    ) -> None:
        self.k, self.stride, self.device = k, stride, device
        width = max((len(sequence) for sequence in sequences), default=0)
        if sequences and width < k + stride:
            raise InputError(f"the sequences are {width} bases long; {k + stride} are needed")
        strands = np.full((2, len(sequences), width), N, dtype=np.uint8)
        for i, sequence in enumerate(sequences):
            codes = encode(sequence)
            strands[0, i, : len(codes)] = codes
            strands[1, i, : len(codes)] = reverse_complement(codes)
        self._uneven = min(map(len, sequences), default=0) < width
        self.codes = torch.from_numpy(strands).to(device)
        if labels is None:
            labels = np.zeros(len(sequences), dtype=np.int64)
        self.labels = torch.from_numpy(np.asarray(labels, dtype=np.int64)).to(device)
        self._given: np.ndarray | None = None  # the negatives' codes before any shuffle

    def __len__(self) -> int:
        """Return the number of sequences."""
        return self.labels.numel()

    def tokens(self, rows: Tensor | slice, strand: Tensor | int, phase: int = 0) -> Tensor:
        """Return tokens of some sequences.

        Parameters
        ----------
        rows : Tensor of int64, shape (B,), or slice
            Which ones.
        strand : Tensor of int64, shape (B,), or int
            0 for a sequence as given, 1 for its reverse complement.
        phase : int >= 0
            The base that the first token begins at.

        Returns
        -------
        Tensor of int64, shape (B, T)
        """
        return kmer_tokens(self.codes[strand, rows][:, phase:], self.k, self.stride)

    def shuffled(
        self, batch_size: int, both_strands: bool, seed: tuple[int, ...]
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield an epoch's batches (tokens, labels) in random order.

        Parameters
        ----------
        batch_size : int >= 1
            The most of a batch; sizes differ by one at most, since batch norm takes a small last
            batch for the whole set. A single sequence is left out: it cannot learn from that.
        both_strands : bool
            Read each sequence on a strand drawn at random.
        seed : tuple of int
            Order, strands and phases depend on it alone. With a stride above 1 a site reads
            differently by where tokens begin, so each batch draws the base that they begin at.
        """
        rng = np.random.default_rng(seed)
        order = torch.from_numpy(rng.permutation(len(self))).to(self.device)
        strands = torch.zeros(len(self), dtype=torch.int64)
        if both_strands:
            strands = torch.from_numpy(rng.integers(0, 2, len(self)))
        strands = strands.to(self.device)
        count = -(-len(self) // batch_size)
        ends = [i * len(self) // max(1, count) for i in range(count + 1)]
        # Two tokens are left at least, of which a language model predicts the second.
        phases = max(1, min(self.stride, self.codes.size(-1) - self.k - self.stride + 1))
        drawn = rng.integers(0, phases, count).tolist() if phases > 1 else [0] * count
        for (start, end), phase in zip(pairwise(ends), drawn, strict=True):
            rows = order[start:end]
            if len(rows) > 1:
                yield self.tokens(rows, strands[start:end], phase), self.labels[rows]

    def shuffle_negatives(self, seed: tuple[int, ...]) -> None:
        """Put a new dinucleotide shuffle in the place of each sequence of label 0.

        To be called where these are shuffles themselves: a shuffle of a shuffle of a peak is a
        draw from the same distribution as one of the peak. Each call starts from the sequences
        as they were given, so that the result depends on them and on the seed alone.

        Parameters
        ----------
        seed : tuple of int

        Raises
        ------
        InputError
            If sequences differ in length: what the shorter ones are filled up with would be
            shuffled too.
        """
        if self._given is None:
            if self._uneven:
                raise InputError(
                    "sequences differ in length, of which no shuffles are drawn anew",
                    mend="set fresh_negatives to false, or give sequences of one length",
                )
            self._rows = (self.labels == 0).nonzero().squeeze(1)
            self._given = self.codes[0, self._rows].cpu().numpy()
        draw = int(np.random.SeedSequence(seed).generate_state(1)[0])
        drawn = dinucleotide_shuffle(self._given, draw)
        for strand, codes in enumerate((drawn, [reverse_complement(one) for one in drawn])):
            self.codes[strand, self._rows] = torch.from_numpy(np.array(codes)).to(self.device)

    def ordered(self, batch_size: int, strand: int) -> Iterator[Tensor]:
        """Yield all tokens in file order.

        Parameters
        ----------
        batch_size : int >= 1
            Sequences at a time; the last batch may be smaller.
        strand : int, 0 or 1
            See `tokens`.
        """
        for start in range(0, len(self), batch_size):
            yield self.tokens(slice(start, start + batch_size), strand)
