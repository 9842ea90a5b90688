"""Recording and replaying, with a stand-in for CUDA graphs that runs on the CPU."""

import pytest
import torch
from dflm.model.classifier import PoolingClassifier
from dflm.model.language_model import LanguageModel
from dflm.model.wavefront import Wavefront
from dflm.training.arguments import LanguageModelArgs, OptimizerArgs
from dflm.training.graph import Replayed
from dflm.training.optim import NTASGD, adamw, clip_gradients
from dflm.training.step import LanguageModelStep

CPU = torch.device("cpu")
LM = LanguageModelArgs(
    k=2,
    stride=1,
    embedding=6,
    hidden=9,
    layers=3,
    dropout={"output": 0.2, "hidden": 0.1, "input": 0.2, "embedding": 0.1, "weight": 0.3},
    drop_mult=1.0,
    ar_alpha=2.0,
    tar_beta=1.0,
)
ARGS = OptimizerArgs(
    batch_size=4,
    weight_decay=0.01,
    clip=0.25,
    momentum=[0.8, 0.7],
    pct_start=0.3,
    div=25.0,
    final_div=1e4,
    precision="fp32",
)


class RecordAgain:
    """Does as a CUDA graph does: runs on what it was recorded on, into the same outputs."""

    def __init__(self):
        self.recorded = self.replayed = 0

    def __call__(self, function):
        random = torch.get_rng_state()
        function()  # the warm-up
        outputs = function()
        for output in outputs:
            output.fill_(7)  # nothing that recording left behind may be read
        torch.set_rng_state(random)
        self.recorded += 1

        def replay():
            self.replayed += 1
            for output, new in zip(outputs, function(), strict=True):
                if output is not new:
                    output.copy_(new)

        return outputs, replay


def add_to(total, x):
    total += x
    return total, x * 2


def test_the_first_call_of_a_shape_runs_the_second_records_and_later_ones_replay():
    recorder = RecordAgain()
    replayed = Replayed(add_to, recorder)
    total = torch.zeros(3)
    given = torch.ones(3)
    for i in range(4):
        before = total
        total, doubled = replayed(total, given + i)
        assert doubled.tolist() == [2 * (i + 1)] * 3
        assert (recorder.recorded, recorder.replayed) == (int(i > 0), i)
        assert (total is before) == (i > 0)  # from the second call on the state stays in place
    assert total.tolist() == [1 + 2 + 3 + 4] * 3
    assert before.tolist() == total.tolist()


def test_inputs_are_not_written_to():
    replayed = Replayed(add_to, RecordAgain())
    zero, one = torch.zeros(3), torch.ones(3)
    for _ in range(3):
        total, _ = replayed(zero, one)
        assert total.tolist() == [1, 1, 1]
    assert zero.tolist() == [0, 0, 0]
    assert one.tolist() == [1, 1, 1]


def test_no_more_shapes_are_recorded_than_allowed():
    recorder = RecordAgain()
    replayed = Replayed(add_to, recorder, limit=2)
    for _ in range(3):
        for size in (1, 2, 3, 4):
            total, _ = replayed(torch.full((size,), 5.0), torch.ones(size))
            assert total.tolist() == [6.0] * size
    assert recorder.recorded == 2
    assert recorder.replayed == 4


def test_recording_leaves_what_the_function_writes_elsewhere_as_it_was():
    calls = torch.zeros(())

    def count(x):
        calls.add_(1)
        return (x + calls,)

    replayed = Replayed(count, RecordAgain(), written=[calls])
    results = [float(replayed(torch.zeros(1))[0]) for _ in range(4)]
    assert results == [1, 2, 3, 4]


# --- the language model's step --------------------------------------------------------------

# Lengths of windows, and whether the state is carried into them; 11 comes once.
WINDOWS = [
    (8, False),
    (8, True),
    (5, True),
    (8, True),
    (11, True),
    (5, True),
    (5, False),
    (8, True),
]


def run(device=CPU, averaged=False, **how):
    """Train over windows; return all that the steps gave and left behind."""
    torch.manual_seed(0)
    model = LanguageModel(LM.architecture, LM.dropouts).to(device).train()
    step = LanguageModelStep(model, LM, ARGS, device, **how)
    if averaged:
        optimizer = NTASGD(step.parameters, 1.0, 0.01, nonmono=1)
    else:
        optimizer = adamw([(model, 0.01)], 0.01)
    generator = torch.Generator().manual_seed(1)
    state, trace = None, []
    for i, (length, carried) in enumerate(WINDOWS):
        if averaged and i < 3:
            optimizer.observe(float(i))  # averaging begins with the third
        tokens = torch.randint(0, 17, (4, length + 1), generator=generator).to(device)
        state, summed, count = step(tokens[:, :-1], tokens[:, 1:], state if carried else None)
        trace += [summed, count, *(part.clone() for layer in state for part in layer)]
        trace += [parameter.grad.clone() for parameter in model.parameters()]
        optimizer.step()
    return [*trace, *(parameter.detach() for parameter in model.parameters())]


@pytest.mark.parametrize("how", [{}, {"averaged": True}, {"wavefront": Wavefront(3)}])
def test_a_recorded_step_is_the_eager_one_bit_for_bit(how):
    # Dropout on, lengths that change, states carried and not.
    recorder = RecordAgain()
    eager, recorded = run(**how), run(**how, recorder=recorder)
    assert (recorder.recorded, recorder.replayed) == (2, 5)
    assert len(eager) == len(recorded)
    for i, (a, b) in enumerate(zip(eager, recorded, strict=True)):
        assert torch.equal(a, b), i


def test_results_of_a_recorded_step_outlive_the_next():
    torch.manual_seed(0)
    model = LanguageModel(LM.architecture, LM.dropouts).train()
    step = LanguageModelStep(model, LM, ARGS, CPU, recorder=RecordAgain())
    tokens = torch.randint(1, 17, (5, 4, 9))
    sums = [step(window[:, :-1], window[:, 1:])[1] for window in tokens]
    assert len({float(summed) for summed in sums}) == 5


def test_gradients_belong_to_the_shape_of_the_last_window():
    recorder = RecordAgain()
    torch.manual_seed(0)
    model = LanguageModel(LM.architecture, LM.dropouts).train()
    step = LanguageModelStep(model, LM, ARGS, CPU, recorder=recorder)
    tokens = torch.randint(1, 17, (4, 12))
    places = []
    for length in (8, 5, 8, 5, 8, 5):
        step(tokens[:, :length], tokens[:, 1 : length + 1])
        places.append(model.decoder.bias.grad.data_ptr())
    assert places[2] == places[4] != places[3] == places[5]


@pytest.mark.parametrize("world", [False, True])
def test_steps_are_recorded_only_with_a_recorder_and_never_among_processes(world, monkeypatch):
    from dflm.training.distributed import World

    monkeypatch.setattr(World, "replicate", lambda self, model: model)
    model = LanguageModel(LM.architecture, LM.dropouts)
    shared = World(rank=0, size=2) if world else None
    recorder = RecordAgain()
    assert LanguageModelStep(model, LM, ARGS, CPU, shared).replayed is None
    step = LanguageModelStep(model, LM, ARGS, CPU, shared, recorder=recorder)
    assert (step.replayed is None) == world
    step = LanguageModelStep(model, LM, ARGS, CPU, shared, recorder=recorder, eager=True)
    assert step.replayed is None


# --- a classifier's step, recorded by the same means ------------------------------------------


def classify(device=CPU, recorder=None):
    """Train a classifier on batches of two sizes; return what steps gave and left behind."""
    torch.manual_seed(0)
    model = PoolingClassifier(LM.architecture, LM.dropouts, 5, 0.1, 4, 3).to(device).train()
    model.freeze_to(3)  # the lower layers stay as they are
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]

    def learn(tokens, labels):
        for parameter in learning:
            parameter.grad = None
        loss = torch.nn.functional.cross_entropy(model(tokens), labels)
        loss.backward()
        clip_gradients(learning, 0.25)
        return (loss.detach(), *(parameter.grad for parameter in learning))

    step = Replayed(learn, recorder, written=model.buffers()) if recorder else learn
    optimizer = adamw([(model, 0.01)], 0.01)
    generator = torch.Generator().manual_seed(1)
    trace = []
    for size in (8, 8, 8, 5, 8, 5, 5, 8):
        tokens = torch.randint(0, 17, (size, 12), generator=generator).to(device)
        labels = torch.randint(0, 2, (size,), generator=generator).to(device)
        loss, *gradients = step(tokens, labels)
        for parameter, gradient in zip(learning, gradients, strict=True):
            parameter.grad = gradient
        trace += [loss.clone(), *(gradient.clone() for gradient in gradients)]
        optimizer.step()
    return [*trace, *(value.detach().double() for value in model.state_dict().values())]


def test_a_classifiers_step_may_be_recorded_batch_norm_and_frozen_layers_included():
    recorder = RecordAgain()
    for i, (a, b) in enumerate(zip(classify(), classify(recorder=recorder), strict=True)):
        assert torch.equal(a, b), i
    assert (recorder.recorded, recorder.replayed) == (2, 6)
