"""The embedded demo: a simulated genome and four ChIP-seq sets with known motifs.

The sets imitate DeepBind's archive down to names, ranks and file layout, and
their truth (matrices, planted sites) is written beside them.

What may tell a peak from its negative is decided here. A negative is a
dinucleotide (Euler) shuffle of its positive, which keeps the 16 dinucleotide
counts and nothing of higher order. Were the peaks plain windows of the genome,
whose 5-mers and repeats are far from random, *every* set could be told from its
shuffles, motif or not. So the background of a peak is itself an Euler shuffle of
a genome window: composition and dinucleotides are the genome's, and without a
planted site positive and negative are two draws from one and the same law. The
set without a motif is therefore 0.5 in truth, whatever the model; all that the
other sets exceed it by is their motif.
"""

import gzip
import io
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dflm.files import atomic_path, write_json
from dflm.sequences.shuffle import dinucleotide_shuffle
from dflm.simulated_genome import (
    COMPLEMENT,
    LETTERS,
    contig_text,
    genome_windows,
    random_background,
    repeat_families,
    write_fasta_gz,
)
from dflm.simulated_motifs import decoy_matrices, write_matrices

WIDTH = 101  # bp of a peak, as DeepBind's
EDGE = 6  # bp at both ends of a peak that hold no site
FOLDER = "nbt3300-code/data/encode"  # of the sets within the published archive
BACKGROUND_ORDER = 4
REPEAT_SHARE = 0.25
REPEAT_FAMILIES = 16
IUPAC = {base: base for base in "ACGT"} | {"R": "AG", "Y": "CT", "S": "CG", "W": "AT", "N": "ACGT"}
README = (
    "Simulated ChIP-seq sets in the layout of DeepBind's supplementary archive.\n"
    "Made from a seed by the DFLM workflow; nothing here was measured.\n"
)


@dataclass(frozen=True)
class Motif:
    """A binding motif, from a consensus and how well each position is kept.

    Attributes
    ----------
    name : str
    consensus : str
        IUPAC letters.
    conservation : str
        A digit a position: d stands for d tenths of the probability beyond the
        uniform share (9: .925 for the consensus base, 0: .25 for each).
    """

    name: str
    consensus: str
    conservation: str

    def matrix(self) -> np.ndarray:
        """Position weight matrix.

        Returns
        -------
        numpy.ndarray, shape=(len(consensus), 4)
            Probabilities of A, C, G, T; rows sum to 1.
        """
        rows = []
        for letter, digit in zip(self.consensus, self.conservation, strict=True):
            kept = np.array([base in IUPAC[letter] for base in "ACGT"], dtype=float)
            weight = int(digit) / 10
            rows.append(weight * kept / kept.sum() + (1 - weight) / 4)
        return np.array(rows)

    def information(self) -> float:
        """Information content against a uniform background, in bits."""
        matrix = self.matrix()
        return float((matrix * np.log2(4 * matrix)).sum())


@dataclass(frozen=True)
class SimulatedSet:
    """One ChIP-seq set.

    Attributes
    ----------
    name : str
        As the published sets are named: factor, cell line, antibody, lab.
    motif : Motif or None
        None: no site anywhere, the peaks are background.
    fraction : float
        Share of the peaks that hold a site, 0 to 1.
    second : float
        Share of those that are to hold a second one, 0 to 1; one that would overlap the first is
        given up.
    spread : float
        Standard deviation of a site's centre around the peak's centre, in bp.
    """

    name: str
    motif: Motif | None = None
    fraction: float = 0.0
    second: float = 0.0
    spread: float = 12.0


LONG = Motif("long zinc-finger-like", "TTCAGCACCATGGACAGCGC", "79999899879999998989")
ETS = Motif("ETS-like", "ACCGGAAGTG", "6899999876")
EBOX = Motif("E-box-like", "SCACGTGS", "49999994")
DEMO_SETS = (
    SimulatedSet("STRONG_SIM1_STRONG_(1277-1)_Demo", LONG, fraction=1.0, second=0.6),
    SimulatedSet("MEDIUM_SIM1_MED-2.1_Demo", ETS, fraction=0.9, second=0.6),
    SimulatedSet("WEAK_SIM2_c-Weak_(SC-281)_Demo", EBOX, fraction=0.7, second=0.3),
    SimulatedSet("NONE_SIM2_None.0_Demo"),
)


def simulate_demo(
    genome: Path,
    archive: Path,
    truth: Path,
    motifs: Path,
    *,
    seed: int,
    genome_length: int = 3_600_000,
    peaks: int = 3_000,
    test_positives: int = 500,
    sets: Sequence[SimulatedSet] = DEMO_SETS,
) -> None:
    """Write the demo's genome, its archive of ChIP-seq sets and the truth.

    Parameters
    ----------
    genome : Path
        Gzipped FASTA to write: chr1 to chr4, and a chrM and an alternative contig
        that the default patterns leave out. Repeats in lower case, N runs, a few
        IUPAC codes.
    archive : Path
        Zip to write, in the layout of the published one.
    truth : Path
        JSON to write: matrices, shares and every planted site
        (``"34+,70-"``: 0-based first base on the peak, strand of the motif).
    motifs : Path
        MEME file to write: the planted motifs, ``planted_TF``, among random ones.
    seed : int
        Same seed, same bytes.
    genome_length : int
        Bases of chr1 to chr4 together, at least 20,000.
    peaks : int
        Peaks a set, more than ``2 * test_positives`` so that some lie below the top.
    test_positives : int
        Peaks in the test file: the even-ranked of the top ``2 * test_positives``.
    sets : sequence of SimulatedSet

    Raises
    ------
    ValueError
        If the numbers do not fit together.
    """
    if genome_length < 20_000 or not 0 < 2 * test_positives < peaks:
        raise ValueError(
            f"genome_length {genome_length} must be 20,000 or more, and peaks {peaks} more than "
            f"twice test_positives {test_positives}"
        )
    streams = np.random.SeedSequence(seed).spawn(2 + len(sets))
    contigs, facts = _simulate_genome(np.random.default_rng(streams[0]), genome_length)
    write_fasta_gz(Path(genome), contigs)
    chromosomes = [text for name, text in contigs.items() if name in facts["chromosomes"]]
    members = {"nbt3300-code/README.txt": README.encode()}
    described = {}
    for simulated, stream in zip(sets, streams[1:-1], strict=True):
        rng = np.random.default_rng(stream)
        sequences, sites = simulate_peaks(rng, simulated, chromosomes, peaks)
        files = deepbind_files(rng, sequences, test_positives)
        for part, rows in files.items():
            members[f"{FOLDER}/{simulated.name}_{part}.seq.gz"] = _gzip(rows)
        described[simulated.name] = _describe(simulated, sites)
    _write_zip(Path(archive), members)
    planted = {
        f"planted_{each.name.split('_')[0]} {each.motif.name}": each.motif.matrix()
        for each in sets
        if each.motif is not None
    }
    write_matrices(Path(motifs), planted | decoy_matrices(np.random.default_rng(streams[-1])))
    write_json(Path(truth), {"seed": seed, "width": WIDTH, "genome": facts, "sets": described})


def _simulate_genome(rng: np.random.Generator, length: int) -> tuple[dict, dict]:
    """Draw the contigs (ASCII letters by name) and describe them."""
    background = random_background(rng, BACKGROUND_ORDER)
    families = repeat_families(rng, background, REPEAT_FAMILIES)
    shares = {"chr1": 0.4, "chr2": 0.3, "chr3": 0.2, "chr4": 0.1}
    lengths = {name: int(length * share) for name, share in shares.items()}
    others = {"chrM": max(2_000, length // 200), "chr1_DEMO01v1_alt": max(2_000, length // 100)}
    contigs = {
        name: contig_text(rng, background, families, size, REPEAT_SHARE, gaps=name in shares)
        for name, size in (lengths | others).items()
    }
    facts = {
        "chromosomes": lengths,
        "other_contigs": others,
        "background_order": BACKGROUND_ORDER,
        "background_bits_per_base": background.entropy,
        "repeat_families": REPEAT_FAMILIES,
        "repeat_share": REPEAT_SHARE,
    }
    return contigs, facts


def simulate_peaks(
    rng: np.random.Generator, simulated: SimulatedSet, contigs: Iterable[np.ndarray], peaks: int
) -> tuple[np.ndarray, list[str]]:
    """Draw a set's peaks: shuffled genome windows with planted sites.

    Parameters
    ----------
    rng : numpy.random.Generator
    simulated : SimulatedSet
    contigs : iterable of numpy.ndarray, dtype=uint8
        ASCII letters, any case.
    peaks : int

    Returns
    -------
    sequences : numpy.ndarray, shape=(peaks, WIDTH), dtype=uint8
        Base codes 0 to 3, in order of rank.
    sites : list of str
        Planted sites of each peak, ``""`` for none.
    """
    windows = genome_windows(rng, contigs, peaks, WIDTH)
    sequences = dinucleotide_shuffle(windows, seed=_draw_seed(rng))
    sites = [""] * peaks
    if simulated.motif is None:
        return sequences, sites
    edges = simulated.motif.matrix().cumsum(axis=1)[:, :3]
    length = len(edges)
    for peak in np.flatnonzero(rng.random(peaks) < simulated.fraction):
        planted = []
        for _ in range(2 if rng.random() < simulated.second else 1):
            centre = rng.normal(WIDTH / 2, simulated.spread)
            start = int(np.clip(round(centre - length / 2), EDGE, WIDTH - EDGE - length))
            if any(abs(start - other) < length for other, _ in planted):
                continue  # sites do not overlap: the second one is given up
            instance = (rng.random(length)[:, None] >= edges).sum(axis=1).astype(np.uint8)
            strand = "+" if rng.random() < 0.5 else "-"
            sequences[peak, start : start + length] = (
                instance if strand == "+" else COMPLEMENT[instance[::-1]]
            )
            planted.append((start, strand))
        sites[peak] = ",".join(f"{start}{strand}" for start, strand in sorted(planted))
    return sequences, sites


def deepbind_files(
    rng: np.random.Generator, sequences: np.ndarray, test_positives: int
) -> dict[str, str]:
    """Lay peaks out as DeepBind's training (AC) and test (B) file.

    B holds the even ranks of the top ``2 * test_positives`` and an Euler shuffle
    of each; AC the odd ranks and everything below. As in some published sets, the
    last row of AC holds N (its last `EDGE` bases).

    Parameters
    ----------
    rng : numpy.random.Generator
    sequences : numpy.ndarray, shape=(peaks, WIDTH), dtype=uint8
        Base codes 0 to 3, best peak first.
    test_positives : int

    Returns
    -------
    dict of str to str
        The text of ``"AC"`` and ``"B"``.
    """
    ranks = np.arange(1, len(sequences) + 1)
    in_test = (ranks % 2 == 0) & (ranks <= 2 * test_positives)
    text = [LETTERS[row].tobytes().decode() for row in sequences]
    text[-1] = text[-1][:-EDGE] + "N" * EDGE
    negatives = dinucleotide_shuffle(sequences[in_test], seed=_draw_seed(rng))
    header = "FoldID\tEventID\tseq\tBound\n"
    peak = "A\tseq_{:05d}_peak\t{}\t1\n"
    shuffled = "A\tseq_{:05d}_shuf\t{}\t0\n"
    train = "".join(peak.format(rank, text[rank - 1]) for rank in ranks[~in_test])
    test = "".join(peak.format(rank, text[rank - 1]) for rank in ranks[in_test])
    test += "".join(
        shuffled.format(rank, LETTERS[row].tobytes().decode())
        for rank, row in zip(ranks[in_test], negatives, strict=True)
    )
    return {"AC": header + train, "B": header + test}


def _describe(simulated: SimulatedSet, sites: Sequence[str]) -> dict:
    """Truth of one set, for JSON."""
    motif = simulated.motif
    return {
        "fraction": simulated.fraction,
        "second": float(np.mean(["," in site for site in sites if site] or [0.0])),
        "spread": simulated.spread,
        "motif": motif
        and {
            "name": motif.name,
            "consensus": motif.consensus,
            "information_bits": motif.information(),
            "pwm": [" ".join(f"{p:.4f}" for p in row) for row in motif.matrix()],
        },
        "sites": {f"seq_{rank:05d}_peak": site for rank, site in enumerate(sites, 1) if site},
    }


def _draw_seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31))


def _gzip(text: str) -> bytes:
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=buffer, mtime=0) as handle:
        handle.write(text.encode())
    return buffer.getvalue()


def _write_zip(path: Path, members: Mapping[str, bytes]) -> None:
    """Write a zip whose bytes depend on the members alone."""
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, content in members.items():
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
