"""The sequence sets inside a zip or tar archive, unpacked without trusting it."""

from __future__ import annotations

import errno
import itertools
import lzma
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from dflm.errors import InputError
from dflm.files import atomic_path, sha256_of
from dflm.sequences.chipseq import TEST_ENDING, TRAIN_ENDING, is_set_file

MEMBER_LIMIT = 512 * 2**20
TOTAL_LIMIT = 32 * 2**30
MEMBERS_LIMIT = 100_000
"""Members of an archive: each takes memory, and of a packed tar file a byte or less on disk."""
_HEADER_LIMIT = 2**16  # bytes of a tar member's long name or further header, which are held whole
_BLOCK = 2**20
_BROKEN = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,  # bz2: invalid data
    # What zipfile makes of damaged headers; of a compression it does not know a RuntimeError.
    LookupError,
    RuntimeError,
    ValueError,
    struct.error,
)

_FURTHER = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
_UNPACK = "unpack it yourself and give the folder"
_Member = tuple[str, int, Callable[[], IO[bytes]]]


def unpack_archive(
    archive: str | os.PathLike,
    folder: str | os.PathLike,
    *,
    member_limit: int = MEMBER_LIMIT,
    total_limit: int = TOTAL_LIMIT,
) -> list[str]:
    """Unpack the ``*_AC.seq.gz`` and ``*_B.seq.gz`` files of an archive, flat, into a folder.

    Only the last part of a member's path is used, so nothing is written outside the folder.
    Links, devices and all other members are passed over.

    Parameters
    ----------
    archive : path-like
        A zip file or a tar file (plain, gz, bz2 or xz), known by its content.
    folder : path-like
        Where the files go; made if missing.
    member_limit, total_limit : int
        Bytes that one member, and all of them, may have once unpacked; with those passed over,
        which have to be read to come to the next one of a tar file.

    Returns
    -------
    list of str
        The names of the files, sorted.

    Raises
    ------
    InputError
        If the archive is broken, encrypted, too large or holds no set, or if two of its members
        have one name and unlike content.
    """
    archive, folder = Path(archive), Path(folder)
    if not archive.is_file():
        raise InputError("there is no such file", archive)
    # A tar first: one whose last member is a zip looks like a zip from its end.
    if _is_tar(archive):
        members = _tar_members(archive)
    elif zipfile.is_zipfile(archive):
        members = _zip_members(archive)
    else:
        raise InputError(
            "neither a whole zip nor a tar archive", archive, "fetch it again, or give a folder"
        )
    folder.mkdir(parents=True, exist_ok=True)
    written: dict[str, str] = {}
    others: list[str] = []
    total = 0
    try:
        for path, size, opened in members:
            name = path.replace("\\", "/").rsplit("/", 1)[-1]
            taken = is_set_file(name) and "\0" not in name
            allowed = min(member_limit if taken else total_limit, total_limit - total)
            if size > allowed:
                raise _too_large(archive, path, allowed)
            if not taken:
                total += size
                others.append(path)
                continue
            with atomic_path(folder / name) as temporary:
                total += _copy(opened, temporary, allowed, archive, path)
                digest = sha256_of(temporary)
                if written.setdefault(name, digest) != digest:
                    raise InputError(
                        f"two unlike members are called {name}", archive, "take one of them out"
                    )
    except InputError:
        raise
    except _BROKEN as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise  # the machine's failure, a full disk say; EINVAL is a place before the file
        raise InputError(f"the archive is broken ({error})", archive, "fetch it again") from error
    if not written:
        shown = ", ".join(itertools.islice(others, 5)) or "nothing"
        more = f" and {len(others) - 5} more" if len(others) > 5 else ""
        raise InputError(
            f"no member ends in {TRAIN_ENDING} or {TEST_ENDING}; found {shown}{more}", archive
        )
    return sorted(written)


def _is_tar(archive: Path) -> bool:
    try:
        with tarfile.open(archive, tarinfo=_TarInfo):
            return True
    except tarfile.TarError:
        return False
    except (EOFError, zlib.error, lzma.LZMAError, OSError):
        return False


def _zip_members(archive: Path) -> Iterator[_Member]:
    with zipfile.ZipFile(archive) as opened:
        _check_number(archive, len(opened.infolist()))
        for info in opened.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)
            if info.is_dir() or kind not in (0, stat.S_IFREG):
                continue
            if info.flag_bits & 1:
                raise InputError(
                    f"{info.filename} is encrypted", archive, "give an archive without password"
                )
            yield info.filename, info.file_size, lambda info=info: opened.open(info)


class _TarInfo(tarfile.TarInfo):
    """A member's header, refused where tarfile would take it for the archive's end, or hold it."""

    @classmethod
    def frombuf(cls, buf, encoding, errors):
        """Read a header."""
        try:
            info = super().frombuf(buf, encoding, errors)
        except (tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError) as error:
            raise tarfile.ReadError(str(error)) from None
        if info.type in _FURTHER and info.size > _HEADER_LIMIT:
            raise tarfile.ReadError(f"a header of {info.size} bytes")
        return info


def _tar_members(archive: Path) -> Iterator[_Member]:
    with tarfile.open(archive, tarinfo=_TarInfo) as opened:
        for number, info in enumerate(opened, start=1):
            _check_number(archive, number)
            # An unknown type is that of a regular file, by POSIX, and has to be read to pass it.
            if info.isreg() or info.type not in tarfile.SUPPORTED_TYPES:
                yield info.name, info.size, lambda info=info: opened.extractfile(info)


def _check_number(archive: Path, number: int) -> None:
    if number > MEMBERS_LIMIT:
        raise InputError(f"holds more than {MEMBERS_LIMIT} members", archive, _UNPACK)


def _copy(
    opened: Callable[[], IO[bytes]], target: Path, allowed: int, archive: Path, path: str
) -> int:
    """Copy a member, counting what really comes out of it: a size in a header can lie."""
    count = 0
    with opened() as source, open(target, "wb") as sink:
        while block := source.read(_BLOCK):
            count += len(block)
            if count > allowed:
                raise _too_large(archive, path, allowed)
            sink.write(block)
    return count


def _too_large(archive: Path, path: str, allowed: int) -> InputError:
    return InputError(
        f"{path} unpacks to more than the {allowed} bytes allowed",
        archive,
        _UNPACK,
    )
