"""Checkpoints: a training killed at any moment goes on to the same result.

A checkpoint holds the fingerprint of what it was made from. One that is cut short, damaged or
of other inputs is never resumed: the log says so and the training starts afresh.
"""

import contextlib
import logging
import os
import pickle
import signal
from collections.abc import Iterator
from pathlib import Path

import torch

log = logging.getLogger(__name__)


class Checkpoint:
    """A file that holds the state of one training run.

    Parameters
    ----------
    path : Path
        Not a declared output: Snakemake would delete it before a rerun.
    fingerprint : dict
        Plain values: arguments, seed and checksums of the inputs.
    """

    def __init__(self, path: Path, fingerprint: dict) -> None:
        self.path, self.fingerprint = Path(path), fingerprint

    def save(self, state: dict) -> None:
        """Write `state` and the random number generators, whole or not at all."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_name(f"{self.path.name}.{os.getpid()}.tmp")
        try:
            with partial.open("wb") as file:
                torch.save(
                    {"fingerprint": self.fingerprint, "rng": _rng_state(), "state": state}, file
                )
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, self.path)
        finally:
            partial.unlink(missing_ok=True)

    def load(self) -> dict | None:
        """Return the saved state and set the random number generators, or None to start afresh."""
        for stale in self.path.parent.glob(f"{self.path.name}.*.tmp"):
            stale.unlink(missing_ok=True)
        if not self.path.exists():
            return None
        try:
            # weights_only: a checkpoint is data and must not be able to run code.
            content = torch.load(self.path, map_location="cpu", weights_only=True)
            fingerprint, rng, state = content["fingerprint"], content["rng"], content["state"]
        except (RuntimeError, EOFError, KeyError, TypeError, OSError, pickle.UnpicklingError) as e:
            reason = str(e).partition("\n")[0]
            log.warning("%s cannot be read (%s): starting afresh", self.path, reason)
            return None
        if fingerprint != self.fingerprint:
            log.warning("%s is of other arguments or inputs: starting afresh", self.path)
            return None
        _set_rng_state(rng)
        log.info("resuming from %s", self.path)
        return state

    def remove(self) -> None:
        """Delete the file once the result stands, so that a forced rerun trains anew."""
        self.path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.path.parent.rmdir()


def _rng_state() -> dict:
    state = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def _set_rng_state(state: dict) -> None:
    torch.set_rng_state(state["cpu"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])


class StopRequest:
    """Which signal asked the process to end, if one did; to be looked at between steps."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def _ask(self, number: int, _: object) -> None:
        self.signal = number


@contextlib.contextmanager
def stop_request() -> Iterator[StopRequest]:
    """Catch SIGTERM and Ctrl-C while a training runs, so that it can write a checkpoint first."""
    request = StopRequest()
    before = {
        number: signal.signal(number, request._ask) for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end_on_request(request: StopRequest, path: Path) -> None:
    """End the process as the signal would have, after the checkpoint at `path` was written."""
    log.warning("asked to end: the checkpoint %s stands, the next run goes on from it", path)
    raise SystemExit(128 + request.signal)
