"""On a GPU the model computes what it computes on the CPU, and waits for nothing in a step."""

import math
import os

import pytest
import torch
from dflm.model.classifier import PoolingClassifier
from dflm.model.files import NO_DROPOUT
from dflm.model.language_model import Architecture, Dropouts, LanguageModel, Masks
from dflm.model.layers import WeightDropLSTM
from dflm.model.losses import LanguageModelScore, next_token_loss, training_loss
from dflm.model.wavefront import Wavefront
from dflm.training.arguments import OptimizerArgs
from dflm.training.batches import BPTTStream, SequenceBatches
from dflm.training.device import (
    DETERMINISTIC,
    REPRODUCIBLE,
    autocast,
    pick_device,
    use_deterministic,
)
from dflm.training.graph import CudaRecorder
from dflm.training.optim import NTASGD, adamw
from dflm.training.predict import strand_probabilities
from dflm.training.step import LanguageModelStep
from test_graph import ARGS, LM, classify, run

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device"),
]
GPU = torch.device("cuda", 0)
ARCHITECTURE = Architecture(k=3, stride=1, embedding=40, hidden=64, layers=3)
DROPOUTS = Dropouts(output=0.4, hidden=0.3, input=0.2, embedding=0.1, weight=0.5)
os.environ.update(REPRODUCIBLE)  # before the first product on the GPU


@pytest.fixture(autouse=True)
def as_in_a_job():
    """How precisely products are made is a state of the process: that of a job, in each test."""
    pick_device(1, 1)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_layers_run_in_cudnn(precision):
    """Without cuDNN torch makes the steps one by one, and says nothing of it."""
    layer = WeightDropLSTM(40, 64).to(GPU)
    state = torch.zeros(1, 16, 64, device=GPU), torch.zeros(1, 16, 64, device=GPU)
    with autocast(GPU, precision):
        output, _ = layer(torch.randn(50, 16, 40, device=GPU), state)
    assert "Cudnn" in output.grad_fn.name(), torch.backends.cudnn.version()
    # bfloat16 is left the tensor cores, float32 keeps its bits.
    assert torch.backends.cudnn.rnn.fp32_precision == {"fp32": "ieee", "bf16": "tf32"}[precision]


@pytest.fixture
def pair():
    """The same model on both devices, and the same window of tokens."""
    torch.manual_seed(0)
    cpu = LanguageModel(ARCHITECTURE, DROPOUTS)
    gpu = LanguageModel(ARCHITECTURE, DROPOUTS).to(GPU)
    gpu.load_state_dict(cpu.state_dict())
    return cpu.eval(), gpu.eval(), torch.randint(0, 65, (16, 51))


def loss_of(model, tokens, precision="fp32", masks=None, wavefront=None):
    with autocast(tokens.device, precision):
        logits, encoded = model(tokens[:, :-1], None, masks, wavefront)
    return training_loss(logits, encoded, tokens[:, :-1], tokens[:, 1:], 2.0, 1.0)[0]


def on_gpu(masks):
    def moved(mask):
        return None if mask is None else mask.to(GPU)

    embedding, x, weights, outputs = masks
    return Masks(moved(embedding), moved(x), [*map(moved, weights)], [*map(moved, outputs)])


def assert_near(results, references, rtol, atol):
    assert len(results) == len(references)
    for i, (a, b) in enumerate(zip(results, references, strict=True)):
        torch.testing.assert_close(
            a.to(b.device),
            b,
            rtol=rtol,
            atol=atol,
            check_dtype=False,
            msg=lambda m, i=i: f"{i}: {m}",
        )


def distance(results, references):
    """Relative distance of two lists of tensors, taken together."""
    a = torch.cat([x.detach().double().flatten().cpu() for x in results])
    b = torch.cat([x.detach().double().flatten().cpu() for x in references])
    return float((a - b).norm() / b.norm())


def gradients(model):
    return [parameter.grad for parameter in model.parameters()]


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("chunk", [None, 16])
def test_loss_and_gradients_equal_those_of_the_cpu(pair, masked, chunk):
    cpu, gpu, tokens = pair
    masks = cpu.train(masked).encoder.draw_masks(16)
    wavefront = Wavefront(chunk) if chunk else None
    on_cpu = loss_of(cpu, tokens, masks=masks)
    on_cuda = loss_of(gpu, tokens.to(GPU), masks=on_gpu(masks), wavefront=wavefront)
    torch.testing.assert_close(on_cuda.cpu(), on_cpu, rtol=1e-3, atol=1e-4)
    on_cpu.backward()
    on_cuda.backward()
    assert_near(gradients(gpu), gradients(cpu), rtol=2e-2, atol=1e-4)


@pytest.mark.parametrize("chunk", [None, 16])
def test_bfloat16_stays_near_float32_in_loss_and_gradients(pair, chunk):
    _, gpu, tokens = pair
    tokens = tokens.to(GPU)
    full = loss_of(gpu, tokens)
    full.backward()
    reference = [gradient.clone() for gradient in gradients(gpu)]
    gpu.zero_grad()
    half = loss_of(gpu, tokens, "bf16", wavefront=Wavefront(chunk) if chunk else None)
    half.backward()
    assert abs(float(full - half)) < 0.02
    assert distance(gradients(gpu), reference) < 0.03
    assert all(gradient.dtype == torch.float32 for gradient in gradients(gpu))


def test_the_layers_run_in_bfloat16_not_in_float16(pair):
    _, gpu, tokens = pair
    with autocast(GPU, "bf16"):
        _, encoded = gpu(tokens.to(GPU))
    assert encoded.raw.dtype == torch.bfloat16
    assert {part.dtype for layer in encoded.state for part in layer} == {torch.bfloat16}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("training", [True, False])
def test_weights_lie_in_one_storage_so_that_cudnn_does_not_gather_them(
    pair, precision, training, recwarn
):
    _, gpu, tokens = pair
    loss_of(gpu.train(training), tokens.to(GPU), precision).backward()  # in evaluation mode too
    assert not [w for w in recwarn if "contiguous chunk" in str(w.message)]


def test_masks_drawn_together_have_their_probability_and_scale(pair):
    masks = pair[1].train().encoder.draw_masks(640)
    for mask, p in ((masks.weights[1], 0.5), (masks.outputs[0], 0.3), (masks.outputs[2], 0.4)):
        assert mask.unique().tolist() == pytest.approx([0.0, 1 / (1 - p)])
        assert float(mask.mean()) == pytest.approx(1.0, abs=0.05)
    assert not torch.equal(masks.outputs[0], masks.outputs[1])


# --- recorded steps -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "how", [{}, {"averaged": True}, {"wavefront": Wavefront(3)}], ids=["adamw", "asgd", "wavefront"]
)
def test_a_recorded_step_is_the_eager_one(how):
    # The same masks too: a replay draws what the eager step would have drawn.
    assert_near(run(GPU, **how), run(GPU, **how, eager=True), rtol=1e-3, atol=1e-5)


def test_a_recorded_step_of_a_classifier_is_the_eager_one():
    assert_near(classify(GPU, CudaRecorder(GPU)), classify(GPU), rtol=1e-3, atol=1e-5)


def test_steps_on_a_gpu_are_recorded_without_being_asked_to():
    model = LanguageModel(LM.architecture, LM.dropouts).to(GPU)
    step = LanguageModelStep(model, LM, ARGS, GPU)
    assert isinstance(step.replayed.recorder, CudaRecorder)
    assert LanguageModelStep(model, LM, ARGS, GPU, eager=True).replayed is None


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_two_runs_with_one_seed_give_the_same_bytes(precision):
    args = OptimizerArgs(**{**vars(ARGS), "precision": precision})
    results = []
    for _ in range(2):
        torch.manual_seed(0)
        model = LanguageModel(ARCHITECTURE, DROPOUTS).to(GPU).train()
        step, optimizer = LanguageModelStep(model, LM, args, GPU), adamw([(model, 0.01)], 0.01)
        tokens, state = torch.randint(0, 65, (10, 64, 36)).to(GPU), None
        for window in tokens:
            state, _, _ = step(window[:, :-1], window[:, 1:], state)
            optimizer.step()
        results.append(list(model.parameters()))
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_two_trainings_of_a_classifier_in_deterministic_mode_give_the_same_bytes(monkeypatch):
    # Its pooling picks states by index, whose gradient is summed in any order without that mode.
    monkeypatch.setenv(DETERMINISTIC, "1")
    pick_device(1, 1)
    try:
        results = []
        for _ in range(2):
            torch.manual_seed(0)
            model = PoolingClassifier(ARCHITECTURE, DROPOUTS, 50, 0.1, 16, 9).to(GPU).train()
            optimizer = adamw([(model, 0.01)], 0.01)
            for tokens in torch.randint(0, 65, (10, 256, 36)).to(GPU):
                logits = model(tokens)
                torch.nn.functional.cross_entropy(logits, tokens[:, 0] % 2).backward()
                optimizer.step()
                optimizer.zero_grad()
            results.append(list(model.parameters()))
    finally:
        use_deterministic(False)
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_each_replay_draws_masks_of_its_own():
    torch.manual_seed(0)
    model = LanguageModel(LM.architecture, LM.dropouts).to(GPU).train()
    step = LanguageModelStep(model, LM, ARGS, GPU)
    tokens = torch.randint(1, 17, (4, 21), device=GPU)
    losses = [step(tokens[:, :-1], tokens[:, 1:])[1] for _ in range(6)]
    assert len({float(loss) for loss in losses}) == 6


def test_an_averaging_run_begun_on_a_cpu_goes_on_here():
    weights = [torch.nn.Parameter(torch.ones(3, device=device)) for device in ("cpu", GPU)]
    there, here = (NTASGD([weight], 0.1, 0.0, nonmono=1) for weight in weights)
    assert [there.observe(x) for x in (0.0, 1.0, 2.0)][-1]
    weights[0].grad = torch.ones(3)
    there.step()
    with torch.no_grad():
        weights[1].copy_(weights[0])
    here.load_state_dict(there.state_dict())
    for weight, averaging in zip(weights, (there, here), strict=True):
        weight.grad = torch.ones_like(weight)
        averaging.step()
        averaging.swap_average()
    torch.testing.assert_close(weights[1].cpu(), weights[0])


def test_products_in_float32_are_not_rounded_to_tf32():
    pick_device(1, 1)
    layer = WeightDropLSTM(256, 256)
    x, state = torch.randn(20, 32, 256), tuple(torch.zeros(2, 1, 32, 256))
    with torch.no_grad():
        exact, _ = layer.double()(x.double(), tuple(part.double() for part in state))
        found, _ = layer.float().to(GPU)(x.to(GPU), tuple(part.to(GPU) for part in state))
    # Factors of 10 bits are off by some 1e-4.
    assert (found.cpu().double() - exact).abs().max() < 1e-5


@pytest.mark.parametrize("averaged", [True, False])
@pytest.mark.parametrize("eager", [True, False])
def test_nothing_in_a_step_waits_for_the_gpu(eager, averaged):
    stream = BPTTStream(torch.randint(0, 5, (20_000,), dtype=torch.uint8).to(GPU), 2, 1, 8, 20)
    model = LanguageModel(LM.architecture, LM.dropouts).to(GPU).train()
    step = LanguageModelStep(model, LM, ARGS, GPU, eager=eager)
    optimizer, score, state = adamw([(model, 0.01)], 0.01), LanguageModelScore(1), None
    averaging = NTASGD(step.parameters, 1.0, 0.01, nonmono=1)
    assert [averaging.observe(x) for x in (0.0, 1.0, 2.0)][-1]
    loss = torch.zeros((), device=GPU)
    for i, (start, length) in enumerate(stream.windows()[:8]):
        if i == 4:  # by now all is allocated and recorded
            torch.cuda.set_sync_debug_mode("error")
        try:
            tokens, targets = stream.window(start, length)
            state, summed, _ = step(tokens, targets, state)
            if averaged:
                averaging.step()
            else:
                ARGS.one_cycle.apply(optimizer, i / 8)
                optimizer.step()
            loss += summed
            with torch.no_grad():
                logits, _ = model(tokens, state)
                score.add(logits, tokens, targets)
        finally:
            if i == 7:
                torch.cuda.set_sync_debug_mode("default")
    assert math.isfinite(score.as_dict()["loss"])
    assert float(loss) > 0


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_layers_on_streams_of_their_own_do_not_disturb_each_other(precision):
    # At full size, where kernels of several layers do run at once; torch gives them one cuDNN
    # handle, whose workspaces they share.
    torch.manual_seed(0)
    architecture = Architecture(k=3, stride=1, embedding=200, hidden=800, layers=6)
    model, wavefront = LanguageModel(architecture, DROPOUTS).to(GPU).train(), Wavefront(10)
    tokens, masks = torch.randint(0, 65, (320, 71)).to(GPU), model.encoder.draw_masks(320)
    results = []
    for how in (None, wavefront, wavefront, wavefront):
        model.zero_grad()
        loss = loss_of(model, tokens, precision, masks, how)
        loss.backward()
        results.append([loss, *gradients(model)])
    for chunked in results[1:]:
        assert distance(chunked, results[0]) < (1e-3 if precision == "fp32" else 2e-2)


# --- what users get -------------------------------------------------------------------------


def test_bits_per_base_with_a_carried_bfloat16_state_are_those_of_float32():
    # A model that has learned something, over windows whose state has been carried 60 times. The
    # bases climb or fall, mostly by one, in stretches longer than a window.
    torch.manual_seed(0)
    architecture = Architecture(k=1, stride=1, embedding=64, hidden=256, layers=3)
    bases = 64 * 70 * 80
    way = (2 * torch.randint(0, 2, (bases // 560,)) - 1).repeat_interleave(560)
    moves = torch.where(torch.rand(bases) < 0.6, way, torch.randint(0, 4, (bases,)))
    codes = (moves.cumsum(0) % 4).to(torch.uint8)
    stream = BPTTStream(codes.to(GPU), 1, 1, 64, 70)
    model = LanguageModel(architecture, NO_DROPOUT).to(GPU).train()
    args = OptimizerArgs(**{**vars(ARGS), "precision": "bf16"})
    step, optimizer = LanguageModelStep(model, LM, args, GPU), adamw([(model, 5e-3)], 0.0)
    for _ in range(2):
        state = None
        for start, length in stream.windows():
            state, _, _ = step(*stream.window(start, length), state)
            optimizer.step()
    bits = {}
    for precision in ("fp32", "bf16"):
        score, state = LanguageModelScore(1), None
        for start, length in stream.windows()[:61]:
            tokens, targets = stream.window(start, length)
            with torch.no_grad(), autocast(GPU, precision):
                logits, encoded = model.eval()(tokens, state)
            score.add(logits, tokens, targets)
            state = encoded.state
        bits[precision] = score.as_dict()["bits_per_base"]
    assert bits["fp32"] < 1.6  # 1.72 without knowing the way, 1.36 knowing it
    assert bits["bf16"] == pytest.approx(bits["fp32"], abs=2e-3)


def test_a_classifier_predicts_what_it_predicts_on_the_cpu():
    torch.manual_seed(0)
    cpu = PoolingClassifier(ARCHITECTURE, DROPOUTS, 50, 0.1, 16, 9)
    gpu = PoolingClassifier(ARCHITECTURE, DROPOUTS, 50, 0.1, 16, 9).to(GPU)
    gpu.load_state_dict(cpu.state_dict())
    generator = torch.Generator().manual_seed(1)
    sequences = [
        "".join("ACGT"[i] for i in torch.randint(0, 4, (60,), generator=generator))
        for _ in range(3000)
    ]
    on_cpu = SequenceBatches(sequences, None, 3, 1, torch.device("cpu"))
    on_cuda = SequenceBatches(sequences, None, 3, 1, GPU)
    reference = strand_probabilities(cpu, on_cpu, 500, "fp32")
    for precision, near in (("fp32", 1e-3), ("bf16", 2e-2)):
        result = strand_probabilities(gpu, on_cuda, 500, precision)
        for strand in (0, 1):
            assert abs(result[strand] - reference[strand]).max() < near


def test_summed_losses_equal_those_of_the_cpu(pair):
    cpu, gpu, tokens = pair
    results = []
    for model, window in ((cpu, tokens), (gpu, tokens.to(GPU))):
        with torch.no_grad():
            logits, _ = model(window[:, :-1])
        results.append(next_token_loss(logits, window[:, :-1], window[:, 1:]))
    assert int(results[0][1]) == int(results[1][1])
    assert float(results[1][0]) == pytest.approx(float(results[0][0]), rel=1e-3)
