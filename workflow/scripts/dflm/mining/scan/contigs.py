"""A scan: scores of windows all along contigs or regions, kept contig by contig."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from dflm.errors import InputError
from dflm.files import read_json, sha256_of, write_json
from dflm.logs import progress
from dflm.mining.genomes import Genome
from dflm.mining.scan.tiles import Tiler
from dflm.mining.scoring import WEIGHTS, Scorer, StrandScores
from dflm.mining.sequences_in import STDIN
from dflm.sequences.fasta import ContigContent, FastaReader, Sink
from dflm.sequences.genome import safe_file_name
from dflm.software import code_digest

log = logging.getLogger(__name__)

_BLOCK = 2**22


@dataclass(frozen=True)
class ScanSettings:
    """What decides the scores of a scan.

    Parameters
    ----------
    width, stride : int >= 1
        Bases of a window, and from one to the next.
    max_n : float, 0 to 1
        Share of N above which a window is not scored.
    """

    width: int
    stride: int
    max_n: float

    def __post_init__(self) -> None:
        if self.stride < 1:
            raise InputError(f"a stride of {self.stride}", "--stride", "give 1 or more")
        if not 0 <= self.max_n <= 1:
            raise InputError(f"a share of {self.max_n}", "--max-n", "give 0 to 1")


@dataclass(frozen=True)
class Piece:
    """The scored windows of a contig, or of a region of one."""

    contig: str
    start: int
    """Of the first window, from 0."""
    end: int
    """Of the contig or region."""
    length: int
    """Bases of the contig, as far as known."""
    scores: StrandScores
    """Of the windows, one every `stride` bases; mapped from their file."""


class ScanParts:
    """A folder with the finished pieces of a scan, from which a broken one goes on.

    Parameters
    ----------
    folder : path-like
        Made if missing.
    identity : dict
        What the scores depend on; a piece of another identity is not used.
    """

    def __init__(self, folder: str | os.PathLike, identity: dict) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(identity, sort_keys=True)
        self._identity = hashlib.sha256(text.encode()).hexdigest()
        self._files: dict[str, str] = {}
        self._order: list[tuple[str, str]] = []
        self.kept = 0

    def claim(self, key: str) -> tuple[Path, bool]:
        """Return the file of the next piece, and whether it is finished already."""
        path = self.folder / safe_file_name(key, self._files)
        self._order.append((key, path.name))
        card = path.with_suffix(".json")
        done = False
        if card.is_file() and path.is_file():
            try:
                content = read_json(card)
            except InputError:  # damaged: the piece is scored anew
                content = {}
            wanted = {"identity": self._identity, "key": key, "sha256": sha256_of(path)}
            done = all(content.get(name) == value for name, value in wanted.items())
        self.kept += done
        return path, done

    def finish(self, path: Path, key: str, contig: str, start: int, end: int, length: int) -> None:
        """Record that a piece is whole."""
        place = {"contig": contig, "start": start, "end": end, "length": length}
        about = {"identity": self._identity, "key": key, "sha256": sha256_of(path)}
        write_json(path.with_suffix(".json"), about | place)

    def pieces(self) -> Iterator[Piece]:
        """Yield the pieces in the order in which they were claimed."""
        for _, file in self._order:
            card = read_json((self.folder / file).with_suffix(".json"))
            scores = np.load(self.folder / file, mmap_mode="r", allow_pickle=False)
            yield Piece(
                card["contig"],
                card["start"],
                card["end"],
                card["length"],
                StrandScores(scores[:, 0], scores[:, 1]),
            )

    def remove(self) -> None:
        """Delete the pieces of this scan; what else lies in the folder stays."""
        for _, file in self._order:
            (self.folder / file).unlink(missing_ok=True)
            (self.folder / file).with_suffix(".json").unlink(missing_ok=True)
        if not any(self.folder.iterdir()):
            self.folder.rmdir()


def scan_identity(
    model: str | os.PathLike, source: str | os.PathLike, settings: ScanSettings, bf16: bool
) -> dict:
    """Return what the scores of a scan depend on.

    Parameters
    ----------
    model : path-like
        The model's folder.
    source : path-like
        The FASTA file or the genome's index. It is known by its path, size and time of change,
        since hashing a genome takes as long as reading it.
    settings : ScanSettings
    bf16 : bool
        Whether products run in it: "auto" is not the same everywhere.
    """
    status = os.stat(source)
    return {
        "weights": sha256_of(Path(model) / WEIGHTS),
        "source": [str(Path(source).resolve()), status.st_size, status.st_mtime_ns],
        "bf16": bf16,
        "code": code_digest(),
        **asdict(settings),
    }


class _Part(Sink):
    """Scores one contig, or a region of it, into its file: rows of two float32 numbers."""

    def __init__(
        self, scorer: Scorer, settings: ScanSettings, parts: ScanParts, path: Path, key: str
    ) -> None:
        self._parts, self._path, self._key = parts, path, key
        self._partial = path.with_name(f".partial.{path.name}")
        self._stream = open(self._partial, "wb")  # noqa: SIM115 (closed by close, abandon)
        self._count = 0
        self._write_header()
        self._tiler = Tiler(scorer, settings.width, settings.stride, settings.max_n, self._take)

    def _write_header(self) -> None:
        # Every count below 1e19 makes a header of the same 128 bytes.
        self._stream.seek(0)
        described = {"descr": "<f4", "fortran_order": False, "shape": (self._count, 2)}
        np.lib.format.write_array_header_1_0(self._stream, described)

    def _take(self, scores: np.ndarray) -> None:
        self._count += scores.shape[1]
        self._stream.write(np.ascontiguousarray(scores.T, dtype="<f4"))

    def write(self, codes: np.ndarray) -> None:
        self._tiler.write(codes)

    def finish(self, contig: str, start: int, end: int, length: int) -> None:
        self._tiler.finish()
        self._write_header()
        self._stream.close()
        os.replace(self._partial, self._path)
        self._parts.finish(self._path, self._key, contig, start, end, length)

    def close(self, content: ContigContent) -> None:
        log.info("%s: %d bases, %d windows", content.name, content.length, self._count)
        self.finish(content.name, 0, content.length, content.length)

    def abandon(self) -> None:
        self._stream.close()
        self._partial.unlink(missing_ok=True)


def scan_fasta(
    path: str | os.PathLike, scorer: Scorer, settings: ScanSettings, parts: ScanParts
) -> None:
    """Scan all contigs of a FASTA file, read once; finished contigs are passed over.

    Parameters
    ----------
    path : path-like
        Plain or gzipped; ``-`` is standard input.
    scorer, settings, parts
        The model, the windows, and where the scores go.

    Raises
    ------
    InputError
        If this is no FASTA file of nucleotides.
    """

    def open_sink(name: str) -> Sink | None:
        file, done = parts.claim(name)
        return None if done else _Part(scorer, settings, parts, file, name)

    FastaReader(STDIN if str(path) == "-" else path, block=_BLOCK).read(open_sink)


def scan_regions(
    found: list[tuple[str, int, int]],
    genome: Genome,
    scorer: Scorer,
    settings: ScanSettings,
    parts: ScanParts,
) -> None:
    """Scan stretches of a genome, (contig, start, end) each; finished ones are passed over.

    Windows start at a region's start and lie within it. Regions have to be apart, see
    `merge_regions`.
    """
    for contig, start, end in progress(found, total=len(found), desc="scan"):
        key = f"{contig}:{start}-{end}"
        file, done = parts.claim(key)
        if done:
            continue
        part = _Part(scorer, settings, parts, file, key)
        try:
            for at in range(start, end, _BLOCK):
                part.write(genome.codes(contig, at, min(at + _BLOCK, end)))
            part.finish(contig, start, end, genome.length(contig))
        except BaseException:
            part.abandon()
            raise


def merge_regions(
    found: list[tuple[str, int, int]], lengths: dict[str, int], width: int, pad: bool
) -> list[tuple[str, int, int]]:
    """Order regions as the contigs are, and merge those that overlap or touch.

    Parameters
    ----------
    found : list of (contig, start, end)
    lengths : dict of str to int
        Of the contigs, in order.
    width : int
        Bases of a window.
    pad : bool
        Widen regions shorter than a window to one around their middle, within the contig.
    """
    place = {contig: i for i, contig in enumerate(lengths)}

    def widened(contig: str, start: int, end: int) -> tuple[str, int, int]:
        if pad and end - start < width:
            start = max(0, min((start + end - width) // 2, lengths[contig] - width))
            end = min(start + width, lengths[contig])
        return contig, start, end

    # Widened first: that moves starts, and so the order.
    wide = (widened(*region) for region in found)
    merged: list[tuple[str, int, int]] = []
    for contig, start, end in sorted(wide, key=lambda item: (place[item[0]], *item[1:])):
        if merged and merged[-1][0] == contig and start <= merged[-1][2]:
            _, before, until = merged.pop()
            start, end = min(before, start), max(until, end)
        merged.append((contig, start, end))
    return merged


def windows_of(piece: Piece, settings: ScanSettings, rows: np.ndarray | None = None) -> np.ndarray:
    """Return the starts of a piece's windows, or of some rows, int64, counted along the contig."""
    rows = np.arange(len(piece.scores), dtype=np.int64) if rows is None else rows
    return piece.start + settings.stride * rows
