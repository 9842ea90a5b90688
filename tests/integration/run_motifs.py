"""Ask of a run on real sets whether each model has learnt the motif of its own factor.

    .venv/bin/python tests/integration/run_motifs.py --directory real --output motifs

takes the classifiers that run_real.py trained, attributes the strongest training peaks of each
set, and compares their motifs with a database (JASPAR, in DFLM_REAL_DATA). A set counts
as right where the best match of its first motif, the one with most sites, is of the family.
"""

import argparse
import csv
import re
import sys
from pathlib import Path

from run_real import REPOSITORY, real_data

sys.path.insert(0, str(REPOSITORY / "workflow" / "scripts"))

from dflm.cli.program import main as dflm
from dflm.sequences.splits import read_split

DATABASE = "motifs/JASPAR2022_vertebrates.meme.gz"
# Families by their DNA-binding domain and the word that it reads.
ETS = r"ELK\d|ETV\d|ETS\d|ELF\d|GABPA|FLI1|ERG|ERF|FEV|EHF|SPDEF|SPI[1BC]"
E_BOX_CACGTG = (
    r"MYCN?|MAX|MXI1|MNT|MLX|MLXIPL|USF\d|TFE[3BC]|TFEB|MITF|HEY\d|BHLHE4\d|ARNTL?|CLOCK|NPAS2"
    r"|SREBF\d|HES\d"
)
E_BOX_CAGCTG = (
    r"TCF12|TCF[34]|TCF21|ASCL\d|MYOD1|MYOG|MYF\d|TAL\d|TWIST\d|TFAP4|FIGLA|NHLH\d|PTF1A|ID4|MSC"
    r"|LYL1|BHLHA15|NEUROD\d|ATOH\d"
)
FAMILIES = {
    "ARID3A": r"ARID\d\w",
    "CTCFL": r"CTCFL?",
    "ELK1": ETS,
    "FOXA1": r"FOX\w+",
    "GABPA": ETS,
    "MYC": E_BOX_CACGTG,
    "REST": r"REST",
    "SRF": r"SRF",
    "TCF12": E_BOX_CAGCTG,
    "USF1": E_BOX_CACGTG,
    "YY1": r"YY\d|ZFP42",
    "ZNF143": r"ZNF143|THAP11|ZNF76",
}


def factors(target: str) -> list[str]:
    """Return the factors that a motif of the database is of: MA0059.1_MA0059.1.MAX::MYC has two."""
    return target.rsplit(".", 1)[-1].split("::")


def in_family(target: str, tf: str) -> bool:
    """Say whether a motif of the database is of the family of a factor."""
    return any(re.fullmatch(FAMILIES[tf], each, re.IGNORECASE) for each in factors(target))


def motifs_of(directory: Path, name: str, output: Path, most: int, database: Path) -> list[dict]:
    """Find the motifs of a set's model in its strongest training peaks; return motifs.tsv."""
    names, sequences, labels = read_split(directory / "results/chipseq" / name / "train.tsv.gz")
    output.mkdir(parents=True, exist_ok=True)
    with (output / "peaks.fa").open("w") as file:
        for peak, sequence, label in zip(names, sequences, labels, strict=True):
            if label:
                file.write(f">{peak}\n{sequence}\n")
    model = directory / "results/classify" / name
    words = ["motifs", model, "--fasta", output / "peaks.fa", "--most", most, "--quiet"]
    words += ["--width", len(sequences[0])]  # which cards of older runs do not tell
    words += ["--database", database, "--threads", 1, "--device", "cpu", "-o", output]
    if dflm([str(word) for word in words]):
        raise SystemExit(f"dflm motifs failed for {name}")
    with (output / "motifs.tsv").open() as file:
        return list(csv.DictReader(file, delimiter="\t"))


def row(name: str, found: list[dict]) -> tuple[str, bool]:
    """Return a row of the table, and whether the first motif is of the factor's family."""
    tf = name.split("_")[0]
    if tf not in FAMILIES:
        return f"| {tf} | | {len(found)} | | | | not in the database |", False
    ranks = [i for i, one in enumerate(found, 1) if in_family(one["best_match"], tf)]
    first = found[0] if found else dict.fromkeys(("consensus", "best_match", "q_value"), "-")
    place = str(ranks[0]) if ranks else "none"
    return (
        f"| {tf} | {first['consensus']} | {len(found)} | {'/'.join(factors(first['best_match']))} "
        f"| {first['q_value']} | {first.get('sites', '-')} | {place} |"
    ), ranks[:1] == [1]


def main() -> None:
    """Read the command line, find motifs, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--directory", type=Path, required=True, help="a run of run_real.py")
    parser.add_argument("--output", type=Path, required=True, help="a folder a set")
    parser.add_argument("--most", type=int, default=500, help="peaks of a set")
    parser.add_argument("--database", type=Path, default=real_data() / DATABASE)
    parser.add_argument("--select", nargs="*", default=[""], help="beginnings of names of sets")
    args = parser.parse_args()
    names = sorted(path.name for path in (args.directory / "results/classify").iterdir())
    print("| set | first motif | motifs | best match | q | sites | family at motif |")
    print("|---|---|---|---|---|---|---|", flush=True)
    right = []
    for name in names:
        if name.startswith(tuple(args.select)):
            found = motifs_of(args.directory, name, args.output / name, args.most, args.database)
            line, good = row(name, found)
            print(line, flush=True)
            right += [good] if name.split("_")[0] in FAMILIES else []
    print(f"family at the first motif: {sum(right)} of {len(right)}")


if __name__ == "__main__":
    main()
