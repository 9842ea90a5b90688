"""What is known of a model on disk: its card, in words and as a line of a list."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from dflm.errors import InputError
from dflm.files import read_json
from dflm.mining.scoring import CARD, WEIGHTS, checked_calibration
from dflm.model.files import CLASSIFIER, load_classifier, read_card
from dflm.tables import field

LIST_COLUMNS = ("model", "dataset", "width", "validation_auroc", "layers", "state")


def read_model(folder: str | Path) -> dict:
    """Return a classifier's card after checking that its weights belong to it.

    Raises
    ------
    InputError
        If a file is missing, or is not what it says.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError("no such model folder", folder)
    load_classifier(folder / WEIGHTS, folder / CARD)
    card = read_card(folder / CARD, CLASSIFIER)
    checked_calibration(card, folder.name)
    return card


def card_text(card: dict) -> str:
    """Return a card as JSON."""
    return json.dumps(card, indent=2, sort_keys=True, ensure_ascii=False)


def in_words(folder: str | Path, card: dict) -> str:
    """Return a card in words, some lines."""
    shape, vocabulary = card["architecture"], card["vocabulary"]
    detectors, width = shape.get("detectors", 0), shape.get("detector_width")
    training, metrics = _section(card, "training"), _section(card, "metrics")
    lines = [
        f"{Path(folder).resolve().name}: a classifier of bound against unbound sequences",
        f"  trained on       {training.get('dataset', 'a set that the card does not name')}",
        f"  windows          {_or_unknown(training.get('width'))} bases",
        f"  reads            {vocabulary['k']}-mers, {vocabulary['stride']} bases apart, on both "
        f"strands{' at once' if shape.get('strand_symmetric') else ''}",
        f"  network          AWD-LSTM of {shape['layers']} layers, embedding {shape['embedding']}, "
        f"hidden {shape['hidden']}",
        f"  motif detectors  {f'{detectors}, of {width} tokens' if detectors else 'none'}",
        f"  seed             {_or_unknown(training.get('seed'))}",
    ]
    if isinstance(metrics.get("validation_auroc"), int | float):
        lines.append(f"  validation AUROC {metrics['validation_auroc']:.4f}")
    lines += _calibration_lines(card)
    lines += [
        f"  weights          sha256 {card['sha256'][:16]}.., whole",
        f"  made by          DFLM {_or_unknown(card.get('dflm_version'))}, torch "
        f"{_or_unknown(card.get('torch_version'))}",
    ]
    for name in ("language_model", "train", "validation"):
        digest = training.get(f"{name}_sha256")
        if digest:
            lines.append(f"  {name.replace('_', ' '):<16} sha256 {str(digest)[:16]}..")
    return "\n".join(lines)


def _calibration_lines(card: dict) -> Iterator[str]:
    calibration = checked_calibration(card, CARD)
    if not calibration:
        yield "  calibration      none: probabilities are as the network gives them"
        return
    yield f"  calibration      temperature {calibration['temperature']:.3f}, both strands averaged"
    for name, point in sorted(calibration["thresholds"].items()):
        value = point["threshold"]
        limit = "" if point.get("limit") is None else f", FDR of {point['limit']:g}"
        shown = f"none{limit}" if value is None else f"{value:.4f}{limit}"
        yield f"  threshold        {name} {shown}"


def _section(content: dict, name: str) -> dict:
    found = content.get(name)
    return found if isinstance(found, dict) else {}


def _or_unknown(value: object) -> object:
    return "unknown" if value is None else value


def list_models(folder: str | Path) -> Iterator[str]:
    """Yield a header and a line for each classifier below a folder, with `LIST_COLUMNS`.

    One whose files are damaged is listed with the reason as its state.

    Raises
    ------
    InputError
        If there is no such folder, or no classifier in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError("there is no such folder", folder)
    cards = []
    for path in sorted(folder.rglob(CARD)):
        try:
            kind = read_json(path).get("format")
        except (OSError, InputError):
            continue
        if kind == CLASSIFIER:
            cards.append(path.parent)
    if not cards:
        raise InputError("holds no classifier", folder, f"a model is a folder with {CARD}")
    yield "\t".join(LIST_COLUMNS)
    for path in cards:
        name = str(path.relative_to(folder)) if path != folder else path.resolve().name
        try:
            card = read_model(path)
        except InputError as error:
            yield "\t".join((name, ".", ".", ".", ".", error.what))
            continue
        training, metrics = _section(card, "training"), _section(card, "metrics")
        values = (training.get("dataset"), training.get("width"), metrics.get("validation_auroc"))
        shown = ("." if value is None else field(value) for value in values)
        yield "\t".join((name, *shown, str(card["architecture"]["layers"]), "whole"))
