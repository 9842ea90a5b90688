"""A stack of layers in chunks of time, so that a GPU may work on several layers at once."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor

from dflm.model.layers import WeightDropLSTM, apply_mask


class Wavefront:
    """Runs layers over a window cut into chunks of time.

    Layer l runs on chunk c after layer l - 1 did and after it ran on c - 1 itself. On a GPU
    each layer has a stream of its own, so that layer l may work on chunk c while layer l - 1
    works on chunk c + 1; the backward pass replays on the streams of the forward pass. The
    longest chain of steps falls from layers x T to T + (layers - 1) x chunk. On the CPU the same
    order runs serially.

    The result is that of whole windows: the masks of a window are drawn before it. Gradients of
    the weights are summed over the chunks, in the type that the GPU computes in.

    Whether it is faster has been measured on no GPU yet, nor that torch's one cuDNN handle serves
    several streams at once without mixing them up (`tests/benchmark/bench_gpu.py` and
    `tests/unit/test_gpu.py` do both), so nothing uses it unless asked to.

    Parameters
    ----------
    chunk : int >= 1
        Time steps of a chunk; the last may be shorter.
    """

    def __init__(self, chunk: int) -> None:
        self.chunk = chunk
        self._lanes: dict[torch.device, list[torch.cuda.Stream]] = {}

    def __call__(
        self,
        layers: Sequence[WeightDropLSTM],
        x: Tensor,
        state: Sequence[tuple[Tensor, Tensor]],
        masks: Sequence[Tensor | None],
        weight_masks: Sequence[Tensor | None],
    ) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        """Run the layers.

        Parameters
        ----------
        layers : sequence of WeightDropLSTM
        x : Tensor, shape (T, B, F)
            Input of the first layer.
        state : sequence of (h, c)
        masks : sequence of Tensor or None
            On the output of each layer but the last, for the layer above.
        weight_masks : sequence of Tensor or None
            On the recurrent weights of each layer.

        Returns
        -------
        raw : Tensor, shape (T, B, H)
            Output of the last layer, without a mask.
        state : list of (h, c)
            After the last time step.
        """
        chunks, after = x.split(self.chunk), list(state)
        outputs: list[list[Tensor]] = [[] for _ in layers]
        lanes = self._lanes_of(x.device, len(layers))
        with _forked(lanes, [x, *masks, *weight_masks, *(part for pair in state for part in pair)]):
            weights, done = [], {}
            for lane, layer, mask in zip(lanes, layers, weight_masks, strict=True):
                with _on(lane):
                    weights.append(layer.prepare(mask))
            for front in range(len(chunks) + len(layers) - 1):
                for i in range(max(0, front - len(chunks) + 1), min(front + 1, len(layers))):
                    c, lane = front - i, lanes[i]
                    with _on(lane):
                        if lane is not None and i > 0:
                            lane.wait_event(done.pop((i - 1, c)))
                        # Masked on this layer's stream, so that what this layer keeps for the
                        # backward pass is memory of its own stream.
                        part = apply_mask(outputs[i - 1][c], masks[i - 1]) if i else chunks[c]
                        output, after[i] = layers[i].run(part, after[i], weights[i])
                        outputs[i].append(output)
                        if lane is not None:
                            done[i, c] = lane.record_event()
        return torch.cat(outputs[-1]), after

    def join(self) -> None:
        """Let the current stream wait for all that the layers' streams were given to do.

        To be called after a backward pass that is recorded.
        """
        for device, lanes in self._lanes.items():
            for lane in lanes:
                torch.cuda.current_stream(device).wait_stream(lane)

    def _lanes_of(self, device: torch.device, count: int) -> Sequence[torch.cuda.Stream | None]:
        if device.type != "cuda":
            return [None] * count
        lanes = self._lanes.setdefault(device, [])
        lanes += [torch.cuda.Stream(device) for _ in range(count - len(lanes))]
        return lanes[:count]


def _on(lane: torch.cuda.Stream | None) -> AbstractContextManager:
    return nullcontext() if lane is None else torch.cuda.stream(lane)


@contextmanager
def _forked(
    lanes: Sequence[torch.cuda.Stream | None], read: Sequence[Tensor | None]
) -> Iterator[None]:
    """Let streams begin after the current one and the current one go on after them.

    Parameters
    ----------
    lanes : sequence of torch.cuda.Stream, or of None on the CPU
    read : sequence of Tensor or None
        Memory of the current stream that the others read.
    """
    if lanes[0] is None:
        yield
        return
    current = torch.cuda.current_stream(lanes[0].device)
    for lane in lanes:
        lane.wait_stream(current)
        for tensor in read:
            if tensor is not None:
                tensor.record_stream(lane)
    yield
    for lane in lanes:
        current.wait_stream(lane)
