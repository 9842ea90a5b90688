"""Functions that are recorded once and replayed: CUDA graphs for training steps.

A training step of this model is some ten thousand short kernels, which a processor cannot launch
as fast as a GPU runs them; a CUDA graph launches them all at once.
"""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

Outputs = tuple[Tensor, ...]
Recorder = Callable[[Callable[[], Outputs]], tuple[Outputs, Callable[[], None]]]


class CudaRecorder:
    """Records functions into CUDA graphs that share one pool of memory.

    A recorder is called with a function of no arguments that reads and writes tensors which stay
    where they are. It returns the function's outputs and a function that runs it again, into the
    same outputs. Recording itself leaves undefined values in the outputs and may have run the
    function any number of times, but the random numbers of the first replay are those that the
    function would have drawn.

    Since the pool is shared, a replay may overwrite the outputs of other recorded functions.

    Parameters
    ----------
    device : torch.device
        A CUDA device.

    References
    ----------
    "CUDA Graphs" in the notes of torch, pytorch.org/docs/stable/notes/cuda.html.
    """

    WARM_UPS = 3

    def __init__(self, device: torch.device) -> None:
        self.device = device
        # One stream for all: memory of a pool is reused within a stream only.
        self.stream = torch.cuda.Stream(device)
        self.pool = torch.cuda.graph_pool_handle()

    def __call__(self, function: Callable[[], Outputs]) -> tuple[Outputs, Callable[[], None]]:
        """Record `function`; see the class."""
        random = torch.cuda.get_rng_state(self.device)
        current = torch.cuda.current_stream(self.device)
        # Handles, workspaces and kernels are made at their first use, which cannot be recorded.
        self.stream.wait_stream(current)
        with torch.cuda.stream(self.stream):
            for _ in range(self.WARM_UPS):
                function()
        current.wait_stream(self.stream)
        torch.cuda.set_rng_state(random, self.device)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self.pool, stream=self.stream):
            outputs = function()
        return outputs, graph.replay


class Replayed:
    """A function of tensors, recorded once for each shape of its inputs and then replayed.

    Shapes are recorded when they come up for the second time, up to `limit` of them; others run
    the function as it is. Either way it works on copies of its inputs, in buffers that calls of
    one shape share.

    Parameters
    ----------
    function : callable
        Takes tensors that need no gradient and returns a tuple of tensors. It may write into its
        inputs and return them. It may read and write other tensors, as long as these stay where
        they are: the parameters and buffers of a module do.
    recorder : Recorder
        Such as a `CudaRecorder`.
    written : iterable of Tensor, optional
        Tensors beside the inputs that the function changes, a module's buffers say; recording
        leaves them as they were.
    limit : int >= 0
        Shapes that are recorded; each keeps its outputs in memory.
    """

    def __init__(
        self,
        function: Callable[..., Outputs],
        recorder: Recorder,
        written: Iterable[Tensor] = (),
        limit: int = 8,
    ) -> None:
        self.function, self.recorder, self.limit = function, recorder, limit
        self.written = list(written)
        self.seen: set[tuple] = set()
        self.recorded: dict[tuple, tuple[Outputs, Callable[[], None]]] = {}
        self.buffers: dict[tuple, Tensor] = {}

    def __call__(self, *inputs: Tensor) -> Outputs:
        """Run the function.

        Its outputs are valid until the next call, which may overwrite them. An output may be
        handed in again as the input that it was made from: it is then not copied.
        """
        key = tuple((tuple(x.shape), x.dtype) for x in inputs)
        static = []
        for i, (x, shape) in enumerate(zip(inputs, key, strict=True)):
            if (i, shape) not in self.buffers:
                self.buffers[i, shape] = torch.empty_like(x)
            static.append(self.buffers[i, shape])
        _fill(static, inputs)
        if key not in self.recorded:
            if key not in self.seen or len(self.recorded) >= self.limit:
                self.seen.add(key)
                return self.function(*static)
            self.recorded[key] = self._record(static)
        outputs, replay = self.recorded[key]
        replay()
        return outputs

    def _record(self, static: list[Tensor]) -> tuple[Outputs, Callable[[], None]]:
        changing = [*static, *self.written]
        kept = [x.clone() for x in changing]
        recorded = self.recorder(lambda: self.function(*static))
        _fill(changing, kept)
        return recorded


def _fill(buffers: Iterable[Tensor], values: Iterable[Tensor]) -> None:
    """Copy values into buffers, but not a tensor onto itself."""
    with torch.no_grad():
        for buffer, value in zip(buffers, values, strict=True):
            if buffer is not value:
                buffer.copy_(value)
