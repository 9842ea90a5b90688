"""Text files that become whole or not at all, or standard output."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from dflm.files import atomic_path


def write_lines(path: str | os.PathLike, lines: Iterable[str], header: str | None = None) -> int:
    """Write lines to a file, whole or not at all, or to standard output; return their number.

    Parameters
    ----------
    path : path-like
        ``-`` is standard output.
    lines : iterable of str
    header : str, optional
        A first line, which is not counted.
    """
    count = 0
    with open_output(path) as stream:
        if header is not None:
            stream.write(header + "\n")
        for line in lines:
            stream.write(line + "\n")
            count += 1
    return count


def check_writable(path: str | os.PathLike) -> None:
    """Raise OSError where no file can be written, before hours go into what it is to hold.

    Parameters
    ----------
    path : path-like
        ``-``, a pipe or a device are not looked at. What stands there stays as it is.
    """
    if Path(path).is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if str(path) == "-" or (Path(path).exists() and not Path(path).is_file()):
        return
    with contextlib.suppress(_Tried), atomic_path(path) as temporary:
        with open(temporary, "wb"):
            pass
        raise _Tried


class _Tried(Exception):
    """Ends an attempt to write, which leaves nothing."""


@contextlib.contextmanager
def open_output(path: str | os.PathLike) -> Iterator[IO[str]]:
    """Open a text file that becomes whole or not at all, or standard output for ``-``."""
    if str(path) == "-":
        yield sys.stdout
        sys.stdout.flush()
        return
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8") as stream:
        yield stream
