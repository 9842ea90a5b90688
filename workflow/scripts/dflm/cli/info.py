"""Show what a model is: its card in words, and whether its files are whole."""

from __future__ import annotations

import argparse
from pathlib import Path

from dflm.cli.options import MODEL_HELP

HELP = "show what a model is"
EXAMPLES = """\
  dflm info results/classify/SRF
  dflm info results/classify/SRF --json | jq .metrics
"""


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    command.add_argument("model", metavar="MODEL", type=Path, help=MODEL_HELP)
    command.add_argument("--json", action="store_true", help="print the card as it is")


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    from dflm.mining.cards import card_text, in_words, read_model

    card = read_model(args.model)
    print(card_text(card) if args.json else in_words(args.model, card))
