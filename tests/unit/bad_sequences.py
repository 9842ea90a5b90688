"""Malformed FASTA files, archives, sequence sets and peaks, each with what is told of it."""

from __future__ import annotations

import gzip
import io
import lzma
import stat
import tarfile
import zipfile
from pathlib import Path
from unittest import mock

import parsers
import valid_files as valid
from bad_cases import Case, text
from dflm.mining.sequences_in import regions, table_records
from dflm.predictions import read_predictions
from dflm.sequences.archives import unpack_archive
from dflm.sequences.bed import read_peaks
from dflm.sequences.chipseq import find_sets, index_sets, read_set
from dflm.sequences.genome import GenomeIndex
from dflm.sequences.peaks import place_peaks
from dflm.sequences.sources import take_set
from dflm.sequences.splits import read_split
from sharded import shard_all
from valid_files import AC, B

MIB = 2**20


def shard(folder: Path) -> None:
    shard_all(folder / "in", folder / "out")


def shard_little(folder: Path) -> None:
    """Shard with a lower bound on what is unpacked without a look at its size."""
    with mock.patch("dflm.sequences.fasta._FREE", 2**20):
        shard(folder)


def fasta(name: str, content: str | bytes, told: str) -> Case:
    return Case("FASTA", name, text(content), shard, r"in: .*" + told)


_PACKED = gzip.compress(valid.FASTA * 50, mtime=0)
_FLIPPED = _PACKED[:-6] + bytes([_PACKED[-6] ^ 1]) + _PACKED[-5:]  # in the checksum
_BGZIP = parsers.bgzipped(valid.FASTA * 5)

FASTA = [
    fasta("empty", "", "the file is empty; give a FASTA file"),
    fasta("blank lines alone", "\n\n", "the file is empty"),
    fasta("no header", "ACGT\nACGT\n", "line 1: no '>' before the first sequence; give a FASTA"),
    fasta("FASTQ", "@read\nACGT\n+\nIIII\n", "looks like FASTQ"),
    fasta("header without a name", "> a\nACGT\n", "line 1: a contig without a name"),
    fasta("one contig twice", ">chr1\nAC\n>chr2\nAC\n>chr1\nGT\n", "line 5: contig chr1 comes tw"),
    fasta("no base in a contig", ">chr1\n>chr2\nACGT\n", "contig chr1 holds no base"),
    fasta("protein", ">chr1\nACGT\nMKLVEF\n", "line 3: 'L' at base 7 of contig chr1 is no nucl"),
    fasta("binary", b">chr1\nAC\x00\x01\xfe", r"line 2: '\\x00' at base 3 .* is no nucleotide"),
    fasta("binary from the start", bytes(range(256)), "no '>' before the first sequence"),
    fasta("blanks within a line", ">chr1\nACGT ACGT\n", "line 2: ' ' at base 5"),
    fasta("gaps of an alignment", ">chr1\nAC--GT\n", "no protein, FASTQ or alignment"),
    fasta("endless header", ">" + "x" * 2**17, "line 1: endless header"),
    fasta(
        "terminal codes in a name", ">\x1b[2Jx\nA\n>\x1b[2Jx\nA\n", r"contig \\x1b\[2Jx comes tw"
    ),
    fasta("UTF-16", ">chr1\nACGT\n".encode("utf-16"), "no '>' before the first"),
    fasta("gzip cut short", _PACKED[: len(_PACKED) // 2], "the gzip file breaks off; fetch it ag"),
    fasta("gzip with a wrong checksum", _FLIPPED, "the gzip file is damaged .*; fetch it again"),
    fasta("gzip's magic bytes alone", b"\x1f\x8b", "the gzip file breaks off"),
    fasta("bgzip cut short", _BGZIP[: len(_BGZIP) // 2], "the gzip file breaks off"),
    fasta("gzip of gzip", gzip.compress(_PACKED), "no '>' before the first sequence"),
    Case(
        "FASTA",
        "gzip bomb",
        text(gzip.compress(b">chr1\n" + bytes([65]) * 2**24)),
        shard_little,
        "in: unpacks to more than 100 times its size, as no genome does; fetch it again",
    ),
    fasta("no contig for validation", ">chr1\nACGT\n", "'chr2' of genome.validation matches no"),
    Case("FASTA", "missing", lambda folder: None, shard, "in: there is no such file"),
    Case("FASTA", "a folder", lambda folder: (folder / "in").mkdir(), shard, "no such file"),
]


def _unpack(folder: Path) -> list[str]:
    return unpack_archive(folder / "in", folder / "out", member_limit=MIB, total_limit=2 * MIB)


def archive(name: str, content: bytes, told: str, memory: int | None = None) -> Case:
    return Case("archive", name, text(content), _unpack, r"in: .*" + told, memory)


def _linked(kind: bytes, target: str = "/etc/passwd") -> bytes:
    return valid.tarred({AC: b""}, "w", type=kind, linkname=target)


def _zip_link() -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as packed:
        info = zipfile.ZipInfo(AC)
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        packed.writestr(info, "/etc/passwd")
    return held.getvalue()


def _encrypted() -> bytes:
    content = bytearray(valid.zipped({AC: b"x"}))
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + flags] |= 1
    return bytes(content)


def _lying_size() -> bytes:
    content = valid.zipped({AC: bytes(5 * MIB)})
    return content.replace((5 * MIB).to_bytes(4, "little"), (100).to_bytes(4, "little"))


def _huge_header(kind: bytes) -> bytes:
    """Return a packed tar file whose first header says that 64 MiB of further header follow."""
    info = tarfile.TarInfo("pax")
    info.type, info.size = kind, 64 * MIB
    return gzip.compress(info.tobuf(tarfile.USTAR_FORMAT) + bytes(64 * MIB), 1, mtime=0)


def _many_members() -> bytes:
    """Return a packed tar file of more members than are looked at, the same header all along."""
    return gzip.compress(tarfile.TarInfo("x").tobuf(tarfile.USTAR_FORMAT) * 1001, 1, mtime=0)


def _unpack_few(folder: Path) -> None:
    with mock.patch("dflm.sequences.archives.MEMBERS_LIMIT", 1000):
        _unpack(folder)


def _second_header_damaged() -> bytes:
    content = bytearray(valid.tarred({"x.txt": b"x" * 100, AC: b"x"}, "w"))
    content[1024 + 150] ^= 1  # in the second header's checksum
    return bytes(content)


_WHOLE = valid.zipped({f"a/{AC}": bytes(range(256)) * 400, B: valid.packed_set()}, 0)
_TAR = valid.tarred({"x.txt": bytes(range(256)) * 400, AC: valid.packed_set()}, "w")
_NO_SET = "no member ends in _AC.seq.gz or _B.seq.gz; found "

ARCHIVES = [
    archive("empty", b"", "neither a whole zip nor a tar archive; fetch it again"),
    archive("text", b"no archive\n", "neither a whole zip nor a tar archive"),
    archive("a set's file itself", valid.packed_set(), "neither a whole zip nor a tar archive"),
    archive("zip cut short", _WHOLE[: len(_WHOLE) // 2], "neither a whole zip nor a tar"),
    archive("zip damaged", _WHOLE[:999] + b"?" + _WHOLE[1000:], "the archive is broken .*; fetch"),
    archive("zip encrypted", _encrypted(), "is encrypted; give an archive without password"),
    archive("zip, directory beyond its start", _WHOLE[2000:], "the archive is broken|neither"),
    archive("zip of links", _zip_link(), _NO_SET + "nothing"),
    archive(
        "zip with an unknown compression",
        _WHOLE.replace(
            b"PK\x01\x02\x14\x03\x14\x00\x00\x00\x00\x00",
            b"PK\x01\x02\x14\x03\x14\x00\x00\x00\x61\x00",
        ),
        "the archive is broken .*compression",
    ),
    archive("tar cut short", _TAR[: len(_TAR) // 2], "the archive is broken .*unexpected end"),
    archive("tar cut in a header", _TAR[: 512 + 102400 + 200], "the archive is broken .*truncated"),
    archive("tar, second header damaged", _second_header_damaged(), "the archive is broken"),
    archive("tar.gz cut short", valid.tarred({AC: b"x", B: b"y"})[:-30], "broken|neither a whole"),
    archive("tar.xz cut short", lzma.compress(_TAR)[:-40], "the archive is broken"),
    archive("tar of symbolic links", _linked(tarfile.SYMTYPE), _NO_SET + "nothing"),
    archive("tar of symbolic links upwards", _linked(tarfile.SYMTYPE, "../../x"), _NO_SET),
    archive("tar of hard links", _linked(tarfile.LNKTYPE), _NO_SET + "nothing"),
    archive("tar of devices", _linked(tarfile.CHRTYPE), _NO_SET + "nothing"),
    archive("tar of pipes", _linked(tarfile.FIFOTYPE), _NO_SET + "nothing"),
    archive("zip, a name that leads out", valid.zipped({"../../x.seq.gz": b"x"}), _NO_SET),
    archive("tar, an absolute name", valid.tarred({"/x_C.seq.gz": b"x"}), _NO_SET),
    archive("tar, a hidden name", valid.tarred({f"../.{AC}": b"x"}), _NO_SET),
    archive("a name of control characters", valid.zipped({"\x1b[31m": b"x"}), r"found \\x1b\[31m"),
    archive("an archive in the archive", valid.zipped({"a.zip": _WHOLE}), _NO_SET + "a.zip"),
    archive(
        "two unlike sets of one name",
        valid.zipped({f"a/{AC}": b"1", f"b/{AC}": b"2"}),
        f"two unlike members are called {AC}; take one of them out",
    ),
    archive(
        "zip bomb",
        valid.zipped({AC: bytes(64 * MIB)}),
        "unpacks to more than the 1048576 b",
        8 * MIB,
    ),
    archive(
        "zip bomb that lies of its size",
        _lying_size(),
        "unpacks to more|archive is broken",
        8 * MIB,
    ),
    archive(
        "zip bomb of many parts",
        valid.zipped({f"{i}_AC.seq.gz": bytes(MIB) for i in range(4)}),
        "more than the 0 bytes",
        8 * MIB,
    ),
    archive("tar bomb", valid.tarred({AC: bytes(4 * MIB)}), "unpacks to more than", 16 * MIB),
    archive(
        "tar bomb that is passed over", valid.tarred({"x": bytes(4 * MIB)}), "more than", MIB * 8
    ),
    archive(
        "tar bomb of a header",
        _huge_header(tarfile.XHDTYPE),
        "neither a whole|of 67108864",
        16 * MIB,
    ),
    archive(
        "tar bomb of a name", _huge_header(tarfile.GNUTYPE_LONGNAME), "neither a whole", 16 * MIB
    ),
    Case(
        "archive",
        "tar bomb of members",
        text(_many_members()),
        _unpack_few,
        "in: holds more than 1000 members; unpack it yourself and give the folder",
    ),
    Case(
        "archive",
        "zip bomb of members",
        text(valid.zipped({f"{i}": b"" for i in range(1001)})),
        _unpack_few,
        "in: holds more than 1000 members; unpack it yourself",
    ),
    Case("archive", "missing", lambda folder: None, _unpack, "there is no such file"),
]


def _sets(content: dict[str, bytes]):
    def build(folder: Path) -> None:
        for name, one in content.items():
            path = folder / "data" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(one)

    return build


def _with_short_lines(path: Path) -> object:
    with mock.patch("dflm.files.LONGEST_LINE", 2**16):
        return read_set(path)


def sets(name: str, content, told: str, read=read_set, memory: int | None = None) -> Case:
    return Case("set", name, text(content), lambda f: read(f / "in"), r"in: .*" + told, memory)


_HEAD = "FoldID\tEventID\tseq\tBound\n"
_TABLE = "a set's file is a tab-separated table with the header FoldID EventID seq Bound"


def _take(folder: Path) -> None:
    take_set("A", folder / "out" / AC, folder / "out" / B, folder=folder / "data")


SETS = [
    sets("empty", "", "the file is empty"),
    sets("empty when unpacked", gzip.compress(b""), "the file is empty"),
    sets("a header alone", _HEAD, "the file has a header and no row"),
    sets(
        "a column missing",
        "FoldID\tEventID\tseq\nA\tp\tACGT\n",
        f"line 1: no column Bound; {_TABLE}",
    ),
    sets("blanks for tabs", _HEAD.replace("\t", " "), "line 1: no column EventID, seq, Bound"),
    sets("a field missing", _HEAD + "A\tp\tACGT\n", "line 2 has 3 fields, not 4"),
    sets("a field too many", _HEAD + "A\tp\tACGT\t1\tx\n", "line 2 has 5 fields, not 4"),
    sets("no sequence", _HEAD + "A\tp\t\t1\n", "line 2 has an empty seq or EventID"),
    sets("a label of text", _HEAD + "A\tp\tACGT\tyes\n", "line 2: Bound is 'yes'; Bound is 0 or 1"),
    sets("a label of 2", _HEAD + "A\tp\tACGT\t2\n", "line 2: Bound is '2'"),
    sets("Latin-1", (_HEAD + "A\tpé\tACGT\t1\n").encode("latin-1"), "no text after line 0"),
    sets("UTF-16", _HEAD.encode("utf-16"), "no text after line 0"),
    sets("NUL bytes", bytes(1000), "line 1: no column"),
    sets("gzip cut short", gzip.compress(valid.SET)[:-12], "breaks off or is damaged after line"),
    sets(
        "gzip bomb of one line",
        gzip.compress(b"A" * 32 * MIB),
        "line 1 has 65536 letters or more",
        _with_short_lines,
        2 * MIB,
    ),
    sets("gzip damaged", gzip.compress(valid.SET)[:-8] + bytes(8), "damaged .*fetch it again"),
    sets(
        "a table of no sequence",
        "id\tvalue\n1\t2\n",
        "no column name or EventID or id|no column",
        lambda path: list(table_records(path)),
    ),
    sets(
        "protein in a table",
        "name\tsequence\na\tMKLV\n",
        "line 2: 'L' at position 3 .*letters may",
        lambda path: list(table_records(path)),
    ),
    sets(
        "a ragged table",
        "name\tsequence\na\n",
        "line 2 has 1 fields, not 2",
        lambda path: list(table_records(path)),
    ),
    sets(
        "a split of other columns",
        "name\tseq\tlabel\na\tA\t1\n",
        "no table of name, sequence",
        read_split,
    ),
    sets(
        "a split cut short",
        gzip.compress(valid.SPLIT)[:-9],
        "is damaged .*name it as a target of the same command",
        read_split,
    ),
    Case(
        "set",
        "no set in a folder",
        _sets({"x.txt": b""}),
        lambda f: find_sets(f / "data"),
        r"data: no \*_AC.seq.gz or \*_B.seq.gz file in it",
    ),
    Case(
        "set",
        "two unlike files of one name",
        _sets({f"a/{AC}": b"1", f"b/{AC}": b"2"}),
        lambda f: find_sets(f / "data"),
        "two unlike files are called .*take one of them away",
    ),
    Case(
        "set",
        "a line end in a name",
        _sets({f"x\ny{AC}": b"1"}),
        lambda f: index_sets(f / "data", f / "out" / "sheet.tsv"),
        "holds a tab or a line end",
    ),
    Case(
        "set", "no test file", _sets({AC: b"1"}), _take, "A: the set has no test file; give it in"
    ),
    Case("set", "no such folder", lambda folder: None, _take, "there is no such folder"),
]


def peaks(name: str, content: str | bytes, told: str) -> Case:
    return Case(
        "BED", name, text(content), lambda folder: read_peaks(folder / "in"), "in: .*" + told
    )


def _on_genome(folder: Path) -> list:
    genome = parsers.FastaGenome(folder / "genome.fa")
    return regions(folder / "in", genome)


def _placed(folder: Path) -> object:
    index = GenomeIndex.load(folder / "genome" / "index.json", folder / "genome" / "contigs")
    return place_peaks(read_peaks(folder / "in"), index, 20, folder / "in")


def _with_genome(content: str):
    def build(folder: Path) -> None:
        (folder / "in").write_text(content)
        (folder / "genome.fa").write_bytes(valid.FASTA)
        valid.write_genome(folder / "genome")

    return build


def _narrow(**changed: str) -> str:
    fields = {"contig": "chr1", "start": "10", "end": "40", "name": "a", "score": "7"}
    fields |= {"strand": ".", "signal": "5.5", "p": "3", "q": "2", "summit": "12"} | changed
    return "\t".join(fields.values()) + "\n"


PEAKS = [
    peaks("one column", "chr1\n", "line 1: 1 column, and a peak has at least three"),
    peaks("two columns", "chr1\t10\n", "line 1: 2 columns, and a peak has at least three"),
    peaks(
        "another number of columns", "chr1\t1\t2\nchr1\t1\t2\tx\n", "line 2: 4 columns, .* have 3"
    ),
    peaks("a header", "contig\tstart\tend\n", r"line 1: the start is 'start'.*begin with #"),
    peaks("a negative start", "chr1\t-5\t10\n", "line 1: the start is '-5', not a whole number"),
    peaks("a broken end", "chr1\t5\t1e3\n", "line 1: the end is '1e3', not a whole number"),
    peaks("beyond 64 bits", f"chr1\t5\t{10**30}\n", "line 1: the end is '10+', not a whole number"),
    peaks("start at the end", "chr1\t5\t5\n", "line 1: the start, 5, is not below the end, 5"),
    peaks("start behind the end", "chr1\t9\t5\n", "the start, 9, is not below the end, 5"),
    peaks("no contig", "\t1\t5\n", "line 1: column 1, the contig, is empty"),
    peaks("a score of text", "chr1\t1\t5\ta\thigh\n", "the score is 'high', not a number"),
    peaks("a score that is not finite", "chr1\t1\t5\ta\tnan\n", "the score is 'nan', not a number"),
    peaks("tabs and blanks mixed", "chr1 1\t5\n", "line 1: 2 columns"),
    peaks("Latin-1", "chr1\t1\t5\té\n".encode("latin-1"), "no text after line 0; give a BED"),
    peaks("gzip cut short", gzip.compress(b"chr1\t1\t5\n" * 999)[:-9], "breaks off or is damaged"),
    peaks(
        "a very long field", "chr1\t1\t5\ta\t" + "9a" * 10**6, r"line 1: the score is '9a9a.* \.\. "
    ),
    peaks("narrowPeak, summit behind the peak", _narrow(summit="30"), "from 0 to 29 here, or -1"),
    peaks("narrowPeak, summit below -1", _narrow(summit="-2"), "the summit .column 10. is '-2'"),
    peaks("narrowPeak, no signal", _narrow(signal="x"), "the signalValue .column 7. is 'x'"),
    Case("BED", "no region", _with_genome("#\n"), _on_genome, "the file holds no region"),
    Case(
        "BED",
        "beyond the contig",
        _with_genome("chr1\t10\t9000\n"),
        _on_genome,
        "chr1:10-9000 ends beyond the contig, which has 240 bases; is it of another assembly",
    ),
    Case(
        "BED",
        "an unknown contig",
        _with_genome("chr9\t1\t5\n"),
        _on_genome,
        "no contig 'chr9' in .*; it has chr1, chr2; in the workflow genome.include chooses",
    ),
    Case(
        "BED",
        "NUL in a contig's name",
        _with_genome("chr1\0\t1\t5\n"),
        _on_genome,
        r"no contig 'chr1\\x00'",
    ),
    Case(
        "BED",
        "the other custom of names",
        _with_genome("1\t1\t50\n"),
        _placed,
        "the peaks name contigs as 1, the genome as chr1; put chr before",
    ),
    Case(
        "BED",
        "contigs of another genome",
        _with_genome("scaffold_1\t1\t50\n"),
        _placed,
        "no peak is on a contig of the genome: the peaks name scaffold_1; the genome holds chr1",
    ),
]


def table(name: str, content: str | bytes, told: str) -> Case:
    return Case(
        "predictions", name, text(content), lambda f: read_predictions(f / "in"), "in: .*" + told
    )


_ROW = "name\tlabel\tprobability\n"
PREDICTIONS = [
    table("empty", "", "the header lacks name, label, probability; rerun predict"),
    table("a column missing", "name\tlabel\na\t1\n", "the header lacks probability; rerun"),
    table("a column twice", "name\tlabel\tprobability\tname\n", "the header names a column twice"),
    table("a ragged row", _ROW + "a\t1\n", "line 2 has 2 fields, not 3; rerun predict"),
    table("a label of text", _ROW + "a\tbound\t0.5\n", "line 2 holds no label and probability"),
    table("a label of 2", _ROW + "a\t2\t0.5\n", "line 2 holds no label and probability"),
    table("NaN", _ROW + "a\t1\tnan\n", "line 2 holds no label and probability"),
    table("above 1", _ROW + "a\t1\t1.5\n", "line 2 holds no label and probability"),
    table("a number of many digits", _ROW + f"a\t{'1' * 9999}\t0.5\n", "line 2 holds no label"),
    table("binary", b"\xff\xfe\x00", "no text after line 0; rerun predict"),
    Case(
        "predictions",
        "missing",
        lambda folder: None,
        lambda f: read_predictions(f / "in"),
        "there is no such file",
    ),
]


def _index(change):
    def build(folder: Path) -> None:
        valid.write_genome(folder / "genome")
        change(folder / "genome")

    return build


def _replace(name: str, old: str, new: str):
    def change(folder: Path) -> None:
        path = folder / name
        content = path.read_text()
        assert old in content
        path.write_text(content.replace(old, new, 1))

    return change


def _load(folder: Path) -> None:
    GenomeIndex.load(folder / "genome" / "index.json", folder / "genome" / "contigs")


def _cut(folder: Path) -> None:
    path = folder / "contigs" / "chr1.npy"
    path.write_bytes(path.read_bytes()[:-7])


def _lie(folder: Path) -> None:
    path = folder / "contigs" / "chr1.npy"
    path.write_bytes(path.read_bytes().replace(b"(240,)", b"(999999999999,)"))


def _pickled(folder: Path) -> None:
    path = folder / "contigs" / "chr1.npy"
    path.write_bytes(path.read_bytes().replace(b"'|u1'", b"'|O' "))


def genome(name: str, change, told: str) -> Case:
    return Case("genome", name, _index(change), _load, told)


GENOMES = [
    genome("no index", lambda f: (f / "index.json").unlink(), "index.json: there is no such file"),
    genome(
        "an index of something else",
        _replace("index.json", "dflm-genome", "x"),
        "not the index of a genome; run shard_genome again",
    ),
    genome(
        "an index of the future",
        _replace("index.json", '"format_version": 1', '"format_version": 9'),
        "format version 9, not 1",
    ),
    genome(
        "no contigs", _replace("index.json", '"contigs": [', '"contig": ['), "contig 1 is no con"
    ),
    genome(
        "a file elsewhere", _replace("index.json", '"chr1.npy"', '"../../chr1.npy"'), "1 is no con"
    ),
    genome(
        "an absolute file", _replace("index.json", '"chr1.npy"', '"/etc/passwd"'), "1 is no contig"
    ),
    genome(
        "one contig twice", _replace("index.json", '"name": "chr2"', '"name": "chr1"'), "contig 2"
    ),
    genome(
        "a length of text", _replace("index.json", '"length": 240', '"length": "240"'), "contig 1"
    ),
    genome(
        "another length",
        _replace("index.json", '"length": 240', '"length": 999'),
        "chr1.npy: holds 240 codes, and the index says 999; run shard_genome again",
    ),
    genome(
        "an array missing", lambda f: (f / "contigs" / "chr2.npy").unlink(), "no array of contig"
    ),
    genome("an array cut short", _cut, "chr1.npy: holds 233 codes, and the index says 240"),
    genome("an array whose header lies", _lie, "chr1.npy: (no array of codes|holds)"),
    genome("an array of pickles", _pickled, "chr1.npy: holds 240 codes|no array of codes"),
    genome(
        "an array of text",
        lambda f: (f / "contigs" / "chr1.npy").write_text("x" * 300),
        "no array of codes .*; run shard_genome again",
    ),
]

CASES = [*FASTA, *ARCHIVES, *SETS, *PEAKS, *PREDICTIONS, *GENOMES]
