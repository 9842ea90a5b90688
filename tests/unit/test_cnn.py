"""The convolutional network: both strands are one, and a killed training ends in the same files."""

import json
import logging

import numpy as np
import pytest
import torch
from dflm.errors import InputError
from dflm.evaluation.baselines.cnn import load_cnn, predict_cnn, train_cnn
from dflm.evaluation.baselines.convolution import ConvolutionalNetwork, Shape
from dflm.files import read_json, write_gzip_text
from dflm.sequences.splits import HEADER
from dflm.training.checkpoint import Checkpoint
from sklearn.metrics import roc_auc_score

SHAPE = Shape((5, 8), 6, 10)
ARGS = {
    "widths": [5, 8],
    "filters": 8,
    "hidden": 12,
    "dropout": 0.2,
    "hidden_dropout": 0.2,
    "epochs": 12,
    "learning_rate": 0.01,
    "patience": None,
    "fresh_negatives": False,
    "batch_size": 32,
    "weight_decay": 0.01,
    "clip": 1.0,
    "momentum": [0.95, 0.85],
    "pct_start": 0.3,
    "div": 25.0,
    "final_div": 1e4,
    "precision": "fp32",
}


def network(seed=1, dropout=0.0):
    torch.manual_seed(seed)
    model = ConvolutionalNetwork(SHAPE, dropout, dropout)
    with torch.no_grad():
        for name, buffer in model.named_buffers():  # as if trained: no norm is the identity
            if name.endswith("running_mean"):
                buffer.normal_()
            if name.endswith("running_var"):
                buffer.uniform_(0.5, 2.0)
    return model


@pytest.mark.parametrize("training", [False, True])
def test_both_strands_have_the_same_score(training):
    model = network().train(training)
    tokens = torch.randint(0, 5, (7, 30), generator=torch.Generator().manual_seed(2))
    other = torch.where(tokens == 0, 0, 5 - tokens).flip(1)
    assert model(tokens).std() > 0.01
    torch.testing.assert_close(model(tokens), model(other), rtol=1e-4, atol=1e-5)


def test_the_pooled_detectors_are_the_maximum_and_the_mean_of_a_plain_loop():
    model, seen = network().eval(), []
    model.head[0].register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    tokens = torch.randint(0, 5, (3, 12), generator=torch.Generator().manual_seed(3))
    model(tokens)
    letters = np.concatenate([np.full((1, 4), 0.25), np.eye(4)])
    assert (tokens[:, [0, -1]] == 0).any()  # a row with Ns at an end, which are no part of it
    for row in range(3):
        best, mean = [], []
        own = np.trim_zeros(tokens[row].numpy())
        for convolution, norm in zip(model.detectors, model.norms, strict=True):
            width = convolution.kernel_size[0]
            code = np.pad(own, width // 2)
            strands = [letters[code], letters[np.where(code == 0, 0, 5 - code)[::-1]]]
            for i, weight in enumerate(convolution.weight.detach().numpy()):
                matches = [
                    (strand[at : at + width].T * weight).sum()
                    for strand in strands
                    for at in range(len(code) - width + 1)
                ]
                scale = norm.weight[i] / (norm.running_var[i] + norm.eps).sqrt()
                value = (np.array(matches) - float(norm.running_mean[i])) * float(scale.detach())
                value = np.maximum(value + float(norm.bias[i].detach()), 0)
                best.append(value.max())
                mean.append(value.mean())
        np.testing.assert_allclose(seen[0][row].detach(), best + mean, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("length", [1, 2, 7])
def test_sequences_shorter_than_a_detector_have_a_score(length):
    assert network().eval()(torch.ones((2, length), dtype=torch.int64)).isfinite().all()


def test_scores_are_told_apart_in_lower_precision_too():
    model = network().eval()
    tokens = torch.randint(1, 5, (2000, 30), generator=torch.Generator().manual_seed(6))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        scores = model(tokens)
    assert scores.dtype == torch.float32
    assert len(scores.unique()) > 1500


def test_scores_do_not_depend_on_the_batch():
    model = network(dropout=0.5).eval()
    tokens = torch.randint(0, 5, (9, 30), generator=torch.Generator().manual_seed(4))
    parts = torch.cat([model(part) for part in tokens.split(2)])
    torch.testing.assert_close(model(tokens), parts)


@pytest.mark.parametrize("before", [0, 3])
def test_a_score_does_not_depend_on_what_a_row_is_filled_up_with(before):
    model = network().eval()
    tokens = torch.randint(1, 5, (4, 30), generator=torch.Generator().manual_seed(5))
    filled = torch.nn.functional.pad(tokens, (before, 40))
    torch.testing.assert_close(model(filled), model(tokens))
    with_n = torch.cat([filled, torch.zeros_like(filled[:1])])
    assert model(with_n).isfinite().all()


def write_split(path, rows, labels):
    with write_gzip_text(path) as file:
        file.write(HEADER + "\n")
        for i, (sequence, label) in enumerate(zip(rows, labels, strict=True)):
            file.write(f"r{i}\t{sequence}\t{label}\n")
    return path


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """A motif on either strand against none; 30 bases."""
    made, folder = {}, tmp_path_factory.mktemp("parts")
    for seed, (part, number) in enumerate([("train", 300), ("validation", 60), ("test", 100)]):
        rng = np.random.default_rng(seed)
        rows = ["".join(row) for row in rng.choice(list("ACGT"), size=(2 * number, 30))]
        for i in range(number):
            at, site = int(rng.integers(0, 24)), ["TGACTCA", "TGAGTCA"][int(rng.integers(0, 2))]
            rows[i] = rows[i][:at] + site + rows[i][at + 7 :]
        made[part] = write_split(folder / f"{part}.tsv.gz", rows, [1] * number + [0] * number)
    return made


def train(parts, folder, negatives="shuffle", **other):
    made = {
        "weights": folder / "model.safetensors",
        "card": folder / "model.json",
        "history": folder / "metrics.jsonl",
    }
    train_cnn(
        train=parts["train"],
        validation=parts["validation"],
        **made,
        checkpoint=folder / "checkpoints" / "last.pt",
        args={**ARGS, **other},
        negatives=negatives,
        seed=1,
        gpu=0,
        threads=1,
    )
    return made


@pytest.fixture(scope="module")
def trained(parts, tmp_path_factory):
    return train(parts, tmp_path_factory.mktemp("trained"))


def predicted(model, parts, table, batch_size=64):
    predict_cnn(
        weights=model["weights"],
        card=model["card"],
        sequences=parts["test"],
        predictions=table,
        batch_size=batch_size,
        precision="fp32",
        gpu=0,
        threads=1,
    )
    header, *rows = [line.split("\t") for line in table.read_text().splitlines()]
    assert header[:2] == ["name", "label"]
    assert header[2:] == ["probability", "probability_forward", "probability_reverse"]
    assert all(row[2] == row[3] == row[4] for row in rows)
    return np.array([int(row[1]) for row in rows]), np.array([float(row[2]) for row in rows])


def test_negatives_are_drawn_anew_only_where_they_are_shuffles(parts, tmp_path):
    def weights(folder, negatives, fresh):
        made = train(parts, tmp_path / folder, negatives, fresh_negatives=fresh, epochs=2)
        return made["weights"].read_bytes()

    kept = weights("kept", "shuffle", False)
    assert weights("fresh", "shuffle", True) != kept
    assert weights("genomic", "genomic", True) == kept


def test_a_motif_is_learnt_and_the_best_epoch_kept(parts, trained, tmp_path):
    labels, probability = predicted(trained, parts, tmp_path / "predictions.tsv")
    assert roc_auc_score(labels, probability) > 0.95
    _, again = predicted(trained, parts, tmp_path / "again.tsv", batch_size=7)
    np.testing.assert_allclose(again, probability, atol=1e-5)
    card = read_json(trained["card"])
    events = [json.loads(line) for line in trained["history"].read_text().splitlines()]
    reached = [event["auroc"] for event in events]
    assert card["metrics"]["validation_auroc"] == max(reached)
    assert card["metrics"]["best_epoch"] == 1 + reached.index(max(reached))
    weights = load_cnn(trained["weights"], trained["card"])
    assert weights.shape == Shape((5, 8), 8, 12)


class Killed(Exception):
    pass


@pytest.mark.parametrize("epoch", [1, 7])
def test_a_killed_training_ends_in_the_same_files(
    parts, trained, tmp_path, monkeypatch, caplog, epoch
):
    save = Checkpoint.save

    def die(self, state):
        save(self, state)
        if state["epoch"] == epoch:
            raise Killed

    monkeypatch.setattr(Checkpoint, "save", die)
    with pytest.raises(Killed):
        train(parts, tmp_path)
    monkeypatch.setattr(Checkpoint, "save", save)
    with caplog.at_level(logging.INFO):
        resumed = train(parts, tmp_path)
    assert "resuming from" in caplog.text
    for name, path in trained.items():
        assert resumed[name].read_bytes() == path.read_bytes(), name
    assert not (tmp_path / "checkpoints").exists()


def test_patience_ends_the_training(parts, tmp_path):
    card = read_json(train(parts, tmp_path, learning_rate=1e-12, patience=2)["card"])
    assert card["metrics"]["epochs_run"] < ARGS["epochs"]


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"widths": []}, "widths"),
        ({"widths": [0]}, "widths"),
        ({"filters": 0}, "filters"),
        ({"dropout": 1.0}, "cnn.dropout"),
        ({"hidden_dropout": -0.1}, "cnn.hidden_dropout"),
        ({"epochs": 0}, "cnn.epochs"),
        ({"batch_size": 1}, "cnn.batch_size"),
        ({"patience": 0}, "cnn.patience"),
        ({"learning_rate": 0.0}, "cnn.learning_rate"),
        ({"pct_start": 1.0}, "pct_start"),
    ],
)
def test_a_wrong_setting_is_named(parts, tmp_path, wrong, named):
    with pytest.raises(InputError, match=named):
        train(parts, tmp_path, **wrong)


def test_wrong_files_are_refused(parts, trained, tmp_path):
    one = write_split(tmp_path / "one.gz", ["ACGTACGT"], [1])
    with pytest.raises(InputError, match="one label only"):
        train({**parts, "validation": one}, tmp_path)
    none = write_split(tmp_path / "none.gz", [], [])
    with pytest.raises(InputError, match="no sequences"):
        predicted(trained, {"test": none}, tmp_path / "p.tsv")
    card = read_json(trained["card"])
    card["architecture"]["filters"] = 9
    (tmp_path / "other.json").write_text(json.dumps(card))
    with pytest.raises(InputError, match="not the network of"):
        load_cnn(trained["weights"], tmp_path / "other.json")
    (tmp_path / "cut.safetensors").write_bytes(trained["weights"].read_bytes()[:-4])
    with pytest.raises(InputError, match="checksum"):
        load_cnn(tmp_path / "cut.safetensors", trained["card"])
    with pytest.raises(InputError, match="no such file"):
        load_cnn(tmp_path / "x.safetensors", trained["card"])


def test_shuffles_are_drawn_anew_where_negatives_are_shuffles(parts, tmp_path):
    kept = train(parts, tmp_path / "kept", fresh_negatives=False)
    fresh = train(parts, tmp_path / "fresh", fresh_negatives=True)
    assert fresh["weights"].read_bytes() != kept["weights"].read_bytes()
