"""The classifier: the embedding and encoder of an AWD-LSTM under a pooling head."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from dflm.model.language_model import AWDLSTM, Architecture, Dropouts
from dflm.sequences.kmers import PAD, complement_ids


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
    position = torch.arange(tokens.size(1), device=tokens.device)
    last = ((tokens != PAD) * position).amax(1)  # (B,)
    rows = torch.arange(tokens.size(0), device=tokens.device)
    some = (tokens != PAD).any(1, keepdim=True)  # (B, 1)
    last_output = torch.where(some, output[rows, last], 0.0)
    return torch.cat([last_output, max_mean_pool(output, tokens)], 1)


def max_mean_pool(output: Tensor, tokens: Tensor) -> Tensor:
    """Pool over time: [max, mean], (B, 2 E); otherwise as `concat_pool`."""
    real = (tokens != PAD).unsqueeze(-1)  # (B, T, 1)
    count = real.sum(1)  # (B, 1)
    highest = output.masked_fill(~real, float("-inf")).amax(1)
    mean = (output * real).sum(1) / count.clamp(min=1)
    return torch.cat([torch.where(count > 0, highest, 0.0), mean], 1)


class Detectors(nn.Module):
    """Motif detectors on the embedded tokens: convolution, batch norm, ReLU, [max, mean].

    The recurrent layers carry what lies far apart, and are slow to learn a motif exactly; a
    detector sees a site whole. It reads the embedding that the language model has learnt.

    Parameters
    ----------
    width : int
        Width of the embedding.
    count : int >= 1
        Detectors.
    size : int >= 1
        Tokens that each looks at, side by side; past the ends of a sequence lie pad tokens.

    References
    ----------
    Detectors and their pooling: Alipanahi et al. 2015, doi:10.1038/nbt.3300 (DeepBind).
    """

    def __init__(self, width: int, count: int, size: int) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(width, count, size, bias=False)  # batch norm has one
        self.norm = nn.BatchNorm1d(count)

    def forward(self, embedded: Tensor, tokens: Tensor) -> Tensor:
        """Return features (B, 2 count) of embedded tokens (B, T, E); `tokens` are (B, T)."""
        size = self.convolution.kernel_size[0]
        x = functional.pad(embedded.transpose(1, 2), (size // 2, (size - 1) // 2))
        matches = functional.relu(self.norm(self.convolution(x).float()))  # (B, count, T)
        return max_mean_pool(matches.transpose(1, 2), tokens)


class PoolingHead(nn.Module):
    """Batch norm, dropout, linear, ReLU, batch norm, dropout, linear.

    Parameters
    ----------
    features : int
        Width of the pooled features.
    hidden : int
        Width of the layer between.
    input_dropout, dropout : float in [0, 1)
        Dropout of the pooled features and of the layer between.
    """

    def __init__(self, features: int, hidden: int, input_dropout: float, dropout: float) -> None:
        super().__init__()
        self.stack = nn.Sequential(
            nn.BatchNorm1d(features),
            nn.Dropout(input_dropout),
            nn.Linear(features, hidden),
            nn.ReLU(),
            nn.BatchNorm1d(hidden),
            nn.Dropout(dropout),
            nn.Linear(hidden, 2),
        )

    def forward(self, pooled: Tensor) -> Tensor:
        """Return logits (B, 2) of unbound and bound for pooled features (B, F), in float32.

        Also where the encoder runs in bfloat16: its 8 bits would make many scores equal.
        """
        with torch.autocast(pooled.device.type, enabled=False):
            return self.stack(pooled.float())


class PoolingClassifier(nn.Module):
    """Encoder with concat pooling, detectors on the embedding, and the head over both.

    Parameters
    ----------
    architecture : Architecture
    dropouts : Dropouts
        `output` is the dropout of the pooled features; the others are the encoder's.
    head_hidden : int
        Width of the head's hidden layer.
    head_dropout : float in [0, 1)
        Dropout of that layer.
    detectors : int >= 0
        See `Detectors`; 0 makes none.
    detector_width : int >= 1
        Tokens that a detector looks at.
    strand_symmetric : bool
        Pool each sequence on both strands, and give the head the mean of the two: it cannot tell
        the strands apart. Exact where each base begins a token, and no sequence begins or ends
        in N.

    References
    ----------
    Strand symmetry by sharing weights: Shrikumar, Greenside and Kundaje, "Reverse-complement
    parameter sharing improves deep learning models for genomics", bioRxiv 2017,
    doi:10.1101/103663.
    """

    def __init__(
        self,
        architecture: Architecture,
        dropouts: Dropouts,
        head_hidden: int,
        head_dropout: float,
        detectors: int = 0,
        detector_width: int = 1,
        strand_symmetric: bool = False,
    ) -> None:
        super().__init__()
        self.head_shape = {
            "head_hidden": head_hidden,
            "detectors": detectors,
            "detector_width": detector_width,
            "strand_symmetric": strand_symmetric,
        }
        self.strands = 2 if strand_symmetric else 1
        complements = torch.from_numpy(complement_ids(architecture.k))
        self.register_buffer("complements", complements, persistent=False)
        self.encoder = AWDLSTM(architecture, dropouts)
        width = architecture.embedding
        self.detectors = Detectors(width, detectors, detector_width) if detectors else None
        features = 3 * width + 2 * detectors
        self.head = PoolingHead(features, head_hidden, dropouts.output, head_dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits (B, 2) of unbound and bound for tokens (B, T)."""
        encoded = self.encoder(read := self.as_read(tokens))
        # The head drops its own input, so the encoder's raw output is what is pooled.
        pooled = concat_pool(encoded.raw, read).float()
        if self.detectors is not None:
            pooled = torch.cat([pooled, self.detectors(encoded.embedded, read)], 1)
        return self.head(pooled.unflatten(0, (self.strands, -1)).mean(0))

    def as_read(self, tokens: Tensor) -> Tensor:
        """Return what the encoder reads for tokens (B, T): these, or them on both strands.

        Returns
        -------
        Tensor, shape (B, T) or (2 B, T)
            The other strand of all sequences stands behind the one given.
        """
        return tokens if self.strands == 1 else torch.cat([tokens, self.other_strand(tokens)])

    def other_strand(self, tokens: Tensor) -> Tensor:
        """Return tokens (B, T) of the other strand; pads at the end of a row stay there."""
        position = torch.arange(tokens.size(1), device=tokens.device)
        last = ((tokens != PAD) * position).amax(1, keepdim=True)  # (B, 1)
        turned = self.complements[tokens].gather(1, (last - position).clamp(min=0))
        return turned.masked_fill(position > last, PAD)

    def groups(self) -> list[nn.Module]:
        """Return the layer groups: embedding, each LSTM layer, detectors and head together."""
        top = (
            nn.ModuleList([self.detectors, self.head]) if self.detectors is not None else self.head
        )
        return [self.encoder.embedding, *self.encoder.layers, top]

    def freeze_to(self, trainable: int) -> None:
        """Let the topmost `trainable` groups learn and freeze those below."""
        groups = self.groups()
        for i, group in enumerate(groups):
            group.requires_grad_(i >= len(groups) - trainable)
