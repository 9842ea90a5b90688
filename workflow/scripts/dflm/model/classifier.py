"""The classifier: an AWD-LSTM encoder under a concat-pooling head."""

import torch
from torch import Tensor, nn

from dflm.model.language_model import AWDLSTM, Architecture, Dropouts
from dflm.sequences.kmers import PAD


def concat_pool(output: Tensor, tokens: Tensor) -> Tensor:
    """Pool over time: [last, max, mean] of the positions that are no padding.

    Parameters
    ----------
    output : Tensor, shape (B, T, E)
    tokens : Tensor of int64, shape (B, T)
        Pad tokens are left out of all three; a row of pad tokens alone pools to zero.

    Returns
    -------
    Tensor, shape (B, 3 E)

    References
    ----------
    Howard and Ruder, "Universal Language Model Fine-tuning for Text Classification", ACL 2018.
    """
    real = (tokens != PAD).unsqueeze(-1)  # (B, T, 1)
    count = real.sum(1)  # (B, 1)
    position = torch.arange(tokens.size(1), device=tokens.device)
    last = ((tokens != PAD) * position).amax(1)  # (B,)
    rows = torch.arange(tokens.size(0), device=tokens.device)
    some = count > 0
    last_output = torch.where(some, output[rows, last], 0.0)
    highest = torch.where(some, output.masked_fill(~real, float("-inf")).amax(1), 0.0)
    mean = (output * real).sum(1) / count.clamp(min=1)
    return torch.cat([last_output, highest, mean], 1)


class PoolingHead(nn.Module):
    """Batch norm, dropout, linear, ReLU, batch norm, dropout, linear.

    Parameters
    ----------
    width : int
        Width of the encoder's output; the head reads three times as much.
    hidden : int
        Width of the layer between.
    input_dropout, dropout : float in [0, 1)
        Dropout of the pooled features and of the layer between.
    """

    def __init__(self, width: int, hidden: int, input_dropout: float, dropout: float) -> None:
        super().__init__()
        self.stack = nn.Sequential(
            nn.BatchNorm1d(3 * width),
            nn.Dropout(input_dropout),
            nn.Linear(3 * width, hidden),
            nn.ReLU(),
            nn.BatchNorm1d(hidden),
            nn.Dropout(dropout),
            nn.Linear(hidden, 2),
        )

    def forward(self, pooled: Tensor) -> Tensor:
        """Return logits (B, 2) of unbound and bound for pooled features (B, 3 E)."""
        return self.stack(pooled.float())


class PoolingClassifier(nn.Module):
    """Encoder, concat pooling and head.

    Parameters
    ----------
    architecture : Architecture
    dropouts : Dropouts
        `output` is the dropout of the pooled features; the others are the encoder's.
    head_hidden : int
        Width of the head's hidden layer.
    head_dropout : float in [0, 1)
        Dropout of that layer.
    """

    def __init__(
        self,
        architecture: Architecture,
        dropouts: Dropouts,
        head_hidden: int,
        head_dropout: float,
    ) -> None:
        super().__init__()
        self.head_hidden, self.head_dropout = head_hidden, head_dropout
        self.encoder = AWDLSTM(architecture, dropouts)
        self.head = PoolingHead(architecture.embedding, head_hidden, dropouts.output, head_dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits (B, 2) of unbound and bound for tokens (B, T)."""
        # The head drops its own input, so the encoder's raw output is what is pooled.
        return self.head(concat_pool(self.encoder(tokens).raw, tokens))

    def groups(self) -> list[nn.Module]:
        """Return the layer groups from the bottom up: embedding, each LSTM layer, head."""
        return [self.encoder.embedding, *self.encoder.layers, self.head]

    def freeze_to(self, trainable: int) -> None:
        """Let the topmost `trainable` groups learn and freeze those below."""
        groups = self.groups()
        for i, group in enumerate(groups):
            group.requires_grad_(i >= len(groups) - trainable)
