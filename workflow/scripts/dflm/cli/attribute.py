"""Say which bases a score rests on.

For each sequence the best window is attributed: by integrated gradients, or, slower and the
reference, by in-silico mutagenesis of every base. Output is an npz file (names, starts, lengths,
codes, hypothetical, contributions, log_odds; what they are: dflm.mining.attribution.files), which
dflm motifs reads, and, if asked for, a picture of the bases around the peaks of credit.
"""

from __future__ import annotations

import argparse
import logging

from dflm.cli import options

HELP = "say which bases scores rest on"
EXAMPLES = """\
  dflm attribute results/classify/SRF --fasta peaks.fa -o srf.npz --logos srf.svg
  dflm attribute results/classify/SRF --bed peaks.bed --genome hg38.fa -o srf.npz
  dflm attribute results/classify/SRF --tsv sites.tsv --method mutagenesis -o srf.npz
"""

log = logging.getLogger(__name__)


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    options.add_model(command)
    options.add_sequences(command)
    options.add_windows(command, "default: an eighth of the width")
    command.add_argument(
        "--method",
        choices=("gradients", "mutagenesis"),
        default="gradients",
        help="default %(default)s",
    )
    command.add_argument(
        "--most", type=options.at_least(1), help="take the first sequences only; default: all"
    )
    options.add_seed(command)
    command.add_argument("-o", "--output", required=True, metavar="FILE", help="npz to write")
    command.add_argument("--logos", metavar="FILE", help="SVG of the strongest sites to write")
    command.add_argument(
        "--top",
        type=options.at_least(1),
        default=8,
        help="sites in the picture; default %(default)s",
    )


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    from dflm.mining.attribution.files import save_attributions
    from dflm.mining.attribution.top_sites import plot_top_sites
    from dflm.mining.output import check_writable

    options.one_source(args, ("fasta", "tsv", "bed"))
    for path in (args.output, args.logos):
        if path is not None:
            check_writable(path)
    scorer = options.load_scorer(args)
    found = options.attributions(args, scorer)
    save_attributions(args.output, found)
    log.info("%d sequences attributed by %s", len(found), args.method)
    if args.logos is not None:
        plot_top_sites(found, args.logos, args.top)
