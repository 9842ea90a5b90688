"""Where the time of a job goes: seconds by phase, from the creation of its process."""

from __future__ import annotations

import contextlib
import gc
import os
import time
from collections.abc import Iterator
from pathlib import Path


class Phases:
    """Seconds of a job by phase: those that passed, and those that processors worked for it.

    The first phase, ``start``, runs from the creation of the process to here: the interpreter
    and all imports.

    Examples
    --------
    >>> phases = Phases()
    >>> with phases("reading"):
    ...     text = "ACGT"
    >>> sorted(phases.as_dict()["wall"])
    ['reading', 'start', 'total']
    """

    def __init__(self) -> None:
        self._begun = self._now()
        self._start = {"wall": process_age(), "cpu": self._begun["cpu"]}
        self._seconds = {"start": dict(self._start)}
        self._earlier = {"wall": 0.0, "cpu": 0.0}

    @staticmethod
    def _now() -> dict[str, float]:
        return {"wall": time.perf_counter(), "cpu": time.process_time()}

    @contextlib.contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Count the block's time to a phase; blocks of one name add up."""
        before = self._now()
        try:
            yield
        finally:
            after = self._now()
            self._count(name, {clock: after[clock] - before[clock] for clock in after})

    def _count(self, name: str, passed: dict[str, float]) -> None:
        phase = self._seconds.setdefault(name, {"wall": 0.0, "cpu": 0.0})
        for clock, seconds in passed.items():
            phase[clock] += seconds

    def add(self, earlier: dict[str, dict[str, float]]) -> None:
        """Add what `as_dict` told of an earlier process of the same job, before it was killed."""
        for clock, phases in earlier.items():
            for name, seconds in phases.items():
                if name == "total":
                    self._earlier[clock] += seconds
                else:
                    self._count(name, {clock: seconds})

    def as_dict(self) -> dict[str, dict[str, float]]:
        """Return the seconds so far of each phase and in all.

        Returns
        -------
        dict
            ``wall``, the seconds that passed, and ``cpu``, those of all threads of the process,
            user and system. Each holds the seconds of every phase and ``total``, which is more
            than their sum by what lies between them.
        """
        now = self._now()
        totals = {clock: now[clock] - self._begun[clock] for clock in now}
        return {
            clock: {
                **{name: round(phase[clock], 3) for name, phase in self._seconds.items()},
                "total": round(self._earlier[clock] + self._start[clock] + totals[clock], 3),
            }
            for clock in now
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
