"""Any stretch of a genome by its position: from a FASTA file, or from the workflow's genome."""

from __future__ import annotations

import os
import zlib
from abc import ABC, abstractmethod
from functools import lru_cache
from operator import itemgetter
from pathlib import Path
from typing import IO

import numpy as np

from dflm.errors import InputError
from dflm.files import is_gzip, text_lines
from dflm.sequences.genome import GenomeIndex
from dflm.sequences.kmers import N, encode

CONTIGS = "contigs"


class Genome(ABC):
    """Contigs of base codes."""

    name: str
    """Where it comes from, for messages."""
    lengths: dict[str, int]
    """Bases of each contig, in the order of the source."""

    @abstractmethod
    def _read(self, contig: str, start: int, end: int) -> np.ndarray: ...

    def codes(self, contig: str, start: int, end: int) -> np.ndarray:
        """Return the codes of a stretch, N where it reaches beyond the contig.

        Parameters
        ----------
        contig : str
        start, end : int
            From 0, the end excluded; may lie outside.

        Returns
        -------
        numpy.ndarray
            shape=(end - start,) uint8, values 0 to 4.

        Raises
        ------
        InputError
            If there is no such contig.
        """
        length = self.length(contig)
        first, last = min(max(start, 0), length), min(max(end, 0), length)
        codes = np.full(end - start, N, dtype=np.uint8)
        if last > first:
            codes[first - start : last - start] = self._read(contig, first, last)
        return codes

    def length(self, contig: str) -> int:
        """Return the bases of a contig, or raise InputError naming contigs that there are."""
        if contig not in self.lengths:
            raise InputError(f"no contig {contig!r}", self.name, f"it has {self.some_contigs()}")
        return self.lengths[contig]

    def some_contigs(self) -> str:
        """Return the first names of contigs, for messages."""
        return ", ".join(list(self.lengths)[:5]) + ", .." * (len(self.lengths) > 5)


class IndexedGenome(Genome):
    """The workflow's genome: results/genome/index.json with its contigs beside it.

    Parameters
    ----------
    index : path-like
    """

    def __init__(self, index: str | os.PathLike) -> None:
        self.name = str(index)
        self._index = GenomeIndex.load(index, Path(index).parent / CONTIGS)
        self.lengths = {name: self._index.entry(name)["length"] for name in self._index.contigs()}

    def _read(self, contig: str, start: int, end: int) -> np.ndarray:
        codes = self._index.codes(contig)[start:end]
        if codes.max() > N:
            raise InputError(
                f"the array of {contig} is damaged", self.name, "run shard_genome again"
            )
        return codes


class FastaGenome(Genome):
    """A FASTA file, plain or packed by bgzip; its .fai index is made beside it where missing.

    Parameters
    ----------
    path : path-like
    """

    def __init__(self, path: str | os.PathLike) -> None:
        import pysam

        self.name = str(path)
        with open(path, "rb") as stream:
            head = stream.read(18)
        plain = head[:1] == b">"
        if not plain and not _is_bgzip(head):
            what = "gzip cannot be read from the middle" if is_gzip(path) else "no FASTA file"
            raise InputError(
                what, path, "unpack it, pack it by bgzip, or give the workflow's index.json"
            )
        try:
            self._file = pysam.FastaFile(str(path))
            self.lengths = dict(zip(self._file.references, self._file.lengths, strict=True))
        except (OSError, ValueError) as error:
            raise InputError(
                f"the FASTA file cannot be indexed ({error})",
                path,
                "a contig's lines have one length; the folder has to be writable or hold the .fai",
            ) from None
        if min(self.lengths.values(), default=-1) < 0:
            raise InputError("no contig, or one without a length", path, "delete its .fai file")
        _check_index(path, plain)

    def _read(self, contig: str, start: int, end: int) -> np.ndarray:
        try:
            bases = self._file.fetch(contig, start, end)
            if len(bases) != end - start:
                raise ValueError(f"{len(bases)} bases are there")
            return encode(bases)
        except (OSError, ValueError) as error:
            what = error.what if isinstance(error, InputError) else error
            raise InputError(
                f"{contig}:{start}-{end} cannot be read ({what})",
                self.name,
                "give a whole FASTA file of DNA; delete its .fai if that is of another file",
            ) from None


class _Blocks:
    """The content of a file packed by bgzip, read from any place of it by its .gzi index."""

    def __init__(self, path: str | os.PathLike, file: IO[bytes]) -> None:
        self._file = file
        words = np.fromfile(f"{os.fspath(path)}.gzi", dtype="<u8").astype(np.int64)
        if words.size == 0 or words.size != 1 + 2 * words[0]:
            raise ValueError("no index of blocks")
        # Of the first block, which begins at 0, the index tells nothing.
        self._packed, self._plain = np.concatenate([[[0, 0]], words[1:].reshape(-1, 2)]).T
        self._block = lru_cache(maxsize=2)(self._unpacked)

    def read_at(self, place: int, size: int) -> bytes:
        if place < 0 or size > 2**16:
            raise ValueError("no such place")
        found = b""
        while len(found) < size:
            number = int(np.searchsorted(self._plain, place + len(found), side="right")) - 1
            begin = place + len(found) - int(self._plain[number])
            rest = self._block(int(self._packed[number]))[begin:]
            if not rest:
                break
            found += rest
        return found[:size]

    def _unpacked(self, place: int) -> bytes:
        self._file.seek(place)
        head = self._file.read(18)
        if not head:
            return b""
        if not _is_bgzip(head):
            raise ValueError("no block begins there")
        packed = self._file.read(int.from_bytes(head[16:18], "little") + 1 - len(head))
        return zlib.decompress(packed[:-8], -zlib.MAX_WBITS)


def _check_index(path: str | os.PathLike, plain: bool) -> None:
    """Refuse an index that does not have all contigs of the FASTA file, by name and place.

    htslib takes what it finds, so that the index of an earlier file would give other bases. Of two
    contigs with one name it has the first.
    """
    index = f"{os.fspath(path)}.fai"
    made = "made again, if the file is one of DNA and no name comes twice"
    wrong = InputError("is not the index of its FASTA file", index, f"delete it: it is {made}")
    if not plain:
        what = "its .fai and .gzi files are not the index of this file"
        wrong = InputError(what, path, f"delete both: they are {made}")
    with open(path, "rb") as fasta:

        def read_at(place: int, size: int) -> bytes:
            if not 0 <= size <= 2**16:
                raise ValueError("no such gap between two contigs")
            fasta.seek(place)
            return fasta.read(size)

        try:
            if not plain:
                read_at = _Blocks(path, fasta).read_at
            rows = [line.split("\t")[:5] for _, line in text_lines(index)]
            contigs = [(name, *map(int, numbers)) for name, *numbers in rows]
            before = 0
            for name, length, offset, bases, width in sorted(contigs, key=itemgetter(2)):
                *others, own = _headers(read_at(before, offset - before)) or [None]
                # Behind the last base; nothing where that was the file's last letter.
                full, rest = divmod(max(length, 1) - 1, bases)
                end = read_at(offset + full * width + rest, width - bases + 2)
                behind = end[1:].lstrip(b"\r\n")
                named = (own or b"").split()[:1] == [name.encode()] and None not in others
                if not named or end[:1] in (b"", b"\n", b">") or behind[:1] not in (b"", b">"):
                    raise wrong
                before = offset + full * width + rest + 1
            if None in _headers(read_at(before, 2**16)):
                raise wrong
        except (ValueError, ArithmeticError, OSError, zlib.error):
            raise wrong from None


def _headers(text: bytes) -> list[bytes | None]:
    """Return the headers that stand between two contigs; None for each line that is none."""
    lines = [line for line in text.replace(b"\r", b"\n").split(b"\n") if line]
    return [line[1:] if line[:1] == b">" else None for line in lines]


def open_genome(path: str | os.PathLike) -> Genome:
    """Open a FASTA file, the workflow's index.json, or the folder that holds it.

    Raises
    ------
    InputError
        If it is none of these.
    """
    path = Path(path)
    if path.is_dir():
        path = path / "index.json"
    if not path.is_file():
        raise InputError("there is no such genome", path, "give a FASTA file or index.json")
    return IndexedGenome(path) if path.suffix == ".json" else FastaGenome(path)


def _is_bgzip(head: bytes) -> bool:
    """Say whether a block of bgzip begins so: gzip with an extra field named BC."""
    return head[:4] == b"\x1f\x8b\x08\x04" and head[12:14] == b"BC"
