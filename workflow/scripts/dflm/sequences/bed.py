"""Peaks as they are handed around: BED and narrowPeak files.

Columns are those of the UCSC genome browser's formats (genome.ucsc.edu/FAQ/FAQformat): starts
count from 0, ends are not part of the interval.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

import numpy as np

from dflm.errors import InputError
from dflm.files import text_lines

NARROW_PEAK = (10, 20)  # columns: as peak callers write it, and with the ten of IDR behind
"""Columns of a narrowPeak file; every other number of columns, from 3 on, is read as BED."""
_DIGITS = re.compile(r"[0-9]{1,18}")  # 18 digits fit into 64 bits
_PASSED_OVER = ("#", "track ", "track\t", "browser ", "browser\t")


@dataclass(frozen=True)
class Peaks:
    """Intervals on contigs, in the order of their file."""

    contigs: list[str]
    """The contig of each."""
    starts: np.ndarray
    """shape=(peaks,) int64, the first base, from 0."""
    ends: np.ndarray
    """shape=(peaks,) int64, the base behind the last."""
    summits: np.ndarray
    """shape=(peaks,) int64, a base within the interval."""
    strengths: np.ndarray
    """shape=(peaks,) float64, higher is stronger; all 0 where the file does not say."""
    kind: str
    """``"narrowPeak"`` or ``"BED"``."""

    def __len__(self) -> int:
        return len(self.contigs)


def read_peaks(path: str | os.PathLike) -> Peaks:
    """Read a BED or narrowPeak file, plain or gzipped.

    Ten columns are narrowPeak: the summit is column 10 (from the start of the peak; -1 is
    unknown), the strength is signalValue, column 7. Anything else is BED: the summit is the
    middle, the strength is column 5, the score (``.`` is 0), if there is one. Columns are
    separated by tabs or, in a line without a tab, by blanks. Empty lines, lines that start with
    ``#``, and track and browser lines are passed over.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    Peaks
        None of them where the file holds no line of data.

    Raises
    ------
    InputError
        Naming file and line: fewer than three columns or another number than in the first
        line, a position that is no whole number from 0, a start that is not below its end, a
        score that is no number, a summit outside its peak; or the file is torn or no text.
    """
    contigs: list[str] = []
    numbers: list[tuple[int, int, int, float]] = []
    columns = 0
    for number, line in text_lines(path, "give a BED or narrowPeak file, plain or gzipped"):
        if not line.strip() or f"{line} ".startswith(_PASSED_OVER):
            continue
        fields = [field.strip() for field in line.split("\t")]
        if len(fields) == 1:
            fields = line.split()
        columns = columns or len(fields)
        try:
            numbers.append(_numbers(fields, columns))
        except ValueError as error:
            raise InputError(f"line {number}: {error}", path) from None
        contigs.append(fields[0])
    starts, ends, summits, strengths = zip(*numbers, strict=True) if numbers else [()] * 4
    return Peaks(
        contigs,
        *(np.array(values, dtype=np.int64) for values in (starts, ends, summits)),
        np.array(strengths, dtype=np.float64),
        "narrowPeak" if columns in NARROW_PEAK else "BED",
    )


def _numbers(fields: list[str], columns: int) -> tuple[int, int, int, float]:
    """Return start, end, summit and strength of a line; ValueError says what is wrong with it."""
    if len(fields) < 3:
        raise ValueError(
            f"{len(fields)} column{'s' * (len(fields) != 1)}, and a peak has at least three, "
            "contig, start and end, separated by tabs (or all by blanks)"
        )
    if len(fields) != columns:
        raise ValueError(f"{len(fields)} columns, and the lines before have {columns}")
    if not fields[0]:
        raise ValueError("column 1, the contig, is empty")
    for column, name in ((1, "start"), (2, "end")):
        if not _DIGITS.fullmatch(fields[column]):
            raise ValueError(
                f"the {name} is {fields[column]!r}, not a whole number from 0 "
                "(a header has to begin with #)"
            )
    start, end = int(fields[1]), int(fields[2])
    if start >= end:
        raise ValueError(
            f"the start, {start}, is not below the end, {end} (starts count from 0, and the end is "
            "the base behind the last)"
        )
    middle = (start + end) // 2
    if columns not in NARROW_PEAK:
        return start, end, middle, _strength(fields[4], "score") if columns > 4 else 0.0
    strength = _strength(fields[6], "signalValue (column 7)")
    if fields[9] == "-1":
        return start, end, middle, strength
    if not _DIGITS.fullmatch(fields[9]) or int(fields[9]) >= end - start:
        raise ValueError(
            f"the summit (column 10) is {fields[9]!r}; it counts from the peak's start, and is "
            f"from 0 to {end - start - 1} here, or -1 where it is not known"
        )
    return start, end, start + int(fields[9]), strength


def _strength(text: str, name: str) -> float:
    try:
        value = 0.0 if text == "." else float(text)
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise ValueError(f"the {name} is {text!r}, not a number")
    return value
