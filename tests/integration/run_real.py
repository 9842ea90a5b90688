"""Run the whole workflow on real sequence and real ChIP-seq sets, on 2 CPU cores.

    .venv/bin/python tests/integration/run_real.py --directory real --cores 2

This makes the table of RESULTS.md: all sets and methods of real.yaml. `--select "MYC_*"
--ablations` takes one set, without ablations. `--directory real-uncapped --uncapped real` is DFLM
alone, on all peaks of each set, from the language model that the run in `real` pretrained.

DFLM_REAL_DATA names the folder with `chipseq/` and `genome/` (default: ../shared/data beside
the repository). The genome is put together from its three files: the piece of chr2, the
contiguous pieces, and every fourth of the short windows (about 20 Mb), those of one chromosome
joined by an N. Windows within the held-out piece are left out.
"""

import argparse
import gzip
import os
import re
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
HELD_OUT = ("chr17", 0, 1_000_000)  # hg19_chr17_0_1000000 of human_pieces
EVERY = 4


def real_data() -> Path:
    """Return the folder of the real data."""
    return Path(os.environ.get("DFLM_REAL_DATA", REPOSITORY.parent / "shared" / "data"))


def records(path: Path) -> Iterator[tuple[str, str]]:
    """Yield name and sequence of each record of a gzipped FASTA file."""
    name, lines = None, []
    with gzip.open(path, "rt") as file:
        for line in file:
            if line.startswith(">"):
                if name is not None:
                    yield name, "".join(lines)
                name, lines = line[1:].split()[0], []
            else:
                lines.append(line.strip())
    if name is not None:
        yield name, "".join(lines)


def chosen_windows(path: Path) -> dict[str, list[str]]:
    """Return every fourth window by chromosome, without those that touch the held-out piece."""
    windows = defaultdict(list)
    for i, (name, sequence) in enumerate(records(path)):
        chromosome, start, end = re.fullmatch(r"(\S+):(\d+)-(\d+)", name).groups()
        held_out = chromosome == HELD_OUT[0] and int(start) < HELD_OUT[2] and int(end) > HELD_OUT[1]
        if i % EVERY == 0 and not held_out:
            windows[chromosome].append(sequence)
    return windows


def write_genome(data: Path, target: Path) -> None:
    """Write the genome that the language model is trained on."""
    partial = target.with_suffix(".part")
    with partial.open("w") as file:
        for source, prefix in (("hg38_chr2_part", "hg38_"), ("human_pieces", "")):
            for name, sequence in records(data / f"{source}.fa.gz"):
                file.write(f">{prefix}{name}\n{sequence}\n")
        for chromosome, sequences in chosen_windows(data / "human_windows.fa.gz").items():
            file.write(f">windows_{chromosome}\n{'N'.join(sequences)}\n")
    partial.replace(target)


def prepare(
    directory: Path,
    select: list[str] | None = None,
    ablations: list[str] | None = None,
    uncapped: Path | None = None,
) -> Path:
    """Write genome and configuration into a folder; return the configuration's path.

    Without `select` all sets are taken, without `ablations` all that real.yaml names. With
    `uncapped`, the folder of a run, all peaks of a set are taken, that run's language model, and
    nothing to compare with.
    """
    data = real_data()
    directory.mkdir(parents=True, exist_ok=True)
    genome = directory / "genome.fa"
    if not genome.exists():
        write_genome(data / "genome", genome)
    model = yaml.safe_load((REPOSITORY / "config" / "small.yaml").read_text())
    config = model | yaml.safe_load((HERE / "real.yaml").read_text())
    config["genome"]["source"] = str(genome.resolve())
    config["datasets"]["source"] = str((data / "chipseq").resolve())
    if select:
        config["datasets"]["select"] = select
    if ablations is not None:
        config |= {"ablations": ablations, "ensemble": [], "comparison": {}}
    if uncapped:
        config |= {"baselines": [], "ablations": [], "ensemble": [], "comparison": {}}
        given = uncapped.resolve() / "results" / "discriminate"
        config["language_model"]["pretrained"] = str(given)
        config["chipseq"]["max_peaks"] = None
    path = directory / "config.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return path


def run(
    directory: Path,
    cores: int,
    select: list[str] | None = None,
    ablations: list[str] | None = None,
    uncapped: Path | None = None,
) -> float:
    """Run the workflow in a folder; return the seconds that it took."""
    config = prepare(directory, select, ablations, uncapped)
    command = [sys.executable, "-m", "snakemake", "--snakefile", REPOSITORY / "workflow/Snakefile"]
    command += ["--directory", directory, "--configfile", config, "--cores", cores]
    # Trainings of this size gain little from a second thread; two side by side gain twice.
    rules = [
        "pretrain_lm",
        "discriminate_genome",
        "finetune_lm",
        "train_classifier",
        "predict",
        "run_cnn",
    ]
    # By the default of a second the scheduler takes a quarter of a core in the end.
    command += ["--max-jobs-per-timespan", "1000/10s"]
    command += ["--set-threads", *(f"{rule}=1" for rule in rules), "--quiet", "rules"]
    start = time.monotonic()
    subprocess.run([str(word) for word in command], check=True)
    return time.monotonic() - start


def main() -> None:
    """Read the command line, run, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--directory", type=Path, default=Path("real"))
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--select", nargs="*", help="names or patterns of sets")
    parser.add_argument("--ablations", nargs="*", help="instead of those of real.yaml")
    parser.add_argument("--uncapped", type=Path, metavar="RUN", help="folder of a run; see above")
    args = parser.parse_args()
    seconds = run(args.directory, args.cores, args.select, args.ablations, args.uncapped)
    table = args.directory / "results" / "summary" / "auc.tsv"
    subprocess.run(
        [sys.executable, str(REPOSITORY / "workflow/scripts/show_table.py"), str(table)], check=True
    )
    print(f"whole run: {seconds / 60:.1f} minutes on {args.cores} cores")


if __name__ == "__main__":
    main()
