"""Malformed variants, motifs and genomes by position, and wrong words to the command ``dflm``."""

from __future__ import annotations

import gzip
from pathlib import Path

import parsers
import valid_files as valid
from bad_cases import Case, RefusedError, command, text
from dflm.mining.genomes import FastaGenome, open_genome
from dflm.mining.motifs.files import read_meme
from dflm.mining.motifs.tomtom import read_matches
from dflm.mining.variants.files import read_variants

_CPU = ("--device", "cpu", "--threads", "1")


def variants(name: str, content: str | bytes, told: str = "in: no whole VCF file") -> Case:
    return Case("VCF", name, text(content), lambda f: read_variants(f / "in"), told)


def _vcf(*rows: str) -> bytes:
    """Return a VCF file of our contigs with these rows."""
    head = [line for line in valid.VCF.decode().splitlines() if line.startswith("#")]
    return "\n".join([*head, *rows, ""]).encode()


def scored(name: str, row: str, told: str, *more: str) -> Case:
    """Return a case of a row that can be read, and not be scored on the genome."""

    def build(folder: Path) -> None:
        valid.write_model(folder / "MODEL")
        (folder / "genome.fa").write_bytes(valid.FASTA)
        (folder / "in").write_bytes(_vcf(row))

    words = ("--vcf", "{}/in", "--genome", "{}/genome.fa", "--tsv", "{}/out/t.tsv", *_CPU, *more)
    return Case("VCF", name, build, command("variants", "{}/MODEL", *words), told)


_BGZIP = parsers.bgzipped(valid.VCF)
VARIANTS = [
    variants("empty", ""),
    variants("no header", "chr1\t101\t.\tT\tA\t.\t.\t.\n"),
    variants("no line of columns", "##fileformat=VCFv4.2\nchr1\t101\t.\tT\tA\t.\t.\t.\n"),
    variants("a column missing", _vcf("chr1\t101\t.\tT")),
    variants("blanks for tabs", _vcf("chr1 101 . T A . . .")),
    variants("a position of text", _vcf("chr1\tx\t.\tT\tA\t.\t.\t.")),
    variants("a negative position", _vcf("chr1\t-5\t.\tT\tA\t.\t.\t.")),
    variants("a table of variants", "contig\tposition\tref\talt\nchr1\t1\tA\tT\n"),
    variants("FASTA", valid.FASTA),
    variants("binary", bytes(range(256)) * 9),
    variants("packed by gzip", gzip.compress(valid.VCF, mtime=0), "packed by gzip.* by bgzip"),
    variants("bgzip cut short", _BGZIP[:-60]),
    variants("bgzip damaged", _BGZIP[:60] + b"\xff\xff\xff" + _BGZIP[63:]),
    variants("gzip's magic bytes alone", b"\x1f\x8b"),
    variants(
        "a header that is not UTF-8",
        valid.VCF.replace(b"\n", b"\n##source=caf\xe9\n", 1),
        r"in: a letter that is not UTF-8 .byte 0xe9 behind .*##source=caf.*; bring it to UTF-8",
    ),
    variants(
        "a record that is not UTF-8",
        _vcf("chr1\t101\t.\tT\tA\t.\t.\tG=caf").replace(b"caf", b"caf\xe9"),
        "in: a letter that is not UTF-8 .byte 0xe9 behind",
    ),
    variants("BCF's magic bytes alone", b"BCF\2\2" + b"\xff" * 20),
    Case("VCF", "missing", lambda f: None, lambda f: read_variants(f / "in"), "no such file"),
    Case(
        "VCF",
        "an address",
        lambda f: None,
        lambda f: read_variants("http://127.0.0.1:9/a.vcf"),
        "http://127.0.0.1:9/a.vcf: there is no such file",
    ),
    scored(
        "another reference",
        "chr1\t101\t.\tG\tA\t.\t.\t.",
        "1 of 1 reference alleles are not in the genome, first chr1:101 G, where it has T; give",
        "--on-mismatch",
        "fail",
    ),
    scored(
        "contigs of another genome",
        "chr7\t101\t.\tG\tA\t.\t.\t.",
        "none of the variants' contigs is in it .chr7.*it has chr1, chr2; rename the contigs",
    ),
]


def unscored(name: str, row: str, status: str) -> Case:
    """Return a case that is no error of the file: the table tells why an allele has no score."""
    case = scored(name, row, f"status {status}")

    def read(folder: Path) -> None:
        case.read(folder)
        head, values = (
            line.split("\t") for line in (folder / "out" / "t.tsv").read_text().splitlines()
        )
        raise RefusedError(f"status {dict(zip(head, values, strict=True))['status']}")

    return Case("VCF", name, case.build, read, case.told)


VARIANTS += [
    unscored("another reference, passed over", "chr1\t101\t.\tG\tA\t.\t.\t.", "ref_mismatch"),
    unscored("position 0", "chr1\t0\t.\tN\tA\t.\t.\t.", "no_window"),
    unscored("a position beyond the contig", "chr1\t9999\t.\tT\tA\t.\t.\t.", "no_window"),
    unscored("a position beyond 32 bits", "chr1\t99999999999\t.\tT\tA\t.\t.\t.", "no_window"),
    unscored("a reference that is no base", "chr1\t101\t.\tZ\tA\t.\t.\t.", "symbolic_allele"),
    unscored("an allele of protein", "chr1\t101\t.\tT\tMKL\t.\t.\t.", "symbolic_allele"),
    unscored("an unknown allele", "chr1\t101\t.\tT\tN\t.\t.\t.", "unknown_allele"),
    unscored("a symbolic allele", "chr1\t101\t.\tT\t<DEL>\t.\t.\t.", "symbolic_allele"),
    unscored("a long allele", "chr1\t101\t.\tT\t" + "ACGT" * 9 + "\t.\t.\t.", "too_long"),
]


def motifs(name: str, content: str | bytes, told: str) -> Case:
    return Case("MEME", name, text(content), lambda f: read_meme(f / "in"), "in: .*" + told)


def _motif(*rows: str, head: str = "MOTIF a\nletter-probability matrix: w= 2\n") -> str:
    return "MEME version 4\n\n" + head + "\n".join(rows) + "\n"


_EVEN = "0.25 0.25 0.25 0.25"
MOTIFS = [
    motifs("empty", "", "holds no motif; give a file in MEME format"),
    motifs(
        "JASPAR's own format",
        ">MA1.1 X\nA [ 1 2 ]\nC [ 1 2 ]\n",
        "holds no motif; give a file in M",
    ),
    motifs(
        "TRANSFAC", "AC  M1\nP0 A C G T\n01 1 0 0 0 A\n//\n", "holds no motif; give a file in MEME"
    ),
    motifs("protein", "ALPHABET= ACDEFGHIKLMNPQRSTVWY\n", "line 1: the alphabet is no DNA"),
    motifs("no name", _motif(head="MOTIF\n"), "line 3: a motif without a name"),
    motifs(
        "no width",
        _motif(head="MOTIF a\nletter-probability matrix: alength= 4\n"),
        "line 4: .*width",
    ),
    motifs(
        "a width of 0", _motif(head="MOTIF a\nletter-probability matrix: w= 0\n"), "a has no row"
    ),
    motifs(
        "a matrix without a motif",
        _motif(head="letter-probability matrix: w= 2\n"),
        "without a name",
    ),
    motifs("cut short", _motif(_EVEN), "breaks off in motif a"),
    motifs("too few rows", _motif(_EVEN, "MOTIF b"), "line 6: a has 1 rows, not 2"),
    motifs(
        "three numbers", _motif("0.5 0.25 0.25"), "line 5: not four probabilities that sum up to 1"
    ),
    motifs("counts", _motif("10 0 5 5"), "line 5: not four probabilities"),
    motifs("a negative probability", _motif("-0.5 0.5 0.5 0.5"), "line 5: not four probabilities"),
    motifs("NaN", _motif("nan 0.5 0.25 0.25"), "line 5: not four probabilities"),
    motifs(
        "text for numbers", _motif("a b c d"), "line 5: could not convert .*give a file in MEME"
    ),
    motifs("binary", b"\xff\xfe\x00", "no text after line 0; give a file in MEME format"),
    motifs("gzip cut short", gzip.compress(valid.MEME)[:-9], "breaks off or is damaged after line"),
    Case(
        "MEME",
        "matches of other columns",
        text("a\tb\n1\t2\n"),
        lambda f: read_matches(f / "in"),
        "in: the header lacks motif",
    ),
    Case(
        "MEME",
        "matches of text",
        text(valid.MATCHES.replace(b"0.01", b"x")),
        lambda f: read_matches(f / "in"),
        "in: no table of matches",
    ),
]


def _read_genome(folder: Path) -> None:
    opened = open_genome(folder / "in.fa")
    for name, length in opened.lengths.items():
        opened.codes(name, 0, length)


def genome(
    name: str, content: bytes, told: str, index: str | None = None, blocks: bytes | None = None
) -> Case:
    def build(folder: Path) -> None:
        (folder / "in.fa").write_bytes(content)
        if index is not None:
            (folder / "in.fa.fai").write_text(index)
        if blocks is not None:
            (folder / "in.fa.gzi").write_bytes(blocks)

    return Case("FASTA by position", name, build, _read_genome, told)


_INDEX = "chr1\t240\t15\t60\t61\nchr2\t120\t274\t60\t61\n"
_OTHER = (
    "is not the index of its FASTA file; delete it: it is made again, if the file is one of DNA and"
)
_MORE = b">chr3 more\nACGT\n"
_INDEX_LATER = "".join(
    "\t".join((name, length, str(int(offset) + len(_MORE)), *lines)) + "\n"
    for name, length, offset, *lines in (row.split("\t") for row in _INDEX.splitlines())
)
_BOTH = "its .fai and .gzi files are not the index of this file; delete both"
_BLOCKS = b"".join(number.to_bytes(8, "little") for number in (1, 40, 100))
_PACKED = parsers.bgzipped(valid.FASTA * 1)
GENOMES = [
    genome("empty", b"", "no FASTA file"),
    genome("no FASTA", b"ACGT\n", "no FASTA file; unpack it"),
    genome(
        "plain gzip", gzip.compress(valid.FASTA), "gzip cannot be read from the middle; unpack it"
    ),
    genome("a header alone", b">", "no contig|cannot be indexed"),
    genome(
        "lines of unlike length",
        b">chr1\nACGT\nA\nACGT\n",
        "cannot be indexed .*lines have one len",
    ),
    genome(
        "protein", b">chr1\nMKLVEF\n", "chr1:0-6 cannot be read .'M' at position 1|'L' at position"
    ),
    genome("Latin-1", b">chr1\nAC\xe9T\n", _OTHER),
    genome("bgzip cut short", _PACKED[:-60], "cannot be (indexed|read)"),
    genome(
        "bgzip with the index of another file",
        parsers.bgzipped(valid.FASTA.replace(b"a contig", b"another")),
        _BOTH,
        _INDEX,
        bytes(8),
    ),
    genome("bgzip with blocks of another file", _PACKED, _BOTH, _INDEX, _BLOCKS),
    genome("an empty index", valid.FASTA, "no contig|cannot be indexed", ""),
    genome("an index of text", valid.FASTA, "cannot be indexed|no contig|" + _OTHER, "no index\n"),
    genome(
        "an index of another file", valid.FASTA.replace(b"a contig", b"another"), _OTHER, _INDEX
    ),
    genome("an index without the last contig", valid.FASTA + _MORE, _OTHER, _INDEX),
    genome("an index without the first contig", _MORE + valid.FASTA, _OTHER, _INDEX_LATER),
    genome("an index of other names", valid.FASTA, _OTHER, _INDEX.replace("chr2", "chr5")),
    genome("a name that comes twice", valid.FASTA + _MORE.replace(b"3", b"1"), _OTHER),
    genome("an index of a longer contig", valid.FASTA, _OTHER, _INDEX.replace("240", "300")),
    genome("an index of a shorter contig", valid.FASTA, _OTHER, _INDEX.replace("240", "180")),
    genome("an index of other lines", valid.FASTA, _OTHER, _INDEX.replace("60\t61", "50\t51")),
    genome("an index of lines of no base", valid.FASTA, _OTHER, _INDEX.replace("60\t61", "0\t61")),
    genome("an index beyond the file", valid.FASTA, _OTHER, _INDEX.replace("274", "999274")),
    Case(
        "FASTA by position",
        "a contig that is not there",
        text(valid.FASTA),
        lambda f: FastaGenome(f / "in").codes("chr9", 0, 5),
        "no contig 'chr9'; it has chr1, chr2",
    ),
    Case(
        "FASTA by position",
        "missing",
        lambda f: None,
        _read_genome,
        "there is no such genome; give",
    ),
]


def words(name: str, told: str, *arguments: str) -> Case:
    def build(folder: Path) -> None:
        valid.write_model(folder / "MODEL")
        (folder / "genome.fa").write_bytes(valid.FASTA)
        (folder / "in.vcf").write_bytes(valid.VCF)
        (folder / "in.tsv").write_bytes(valid.TABLE)
        (folder / "in.npz").write_bytes(valid.attributions())
        (folder / "empty").mkdir()

    return Case("command", name, build, command(*arguments), told)


_PREDICT = ("predict", "{}/MODEL", *_CPU)
_SCAN = ("scan", "{}/MODEL", "--genome", "{}/genome.fa", "--calls", "{}/out/c.bed", *_CPU)
_VARIANTS = ("variants", "{}/MODEL", "--vcf", "{}/in.vcf", "--genome", "{}/genome.fa", *_CPU)
_ATTRIBUTE = ("attribute", "{}/MODEL", "-o", "{}/out/a.npz", *_CPU)
COMMANDS = [
    words(
        "no command",
        "usage: dflm",
    ),
    words("an unknown command", "invalid choice: 'predct'", "predct"),
    words("an unknown option", "unrecognized arguments: --fsta", *_PREDICT, "--fsta", "x"),
    words("no sequences", "no sequences are given; give one of --fasta, --tsv, --bed", *_PREDICT),
    words("sequences of a file that is not there", "no such file", *_PREDICT, "--fasta", "{}/x"),
    words("a folder of sequences", "no such file", *_PREDICT, "--tsv", "{}/empty"),
    words("a file for a model", "no such model folder", "info", "{}/in.vcf"),
    words("no model in a folder", "no classifier; a model is a folder", "models", "{}/empty"),
    words("no folder of models", "there is no such folder", "models", "{}/x"),
    words(
        "threads without end",
        "argument --threads: 9+ is not from 1 to 2147483647",
        "predict",
        "{}/MODEL",
        "--tsv",
        "{}/in.tsv",
        "--threads",
        "9" * 20,
    ),
    words("no thread", "argument --threads: 0 is not from 1", *_PREDICT, "--threads", "0"),
    words("a batch of text", "invalid whole number value: 'x'", *_PREDICT, "--batch-size", "x"),
    words("windows wider than all", "at most 100000 are read", *_SCAN, "--width", "200000"),
    words("windows below k", "windows of 1 bases.*at least 3 are read", *_SCAN, "--width", "1"),
    words("a share of NaN", "--max-n: a share of nan; give 0 to 1", *_SCAN, "--max-n", "nan"),
    words(
        "a threshold of text",
        "a threshold of 'best'.*give 0 to 1 or a name of the card",
        *_SCAN,
        "--threshold",
        "best",
    ),
    words("a threshold of NaN", "a threshold of 'nan'", *_SCAN, "--threshold", "nan"),
    words("a stride beyond all", "argument --stride", *_SCAN, "--stride", "9" * 30),
    words("motifs that are none", "holds no motif", *_SCAN, "--motifs", "{}/in.vcf"),
    words("regions that are none", "line 1: 2 columns", *_SCAN, "--bed", "{}/in.tsv"),
    words("no output", "no output is asked for; give --tsv FILE", *_VARIANTS),
    words("a negative seed", "argument --seed: -1 is not from 0", *_VARIANTS, "--seed", "-1"),
    words(
        "a negative share",
        "--max-n: a share of -0.5; give 0 to 1",
        *_VARIANTS,
        "--tsv",
        "-",
        "--max-n",
        "-0.5",
    ),
    words(
        "a null of nothing",
        "argument --null-size: 0 is not from 20",
        *_VARIANTS,
        "--null-size",
        "0",
    ),
    words(
        "one model twice",
        "two models have the same name; rename",
        "variants",
        "{}/MODEL",
        "{}/MODEL",
        "--vcf",
        "{}/in.vcf",
        "--genome",
        "{}/genome.fa",
        "--tsv",
        "-",
        *_CPU,
    ),
    words("attributions of no sequence", "no sequences are given", *_ATTRIBUTE),
    words(
        "attributions that are none",
        "no attributions",
        "motifs",
        "{}/MODEL",
        *_CPU,
        "--attributions",
        "{}/in.vcf",
        "-o",
        "{}/out",
    ),
    words(
        "attributions and sequences",
        "both sequences and attributions are given",
        "motifs",
        "{}/MODEL",
        *_CPU,
        "--attributions",
        "{}/in.npz",
        "--tsv",
        "{}/in.tsv",
        "-o",
        "{}/out",
    ),
    words(
        "a database that is none",
        "holds no motif; give a file in MEME format",
        "motifs",
        "{}/MODEL",
        *_CPU,
        "--attributions",
        "{}/in.npz",
        "--database",
        "{}/in.vcf",
        "-o",
        "{}/out",
    ),
    words(
        "an output within a file", "in.vcf", *_PREDICT, "--tsv", "{}/in.tsv", "-o", "{}/in.vcf/x"
    ),
]

CASES = [*VARIANTS, *MOTIFS, *GENOMES, *COMMANDS]
