"""Run every command of dflm on every classifier of a run, and see that each says something.

    .venv/bin/python tests/integration/run_commands.py --run demo --output commands

Sequences are the set's own test file, the genome is that of the run; variants are of its first
bases that are known. Each model is copied to a folder of its own first, as to another machine. A
table tells the seconds of each command, and the exit status is 1 if one fails.
"""

import argparse
import contextlib
import io
import json
import shutil
import sys
import time
from pathlib import Path

from run_real import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "workflow" / "scripts"))

from dflm.cli.program import main as dflm
from dflm.files import open_text
from dflm.mining.genomes import open_genome
from dflm.sequences.kmers import BASES
from dflm.sequences.splits import read_split

SEQUENCES, REGION, VARIANTS = 60, 20_000, 5
COMMANDS = ("predict", "scan", "attribute", "motifs", "variants", "info", "models")


def write_inputs(run: Path, name: str, folder: Path) -> None:
    """Write sequences of a set, a region of the genome, and variants in it."""
    rows = list(zip(*read_split(run / "results/chipseq" / name / "test.tsv.gz"), strict=True))
    bound = [row for row in rows if row[2]][:SEQUENCES]
    (folder / "in.fa").write_text("".join(f">{peak}\n{text}\n" for peak, text, _ in bound))
    genome = open_genome(run / "results/genome/index.json")
    card = json.loads((run / "results/genome/index.json").read_text())
    contig = max(card["contigs"], key=lambda each: each["length"])
    start = contig["length"] // 4
    codes = genome.codes(contig["name"], start, start + REGION)
    (folder / "in.bed").write_text(f"{contig['name']}\t{start}\t{start + REGION}\n")
    lines = ["##fileformat=VCFv4.2", f"##contig=<ID={contig['name']},length={contig['length']}>"]
    lines.append("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO")
    known = [at for at in range(200, REGION, 500) if codes[at] < len(BASES)][:VARIANTS]
    for at in known:
        ref, alt = BASES[codes[at]], BASES[(codes[at] + 1) % len(BASES)]
        lines.append(f"{contig['name']}\t{start + at + 1}\tv{at}\t{ref}\t{alt}\t.\t.\t.")
    (folder / "in.vcf").write_text("\n".join(lines) + "\n")


def words_of(command: str, model: Path, index: Path, folder: Path, width: list[str]) -> list:
    """Return the words of a command that reads the inputs in a folder and writes there."""
    sequences, genome = ["--fasta", folder / "in.fa"], ["--genome", index]
    cpu = ["--threads", 1, "--device", "cpu", "--quiet"]
    return {
        "predict": ["predict", model, *sequences, "-o", folder / "scores.tsv", *width, *cpu],
        "scan": [
            *("scan", model, *genome, "--bed", folder / "in.bed", "--bigwig", folder / "scan.bw"),
            *("--calls", folder / "calls.bed", "--plot", folder / "scan.svg", *width, *cpu),
        ],
        "attribute": [
            *("attribute", model, *sequences, "-o", folder / "a.npz"),
            *("--logos", folder / "a.svg", *width, *cpu),
        ],
        "motifs": [
            *("motifs", model, "--attributions", folder / "a.npz", "--finder", "seeds"),
            *("-o", folder / "motifs", *cpu),
        ],
        "variants": [
            *("variants", model, *genome, "--vcf", folder / "in.vcf", "--null-size", 50),
            *("--tsv", folder / "effects.tsv", "--out", folder / "effects.vcf.gz"),
            *("--plot", folder / "effects.svg", *width, *cpu),
        ],
        "info": ["info", model],
        "models": ["models", model.parent],
    }[command]


def count(path: Path) -> int:
    """Return the lines of a text file that are no header."""
    with open_text(path) as lines:
        return sum(1 for line in lines if not line.startswith("#"))


def look(command: str, folder: Path, said: str) -> str:
    """Return what is wrong with what a command has written; empty if nothing is."""
    asked = count(folder / "in.fa") // 2
    pictures = {"scan": "scan.svg", "attribute": "a.svg", "variants": "effects.svg"}
    if command in pictures and "<svg" not in (folder / pictures[command]).read_text():
        return "no picture"
    if command == "predict" and count(folder / "scores.tsv") != asked + 1:
        return f"not {asked} scores"
    if command == "variants":
        found = count(folder / "effects.tsv") - 1, count(folder / "effects.vcf.gz")
        return "" if found == (VARIANTS, VARIANTS) else f"{found} variants of {VARIANTS}"
    if command == "motifs" and not (folder / "motifs/index.html").is_file():
        return "no page"
    if command in ("info", "models") and len(said) < 50:
        return "says nothing"
    return ""


def try_all(run: Path, name: str, output: Path, width: list[str]) -> tuple[dict[str, str], int]:
    """Run all commands on a copy of a model; return a word for each, and how many failed."""
    folder = output / name
    shutil.rmtree(folder, ignore_errors=True)
    model = folder / "copied" / name
    model.mkdir(parents=True)
    for file in ("model.safetensors", "model.json"):
        shutil.copy(run / "results/classify" / name / file, model)
    write_inputs(run, name, folder)
    words, failed = {}, 0
    for command in COMMANDS:
        given = words_of(command, model, run / "results/genome/index.json", folder, width)
        began, out = time.perf_counter(), io.StringIO()
        with contextlib.redirect_stdout(out):
            code = dflm([str(word) for word in given])
        wrong = f"exit code {code}" if code else look(command, folder, out.getvalue())
        failed += bool(wrong)
        words[command] = wrong or f"{time.perf_counter() - began:.1f}"
    return words, failed


def main() -> None:
    """Read the command line, run the commands, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--run", type=Path, required=True, help="the folder of a finished run")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--width", help="of windows, for cards of older runs, which lack it")
    args = parser.parse_args()
    width = ["--width", args.width] if args.width else []
    print(f"| seconds of | {' | '.join(COMMANDS)} |")
    print("|---|" + "---|" * len(COMMANDS), flush=True)
    wrong = tried = 0
    for path in sorted((args.run / "results/classify").iterdir()):
        words, failed = try_all(args.run, path.name, args.output, width)
        print(f"| {path.name} | {' | '.join(words.values())} |", flush=True)
        wrong, tried = wrong + failed, tried + len(words)
    print(f"{tried} commands run, {wrong} failed")
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
