"""The layers of an AWD-LSTM and their dropout masks.

Merity, Keskar and Socher, "Regularizing and Optimizing LSTM Language Models", ICLR 2018.
Inside this module time comes first, (T, B, F), as the LSTM kernels want it. No layer draws at
random: the masks of a window are drawn at once, before it, and handed in.
"""

import math

import torch
from torch import _VF, Tensor, nn

from dflm.model import recurrence
from dflm.sequences.kmers import PAD


def draw_masks(
    shapes: list[tuple[tuple[int, ...], float]], like: Tensor, together: bool
) -> list[Tensor | None]:
    """Draw dropout masks: 0 with the probability of dropping p, else 1 / (1 - p).

    Parameters
    ----------
    shapes : list of (shape, p)
        What to draw, p in [0, 1).
    like : Tensor
        Gives type and device of the masks.
    together : bool
        Draw all masks of one probability at once, for a GPU, where many small draws take longer
        than one big one. Else they are drawn one after the other, in order.

    Returns
    -------
    list of Tensor or None
        A mask for each of `shapes`; None where p is 0.
    """

    def draw(size: int, p: float) -> Tensor:
        return like.new_empty(size).bernoulli_(1.0 - p).div_(1.0 - p)

    if not together:
        return [draw(math.prod(shape), p).view(shape) if p > 0.0 else None for shape, p in shapes]
    masks: list[Tensor | None] = [None] * len(shapes)
    for p in {p: None for _, p in shapes if p > 0.0}:
        which = [i for i, (_, other) in enumerate(shapes) if other == p]
        sizes = [math.prod(shapes[i][0]) for i in which]
        for i, part in zip(which, draw(sum(sizes), p).split(sizes), strict=True):
            masks[i] = part.view(shapes[i][0])
    return masks


def apply_mask(x: Tensor, mask: Tensor | None) -> Tensor:
    """Return `x` times a mask, in the type of `x`; without a mask, `x` itself.

    With a mask of shape (1, B, F) on activations (T, B, F) this is locked (variational) dropout:
    one mask for all time steps.

    References
    ----------
    Gal and Ghahramani, "A Theoretically Grounded Application of Dropout in RNNs", 2016.
    """
    return x if mask is None else x * mask.to(x.dtype)


class EmbeddingDropout(nn.Module):
    """An embedding that can drop whole rows of its table.

    The row of the pad token is zero and stays zero. A tied decoder reads `weight`, which is
    never dropped.

    Parameters
    ----------
    vocabulary : int
        Rows of the table, the pad token at `dflm.sequences.kmers.PAD` included.
    width : int
        Features of a row.
    """

    def __init__(self, vocabulary: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(vocabulary, width))
        nn.init.uniform_(self.weight, -0.1, 0.1)
        with torch.no_grad():
            self.weight[PAD].zero_()

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """Look up `tokens` (any shape, int64); the result has one more axis, `width`.

        `mask`, shape (V, 1), falls on the rows of the table.
        """
        table = apply_mask(self.weight, mask)
        return nn.functional.embedding(tokens, table, padding_idx=PAD)


class WeightDropLSTM(nn.Module):
    """One LSTM layer whose recurrent weights can be dropped.

    The mask (DropConnect) falls on `weight_hh` alone, element by element, the same for all time
    steps and samples; the parameter itself is never masked, so that training sees every weight.
    The two biases are kept apart as in `torch.nn.LSTM`: merged, Adam would halve their rate.

    Parameters
    ----------
    input_size, hidden_size : int
        Widths of input and output.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.input_size, self.hidden_size = input_size, hidden_size
        self.weight_ih = nn.Parameter(torch.empty(4 * hidden_size, input_size))
        self.weight_hh = nn.Parameter(torch.empty(4 * hidden_size, hidden_size))
        self.bias_ih = nn.Parameter(torch.empty(4 * hidden_size))
        self.bias_hh = nn.Parameter(torch.empty(4 * hidden_size))
        bound = 1.0 / math.sqrt(hidden_size)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def forward(
        self, x: Tensor, state: tuple[Tensor, Tensor], mask: Tensor | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Run the layer over a window.

        Parameters
        ----------
        x : Tensor, shape (T, B, input_size)
        state : (h, c), each of shape (1, B, hidden_size)
        mask : Tensor, shape (4 hidden_size, hidden_size), optional
            Falls on the recurrent weights.

        Returns
        -------
        output : Tensor, shape (T, B, hidden_size)
        state : (h, c) after the last time step
        """
        return self.run(x, state, self.prepare(mask))

    def prepare(self, mask: Tensor | None) -> list[Tensor]:
        """Return the four weights as the kernel wants them, the recurrent ones masked.

        Done once for a window, however many calls of `run` share it out.
        """
        weights = [self.weight_ih, apply_mask(self.weight_hh, mask), self.bias_ih, self.bias_hh]
        if self.weight_ih.is_cuda:
            return _one_storage(weights, _compute_type(self.weight_ih))
        return weights

    def run(
        self, x: Tensor, state: tuple[Tensor, Tensor], weights: list[Tensor]
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Run the layer with weights that `prepare` gave; otherwise as `forward`."""
        if x.is_cuda:
            return _cudnn(x, state, weights)
        return recurrence.lstm(x, state, weights)


def _compute_type(weight: Tensor) -> torch.dtype:
    """Return the type that a GPU computes in: that of autocast where it is on."""
    if torch.is_autocast_enabled("cuda"):
        return torch.get_autocast_dtype("cuda")
    return weight.dtype


def _one_storage(weights: list[Tensor], dtype: torch.dtype) -> list[Tensor]:
    """Return the weights as views of one new buffer of `dtype`, in the order that cuDNN wants.

    Otherwise cuDNN gathers them into a buffer of its own at every call and warns about it.
    """
    flat = torch.cat([weight.reshape(-1) for weight in weights]).to(dtype)
    parts = flat.split([weight.numel() for weight in weights])
    return [part.view(weight.shape) for part, weight in zip(parts, weights, strict=True)]


def _cudnn(
    x: Tensor, state: tuple[Tensor, Tensor], weights: list[Tensor]
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Run cuDNN's LSTM in the type of the weights; the state comes back in that type.

    Outside autocast, which would cast and gather the weights once more, and always to float16
    (torch/aten/src/ATen/cudnn/AutocastRNN.cpp), whose gradients underflow without loss scaling.
    The kernel's own dropout is 0, so that its training mode means only that it keeps what a
    backward pass needs: wanted in evaluation too where gradients are, and nowhere else.
    """
    x, h, c = (tensor.to(weights[0].dtype) for tensor in (x, *state))
    # Without leave for TF32 torch asks cuDNN for plain multiply-add kernels, in bfloat16 too
    # (ATen/cudnn/Descriptors.h), which loses the tensor cores. The backward pass reads it as well.
    torch.backends.cudnn.rnn.fp32_precision = "ieee" if x.dtype == torch.float32 else "tf32"
    keep = torch.is_grad_enabled() and any(t.requires_grad for t in (x, h, c, *weights))
    with torch.autocast("cuda", enabled=False):
        output, h, c = _VF.lstm(x, (h, c), weights, True, 1, 0.0, keep, False, False)
    return output, (h, c)
