"""The LSTM recurrence on a CPU: torch's kernel, and a time loop with a backward pass by hand."""

from collections.abc import Callable

import torch
from torch import _VF, Tensor
from torch.autograd.function import once_differentiable

# The time loop is taken from this width on, for up to 1 / LOOP_SHARE of the width in sequences.
LOOP_WIDTH, LOOP_SHARE = 512, 8


def lstm(
    x: Tensor, state: tuple[Tensor, Tensor], weights: list[Tensor]
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Run an LSTM layer over a window with the kernel that `takes_time_loop` names.

    Parameters
    ----------
    x : Tensor, shape (T, B, I)
    state : (h, c), each of shape (1, B, H)
    weights : list of four Tensors
        weight_ih (4H, I), weight_hh (4H, H), bias_ih (4H,) and bias_hh (4H,); gates in torch's
        order: input, forget, cell, output.

    Returns
    -------
    output : Tensor, shape (T, B, H)
    state : (h, c) after the last time step
    """
    # A state may come from a window in another precision: before a training was resumed, say.
    state = tuple(part.to(weights[1].dtype) for part in state)
    # Whether a backward pass may come, for which torch's kernel keeps what it needs.
    learns = torch.is_grad_enabled() and any(t.requires_grad for t in (x, *state, *weights))
    if takes_time_loop(weights[1].size(1), x.size(1), learns):
        return time_loop(x, state, weights, torch.get_autocast_dtype("cpu"))
    output, h, c = _VF.lstm(x, state, weights, True, 1, 0.0, learns, False, False)
    return output, (h, c)


def takes_time_loop(hidden: int, batch: int, learns: bool) -> bool:
    """Return whether a layer runs in the time loop.

    A rule, and no timing at run time, so that two runs give the same bytes. What it stands on was
    measured by `tests/benchmark/bench_recurrence.py`, see RESULTS.md there. In float32 torch's
    kernel (oneDNN) is the faster one: the loop reached 0.5 to 0.9 of its rate at all widths and
    batches, on an AVX2 processor and on one with avx512_bf16. In bfloat16, on the latter:

    * forward and backward pass: the loop has 1.1 to 1.4 times the rate of oneDNN from width 512
      on where the batch is small beside the width, and 0.3 to 1.0 times elsewhere;
    * forward pass alone: 0.2 to 0.95 times, so predictions never take it.

    Where the processor lets oneDNN have no bfloat16, its kernel fails, and the loop is all there
    is.

    Parameters
    ----------
    hidden : int
        Width of the layer.
    batch : int
        Sequences.
    learns : bool
        Whether a backward pass may follow.
    """
    if not torch.is_autocast_enabled("cpu"):
        return False
    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return True
    return learns and hidden >= LOOP_WIDTH and batch * LOOP_SHARE <= hidden


def time_loop(
    x: Tensor, state: tuple[Tensor, Tensor], weights: list[Tensor], dtype: torch.dtype
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Run an LSTM layer as a loop over time; arguments and result as in `lstm`.

    Parameters
    ----------
    dtype : torch.dtype
        Of the factors of all matrix products, which sum in at least float32. Gates, cell state,
        output and gradients are in the type of the weights.
    """
    h, c = state
    with torch.autocast("cpu", enabled=False):
        output, h, c = _TimeLoop.apply(x, h[0], c[0], *weights, dtype)
    return output, (h[None], c[None])


class _TimeLoop(torch.autograd.Function):
    """The loop. One product gives the input's share of the gates of all time steps, and one the
    gradient of each matrix; only the products with the state are left to the loop, where every
    result goes into memory that is there already.

    Inside, the cell gate comes last, so that the three sigmoids are one operation.
    """

    @staticmethod
    def forward(ctx, x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, dtype):
        full = weight_ih.dtype
        low = dtype != full
        steps, batch, width = x.shape
        hidden = h0.size(-1)
        flat_x = x.reshape(steps * batch, width).to(dtype)
        w_ih, w_hh = (_cell_last(weight).to(dtype) for weight in (weight_ih, weight_hh))
        bias = _cell_last(bias_ih + bias_hh)
        if low:
            gates = torch.mm(flat_x, w_ih.t()).to(full).add_(bias)
        else:
            gates = torch.addmm(bias, flat_x, w_ih.t())
        gates = gates.view(steps, batch, 4 * hidden)
        h = gates.new_empty(steps + 1, batch, hidden)
        c, tanh_c = torch.empty_like(h), torch.empty_like(h[1:])
        h[0], c[0] = h0, c0
        factor = torch.empty_like(h, dtype=dtype) if low else h
        factor[0] = h0
        recurrent = _times(w_hh, batch) if low else w_hh.t().contiguous()
        sigmoids, i, f, o, g = _parts(gates)
        gate, h_at, c_at, tanh_at = (tensor.unbind() for tensor in (gates, h, c, tanh_c))
        factor_at = factor.unbind()
        for t in range(steps):
            if low:
                gate[t].add_(recurrent(factor_at[t]))
            else:
                gate[t].addmm_(h_at[t], recurrent)
            sigmoids[t].sigmoid_()
            g[t].tanh_()
            torch.mul(f[t], c_at[t], out=c_at[t + 1])
            c_at[t + 1].addcmul_(i[t], g[t])
            torch.tanh(c_at[t + 1], out=tanh_at[t])
            torch.mul(o[t], tanh_at[t], out=h_at[t + 1])
            if low:
                factor_at[t + 1].copy_(h_at[t + 1])
        ctx.save_for_backward(flat_x, w_ih, w_hh, gates, factor, c, tanh_c)
        ctx.x_dtype = x.dtype
        return h[1:], h[steps].clone(), c[steps].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx, d_out, d_h, d_c):
        flat_x, w_ih, w_hh, gates, factor, c, tanh_c = ctx.saved_tensors
        steps, batch, width = gates.shape
        full, dtype = gates.dtype, w_hh.dtype
        low = dtype != full
        d_gates = torch.empty_like(gates, dtype=dtype)
        d_gate = d_gates.unbind()
        # In low precision a step's gradients are made in `full` and rounded once.
        made = gates.new_empty(1, batch, width).expand(steps, -1, -1) if low else d_gates
        recurrent = _times(w_hh.t(), batch) if low else w_hh
        d_h, d_c = d_h.clone(), d_c.clone()
        through_h = torch.empty_like(d_c)
        sigmoids, i, f, o, g = _parts(gates)
        d_sigmoids, d_i, d_f, d_o, d_g = _parts(made)
        c_at, tanh_at, d_out_at = c.unbind(), tanh_c.unbind(), d_out.unbind()
        d_sigmoid = torch.ops.aten.sigmoid_backward.grad_input
        d_tanh = torch.ops.aten.tanh_backward.grad_input
        for t in range(steps - 1, -1, -1):
            d_h.add_(d_out_at[t])
            torch.mul(d_h, o[t], out=through_h)
            d_c.add_(d_tanh(through_h, tanh_at[t], grad_input=through_h))
            torch.mul(d_h, tanh_at[t], out=d_o[t])
            torch.mul(d_c, g[t], out=d_i[t])
            torch.mul(d_c, c_at[t], out=d_f[t])
            torch.mul(d_c, i[t], out=d_g[t])
            d_sigmoid(d_sigmoids[t], sigmoids[t], grad_input=d_sigmoids[t])
            d_tanh(d_g[t], g[t], grad_input=d_g[t])
            d_c.mul_(f[t])
            if low:
                d_gate[t].copy_(made[t])
                d_h.copy_(recurrent(d_gate[t]))
            else:
                torch.mm(d_gate[t], recurrent, out=d_h)
        flat = d_gates.view(steps * batch, width)
        d_x = d_ih = d_hh = d_bias = None
        if ctx.needs_input_grad[0]:
            d_x = torch.mm(flat, w_ih).to(ctx.x_dtype).view(steps, batch, -1)
        if ctx.needs_input_grad[3]:
            d_ih = _cell_third(torch.mm(flat.t(), flat_x).to(full))
        if ctx.needs_input_grad[4]:
            d_hh = _cell_third(torch.mm(flat.t(), factor[:-1].view(steps * batch, -1)).to(full))
        if ctx.needs_input_grad[5] or ctx.needs_input_grad[6]:
            d_bias = _cell_third(flat.sum(0, dtype=full))
        return d_x, d_h, d_c, d_ih, d_hh, d_bias, d_bias, None


def _times(weight: Tensor, batch: int) -> Callable[[Tensor], Tensor]:
    """Return the product with the transpose of a bf16 matrix, for many left sides of `batch` rows.

    oneDNN brings a matrix into its own order before it multiplies. Where it is there the matrix
    is brought into it once for all products, which the plain product does each time: at width 800
    and batch 32 a quarter of its time.
    """
    weight = weight.contiguous()
    if torch.ops.mkldnn._is_mkldnn_bf16_supported():
        ordered = torch.ops.mkldnn._reorder_linear_weight(weight, batch)
        product = torch.ops.mkldnn._linear_pointwise
        return lambda left: product(left, ordered, None, "none", [], "")
    transposed = weight.t().contiguous()
    out = torch.empty(batch, weight.size(0), dtype=weight.dtype)
    return lambda left: torch.mm(left, transposed, out=out)


def _cell_last(weight: Tensor) -> Tensor:
    """Order gates (input, forget, cell, output) as (input, forget, output, cell)."""
    i, f, g, o = weight.chunk(4)
    return torch.cat([i, f, o, g])


# To exchange the last two is its own inverse.
_cell_third = _cell_last


def _parts(gates: Tensor) -> list[tuple[Tensor, ...]]:
    """Return views of each time step of gates (T, B, 4H): the sigmoids, then i, f, o and g."""
    hidden = gates.size(-1) // 4
    parts = (gates[..., : 3 * hidden], *gates.split(hidden, dim=-1))
    return [part.unbind() for part in parts]
