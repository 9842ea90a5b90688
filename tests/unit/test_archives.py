"""Archives are unpacked flat, bounded, and never outside the folder."""

import gzip
import io
import stat
import tarfile
import zipfile

import pytest
from dflm.errors import InputError
from dflm.sequences.archives import unpack_archive

AC, B = "A_(1-1).x_AC.seq.gz", "A_(1-1).x_B.seq.gz"
DATA = gzip.compress(b"FoldID\tEventID\tseq\tBound\n", mtime=0)


def make_zip(path, members: dict[str, bytes], compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def make_tar(path, members: dict[str, bytes], mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("a.zip", make_zip),
        ("a.tar.gz", make_tar),
        ("a.tar", lambda path, members: make_tar(path, members, "w")),
        ("misnamed.zip", make_tar),
    ],
)
def test_only_set_files_come_out_flat(tmp_path, name, make):
    members = {
        f"code/data/encode/{AC}": DATA,
        B: b"other",
        "code/readme.txt": b"x",
        f"__MACOSX/._{AC}": b"x",
        "_AC.seq.gz": b"x",
    }
    folder = tmp_path / "out"
    assert unpack_archive(make(tmp_path / name, members), folder) == [AC, B]
    assert sorted(path.name for path in folder.iterdir()) == [AC, B]
    assert (folder / AC).read_bytes() == DATA


@pytest.mark.parametrize("make", [make_zip, make_tar])
@pytest.mark.parametrize(
    "evil", ["../../{}", "/etc/../{}", "..\\..\\{}", "a/../../../{}"], ids=range(4)
)
def test_nothing_is_written_outside(tmp_path, make, evil):
    inner = tmp_path / "x" / "y" / "out"
    archive = make(tmp_path / "archive", {evil.format(AC): DATA})
    unpack_archive(archive, inner)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert sorted(files) == sorted([archive, inner / AC])


def test_links_and_devices_are_passed_over(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name, kind in (
            ("X_AC.seq.gz", tarfile.SYMTYPE),
            ("Y_AC.seq.gz", tarfile.LNKTYPE),
            ("Z_AC.seq.gz", tarfile.FIFOTYPE),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        info = zipfile.ZipInfo("X_AC.seq.gz")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    for name in ("a.tar", "a.zip"):
        with pytest.raises(InputError, match="no member ends in"):
            unpack_archive(tmp_path / name, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_sizes_are_bounded(tmp_path, make):
    archive = make(tmp_path / "a", {AC: bytes(3000), B: bytes(3000)})
    with pytest.raises(InputError, match="more than the 2000 bytes"):
        unpack_archive(archive, tmp_path / "one", member_limit=2000)
    with pytest.raises(InputError, match="more than the 2000 bytes"):
        unpack_archive(archive, tmp_path / "two", total_limit=5000)
    assert [path.name for path in (tmp_path / "two").iterdir()] == [AC]


def test_a_size_that_lies_is_caught(tmp_path):
    path = make_zip(tmp_path / "a.zip", {AC: bytes(5_000_000)})
    content = bytearray(path.read_bytes())
    size = (5_000_000).to_bytes(4, "little")
    while (at := content.find(size)) >= 0:
        content[at : at + 4] = (100).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(InputError):
        unpack_archive(path, tmp_path / "out", member_limit=1000)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_tar_whose_last_member_is_a_zip_is_a_tar(tmp_path):
    make_zip(tmp_path / "inner.zip", {"OLD_AC.seq.gz": b"x", "OLD_B.seq.gz": b"x"})
    members = {"A_AC.seq.gz": b"a", "A_B.seq.gz": b"b"}
    members["supplement.zip"] = (tmp_path / "inner.zip").read_bytes()
    make_tar(tmp_path / "sets.tar", members, "w")
    assert unpack_archive(tmp_path / "sets.tar", tmp_path / "out") == ["A_AC.seq.gz", "A_B.seq.gz"]


@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_one_name_twice(tmp_path, make):
    same = make(tmp_path / "same", {f"a/{AC}": DATA, f"b/{AC}": DATA})
    assert unpack_archive(same, tmp_path / "one") == [AC]
    unlike = make(tmp_path / "unlike", {f"a/{AC}": DATA, f"b/{AC}": b"x"})
    with pytest.raises(InputError, match="two unlike members"):
        unpack_archive(unlike, tmp_path / "two")


def test_an_encrypted_zip(tmp_path):
    path = make_zip(tmp_path / "a.zip", {AC: DATA})
    content = bytearray(path.read_bytes())
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + flags] |= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="encrypted"):
        unpack_archive(path, tmp_path / "out")


@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_a_broken_archive(tmp_path, make):
    whole = make(tmp_path / "a", {AC: bytes(range(256)) * 4000, B: DATA}).read_bytes()
    damaged = bytearray(whole)
    damaged[len(whole) // 3] ^= 255
    for number, content in enumerate((whole[: len(whole) // 2], bytes(damaged), b"", b"text\n")):
        path = tmp_path / f"broken{number}"
        path.write_bytes(content)
        with pytest.raises(InputError, match=f"broken{number}"):
            unpack_archive(path, tmp_path / "out")
    with pytest.raises(InputError, match="no such file"):
        unpack_archive(tmp_path / "none.zip", tmp_path / "out")


def test_an_archive_of_something_else_says_what_it_holds(tmp_path):
    path = make_zip(tmp_path / "a.zip", {f"{i}.txt": b"" for i in range(9)})
    with pytest.raises(InputError, match=r"found 0\.txt, .* and 4 more"):
        unpack_archive(path, tmp_path / "out")


def test_a_full_disk_is_not_laid_to_the_archive(tmp_path, monkeypatch):
    def no_space(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("dflm.sequences.archives._copy", no_space)
    with pytest.raises(OSError, match="No space left"):
        unpack_archive(make_zip(tmp_path / "a.zip", {AC: DATA}), tmp_path / "out")
