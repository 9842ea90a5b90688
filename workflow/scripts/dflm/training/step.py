"""The language model's training step: from a window of tokens to clipped gradients."""

import torch
from torch import Tensor

from dflm.model.language_model import LanguageModel, State, detach
from dflm.model.losses import training_loss
from dflm.training.arguments import LanguageModelArgs, OptimizerArgs
from dflm.training.device import autocast
from dflm.training.distributed import World
from dflm.training.optim import clip_gradients


class LanguageModelStep:
    """Computes the gradients of one window; the optimiser's step is left to the caller.

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
    """

    def __init__(
        self,
        model: LanguageModel,
        language_model: LanguageModelArgs,
        args: OptimizerArgs,
        device: torch.device,
        world: World | None = None,
    ) -> None:
        self.args, self.device = args, device
        self.model = world.replicate(model) if world else model
        self.among = world.weigh if world else None
        self.penalties = language_model.ar_alpha, language_model.tar_beta
        self.parameters = [p for p in model.parameters() if p.requires_grad]

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
            For the next window; detached.
        summed, count : Tensor, scalar
            The cross-entropy as a sum over the positions that count, and their number, of
            this process's streams.
        """
        with autocast(self.device, self.args.precision):
            logits, encoded = self.model(tokens, state)
        loss, summed, count = training_loss(
            logits, encoded, tokens, targets, *self.penalties, self.among
        )
        for parameter in self.parameters:
            parameter.grad = None
        loss.backward()
        clip_gradients(self.parameters, self.args.clip)
        return detach(encoded.state), summed, count
