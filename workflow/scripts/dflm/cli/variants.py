"""Say what variants do to the scores of one or several models.

Each alternative allele of a VCF file, a single base or a short insertion or deletion, is scored in
the windows that hold it, with either allele, on both strands; what counts is the window where
either scores highest. Reference alleles are checked against the genome. P-values compare the change
of the log-odds with those of the same variants in dinucleotide-shuffled surroundings, or of like
variants at random places. The table (--tsv) has a line for each allele and model. Its columns:
contig, position (from 1), id, ref, alt, model; status (scored, or why it was not); window_start and
window_end (from 0, the end excluded); ref_log_odds, alt_log_odds and delta_log_odds (alt less ref),
and ref_probability, alt_probability and delta_probability, calibrated; p_value and q_value.
"""

from __future__ import annotations

import argparse

from dflm.cli import options
from dflm.errors import InputError

HELP = "say what variants do to scores"
EXAMPLES = """\
  dflm variants results/classify/SRF --vcf snps.vcf.gz --genome hg38.fa --tsv effects.tsv
  dflm variants results/classify/* --vcf snps.vcf --genome hg38.fa --out snps.dflm.vcf.gz
  dflm variants results/classify/SRF --vcf snps.vcf --genome hg38.fa --tsv e.tsv --plot e.svg
"""


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    options.add_model(command, several=True)
    command.add_argument("--vcf", required=True, metavar="FILE", help="plain, bgzip or BCF")
    command.add_argument(
        "--genome", required=True, metavar="FILE", help="FASTA or the workflow's index.json"
    )
    options.add_windows(command, "default: an eighth of the width")
    command.add_argument(
        "--max-n",
        type=float,
        default=0.1,
        help="share of N above which a window is left out; default %(default)s",
    )
    command.add_argument(
        "--on-mismatch",
        choices=("skip", "fail"),
        default="skip",
        help="what a reference allele that is not in the genome does; default %(default)s",
    )
    command.add_argument(
        "--null",
        choices=("shuffled", "matched", "none"),
        default="shuffled",
        help="what p-values rest on; default %(default)s",
    )
    command.add_argument(
        "--null-size",
        type=options.at_least(20),
        default=1000,
        help="variants that p-values rest on; of N alleles, H hits reach a q of N / H / this at "
        "best; default %(default)s",
    )
    options.add_seed(command)
    output = command.add_argument_group("output (at least one)")
    output.add_argument("--tsv", metavar="FILE", help="a line an allele and model; - is stdout")
    output.add_argument(
        "--out", metavar="FILE", help="annotated VCF; packed and indexed if it ends in .gz"
    )
    output.add_argument(
        "--plot", metavar="FILE", help="SVG of the changes of each model; needs --tsv"
    )


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    from dflm.mining.output import check_writable
    from dflm.mining.variants.annotation import annotate
    from dflm.mining.variants.scored import VariantSettings

    if args.tsv is None and args.out is None:
        raise InputError("no output is asked for", mend="give --tsv FILE, --out FILE or both")
    if args.plot is not None and args.tsv in (None, "-"):
        raise InputError("--plot is drawn from a file", mend="give --tsv FILE")
    if args.vcf == "-" and args.out is not None:
        raise InputError("the annotated VCF needs a file to read twice", mend="give --vcf FILE")
    for path in (args.tsv, args.out, args.plot):
        if path is not None:
            check_writable(path)
    settings = VariantSettings(
        args.stride, args.max_n, args.on_mismatch, args.null, args.null_size, args.seed
    )
    scorers = [options.load_scorer(args, model) for model in args.models]
    annotate(scorers, args.vcf, args.genome, args.tsv, args.out, settings, args.width)
    if args.plot is not None:
        from dflm.mining.variants.plot import plot_effects

        plot_effects(args.tsv, args.plot)
