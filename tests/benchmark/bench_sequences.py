"""How fast sequences are read, tokenised, shuffled and looked up; prints a table for RESULTS.md.

Run with ``PYTHONPATH=workflow/scripts python tests/benchmark/bench_sequences.py``. The peers are
written here, in plain Python, in the manner of a tokeniser that cuts strings and looks them up in
a dictionary. Ours and the peer take turns within a round; the table gives the median over the
rounds, and the lowest and highest. Rates are per second of CPU time, since everything runs on one
core and the machine may be shared; the median by the wall clock stands beside them.
"""

from __future__ import annotations

import argparse
import gzip
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise, product
from pathlib import Path

# One core: no library may start threads of its own.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[name] = "1"

SCRIPTS = Path(__file__).resolve().parents[2] / "workflow" / "scripts"
sys.path.insert(0, str(SCRIPTS))

import numpy as np
from dflm.sequences.genome import shard_genome
from dflm.sequences.kmers import decode, encode, kmer_ids, reverse_complement
from dflm.sequences.shuffle import dinucleotide_shuffle
from dflm.sequences.words import scan, word_table

CHOICE = {"include": ["*"], "exclude": [], "validation": ["v"], "soft_masked": "keep"}
K = 3
PEER_BASES = 1_000_000
SHUFFLES = 100_000
PEER_SHUFFLES = 300
LOOKED_UP = 1_000


def write_genome(path: Path, contigs: int, bases: int) -> None:
    """Write random contigs in lines of 50, half soft-masked, with a run of N at the start."""
    rng = np.random.default_rng(1)
    letters = np.frombuffer(b"ACGTacgt", dtype=np.uint8)
    with open(path, "wb") as stream:
        stream.write(b">v\nACGTACGT\n")
        for contig in range(contigs):
            stream.write(b">t%d\n" % contig)
            stream.write((b"N" * 50 + b"\n") * 1000)
            for _ in range(max(1, bases // 5_000_000)):
                # Soft-masking comes in stretches, as in a real genome.
                lower = np.repeat(rng.integers(0, 2, 20_000, dtype=np.uint8) * 4, 250)
                codes = rng.integers(0, 4, 5_000_000, dtype=np.uint8) + lower
                lines = np.full((100_000, 51), ord("\n"), dtype=np.uint8)
                lines[:, :50] = letters[codes].reshape(-1, 50)
                stream.write(lines)


def tokenise_in_python(path: Path) -> list[int]:
    """Tokenise a FASTA file by slicing strings and looking k-mers up."""
    vocabulary = {"".join(kmer): i for i, kmer in enumerate(product("ACGT", repeat=K), start=1)}
    ids: list[int] = []
    with open(path) as stream:
        parts: list[str] = []
        for line in stream:
            if not line.startswith(">"):
                parts.append(line.strip().upper())
    sequence = "".join(parts)
    words = [sequence[i : i + K] for i in range(len(sequence) - K + 1)]
    ids.extend(vocabulary.get(word, 0) for word in words)
    return ids


def shuffle_in_python(sequence: str, rng: random.Random) -> str:
    """Shuffle one sequence over a random Eulerian path with lists and dictionaries."""
    edges: dict[str, list[str]] = {}
    for a, b in pairwise(sequence):
        edges.setdefault(a, []).append(b)
    last = sequence[-1]
    tree: dict[str, str] = {}
    for start in edges:
        trail: dict[str, str] = {}
        at = start
        while at != last and at not in tree:
            trail[at] = rng.choice(edges[at])
            at = trail[at]
        at = start
        while at != last and at not in tree:
            tree[at] = trail[at]
            at = trail[at]
    for letter, exits in edges.items():
        if letter != last:
            exits.remove(tree[letter])
        rng.shuffle(exits)
        if letter != last:
            exits.append(tree[letter])
        exits.reverse()
    out = [sequence[0]]
    while len(out) < len(sequence):
        out.append(edges[out[-1]].pop())
    return "".join(out)


def look_up(sequences: list[np.ndarray], contigs: list[np.ndarray]) -> np.ndarray:
    """Find the sequences that stand in contigs whole, as the leak check does."""
    return scan(word_table(sequences, 40), contigs)[1]


def look_up_in_python(sequences: list[str], text: str) -> list[bool]:
    """Search the text for each sequence and its other strand."""
    others = [decode(reverse_complement(encode(sequence))) for sequence in sequences]
    return [one in text or two in text for one, two in zip(sequences, others, strict=True)]


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds of CPU time and by the wall clock."""
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - cpu, time.perf_counter() - wall


def shown(rates: list[float], unit: str) -> str:
    """A median rate with its range."""
    return f"{statistics.median(rates):.3g} {unit} ({min(rates):.3g} to {max(rates):.3g})"


def peak_memory(genome: Path, folder: Path) -> float:
    """MB of memory that sharding adds to a process that has already sharded a tiny genome."""
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from dflm.sequences.genome import shard_genome\n"
        "f = Path(sys.argv[2])\n"
        "def go(genome):\n"
        "    shard_genome(genome, f / 'c', f / 'i.json', include=['*'], exclude=[],\n"
        "                 validation=['v'], soft_masked='keep')\n"
        # Not getrusage: its maximum outlives exec, so it would be that of this process.
        "    status = Path('/proc/self/status').read_text()\n"
        "    return int(status.split('VmHWM:')[1].split()[0]) / 1024\n"
        "(f / 'tiny.fa').write_text('>v\\nACGT\\n>t\\nACGTN\\n')\n"
        "before = go(f / 'tiny.fa')\n"
        "print(go(sys.argv[1]) - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(genome), str(folder)],
        env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabases", type=int, default=200, help="size of the genome")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", help="where to write; a temporary folder otherwise")
    parser.add_argument("--quick", action="store_true", help="a look: a small genome, one round")
    args = parser.parse_args()
    if args.quick:
        args.megabases, args.rounds = 20, 1
    with tempfile.TemporaryDirectory(dir=args.folder) as made:
        bench(Path(made), args.megabases * 10**6, args.rounds)


def bench(folder: Path, bases: int, rounds: int) -> None:
    genome, packed, small = folder / "g.fa", folder / "g.fa.gz", folder / "small.fa"
    write_genome(genome, 4, bases // 4)
    with open(genome, "rb") as plain, gzip.open(packed, "wb", compresslevel=6) as stream:
        while block := plain.read(2**20):
            stream.write(block)
    with open(genome, "rb") as lines:
        total = sum(len(line.strip()) for line in lines if line[:1] != b">")
    text = decode(np.random.default_rng(2).integers(0, 4, PEER_BASES, dtype=np.uint8))
    small.write_text(">a\n" + "\n".join(text[i : i + 60] for i in range(0, len(text), 60)) + "\n")
    codes = np.random.default_rng(3).integers(0, 4, bases // 4, dtype=np.uint8)
    peaks = np.random.default_rng(4).integers(0, 4, (SHUFFLES, 101), dtype=np.uint8)
    letters = [decode(row) for row in peaks[:PEER_SHUFFLES]]
    wanted = list(peaks[:LOOKED_UP])
    texts = [decode(row) for row in wanted[:-1]] + [text[-101:]]

    def shard(path: Path) -> None:
        shard_genome(path, folder / "c", folder / "i.json", **CHOICE)

    # Compile before the clock runs, and hold the peers against ours.
    shard(small_pair(folder))
    assert tokenise_in_python(small) == kmer_ids(encode(text), K).tolist()
    dinucleotide_shuffle(peaks[:10], 1)
    in_text = look_up([encode(one) for one in texts], [encode(text)])
    assert look_up_in_python(texts, text) == in_text.tolist() == [False] * (LOOKED_UP - 1) + [True]
    rates: dict[str, list[float]] = {}
    walls: dict[str, list[float]] = {}
    works: list[tuple[str, int, Callable[[], object]]] = [
        ("shard", total, lambda: shard(genome)),
        ("shard gz", total, lambda: shard(packed)),
        ("python tokens", PEER_BASES, lambda: tokenise_in_python(small)),
        ("ids", codes.size, lambda: kmer_ids(codes, K)),
        ("shuffle", SHUFFLES, lambda: dinucleotide_shuffle(peaks, 1)),
        (
            "python shuffle",
            PEER_SHUFFLES,
            lambda: [shuffle_in_python(one, random.Random(1)) for one in letters],
        ),
        ("look up", codes.size, lambda: look_up(wanted, [codes])),
        ("python look up", PEER_BASES, lambda: look_up_in_python(texts, text)),
    ]
    for _ in range(rounds):
        for name, size, work in works:
            cpu, wall = seconds(work)
            rates.setdefault(name, []).append(size / cpu)
            walls.setdefault(name, []).append(size / wall)
    memory = []
    for contigs in (1, 10):
        write_genome(folder / "m.fa", contigs, 20_000_000)
        memory.append(peak_memory(folder / "m.fa", folder))
    print_table(rates, walls, memory, total, rounds)


def small_pair(folder: Path) -> Path:
    """A genome of two contigs, for compiling."""
    path = folder / "pair.fa"
    path.write_text(">v\nACGTN\n>t\nACGT\n")
    return path


def print_table(rates: dict, walls: dict, memory: list[float], total: int, rounds: int) -> None:
    tokens, shuffles, searches = (
        statistics.median(rates[f"python {x}"]) for x in ("tokens", "shuffle", "look up")
    )
    rows = []
    for name, what, unit, peer in (
        ("shard", f"shard_genome, plain FASTA, {total / 1e6:.0f} Mb", "bases/s", tokens),
        ("shard gz", "shard_genome, gzip", "bases/s", tokens),
        ("ids", f"kmer_ids, k = {K}", "ids/s", tokens),
        ("python tokens", "string slices and dictionary, in Python", "bases/s", tokens),
        ("shuffle", "dinucleotide_shuffle, 101 bp", "sequences/s", shuffles),
        ("python shuffle", "Eulerian shuffle in Python, 101 bp", "sequences/s", shuffles),
        ("look up", f"leak check of {LOOKED_UP} sequences, both strands", "bases/s", searches),
        ("python look up", "search of the text for each, in Python", "bases/s", searches),
    ):
        ratio = f"{statistics.median(rates[name]) / peer:.3g}"
        wall = f"{statistics.median(walls[name]):.3g}"
        rows.append(f"| {what} | {shown(rates[name], unit)} | {wall} | {ratio} |")
    rows.append(f"| peak memory added, 1 contig x 20 Mb | {memory[0]:.0f} MB | | |")
    rows.append(f"| peak memory added, 10 contigs x 20 Mb | {memory[1]:.0f} MB | | |")
    print(f"{platform.machine()}, Python {platform.python_version()}, one core, {rounds} rounds\n")
    print("| what | median (lowest to highest) | by the wall clock | times the peer |")
    print("|---|---|---|---|")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
