"""Shards a genome of hg38's size and takes some steps of pretraining on it; prints a table.

Run with ``python tests/benchmark/bench_hg38.py``: about three minutes on one core, and 6.3 GB of
disk, which are freed at the end. The genome is random, with hg38's 25 contigs at their lengths
and runs of N at their ends. Each stage is the library's own function in a process of its own; of
pretraining's windows all but the first few are left out, and the held-out contig is read to the
end of `--validation` tokens. The table gives what each stage took at most of the host's memory,
and the program fails if one of them takes more than `--limit`.
"""

from __future__ import annotations

import argparse
import gzip
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from stages import SCRIPTS, language_model, measured, outputs, settings

sys.path.insert(0, str(SCRIPTS))

from dflm.files import read_json

# Contig lengths of GRCh38 (UCSC hg38.chrom.sizes), without alternative and unplaced ones.
HG38 = {
    "chr1": 248_956_422,
    "chr2": 242_193_529,
    "chr3": 198_295_559,
    "chr4": 190_214_555,
    "chr5": 181_538_259,
    "chr6": 170_805_979,
    "chr7": 159_345_973,
    "chr8": 145_138_636,
    "chr9": 138_394_717,
    "chr10": 133_797_422,
    "chr11": 135_086_622,
    "chr12": 133_275_309,
    "chr13": 114_364_328,
    "chr14": 107_043_718,
    "chr15": 101_991_189,
    "chr16": 90_338_345,
    "chr17": 83_257_441,
    "chr18": 80_373_285,
    "chr19": 58_617_616,
    "chr20": 64_444_167,
    "chr21": 46_709_983,
    "chr22": 50_818_468,
    "chrX": 156_040_895,
    "chrY": 57_227_415,
    "chrM": 16_569,
}
END_OF_N = 10_000  # as at hg38's telomeres
LINE = 50
ROOM = 1.1  # of the disk that the genome and its arrays take, at least


def write_genome(path: Path, contigs: dict[str, int], packed: bool) -> None:
    """Write random contigs with runs of N at their ends, in lines of 50."""
    rng = np.random.default_rng(1)
    letters = np.frombuffer(b"ACGTN", dtype=np.uint8)
    piece = 200_000 * LINE
    with gzip.open(path, "wb", 1) if packed else open(path, "wb") as stream:
        for name, length in contigs.items():
            stream.write(f">{name}\n".encode())
            end = min(END_OF_N, length // 4)
            for start in range(0, length, piece):
                size = min(piece, length - start)
                codes = np.full(-(-size // LINE) * LINE, 4, dtype=np.uint8)
                codes[:size] = rng.integers(0, 4, size, dtype=np.uint8)
                codes[: max(0, end - start)] = 4
                codes[max(0, length - end - start) :] = 4
                lines = np.full((codes.size // LINE, LINE + 1), ord("\n"), dtype=np.uint8)
                lines[:, :LINE] = letters[codes].reshape(-1, LINE)
                stream.write(lines.tobytes()[: size + (size - 1) // LINE] + b"\n")


def check_disk(folder: Path, needed: float) -> None:
    """End the program if the folder's disk has no room."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        sys.exit(
            f"{folder} has {free / 1e9:.1f} GB free and {needed / 1e9:.1f} are needed: "
            "name another place by --folder, or a part of the genome by --scale"
        )


def disk_of(*paths: Path) -> int:
    """Bytes of the files at or under some paths."""
    files = [file for path in paths for file in (path, *path.rglob("*")) if file.is_file()]
    return sum(file.stat().st_size for file in files)


def pretraining(folder: Path, places: dict, args: argparse.Namespace) -> dict:
    """Take the first windows of pretraining, a validation, and write the model."""
    before = (
        "from dflm.training.batches import BPTTStream\n"
        "every = BPTTStream.windows\n"
        f"BPTTStream.windows = lambda self, rng=None: every(self, rng)[:{args.steps}]\n"
    )
    changes = {
        "batch_size": args.batch,
        "validations_per_epoch": 1,
        "validation_tokens": args.validation,
    }
    return measured(
        "dflm.training.pretrain",
        "pretrain",
        before=before,
        **places,
        **outputs(folder / "out"),
        metrics=folder / "out" / "metrics.json",
        language_model=language_model(embedding=64, hidden=192, layers=2),
        args=settings()["pretrain"] | changes,
        seed=1,
        gpu=int(args.gpu),
        threads=1,
    )


def reading(folder: Path, places: dict, k: int, batch: int, windows: int) -> dict:
    """Open the corpus, then read windows from it as a training on the CPU does; one process."""
    before = (
        "import dflm.training.batches as batches\n"
        "from dflm.files import write_json\n"
        "from dflm.sequences.corpus import Corpus\n"
        "from dflm.sequences.genome import GenomeIndex\n"
        "def read(index, contigs, out):\n"
        "    clocks = lambda: (time.perf_counter(), time.process_time())\n"
        "    marks = [clocks()]\n"
        f"    corpus = Corpus(GenomeIndex.load(index, contigs), 'train', min_run={k})\n"
        "    marks.append(clocks())\n"
        f"    stream = batches.BPTTStream(corpus, {k}, 1, {batch}, 70)\n"
        f"    for window in stream.windows()[:{windows}]:\n"
        "        stream.window(*window)\n"
        "    write_json(out, {'marks': [*marks, clocks()]})\n"
        "batches.read = read\n"
    )
    paths = {name: str(path) for name, path in places.items()}
    out = folder / "reading.json"
    peak = measured("dflm.training.batches", "read", before=before, **paths, out=out)["peak"]
    start, opened, ended = (np.array(mark) for mark in read_json(out)["marks"])
    parts = {"opened": opened - start, "read": ended - opened}
    return {
        name: {"seconds": float(times[0]), "cpu": float(times[1]), "peak": peak}
        for name, times in parts.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", help="where to write; a temporary folder otherwise")
    parser.add_argument("--scale", type=float, default=1.0, help="part of each contig's length")
    parser.add_argument("--gzip", action="store_true", help="pack the FASTA file (minutes more)")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--batch", type=int, default=128, help="streams of the pretraining")
    parser.add_argument("--validation", type=int, default=50_000, help="held-out tokens to read")
    parser.add_argument("--gpu", action="store_true", help="pretrain on the GPU, if there is one")
    parser.add_argument("--limit", type=float, default=8.0, help="GiB of host memory allowed")
    parser.add_argument("--quick", action="store_true", help="a look: a small genome, few steps")
    args = parser.parse_args()
    if args.quick:
        args.scale, args.steps = 0.02, 5
    with tempfile.TemporaryDirectory(dir=args.folder, prefix="hg38_") as made:
        sys.exit(bench(Path(made), args))


def bench(folder: Path, args: argparse.Namespace) -> int:
    contigs = {name: max(2000, int(length * args.scale)) for name, length in HG38.items()}
    bases = sum(contigs.values())
    check_disk(folder, ROOM * bases * 2.02)
    fasta = folder / ("genome.fa.gz" if args.gzip else "genome.fa")
    wall, cpu = time.perf_counter(), time.process_time()
    write_genome(fasta, contigs, args.gzip)
    wrote = {"seconds": time.perf_counter() - wall, "cpu": time.process_time() - cpu, "peak": None}
    places = {"index": folder / "index.json", "contigs": folder / "contigs"}
    chosen = settings()["genome"]
    shard = measured(
        "dflm.sequences.genome",
        "shard_genome",
        fasta,
        places["contigs"],
        places["index"],
        **{key: chosen[key] for key in ("include", "exclude", "validation", "soft_masked")},
    )
    arrays = disk_of(*places.values())
    k = settings()["kmers"]["k"]
    train = read_json(places["index"])["totals"]["train"]["length"]
    windows = 500
    read = reading(folder, places, k, args.batch, windows)
    trained = pretraining(folder, places, args)
    model = disk_of(folder / "out")
    tokens = args.steps * args.batch * settings()["pretrain"]["bptt"]
    rows = [
        (f"write the FASTA file{', gzip' * args.gzip}", wrote, bases, disk_of(fasta)),
        ("shard_genome", shard, bases, arrays),
        ("open the training corpus", read["opened"], train, 0),
        (f"{windows} windows of {args.batch} streams", read["read"], windows * args.batch * 70, 0),
        (f"pretrain_lm, {args.steps} steps of {args.batch} streams", trained, tokens, model),
    ]
    print(f"{len(contigs)} contigs, {bases:,} bases; limit {args.limit:g} GiB of host memory\n")
    print("| stage | wall time | CPU time | bases/s of CPU time | peak host memory | disk |")
    print("|---|---|---|---|---|---|")
    for name, found, count, disk in rows:
        times = f"{found['seconds']:.1f} s | {found['cpu']:.1f} s | {count / found['cpu']:.3g}"
        memory = f"{found['peak'] / 2**30:.2f} GiB" if found["peak"] else ""
        print(f"| {name} | {times} | {memory} | {f'{disk / 1e9:.3f} GB' if disk else ''} |")
    if trained["device_peak"]:
        print(
            f"| device memory of pretrain_lm | | | | {trained['device_peak'] / 2**30:.2f} GiB | |"
        )
    over = [name for name, found, *_ in rows if (found["peak"] or 0) > args.limit * 2**30]
    print(f"\nover the limit: {', '.join(over) or 'none'}")
    return bool(over)


if __name__ == "__main__":
    main()
