"""Provenance of a run: what its results were made of and by, and the checksums of all of them."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from dflm.addresses import without_login, without_passwords
from dflm.checksums import SUMS, compare, files_in, read_sums, sums_in
from dflm.errors import InputError
from dflm.files import read_json, sha256_of, write_json
from dflm.software import made_by

log = logging.getLogger(__name__)

FORMAT, FORMAT_VERSION = "dflm-provenance", 1
RECORD = "results/summary/provenance.json"
UNFINISHED = ("checkpoints", "parts")
"""Folders that hold what a job goes on from; no results."""


def write_provenance(
    results: Sequence[str | os.PathLike],
    sources: Sequence[str | os.PathLike],
    rules: Mapping[str, Sequence[str]],
    config: Mapping,
    seeds: Mapping[str, int],
    path: str | os.PathLike,
    *,
    snakemake: str,
    workflow: str | None,
    command: str | None,
) -> None:
    """Write what a run's results were made of and by, and their checksums.

    What a model was trained on and by stands in its model.json, written with it. Its weights and
    the genome's contigs are recorded with the checksum that was told when they were made.

    Parameters
    ----------
    results : sequence of path-like
        Files, each recorded with all that its folder holds, or folders; relative to the working
        directory.
    sources : sequence of path-like
        Input files, fetched or given by the user. One that is no longer there has null as its
        checksum: it may go once it is read.
    rules : mapping of str to sequence of str
        For each rule the regular expressions of its outputs.
    config : mapping
        The configuration in force, defaults filled in.
    seeds : mapping of str to int
        Seed of each method.
    path : path-like
        JSON to write.
    snakemake : str
        Its version.
    workflow : str or None
        Address that the workflow was taken from; None where it lies in a folder.
    command : str or None
        The command line of the run.
    """
    path = Path(path)
    config, command = without_passwords(config), without_passwords(command)
    folders = sorted({_folder_of(Path(result)) for result in results})
    files = {name for folder in folders for name in _results_in(Path(), folder)} - {str(path)}
    known = _known_sums(files)
    patterns = [(rule, re.compile(one)) for rule, outputs in rules.items() for one in outputs]
    recorded = {
        name: {
            "sha256": known.get(name) or sha256_of(name),
            "bytes": os.stat(name).st_size,
            "rule": _rule_of(name, patterns),
        }
        for name in sorted(files)
    }
    cards = [read_json(name) for name in sorted(files) if Path(name).name == "model.json"]
    write_json(
        path,
        {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "path": str(path),
            "software": made_by() | {"snakemake_version": snakemake, "workflow": workflow},
            "models": _of_models(cards),
            "command": command,
            "seeds": dict(seeds),
            "config": config,
            "config_sha256": config_sha256(config),
            "inputs": {without_login(str(source)): _input(source) for source in sources},
            "folders": folders,
            "files": recorded,
        },
    )
    log.info("%d files of %d folders recorded", len(recorded), len(folders))


def config_sha256(config: Mapping) -> str:
    """Return the SHA-256 of a configuration: of its JSON, keys sorted, without blanks."""
    text = json.dumps(config, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _folder_of(result: Path) -> str:
    return (result if result.is_dir() else result.parent).as_posix()


def _is_file(path: Path) -> bool:
    """Say whether there is a file, also of a name that is none: an address may be too long."""
    try:
        return path.is_file()
    except OSError:
        return False


def _results_in(root: Path, folder: str) -> Iterator[str]:
    """Yield the results in a folder, as paths from the root."""
    for name in files_in(root / folder):
        if not set(UNFINISHED).intersection(Path(name).parts):
            yield f"{folder}/{name}"


def _known_sums(files: set[str]) -> dict[str, str]:
    """Return the SHA-256 of large files as model cards and the genome's index tell them."""
    known = {}
    for name in files:
        folder = Path(name).parent
        if name.endswith("/model.json"):
            digest = read_json(name).get("sha256")
            for weights in ("model.safetensors", "model.npz", "model.txt"):
                if digest is not None and f"{folder}/{weights}" in files:
                    known[f"{folder}/{weights}"] = digest
        elif name.endswith("/genome/index.json"):
            for contig in read_json(name)["contigs"]:
                known[f"{folder}/contigs/{contig['file']}"] = contig["sha256"]
    return known


def _rule_of(name: str, patterns: Sequence[tuple[str, re.Pattern]]) -> str | None:
    """Return the rule that has a file, or a folder around it, among its outputs."""
    for place in (name, *map(str, Path(name).parents)):
        for rule, pattern in patterns:
            if pattern.fullmatch(place):
                return rule
    return None


def _input(source: str | os.PathLike) -> dict:
    if not os.path.isfile(source):
        return {"sha256": None, "bytes": None}
    return {"sha256": sha256_of(source), "bytes": os.stat(source).st_size}


def _of_models(cards: Sequence[Mapping]) -> dict:
    """Return what the models' cards tell, each value once: they may be older than this run."""
    told = {}
    for key in ("dflm_version", "dflm_commit", "dflm_modified", "python_version", "torch_version"):
        told[key] = {card.get(key) for card in cards}
    for key in ("device", "processor", "threads", "bf16", "deterministic"):
        told[key] = {
            place.get(key)
            for metrics in (card.get("metrics", {}) for card in cards)
            for place in (metrics, *metrics.get("earlier", []))
        }
    return {key: sorted(values - {None}) for key, values in told.items()}


def verify(folder: str | os.PathLike) -> tuple[int, list[tuple[str, str]]]:
    """Compare the files of a run, or of an unpacked release or model, with their record.

    Parameters
    ----------
    folder : path-like
        With `SUMS` in it, or `RECORD` below it.

    Returns
    -------
    number : int
        How many files the record tells of.
    wrong : list of (str, str)
        See `dflm.checksums.compare`.

    Raises
    ------
    InputError
        If there is no record.
    """
    folder = Path(folder)
    if (folder / SUMS).is_file():
        told, found = read_sums(folder), sums_in(folder)
    else:
        told, found = _recorded(folder)
    return len(told), compare(told, found)


def _recorded(folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Return the checksums that the record of a run tells, and those of its files."""
    record = folder / RECORD
    if not record.is_file():
        raise InputError(
            f"holds neither {SUMS} nor {RECORD}",
            folder,
            "name the directory that Snakemake ran in, or an unpacked release",
        )
    content = read_json(record)
    try:
        # A module with a prefix has its results further down; paths count from above it.
        # Links are left as they are: results may be one.
        place = os.path.abspath(record)
        if not place.endswith(f"/{content['path']}"):
            raise ValueError(f"it tells of {content['path']}")
        root = Path(place.removesuffix(content["path"]))
        told = {name: one["sha256"] for name, one in content["files"].items()}
        inputs = {name: one["sha256"] for name, one in content["inputs"].items()}
        for name in (*content["folders"], *told):
            if Path(name).is_absolute() or ".." in Path(name).parts:
                raise ValueError(f"{name} lies outside the run")
        names = {name for at in content["folders"] for name in _results_in(root, at)}
        config = config_sha256(content["config"]) == content["config_sha256"]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InputError(f"is no record of a run ({error!r})", record) from None
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        raise InputError(f"is no record of a run ({error.strerror})", record) from None
    told |= {name: digest for name, digest in inputs.items() if digest is not None}
    names |= {name for name in told if _is_file(root / name)}
    names -= {content["path"], *(name for name, digest in inputs.items() if digest is None)}
    found = {name: sha256_of(root / name) for name in sorted(names)}
    if not config:
        name = f"{content['path']}: config"
        told[name], found[name] = content["config_sha256"], config_sha256(content["config"])
    return told, found
