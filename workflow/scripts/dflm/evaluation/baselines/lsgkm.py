"""LS-GKM, the usual program for gapped k-mer SVMs, where it is installed.

Its programs are run with their own defaults, see `lsgkm_settings`, both strands folded in.

References
----------
Lee 2016, doi:10.1093/bioinformatics/btw142.
"""

from __future__ import annotations

import logging
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dflm.errors import InputError
from dflm.evaluation.baselines.gkm import platt_slope
from dflm.evaluation.baselines.lsgkm_settings import OPTIONS, SETTINGS
from dflm.evaluation.baselines.tables import read_labelled, write_predictions
from dflm.files import atomic_path, read_json, sha256_of, write_json
from dflm.scores import auroc
from dflm.sequences.splits import read_split
from dflm.software import made_by

log = logging.getLogger(__name__)
TRAIN, PREDICT = "gkmtrain", "gkmpredict"
PACKAGE = "ls-gkm"  # bioconda's name of it
THREADS = (1, 4, 16)  # other numbers are refused
LONGEST = 2047  # bases; of a longer sequence it reads the first ones only


def run_lsgkm(
    *,
    train: Path,
    validation: Path,
    sequences: Path,
    model: Path,
    card: Path,
    predictions: Path,
    threads: int,
) -> None:
    """Train LS-GKM on one set, and predict the sequences of another part.

    Parameters
    ----------
    train, validation : Path
        Split files of the set. Validation turns scores into probabilities, and chooses nothing.
    sequences : Path
        A split file: what to predict.
    model : Path
        To write: the program's own model.
    card : Path
        JSON to write: what it was made from and by, and the AUROC on validation.
    predictions : Path
        TSV to write, see `write_predictions`.
    threads : int
        What the job was given; the program takes 1, 4 or 16 of them.

    Raises
    ------
    InputError
        If the programs are not installed or fail, or a split file is wrong or has sequences
        of more than `LONGEST` bases.
    """
    programs = {name: _program(name) for name in (TRAIN, PREDICT)}
    options = ["-T", str(max(number for number in THREADS if number <= max(1, threads)))]
    settings = [part for key, value in SETTINGS.items() for part in (OPTIONS[key], f"{value:g}")]
    learnt, known = read_labelled(train)
    held, held_labels = read_labelled(validation)
    names, bases, labels = read_split(sequences)
    if not names:
        raise InputError("holds no sequences to predict", sequences)
    for path, part in ((train, learnt), (validation, held), (sequences, bases)):
        if (longest := max(map(len, part), default=0)) > LONGEST:
            raise InputError(
                f"a sequence has {longest:,} bases; LS-GKM reads the first {LONGEST:,} only",
                path,
                "take lsgkm out of `baselines`, where gkm reads them whole, or lower peaks.width",
            )
    with tempfile.TemporaryDirectory() as folder:
        parts = {label: Path(folder) / f"{label}.fa" for label in (1, 0)}
        for label, path in parts.items():
            _write_fasta(
                path, [s for s, found in zip(learnt, known, strict=True) if found == label]
            )
        prefix = Path(folder) / "svm"
        _run([programs[TRAIN], *settings, *options, *parts.values(), prefix])
        made = prefix.with_name("svm.model.txt")
        if not made.is_file():
            raise InputError(
                f"it wrote no model {made.name}", TRAIN, "see the log for what it said"
            )
        scores = []
        for part in (held, bases):
            query, answer = Path(folder) / "query.fa", Path(folder) / "answer.tsv"
            _write_fasta(query, part)
            _run([programs[PREDICT], *options, query, made, answer])
            scores.append(_read_scores(answer, len(part)))
        with atomic_path(model) as partial:
            shutil.copyfile(made, partial)
    slope = platt_slope(scores[0], held_labels)
    write_predictions(predictions, names, labels, 1 / (1 + np.exp(-slope * scores[1])))
    write_json(
        card,
        {
            "method": "lsgkm",
            "training": {
                "train_sha256": sha256_of(train),
                "validation_sha256": sha256_of(validation),
                "sequences": len(learnt),
                "args": SETTINGS,
                "slope": slope,
            },
            "metrics": {"validation_auroc": auroc(held_labels, scores[0])},
            "sha256": sha256_of(model),
            "programs": {
                **{name: {"sha256": sha256_of(path)} for name, path in programs.items()},
                "version": _version(programs[TRAIN]),
            },
            **made_by(),
        },
    )


def _program(name: str) -> str:
    """Return where a program of LS-GKM is."""
    found = shutil.which(name)
    if found is None:
        raise InputError(
            f"there is no program {name} on the PATH",
            "the baseline lsgkm",
            "install LS-GKM (conda install bioconda::ls-gkm), run with --sdm conda, or take "
            "lsgkm out of `baselines`",
        )
    return found


def _version(program: str) -> str | None:
    """Return the version of the conda package that a program is of, or None where there is none.

    The program itself prints none, neither in its log nor in its usage.
    """
    environment = Path(program).absolute().parent.parent
    for path in sorted(environment.glob(f"conda-meta/{PACKAGE}-*.json")):
        try:
            record = read_json(path)
        except InputError:
            continue
        if record.get("name") == PACKAGE:
            return record.get("version")
    return None


def _run(command: Sequence[object]) -> None:
    """Run a program; what it says goes to the log."""
    command = [str(part) for part in command]
    name = Path(command[0]).name
    log.info("%s", " ".join([name, *command[1:]]))
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    for line in lines:
        log.info("%s: %s", name, line)
    if done.returncode:
        said = f": {lines[-1]}" if lines else ""
        raise InputError(f"it ended with {done.returncode}{said}", name, "see the log")


def _write_fasta(path: Path, sequences: Sequence[str]) -> None:
    """Write sequences, called by their places."""
    path.write_text("".join(f">{i}\n{sequence}\n" for i, sequence in enumerate(sequences)))


def _read_scores(path: Path, number: int) -> np.ndarray:
    """Read what gkmpredict wrote, shape=(number,), a line a sequence: name and score."""
    try:
        rows = [line.split("\t") for line in path.read_text().splitlines()]
        scores = np.array([float(row[1]) for row in rows])
        if [row[0] for row in rows] != [str(i) for i in range(number)]:
            raise ValueError(f"{len(rows)} scores for {number} sequences, or in another order")
    except (OSError, ValueError, IndexError) as error:
        raise InputError(
            f"its scores cannot be read ({error})", PREDICT, "use LS-GKM 0.1.1"
        ) from None
    return scores
