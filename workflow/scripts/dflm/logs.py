"""Logging of the workflow's scripts: a file per job, the code first, an error as its last line."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path

from dflm import __version__
from dflm.errors import InputError
from dflm.software import commit_of_workflow

ERROR_PREFIX = "ERROR "


def setup_logging(log_path: str | os.PathLike | None = None, append: bool = False) -> None:
    """Send log records to a file, and to stderr when that is a terminal or the only place.

    Also makes an uncaught exception end the log with one line ``ERROR reason``; an InputError
    shows no traceback, as its message says all that the user needs.

    Parameters
    ----------
    log_path : path-like, optional
        The log file; each line is written at once. Missing parent folders are made.
    append : bool
        Go on with the file, which another process of the job has begun, instead of writing it
        anew.
    """
    handlers: list[logging.Handler] = []
    if log_path is not None:
        Path(log_path).parent.mkdir(parents=True, exist_ok=True)
        if not append:
            Path(log_path).write_bytes(b"")
        # Behind whatever stands there, as other processes of the job write too.
        handlers.append(logging.FileHandler(log_path, mode="a", encoding="utf-8"))
    if log_path is None or sys.stderr.isatty():
        handlers.append(logging.StreamHandler(sys.stderr))
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
        datefmt="%Y-%m-%d %H:%M:%S",
        handlers=handlers,
        force=True,
    )
    logging.captureWarnings(True)
    if log_path is not None:
        # Asked for now, since another commit may be checked out before the job ends.
        commit, modified = commit_of_workflow()
        state = ", modified" if modified else ""
        logging.info("DFLM %s, commit %s%s", __version__, commit or "unknown", state)

    def report(kind, error, trace):
        # On a cluster stderr is all that a user sees at first, so it gets the reason too.
        text = describe_error(kind, error, trace)
        sys.stderr.write(text)
        if log_path is not None:
            with open(log_path, "a", encoding="utf-8") as stream:
                stream.write(text)

    sys.excepthook = report


def describe_error(kind: type[BaseException], error: BaseException, trace: object) -> str:
    """Return what an uncaught exception writes: ``ERROR reason``, after its traceback if any."""
    message = " ".join(str(error).split())
    if issubclass(kind, InputError):
        return f"{ERROR_PREFIX}{message}\n"
    name = f"{kind.__name__}: {message}" if message else kind.__name__
    return "".join(traceback.format_exception(kind, error, trace)) + f"{ERROR_PREFIX}{name}\n"


def last_error(log_path: str | os.PathLike) -> str | None:
    """Return the reason a job failed, from its log.

    Parameters
    ----------
    log_path : path-like
        A log written after `setup_logging`.

    Returns
    -------
    str or None
        The text of the last line that starts with ``ERROR``; None when there is no such line
        or no log.
    """
    try:
        lines = Path(log_path).read_text(encoding="utf-8", errors="replace").splitlines()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return None
    reasons = [line[len(ERROR_PREFIX) :] for line in lines if line.startswith(ERROR_PREFIX)]
    return reasons[-1].strip() if reasons else None


def progress(iterable: Iterable, total: int | None = None, desc: str | None = None) -> Iterable:
    """Go through `iterable`, with a progress bar on stderr only when that is a terminal."""
    if not sys.stderr.isatty():
        return iterable
    from tqdm import tqdm

    return tqdm(iterable, total=total, desc=desc)
