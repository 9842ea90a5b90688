"""The four layers of an AWD-LSTM: three kinds of dropout and a weight-dropped LSTM.

Merity, Keskar and Socher, "Regularizing and Optimizing LSTM Language Models", ICLR 2018.
Inside this module time comes first, (T, B, F), as the LSTM kernels want it.
"""

import math

import torch
from torch import _VF, Tensor, nn

from dflm.sequences.kmers import PAD


def locked_dropout(x: Tensor, p: float, training: bool) -> Tensor:
    """Drop features with one mask for all time steps (variational dropout).

    Parameters
    ----------
    x : Tensor, shape (T, B, F)
        Time-major activations.
    p : float in [0, 1)
        Probability of dropping a feature of a sample.
    training : bool
        Without it, and with `p` 0, `x` comes back unchanged.

    Returns
    -------
    Tensor, shape (T, B, F)
        `x` times a mask of shape (1, B, F), scaled by 1 / (1 - p).

    References
    ----------
    Gal and Ghahramani, "A Theoretically Grounded Application of Dropout in RNNs", 2016.
    """
    if not training or p == 0.0:
        return x
    mask = x.new_empty(1, x.size(1), x.size(2)).bernoulli_(1.0 - p).div_(1.0 - p)
    return x * mask


class EmbeddingDropout(nn.Module):
    """An embedding that drops whole rows of its table, one draw per forward call.

    The row of the pad token is zero and stays zero. A tied decoder reads `weight`, which is
    never dropped.

    Parameters
    ----------
    vocabulary : int
        Rows of the table, the pad token at `dflm.sequences.kmers.PAD` included.
    width : int
        Features of a row.
    p : float in [0, 1)
        Probability of dropping a row; the rows kept are scaled by 1 / (1 - p).
    """

    def __init__(self, vocabulary: int, width: int, p: float) -> None:
        super().__init__()
        self.p = p
        self.weight = nn.Parameter(torch.empty(vocabulary, width))
        nn.init.uniform_(self.weight, -0.1, 0.1)
        with torch.no_grad():
            self.weight[PAD].zero_()

    def forward(self, tokens: Tensor) -> Tensor:
        """Look up `tokens` (any shape, int64); the result has one more axis, `width`."""
        table = self.weight
        if self.training and self.p > 0.0:
            keep = table.new_empty(table.size(0), 1).bernoulli_(1.0 - self.p).div_(1.0 - self.p)
            table = table * keep
        return nn.functional.embedding(tokens, table, padding_idx=PAD)


class WeightDropLSTM(nn.Module):
    """One LSTM layer whose recurrent weights are dropped, one mask per forward call.

    The mask (DropConnect) falls on `weight_hh` alone, element by element, the same for all time
    steps and samples; the parameter itself is never masked, so that training sees every weight.
    The two biases are kept apart as in `torch.nn.LSTM`: merged, Adam would halve their rate.

    Parameters
    ----------
    input_size, hidden_size : int
        Widths of input and output.
    p : float in [0, 1)
        Probability of dropping a recurrent weight.
    """

    def __init__(self, input_size: int, hidden_size: int, p: float) -> None:
        super().__init__()
        self.input_size, self.hidden_size, self.p = input_size, hidden_size, p
        self.weight_ih = nn.Parameter(torch.empty(4 * hidden_size, input_size))
        self.weight_hh = nn.Parameter(torch.empty(4 * hidden_size, hidden_size))
        self.bias_ih = nn.Parameter(torch.empty(4 * hidden_size))
        self.bias_hh = nn.Parameter(torch.empty(4 * hidden_size))
        bound = 1.0 / math.sqrt(hidden_size)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple]:
        """Run the layer over a window.

        Parameters
        ----------
        x : Tensor, shape (T, B, input_size)
        state : (h, c), each of shape (1, B, hidden_size)

        Returns
        -------
        output : Tensor, shape (T, B, hidden_size)
        state : (h, c) after the last time step
        """
        weight_hh = self.weight_hh
        if self.training and self.p > 0.0:
            weight_hh = nn.functional.dropout(weight_hh, self.p)
        weights = [self.weight_ih, weight_hh, self.bias_ih, self.bias_hh]
        if x.is_cuda:
            weights = _one_storage(weights)
        output, h, c = _VF.lstm(x, state, weights, True, 1, 0.0, self.training, False, False)
        return output, (h, c)


def _one_storage(weights: list[Tensor]) -> list[Tensor]:
    """Return the weights as views of one new buffer, in the order that cuDNN wants.

    Otherwise cuDNN gathers them into a buffer of its own at every call and warns about it.
    """
    flat = torch.cat([weight.reshape(-1) for weight in weights])
    parts = flat.split([weight.numel() for weight in weights])
    return [part.view(weight.shape) for part, weight in zip(parts, weights, strict=True)]
