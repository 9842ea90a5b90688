"""Model files: weights as safetensors beside a card in JSON.

The card holds all that is needed to load the weights elsewhere, and their checksum, so that a
card and weights that do not belong together are refused. Neither file can carry code.
"""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from dflm.errors import InputError
from dflm.files import atomic_path, read_json, sha256_of, write_json
from dflm.model.classifier import PoolingClassifier
from dflm.model.language_model import Architecture, Dropouts, LanguageModel
from dflm.sequences.kmers import PAD
from dflm.software import made_by

LANGUAGE_MODEL = "dflm-language-model"
CLASSIFIER = "dflm-classifier"
FORMAT_VERSION = 1
NO_DROPOUT = Dropouts(output=0.0, hidden=0.0, input=0.0, embedding=0.0, weight=0.0)


def save_model(
    model: LanguageModel | PoolingClassifier,
    weights: Path,
    card: Path,
    *,
    training: dict,
    metrics: dict,
    calibration: dict | None = None,
) -> None:
    """Write a model's weights and its card, each whole or not at all.

    Parameters
    ----------
    model : LanguageModel or PoolingClassifier
    weights, card : Path
        The safetensors and the JSON file to write.
    training : dict
        Where the model comes from: arguments, seed, inputs.
    metrics : dict
        What it reached.
    calibration : dict, optional
        Of a classifier, see `dflm.calibration.calibrate_strands`.
    """
    architecture = model.encoder.architecture
    state = {
        name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()
    }
    with atomic_path(weights) as partial:
        Path(partial).write_bytes(save(state))
    content = {
        "format": LANGUAGE_MODEL if isinstance(model, LanguageModel) else CLASSIFIER,
        "format_version": FORMAT_VERSION,
        "architecture": {
            name: getattr(architecture, name) for name in ("embedding", "hidden", "layers")
        },
        "vocabulary": {
            "k": architecture.k,
            "stride": architecture.stride,
            "size": architecture.vocabulary,
            "pad": PAD,
        },
        "training": training,
        "metrics": metrics,
        "sha256": sha256_of(weights),
        "torch_version": torch.__version__,
        **made_by(),
    }
    if isinstance(model, PoolingClassifier):
        content["architecture"] |= model.head_shape
    if calibration is not None:
        content["calibration"] = calibration
    write_json(card, content)


def read_card(card: Path, kind: str) -> dict:
    """Read and check a model card.

    Parameters
    ----------
    card : Path
    kind : str
        `LANGUAGE_MODEL` or `CLASSIFIER`.

    Raises
    ------
    InputError
        If the file is missing, is no JSON, or is no card of this kind and version.
    """
    try:
        content = read_json(card)
    except InputError as error:
        raise InputError(
            f"no model card: {error.what}", card, "it lies beside the weights; copy both again"
        ) from None
    if content.get("format") != kind:
        raise InputError(
            f"{card}: holds {content.get('format')!r}, but a card of format {kind!r} is needed"
        )
    if content.get("format_version") != FORMAT_VERSION:
        raise InputError(
            f"{card}: has format version {content.get('format_version')!r}; "
            f"this program reads version {FORMAT_VERSION}"
        )
    return content


def architecture_of(card: dict, where: Path) -> Architecture:
    """Return the architecture that a card describes.

    Parameters
    ----------
    card : dict
        The content of model.json.
    where : Path
        Its file, for messages.

    Raises
    ------
    InputError
        If a part is missing, out of range or does not go with the others.
    """
    try:
        shape, vocabulary = card["architecture"], card["vocabulary"]
        told = {name: vocabulary[name] for name in ("k", "stride")}
        told |= {name: shape[name] for name in ("embedding", "hidden", "layers")}
        for name, value in told.items():
            if type(value) is not int:
                raise TypeError(f"{name} is {value!r}, no whole number")
        architecture = Architecture(**told)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{where}: the card's architecture cannot be read: {error}") from None
    if vocabulary.get("size") != architecture.vocabulary or vocabulary.get("pad") != PAD:
        raise InputError(f"{where}: the card's vocabulary is not that of {architecture.k}-mers")
    return architecture


def load_language_model(weights: Path, card: Path, dropouts: Dropouts) -> LanguageModel:
    """Load a language model, with the dropouts that its further training shall use.

    Raises
    ------
    InputError
        If card and weights do not fit each other or are no language model.
    """
    content = read_card(card, LANGUAGE_MODEL)
    architecture = architecture_of(content, card)
    _check_weights(content, weights, card, least_parameters(architecture))
    model = LanguageModel(architecture, dropouts)
    _load_weights(model, weights, card)
    return model


def load_classifier(weights: Path, card: Path) -> PoolingClassifier:
    """Load a classifier for inference, in evaluation mode.

    Parameters
    ----------
    weights, card : Path
        model.safetensors, and the model.json that was written with it.

    Raises
    ------
    InputError
        If card and weights do not fit each other or are no classifier.
    """
    content = read_card(card, CLASSIFIER)
    architecture = architecture_of(content, card)
    # A card that tells nothing of one of these is from before there was a choice.
    head = {"detectors": 0, "detector_width": 1, "strand_symmetric": False}
    head |= content["architecture"]
    for name, least in (("head_hidden", 1), ("detectors", 0), ("detector_width", 1)):
        if type(head.get(name)) is not int or head[name] < least:
            raise InputError(f"{card}: the card's architecture lacks {name}")
    if type(head["strand_symmetric"]) is not bool:
        raise InputError(f"{card}: the card's strand_symmetric is neither true nor false")
    hidden, detectors = head["head_hidden"], (head["detectors"], head["detector_width"])
    least = least_parameters(architecture, hidden, *detectors)
    _check_weights(content, weights, card, least)
    symmetric = head["strand_symmetric"]
    model = PoolingClassifier(architecture, NO_DROPOUT, hidden, 0.0, *detectors, symmetric)
    _load_weights(model, weights, card)
    return model.eval()


def least_parameters(
    architecture: Architecture, head_hidden: int = 0, detectors: int = 0, detector_width: int = 1
) -> int:
    """Return how many weights a model has at least, without making it: biases do not count.

    Parameters
    ----------
    architecture : Architecture
    head_hidden : int >= 0
        Width of a classifier's head; 0 for a language model.
    detectors, detector_width : int >= 0
        See `dflm.model.classifier.Detectors`.
    """
    embedding, hidden, layers = architecture.embedding, architecture.hidden, architecture.layers
    lstm = 8 * embedding**2
    if layers > 1:
        lstm = (
            8 * embedding * hidden + 4 * (hidden**2 + embedding**2) + 8 * (layers - 2) * hidden**2
        )
    head = detectors * detector_width * embedding + (3 * embedding + 2 * detectors) * head_hidden
    return architecture.vocabulary * embedding + lstm + head


def _check_weights(content: dict, weights: Path, card: Path, least: int) -> None:
    """Refuse weights that cannot be those of a card, before anything of its sizes is made."""
    weights = Path(weights)
    if not weights.is_file():
        raise InputError(f"{weights}: no such weights file")
    if content.get("sha256") != sha256_of(weights):
        raise InputError(
            f"{weights}: its checksum is not the one in {card}; the two files do not belong "
            "together or one is damaged: copy both again"
        )
    size = weights.stat().st_size
    if size < 4 * least:
        raise InputError(
            f"{card}: asks for {least} weights or more, and {weights} holds {size // 4} at most"
        )


def _load_weights(model: torch.nn.Module, weights: Path, card: Path) -> None:
    try:
        state = load_file(weights)
    except SafetensorError as error:
        raise InputError(f"{weights}: not a safetensors file: {error}") from None
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in state.items()}
    if found != expected:
        wrong = sorted(
            name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)
        )
        name = wrong[0]
        raise InputError(
            f"{weights}: {len(wrong)} tensors do not fit the architecture of {card}; "
            f"{name} is {found.get(name)}, expected {expected.get(name)}"
        )
    kinds = {name: tensor.dtype for name, tensor in model.state_dict().items()}
    for name, tensor in state.items():
        if tensor.dtype != kinds[name]:
            raise InputError(f"{weights}: {name} is {tensor.dtype}, not {kinds[name]}")
        if not tensor.isfinite().all():
            raise InputError(f"{weights}: {name} holds numbers that are not finite")
    model.load_state_dict(state)
