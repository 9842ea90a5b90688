"""Tables as tab-separated files, and laid out for a terminal."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from dflm.errors import InputError
from dflm.files import atomic_path, text_lines


def field(value: object) -> str:
    """Return a value as a field: empty for None, six decimals, no tab or line end in a text."""
    if value is None:
        return ""
    return f"{value:.6f}" if isinstance(value, float) else " ".join(str(value).split())


def write_table(
    path: str | os.PathLike,
    columns: Sequence[str],
    records: Iterable[Mapping],
    shown: Callable[[str, object], str] | None = None,
) -> None:
    """Write a table.

    Parameters
    ----------
    path : path-like
        File to write: UTF-8, a header, a line a record, no quotes.
    columns : sequence of str
        Keys of the records, in order; the header.
    records : iterable of mapping
    shown : callable, optional
        Makes a field of a column's name and a value; `field` of the value where not given.
    """
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        file.write("\t".join(columns) + "\n")
        for record in records:
            values = ((name, record[name]) for name in columns)
            words = [shown(*pair) if shown else field(pair[1]) for pair in values]
            file.write("\t".join(words) + "\n")


def read_records(
    path: str | os.PathLike, needed: Iterable[str] = (), mend: str | None = None
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield number of the line and record of each row of a table; all values are text.

    Parameters
    ----------
    path : path-like
        As `write_table` writes it; empty lines are passed over.
    needed : iterable of str
        Columns that have to be there; further ones may be.
    mend : str, optional
        What to do about a file that is wrong.

    Raises
    ------
    InputError
        If the file is missing or no text, a column is missing or there twice, or a row has other
        columns than the header.
    """
    lines = text_lines(path, mend)
    columns = next(lines, (0, ""))[1].split("\t")
    missing = [name for name in needed if name not in columns]
    if missing:
        raise InputError(f"the header lacks {', '.join(missing)}", path, mend)
    if len(set(columns)) < len(columns):
        raise InputError("the header names a column twice", path, mend)
    for number, line in lines:
        fields = line.split("\t")
        if not line:
            continue
        if len(fields) != len(columns):
            raise InputError(
                f"line {number} has {len(fields)} fields, not {len(columns)}", path, mend
            )
        yield number, dict(zip(columns, fields, strict=True))


def read_table(path: str | os.PathLike) -> list[dict[str, str]]:
    """Return the records of a file that `write_table` wrote, see `read_records`."""
    return [record for _, record in read_records(path)]


def align(lines: Sequence[Sequence[str]], numbers: Sequence[bool]) -> list[str]:
    """Lay lines of words out in columns.

    Parameters
    ----------
    lines : sequence of sequence of str
        At least one, all of the same length.
    numbers : sequence of bool
        Of each column, whether it is flush right.

    Returns
    -------
    list of str
        Without blanks at the end.
    """
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(
            word.rjust(width) if number else word.ljust(width)
            for word, width, number in zip(line, widths, numbers, strict=True)
        ).rstrip()
        for line in lines
    ]
