"""Several processes that train one model together, each on its share of the streams."""

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
    size : int >= 2
        Number of processes.
    """

    rank: int
    size: int

    def replicate(self, model: nn.Module) -> nn.Module:
        """Wrap a model so that its gradients are averaged over the processes in backward."""
        # Without buffers: the only one is a constant.
        return nn.parallel.DistributedDataParallel(
            model, broadcast_buffers=False, gradient_as_bucket_view=True
        )

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum of `values` over the processes, on their device."""
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
