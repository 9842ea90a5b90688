"""The AWD-LSTM language model over k-mer tokens: encoder and tied decoder."""

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dflm.errors import InputError
from dflm.model.layers import EmbeddingDropout, WeightDropLSTM, apply_mask, draw_masks
from dflm.model.wavefront import Wavefront
from dflm.sequences.kmers import PAD, vocab_size

State = list[tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Architecture:
    """All that shapes the weights of an encoder.

    Parameters
    ----------
    k : int, 1 to 8
        Length of a token in bases.
    stride : int >= 1
        Bases from one token to the next.
    embedding : int >= 1
        Width of the embedding, and of the last layer's output.
    hidden : int >= 1
        Width of the layers between.
    layers : int >= 1
        Number of LSTM layers: embedding -> hidden -> ... -> hidden -> embedding.
    """

    k: int
    stride: int
    embedding: int
    hidden: int
    layers: int

    def __post_init__(self) -> None:
        for name in ("stride", "embedding", "hidden", "layers"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}, but must be at least 1")
        vocab_size(self.k)

    @property
    def vocabulary(self) -> int:
        """Number of tokens, the pad token included."""
        return vocab_size(self.k)

    @property
    def widths(self) -> list[int]:
        """Widths along the stack, `layers + 1` of them."""
        return [self.embedding, *[self.hidden] * (self.layers - 1), self.embedding]


@dataclass(frozen=True)
class Dropouts:
    """The five dropout probabilities of an AWD-LSTM, each in [0, 1).

    Parameters
    ----------
    output : float
        Locked dropout of the last layer's output.
    hidden : float
        Locked dropout between the layers.
    input : float
        Locked dropout of the embedded tokens.
    embedding : float
        Dropout of whole rows of the embedding.
    weight : float
        Dropout of single recurrent weights.
    """

    output: float
    hidden: float
    input: float
    embedding: float
    weight: float

    def __post_init__(self) -> None:
        for name, p in vars(self).items():
            if not 0.0 <= p < 1.0:
                raise InputError(f"dropout.{name} is {p}, but must lie in [0, 1)")

    def scaled(self, factor: float) -> "Dropouts":
        """Return all probabilities times `factor` (`drop_mult`)."""
        return Dropouts(**{name: p * factor for name, p in vars(self).items()})


class Masks(NamedTuple):
    """The dropout masks of a window, each scaled by 1 / (1 - p); None where nothing is dropped.

    `embedding`, (V, 1), falls on the rows of the table; `input`, (1, B, embedding), on the
    embedded tokens; `weights`, one (4 H, H) a layer, on the recurrent weights; `outputs`, one
    (1, B, H) a layer, on the layers' outputs.
    """

    embedding: Tensor | None
    input: Tensor | None
    weights: list[Tensor | None]
    outputs: list[Tensor | None]


class Encoded(NamedTuple):
    """What an encoder makes of a window of tokens; batch first.

    `raw` and `dropped` are the last layer's output, (B, T, embedding), before and after its
    dropout; `state` holds (h, c) of every layer, each of shape (1, B, width); `embedded`,
    (B, T, embedding), is what the first layer reads, before the dropout of its input.
    """

    raw: Tensor
    dropped: Tensor
    state: State
    embedded: Tensor


class AWDLSTM(nn.Module):
    """The encoder: an embedding and a stack of weight-dropped LSTM layers.

    Parameters
    ----------
    architecture : Architecture
    dropouts : Dropouts
        Used in training mode only.

    References
    ----------
    Merity, Keskar and Socher, "Regularizing and Optimizing LSTM Language Models", ICLR 2018.
    """

    def __init__(self, architecture: Architecture, dropouts: Dropouts) -> None:
        super().__init__()
        self.architecture, self.dropouts = architecture, dropouts
        widths = architecture.widths
        self.embedding = EmbeddingDropout(architecture.vocabulary, architecture.embedding)
        self.layers = nn.ModuleList(WeightDropLSTM(n_in, n_out) for n_in, n_out in pairwise(widths))

    def initial_state(self, batch_size: int) -> State:
        """Return a zero state for `batch_size` sequences."""
        weight = self.embedding.weight
        return [
            (
                weight.new_zeros(1, batch_size, layer.hidden_size),
                weight.new_zeros(1, batch_size, layer.hidden_size),
            )
            for layer in self.layers
        ]

    def draw_masks(self, batch_size: int) -> Masks:
        """Draw the masks of a window of `batch_size` sequences; none in evaluation mode."""
        p, table = self.dropouts, self.embedding.weight
        shapes = [((table.size(0), 1), p.embedding), ((1, batch_size, table.size(1)), p.input)]
        for layer in self.layers:
            shapes.append((tuple(layer.weight_hh.shape), p.weight))
            shapes.append(((1, batch_size, layer.hidden_size), p.hidden))
        shapes[-1] = (shapes[-1][0], p.output)
        if not self.training:
            shapes = [(shape, 0.0) for shape, _ in shapes]
        masks = draw_masks(shapes, table, together=table.is_cuda)
        return Masks(masks[0], masks[1], masks[2::2], masks[3::2])

    def forward(
        self,
        tokens: Tensor,
        state: State | None = None,
        masks: Masks | None = None,
        wavefront: Wavefront | None = None,
    ) -> Encoded:
        """Encode a window.

        Parameters
        ----------
        tokens : Tensor of int64, shape (B, T)
        state : list of (h, c), optional
            The state that the window before left; zero when not given.
        masks : Masks, optional
            What to drop; drawn here when not given.
        wavefront : Wavefront, optional
            Runs the layers in chunks of time.

        Returns
        -------
        Encoded
        """
        if state is None:
            state = self.initial_state(tokens.size(0))
        if masks is None:
            masks = self.draw_masks(tokens.size(0))
        embedded = self.embedding(tokens.t(), masks.embedding)
        x = apply_mask(embedded, masks.input)  # (T, B, E)
        if wavefront is not None:
            raw, after = wavefront(self.layers, x, state, masks.outputs[:-1], masks.weights)
            x = apply_mask(raw, masks.outputs[-1])
            return Encoded(raw.transpose(0, 1), x.transpose(0, 1), after, embedded.transpose(0, 1))
        after = []
        for layer, before, weights, output in zip(
            self.layers, state, masks.weights, masks.outputs, strict=True
        ):
            raw, new = layer(x, before, weights)
            after.append(new)
            x = apply_mask(raw, output)
        return Encoded(raw.transpose(0, 1), x.transpose(0, 1), after, embedded.transpose(0, 1))


class LinearDecoder(nn.Module):
    """A linear map to the vocabulary that shares the embedding's table and has a bias.

    The pad token can be no prediction: its logit is minus infinity, which also keeps its
    embedding at zero.
    """

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(vocabulary))
        self.register_buffer("is_pad", torch.arange(vocabulary) == PAD, persistent=False)

    def forward(self, x: Tensor, table: Tensor) -> Tensor:
        """Return logits (..., V) of `x` (..., E) with `table` (V, E)."""
        bias = self.bias.masked_fill(self.is_pad, float("-inf"))
        return nn.functional.linear(x, table, bias)


class LanguageModel(nn.Module):
    """Encoder and decoder with tied weights.

    Parameters
    ----------
    architecture : Architecture
    dropouts : Dropouts
    """

    def __init__(self, architecture: Architecture, dropouts: Dropouts) -> None:
        super().__init__()
        self.encoder = AWDLSTM(architecture, dropouts)
        self.decoder = LinearDecoder(architecture.vocabulary)

    def forward(
        self,
        tokens: Tensor,
        state: State | None = None,
        masks: Masks | None = None,
        wavefront: Wavefront | None = None,
    ) -> tuple[Tensor, Encoded]:
        """Return logits (B, T, V) of the token after each of `tokens` (B, T), and the encoding.

        The parameters are those of the encoder.
        """
        encoded = self.encoder(tokens, state, masks, wavefront)
        return self.decoder(encoded.dropped, self.encoder.embedding.weight), encoded


def detach(state: State) -> State:
    """Cut a carried state off the graph of the window that made it."""
    return [(h.detach(), c.detach()) for h, c in state]
