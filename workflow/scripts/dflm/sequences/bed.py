"""Peaks as they are handed around: BED and narrowPeak files.

Columns are those of the UCSC genome browser's formats (genome.ucsc.edu/FAQ/FAQformat): starts
count from 0, ends are not part of the interval.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dflm.errors import InputError
from dflm.files import text_lines

log = logging.getLogger(__name__)

NARROW_PEAK = (10, 20)
"""Columns of narrowPeak as peak callers write it, and with the ten of IDR behind."""
_STRANDS = ("+", "-", ".")
_DIGITS = re.compile(r"[0-9]{1,18}")  # 18 digits fit into 64 bits
_PASSED_OVER = ("#", "track ", "track\t", "browser ", "browser\t")
_UNKNOWN = -1
"""What narrowPeak's column 10 holds where the summit is not known."""
_AS_BED = "cut -f 1-6 makes a BED of it"


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
    """shape=(peaks,) int64, a base within the interval; the middle where the file tells none."""
    has_summit: np.ndarray
    """shape=(peaks,) bool, whether the file tells the summit."""
    strengths: np.ndarray
    """shape=(peaks,) float64, higher is stronger; all 0 where the file does not say."""
    kind: str
    """``"narrowPeak"`` or ``"BED"``."""

    def __len__(self) -> int:
        return len(self.contigs)


def read_peaks(path: str | os.PathLike) -> Peaks:
    """Read a BED or narrowPeak file, plain or gzipped.

    In narrowPeak the summit is column 10 (from the start of the peak; -1 is unknown), the
    strength is signalValue, column 7. Anything else is BED: the summit is the middle, the
    strength is column 5, the score (``.`` is 0), if there is one. Columns are separated by tabs
    or, in a line without a tab, by blanks. Empty lines, lines that start with ``#``, and track
    and browser lines are passed over.

    Which of both a file is, its lines decide together, and the log tells. A line of ten columns
    or more looks like narrowPeak if column 6 is a strand, columns 7 to 9 are numbers, and column
    10 is a whole number from -1 that lies within the peak; and like BED if columns 7 and 8,
    thickStart and thickEnd, lie within the interval, or columns 10 to 12 are its blocks. If
    more than half of the lines look like BED, it is one, whatever else they look like: BED9 with
    a number behind, BED12, gappedPeak. Otherwise it is narrowPeak if half of the lines look
    like that, with any columns behind; of ten or twenty columns one may be wrong there, so that
    a mistake is told.

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
        score that is no number, a summit outside its peak, a line that looks like the other
        format only; or the file is torn or no text.
    """
    contigs: list[str] = []
    spans: list[tuple[int, int]] = []
    bed, narrow_peak = _Reading(_bed), _Reading(_narrow_peak)
    looks = _Looks()
    columns = 0
    for number, line in text_lines(path, "give a BED or narrowPeak file, plain or gzipped"):
        if not line.strip() or f"{line} ".startswith(_PASSED_OVER):
            continue
        fields = [field.strip() for field in line.split("\t")]
        if len(fields) == 1:
            fields = line.split()
        columns = columns or len(fields)
        try:
            start, end = _interval(fields, columns)
        except ValueError as error:
            raise InputError(f"line {number}: {error}", path) from None
        contigs.append(fields[0])
        spans.append((start, end))
        bed.take(number, fields, end - start)
        if columns >= NARROW_PEAK[0]:
            narrow_peak.take(number, fields, end - start)
            looks.take(number, fields, start, end)
    kind = looks.decide(path, columns)
    reading = narrow_peak if kind == "narrowPeak" else bed
    if reading.error:
        mend = f"if this is no narrowPeak, {_AS_BED}" if kind == "narrowPeak" else None
        raise InputError(reading.error, path, mend)
    starts, ends = np.array(spans, dtype=np.int64).reshape(-1, 2).T
    offsets = np.array(reading.summits, dtype=np.int64)
    has_summit = offsets != _UNKNOWN
    summits = np.where(has_summit, starts + offsets, (starts + ends) // 2)
    strengths = np.array(reading.strengths, dtype=np.float64)
    return Peaks(contigs, starts, ends, summits, has_summit, strengths, kind)


class _Reading:
    """What the lines of a file hold if it is of one format, up to the first that cannot be.

    Parameters
    ----------
    parse : callable
        Is given the fields of a line and the bases of its interval; returns summit, from the
        start, and strength. Its ValueError says what is wrong.
    """

    def __init__(self, parse: Callable[[list[str], int], tuple[int, float]]) -> None:
        self.summits: list[int] = []
        self.strengths: list[float] = []
        self.error = ""
        self._parse = parse

    def take(self, number: int, fields: list[str], length: int) -> None:
        if self.error:
            return
        try:
            summit, strength = self._parse(fields, length)
        except ValueError as error:
            self.error = f"line {number}: {error}"
        else:
            self.summits.append(summit)
            self.strengths.append(strength)


class _Looks:
    """Counts what lines of ten columns or more look like; see `read_peaks`."""

    def __init__(self) -> None:
        self._lines = self._narrow = self._nearly = self._bed = 0
        self._only_narrow = self._only_bed = 0  # the first such line

    def take(self, number: int, fields: list[str], start: int, end: int) -> None:
        missed = _missed(fields, end - start)
        bed = _is_thick(fields, start, end) or _has_blocks(fields, end - start)
        self._lines += 1
        self._narrow += not missed
        self._nearly += missed <= (len(fields) in NARROW_PEAK)
        self._bed += bed
        if bed and missed:
            self._only_bed = self._only_bed or number
        # Two zeros are how a BED says that nothing is thick.
        if not bed and not missed and fields[6:8] != ["0", "0"]:
            self._only_narrow = self._only_narrow or number

    def decide(self, path: object, columns: int) -> str:
        """Return the format, and log why; InputError if a line can only be of the other."""
        if columns < NARROW_PEAK[0]:
            if columns:
                log.info("%s: read as BED, as narrowPeak has ten columns, not %d", path, columns)
            return "BED"
        kind, odd, level = "BED", 0, logging.INFO
        why = (
            "columns 6 to 10 are a strand, three numbers and a summit within the peak in "
            f"{self._narrow} of {self._lines} lines"
        )
        if 2 * self._bed > self._lines:
            odd = self._only_narrow
            why = (
                "columns 7 and 8 lie within the interval, or columns 10 to 12 are blocks of it, in "
                f"{self._bed} of {self._lines} lines"
            )
        elif 2 * self._nearly >= self._lines:
            kind, odd = "narrowPeak", self._only_bed
        elif columns in NARROW_PEAK:
            level = logging.WARNING
        if odd:
            other = "narrowPeak" if kind == "BED" else "BED"
            raise InputError(
                f"line {odd}: columns 6 to 12 are those of {other}, and in most lines of {kind}",
                path,
                f"give one format in a file; {_AS_BED}",
            )
        log.log(level, "%s: read as %s, as %s", path, kind, why)
        return kind


def _interval(fields: list[str], columns: int) -> tuple[int, int]:
    """Return start and end of a line; ValueError says what is wrong with it."""
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
    return start, end


def _bed(fields: list[str], length: int) -> tuple[int, float]:
    return _UNKNOWN, _strength(fields[4], "score") if len(fields) > 4 else 0.0


def _narrow_peak(fields: list[str], length: int) -> tuple[int, float]:
    strength = _strength(fields[6], "signalValue (column 7)")
    if not _is_summit(fields[9], length):
        raise ValueError(
            f"the summit (column 10) is {fields[9]!r}; it counts from the peak's start, and is "
            f"from 0 to {length - 1} here, or -1 where it is not known"
        )
    return int(fields[9]), strength


def _missed(fields: list[str], length: int) -> int:
    """Return how many of narrowPeak's columns 6 to 10 a line has otherwise."""
    wrong = [fields[5] not in _STRANDS, not _is_summit(fields[9], length)]
    return sum(wrong) + sum(not _is_number(field) for field in fields[6:9])


def _is_thick(fields: list[str], start: int, end: int) -> bool:
    """Say whether columns 7 and 8 can be thickStart and thickEnd of a BED."""
    thick = fields[6:8]
    return all(map(_DIGITS.fullmatch, thick)) and start <= int(thick[0]) <= int(thick[1]) <= end


def _has_blocks(fields: list[str], length: int) -> bool:
    """Say whether columns 10 to 12 are the blocks of a BED12, from the start to the end."""
    if len(fields) < 12 or not _DIGITS.fullmatch(fields[9]):
        return False
    sizes, starts = (field.removesuffix(",").split(",") for field in fields[10:12])
    return (
        int(fields[9]) == len(sizes) == len(starts)
        and all(map(_DIGITS.fullmatch, sizes + starts))
        and int(starts[0]) == 0
        and int(starts[-1]) + int(sizes[-1]) == length
    )


def _is_summit(text: str, length: int) -> bool:
    return text == str(_UNKNOWN) or (bool(_DIGITS.fullmatch(text)) and int(text) < length)


def _is_number(text: str) -> bool:
    """Say whether a column holds a number, infinite and NaN too, or a point for want of one."""
    try:
        float(text)
    except ValueError:
        return text == "."
    return True


def _strength(text: str, name: str) -> float:
    try:
        value = 0.0 if text == "." else float(text)
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise ValueError(f"the {name} is {text!r}, not a number")
    return value
