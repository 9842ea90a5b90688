"""A convolutional network of DeepBind's kind: motif detectors on both strands, then pooling."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from dflm.errors import InputError


@dataclass(frozen=True)
class Shape:
    """What shapes the network's weights.

    Parameters
    ----------
    widths : tuple of int >= 1
        Bases that the detectors of a group look at, one group a width.
    filters : int >= 1
        Detectors of each group.
    hidden : int >= 1
        Width of the layer between the pooled detectors and the score.
    """

    widths: tuple[int, ...]
    filters: int
    hidden: int

    def __post_init__(self) -> None:
        if not self.widths or min(*self.widths, self.filters, self.hidden) < 1:
            raise InputError(
                f"cnn: widths {self.widths}, filters {self.filters}, hidden {self.hidden}",
                mend="give one width or more; all at least 1",
            )

    @property
    def largest(self) -> int:
        """Weights of the detectors and of the hidden layer, nearly all that there are."""
        detectors = self.filters * len(self.widths)
        return 4 * self.filters * sum(self.widths) + 2 * detectors * self.hidden


class ConvolutionalNetwork(nn.Module):
    """Tokens of single bases to a score; the same for a sequence and its reverse complement.

    Each detector gives its best match on either strand, and its mean over both: the one finds a
    site, the other a composition.

    Parameters
    ----------
    shape : Shape
    dropout, hidden_dropout : float in [0, 1)
        Of the pooled detectors and of the hidden layer.

    References
    ----------
    Alipanahi et al. 2015, doi:10.1038/nbt.3300 (DeepBind).
    """

    def __init__(self, shape: Shape, dropout: float, hidden_dropout: float) -> None:
        super().__init__()
        self.shape = shape
        detectors = shape.filters * len(shape.widths)
        # No bias: batch norm has one.
        self.detectors = nn.ModuleList(
            nn.Conv1d(4, shape.filters, width, bias=False) for width in shape.widths
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(shape.filters) for _ in shape.widths)
        self.head = nn.Sequential(
            nn.BatchNorm1d(2 * detectors),
            nn.Dropout(dropout),
            nn.Linear(2 * detectors, shape.hidden),
            nn.ReLU(),
            nn.Dropout(hidden_dropout),
            nn.Linear(shape.hidden, 1),
        )
        # A base that is not known is a quarter of each, as DeepBind has it.
        one_hot = torch.cat([torch.full((1, 4), 0.25), torch.eye(4)])
        self.register_buffer("one_hot", one_hot, persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return scores, shape (B,), of tokens, shape (B, L) int64: 0 for N, 1 to 4 for ACGT.

        A row's Ns at either end are no part of it: shorter rows are filled up with them.
        """
        best, mean = [], []
        known = tokens != 0
        if ragged := not bool((known[:, 0] & known[:, -1]).all()):
            # Whether at or before a place, and whether at or behind it, a base is known.
            begun, unended = known.cummax(1).values, known.flip(1).cummax(1).values.flip(1)
        for detectors, norm in zip(self.detectors, self.norms, strict=True):
            # The margin is the same at both ends, so that it means the same on both strands.
            margin = detectors.kernel_size[0] // 2
            bases = self.one_hot[functional.pad(tokens, (margin, margin))].transpose(1, 2)
            # Channels are A, C, G, T: to turn their order around is to complement.
            strands = torch.cat([bases, bases.flip(1, 2)])  # (2B, 4, L + 2 * margin)
            matches = functional.relu(norm(detectors(strands)))  # (2B, filters, positions)
            if not ragged:  # nearly always, and without the cost of a mask
                best.append(torch.maximum(*matches.amax(dim=2).chunk(2)))
                mean.append(sum(matches.mean(dim=2).chunk(2)) / 2)
                continue
            # A detector of even width has one place more than there are bases.
            more = matches.size(2) - tokens.size(1)
            inside = functional.pad(begun, (0, more), value=True)
            inside = inside & functional.pad(unended, (more, 0), value=True)
            inside = torch.cat([inside, inside.flip(1)]).unsqueeze(1)
            matches = matches * inside  # they are 0 or above
            best.append(torch.maximum(*matches.amax(dim=2).chunk(2)))
            means = matches.sum(dim=2) / inside.sum(dim=2).clamp(min=1)
            mean.append(sum(means.chunk(2)) / 2)
        # In full precision also where detectors run in bfloat16: its 8 bits make scores equal.
        with torch.autocast(tokens.device.type, enabled=False):
            return self.head(torch.cat([*best, *mean], dim=1).float()).squeeze(1)  # (B,)
