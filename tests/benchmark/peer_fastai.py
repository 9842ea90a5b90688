"""A peer of bench_training.py: fastai's AWD-LSTM, in a process and an environment of its own.

Reads one request a line from standard input and answers each with a line of JSON. Two engines:

`learner`   what a user of fastai gets: `Learner.fit` over windows already in memory, with
            ModelResetter, RNNCallback and RNNRegularizer (AR and TAR), GradientClip and fastai's
            own Adam; without the progress bar.
`bare`      fastai's model in a plain loop with torch's AdamW, the two penalties written out.

Inference is the model alone in both.
"""

import json
import sys
from functools import partial

import torch
from fastai.callback.rnn import rnn_cbs
from fastai.callback.training import GradientClip
from fastai.data.core import DataLoaders
from fastai.learner import Learner
from fastai.losses import CrossEntropyLossFlat
from fastai.optimizer import Adam
from fastai.text.models.awdlstm import AWD_LSTM
from fastai.text.models.core import get_language_model
from torch import nn
from workload import ALPHA, BETA, CLIP, DECAY, VOCABULARY, Pace, windows


class Losses:
    """A loss function that can note what it gave."""

    def __init__(self) -> None:
        self.loss, self.noted = CrossEntropyLossFlat(), None

    def __call__(self, logits, targets):
        loss = self.loss(logits.float(), targets)
        if self.noted is not None:
            self.noted.append(float(loss.detach()))
        return loss


class Engine:
    """Steps of fastai's model."""

    def __init__(self, work: dict, seed: int = 1) -> None:
        torch.manual_seed(seed)
        p = work["dropouts"]
        config = {
            "emb_sz": work["embedding"],
            "n_hid": work["hidden"],
            "n_layers": work["layers"],
            "pad_token": 0,
            "bidir": False,
            "output_p": p["output"],
            "hidden_p": p["hidden"],
            "input_p": p["input"],
            "embed_p": p["embedding"],
            "weight_p": p["weight"],
            "tie_weights": True,
            "out_bias": True,
        }
        self.work, self.at = work, 0
        self.windows = windows(work, 8)
        self.model = get_language_model(AWD_LSTM, VOCABULARY, config).to(work["device"])
        self.model.reset()

    def next_window(self):
        self.at = (self.at + 1) % len(self.windows)
        return self.windows[self.at]

    def forward(self, tokens):
        with torch.autocast(self.work["device"], torch.bfloat16, enabled=self.work["bf16"]):
            return self.model(tokens)

    @torch.no_grad()
    def infer(self) -> None:
        self.model.eval()
        self.forward(self.next_window()[:, :-1])

    def copy_weights(self, path: str) -> None:
        """Take the weights of an `AWDLSTM` of ours, and leave the pad token out of the softmax."""
        ours = torch.load(path, weights_only=True)
        encoder, decoder = self.model[0], self.model[1].decoder
        with torch.no_grad():
            encoder.encoder.weight.copy_(ours["encoder.embedding.weight"])
            decoder.bias.copy_(ours["decoder.bias"])
            decoder.bias[0] = -1e4
            for i, rnn in enumerate(encoder.rnns):
                for name, parameter in (
                    ("weight_ih", rnn.module.weight_ih_l0),
                    ("weight_hh", rnn.weight_hh_l0_raw),
                    ("bias_ih", rnn.module.bias_ih_l0),
                    ("bias_hh", rnn.module.bias_hh_l0),
                ):
                    parameter.copy_(ours[f"encoder.layers.{i}.{name}"])
        self.model.reset()


class Bare(Engine):
    """The model in a plain loop."""

    def __init__(self, work: dict, seed: int = 1) -> None:
        super().__init__(work, seed)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(),
            lr=work["learning_rate"],
            betas=(0.9, 0.99),
            weight_decay=DECAY,
            fused=work["device"] == "cuda",
        )

    def train(self) -> None:
        self.model.train()
        window = self.next_window()
        logits, raw, dropped = self.forward(window[:, :-1])
        loss = nn.functional.cross_entropy(logits.flatten(0, 1).float(), window[:, 1:].flatten())
        loss = loss + ALPHA * dropped.float().pow(2).mean()
        loss = loss + BETA * (raw[:, 1:] - raw[:, :-1]).float().pow(2).mean()
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
        self.optimizer.step()


class FromMemory(list):
    """Batches (inputs, targets) in the form that a Learner iterates over."""

    def __init__(self, batches: list, device: str) -> None:
        super().__init__(batches)
        self.device = torch.device(device)


class WithLearner(Engine):
    """The model under fastai's Learner."""

    def __init__(self, work: dict, seed: int = 1) -> None:
        super().__init__(work, seed)
        self.losses = Losses()
        loaders = DataLoaders(self.batches(1), FromMemory([], work["device"]))
        self.learner = Learner(
            loaders,
            self.model,
            loss_func=self.losses,
            opt_func=partial(Adam, mom=0.9, sqr_mom=0.99, eps=1e-8),
            cbs=[*rnn_cbs(ALPHA, BETA), GradientClip(CLIP)],
            lr=work["learning_rate"],
            wd=work.get("decay", DECAY),
        )
        if work["bf16"]:
            self.learner.to_bf16()
        self.learner.remove_cbs([cb for cb in self.learner.cbs if cb.name == "progress"])

    def batches(self, steps: int) -> FromMemory:
        chosen = [self.windows[i % len(self.windows)] for i in range(steps)]
        return FromMemory([(w[:, :-1], w[:, 1:]) for w in chosen], self.work["device"])

    def fit(self, steps: int = 1) -> None:
        self.learner.dls.loaders[0] = self.batches(steps)
        with self.learner.no_logging():
            self.learner.fit(1)


def pace(engine: str, kind: str, work: dict) -> Pace:
    """Build an engine and return its pace of `kind`: "train" or "infer"."""
    tokens = work["batch"] * work["length"]
    made = {"learner": WithLearner, "bare": Bare}[engine](work)
    if engine == "learner" and kind == "train":
        return Pace(made.fit, tokens, work["device"], many=True)
    return Pace(getattr(made, kind), tokens, work["device"])


def curve(work: dict, weights: str, tokens: str, steps: int, seed: int) -> list[float]:
    """Return the losses of `steps` training steps under the Learner, on windows from a file."""
    made = WithLearner(work, seed)
    made.copy_weights(weights)
    made.windows = torch.load(tokens, weights_only=True)
    made.losses.noted = []
    made.fit(steps)
    return made.losses.noted


def main() -> None:
    paces: dict[str, Pace] = {}
    answers, sys.stdout = sys.stdout, sys.stderr  # fastai prints
    for line in sys.stdin:
        request = json.loads(line)
        torch.set_num_threads(request["threads"])
        if request["ask"] == "rate":
            key = json.dumps([request["engine"], request["kind"], request["work"]])
            if key not in paces:
                if request["fresh"]:
                    paces.clear()
                paces[key] = pace(request["engine"], request["kind"], request["work"])
            answer = paces[key].rate(request["seconds"])
        elif request["ask"] == "curve":
            given = (request[name] for name in ("work", "weights", "windows", "steps", "seed"))
            answer = curve(*given)
        else:
            answer = torch.__version__
        print(json.dumps({"answer": answer}), file=answers, flush=True)


if __name__ == "__main__":
    main()
