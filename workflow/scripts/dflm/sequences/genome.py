"""A genome as one file of base codes per contig and an index of what is in them."""

from __future__ import annotations

import contextlib
import fnmatch
import hashlib
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

import numpy as np

from dflm.errors import InputError
from dflm.files import BROKEN_NUMPY, atomic_path, read_json, sha256_of, write_json
from dflm.sequences.fasta import ContigContent, FastaReader, Sink
from dflm.sequences.intervals import read_bed
from dflm.sequences.kmers import BASES, N

log = logging.getLogger(__name__)

FORMAT_VERSION = 1
SPLITS = ("train", "validation")
_NAME_LIMIT = 120
_MANY_CONTIGS = 20_000


def shard_genome(
    fasta: str | os.PathLike,
    contigs_dir: str | os.PathLike,
    index: str | os.PathLike,
    *,
    include: Sequence[str],
    exclude: Sequence[str],
    validation: Sequence[str],
    soft_masked: str,
) -> None:
    """Write a genome as one array of base codes per contig, and an index.

    The file is read once, in blocks: memory does not grow with the genome or with a contig.

    Parameters
    ----------
    fasta : path-like
        The genome, plain or gzipped.
    contigs_dir : path-like
        Folder for the arrays: one uint8 ``.npy`` per contig, values 0 to 4.
    index : path-like
        The JSON index; written last, so that where it stands the arrays stand too.
    include, exclude : sequence of str
        Glob patterns of contig names: those that match one of `include` and none of `exclude`
        are taken. A pattern of `exclude` may match nothing.
    validation : sequence of str
        Glob patterns of the taken contigs that are held out for validation.
    soft_masked : {"keep", "mask"}
        Whether lower-case bases are bases or N.

    Raises
    ------
    InputError
        If the file is no whole FASTA file of nucleotides, a pattern of `include` or
        `validation` matches nothing, or no contig is left for training or for validation.
    """
    contigs_dir = Path(contigs_dir)
    contigs_dir.mkdir(parents=True, exist_ok=True)
    entries: list[dict] = []
    names: list[str] = []
    files: dict[str, str] = {}

    def open_sink(name: str) -> Sink | None:
        names.append(name)
        if not _matches(name, include) or _matches(name, exclude):
            return None
        file = safe_file_name(name, files)
        return _ContigFile(contigs_dir / file, entries, _split(name, validation))

    reader = FastaReader(fasta, soft_masked)
    reader.read(open_sink)
    _check_patterns(fasta, names, entries, include, exclude, validation)
    if len(entries) > _MANY_CONTIGS:
        log.warning(
            "%s: %d contigs make as many files; short pieces are better joined into one contig "
            "with an N between them",
            fasta,
            len(entries),
        )
    totals = {
        split: {
            "contigs": sum(entry["split"] == split for entry in entries),
            "length": sum(entry["length"] for entry in entries if entry["split"] == split),
        }
        for split in SPLITS
    }
    write_json(
        index,
        {
            "format": "dflm-genome",
            "format_version": FORMAT_VERSION,
            "source": {"name": Path(fasta).name, "sha256": reader.sha256},
            "settings": {
                "include": list(include),
                "exclude": list(exclude),
                "validation": list(validation),
                "soft_masked": soft_masked,
            },
            "contigs": entries,
            "contigs_passed_over": len(names) - len(entries),
            "totals": {
                **totals,
                "contigs": len(entries),
                "length": sum(entry["length"] for entry in entries),
                "counts": {
                    base: sum(entry["counts"][base] for entry in entries) for base in BASES + "N"
                },
            },
        },
    )


class _ContigFile(Sink):
    """Writes a contig's codes behind the header of a ``.npy`` file whose length comes last."""

    def __init__(self, path: Path, entries: list[dict], split: str):
        self._path = path
        self._entries = entries
        self._split = split
        # atomic_path, unrolled: the contig's beginning and end are two calls of the reader.
        self._guard = contextlib.ExitStack()
        self._temporary = self._guard.enter_context(atomic_path(path))
        self._stream = open(self._temporary, "wb")  # noqa: SIM115 (closed by close, abandon)
        self._write_header(0)

    def _write_header(self, length: int) -> None:
        # Every length below 1e19 makes a header of the same 128 bytes.
        self._stream.seek(0)
        described = {"descr": "|u1", "fortran_order": False, "shape": (length,)}
        np.lib.format.write_array_header_1_0(self._stream, described)

    def write(self, codes: np.ndarray) -> None:
        self._stream.write(codes)

    def close(self, content: ContigContent) -> None:
        self._write_header(content.length)
        self._stream.close()
        digest = sha256_of(self._temporary)
        self._guard.close()
        self._entries.append(
            {
                "name": content.name,
                "file": self._path.name,
                "length": content.length,
                "split": self._split,
                "counts": dict(zip(BASES + "N", content.counts.tolist(), strict=True)),
                "soft_masked": content.masked,
                "n_runs": content.n_runs,
                "sha256": digest,
            }
        )

    def abandon(self) -> None:
        self._stream.close()
        self._temporary.unlink(missing_ok=True)
        self._guard.pop_all()


def safe_file_name(name: str, taken: dict[str, str]) -> str:
    """Return a file name for a contig, unlike those in `taken` even where case is ignored.

    Parameters
    ----------
    name : str
        The contig's name; anything but letters, digits and ``_.-`` is percent-encoded.
    taken : dict of str to str
        Lower-case file names given so far, to their contigs; the new one is added.
    """
    safe = quote(name, safe="").replace("~", "%7E")
    if safe.startswith("."):
        safe = "%2E" + safe[1:]
    if len(safe) > _NAME_LIMIT or f"{safe}.npy".lower() in taken:
        digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
        safe = f"{safe[:_NAME_LIMIT]}~{digest[:16]}"
    file = f"{safe}.npy"
    taken[file.lower()] = name
    return file


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _split(name: str, validation: Sequence[str]) -> str:
    return "validation" if _matches(name, validation) else "train"


def _check_patterns(fasta, names, entries, include, exclude, validation) -> None:
    taken = [entry["name"] for entry in entries]
    shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    for key, patterns, among in (
        ("include", include, names),
        ("validation", validation, taken),
    ):
        for pattern in patterns:
            if not fnmatch.filter(among, pattern):
                what = "contig" if among is names else "contig that is taken"
                raise InputError(
                    f"the pattern {pattern!r} of genome.{key} matches no {what}",
                    fasta,
                    f"the file holds {shown}",
                )
    for pattern in exclude:
        if not fnmatch.filter(names, pattern):
            log.warning("%s: the pattern %r of genome.exclude matches no contig", fasta, pattern)
    for split in SPLITS:
        if not any(entry["split"] == split for entry in entries):
            raise InputError(
                f"no contig is left for {split}",
                fasta,
                f"change genome.include, exclude or validation; the file holds {shown}",
            )


def _entries(content: dict, index: str | os.PathLike, mend: str) -> list[dict]:
    """Return the contigs of an index after a look at what is read of them."""
    entries = content.get("contigs")
    seen = set()
    for number, entry in enumerate(entries if isinstance(entries, list) else [None]):
        told = entry if isinstance(entry, dict) else {}
        name, file, length = (told.get(key) for key in ("name", "file", "length"))
        if (
            not isinstance(name, str)
            or not isinstance(file, str)
            or Path(file).name != file
            or type(length) is not int
            or length < 0
            or told.get("split") not in SPLITS
            or name in seen
        ):
            raise InputError(f"contig {number + 1} is no contig, or one told before", index, mend)
        seen.add(name)
    return entries


class GenomeIndex:
    """The contigs of a sharded genome.

    Parameters
    ----------
    content : dict
        What `shard_genome` wrote.
    contigs_dir : path-like
        Where the arrays stand.
    withheld : mapping of str to numpy.ndarray, optional
        Stretches of contigs, shape=(stretches, 2) int64, that no language model may read.
    """

    def __init__(
        self,
        content: dict,
        contigs_dir: str | os.PathLike,
        withheld: Mapping[str, np.ndarray] | None = None,
    ):
        self.content = content
        self.withheld = dict(withheld or {})
        self.contigs_dir = Path(contigs_dir)
        self._entries = {entry["name"]: entry for entry in content["contigs"]}
        self._whole: set[str] = set()

    @classmethod
    def load(
        cls,
        index: str | os.PathLike,
        contigs_dir: str | os.PathLike,
        withheld: str | os.PathLike | None = None,
    ) -> GenomeIndex:
        """Read an index and check that the arrays it names stand there.

        Parameters
        ----------
        index, contigs_dir : path-like
            What `shard_genome` wrote.
        withheld : path-like, optional
            What `dflm.sequences.withholding.withhold_tests` wrote.

        Raises
        ------
        InputError
            If the index is none of ours, or an array is missing or of another length.
        """
        content = read_json(index)
        mend = "run shard_genome again"
        if content.get("format") != "dflm-genome":
            raise InputError("not the index of a genome", index, mend)
        if content.get("format_version") != FORMAT_VERSION:
            raise InputError(
                f"format version {content.get('format_version')}, not {FORMAT_VERSION}", index, mend
            )
        for entry in _entries(content, index, mend):
            path = Path(contigs_dir) / entry["file"]
            try:
                with open(path, "rb") as stream:
                    if np.lib.format.read_magic(stream) != (1, 0):
                        raise ValueError("another version of numpy's format")
                    shape, _, kind = np.lib.format.read_array_header_1_0(stream)
                    held = os.fstat(stream.fileno()).st_size - stream.tell()
            except FileNotFoundError:
                raise InputError(f"no array of contig {entry['name']}", path, mend) from None
            except BROKEN_NUMPY as error:
                raise InputError(f"no array of codes ({error})", path, mend) from None
            if kind != np.uint8 or shape != (entry["length"],) or held != entry["length"]:
                raise InputError(
                    f"holds {held} codes, and the index says {entry['length']}", path, mend
                )
        return cls(content, contigs_dir, None if withheld is None else read_bed(withheld))

    def contigs(self, split: str | None = None) -> list[str]:
        """Return the names of the contigs of a split ("train", "validation"), or of both."""
        return [name for name, entry in self._entries.items() if split in (None, entry["split"])]

    def entry(self, name: str) -> dict:
        """Return what the index says of a contig: file, length, split, counts, n_runs, sha256.

        Raises
        ------
        InputError
            If there is no such contig.
        """
        if name not in self._entries:
            raise InputError(f"no contig {name} in the genome's index")
        return self._entries[name]

    def codes(self, name: str) -> np.ndarray:
        """Return a contig's codes, shape=(length,) uint8, mapped from its file, read-only.

        The first time its checksum is compared, about two seconds for all of hg38.

        Raises
        ------
        InputError
            If there is no such contig, or its array has changed since it was written.
        """
        entry = self.entry(name)
        path = self.contigs_dir / entry["file"]
        if name not in self._whole:
            if sha256_of(path) != entry["sha256"]:
                raise InputError(
                    "the array is damaged: its checksum is not that of the index",
                    path,
                    "delete the folder and run shard_genome again",
                )
            self._whole.add(name)
        return np.load(path, mmap_mode="r", allow_pickle=False)

    def readable(self, name: str) -> np.ndarray:
        """Return a contig's codes as `codes` does, with N where it is withheld.

        Of the pages that hold such a place a copy lies in memory as long as the array does.
        """
        codes = self.codes(name)
        if name in self.withheld:
            codes = np.load(codes.filename, mmap_mode="c", allow_pickle=False)
            for start, end in self.withheld[name].tolist():
                codes[start:end] = N
        return codes
