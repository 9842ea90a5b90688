"""The language model's settings, as pretraining and fine-tuning both take them."""

from dataclasses import dataclass

from dflm.model.language_model import Architecture, Dropouts


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
