"""A peer of bench_training.py: what one would write at first with `torch.nn.LSTM`.

Ordinary dropout between the layers, cross-entropy, clipped gradients, AdamW; no weight dropout,
no locked dropout, no activation penalty, the same widths. Less work per token than an AWD-LSTM.
"""

from itertools import pairwise

import torch
from torch import nn
from workload import CLIP, DECAY, VOCABULARY, windows


class PlainModel(nn.Module):
    """Embedding, `nn.LSTM` layers with dropout between, decoder of its own."""

    def __init__(self, work: dict) -> None:
        super().__init__()
        inner = [work["hidden"]] * (work["layers"] - 1)
        widths = [work["embedding"], *inner, work["embedding"]]
        self.embedding = nn.Embedding(VOCABULARY, work["embedding"], padding_idx=0)
        self.layers = nn.ModuleList(nn.LSTM(a, b, batch_first=True) for a, b in pairwise(widths))
        self.dropout = nn.Dropout(work["dropouts"]["hidden"])
        self.decoder = nn.Linear(work["embedding"], VOCABULARY)

    def forward(self, tokens, state):
        x, after = self.embedding(tokens), []
        for layer, before in zip(self.layers, state, strict=True):
            x, new = layer(x, before)
            after.append(tuple(part.detach() for part in new))
            x = self.dropout(x)
        return self.decoder(x), after


class Plain:
    """Steps of the plain model."""

    def __init__(self, work: dict) -> None:
        self.work = work
        self.windows = windows(work, 8)
        self.model = PlainModel(work).to(work["device"])
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(),
            lr=work["learning_rate"],
            betas=(0.9, 0.99),
            weight_decay=DECAY,
            fused=work["device"] == "cuda",
        )
        self.state, self.at = [None] * work["layers"], 0

    def forward(self, tokens):
        with torch.autocast(self.work["device"], torch.bfloat16, enabled=self.work["bf16"]):
            logits, self.state = self.model(tokens, self.state)
        return logits

    def next_window(self):
        self.at = (self.at + 1) % len(self.windows)
        return self.windows[self.at]

    def train(self) -> None:
        self.model.train()
        window = self.next_window()
        logits = self.forward(window[:, :-1])
        loss = nn.functional.cross_entropy(logits.flatten(0, 1).float(), window[:, 1:].flatten())
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
        self.optimizer.step()

    @torch.no_grad()
    def infer(self) -> None:
        self.model.eval()
        self.forward(self.next_window()[:, :-1])
