"""What a case of bad input is, and what comes of trying it."""

from __future__ import annotations

import contextlib
import hashlib
import io
import re
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dflm.cli.program import main
from dflm.errors import InputError

REJECTED, ACCEPTED, UNCLEAR, UNCLEAN, CRASHED = (
    "rejected well",
    "accepted",
    "unclear message",
    "something left behind",
    "crashed",
)
LONGEST_MESSAGE = 1000
_FAILED = (1, 2)  # exit codes of the command: wrong input, wrong usage


class RefusedError(Exception):
    """A command ended as it should with bad input; the text is what it told."""


@dataclass(frozen=True)
class Case:
    """A malformed input, what reads it, and what the product has to say."""

    kind: str
    """What sort of input it is; a line of the report."""
    name: str
    """Unlike that of every other case of the kind."""
    build: Callable[[Path], object]
    """Writes the input into a folder."""
    read: Callable[[Path], object]
    """The product's reading of it, of the folder; may write below ``out`` alone."""
    told: str
    """A regular expression of the message."""
    memory: int | None = None
    """Bytes that Python and numpy may take while it is read, where the input asks for many."""

    def __str__(self) -> str:
        return f"{self.kind}: {self.name}"


def text(content: str | bytes, name: str = "in") -> Callable[[Path], object]:
    """Return a builder that writes one file."""
    raw = content.encode() if isinstance(content, str) else content
    return lambda folder: (folder / name).write_bytes(raw)


def command(*words: str) -> Callable[[Path], None]:
    """Return a reader that runs ``dflm`` with these words, `{}` in them being the folder."""

    def run(folder: Path) -> None:
        told, shown = io.StringIO(), io.StringIO()
        try:
            with contextlib.redirect_stderr(told), contextlib.redirect_stdout(shown):
                code = main([word.replace("{}", str(folder)) for word in words])
        except SystemExit as end:
            code = end.code
        if code in _FAILED and "Traceback" not in told.getvalue():
            raise RefusedError(told.getvalue())
        assert code == 0, f"exit code {code}: {told.getvalue()}"

    return run


def attempt(case: Case, place: Path) -> tuple[str, str]:
    """Try a case in an empty folder; return what came of it, one of the words above, and why."""
    folder = place / "case"
    folder.mkdir()
    case.build(folder)
    before = _state(place)
    if case.memory is not None:
        tracemalloc.start()
    try:
        case.read(folder)
        return ACCEPTED, "no error"
    except (InputError, RefusedError) as error:
        told = str(error)
    except (Exception, SystemExit) as error:
        return CRASHED, f"{type(error).__name__}: {error}"
    finally:
        if case.memory is not None:
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
    if case.memory is not None and peak > case.memory:
        return UNCLEAN, f"{peak} bytes were taken, not {case.memory}"
    if not re.search(case.told, told, re.DOTALL) or len(told) > LONGEST_MESSAGE:
        return UNCLEAR, told
    after = _state(place)
    for path in before.keys() | after.keys():
        inside = f"{path}/".startswith("case/out/")
        half = Path(path).name.startswith(".")
        if before.get(path) != after.get(path) and (not inside or half):
            return UNCLEAN, f"{path} was written, changed or removed"
    return REJECTED, told


def _state(folder: Path) -> dict[str, str]:
    """Return path and checksum of all that lies in a folder, but for indices made beside FASTA."""
    return {
        path.relative_to(folder).as_posix(): (
            hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        )
        for path in folder.rglob("*")
        if path.suffix not in (".fai", ".gzi")
    }
