"""SHA-256 of the files of a folder, as recorded and as found."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from dflm.errors import InputError
from dflm.files import sha256_of, text_lines

SUMS = "SHA256SUMS"


def files_in(folder: str | os.PathLike) -> list[str]:
    """Return the paths of all files below a folder, in order and with slashes.

    Hidden ones are left out: they are being written, or are Snakemake's marks.
    """
    folder = Path(folder)
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(path.as_posix() for path in found if not path.name.startswith("."))


def sums_in(folder: str | os.PathLike) -> dict[str, str]:
    """Return the SHA-256 of each of `files_in`, but for the folder's own SHA256SUMS."""
    return {name: sha256_of(Path(folder, name)) for name in files_in(folder) if name != SUMS}


def read_sums(folder: str | os.PathLike) -> dict[str, str]:
    """Return what the SHA256SUMS of a folder says, by path.

    Raises
    ------
    InputError
        If there is none.
    """
    path = Path(folder, SUMS)
    if not path.is_file():
        raise InputError(f"holds no {SUMS}", folder, "pack it again")
    lines = (line.partition("  ") for _, line in text_lines(path, "pack it again"))
    return {name: digest for digest, _, name in lines}


def compare(told: Mapping[str, str], found: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return what is wrong with files, and their paths, in order of the paths.

    Parameters
    ----------
    told, found : mapping of str to str
        SHA-256 by path, as recorded and as it is.

    Returns
    -------
    list of (str, str)
        ``changed``, ``missing`` or ``unrecorded``, and the path.
    """
    wrong = []
    for name in sorted(told.keys() | found.keys()):
        if name not in found:
            wrong.append(("missing", name))
        elif name not in told:
            wrong.append(("unrecorded", name))
        elif told[name] != found[name]:
            wrong.append(("changed", name))
    return wrong
