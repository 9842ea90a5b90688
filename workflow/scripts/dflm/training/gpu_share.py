"""Several jobs on one GPU: which device a job takes, and how much of its memory.

Snakemake counts GPUs but hands out none, and torch takes the first it sees. So jobs of one machine
agree by files that each keeps locked while it lives; the system lets go of a lock however a
process ends.
"""

import fcntl
import logging
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import torch

from dflm.errors import InputError

log = logging.getLogger(__name__)
# Bytes that a process takes of a device beside what torch allocates: the CUDA context. It is that
# of dflm.resources, which is not imported, as an edit there is no reason to train again.
CONTEXT = 1000 * 10**6


def gpus_given(resources: Mapping) -> int:
    """Return how many GPUs a job may use, told by its Snakemake resources.

    Parameters
    ----------
    resources : mapping
        ``gpu``, a number; or ``gres``, SLURM's word for a part of one, as in "shard:1" or
        "mps:25", or for whole ones of each of the ``nodes``, as in "gpu:2" or "gpu:h200:2".
    """
    kind, _, number = str(resources.get("gres", "")).partition(":")
    if kind in ("shard", "mps"):
        return 1
    if kind == "gpu":
        last = number.rpartition(":")[2]
        return (int(last) if last.isdigit() else 1) * int(resources.get("nodes", 1))
    return int(resources.get("gpu", 0))


def share_gpu(share: int, device: int | None = None) -> int:
    """Make a GPU torch's current one, with a part of its memory as the limit.

    Parameters
    ----------
    share : int, 1 to 100
        Percent of a GPU that the job was given. A job that needs more memory fails alone and
        does not take that of its neighbours.
    device : int, optional
        Which one; the least used when not given.

    Returns
    -------
    int
        The device's number among those that torch sees, and so within CUDA_VISIBLE_DEVICES.

    Raises
    ------
    InputError
        If the share is no percentage.
    """
    if not 1 <= share <= 100:
        raise InputError(
            f"a share of {share} % of a GPU", "resource gpu_share", "give 1 to 100, as in "
            "--set-resources finetune_lm:gpu_share=25"
        )  # fmt: skip
    names = [
        str(torch.cuda.get_device_properties(number).uuid)
        for number in range(torch.cuda.device_count())
    ]
    folder = Path(tempfile.gettempdir()) / f"dflm-gpus-{os.getuid()}"
    chosen, used = take_device(names, share, folder, device)
    if used + share > 100:
        log.warning("%d %% of this GPU were taken before; memory may not suffice", used)
    torch.cuda.set_device(chosen)
    total = torch.cuda.get_device_properties(chosen).total_memory
    torch.cuda.set_per_process_memory_fraction(fraction_of(share, total), chosen)
    return chosen


def fraction_of(share: int, total: int) -> float:
    """Return the part of a device's memory that torch may allocate to keep to a share.

    Parameters
    ----------
    share : int, 1 to 100
        Percent of the device. Of a part, what the process takes beside torch's own goes off, but
        never more than half of it.
    total : int
        Bytes of the device.
    """
    if share == 100:
        return 1.0
    return max(share / 100 - CONTEXT / total, share / 200)


def take_device(
    names: list[str], share: int, folder: Path, wanted: int | None = None
) -> tuple[int, int]:
    """Take a device for the rest of this process's life.

    Parameters
    ----------
    names : list of str
        What tells the devices apart for all processes of the machine; at least one.
    share : int, 1 to 100
        Percent of a device.
    folder : Path
        Where the processes that share the devices keep their files; made if missing.
    wanted : int, optional
        Which of `names` to take; the least used when not given.

    Returns
    -------
    chosen : int
        Which of `names`; the first of those that are used equally.
    used : int
        Percent of it that living processes had taken before.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(folder / "lock", "w") as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)  # one process at a time looks and takes
        used = [sum(map(_living_share, folder.glob(f"{name}.*"))) for name in names]
        chosen = used.index(min(used)) if wanted is None else wanted
        # A bare descriptor: nothing closes it, and so drops the lock, before the process ends.
        mine, _ = tempfile.mkstemp(f".{share}", f"{names[chosen]}.", folder)
        fcntl.flock(mine, fcntl.LOCK_EX)
    return chosen, used[chosen]


def _living_share(path: Path) -> int:
    """Return the share that a file stands for; remove it, and return 0, if its process ended."""
    with open(path) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(path.suffix[1:])
        path.unlink()
    return 0
