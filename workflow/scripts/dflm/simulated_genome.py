"""A small genome from a seed: Markov background, repeat families, N runs.

The background is an order-k Markov chain whose conditional distributions are
drawn from nested Dirichlet priors around a mammalian base composition with
CpG depleted, then made equal on both strands. A language model can learn it
(`Background.entropy` is what it can reach on background alone), and the diverged
copies of the repeat families reward a longer memory.
"""

import gzip
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dflm.files import atomic_path

LETTERS = np.frombuffer(b"ACGT", dtype=np.uint8)
COMPLEMENT = np.array([3, 2, 1, 0], dtype=np.uint8)
LINE = 60  # bases a FASTA line
SEGMENT = 2_000  # bases of background that are walked side by side
CONCENTRATION = (400.0, 60.0, 24.0, 16.0, 12.0, 10.0)  # of the prior at order 1, 2, ..


@dataclass(frozen=True)
class Background:
    """An order-k Markov chain over the four bases.

    Attributes
    ----------
    conditional : numpy.ndarray, shape=(4**k, 4)
        Probability of the next base after each context; the context's id reads
        its bases as digits of base 4, the oldest first.
    stationary : numpy.ndarray, shape=(4**k,)
        How often each context occurs.
    entropy : float
        Entropy rate in bits per base: no model can do better on the background.
    """

    conditional: np.ndarray
    stationary: np.ndarray
    entropy: float


def random_background(
    rng: np.random.Generator, order: int, gc: float = 0.42, cpg: float = 0.3
) -> Background:
    """Draw a strand-symmetric Markov background.

    Parameters
    ----------
    rng : numpy.random.Generator
    order : int
        Bases of context, 1 to 6.
    gc : float
        Share of G and C around which the prior stands, 0 to 1.
    cpg : float
        Factor on the probability of G after C: below 1 depletes CpG.

    Returns
    -------
    Background
    """
    conditional = np.tile([(1 - gc) / 2, gc / 2, gc / 2, (1 - gc) / 2], (1, 1))
    for level in range(1, order + 1):
        # A context of `level` bases shares its suffix's prior: the newest bases say most.
        prior = np.tile(conditional, (4, 1))
        if level == 1:
            prior[1, 2] *= cpg
            prior /= prior.sum(axis=1, keepdims=True)
        gamma = rng.standard_gamma(prior * CONCENTRATION[level - 1]) + 1e-3
        conditional = gamma / gamma.sum(axis=1, keepdims=True)
    words = (_stationary(conditional)[:, None] * conditional).reshape((4,) * (order + 1))
    # The mean of the chain and its reverse complement is again a stationary law of words.
    mirrored = words.transpose()[(slice(None, None, -1),) * (order + 1)]
    words = ((words + mirrored) / 2).reshape(-1, 4)
    stationary = words.sum(axis=1)
    conditional = words / stationary[:, None]
    entropy = float(-(words * np.log2(conditional)).sum())
    return Background(conditional, stationary / stationary.sum(), entropy)


def _stationary(conditional: np.ndarray) -> np.ndarray:
    """Stationary law of the contexts by power iteration."""
    contexts = len(conditional)
    law = np.full(contexts, 1 / contexts)
    for _ in range(1_000):
        # Summing over the oldest base leaves the next context.
        following = (law[:, None] * conditional).reshape(4, -1).sum(axis=0)
        if np.abs(following - law).max() < 1e-14:
            break
        law = following
    return law


def sample_background(rng: np.random.Generator, background: Background, length: int) -> np.ndarray:
    """Draw a sequence from the chain.

    Segments of `SEGMENT` bases are walked side by side, each from a fresh
    stationary context, so that NumPy steps through them at once.

    Parameters
    ----------
    rng : numpy.random.Generator
    background : Background
    length : int
        Bases wanted, at least 1.

    Returns
    -------
    numpy.ndarray, shape=(length,), dtype=uint8
        Base codes 0 to 3.
    """
    contexts = len(background.conditional)
    edges = background.conditional.cumsum(axis=1)[:, :3]
    walks = -(-length // SEGMENT)
    state = rng.choice(contexts, size=walks, p=background.stationary)
    out = np.empty((walks, SEGMENT), dtype=np.uint8)
    for step in range(SEGMENT):
        base = (rng.random(walks)[:, None] >= edges[state]).sum(axis=1)
        out[:, step] = base
        state = (state * 4 + base) % contexts
    return out.reshape(-1)[:length]


def mutate(rng: np.random.Generator, codes: np.ndarray, divergence: float) -> np.ndarray:
    """Substitute a share of the bases, each by one of the three others.

    Parameters
    ----------
    rng : numpy.random.Generator
    codes : numpy.ndarray
        shape=(length,) uint8, values 0 to 3.
    divergence : float, 0 to 1
        Probability that a base is substituted.

    Returns
    -------
    numpy.ndarray
        shape=(length,) uint8.
    """
    change = rng.random(len(codes)) < divergence
    shift = rng.integers(1, 4, size=len(codes), dtype=np.uint8)
    return np.where(change, (codes + shift) % 4, codes).astype(np.uint8)


def repeat_families(rng: np.random.Generator, background: Background, number: int) -> list:
    """Draw repeat families: (consensus of 150 to 600 bp, divergence .04 to .16).

    Returns
    -------
    list of (numpy.ndarray, float)
    """
    lengths = rng.integers(150, 601, size=number)
    consensus = [sample_background(rng, background, int(length)) for length in lengths]
    return list(zip(consensus, rng.uniform(0.04, 0.16, size=number).tolist(), strict=True))


def add_repeats(
    rng: np.random.Generator, codes: np.ndarray, families: list, share: float
) -> np.ndarray:
    """Lay diverged, often truncated copies of the families over a contig, in place.

    Parameters
    ----------
    rng : numpy.random.Generator
    codes : numpy.ndarray, shape=(n,), dtype=uint8
    families : list of (numpy.ndarray, float)
    share : float
        Share of the contig to be covered, 0 to 1 (about: copies may overlap).

    Returns
    -------
    numpy.ndarray, shape=(n,), dtype=bool
        Where repeats lie: the soft mask.
    """
    masked = np.zeros(len(codes), dtype=bool)
    while masked.mean() < share:
        consensus, divergence = families[rng.integers(len(families))]
        # Old copies have lost their 5' end more often than their 3' end.
        cut = int(rng.integers(0, len(consensus) // 2)) if rng.random() < 0.5 else 0
        copy = mutate(rng, consensus[cut:], divergence)[: len(codes)]
        if rng.random() < 0.5:
            copy = COMPLEMENT[copy[::-1]]
        start = int(rng.integers(0, len(codes) - len(copy) + 1))
        codes[start : start + len(copy)] = copy
        masked[start : start + len(copy)] = True
    return masked


def contig_text(
    rng: np.random.Generator,
    background: Background,
    families: list,
    length: int,
    share: float,
    gaps: bool,
) -> np.ndarray:
    """Draw one contig as FASTA letters.

    Parameters
    ----------
    rng : numpy.random.Generator
    background : Background
    families : list of (numpy.ndarray, float)
    length : int
        Bases, N included.
    share : float
        Share covered by repeats, in lower case.
    gaps : bool
        Whether N runs stand at both ends and within, and a few IUPAC codes.

    Returns
    -------
    numpy.ndarray, shape=(length,), dtype=uint8
        ASCII letters.
    """
    codes = sample_background(rng, background, length)
    masked = add_repeats(rng, codes, families, share)
    text = LETTERS[codes] + np.where(masked, 32, 0).astype(np.uint8)
    if gaps:
        end = max(1, length // 100)
        text[:end] = text[-end:] = ord("N")
        middle = int(rng.integers(length // 3, length // 2))
        text[middle : middle + 2 * end] = ord("N")
        known = np.flatnonzero(text != ord("N"))
        text[rng.choice(known, size=3, replace=False)] = np.frombuffer(b"RMY", dtype=np.uint8)
    return text


def genome_windows(
    rng: np.random.Generator, contigs: Iterable[np.ndarray], number: int, width: int
) -> np.ndarray:
    """Draw windows without N from contigs, uniformly.

    Parameters
    ----------
    rng : numpy.random.Generator
    contigs : iterable of numpy.ndarray, dtype=uint8
        ASCII letters, any case.
    number : int
        Windows to draw; they may overlap.
    width : int
        Bases of a window.

    Returns
    -------
    numpy.ndarray, shape=(number, width), dtype=uint8
        Base codes 0 to 3.
    """
    code = np.full(256, 4, dtype=np.uint8)
    code[LETTERS] = code[LETTERS + 32] = np.arange(4, dtype=np.uint8)
    gap = np.frombuffer(b"N", dtype=np.uint8)  # keeps windows from crossing a contig's end
    bases = code[np.concatenate([part for text in contigs for part in (text, gap)])]
    unknown = np.concatenate([[0], np.cumsum(bases == 4)])
    starts = np.flatnonzero(unknown[width:] == unknown[:-width])
    chosen = rng.choice(starts, size=number)
    return bases[chosen[:, None] + np.arange(width)]


def write_fasta_gz(path: Path, contigs: Mapping[str, np.ndarray]) -> None:
    """Write contigs (ASCII letters) as gzipped FASTA without any timestamp."""
    with (
        atomic_path(path) as temporary,
        open(temporary, "wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=4, mtime=0) as handle,
    ):
        for name, text in contigs.items():
            handle.write(f">{name}\n".encode())
            whole = len(text) // LINE * LINE
            lines = np.full((whole // LINE, LINE + 1), ord("\n"), dtype=np.uint8)
            lines[:, :LINE] = text[:whole].reshape(-1, LINE)
            handle.write(lines.tobytes())
            if whole < len(text):
                handle.write(text[whole:].tobytes() + b"\n")
