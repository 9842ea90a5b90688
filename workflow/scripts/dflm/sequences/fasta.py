"""Streaming a FASTA file as blocks of base codes, without holding a contig.

Memory goes with the block, whatever the length of a contig or of the genome.
"""

from __future__ import annotations

import codecs
import hashlib
import os
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from dflm.errors import InputError
from dflm.files import GZIP_MAGIC
from dflm.sequences.compiled import compiled
from dflm.sequences.kmers import N, code_table

BLOCK = 16 * 2**20
_RUNS = 2**16  # runs of N that the kernel can report before it must be emptied
_HEADER_LIMIT = 2**16
# A gzip file may unpack to 1,000 times its size, a genome's to 3 or 5: runs of N alone do more.
_FREE, _TIMES = 2**30, 100
_NEWLINE, _RETURN, _GREATER = 10, 13, 62
# What the kernel stopped for.
_END, _HEADER, _WRONG, _RUNS_FULL = 0, 1, 2, 3
# Places in the kernel's state.
_AT, _LINE_START, _LINE, _LENGTH, _RUN_START, _RUN_COUNT, _N_COUNT = range(7)
# What the kernel's table says of a byte beyond the four bases; a masked base has the code N.
_MASKED, _N = 4, 5


@dataclass
class ContigContent:
    """What a contig was found to hold; complete once the whole contig has been read."""

    name: str
    """First word of the header."""
    length: int = 0
    """Bases."""
    counts: np.ndarray = field(default_factory=lambda: np.zeros(5, dtype=np.int64))
    """shape=(5,) codes written, by code."""
    masked: int = 0
    """Soft-masked bases that were turned into N."""
    n_runs: list[list[int]] = field(default_factory=list)
    """Half-open runs of N (or another ambiguity) in the source."""


class Sink(ABC):
    """Takes the codes of one contig, piece by piece."""

    @abstractmethod
    def write(self, codes: np.ndarray) -> None:
        """Take the next codes, shape=(length,) uint8; the array is reused afterwards."""

    @abstractmethod
    def close(self, content: ContigContent) -> None:
        """Take the notice that the contig is whole."""

    @abstractmethod
    def abandon(self) -> None:
        """Take the notice that the contig will not become whole."""


def read_blocks(
    path: str | os.PathLike, size: int = BLOCK, digest: hashlib._Hash | None = None
) -> Iterator[bytes]:
    """Read a plain or gzipped file in blocks.

    Parameters
    ----------
    path : path-like
        Gzip is known by its magic bytes; several members one after another are read as one.
    size : int
        Bytes in a block at most.
    digest : hash object, optional
        Is fed the bytes of the file as it stands, packed or not.

    Yields
    ------
    bytes
        The unpacked content.

    Raises
    ------
    InputError
        If the file is missing, or its gzip is cut short, damaged or a bomb: above 1 GiB and more
        than 100 times as large as what it was unpacked from.
    """
    try:
        stream = open(path, "rb", buffering=0)  # noqa: SIM115 (closed below, kept over yields)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise InputError("there is no such file", path) from None
    with stream:
        block = stream.read(max(size, len(GZIP_MAGIC)))
        if not block.startswith(GZIP_MAGIC):
            while block:
                if digest is not None:
                    digest.update(block)
                yield block
                block = stream.read(size)
            return
        yield from _unpack(stream, block, path, size, digest)


def _unpack(stream, block, path, size, digest) -> Iterator[bytes]:
    packed = unpacked = 0
    member = zlib.decompressobj(wbits=31)
    try:
        while block:
            packed += len(block)
            if digest is not None:
                digest.update(block)
            rest = block
            while rest:
                if member.eof:
                    rest = rest.lstrip(b"\0")  # some tools pad a member with zeros
                    if not rest:
                        break
                    member = zlib.decompressobj(wbits=31)
                piece = member.decompress(rest, size)
                unpacked += len(piece)
                if unpacked > max(_FREE, _TIMES * packed):
                    raise InputError(
                        f"unpacks to more than {_TIMES} times its size, as no genome does",
                        path,
                        "fetch it again, or unpack it if it is right",
                    )
                yield piece
                rest = member.unused_data if member.eof else member.unconsumed_tail
            block = stream.read(max(1, size // 4))
        while not member.eof:
            # Output that did not fit the last block may still be held back.
            more = member.decompress(member.unconsumed_tail, size)
            if not more:
                break
            yield more
    except zlib.error as error:
        raise InputError(f"the gzip file is damaged ({error})", path, "fetch it again") from None
    if not member.eof:
        raise InputError("the gzip file breaks off", path, "fetch it again")


def _kind_table(soft_masked: str) -> np.ndarray:
    """Return what each byte is: a base's code, `_MASKED`, `_N`, or `INVALID`; shape=(256,)."""
    codes, kinds = code_table(soft_masked), code_table("keep")
    kinds[kinds == N] = _N
    kinds[(codes == N) & (kinds < N)] = _MASKED
    return kinds


@compiled
def _take(block, table, codes, runs, state):
    """Turn the bytes of a sequence into codes until something calls for the caller.

    Reads `block` from state[_AT]. Writes the codes to the start of `codes` and
    reports finished runs of N as rows of `runs`. Returns the number of codes and the reason.
    """
    at = state[_AT]
    length = state[_LENGTH]
    run_start = state[_RUN_START]
    run_count = 0
    line_start = state[_LINE_START]
    written = 0
    reason = _END
    while at < block.size:
        byte = block[at]
        kind = table[byte]
        if kind <= _MASKED:
            if run_start >= 0:
                if run_count == runs.shape[0]:
                    reason = _RUNS_FULL
                    break
                runs[run_count, 0] = run_start
                runs[run_count, 1] = length
                run_count += 1
                run_start = -1
            line_start = 0
            first = at
            # Nearly all bytes pass here, so the loop holds nothing but what a base needs.
            while kind <= _MASKED:
                codes[written] = kind
                written += 1
                at += 1
                if at == block.size:
                    break
                kind = table[block[at]]
            length += at - first
            continue
        if kind == _N:
            if run_start < 0:
                run_start = length
            codes[written] = N
            written += 1
            length += 1
            state[_N_COUNT] += 1
            line_start = 0
        elif byte == _NEWLINE:
            state[_LINE] += 1
            line_start = 1
        elif byte == _GREATER and line_start:
            reason = _HEADER
            break
        elif byte != _RETURN:
            reason = _WRONG
            break
        at += 1
    state[_AT] = at
    state[_LENGTH] = length
    state[_RUN_START] = run_start
    state[_RUN_COUNT] = run_count
    state[_LINE_START] = line_start
    return written, reason


class FastaReader:
    """Reads a FASTA file once, handing the codes of each wanted contig to a sink.

    Parameters
    ----------
    path : path-like
        Plain or gzipped.
    soft_masked : {"keep", "mask"}
        Whether lower-case bases are bases or N.
    block : int
        Bytes read at a time.
    """

    def __init__(self, path: str | os.PathLike, soft_masked: str = "keep", block: int = BLOCK):
        self.path = Path(path)
        self._table = _kind_table(soft_masked)
        self._block = block
        self._codes = np.empty(block, dtype=np.uint8)
        self._runs = np.empty((_RUNS, 2), dtype=np.int64)
        self._digest = hashlib.sha256()
        self._state = np.zeros(7, dtype=np.int64)
        self._content: ContigContent | None = None
        self._sink: Sink | None = None

    @property
    def sha256(self) -> str:
        """The SHA-256 of the file as it stands; of the whole file once `read` has returned."""
        return self._digest.hexdigest()

    def read(self, open_sink: Callable[[str], Sink | None]) -> None:
        """Read the file.

        Parameters
        ----------
        open_sink : callable
            Is given each contig's name; returns what takes its codes, or None to pass over it.

        Raises
        ------
        InputError
            If this is no whole FASTA file of nucleotides, or a contig's name comes twice.
        """
        try:
            self._read(open_sink)
        except BaseException:
            if self._sink is not None:
                self._sink.abandon()
            raise

    def _read(self, open_sink: Callable[[str], Sink | None]) -> None:
        seen: set[str] = set()
        pending = b""  # a header that goes on in the next block
        state = self._state
        state[:] = 0
        state[_LINE], state[_LINE_START] = 1, 1
        for number, raw in enumerate(read_blocks(self.path, self._block, self._digest)):
            data = pending + raw if pending else raw
            if number == 0:
                data = data.removeprefix(codecs.BOM_UTF8)
            if not data:
                continue
            pending = b""
            block = np.frombuffer(data, dtype=np.uint8)
            state[_AT] = 0
            while state[_AT] < len(data):
                if self._go_to_header(data, block):
                    continue
                at = int(state[_AT])
                end = data.find(b"\n", at)
                if end < 0:
                    if len(data) - at > _HEADER_LIMIT:
                        raise InputError(f"line {state[_LINE]}: endless header", self.path)
                    pending = data[at:]
                    break
                self._close_contig()
                self._open_contig(data[at + 1 : end], seen, open_sink)
                state[_AT], state[_LINE_START] = end + 1, 1
                state[_LINE] += 1
        if pending:
            self._close_contig()
            self._open_contig(pending[1:], seen, open_sink)
        self._close_contig()
        if not seen:
            raise InputError("the file is empty", self.path, "give a FASTA file")

    def _go_to_header(self, data: bytes, block: np.ndarray) -> bool:
        """Read on, up to a header; return whether something other than a header ended it."""
        state, content = self._state, self._content
        if content is None or self._sink is None:
            return self._pass_over(data)
        if self._codes.size < block.size:
            self._codes = np.empty(block.size, dtype=np.uint8)
        written, reason = _take(block, self._table, self._codes, self._runs, state)
        content.n_runs.extend(self._runs[: state[_RUN_COUNT]].tolist())
        if written:
            codes = self._codes[:written]
            for base in range(N):
                content.counts[base] += np.count_nonzero(codes == base)
            self._sink.write(codes)
        if reason == _WRONG:
            letter = chr(data[state[_AT]])
            raise InputError(
                f"line {state[_LINE]}: {letter!r} at base {state[_LENGTH] + 1} of contig "
                f"{content.name} is no nucleotide",
                self.path,
                "give a FASTA file of DNA (no protein, FASTQ or alignment)",
            )
        return reason != _HEADER

    def _pass_over(self, data: bytes) -> bool:
        """Skip to the next header, or before the first to the first."""
        state = self._state
        at = int(state[_AT])
        if self._content is None:
            begin = len(data) - len(data[at:].lstrip(b"\r\n"))
            state[_LINE] += data.count(b"\n", at, begin)
            state[_AT] = begin
            if begin == len(data):
                return True
            if data[begin] != _GREATER:
                like = " (it looks like FASTQ)" if data[begin] == ord("@") else ""
                raise InputError(
                    f"line {state[_LINE]}: no '>' before the first sequence{like}",
                    self.path,
                    "give a FASTA file, plain or gzipped",
                )
            return False
        if state[_LINE_START] and data[at] == _GREATER:
            return False
        found = data.find(b"\n>", at)
        stop = len(data) if found < 0 else found + 1
        state[_LINE] += data.count(b"\n", at, stop)
        state[_LINE_START] = data[stop - 1] == _NEWLINE
        state[_AT] = stop
        return found < 0

    def _open_contig(self, header: bytes, seen: set[str], open_sink) -> None:
        words = header.decode("utf-8", "replace").split()
        if not words or header[:1].isspace():
            raise InputError(f"line {self._state[_LINE]}: a contig without a name", self.path)
        name = words[0]
        if name in seen:
            raise InputError(f"line {self._state[_LINE]}: contig {name} comes twice", self.path)
        seen.add(name)
        self._content = ContigContent(name)
        self._sink = open_sink(name)
        self._state[_LENGTH], self._state[_RUN_START], self._state[_N_COUNT] = 0, -1, 0

    def _close_contig(self) -> None:
        state, content = self._state, self._content
        if content is None or self._sink is None:
            return
        content.length = int(state[_LENGTH])
        content.counts[N] = content.length - content.counts[:N].sum()
        content.masked = int(content.counts[N] - state[_N_COUNT])
        if content.length == 0:
            raise InputError(f"contig {content.name} holds no base", self.path)
        if state[_RUN_START] >= 0:
            content.n_runs.append([int(state[_RUN_START]), content.length])
        self._sink.close(content)
        self._sink = None
