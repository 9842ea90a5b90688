"""Layers run in chunks of time give what layers run over whole windows give."""

import pytest
import torch
from dflm.model.language_model import AWDLSTM, Architecture, Dropouts, LanguageModel
from dflm.model.losses import training_loss
from dflm.model.wavefront import Wavefront

DROPOUTS = Dropouts(output=0.4, hidden=0.3, input=0.2, embedding=0.1, weight=0.5)


def gradients(model, tokens, state, masks, wavefront):
    model.zero_grad()
    logits, encoded = model(tokens[:, :-1], state, masks, wavefront)
    loss, _, _ = training_loss(logits, encoded, tokens[:, :-1], tokens[:, 1:], 2.0, 1.0)
    loss.backward()
    flat = [part for layer in encoded.state for part in layer]
    return [encoded.raw, encoded.dropped, logits[..., 1:], *flat], [
        parameter.grad for parameter in model.parameters()
    ]


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("chunk", [1, 5, 7, 20, 100])
def test_chunks_of_time_change_nothing_but_rounding(chunk, layers):
    torch.manual_seed(0)
    architecture = Architecture(k=2, stride=1, embedding=6, hidden=9, layers=layers)
    model = LanguageModel(architecture, DROPOUTS).train().double()
    tokens = torch.randint(0, 17, (4, 21))
    state = [(torch.randn_like(h), torch.randn_like(c)) for h, c in model.encoder.initial_state(4)]
    masks = model.encoder.draw_masks(4)
    whole = gradients(model, tokens, state, masks, None)
    chunked = gradients(model, tokens, state, masks, Wavefront(chunk))
    for a, b in zip(whole[0] + whole[1], chunked[0] + chunked[1], strict=True):
        torch.testing.assert_close(b, a, rtol=1e-10, atol=1e-12)


def test_layers_draw_the_same_masks_in_chunks():
    torch.manual_seed(0)
    encoder = AWDLSTM(Architecture(k=2, stride=1, embedding=6, hidden=9, layers=2), DROPOUTS)
    tokens = torch.randint(1, 17, (4, 12))
    torch.manual_seed(3)
    whole = encoder.train()(tokens)
    torch.manual_seed(3)
    chunked = encoder(tokens, wavefront=Wavefront(5))
    torch.testing.assert_close(chunked.dropped, whole.dropped)
    assert torch.equal(chunked.dropped == 0, whole.dropped == 0)


def test_a_layer_reads_a_chunk_only_after_the_layer_below_wrote_it(monkeypatch):
    architecture = Architecture(k=2, stride=1, embedding=6, hidden=9, layers=3)
    encoder = AWDLSTM(architecture, DROPOUTS)
    order = []
    for i, layer in enumerate(encoder.layers):
        run = layer.run

        def noted(x, state, weights, i=i, run=run):
            order.append((i, x.size(0)))
            return run(x, state, weights)

        monkeypatch.setattr(layer, "run", noted)
    encoder(torch.randint(1, 17, (2, 11)), wavefront=Wavefront(4))
    # Along the diagonals: the front moves through layers and chunks of 4, 4 and 3 steps.
    sizes = (4, 4, 3)
    fronts = [[(i, front - i) for i in range(3) if 0 <= front - i < 3] for front in range(5)]
    assert order == [(i, sizes[c]) for front in fronts for i, c in front]
