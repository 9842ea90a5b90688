"""The weights of a training's best validation, and when to wait for a better one no longer."""

from __future__ import annotations

from torch import Tensor, nn


class BestWeights:
    """Weights of the epoch with the highest validation AUROC so far.

    Parameters
    ----------
    patience : int >= 1 or None
        Epochs without a better one that end the training; None never ends it.
    """

    def __init__(self, patience: int | None) -> None:
        self.patience, self.waited = patience, 0
        self.found: dict = {"auroc": -1.0}
        self.weights: dict[str, Tensor] = {}

    def observe(self, model: nn.Module, found: dict, waits: bool = True) -> None:
        """Keep a model's weights if they are the best, and else count the epoch.

        Parameters
        ----------
        model : nn.Module
        found : dict
            What is to be told of the epoch, ``auroc`` among it.
        waits : bool
            Whether an epoch without a better one counts.
        """
        if found["auroc"] > self.found["auroc"]:
            self.found, self.waited = found, 0
            self.weights = {
                name: tensor.detach().clone() for name, tensor in model.state_dict().items()
            }
        elif waits:
            self.waited += 1

    @property
    def out_of_patience(self) -> bool:
        """Whether no better one is waited for."""
        return self.patience is not None and self.waited >= self.patience

    def state_dict(self) -> dict:
        """Return what `load_state_dict` needs to go on."""
        return {"found": self.found, "weights": self.weights, "waited": self.waited}

    def load_state_dict(self, state: dict) -> None:
        """Go on from a state."""
        self.found, self.weights, self.waited = state["found"], state["weights"], state["waited"]
