"""Reading plain or gzipped files; writing files that are whole or not there at all."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import os
import platform
import re
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import IO

from dflm.errors import InputError

GZIP_MAGIC = b"\x1f\x8b"
BROKEN_GZIP = (EOFError, gzip.BadGzipFile, zlib.error)
BROKEN_NUMPY = (
    *BROKEN_GZIP,
    zipfile.BadZipFile,
    tokenize.TokenError,  # numpy reads a header as Python's text
    ArithmeticError,  # a length beyond 64 bits
    LookupError,
    MemoryError,  # a header that asks for more than there is
    OSError,
    RuntimeError,  # a member that is encrypted, or packed in a way that zipfile does not know
    SyntaxError,
    TypeError,
    ValueError,
)
"""What `numpy.load`, without pickles, raises of a file that is damaged or another one."""
LONGEST_LINE = 2**28
"""Letters of a line at most, more than the longest human chromosome has: a gzip file of some
megabytes can hold a line of gigabytes."""


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """Give a temporary sibling of `path` to write to, moved to `path` when the block ends well.

    The sibling keeps the ending of `path`, since several writers choose their format by it.
    When the block raises, the sibling is removed and what stood at `path` stays as it was. A
    sibling that a killed process left is removed by the next one that writes `path`. Of a link the
    file that it leads to is written. What is no file, a pipe or /dev/null, cannot be replaced and
    is written itself.

    Parameters
    ----------
    path : path-like
        Where the file is to stand; missing parent folders are made.

    Yields
    ------
    pathlib.Path
        The sibling to write.
    """
    path = Path(path)
    # Before links are followed: /dev/stdout leads to a pipe that has no name to be opened by.
    if path.exists() and not path.is_file() and not path.is_dir():
        yield path
        return
    if path.is_symlink():
        path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_left_behind(path)
    temporary = path.with_name(f".{_HERE}-{os.getpid()}.{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


# Numbers of processes are those of one machine, and a folder may be shared by several.
_HERE = hashlib.sha256(platform.node().encode()).hexdigest()[:6]
_SIBLING = re.compile(rf"\.{_HERE}-([0-9]+)\.(.+)", re.DOTALL)


def _remove_left_behind(path: Path) -> None:
    """Remove the siblings of processes that are gone: SIGKILL leaves no time to tidy up."""
    for process in _siblings(path.parent).pop(path.name, ()):
        if not _is_running(process):
            path.with_name(f".{_HERE}-{process}.{path.name}").unlink(missing_ok=True)


@lru_cache(maxsize=1000)
def _siblings(folder: Path) -> dict[str, list[int]]:
    """Return the processes of the siblings in a folder, by the name of what they were to be.

    A folder is listed once by a process: a genome may have contigs by the ten thousand.
    """
    found: dict[str, list[int]] = {}
    for name in os.listdir(folder):
        if match := _SIBLING.fullmatch(name):
            found.setdefault(match[2], []).append(int(match[1]))
    return found


def _is_running(process: int) -> bool:
    """Say whether there is a process of this number on this machine."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True


def write_json(path: str | os.PathLike, content: object) -> None:
    """Write `content` as JSON: sorted keys, two blanks of indent, a newline at the end.

    NaN and infinity are no JSON and raise ValueError.
    """
    text = json.dumps(content, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False)
    with atomic_path(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def read_json(path: str | os.PathLike) -> dict:
    """Read a JSON file that holds an object.

    Raises
    ------
    InputError
        If the file is missing or holds no JSON object.
    """
    try:
        content = parse_json(Path(path).read_text(encoding="utf-8"))
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise InputError("there is no such file", path) from None
    except ValueError as error:
        raise InputError(f"not a JSON file ({error})", path) from None
    if not isinstance(content, dict):
        raise InputError("holds no JSON object", path)
    return content


def parse_json(text: str) -> object:
    """Return what a JSON text holds; ValueError of any text that is none."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def sha256_of(path: str | os.PathLike) -> str:
    """Return the SHA-256 of a file's bytes as 64 hexadecimal digits."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def is_gzip(path: str | os.PathLike) -> bool:
    """Say whether a file starts with gzip's two magic bytes, whatever its name ends in.

    Raises
    ------
    InputError
        If the file is missing or is a folder.
    """
    with _open_bytes(path) as stream:
        return stream.read(2) == GZIP_MAGIC


def open_text(path: str | os.PathLike) -> IO[str]:
    """Open a plain or gzipped UTF-8 text file for reading; a byte order mark is passed over.

    A torn gzip file raises one of `BROKEN_GZIP` while it is read. A pipe will do, as it is opened
    once.

    Raises
    ------
    InputError
        If the file is missing or is a folder.
    """
    raw = _open_bytes(path)
    if raw.peek(2)[:2] != GZIP_MAGIC:
        return io.TextIOWrapper(raw, encoding="utf-8-sig")
    if raw.seekable():
        raw.close()  # gzip closes only what it has opened
        return gzip.open(path, "rt", encoding="utf-8-sig")
    return gzip.open(raw, "rt", encoding="utf-8-sig")


def _open_bytes(path: str | os.PathLike) -> io.BufferedReader:
    try:
        return open(path, "rb")
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise InputError("there is no such file", path) from None


def text_lines(
    path: str | os.PathLike, mend: str | None = None, stream: IO[str] | None = None
) -> Iterator[tuple[int, str]]:
    """Yield number, from 1, and text of each line of a plain or gzipped file.

    Parameters
    ----------
    path : path-like
        The file.
    mend : str, optional
        What to say of a file that is no text.
    stream : file object of str, optional
        Read instead of the file, which then is a name for messages; closed at the end.

    Raises
    ------
    InputError
        If the file is missing, breaks off, is no text, or has a line above `LONGEST_LINE`.
    """
    number = 0
    try:
        with open_text(path) if stream is None else stream as lines:
            while line := lines.readline(LONGEST_LINE):
                number += 1
                if len(line) == LONGEST_LINE:
                    what = f"line {number} has {LONGEST_LINE} letters or more"
                    raise InputError(what, path, mend)
                yield number, line.rstrip("\r\n")
    except BROKEN_GZIP as error:
        raise InputError(
            f"the gzip file breaks off or is damaged after line {number} ({error})",
            path,
            "fetch it again",
        ) from None
    except UnicodeDecodeError:
        raise InputError(f"no text after line {number}", path, mend) from None


@contextlib.contextmanager
def write_gzip_text(path: str | os.PathLike) -> Iterator[IO[str]]:
    """Open a gzip text file for writing; the same text gives the same bytes.

    Neither the time nor the file's name goes into the header.

    Yields
    ------
    file object
        Takes str; the file is moved into place when the block ends well.
    """
    with (
        atomic_path(path) as temporary,
        open(temporary, "wb") as raw,
        gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=raw, mtime=0) as packed,
        io.TextIOWrapper(packed, encoding="utf-8", newline="\n") as stream,
    ):
        yield stream
