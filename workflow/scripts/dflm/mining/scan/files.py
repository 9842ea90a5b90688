"""A scan from its source to its files, as the command and the workflow run it."""

from __future__ import annotations

import logging
import math
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from dflm.errors import InputError
from dflm.mining.genomes import open_genome
from dflm.mining.motifs.files import read_meme
from dflm.mining.output import check_writable, write_lines
from dflm.mining.scan.contigs import (
    ScanParts,
    ScanSettings,
    merge_regions,
    scan_fasta,
    scan_identity,
    scan_regions,
)
from dflm.mining.scan.locate import LOCATED_COLUMNS, locator
from dflm.mining.scan.tracks import BED_COLUMNS, call_lines, write_bigwig
from dflm.mining.scoring import Scorer
from dflm.mining.sequences_in import regions as regions_of
from dflm.training.device import lower_precision

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ScanOutput:
    """What a scan writes.

    Parameters
    ----------
    bigwig, calls : path-like or None
        Files to write; ``-`` as calls is standard output.
    value : {"probability", "calibrated", "log-odds"}
        What the bigWig holds.
    threshold : float, str or None
        Of a call, see `dflm.mining.scoring.Scorer.threshold`; infinity calls nothing.
    apart : int >= 1 or None
        Least distance of two calls; None is the width.
    motifs : path-like or None
        MEME file that tells strand and place of a call's site; one without motifs tells nothing.
    """

    bigwig: str | os.PathLike | None = None
    calls: str | os.PathLike | None = None
    value: str = "probability"
    threshold: float | str | None = None
    apart: int | None = None
    motifs: str | os.PathLike | None = None


def scan_to_files(
    scorer: Scorer,
    model: str | os.PathLike,
    settings: ScanSettings,
    output: ScanOutput,
    *,
    fasta: str | os.PathLike | None = None,
    genome: str | os.PathLike | None = None,
    regions: str | os.PathLike | None = None,
    parts: str | os.PathLike | None = None,
) -> None:
    """Scan a FASTA file, a genome or regions of one, and write scores and calls.

    Parameters
    ----------
    scorer : Scorer
    model : path-like
        Its folder.
    settings : ScanSettings
    output : ScanOutput
    fasta, genome : path-like
        One of them: a FASTA file to be read once, or a genome that is read by position.
    regions : path-like, optional
        BED file of regions of the genome.
    parts : path-like, optional
        Folder that keeps what is finished, so that a stopped scan goes on.

    Raises
    ------
    InputError
        If an input is wrong.
    OSError
        If an output cannot be written, before anything is scored.
    """
    for path in (output.bigwig, output.calls):
        if path is not None:
            check_writable(path)
    motifs = read_meme(output.motifs, empty=True) if output.motifs is not None else None
    threshold = output.threshold
    if output.calls is not None and threshold != math.inf:
        threshold = scorer.threshold(threshold)
    with tempfile.TemporaryDirectory(prefix="dflm-scan-") as temporary:
        identity = {}
        if parts is not None:
            source = _file_of(fasta if genome is None else genome)
            bf16 = lower_precision(scorer.device, scorer.precision)
            identity = scan_identity(model, source, settings, bf16)
        kept = ScanParts(parts or temporary, identity)
        if genome is None:
            scan_fasta(fasta, scorer, settings, kept)
            lengths = {piece.contig: piece.length for piece in kept.pieces()}
        else:
            lengths = _scan_genome(genome, regions, scorer, settings, kept)
        if kept.kept:
            log.info("%d pieces were finished before", kept.kept)
        _write(kept, lengths, scorer, settings, threshold, output, genome, motifs)
        kept.remove()


def _file_of(genome: str | os.PathLike) -> Path:
    """Return the file that stands for a source: of a folder, its index."""
    path = Path(genome)
    path = path / "index.json" if path.is_dir() else path
    if not path.is_file():
        raise InputError("there is no such file", path)
    return path


def _scan_genome(genome, regions, scorer, settings, parts) -> dict[str, int]:
    """Score it; return the lengths of all its contigs."""
    opened = open_genome(genome)
    if regions is None:
        found = [(name, 0, length) for name, length in opened.lengths.items()]
    else:
        chosen = regions_of(regions, opened)
        found = merge_regions(chosen, opened.lengths, settings.width, pad=True)
    scan_regions(found, opened, scorer, settings, parts)
    return opened.lengths


def _write(parts, lengths, scorer, settings, threshold, output, genome, motifs) -> None:
    if output.bigwig is not None:
        write_bigwig(output.bigwig, parts.pieces(), lengths, scorer, settings, output.value)
        log.info("%s written", output.bigwig)
    if output.calls is not None:
        columns, locate = BED_COLUMNS, None
        if motifs is not None:
            columns += LOCATED_COLUMNS
            locate = locator(open_genome(genome), motifs)
        apart = output.apart or settings.width
        lines = call_lines(parts.pieces(), scorer, settings, threshold, apart, locate)
        count = write_lines(output.calls, lines, "#" + "\t".join(columns))
        log.info("%d calls at probability %.4g or above", count, threshold)


def scan_set(
    weights: str | os.PathLike,
    genome: str | os.PathLike,
    bigwig: str | os.PathLike,
    calls: str | os.PathLike,
    parts: str | os.PathLike,
    *,
    regions: str | os.PathLike | None,
    motifs: str | os.PathLike | None,
    stride: int,
    max_n: float,
    threshold: float | str,
    value: str,
    precision: str,
    gpu: int,
    threads: int,
    gpu_share: int = 100,
) -> None:
    """Scan the workflow's genome with the classifier of a set.

    Parameters
    ----------
    weights : path-like
        The classifier, beside its card.
    genome : path-like
        index.json of the genome.
    bigwig, calls : path-like
        To write.
    parts : path-like
        Folder that keeps finished contigs.
    regions, motifs : path-like or None
        See `scan_to_files` and `ScanOutput`.
    stride, max_n
        See `dflm.mining.scan.contigs.ScanSettings`.
    threshold, value
        See `ScanOutput`.
    precision : {"auto", "fp32", "bf16"}
    gpu, threads, gpu_share : int
        What the job was given.
    """
    scorer = Scorer.of_job(
        weights, gpu=gpu, threads=threads, gpu_share=gpu_share, precision=precision
    )
    point = scorer.calibration.get("thresholds", {}).get(threshold, {})
    if point.get("threshold", 0) is None:
        # A set in which there is nothing to find must not keep the others from their scans.
        log.warning("no threshold keeps the FDR within %s: nothing is called", point.get("limit"))
        threshold = math.inf
    scan_to_files(
        scorer,
        Path(weights).parent,
        ScanSettings(scorer.width(), stride, max_n),
        ScanOutput(bigwig, calls, value, threshold, None, motifs),
        genome=genome,
        regions=regions,
        parts=parts,
    )
