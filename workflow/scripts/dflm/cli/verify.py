"""Check a run, an unpacked release or a packed model against the checksums recorded with it."""

from __future__ import annotations

import argparse
import logging
from collections import Counter

from dflm.cli import options
from dflm.errors import InputError

HELP = "check results against their recorded checksums"
EXAMPLES = """\
  dflm verify demo
  dflm verify release
  dflm verify results/models/SRF
"""

log = logging.getLogger(__name__)


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    options.add_folder(command, "where Snakemake ran, or a folder with SHA256SUMS")


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    from dflm.provenance import verify

    number, wrong = verify(args.folder)
    for what, name in wrong:
        print(f"{what}\t{name}")
    if wrong:
        counts = Counter(what for what, _ in wrong)
        told = ", ".join(f"{counts[what]} {what}" for what in sorted(counts))
        raise InputError(
            f"of {number} recorded files: {told}",
            args.folder,
            "fetch them again or run the workflow, which makes the record anew",
        )
    log.info("all %d files are as recorded", number)
