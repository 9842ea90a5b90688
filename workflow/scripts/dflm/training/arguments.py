"""Settings that several trainings take alike."""

from dataclasses import dataclass

from dflm.errors import InputError
from dflm.model.language_model import Architecture, Dropouts
from dflm.training.optim import OneCycle


@dataclass(frozen=True)
class LanguageModelArgs:
    """The language model as the configuration describes it.

    Parameters
    ----------
    k, stride, embedding, hidden, layers : int
        See `dflm.model.language_model.Architecture`.
    dropout : dict
        The five probabilities of `dflm.model.language_model.Dropouts`.
    drop_mult : float >= 0
        Factor on all of them.
    ar_alpha, tar_beta : float >= 0
        Weights of the two activation penalties.
    """

    k: int
    stride: int
    embedding: int
    hidden: int
    layers: int
    dropout: dict
    drop_mult: float
    ar_alpha: float
    tar_beta: float

    @property
    def architecture(self) -> Architecture:
        """What shapes the weights."""
        return Architecture(self.k, self.stride, self.embedding, self.hidden, self.layers)

    @property
    def dropouts(self) -> Dropouts:
        """The dropouts, scaled."""
        return Dropouts(**self.dropout).scaled(self.drop_mult)


@dataclass(frozen=True, kw_only=True)
class OptimizerArgs:
    """What every training says of its optimiser.

    Parameters
    ----------
    batch_size : int >= 1
    weight_decay : float >= 0
        Decoupled; of matrices only.
    clip : float > 0 or None
        Limit of the gradient's norm.
    momentum, pct_start, div, final_div
        See `dflm.training.optim.OneCycle`.
    precision : {"auto", "fp32", "bf16"}
        See `dflm.training.device.lower_precision`.
    """

    batch_size: int
    weight_decay: float
    clip: float | None
    momentum: list[float]
    pct_start: float
    div: float
    final_div: float
    precision: str

    @property
    def one_cycle(self) -> OneCycle:
        """The schedule of AdamW."""
        return OneCycle(tuple(self.momentum), self.pct_start, self.div, self.final_div)

    def require(self, section: str, **least: int) -> None:
        """Raise InputError, naming the key of `section`, for a setting under its `least` value."""
        for name, value in least.items():
            if getattr(self, name) < value:
                raise InputError(
                    f"{section}.{name} is {getattr(self, name)}, but must be at least {value}"
                )
