"""Sharding a genome: the right codes, the right index, clear errors, bounded memory."""

import codecs
import functools
import gzip
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from dflm.errors import InputError
from dflm.files import sha256_of
from dflm.sequences import fasta
from dflm.sequences.fasta import FastaReader, Sink
from dflm.sequences.genome import GenomeIndex, safe_file_name, shard_genome
from dflm.sequences.kmers import encode
from hypothesis import given
from hypothesis import strategies as st

SCRIPTS = Path(__file__).parents[2] / "workflow" / "scripts"
CHOICE = {"include": ["*"], "exclude": [], "validation": ["v*"], "soft_masked": "keep"}
GENOME = ">t1 first\nACGT\nnnac\n>v1\nNNTTN\n>t2\nGGGRG\n"
packed = functools.partial(gzip.compress, mtime=0)


def shard(folder, text, **choice) -> GenomeIndex:
    """Shard a genome given as text or bytes."""
    path = folder / "genome.fa"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    shard_genome(path, folder / "contigs", folder / "index.json", **{**CHOICE, **choice})
    return GenomeIndex.load(folder / "index.json", folder / "contigs")


class Collect(Sink):
    """Keeps what the reader finds."""

    def __init__(self, into, name):
        self.into, self.name, self.pieces = into, name, [np.empty(0, dtype=np.uint8)]

    def write(self, codes):
        self.pieces.append(codes.copy())

    def close(self, content):
        self.into[self.name] = (np.concatenate(self.pieces), content)

    def abandon(self):
        self.into["abandoned"] = self.name


def read(path, block, wanted=lambda name: True, soft_masked="keep") -> dict:
    """Read a file's contigs with blocks of some size."""
    found: dict = {}
    reader = FastaReader(path, soft_masked, block)
    reader.read(lambda name: Collect(found, name) if wanted(name) else None)
    assert reader.sha256 == sha256_of(path)
    return found


def runs_of_n(sequence: str) -> list[list[int]]:
    """Half-open runs of N, one base at a time."""
    runs, at = [], 0
    for is_n, group in itertools.groupby(sequence, key=lambda base: base.upper() not in "ACGT"):
        length = len(list(group))
        if is_n:
            runs.append([at, at + length])
        at += length
    return runs


contigs = st.lists(st.text("ACGTNacgtnR", min_size=1, max_size=80), min_size=1, max_size=5)


@given(
    contigs,
    st.integers(1, 30),
    st.integers(1, 90),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
    st.booleans(),
    st.integers(0, 31),
)
def test_any_layout_is_read_alike(tmp_path_factory, genome, width, block, end, last, gzipped, skip):
    """Line widths, line ends, block sizes, packing and passing over change nothing."""
    names = [f"c{i}" for i in range(len(genome))]
    text = ""
    for name, sequence in zip(names, genome, strict=True):
        lines = [sequence[i : i + width] for i in range(0, len(sequence), width)]
        text += end.join([f">{name} described", *lines]) + end
    raw = text.encode() if last else text.rstrip("\r\n").encode()
    half = len(raw) // 2
    path = tmp_path_factory.mktemp("fasta") / "genome"
    path.write_bytes(packed(raw[:half]) + packed(raw[half:]) if gzipped else raw)
    wanted = {name for i, name in enumerate(names) if not skip >> i & 1}
    for soft_masked in ("keep", "mask"):
        found = read(path, block, wanted.__contains__, soft_masked)
        assert set(found) == wanted
        for name, sequence in zip(names, genome, strict=True):
            if name not in wanted:
                continue
            codes, content = found[name]
            shown = (
                sequence
                if soft_masked == "keep"
                else "".join("N" if base.islower() else base for base in sequence)
            )
            np.testing.assert_array_equal(codes, encode(shown))
            assert content.length == len(sequence)
            assert content.counts.tolist() == np.bincount(codes, minlength=5).tolist()
            assert content.n_runs == runs_of_n(sequence)
            assert content.masked == sum(b in "acgt" for b in sequence if soft_masked == "mask")


def test_more_runs_than_the_kernel_can_report_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(fasta, "_RUNS", 3)
    sequence = "ANNC" * 50 + "N"
    (tmp_path / "a.fa").write_text(f">a\n{sequence}\n")
    codes, content = read(tmp_path / "a.fa", 64)["a"]
    np.testing.assert_array_equal(codes, encode(sequence))
    assert content.n_runs == runs_of_n(sequence)


def test_the_index_describes_the_arrays(tmp_path):
    index = shard(tmp_path, GENOME)
    assert (index.contigs("train"), index.contigs("validation")) == (["t1", "t2"], ["v1"])
    assert index.contigs() == ["t1", "v1", "t2"]
    entry = index.entry("t1")
    assert entry["length"] == 8
    assert entry["counts"] == {"A": 2, "C": 2, "G": 1, "T": 1, "N": 2}
    assert entry["n_runs"] == [[4, 6]]
    assert entry["sha256"] == sha256_of(tmp_path / "contigs" / entry["file"])
    assert index.codes("t2").tolist() == encode("GGGNG").tolist()
    assert not index.codes("t2").flags.writeable
    content = json.loads((tmp_path / "index.json").read_text())
    assert content["source"] == {"name": "genome.fa", "sha256": sha256_of(tmp_path / "genome.fa")}
    assert content["totals"]["length"] == 18
    assert content["totals"]["train"] == {"contigs": 2, "length": 13}
    assert content["settings"] == CHOICE


def test_the_same_genome_gives_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        shard(tmp_path / name, GENOME)
    one, two = (
        {path.relative_to(tmp_path / name): sha256_of(path) for path in files if path.is_file()}
        for name in ("one", "two")
        for files in [(tmp_path / name).rglob("*")]
    )
    assert one == two


def test_contigs_are_chosen_by_patterns(tmp_path):
    text = "".join(f">{name}\nACGT\n" for name in ("chr1", "chr2", "chrX", "chr1_alt", "chrM"))
    index = shard(
        tmp_path, text, include=["chr[0-9]*", "chrX"], exclude=["*_*"], validation=["chr2"]
    )
    assert index.contigs() == ["chr1", "chr2", "chrX"]
    assert index.content["contigs_passed_over"] == 2
    assert len(list((tmp_path / "contigs").iterdir())) == 3


@pytest.mark.parametrize(
    ("choice", "says"),
    [
        ({"include": ["chr*"]}, "'chr\\*' of genome.include matches no contig; .* t1, v1, t2"),
        ({"validation": ["x"]}, "'x' of genome.validation matches no contig that is taken"),
        ({"exclude": ["v*"]}, "'v\\*' of genome.validation matches no contig that is taken"),
        ({"validation": []}, "no contig is left for validation"),
        ({"validation": ["*"]}, "no contig is left for train"),
        ({"include": []}, "'v\\*' of genome.validation"),
        ({"soft_masked": "upper"}, "soft_masked is 'upper'"),
    ],
)
def test_a_choice_that_leaves_nothing_is_named(tmp_path, choice, says):
    with pytest.raises(InputError, match=says):
        shard(tmp_path, GENOME, **choice)
    assert not (tmp_path / "index.json").exists()


def test_an_exclude_pattern_may_match_nothing(tmp_path, caplog):
    shard(tmp_path, GENOME, exclude=["*_alt"])
    assert "genome.exclude matches no contig" in caplog.text


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "the file is empty"),
        (b"\n\n", "the file is empty"),
        (packed(b""), "the file is empty"),
        (b"\nACGT\n", "line 2: no '>' before the first sequence"),
        (b"@read\nACGT\n+\nIIII\n", "looks like FASTQ"),
        (b">t1\nACGT\n>p\nACGT\nMKLVE\n", "line 5: 'L' at base 7 of contig p is no nucleotide"),
        (b">t1\nACGT\n>p\n>v\nACGT\n", "contig p holds no base"),
        (b">t1\nACGT\n>v1", "contig v1 holds no base"),
        (b">t1\nAC\n>v1\nAC\n>t1\nAC\n", "line 5: contig t1 comes twice"),
        (b">\nACGT\n", "line 1: a contig without a name"),
        (b">t1\nAC-GT\n", "line 2: '-' at base 3 of contig t1"),
        (b">t1\nAC>GT\n", "line 2: '>' at base 3 of contig t1"),
        (b">t1\nAC GT\n", "line 2: ' ' at base 3"),
        (bytes(range(200)), "no '>'"),
        (packed(b">t1\n" + b"ACGT\n" * 9999)[:-20], "the gzip file breaks off"),
        (packed(GENOME.encode()) + b"\x1f\x8b\x08", "the gzip file breaks off"),
        (packed(GENOME.encode()) + b"rubbish", "the gzip file is damaged"),
        (packed(GENOME.encode())[:-8] + bytes(8), "the gzip file is damaged"),
    ],
)
def test_a_wrong_file_is_named_with_the_place(tmp_path, content, says):
    with pytest.raises(InputError) as caught:
        shard(tmp_path, content)
    assert says in str(caught.value)
    assert str(tmp_path / "genome.fa") in str(caught.value)
    assert not (tmp_path / "index.json").exists()
    assert not [path for path in (tmp_path / "contigs").iterdir() if path.suffix != ".npy"]
    assert not [path for path in (tmp_path / "contigs").iterdir() if path.name.startswith(".")]


def test_a_missing_file(tmp_path):
    for path in (tmp_path / "none.fa", tmp_path):
        with pytest.raises(InputError, match="no such file"):
            shard_genome(path, tmp_path / "c", tmp_path / "i.json", **CHOICE)


def test_an_array_that_has_changed_is_not_read(tmp_path):
    index = shard(tmp_path, GENOME.encode())
    name = index.contigs("validation")[0]
    path = index.contigs_dir / index.entry(name)["file"]
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"{path}: the array is damaged"):
        index.codes(name)
    content[-1] ^= 1
    path.write_bytes(content)
    assert index.codes(name).tobytes() == bytes(content[-index.entry(name)["length"] :])


def test_a_byte_order_mark_is_passed_over(tmp_path):
    lengths = []
    for mark in (b"", codecs.BOM_UTF8):
        (tmp_path / "g.fa").write_bytes(mark + b">chr1\nACGT\n>chr2\nACG\n")
        reader, found = FastaReader(tmp_path / "g.fa"), []
        reader.read(lambda name, found=found: found.append(name))
        lengths.append(found)
    assert lengths[0] == lengths[1] == ["chr1", "chr2"]


def test_zeros_after_a_gzip_member_are_padding(tmp_path):
    assert shard(tmp_path, packed(GENOME.encode()) + bytes(100)).contigs("validation")


def test_file_names_are_safe_for_any_contig(tmp_path):
    names = [
        "../../etc/x",
        "HLA:A*01",
        "chrA",
        "CHRA",
        ".",
        "..",
        ".x",
        "a|b;$(c)",
        "é" * 90,
        "%2F",
    ]
    taken: dict[str, str] = {}
    files = [safe_file_name(name, taken) for name in names]
    assert len({file.lower() for file in files}) == len(names)
    for file in files:
        assert set(file) <= set("%~_.-") | set(
            map(chr, [*range(48, 58), *range(65, 91), *range(97, 123)])
        )
        assert len(file) < 160
        assert not file.startswith(".")
    text = "".join(f">{name}\nACGT\n" for name in names)
    index = shard(tmp_path, text, validation=["chrA"])
    assert sorted(index.contigs()) == sorted(names)
    assert len(list((tmp_path / "contigs").iterdir())) == len(names)
    assert not (tmp_path.parent / "etc").exists()


def test_a_contig_is_kept_whole_or_not_at_all(tmp_path):
    (tmp_path / "a.fa").write_text(">a\nACGT\n>b\nACGTEACGT\n")
    found: dict = {}
    with pytest.raises(InputError):
        FastaReader(tmp_path / "a.fa", block=4).read(lambda name: Collect(found, name))
    assert set(found) == {"a", "abandoned"}
    assert found["abandoned"] == "b"


def test_an_index_that_does_not_fit_its_arrays(tmp_path):
    index = shard(tmp_path, GENOME)
    path = tmp_path / "contigs" / index.entry("t2")["file"]
    whole = path.read_bytes()
    for content, says in ((whole[:-1], "holds 4 codes, and the index says 5"), (b"x", "no array")):
        path.write_bytes(content)
        with pytest.raises(InputError, match=says):
            GenomeIndex.load(tmp_path / "index.json", tmp_path / "contigs")
    path.unlink()
    with pytest.raises(InputError, match="no array of contig t2"):
        GenomeIndex.load(tmp_path / "index.json", tmp_path / "contigs")
    content = json.loads((tmp_path / "index.json").read_text())
    for change, says in (({"format_version": 9}, "format version 9"), ({"format": "x"}, "genome")):
        (tmp_path / "other.json").write_text(json.dumps({**content, **change}))
        with pytest.raises(InputError, match=says):
            GenomeIndex.load(tmp_path / "other.json", tmp_path / "contigs")
    with pytest.raises(InputError, match="no contig t9"):
        index.codes("t9")


def test_numba_waits_for_the_first_call():
    code = (
        "import sys, numpy as np\n"
        "from dflm.sequences import leaks, shuffle, genome\n"
        "before = 'numba' in sys.modules\n"
        "shuffle.dinucleotide_shuffle(np.zeros((1, 9), dtype=np.uint8), 1)\n"
        "print(before, 'numba' in sys.modules)"
    )
    told = subprocess.check_output([sys.executable, "-c", code], cwd=SCRIPTS, text=True)
    assert told.split() == ["False", "True"]


def test_compiled_code_needs_no_folder_to_write_to(tmp_path):
    """Where numba finds no place for its cache it must compile all the same."""
    code = (
        "import numba.core.caching as c\n"
        "getattr(c, 'CacheImpl', getattr(c, '_CacheImpl', None))._locator_classes = []\n"
        "from dflm.sequences.shuffle import dinucleotide_shuffle as s\n"
        "import numpy as np\n"
        "print(s(np.zeros((1, 9), dtype=np.uint8), 1).sum())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.returncode) == ("0\n", 0), done.stderr


def peak_of_sharding(folder: Path, contigs: int, length: int) -> int:
    """Bytes of memory that a process needs at most to shard a genome, once all is compiled."""
    folder.mkdir()
    line = b"ACGTTGCAacACGTacgtTGCAACGTTGCAACGTTGCAACGTTGCAACGTTGCAACGTTGCA"[:60] + b"\n"
    with open(folder / "genome.fa", "wb") as stream:
        stream.write(b">v\nACGT\n")
        for number in range(contigs):
            stream.write(b">t%d\n" % number)
            for _ in range(length // 600_000):
                stream.write(line * 10_000)
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from dflm.sequences.genome import shard_genome\n"
        "f = Path(sys.argv[1])\n"
        "shard_genome(f / 'genome.fa', f / 'c', f / 'i.json', include=['*'], exclude=[],\n"
        "             validation=['v'], soft_masked='keep')\n"
        # Not getrusage: its maximum outlives exec, so it would be that of the test process.
        "status = Path('/proc/self/status').read_text()\n"
        "print(int(status.split('VmHWM:')[1].split()[0]) * 1024)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout)


def test_memory_does_not_grow_with_the_genome(tmp_path):
    one = peak_of_sharding(tmp_path / "warm", 1, 24_000_000)
    one = peak_of_sharding(tmp_path / "one", 1, 24_000_000)
    many = peak_of_sharding(tmp_path / "many", 8, 24_000_000)
    assert many < one + 24_000_000, "eight contigs need no more than one longer contig"


@pytest.mark.real
def test_a_real_contig(real_data, tmp_path):
    source = real_data / "genome" / "hg38_chr2_part.fa.gz"
    found = read(source, 2**20)
    ((codes, content),) = found.values()
    with gzip.open(source, "rb") as stream:
        expected = encode(b"".join(stream.read().splitlines()[1:]))
    np.testing.assert_array_equal(codes, expected)
    assert content.n_runs[0] == [0, 10_000]
    masked = next(iter(read(source, 2**20, soft_masked="mask").values()))[1]
    assert masked.n_runs == content.n_runs
    assert masked.counts[4] == content.counts[4] + masked.masked
