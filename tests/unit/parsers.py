"""Every parser of the product with a whole file that it reads, and ways to spoil such a file.

A parser is given a path and either returns a value or raises InputError; nothing else may come
out of it, whatever the file holds.
"""

from __future__ import annotations

import contextlib
import functools
import gzip
import os
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import valid_files as valid
from dflm.errors import InputError
from dflm.evaluation.baselines.cnn import load_cnn
from dflm.evaluation.baselines.gkm import load_gkm
from dflm.evaluation.plots import read_history
from dflm.files import read_json
from dflm.mining.attribution.files import load_attributions
from dflm.mining.cards import in_words, list_models, read_model
from dflm.mining.genomes import FastaGenome, IndexedGenome
from dflm.mining.motifs.files import read_meme
from dflm.mining.motifs.tomtom import read_matches
from dflm.mining.packing import check_sums
from dflm.mining.scan.plot import read_tracks, scan_figure
from dflm.mining.sequences_in import each_fasta_record, regions, table_records
from dflm.mining.variants.files import read_variants
from dflm.mining.variants.plot import effects_figure, read_effects
from dflm.model.files import load_classifier, load_language_model
from dflm.predictions import read_predictions, read_strands
from dflm.provenance import RECORD, verify
from dflm.sequences.archives import unpack_archive
from dflm.sequences.bed import read_peaks
from dflm.sequences.chipseq import read_set
from dflm.sequences.splits import read_split
from dflm.tables import read_table
from dflm.training.checkpoint import Checkpoint
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

FEW, MANY = 12, 1500
"""Examples of a parser in the default suite, and of one that is marked slow."""
LIMIT = 2**20
"""Bytes that an archive may unpack to."""


@dataclass(frozen=True)
class Parser:
    """A function that reads a file, and a file that it reads."""

    name: str
    valid: Callable[[], bytes]
    read: Callable[[Path], object]
    lines: bool = True
    """Whether the file is text, so that its lines and fields are to be spoilt too."""
    cost: int = 1
    """How many times longer than a table its reading takes."""


def _records(path: Path) -> list:
    found: list = []
    each_fasta_record(path, found.append)
    return found


def _beside(path: Path, kind: str = "classifier") -> Path:
    """Return a folder next to a file, with a whole model in it."""
    return valid.write_model(path.with_name("MODEL"), kind)


def _effects(path: Path) -> object:
    return effects_figure(read_effects(path))


def _calls(path: Path) -> object:
    scores = path.with_name("scores.bw")
    scores.write_bytes(_made(valid.write_bigwig))
    tracks, number = read_tracks(scores, path, bins=20)
    return scan_figure(tracks, number, "a scan", "probability")


def _card(path: Path) -> None:
    folder = _beside(path)
    (folder / "model.json").write_bytes(path.read_bytes())
    with contextlib.suppress(InputError):
        in_words(folder, read_model(folder))
    list(list_models(path.parent))
    with contextlib.suppress(InputError):
        load_language_model(folder / "model.safetensors", folder / "model.json", valid.NO_DROPOUT)
    in_words(folder, read_model(folder))


def _weights(path: Path) -> None:
    folder = _beside(path)
    (folder / "model.safetensors").write_bytes(path.read_bytes())
    valid.vouch(folder)
    load_classifier(folder / "model.safetensors", folder / "model.json")


def _cnn(path: Path) -> None:
    weights = path.with_name("cnn.safetensors")
    weights.write_bytes(valid.cnn()["model.safetensors"])
    load_cnn(weights, path)


def _run(path: Path) -> None:
    folder = path.with_name("run")
    if not folder.exists():
        valid.write_run(folder)
    (folder / RECORD).write_bytes(path.read_bytes())
    for _, name in verify(folder)[1]:
        assert ".." not in Path(name).parts, name


def _checkpoint(path: Path) -> None:
    """Refuse where a training would begin afresh."""
    if Checkpoint(path, {"seed": 1}).load() is None:
        raise InputError("is not resumed", path)


def _genome(path: Path) -> None:
    folder = path.with_name("genome")
    if not folder.exists():
        valid.write_genome(folder)
    (folder / "index.json").write_bytes(path.read_bytes())
    _read_all(IndexedGenome(folder / "index.json"))


def _contig(path: Path) -> None:
    folder = path.with_name("genome")
    if not folder.exists():
        valid.write_genome(folder)
    (folder / "contigs" / "chr1.npy").write_bytes(path.read_bytes())
    _read_all(IndexedGenome(folder / "index.json"))


def _fasta_genome(path: Path) -> None:
    index = Path(f"{path}.fai")
    index.unlink(missing_ok=True)
    _read_all(FastaGenome(path))


def _fasta_index(path: Path) -> None:
    fasta = path.with_name("genome.fa")
    fasta.write_bytes(valid.FASTA)
    Path(f"{fasta}.fai").write_bytes(path.read_bytes())
    _read_all(FastaGenome(fasta))


def _read_all(genome) -> None:
    for name, length in genome.lengths.items():
        genome.codes(name, 0, min(length, 10**6))


def _regions(path: Path) -> list:
    fasta = path.with_name("genome.fa")
    if not fasta.exists():
        fasta.write_bytes(valid.FASTA)
    return regions(path, FastaGenome(fasta))


def _archive(path: Path) -> None:
    folder = path.with_name("out")
    unpack_archive(path, folder, member_limit=LIMIT, total_limit=LIMIT)


def _sums(path: Path) -> None:
    folder = path.with_name("summed")
    if not folder.exists():
        valid.summed(folder)
    (folder / "SHA256SUMS").write_bytes(path.read_bytes())
    check_sums(folder)


@functools.cache
def _made(maker: Callable[[Path], Path]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return maker(Path(folder, "made")).read_bytes()


def _contig_of(folder: Path) -> Path:
    return valid.write_genome(folder).parent / "contigs" / "chr1.npy"


def _index_of(folder: Path) -> Path:
    """Return a FASTA file's index, as it is made."""
    folder.mkdir()
    (folder / "genome.fa").write_bytes(valid.FASTA)
    FastaGenome(folder / "genome.fa")
    return folder / "genome.fa.fai"


@functools.cache
def bgzipped(content: bytes) -> bytes:
    import pysam

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "a.gz")
        with pysam.BGZFile(path, "wb") as stream:
            stream.write(content)
        return Path(path).read_bytes()


def _members() -> dict[str, bytes]:
    return {f"a/{valid.AC}": valid.packed_set(), valid.B: valid.packed_set(), "x.txt": b"x"}


PARSERS = [
    Parser("FASTA", lambda: valid.FASTA, _records),
    Parser("FASTA, gzip", lambda: gzip.compress(valid.FASTA, mtime=0), _records, lines=False),
    Parser("FASTA by position", lambda: valid.FASTA, _fasta_genome),
    Parser("FASTA by position, bgzip", lambda: bgzipped(valid.FASTA), _fasta_genome, lines=False),
    Parser("FASTA's .fai", lambda: _made(_index_of), _fasta_index),
    Parser("set", lambda: valid.SET, read_set),
    Parser("set, gzip", valid.packed_set, read_set, lines=False),
    Parser("split", lambda: valid.SPLIT, read_split),
    Parser("table of sequences", lambda: valid.TABLE, lambda path: list(table_records(path))),
    Parser("BED", lambda: valid.BED, read_peaks),
    Parser("narrowPeak", lambda: valid.NARROW, read_peaks),
    Parser("BED on a genome", lambda: valid.BED, _regions),
    Parser("MEME", lambda: valid.MEME, read_meme),
    Parser("VCF", lambda: valid.VCF, read_variants),
    Parser("VCF, bgzip", lambda: bgzipped(valid.VCF), read_variants, lines=False),
    Parser("predictions", lambda: valid.PREDICTIONS, read_predictions),
    Parser("predictions, strands", lambda: valid.PREDICTIONS, read_strands),
    Parser("result table", lambda: valid.PREDICTIONS, read_table),
    Parser("training history", lambda: valid.HISTORY, read_history),
    Parser("motif matches", lambda: valid.MATCHES, read_matches),
    Parser("effects", lambda: valid.EFFECTS, _effects),
    Parser("calls", lambda: valid.CALLS, _calls),
    Parser("JSON", lambda: valid.model()["model.json"], read_json),
    Parser("model card", lambda: valid.model()["model.json"], _card, cost=5),
    Parser("weights", lambda: valid.model()["model.safetensors"], _weights, lines=False, cost=5),
    Parser("CNN's card", lambda: valid.cnn()["model.json"], _cnn, cost=5),
    Parser("gapped k-mer SVM", valid.gkm, load_gkm, lines=False),
    Parser("record of a run", lambda: _made(valid.write_run), _run),
    Parser("checkpoint", valid.checkpoint, _checkpoint, lines=False),
    Parser("attributions", valid.attributions, load_attributions, lines=False),
    Parser("genome index", lambda: _made(valid.write_genome), _genome),
    Parser("genome contig", lambda: _made(_contig_of), _contig, lines=False),
    Parser("model's SHA256SUMS", lambda: _made(lambda f: valid.summed(f) / "SHA256SUMS"), _sums),
    Parser("zip archive", lambda: valid.zipped(_members()), _archive, lines=False),
    Parser("tar archive", lambda: valid.tarred(_members(), "w"), _archive, lines=False),
    Parser("tar archive, gzip", lambda: valid.tarred(_members()), _archive, lines=False),
]


NASTY = (
    b"",
    b"-1",
    b"0",
    b"9" * 30,
    b"9" * 5000,
    b"1.5",
    b"1e999",
    b"nan",
    b"inf",
    b"null",
    b"true",
    b"[]",
    b"{}",
    b"[" * 3000,
    b'"',
    b"x" * 200_000,
    b"\0",
    b"\t",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\x1b[2J",
    b"..",
    b"../../x",
)
"""What stands in the place of a field, or between two bytes."""
_FIELDS = re.compile(rb'([\t\n ,:"=]+)')


def _flip(data: bytes, at: int, value: int) -> bytes:
    return data[:at] + bytes([data[at] ^ value]) + data[at + 1 :] if data else data


def _cut(data: bytes, at: int, value: int) -> bytes:
    return data[:at]


def _leave_out(data: bytes, at: int, value: int) -> bytes:
    return data[:at] + data[at + value % 64 + 1 :]


def _insert(data: bytes, at: int, value: int) -> bytes:
    return data[:at] + NASTY[value % len(NASTY)] + data[at:]


def _double_line(data: bytes, at: int, value: int) -> bytes:
    lines = data.split(b"\n")
    lines.insert(value % (len(lines) + 1), lines[at % len(lines)])
    return b"\n".join(lines)


def _drop_line(data: bytes, at: int, value: int) -> bytes:
    lines = data.split(b"\n")
    del lines[at % len(lines)]
    return b"\n".join(lines)


def _replace_field(data: bytes, at: int, value: int) -> bytes:
    parts = _FIELDS.split(data)
    parts[at % len(parts) // 2 * 2] = NASTY[value % len(NASTY)]
    return b"".join(parts)


_BYTES = (_flip, _cut, _leave_out, _insert)
_LINES = (_double_line, _drop_line, _replace_field, _replace_field)


def spoilt(parser: Parser) -> st.SearchStrategy[bytes]:
    """Return a strategy of files: any bytes, or the parser's own with some changes."""
    changes = st.tuples(
        st.sampled_from(_BYTES + _LINES * parser.lines),
        st.integers(0, 2**32),
        st.integers(1, 255),
    )

    def change(made: list) -> bytes:
        data = parser.valid()
        for how, at, value in made:
            data = how(data, at % max(1, len(data)), value)
        return data

    return st.one_of(st.lists(changes, min_size=1, max_size=4).map(change), st.binary(max_size=200))


def try_often(parser: Parser, path: Path, examples: int) -> None:
    """Try a parser on its own file, and on spoilt ones written to `path`."""
    path.write_bytes(parser.valid())
    parser.read(path)

    @settings(
        max_examples=max(FEW, examples // parser.cost), suppress_health_check=list(HealthCheck)
    )
    @given(spoilt(parser))
    def each(content: bytes) -> None:
        path.write_bytes(content)
        with contextlib.suppress(InputError):
            parser.read(path)

    each()
