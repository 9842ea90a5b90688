"""Several processes that train one model together, each on its share of the streams."""

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class World:
    """The processes of a training and this one's place among them.

    Parameters
    ----------
    rank : int, 0 to size - 1
        This process; rank 0 writes the files.
    size : int >= 1
        Number of processes; with 1 nothing is exchanged.
    """

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def share(self, count: int) -> tuple[int, int]:
        """Return the first of this process's share of `count` things, and the one after it."""
        return count * self.rank // self.size, count * (self.rank + 1) // self.size

    def replicate(self, model: nn.Module) -> nn.Module:
        """Wrap a model so that its gradients are averaged over the processes in backward."""
        # Without buffers: the only one is a constant.
        return nn.parallel.DistributedDataParallel(
            model, forward_sync_buffers=False, gradient_as_bucket_view=True
        )

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum of `values` over the processes."""
        if self.size == 1:
            return values
        total = values.clone()
        torch.distributed.all_reduce(total)
        return total

    def weigh(self, count: Tensor, streams: int) -> tuple[Tensor, Tensor]:
        """Return the divisor and the factor by which an average is that of all streams.

        Parameters
        ----------
        count : Tensor, scalar
            Positions that count in this process's window.
        streams : int >= 1
            Streams of this process.

        Returns
        -------
        divisor : Tensor, scalar
            Of the sum over this process's positions; all processes' positions over `size`.
        factor : Tensor, scalar
            Of a mean over this process's streams.
        """
        here = torch.stack([count, torch.full_like(count, streams)])
        counts, all_streams = self.sum(here).unbind()
        return counts.clamp(min=1) / self.size, streams * self.size / all_streams

    def largest(self, value: int) -> int:
        """Return the largest `value` of any process; no process waits for its GPU in it."""
        if self.size == 1:
            return value
        values = torch.tensor(value)
        torch.distributed.all_reduce(values, torch.distributed.ReduceOp.MAX)
        return int(values)

    def gather(self, here: object) -> list:
        """Return what each process has, in the order of their ranks; on rank 0 only, else []."""
        if self.size == 1:
            return [here]
        there = [None] * self.size if self.leads else None
        torch.distributed.gather_object(here, there)
        return there or []

    def broadcast(self, value: object) -> object:
        """Return the `value` of rank 0."""
        if self.size == 1:
            return value
        values = [value]
        torch.distributed.broadcast_object_list(values)
        return values[0]

    def barrier(self) -> None:
        """Wait until all processes are here."""
        self.largest(0)


ALONE = World()


def seed_of(seed: int | str, rank: int) -> int:
    """Return the seed of one process's dropout, drawn from what the processes share."""
    digest = hashlib.sha256(f"{seed} {rank}".encode()).digest()
    return int.from_bytes(digest[:8], "big")
