"""What the processes that test_distributed.py starts do."""

import json
import os
import time
from pathlib import Path

from dflm.training import pretrain as pretraining
from dflm.training.checkpoint import Checkpoint


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it, and no cleaning up is relied on."""


def pretrain_each(jobs, gpu, threads, world=None):
    """Pretrain once for each job; one with `saves` ends with that many checkpoints.

    What finds the checkpoint of a job before it has to go on from there. With a third word all
    processes draw the same dropout.
    """
    for saves, arguments, *alike in jobs:
        save, load, left, begun = Checkpoint.save, Checkpoint.load, [saves], []
        seed_of = pretraining.seed_of
        if alike:
            pretraining.seed_of = lambda seed, rank: seed
        there, killed = Path(arguments["checkpoint"]).exists(), False

        def dying(self, state, save=save, left=left):
            save(self, state)
            left[0] -= 1
            if left[0] == 0:
                raise Killed

        def loading(self, load=load, begun=begun):
            begun.append(load(self))
            return begun[-1]

        Checkpoint.save, Checkpoint.load = dying, loading
        try:
            pretraining.pretrain(**arguments, gpu=gpu, threads=threads, world=world)
        except Killed:
            killed = True
        finally:
            Checkpoint.save, Checkpoint.load = save, load
            pretraining.seed_of = seed_of
        assert killed == (saves > 0)
        assert [state is not None for state in begun] == [there]


def fail_alone(gpu, threads, world):
    """Fail in one process, so that the other one loses it."""
    if world.rank == 1:
        os.stat("/no/such file")
    world.barrier()


def wait(gpu, threads, world):
    """Show that the process is there, and never end."""
    Path(f"process {world.rank}").touch()
    time.sleep(3600)


def meet(folder, gpu, threads, world):
    """Write what the processes see of the nodes that they run on."""
    env = {"node": os.environ.get("SLURM_NODEID"), "tasks": os.environ.get("SLURM_NTASKS")}
    seen = world.gather(env | {"rank": world.rank})
    if world.leads:
        Path(folder, "met.json").write_text(json.dumps(seen))
