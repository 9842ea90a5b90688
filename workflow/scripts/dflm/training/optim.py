"""Optimisers and schedules: parameter groups, one-cycle, discriminative rates, NT-ASGD."""

import inspect
import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn

from dflm.errors import InputError


@dataclass(frozen=True)
class OneCycle:
    """A learning rate that climbs and falls once, the momentum against it; cosines between.

    Parameters
    ----------
    momentum : pair of float in (0, 1)
        Momentum (Adam's first beta) at the ends and at the peak.
    pct_start : float in (0, 1)
        Share of the run before the peak.
    div, final_div : float >= 1
        The peak rate over the first and over the last rate.

    References
    ----------
    Smith, "A disciplined approach to neural network hyper-parameters", 2018; the shape and the
    defaults are those of fastai 1.
    """

    momentum: tuple[float, float]
    pct_start: float
    div: float
    final_div: float

    def __post_init__(self) -> None:
        if not 0.0 < self.pct_start < 1.0:
            raise InputError(f"pct_start is {self.pct_start}, but must lie between 0 and 1")
        if min(self.div, self.final_div) < 1.0:
            raise InputError("div and final_div must be at least 1")
        if len(self.momentum) != 2 or not all(0.0 < m < 1.0 for m in self.momentum):
            raise InputError(f"momentum is {self.momentum}, but must be two numbers in (0, 1)")

    def at(self, progress: float) -> tuple[float, float]:
        """Return the rate, as a fraction of the peak, and the momentum at `progress` in [0, 1]."""
        outer, inner = self.momentum
        if progress < self.pct_start:
            x = progress / self.pct_start
            return _cosine(1.0 / self.div, 1.0, x), _cosine(outer, inner, x)
        x = (progress - self.pct_start) / (1.0 - self.pct_start)
        return _cosine(1.0, 1.0 / self.final_div, x), _cosine(inner, outer, x)

    def apply(self, optimizer: torch.optim.Optimizer, progress: float) -> None:
        """Set rate and momentum of an AdamW.

        Parameters
        ----------
        optimizer : torch.optim.Optimizer
            Of `adamw`, whose groups carry their peak rate as ``peak_lr``.
        progress : float, 0 to 1
            Share of the cycle that is over.
        """
        fraction, momentum = self.at(progress)
        for group in optimizer.param_groups:
            group["lr"] = group["peak_lr"] * fraction
            group["betas"] = (momentum, group["betas"][1])


def _cosine(start: float, end: float, x: float) -> float:
    return end + (start - end) * (1.0 + math.cos(math.pi * min(max(x, 0.0), 1.0))) / 2.0


def discriminative_rates(peak: float, lr_range: float, groups: int) -> list[float]:
    """Spread learning rates geometrically over layer groups, from the bottom up.

    Parameters
    ----------
    peak : float > 0
        Rate of the topmost group.
    lr_range : float >= 1
        `peak` over the rate of the lowest group.
    groups : int >= 1

    Returns
    -------
    list of float
        `groups` rates that end in `peak`.

    References
    ----------
    Howard and Ruder 2018; DFLM's slices are lr / 2.6**4 .. lr over all groups.
    """
    if groups == 1:
        return [peak]
    return [peak * lr_range ** (i / (groups - 1) - 1.0) for i in range(groups)]


KERNELS = ("fused", "foreach", "capturable")  # of AdamW's groups: how a step is made


class AdamW(torch.optim.AdamW):
    """torch's AdamW without the import of torch's compiler.

    The methods of torch's optimisers import the compiler at their first call, to tell it to
    keep out of them, which takes as long as the import of torch itself. Nothing here is
    compiled, so they come without that.
    """

    step = torch.no_grad()(inspect.unwrap(torch.optim.AdamW.step))
    add_param_group = inspect.unwrap(torch.optim.AdamW.add_param_group)
    state_dict = inspect.unwrap(torch.optim.AdamW.state_dict)
    _load = inspect.unwrap(torch.optim.AdamW.load_state_dict)

    def load_state_dict(self, state_dict: dict) -> None:
        """Take over moments and rates; by which kernel a step is made stays this optimiser's own.

        A state may come from another device.
        """
        kernels = [{name: group[name] for name in KERNELS} for group in self.param_groups]
        self._load(state_dict)
        for group, own in zip(self.param_groups, kernels, strict=True):
            group.update(own)
            for parameter in group["params"]:  # the one kernel counts where the weights are
                if (state := self.state.get(parameter)) and "step" in state:
                    state["step"] = state["step"].to(parameter.device)

    zero_grad = inspect.unwrap(torch.optim.AdamW.zero_grad)


def adamw(modules: Iterable[tuple[nn.Module, float]], weight_decay: float) -> AdamW:
    """Return an AdamW over trainable parameters, whose step is one kernel on CPU and GPU.

    Vectors (biases, batch norm) are not decayed. The second beta is fastai's 0.99.

    Parameters
    ----------
    modules : iterable of (nn.Module, float)
        Each with its peak rate; parameters that do not learn are left out.
    weight_decay : float >= 0

    References
    ----------
    Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019.
    """
    groups = []
    for module, rate in modules:
        trainable = [p for p in module.parameters() if p.requires_grad]
        for decay, parameters in (
            (weight_decay, [p for p in trainable if p.ndim > 1]),
            (0.0, [p for p in trainable if p.ndim < 2]),
        ):
            if parameters:
                groups.append(
                    {"params": parameters, "lr": rate, "peak_lr": rate, "weight_decay": decay}
                )
    return AdamW(groups, betas=(0.9, 0.99), fused=True)


def clip_gradients(parameters: list[nn.Parameter], limit: float | None) -> None:
    """Scale gradients down to a common norm.

    Parameters
    ----------
    parameters : list of Parameter
        Those without a gradient do not count.
    limit : float > 0 or None
        The largest Euclidean norm of all gradients together; None leaves them.
    """
    if limit is not None:
        nn.utils.clip_grad_norm_(parameters, limit)


class NTASGD:
    """Non-monotonically triggered averaged SGD.

    Plain SGD until a validation loss is worse than the best of those more than `nonmono`
    validations ago; from then on the weights are also averaged, and the average is what counts.

    Parameters
    ----------
    parameters : list of Parameter
    learning_rate : float > 0
    weight_decay : float >= 0
        Of matrices. A step takes `learning_rate` times it off each weight.
    nonmono : int >= 1
        Validations that are not looked at when the trigger is checked.

    References
    ----------
    Merity, Keskar and Socher 2018, algorithm 1.
    """

    def __init__(
        self,
        parameters: list[nn.Parameter],
        learning_rate: float,
        weight_decay: float,
        nonmono: int,
    ) -> None:
        self.parameters = parameters
        self.learning_rate, self.weight_decay, self.nonmono = learning_rate, weight_decay, nonmono
        self.losses: list[float] = []
        self.optimizer: torch.optim.Optimizer = torch.optim.SGD(self._groups(), lr=learning_rate)

    def _groups(self) -> list[dict]:
        """Return the parameter groups: vectors (biases) are not decayed."""
        groups = (
            ([p for p in self.parameters if p.ndim > 1], self.weight_decay),
            ([p for p in self.parameters if p.ndim < 2], 0.0),
        )
        return [{"params": own, "weight_decay": decay} for own, decay in groups if own]

    @property
    def triggered(self) -> bool:
        """Whether averaging has begun."""
        return isinstance(self.optimizer, torch.optim.ASGD)

    @property
    def has_average(self) -> bool:
        """Whether there is an average: a step was taken since averaging began."""
        return self.triggered and bool(self.optimizer.state)

    def step(self, scale: float = 1.0) -> None:
        """Take a step with the learning rate times `scale` (variable windows: length / bptt)."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate * scale
        if self.triggered:
            # ASGD keeps the rate it uses as state; with lambd 0 it only ever equals lr.
            for parameter in self.parameters:
                if state := self.optimizer.state.get(parameter):
                    state["eta"] = torch.full_like(state["eta"], self.learning_rate * scale)
        self.optimizer.step()

    def observe(self, loss: float) -> bool:
        """Take note of a validation loss; return whether averaging begins now."""
        begins = (
            not self.triggered
            and len(self.losses) > self.nonmono
            and loss > min(self.losses[: -self.nonmono])
        )
        self.losses.append(loss)
        if begins:
            self._begin_averaging()
        return begins

    def _begin_averaging(self) -> None:
        self.optimizer = torch.optim.ASGD(self._groups(), lr=self.learning_rate, lambd=0.0, t0=0)
        self._keep_on_device()

    def _keep_on_device(self) -> None:
        """Let ASGD read its rates where they are: on a GPU it would wait for each of them."""
        for group in self.optimizer.param_groups:
            group["capturable"] = self.parameters[0].is_cuda
        for parameter, state in self.optimizer.state.items():
            # A state that comes from the CPU has its count of steps there.
            state["step"] = torch.as_tensor(state["step"]).to(parameter.device)
        # torch would warn that this is slower where no graph is recorded; here it is not.
        self.optimizer._warned_capturable_if_run_uncaptured = True

    @torch.no_grad()
    def swap_average(self) -> None:
        """Exchange weights and averages; a second call puts them back."""
        if not self.triggered:
            return
        for parameter in self.parameters:
            if state := self.optimizer.state.get(parameter):
                kept = parameter.clone()
                parameter.copy_(state["ax"])
                state["ax"].copy_(kept)

    def state_dict(self) -> dict:
        """Return what `load_state_dict` needs to go on."""
        return {
            "losses": list(self.losses),
            "triggered": self.triggered,
            "optimizer": self.optimizer.state_dict(),
        }

    def load_state_dict(self, state: dict) -> None:
        """Go on from a state."""
        self.losses = list(state["losses"])
        if state["triggered"]:
            self._begin_averaging()
        self.optimizer.load_state_dict(state["optimizer"])
        if state["triggered"]:
            self._keep_on_device()  # a state may come from another device
