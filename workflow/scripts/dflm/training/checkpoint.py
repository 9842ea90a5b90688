"""Checkpoints: a training killed at any moment goes on to the same result.

A checkpoint holds the fingerprint of what it was made from. One that is cut short, damaged or
of other inputs is never resumed: the log says so and the training starts afresh.
"""

import contextlib
import hashlib
import logging
import os
import signal
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch

from dflm.training.distributed import ALONE, World, seed_of

log = logging.getLogger(__name__)

# SIGURG is how profiles/slurm has a job warned of its time limit. SLURM signals all processes of a
# job step, and nothing but a training takes notice of this one: SIGTERM would end the shell around
# it at once, and the step be cleared away while the checkpoint is being written.
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGURG)


CODE = "DFLM_CODE"
"""Variable that tells the processes of a job the checksum of its code."""


def checkpoint_beside(weights: str, library: Iterable[str]) -> str:
    """Return where a job keeps what it resumes from, and note of which code it will be.

    Parameters
    ----------
    weights : str
        The file that the job is to write. The checkpoint is no output of its rule, which Snakemake
        would delete before a run, nor a parameter, which would tell the between-workflow cache
        where a result stands.
    library : iterable of str
        The library files that the job imports: a training that was stopped does not go on with
        other code than it began with.
    """
    digest = hashlib.sha256()
    for path in sorted(library, key=os.path.basename):
        digest.update(Path(path).read_bytes())
    os.environ[CODE] = digest.hexdigest()
    return os.path.join(os.path.dirname(weights), "checkpoints", "last.pt")


class Checkpoint:
    """A file that holds the state of one training run.

    Parameters
    ----------
    path : Path
        Not a declared output: Snakemake would delete it before a rerun.
    fingerprint : dict
        Plain values: arguments, seed and checksums of the inputs.
    world : World, optional
        The processes that train together and call each method together; rank 0 reads and
        writes the file.
    where : dict, optional
        What the run's bits rest on beside the fingerprint, see `dflm.training.device.told_of`: a
        run that goes on elsewhere is the same training, and may round otherwise.
    """

    def __init__(
        self, path: Path, fingerprint: dict, world: World = ALONE, where: dict | None = None
    ) -> None:
        self.path, self.world = Path(path), world
        self.fingerprint = fingerprint | {"code": os.environ.get(CODE, "")}
        self.where, self.earlier = where or {}, []

    @property
    def told(self) -> dict:
        """What a model's card tells of where it was trained; ``earlier`` where there was a move."""
        return self.where | ({"earlier": self.earlier} if self.earlier else {})

    def save(self, state: dict) -> None:
        """Write `state` of rank 0 and all random number generators, whole or not at all."""
        generators = self.world.gather(_rng_state())
        if self.world.leads:
            known = {"fingerprint": self.fingerprint, "where": [*self.earlier, self.where]}
            self._write({**known, "rng": generators, "state": state})
        # No process may end, and so have the others ended, before the file stands.
        self.world.barrier()

    def _write(self, content: dict) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_name(f"{self.path.name}.{os.getpid()}.tmp")
        try:
            with partial.open("wb") as file:
                torch.save(content, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, self.path)
        except (RuntimeError, OSError) as error:
            # Of a full disk torch.save may say that a position is not the one it expected, and the
            # stream does not say which file it is.
            reason = error if isinstance(error, OSError) else error.__context__
            if isinstance(reason, OSError):
                raise OSError(reason.errno, reason.strerror, str(self.path)) from None
            raise
        finally:
            partial.unlink(missing_ok=True)

    def load(self) -> dict | None:
        """Return the saved state and set the random number generators, or None to start afresh.

        Each process gets its own generators back when there are as many as wrote them; otherwise
        they begin anew, in a way that depends on those saved and on the rank alone.
        """
        content = self.world.broadcast(self._read() if self.world.leads else None)
        if content is None:
            return None
        generators, size = content["rng"], self.world.size
        self.earlier = [one for one in content["where"] if one != self.where]
        if self.earlier:
            log.warning(
                "this training was under way elsewhere (%s) and goes on here (%s): its bits may "
                "differ from those of an undisturbed one",
                *(self.earlier[-1], self.where),
            )
        if len(generators) == size:
            _set_rng_state(generators[self.world.rank])
            log.info("resuming from %s", self.path)
        else:
            # Of the saved state, so that it depends on the seed and on how far the training was.
            drawn = hashlib.sha256(generators[0]["cpu"].numpy()).hexdigest()
            torch.manual_seed(seed_of(drawn, self.world.rank))
            log.info(
                "resuming from %s, written by %d processes, with %d: other random numbers follow",
                *(self.path, len(generators), size),
            )
        return content["state"]

    def _read(self) -> dict | None:
        for stale in self.path.parent.glob(f"{self.path.name}.*.tmp"):
            stale.unlink(missing_ok=True)
        if not self.path.exists():
            return None
        try:
            # torch looks at no checksum, and would take damaged weights for whole ones.
            with zipfile.ZipFile(self.path) as packed:
                if (damaged := packed.testzip()) is not None:
                    raise ValueError(f"{damaged} is damaged")
            # weights_only: a checkpoint is data and must not be able to run code.
            content = torch.load(self.path, map_location="cpu", weights_only=True)
            content = {name: content[name] for name in ("fingerprint", "where", "rng", "state")}
            if not all(isinstance(one["cpu"], torch.Tensor) for one in content["rng"]):
                raise TypeError("of another version")
        except Exception as e:  # there is hardly one that readers of zip and pickle do not raise
            reason = str(e).partition("\n")[0] or type(e).__name__
            log.warning("%s cannot be read (%s): starting afresh", self.path, reason)
            return None
        if content["fingerprint"] != self.fingerprint:
            log.warning("%s is of other arguments, inputs or code: starting afresh", self.path)
            return None
        return content

    def remove(self) -> None:
        """Delete the file once the result stands, so that a forced rerun trains anew."""
        self.path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.path.parent.rmdir()


def _rng_state() -> dict:
    state = {"cpu": torch.get_rng_state()}
    # Only where the job uses a GPU: to ask for a state would begin to.
    if torch.cuda.is_initialized():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def _set_rng_state(state: dict) -> None:
    torch.set_rng_state(state["cpu"])
    if "cuda" in state and torch.cuda.is_initialized():
        torch.cuda.set_rng_state(state["cuda"])


class StopRequest:
    """Which signal asked the process to end, if one did; to be looked at between steps."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def _ask(self, number: int, _: object) -> None:
        self.signal = number


@contextlib.contextmanager
def stop_request() -> Iterator[StopRequest]:
    """Catch `STOP_SIGNALS` while a training runs, so that it can write a checkpoint first."""
    request = StopRequest()
    before = {number: signal.signal(number, request._ask) for number in STOP_SIGNALS}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end_on_request(request: StopRequest, path: Path) -> None:
    """End the process as the signal would have, after the checkpoint at `path` was written."""
    log.warning("asked to end: the checkpoint %s stands, the next run goes on from it", path)
    raise SystemExit(128 + request.signal)
