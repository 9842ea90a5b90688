"""Where the time of a job goes: seconds by phase, from the creation of its process."""

from __future__ import annotations

import contextlib
import gc
import os
import time
from collections.abc import Iterator
from pathlib import Path

NOT_PHASES = ("total", "cpu")


class Phases:
    """Wall seconds of a job by phase, and its CPU seconds.

    The first phase, ``start``, runs from the creation of the process to here: the interpreter
    and all imports.

    Examples
    --------
    >>> phases = Phases()
    >>> with phases("reading"):
    ...     text = "ACGT"
    >>> sorted(phases.as_dict())
    ['cpu', 'reading', 'start', 'total']
    """

    def __init__(self) -> None:
        self._seconds = {"start": process_age()}
        self._earlier_cpu = 0.0

    @contextlib.contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Count the block's time to a phase; blocks of one name add up."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            passed = time.perf_counter() - begin
            self._seconds[name] = self._seconds.get(name, 0.0) + passed

    def add(self, earlier: dict[str, float]) -> None:
        """Add what `as_dict` told of an earlier process of the same job, before it was killed."""
        for name, seconds in earlier.items():
            if name not in NOT_PHASES:
                self._seconds[name] = self._seconds.get(name, 0.0) + seconds
        self._earlier_cpu += earlier["cpu"]

    def as_dict(self) -> dict[str, float]:
        """Return the seconds of each phase, their sum ``total``, and the ``cpu`` seconds.

        CPU seconds are those of all threads, user and system, and so no part of the sum.
        """
        return {
            **{name: round(seconds, 3) for name, seconds in self._seconds.items()},
            "total": round(sum(self._seconds.values()), 3),
            "cpu": round(self._earlier_cpu + time.process_time(), 3),
        }


def process_age() -> float:
    """Return the seconds since this process was created.

    Where the system does not tell (Linux does, in steps of 10 ms), the CPU seconds of the
    process stand in: until now it has hardly waited for anything.
    """
    try:
        # The name, in parentheses, may hold anything; the 22nd field is the time of creation in
        # clock ticks since the machine's start, see proc(5).
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        created = int(fields[19]) / os.sysconf("SC_CLK_TCK")
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - created
    except (OSError, AttributeError, IndexError, ValueError):
        return time.process_time()
    return max(age, 0.0)


@contextlib.contextmanager
def quick_imports() -> Iterator[None]:
    """Import in the block without searching for garbage, nor ever again in what it made.

    torch makes a million objects that all stay; the collector's passes over them, while they
    come and once more when the process ends, are a quarter of the time that its import costs.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
