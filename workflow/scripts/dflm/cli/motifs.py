"""Find the motifs that a model has learnt.

Takes the attributions of bound sequences, the strongest first, from dflm attribute, or makes them.
Writes a folder: motifs.meme, motifs.transfac, motifs.tsv, sites.tsv, matches.tsv (against a
database, by TOMTOM), logos/, and index.html, which shows it all.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from dflm.cli import options
from dflm.errors import InputError

HELP = "find the motifs that a model has learnt"
EXAMPLES = """\
  dflm motifs results/classify/SRF --fasta peaks.fa --database JASPAR.meme -o srf_motifs
  dflm motifs results/classify/SRF --attributions srf.npz --database JASPAR.meme.gz -o srf_motifs
"""

log = logging.getLogger(__name__)


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    options.add_model(command)
    options.add_sequences(command)
    command.add_argument(
        "--attributions",
        metavar="FILE",
        type=Path,
        help="npz of dflm attribute, instead; takes all of them",
    )
    options.add_windows(command, "default: an eighth of the width")
    command.add_argument(
        "--method",
        choices=("gradients", "mutagenesis"),
        default="gradients",
        help="of attribution; default %(default)s",
    )
    command.add_argument(
        "--most",
        type=options.at_least(1),
        default=2000,
        help="take the first sequences only, so put the strongest first; default %(default)s",
    )
    command.add_argument(
        "--finder",
        choices=("auto", "modisco", "seeds"),
        default="auto",
        help="auto: TF-MoDISco where it is installed (see README.md) and windows are long and many "
        "enough, else seeds; default %(default)s",
    )
    command.add_argument(
        "--motifs", type=options.at_least(1), default=10, help="motifs to keep; default %(default)s"
    )
    command.add_argument("--database", metavar="FILE", help="MEME file to compare with")
    options.add_seed(command)
    command.add_argument(
        "-o", "--output", required=True, metavar="FOLDER", type=Path, help="where all is written"
    )


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    from dflm.mining.attribution.files import load_attributions
    from dflm.mining.motifs.discovery import check_finder
    from dflm.mining.motifs.files import read_meme
    from dflm.mining.motifs.folder import find_motifs
    from dflm.mining.output import check_writable

    given = (args.fasta, args.tsv, args.bed)
    if args.attributions is not None and any(given):
        raise InputError("both sequences and attributions are given", mend="give one of them")
    # Before hours go into what it is compared with; once, as it may be a pipe.
    targets = read_meme(args.database) if args.database is not None else []
    check_finder(args.finder)
    check_writable(args.output / "motifs.meme")
    scorer = options.load_scorer(args)
    if args.attributions is not None:
        found = load_attributions(args.attributions)
        if found.model != scorer.name:
            raise InputError(f"are those of {found.model}, not of {scorer.name}", args.attributions)
    else:
        found = options.attributions(args, scorer)
    name = Path(args.database).name if args.database is not None else None
    motifs = find_motifs(
        found,
        args.output,
        finder=args.finder,
        targets=targets,
        database=name,
        most=args.motifs,
    )
    for motif in motifs:
        log.info("%s  %s  %d sites", motif.name, motif.consensus, motif.sites)
    log.info("%d motifs, see %s", len(motifs), args.output / "index.html")
