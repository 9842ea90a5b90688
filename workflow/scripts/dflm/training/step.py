"""The language model's training step: from a window of tokens to clipped gradients."""

from collections.abc import Sequence

import torch
from torch import Tensor

from dflm.model.language_model import LanguageModel, State, detach
from dflm.model.losses import training_loss
from dflm.model.wavefront import Wavefront
from dflm.training.arguments import LanguageModelArgs, OptimizerArgs
from dflm.training.device import autocast
from dflm.training.distributed import World
from dflm.training.graph import CudaRecorder, Outputs, Recorder, Replayed
from dflm.training.optim import clip_gradients


class LanguageModelStep:
    """Computes the gradients of one window; the optimiser's step is left to the caller.

    On a GPU the whole of it (forward pass, loss, backward pass, clipping) is recorded into a CUDA
    graph for each shape of window that comes again, and replayed; nothing in it waits for the
    GPU. Where gradients are exchanged between processes it is not recorded.

    Parameters
    ----------
    model : LanguageModel
        In training mode; its trainable parameters get new gradients at every call.
    language_model : LanguageModelArgs
        Gives the weights of the two activation penalties.
    args : OptimizerArgs
        Gives the precision of the forward pass and the limit of the gradient's norm.
    device : torch.device
        Where the model and the tokens are.
    world : World, optional
        The processes that share out the streams; the gradients are then those of all streams
        together, the same in every process.
    recorder : Recorder, optional
        Records the step; a `CudaRecorder` on a GPU when not given.
    eager : bool
        Do not record.
    wavefront : Wavefront, optional
        Runs the layers in chunks of time; see there for what is known of its speed.
    """

    def __init__(
        self,
        model: LanguageModel,
        language_model: LanguageModelArgs,
        args: OptimizerArgs,
        device: torch.device,
        world: World | None = None,
        *,
        recorder: Recorder | None = None,
        eager: bool = False,
        wavefront: Wavefront | None = None,
    ) -> None:
        self.args, self.device, self.wavefront = args, device, wavefront
        self.model = world.replicate(model) if world else model
        self.among = world.weigh if world else None
        self.penalties = language_model.ar_alpha, language_model.tar_beta
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        if recorder is None and device.type == "cuda":
            recorder = CudaRecorder(device)
        self.replayed: Replayed | None = None
        if recorder is not None and not eager and world is None:
            self.replayed = Replayed(self._learn_in_place, recorder)
        self.zeros: dict[int, State] = {}

    def __call__(
        self, tokens: Tensor, targets: Tensor, state: State | None = None
    ) -> tuple[State, Tensor, Tensor]:
        """Learn from a window.

        Parameters
        ----------
        tokens, targets : Tensor of int64, shape (B, T)
        state : list of (h, c), optional
            What the window before left; zero when not given.

        Returns
        -------
        state : list of (h, c)
            For the next window, which may overwrite it; detached.
        summed, count : Tensor, scalar
            The cross-entropy as a sum over the positions that count, and their number, of
            this process's streams.
        """
        if self.replayed is None:
            return self._learn(tokens, targets, state)
        if state is None:
            state = self._zero_state(tokens.size(0))
        flat = [part for layer in state for part in layer]
        outputs = self.replayed(tokens, targets, *flat)
        after, rest = outputs[: len(flat)], outputs[len(flat) :]
        # A replay writes into the gradients that were recorded with it.
        for parameter, gradient in zip(self.parameters, rest[2:], strict=True):
            parameter.grad = gradient
        return _layers(after), rest[0].clone(), rest[1].clone()

    def _learn(
        self, tokens: Tensor, targets: Tensor, state: State | None
    ) -> tuple[State, Tensor, Tensor]:
        with autocast(self.device, self.args.precision):
            logits, encoded = self.model(tokens, state, wavefront=self.wavefront)
        loss, summed, count = training_loss(
            logits, encoded, tokens, targets, *self.penalties, self.among
        )
        # Without gradients to add to, backward makes new ones: in a recording, its own.
        for parameter in self.parameters:
            parameter.grad = None
        loss.backward()
        if self.wavefront is not None:
            self.wavefront.join()
        clip_gradients(self.parameters, self.args.clip)
        return detach(encoded.state), summed, count

    def _learn_in_place(self, tokens: Tensor, targets: Tensor, *state: Tensor) -> Outputs:
        """Learn, write the new state over the old one, and return all results as tensors."""
        after, summed, count = self._learn(tokens, targets, _layers(state))
        torch._foreach_copy_(list(state), [part for layer in after for part in layer])
        return (*state, summed, count, *(parameter.grad for parameter in self.parameters))

    def _zero_state(self, batch_size: int) -> State:
        """Return a zero state that is never written to, made once for each batch size."""
        if batch_size not in self.zeros:
            self.zeros[batch_size] = self.model.encoder.initial_state(batch_size)
        return self.zeros[batch_size]


def _layers(state: Sequence[Tensor]) -> State:
    """Return h and c of all layers in a row, layer by layer."""
    return list(zip(state[::2], state[1::2], strict=True))
