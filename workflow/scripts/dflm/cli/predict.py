"""Score sequences: the probability that the factor binds, for each sequence.

A sequence longer than the model was trained on is tiled with windows of that width and gets the
score of the best; of these, windows with more than a tenth of N are passed over. Output is a table
with a line for each sequence. Its columns: name, length; start and end of the best window (from 0,
the end excluded), windows that were scored; probability, the mean of both strands, calibrated, and
log_odds (of probability); probability_forward and probability_reverse, a strand each. A dot stands
where nothing could be read.
"""

from __future__ import annotations

import argparse
import logging

from dflm.cli import options

HELP = "score sequences"
EXAMPLES = """\
  dflm predict results/classify/SRF --fasta promoters.fa > scores.tsv
  dflm predict results/classify/SRF --bed peaks.bed --genome hg38.fa -o scores.tsv
  zcat test.tsv.gz | dflm predict results/classify/SRF --tsv - | sort -k6,6gr | head
"""

log = logging.getLogger(__name__)


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    options.add_model(command)
    options.add_sequences(command)
    options.add_windows(command, "default: an eighth of the width")
    options.add_precision(command)
    command.add_argument("-o", "--output", default="-", help="TSV to write; default: stdout")


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    from dflm.mining.output import open_output
    from dflm.mining.predict import COLUMNS, default_stride, prediction_rows

    options.one_source(args, ("fasta", "tsv", "bed"))
    scorer = options.load_scorer(args, precision=args.precision)
    width = scorer.width(args.width)
    stride = args.stride or default_stride(width)
    with open_output(args.output) as stream:
        stream.write("\t".join(COLUMNS) + "\n")

        def take(names, sequences) -> None:
            for row in prediction_rows(scorer, names, sequences, width, stride):
                stream.write(row + "\n")

        count = options.each_batch(args, take)
    log.info("%d sequences scored with %s", count, scorer.name)
