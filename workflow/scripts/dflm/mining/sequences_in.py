"""Sequences that a user gives: records of a FASTA file, rows of a table, regions of a BED file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import numpy as np

from dflm.errors import InputError
from dflm.files import text_lines
from dflm.mining.genomes import Genome
from dflm.sequences.bed import read_peaks
from dflm.sequences.fasta import ContigContent, FastaReader, Sink
from dflm.sequences.kmers import encode

STDIN = "/dev/stdin"
NAME_COLUMNS, SEQUENCE_COLUMNS = ("name", "EventID", "id"), ("sequence", "seq")

Record = tuple[str, np.ndarray]


class _Record(Sink):
    """Gathers one record, and hands it on when it is whole."""

    def __init__(self, take: Callable[[Record], None]) -> None:
        self._parts: list[np.ndarray] = []
        self._take = take

    def write(self, codes: np.ndarray) -> None:
        self._parts.append(codes.copy())

    def close(self, content: ContigContent) -> None:
        self._take((content.name, np.concatenate(self._parts)))

    def abandon(self) -> None:
        self._parts.clear()


def each_fasta_record(path: str | os.PathLike, take: Callable[[Record], None]) -> None:
    """Hand the records of a FASTA file to `take`, one at a time, in order.

    Parameters
    ----------
    path : path-like
        Plain or gzipped; ``-`` is standard input.
    take : callable
        Is given (name, codes of shape=(length,)).

    Raises
    ------
    InputError
        If this is no FASTA file of nucleotides, or a name comes twice.
    """
    FastaReader(STDIN if str(path) == "-" else path).read(lambda name: _Record(take))


def table_records(path: str | os.PathLike) -> Iterator[Record]:
    """Yield name and codes of the rows of a table, plain or gzipped.

    Parameters
    ----------
    path : path-like
        Tab-separated with a header that holds ``name`` and ``sequence`` (or ``EventID`` and
        ``seq``); ``-`` is standard input.

    Raises
    ------
    InputError
        Naming the line that is wrong.
    """
    stream = open(STDIN, encoding="utf-8-sig") if str(path) == "-" else None  # noqa: SIM115 (closed by text_lines)
    lines = text_lines(path, stream=stream)
    header = next(lines, (0, ""))[1].split("\t")
    name_at = _column(header, NAME_COLUMNS, path)
    sequence_at = _column(header, SEQUENCE_COLUMNS, path)
    for number, line in lines:
        fields = line.split("\t")
        if fields == [""]:
            continue
        if len(fields) != len(header):
            raise InputError(f"line {number} has {len(fields)} fields, not {len(header)}", path)
        try:
            codes = encode(fields[sequence_at])
        except InputError as error:
            raise InputError(f"line {number}: {error.what}", path, error.mend) from None
        yield fields[name_at], codes


def region_records(bed: str | os.PathLike, genome: Genome) -> Iterator[Record]:
    """Yield ``contig:start-end`` (from 0) and codes of the regions of a BED file.

    Raises
    ------
    InputError
        If the file is wrong, a contig is not in the genome, or a region ends beyond it.
    """
    for contig, start, end in regions(bed, genome):
        yield f"{contig}:{start}-{end}", genome.codes(contig, start, end)


def regions(bed: str | os.PathLike, genome: Genome) -> list[tuple[str, int, int]]:
    """Return (contig, start, end) of a BED file, checked against a genome; see `region_records`."""
    peaks = read_peaks(bed)
    if not len(peaks):
        raise InputError("the file holds no region", bed)
    found = []
    for contig, start, end in zip(
        peaks.contigs, peaks.starts.tolist(), peaks.ends.tolist(), strict=True
    ):
        if contig not in genome.lengths:
            raise InputError(
                f"no contig {contig!r} in {genome.name}",
                bed,
                f"it has {genome.some_contigs()}; in the workflow genome.include chooses them",
            )
        if end > genome.length(contig):
            raise InputError(
                f"{contig}:{start}-{end} ends beyond the contig, which has "
                f"{genome.length(contig)} bases",
                bed,
                "is it of another assembly?",
            )
        found.append((contig, start, end))
    return found


def _column(header: list[str], names: tuple[str, ...], path: object) -> int:
    for name in names:
        if name in header:
            return header.index(name)
    raise InputError(f"line 1: no column {' or '.join(names)}", path, "give a table with a header")
