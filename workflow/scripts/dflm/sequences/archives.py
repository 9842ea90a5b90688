"""The sequence sets inside a zip or tar archive, unpacked without trusting it."""

from __future__ import annotations

import itertools
import lzma
import os
import stat
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
_BLOCK = 2**20
_BROKEN = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,  # zipfile: a compression it does not know
    OSError,  # bz2: invalid data
)

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
        Bytes that one member, and all of them, may have once unpacked.

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
    if zipfile.is_zipfile(archive):
        members = _zip_members(archive)
    elif _is_tar(archive):
        members = _tar_members(archive)
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
            if not is_set_file(name) or "\0" in name:
                others.append(path)
                continue
            allowed = min(member_limit, total_limit - total)
            if size > allowed:
                raise _too_large(archive, path, allowed)
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
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the machine's failure (a full disk, say), not the archive's
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
        return tarfile.is_tarfile(archive)
    except (EOFError, zlib.error, lzma.LZMAError, OSError):
        return False


def _zip_members(archive: Path) -> Iterator[_Member]:
    with zipfile.ZipFile(archive) as opened:
        for info in opened.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)
            if info.is_dir() or kind not in (0, stat.S_IFREG):
                continue
            if info.flag_bits & 1:
                raise InputError(
                    f"{info.filename} is encrypted", archive, "give an archive without password"
                )
            yield info.filename, info.file_size, lambda info=info: opened.open(info)


def _tar_members(archive: Path) -> Iterator[_Member]:
    with tarfile.open(archive) as opened:
        for info in opened:
            if info.isreg():
                yield info.name, info.size, lambda info=info: opened.extractfile(info)


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
        "unpack it yourself and give the folder",
    )
