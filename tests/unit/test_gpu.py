"""On a GPU the model computes what it computes on the CPU."""

import pytest
import torch
from dflm.model.files import NO_DROPOUT
from dflm.model.language_model import Architecture, LanguageModel
from dflm.model.losses import next_token_loss
from dflm.training.device import autocast

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device"),
]
ARCHITECTURE = Architecture(k=3, stride=1, embedding=40, hidden=64, layers=3)


@pytest.fixture
def pair():
    """The same model on both devices, and the same window of tokens."""
    torch.manual_seed(0)
    cpu = LanguageModel(ARCHITECTURE, NO_DROPOUT)
    gpu = LanguageModel(ARCHITECTURE, NO_DROPOUT).cuda()
    gpu.load_state_dict(cpu.state_dict())
    return cpu, gpu, torch.randint(0, 65, (16, 51))


def loss_of(model, tokens, precision):
    with autocast(tokens.device, precision):
        logits, _ = model(tokens[:, :-1])
    loss, count = next_token_loss(logits, tokens[:, :-1], tokens[:, 1:])
    return loss / count


def test_loss_and_gradients_equal_those_of_the_cpu(pair):
    cpu, gpu, tokens = pair
    on_cpu, on_gpu = loss_of(cpu, tokens, "fp32"), loss_of(gpu, tokens.cuda(), "fp32")
    torch.testing.assert_close(on_gpu.cpu(), on_cpu, rtol=1e-3, atol=1e-4)
    on_cpu.backward()
    on_gpu.backward()
    for (name, a), b in zip(cpu.named_parameters(), gpu.parameters(), strict=True):
        torch.testing.assert_close(
            b.grad.cpu(), a.grad, rtol=2e-2, atol=1e-4, msg=lambda m, name=name: f"{name}: {m}"
        )


def test_bfloat16_stays_near_float32(pair):
    _, gpu, tokens = pair
    tokens = tokens.cuda()
    full, half = loss_of(gpu, tokens, "fp32"), loss_of(gpu, tokens, "bf16")
    assert abs(float(full - half)) < 0.02


def test_weights_lie_in_one_storage_so_that_cudnn_does_not_gather_them(pair, recwarn):
    _, gpu, tokens = pair
    loss_of(gpu.train(), tokens.cuda(), "fp32").backward()
    assert not [w for w in recwarn if "contiguous chunk" in str(w.message)]
