"""Tables as tab-separated files, and laid out for a terminal."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable, Mapping, Sequence

from dflm.files import atomic_path


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


def read_table(path: str | os.PathLike) -> list[dict[str, str]]:
    """Return the records of a file that `write_table` wrote; all values are text."""
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


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
