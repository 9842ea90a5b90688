"""Score windows all along sequences, and call sites.

Takes a FASTA file (a genome, say), or the regions of a BED file, or a whole genome. Writes a bigWig
of scores, a BED file of calls, or both. Calls are windows of at least the threshold's probability;
of windows that overlap the best one is kept. Columns of the BED file: contig, start, end, name,
score (1000 x calibrated probability), strand, probability, calibrated probability, log-odds. The
strand, and where in the window the site lies, are told by the motifs of dflm motifs, given by
--motifs, in four columns more: motif, site_start, site_end, motif_score; the classifier itself
reads both strands alike. Memory does not grow with the genome. A scan that was stopped goes on
after the last whole contig, if it is called again with the same --parts.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from dflm.cli import options
from dflm.errors import InputError

HELP = "score windows along a genome and call sites"
EXAMPLES = """\
  dflm scan results/classify/SRF --genome hg38.fa --bigwig srf.bw --calls srf.bed --plot srf.svg
  dflm scan results/classify/SRF --genome hg38.fa --calls s.bed --motifs m.meme --parts s.parts
  dflm scan results/classify/SRF --bed enhancers.bed --genome hg38.fa --calls - | head
  dflm scan results/classify/SRF --fasta locus.fa.gz --calls calls.bed --threshold 0.9 --stride 10
"""


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    options.add_model(command)
    source = command.add_argument_group("sequences")
    source.add_argument("--fasta", metavar="FILE", help="plain or gzipped; - is stdin")
    source.add_argument("--genome", metavar="FILE", help="FASTA or the workflow's index.json")
    source.add_argument("--bed", metavar="FILE", help="regions of --genome to scan")
    options.add_windows(command, "default 25")
    command.add_argument(
        "--max-n",
        type=float,
        default=0.1,
        help="share of N above which a window has no score; default %(default)s",
    )
    options.add_precision(command)
    output = command.add_argument_group("output (at least one)")
    output.add_argument("--bigwig", metavar="FILE", help="scores, on the middle of each window")
    output.add_argument("--calls", metavar="FILE", help="BED file of calls; - is stdout")
    output.add_argument(
        "--plot", metavar="FILE", help="SVG of both along the contigs; needs --bigwig and --calls"
    )
    output.add_argument(
        "--value",
        choices=("probability", "calibrated", "log-odds"),
        default="probability",
        help="what the bigWig holds; default %(default)s",
    )
    output.add_argument(
        "--threshold",
        help="least probability of a call before calibration, or a threshold of the card: max_mcc, "
        "fdr or half; default: max_mcc, or 0.5 where the card tells no calibration",
    )
    output.add_argument(
        "--apart",
        type=options.at_least(1),
        help="least distance of two calls in bases; default: the width, so that none overlap",
    )
    output.add_argument(
        "--motifs", metavar="FILE", help="MEME file that tells strand and place of a call's site"
    )
    output.add_argument(
        "--parts",
        metavar="FOLDER",
        type=Path,
        help="where finished contigs are kept until the scan is done, to go on after a stop",
    )


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    from dflm.mining.output import check_writable
    from dflm.mining.scan.contigs import ScanSettings
    from dflm.mining.scan.files import ScanOutput, scan_to_files

    if args.bigwig is None and args.calls is None:
        raise InputError("no output is asked for", mend="give --bigwig FILE, --calls FILE or both")
    if args.plot is not None and (args.bigwig is None or args.calls in (None, "-")):
        raise InputError("--plot is drawn from files", mend="give --bigwig FILE and --calls FILE")
    source = options.one_source(args, ("fasta", "genome"))
    if args.bed is not None and source == "fasta":
        raise InputError("--bed needs --genome", mend="give --genome instead of --fasta")
    if args.parts is not None and "-" in (args.fasta, args.bed):
        raise InputError("stdin cannot be read again, so --parts is of no use", mend="leave it out")
    if args.motifs is not None and source == "fasta":
        raise InputError("--motifs needs --genome", mend="give --genome instead of --fasta")
    scorer = options.load_scorer(args, precision=args.precision)
    settings = ScanSettings(scorer.width(args.width), args.stride or 25, args.max_n)
    if args.plot is not None:
        check_writable(args.plot)
    output = ScanOutput(
        args.bigwig, args.calls, args.value, args.threshold, args.apart, args.motifs
    )
    scan_to_files(
        scorer,
        args.model,
        settings,
        output,
        fasta=args.fasta,
        genome=args.genome,
        regions=args.bed,
        parts=args.parts,
    )
    if args.plot is not None:
        from dflm.mining.scan.plot import plot_scan

        plot_scan(args.bigwig, args.calls, args.plot, scorer.name, args.value)
