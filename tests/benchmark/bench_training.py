"""How fast a language model trains and predicts, beside fastai's AWD-LSTM and a plain LSTM.

Run with ``make bench``, or ``PYTHONPATH=workflow/scripts python tests/benchmark/bench_training.py``
where ``.venv-bench`` holds the peers (tests/benchmark/peers.txt). All sides take turns within a
round, one at a time, on windows that are in memory already; a training step is forward pass, loss
with AR and TAR, backward pass, clipping and the optimiser's step. The table gives tokens a second
as the median over the rounds with the lowest and the highest, and ratios of medians. With one
thread on the CPU a second is one of CPU time, since the machine may be shared. The roof is
the arithmetic of the LSTM's matrix products at the rate that large square products reach in the
same rounds, on the same threads, in the same precision. The plain LSTM shares our process, and
with it the memory settings of `dflm.training.device.pick_device`; fastai has a process of its own.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1] / "workflow" / "scripts"), str(HERE)]

import torch
from dflm.model.language_model import Architecture, Dropouts, LanguageModel
from dflm.sequences.kmers import encode
from dflm.training.arguments import LanguageModelArgs, OptimizerArgs
from dflm.training.batches import BPTTStream
from dflm.training.device import autocast, lower_precision, pick_device
from dflm.training.optim import adamw
from dflm.training.step import LanguageModelStep
from peer_plain import Plain
from workload import (
    ALPHA,
    BETA,
    CLIP,
    DECAY,
    DROPOUTS,
    K,
    Pace,
    flop_per_token,
    multiply_adds,
    windows,
    workload,
)

BATCH = {("cpu", "small"): (32, 128), ("cpu", "full"): (32,), ("cuda", "small"): (640, 1280)}
LENGTH = 70
STILL = 40  # steps at weights that stay as they are


class Ours:
    """Steps of our model, as `pretrain` takes them."""

    def __init__(self, work: dict, seed: int = 1) -> None:
        torch.manual_seed(seed)
        device = pick_device(int(work["device"] == "cuda"), torch.get_num_threads())
        architecture = Architecture(K, 1, work["embedding"], work["hidden"], work["layers"])
        self.model = LanguageModel(architecture, Dropouts(**work["dropouts"])).to(device)
        self.windows, self.at, self.state = windows(work, 8), 0, None
        self.precision = "bf16" if work["bf16"] else "fp32"
        self.device = device
        rate, decay = work["learning_rate"], work.get("decay", DECAY)
        self.optimizer = adamw([(self.model, rate)], decay)
        self.step = LanguageModelStep(
            self.model,
            LanguageModelArgs(
                k=K,
                stride=1,
                embedding=work["embedding"],
                hidden=work["hidden"],
                layers=work["layers"],
                dropout=work["dropouts"],
                drop_mult=1.0,
                ar_alpha=ALPHA,
                tar_beta=BETA,
            ),
            OptimizerArgs(
                batch_size=work["batch"],
                weight_decay=decay,
                clip=CLIP,
                momentum=[0.8, 0.7],
                pct_start=0.3,
                div=25.0,
                final_div=2.5e5,
                precision="bf16" if work["bf16"] else "fp32",
            ),
            device,
        )

    def next_window(self):
        self.at = (self.at + 1) % len(self.windows)
        return self.windows[self.at]

    def train(self) -> torch.Tensor:
        """Take a step; the mean cross-entropy of the window as it was before."""
        self.model.train()
        window = self.next_window()
        self.state, summed, count = self.step(window[:, :-1], window[:, 1:], self.state)
        self.optimizer.step()
        return summed / count

    @torch.no_grad()
    def infer(self) -> None:
        self.model.eval()
        with autocast(self.device, self.precision):
            _, encoded = self.model(self.next_window()[:, :-1], self.state)
        self.state = encoded.state


class Peer:
    """The process of fastai's engines; idle while another side is measured."""

    def __init__(self, python: Path) -> None:
        self.process = subprocess.Popen(
            [str(python), str(HERE / "peer_fastai.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.version = self.ask(ask="version", threads=1)

    def ask(self, **request: object):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the peer's process ended with {self.process.wait()}")
        return json.loads(line)["answer"]

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def start_peer(folder: Path) -> Peer | None:
    """Start fastai's process, or say in a line that it is not there."""
    python = folder / "bin" / "python"
    if not python.exists():
        print(f"no fastai: {folder.name} is missing (`make bench` sets it up where it can)\n")
        return None
    try:
        return Peer(python)
    except (OSError, RuntimeError) as error:
        print(f"no fastai: {error}\n")
        return None


def matrix_rate(device: str, bf16: bool, seconds: float) -> float:
    """FLOP a second of large square matrix products."""
    n = 8192 if device == "cuda" else 1024
    a, b = torch.randn(2, n, n, device=device, dtype=torch.bfloat16 if bf16 else torch.float32)
    out = torch.empty_like(a)
    return Pace(lambda: torch.mm(a, b, out=out), 2 * n**3, device).rate(seconds)


class Sides:
    """All sides of a comparison on one workload."""

    def __init__(self, peer: Peer | None, bf16: bool, names: list[str], device: str) -> None:
        self.peer, self.paces = peer, {}
        half = [False, True] if bf16 else [False]
        self.all = [("ours", bf16)]
        for name in names:
            # The mixed precision of fastai's Learner is CUDA's alone: on a CPU it changes nothing.
            halves = [False] if name == "learner" and device == "cpu" else half
            self.all += [(name, b) for b in halves if name == "plain" or peer]

    def rate(self, name: str, bf16: bool, kind: str, work: dict, threads: int, seconds: float):
        work = {**work, "bf16": bf16}
        if name in ("learner", "bare"):
            return self.peer.ask(
                ask="rate",
                engine=name,
                kind=kind,
                work=work,
                threads=threads,
                seconds=seconds,
                fresh=False,
            )
        torch.set_num_threads(threads)
        key = json.dumps([name, kind, work])
        if key not in self.paces:
            engine = {"ours": Ours, "plain": Plain}[name](work)
            tokens = work["batch"] * work["length"]
            self.paces[key] = Pace(getattr(engine, kind), tokens, work["device"])
        return self.paces[key].rate(seconds)


LABEL = {
    "ours": "DFLM",
    "learner": "fastai 2.8, Learner",
    "bare": "fastai 2.8's model, torch AdamW",
    "plain": "torch.nn.LSTM, plain",
}


def shown(values: list[float]) -> str:
    """A median with its range."""
    return f"{statistics.median(values):,.0f} ({min(values):,.0f} to {max(values):,.0f})"


def compare(peer: Peer | None, work: dict, size: str, threads: int, args, bf16: bool) -> None:
    """Measure all sides on one workload; print rows of the table."""
    sides = Sides(peer, bf16, args.peers, work["device"])
    for kind in ("train", "infer"):
        rates: dict[tuple[str, bool], list[float]] = {side: [] for side in sides.all}
        roof = []
        for _ in range(args.rounds):
            torch.set_num_threads(threads)
            roof.append(matrix_rate(work["device"], bf16, min(args.seconds, 0.5)))
            for name, half in sides.all:
                rates[name, half].append(sides.rate(name, half, kind, work, threads, args.seconds))
        flop = flop_per_token(work, kind == "train")
        ours = statistics.median(rates["ours", bf16])
        for (name, half), values in rates.items():
            rate = statistics.median(values)
            share = rate * flop / statistics.median(roof)
            cells = (
                size,
                f"{work['batch']} x {work['length']}",
                threads,
                kind,
                LABEL[name],
                "bf16" if half else "fp32",
                shown(values),
                f"{ours / rate:.2f}",
                f"{share:.0%}",
            )
            print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def growth(size: str, threads: int, args, bf16: bool) -> list[str]:
    """Measure our training step as batch, window and depth grow; rows of a table."""
    device, batch = args.device, args.batch or (64 if args.device == "cpu" else 640)
    few = args.quick
    cases = [("batch", n, {"batch": n}) for n in ((32, 128) if few else (8, 16, 32, 64, 128, 256))]
    if device == "cuda":
        cases = [("batch", n, {"batch": n}) for n in (80, 160, 320, 640, 1280, 2560)]
    cases += [("length", n, {"length": n}) for n in ((35, 140) if few else (10, 35, 70, 140, 280))]
    cases += [("layers", n, {"layers": n}) for n in ((1, 4) if few else (1, 2, 3, 4, 6))]
    rates: list[list[float]] = [[] for _ in cases]
    works = []
    for _, _, change in cases:
        base = {"batch": batch, "length": LENGTH, **change}
        works.append(workload(size, device=device, bf16=bf16, **base))
    torch.set_num_threads(threads)
    for _ in range(args.rounds):
        for work, values in zip(works, rates, strict=True):
            engine = Ours(work)
            tokens = work["batch"] * work["length"]
            values.append(Pace(engine.train, tokens, device).rate(args.seconds))
    rows = []
    for (what, n, _), work, values in zip(cases, works, rates, strict=True):
        shape = f"{work['batch']} x {work['length']}, {work['layers']} layers"
        each = statistics.median(values) * multiply_adds(work) * 6 / 1e9
        rows.append(f"| {what} {n} | {shape} | {shown(values)} | {each:,.1f} |")
    return rows


def real_windows(work: dict, count: int) -> torch.Tensor:
    """Windows of human sequence like `workload.windows`; the made-up ones where there is none.

    Its pieces follow each other without a gap, since fastai would try to predict the gaps.
    """
    data = Path(os.environ.get("DFLM_REAL_DATA", HERE.parents[2] / "shared" / "data"))
    genome = data / "genome" / "human_pieces.fa.gz"
    if not genome.exists():
        print(f"no real data ({genome}): made-up sequence instead\n")
        return windows(work, count)
    with gzip.open(genome, "rt") as file:
        pieces = "".join(line.strip() for line in file if not line.startswith(">"))
    codes = torch.from_numpy(encode(pieces.upper().replace("N", "")))
    stream = BPTTStream(codes, K, 1, work["batch"], work["length"])
    cut = [stream.window(*one) for one in stream.windows()[:count]]
    return torch.stack([torch.cat([tokens, targets[:, -1:]], 1) for tokens, targets in cut])


def ends_of_curves(bits: dict[str, torch.Tensor], last: int = 20) -> list[str]:
    """Lines of text on curves of shape (draws, steps): their ends, and their gaps to the last side.

    A draw has its own weights and masks and the same weights on every side, so that the gaps
    are taken draw by draw.
    """
    *ours, (peer, theirs) = bits.items()
    error = max(len(theirs), 2) ** 0.5
    lines = []
    for side, curve in bits.items():
        ends = curve[:, -last:].mean(1)
        spread = f" +- {ends.std() / error:.4f} (standard error)" if len(ends) > 1 else ""
        lines.append(f"{side}: {ends.mean():.4f}{spread} in the last {last} of {curve.shape[1]}")
    for side, curve in ours:
        gaps = (curve - theirs)[:, -last:].mean(1)
        spread = f" +- {gaps.std() / error:.4f}" if len(gaps) > 1 else ""
        first = (curve - theirs)[:, :10].abs().max()
        lines.append(
            f"{side} less {peer}: {gaps.mean():+.4f}{spread} at the end, "
            f"at most {first:.1e} in a step of the first 10"
        )
    return lines


class Curves:
    """Losses of our model and of fastai's on the same windows from the same weights.

    Parameters
    ----------
    peer : Peer
    work : dict
        The workload; its learning rate and dropouts are those of the training.
    folder : Path
        For the files by which the peer gets weights and windows.
    windows : Tensor
        Of tokens, one for each step.
    """

    def __init__(self, peer: Peer, work: dict, folder: Path, windows: torch.Tensor) -> None:
        self.peer, self.work, self.windows = peer, work, windows
        self.files = {name: str(folder / f"{name}.pt") for name in ("weights", "windows")}
        torch.save(windows, self.files["windows"])

    def ours(self, seed: int, half: bool, weights: dict | None = None) -> list[float]:
        """Train our model, new or from `weights`, which fastai's next call starts from too."""
        engine = self.engine = Ours({**self.work, "bf16": half}, seed)
        engine.windows, engine.at = self.windows, -1
        if weights is not None:
            engine.model.load_state_dict(weights)
        torch.save(engine.model.state_dict(), self.files["weights"])
        torch.manual_seed(100 + seed)
        return [float(engine.train()) for _ in self.windows]

    def theirs(self, seed: int) -> list[float]:
        given = {"seed": seed, "threads": 1, "steps": len(self.windows), **self.files}
        return self.peer.ask(ask="curve", work=self.work, **given)

    def sides(self, seed: int, halves: list[bool], weights: dict | None = None) -> dict:
        """Return the losses of each side in bits."""
        losses = {f"ours in {'bf16' if h else 'fp32'}": self.ours(seed, h, weights) for h in halves}
        losses["fastai in fp32"] = self.theirs(seed)
        return {side: torch.tensor(loss) / math.log(2) for side, loss in losses.items()}


def stacked(draws: list[dict]) -> dict[str, torch.Tensor]:
    return {side: torch.stack([draw[side] for draw in draws]) for side in draws[0]}


def same_curve(peer: Peer, args, bf16: bool) -> list[str]:
    """Train our model and fastai's from the same weights on the same tokens; lines of Markdown."""
    torch.set_num_threads(1)
    shape = {"batch": 16, "length": 40, "device": "cpu", "bf16": False}
    work = {**workload(args.curve_size, **shape), "learning_rate": 3e-3, "decay": 0.0}
    # fastai's weight dropout breaks at 0 when the mode changes; this one drops nothing.
    none = {**dict.fromkeys(DROPOUTS, 0.0), "weight": 1e-12}
    halves, cut, lines = [False, True] if bf16 else [False], real_windows(work, args.curve), []
    with tempfile.TemporaryDirectory() as name:
        for dropouts in (none, DROPOUTS):
            curves, draws = Curves(peer, {**work, "dropouts": dropouts}, Path(name), cut), []
            for seed in range(1, args.draws + 1):
                draws.append(curves.sides(seed, halves))
                now = (f"{side} {curve[-20:].mean():.4f}" for side, curve in draws[-1].items())
                print(f"draw {seed}, last 20 steps: {', '.join(now)}", file=sys.stderr)
            lines += [f"* {'All' if dropouts is DROPOUTS else 'No'} dropouts, {args.draws} draws:"]
            lines += [f"    * {line}" for line in ends_of_curves(stacked(draws))]
        # Halfway down the curve the masks matter most; there the weights stand still.
        curves = Curves(peer, {**work, "dropouts": none}, Path(name), cut[: 2 * len(cut) // 3])
        curves.ours(1, half=False)
        weights = curves.engine.model.state_dict()
        still = {**work, "dropouts": DROPOUTS, "learning_rate": 0.0}
        curves = Curves(peer, still, Path(name), cut[:STILL])
        draws = [curves.sides(seed, halves, weights) for seed in range(1, args.draws + 1)]
        lines += [f"* All dropouts at weights that stay as they are, {args.draws} draws of masks:"]
        lines += [f"    * {line}" for line in ends_of_curves(stacked(draws), last=STILL)]
    return lines


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    cores = len(os.sched_getaffinity(0))
    parser.add_argument("--device", default=device, choices=("cpu", "cuda"))
    parser.add_argument("--size", nargs="+", default=["small", "full"], choices=("small", "full"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of a side in a round")
    parser.add_argument("--threads", type=int, nargs="+", default=sorted({1, cores}))
    parser.add_argument("--batch", type=int, help="instead of the usual ones")
    parser.add_argument("--peers", nargs="*", default=["learner", "bare", "plain"])
    parser.add_argument("--precision", default="auto", choices=("auto", "fp32", "bf16"))
    parser.add_argument("--environment", type=Path, default=HERE.parents[1] / ".venv-bench")
    parser.add_argument("--curve", type=int, default=300, help="steps of the loss curves; 0: none")
    parser.add_argument("--curve-size", default="small", choices=("small", "full"))
    parser.add_argument("--draws", type=int, default=3, help="of weights and masks, for the curves")
    parser.add_argument("--no-growth", action="store_true", help="leave the second table out")
    parser.add_argument("--quick", action="store_true", help="a look: one short round")
    args = parser.parse_args()
    if args.quick:
        args.rounds, args.seconds, args.curve = 1, 0.3, min(args.curve, 30)
    if args.device == "cuda" or args.quick:
        args.threads = args.threads[:1]
    return args


def main() -> None:
    args = options()
    started = time.perf_counter()
    bf16 = lower_precision(torch.device(args.device), args.precision)
    name = torch.cuda.get_device_name() if args.device == "cuda" else "CPU"
    print(f"{name}, torch {torch.__version__}, {args.rounds} rounds of {args.seconds} s a side\n")
    full = workload("full", 1, 1, args.device, bf16)
    print(f"full size: {flop_per_token(full, True) / 1e6:.1f} MFLOP a token of training\n")
    peer = start_peer(args.environment) if {"learner", "bare"} & set(args.peers) else None
    print(
        "| size | batch | threads | step | side | precision | tokens/s, median (range) "
        "| DFLM is faster by | of the roof |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for size in args.size:
        for threads in args.threads:
            usual = BATCH.get((args.device, size), (640, 1280, 2560))
            for batch in (args.batch,) if args.batch else usual:
                work = workload(size, batch, LENGTH, args.device, bf16)
                compare(peer, work, size, threads, args, bf16)
    if not args.no_growth:
        size = "small" if args.device == "cpu" else "full"
        threads = args.threads[0]
        print(f"\nHow cost grows: training, {size} size, {threads} thread(s)\n")
        print("| varied | batch | tokens/s, median (range) | GFLOP/s |\n|---|---|---|---|")
        print("\n".join(growth(size, threads, args, bf16)))
    if args.curve and peer:
        print(
            f"\nThe same loss curve as fastai's Learner ({args.curve_size} size, 16 x 40), bits\n"
        )
        print("\n".join(same_curve(peer, args, bf16)))
    if peer:
        peer.close()
    print(f"\n{time.perf_counter() - started:.0f} s in all")


if __name__ == "__main__":
    main()
