"""A model as a folder that needs nothing beside it, and a whole run as one file, for release."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shlex
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from dflm.addresses import without_passwords
from dflm.checksums import SUMS, compare, read_sums, sums_in
from dflm.errors import InputError
from dflm.files import atomic_path, read_json, sha256_of, write_json
from dflm.mining.output import write_lines

log = logging.getLogger(__name__)

CARD, WEIGHTS = "model.json", "model.safetensors"
THRESHOLD_COLUMNS = ("predictions", "criterion", "threshold", "limit", "recall", "fdr", "mcc")
EPOCH = (1980, 1, 1, 0, 0, 0)
"""Date of every member of an archive, the earliest that zip knows: the same content gives the same
bytes."""


def pack_model(
    weights: str | os.PathLike,
    card: str | os.PathLike,
    metrics: str | os.PathLike,
    licence: str | os.PathLike,
    folder: str | os.PathLike,
    motifs: Sequence[str | os.PathLike] = (),
) -> None:
    """Put all that belongs to a model into one folder.

    Parameters
    ----------
    weights, card, metrics : path-like
        Of the classifier; its metrics on the test file. What they say of run times is left out.
    licence : path-like
        Text to lay beside them.
    folder : path-like
        To write: model.safetensors, model.json, metrics.json, thresholds.tsv, README.md, LICENSE,
        motifs/ if there are any, and SHA256SUMS over all of it.
    motifs : sequence of path-like
        Files about motifs.

    Raises
    ------
    InputError
        If weights and card do not belong together.
    """
    told = read_json(card)
    if told.get("sha256") != sha256_of(weights):
        raise InputError("its checksum is not the one in its card", weights, "train it again")
    folder = Path(folder)
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "motifs" if motifs else folder).mkdir(parents=True)
    shutil.copyfile(weights, folder / WEIGHTS)
    shutil.copyfile(card, folder / CARD)
    shutil.copyfile(licence, folder / "LICENSE")
    reached = {key: value for key, value in read_json(metrics).items() if key != "seconds"}
    write_json(folder / "metrics.json", reached)
    write_lines(folder / "thresholds.tsv", _threshold_lines(told), "\t".join(THRESHOLD_COLUMNS))
    for path in map(Path, motifs):
        shutil.copyfile(path, folder / "motifs" / path.name)
    readme = _readme(folder.name, told, reached, bool(motifs))
    (folder / "README.md").write_text(readme, encoding="utf-8")
    write_lines(folder / SUMS, [f"{digest}  {name}" for name, digest in sums_in(folder).items()])


def _threshold_lines(card: Mapping):
    for kind, found in sorted(card.get("calibration", {}).items()):
        for name, point in sorted(found.get("thresholds", {}).items()):
            values = [point.get(key) for key in ("limit", "recall", "fdr", "mcc")]
            shown = ["." if v is None else f"{v:.6g}" for v in (point.get("threshold"), *values)]
            yield "\t".join((kind, name, *shown))


def _readme(name: str, card: Mapping, metrics: Mapping, motifs: bool) -> str:
    training, shape, vocabulary = (
        card.get(key, {}) for key in ("training", "architecture", "vocabulary")
    )
    beside = ""
    if detectors := shape.get("detectors"):
        beside = f", and {detectors} motif detectors of {shape.get('detector_width')} tokens"
    word = shlex.quote(name)
    lines = [
        f"# {name}",
        "",
        "A DFLM classifier of bound against unbound sequences.",
        "",
        f"* trained on {training.get('dataset', name)}, windows of {training.get('width')} bases, "
        f"negatives: {metrics.get('negatives', 'not told')}",
        f"* AWD-LSTM of {shape.get('layers')} layers over {vocabulary.get('k')}-mers{beside}",
    ]
    if "auroc" in metrics:
        lines.append(f"* AUROC {metrics['auroc']:.4f} on the test file, see metrics.json")
    lines += [
        f"* made by DFLM {card.get('dflm_version')}; provenance stands in model.json",
        "",
        f"`dflm info {word}` shows more and checks the files, `dflm predict {word} --fasta FILE` "
        "scores sequences.",
        f"`sha256sum -c {SUMS}` checks the folder. thresholds.tsv holds probabilities to call by.",
    ]
    if motifs:
        lines.append("motifs/ holds the motifs it has learnt; motifs/index.html shows them.")
    return "\n".join(lines) + "\n"


def pack_release(
    archive: str | os.PathLike,
    models: Sequence[str | os.PathLike],
    summary: Sequence[str | os.PathLike],
    licence: str | os.PathLike,
    config: Mapping,
) -> None:
    """Pack a run into a zip file: its models, tables and configuration, with checksums.

    Parameters
    ----------
    archive : path-like
        Zip to write; the same content gives the same bytes.
    models : sequence of path-like
        Folders of `pack_model`.
    summary : sequence of path-like
        Tables and pages of all sets.
    licence : path-like
        Text to lay beside them.
    config : mapping
        The configuration of the run.

    Raises
    ------
    InputError
        If a model's folder is no longer what its checksums say.
    """
    top = Path(archive).stem
    members: dict[str, Path | bytes] = {
        "LICENSE": Path(licence),
        "config.json": (
            json.dumps(without_passwords(dict(config)), indent=2, sort_keys=True) + "\n"
        ).encode(),
    }
    members |= {f"summary/{Path(path).name}": Path(path) for path in summary}
    for folder in map(Path, models):
        for name in [*check_sums(folder), SUMS]:
            members[f"models/{folder.name}/{name}"] = folder / name
    digests = {
        name: hashlib.sha256(found).hexdigest() if isinstance(found, bytes) else sha256_of(found)
        for name, found in sorted(members.items())
    }
    members[SUMS] = "".join(f"{digest}  {name}\n" for name, digest in digests.items()).encode()
    with atomic_path(archive) as temporary, zipfile.ZipFile(temporary, "w") as packed:
        for name, found in sorted(members.items()):
            entry = zipfile.ZipInfo(f"{top}/{name}", date_time=EPOCH)
            entry.external_attr = 0o644 << 16
            # Stored: weights hardly shrink, and no version of a packer decides the bytes.
            if isinstance(found, bytes):
                packed.writestr(entry, found)
                continue
            entry.file_size = found.stat().st_size
            with open(found, "rb") as stream, packed.open(entry, "w") as member:
                shutil.copyfileobj(stream, member, 2**20)
    log.info("%d models and %d files in %s", len(models), len(members), archive)


def check_sums(folder: str | os.PathLike) -> dict[str, str]:
    """Return what a folder's SHA256SUMS says, after checking the folder against it.

    Raises
    ------
    InputError
        Naming the first file that is missing, another or not told of.
    """
    told = read_sums(folder)
    for _, name in compare(told, sums_in(folder)):
        where = Path(folder, name)
        raise InputError(f"is not what {SUMS} says", where, "pack the model again")
    return told
