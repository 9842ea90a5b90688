"""ChIP-seq sequence sets in DeepBind's format, read from one file or found in a folder.

A set is two gzipped tables with the header ``FoldID EventID seq Bound``, tab-separated:
``NAME_AC.seq.gz`` to train on and ``NAME_B.seq.gz`` to test on.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dflm.errors import InputError
from dflm.files import sha256_of, text_lines
from dflm.tables import write_table

TRAIN_ENDING = "_AC.seq.gz"
TEST_ENDING = "_B.seq.gz"
NEEDED = ("EventID", "seq", "Bound")
SHEET_COLUMNS = ("dataset", "tf", "cell_line", "train", "test", "notes")


class EmptySetError(InputError):
    """A file of sequences holds no row: its set is skipped rather than failed."""


@dataclass(frozen=True)
class SetFiles:
    """The two files of one set; an orphan lacks one of them."""

    train: Path | None
    """The training file (AC), or None."""
    test: Path | None
    """The test file (B), or None."""
    reason: str = ""
    """Why the set cannot run; empty when it can."""


def read_set(path: str | os.PathLike) -> tuple[list[str], list[str], np.ndarray]:
    """Read one file of a set.

    The columns are found by the header, so their order and further ones do not matter. Letters
    are not looked at here.

    Parameters
    ----------
    path : path-like
        A gzipped or plain table.

    Returns
    -------
    names : list of str
        The EventID of each row.
    sequences : list of str
        The sequence of each row, as written.
    labels : numpy.ndarray
        shape=(rows,) int8: 1 bound, 0 not bound.

    Raises
    ------
    EmptySetError
        If the file is empty or ends after its header.
    InputError
        Naming the file and line, if it is no such table or is cut short.
    """
    mend = "a set's file is a tab-separated table with the header FoldID EventID seq Bound"
    names: list[str] = []
    sequences: list[str] = []
    labels: list[int] = []
    lines = text_lines(path, mend)
    first, text = next(((number, line) for number, line in lines if line.strip()), (0, ""))
    header = text.split("\t")
    if not first:
        raise EmptySetError("the file is empty", path)
    missing = [column for column in NEEDED if column not in header]
    if missing:
        raise InputError(f"line {first}: no column {', '.join(missing)}", path, mend)
    name_at, sequence_at, label_at = (header.index(column) for column in NEEDED)
    for number, line in lines:
        fields = line.split("\t")
        if not line.strip():
            continue
        if len(fields) != len(header):
            raise InputError(
                f"line {number} has {len(fields)} fields, not {len(header)}", path, mend
            )
        if not fields[sequence_at] or not fields[name_at]:
            raise InputError(f"line {number} has an empty seq or EventID", path, mend)
        if fields[label_at] not in ("0", "1"):
            raise InputError(
                f"line {number}: Bound is {fields[label_at]!r}", path, "Bound is 0 or 1"
            )
        names.append(fields[name_at])
        sequences.append(fields[sequence_at])
        labels.append(int(fields[label_at]))
    if not names:
        raise EmptySetError("the file has a header and no row", path)
    return names, sequences, np.array(labels, dtype=np.int8)


def parse_name(dataset: str) -> tuple[str, str]:
    """Return the TF and the cell line that a set's name begins with.

    Parameters
    ----------
    dataset : str
        As ``ELK1_GM12878_ELK1_(1277-1)_Stanford``; the later fields may be missing.

    Returns
    -------
    tuple of str
        TF and cell line; the cell line is empty where the name holds no underscore.
    """
    tf, cell_line, *_ = [*dataset.split("_"), ""]
    return tf, cell_line


def find_sets(
    folder: str | os.PathLike,
) -> tuple[dict[str, SetFiles], dict[str, SetFiles]]:
    """Find the sets in a folder, at any depth.

    Parameters
    ----------
    folder : path-like
        Holds ``NAME_AC.seq.gz`` and ``NAME_B.seq.gz`` files. Hidden files are not looked at.

    Returns
    -------
    pairs : dict of str to SetFiles
        The sets with both files, by name, in the order of names.
    orphans : dict of str to SetFiles
        Those with one file, and the reason they cannot run.

    Raises
    ------
    InputError
        If there is no such folder, no such file in it, or two unlike files of one name.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError("there is no such folder", folder)
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*.seq.gz")):
        name = path.name
        if not is_set_file(name) or not path.is_file():
            continue
        if name in found and sha256_of(found[name]) != sha256_of(path):
            raise InputError(
                f"two unlike files are called {name}: {found[name]} and {path}",
                folder,
                "take one of them away",
            )
        found.setdefault(name, path)
    if not found:
        raise InputError(f"no *{TRAIN_ENDING} or *{TEST_ENDING} file in it", folder)
    pairs: dict[str, SetFiles] = {}
    orphans: dict[str, SetFiles] = {}
    for dataset in sorted({set_name(name) for name in found}):
        train = found.get(dataset + TRAIN_ENDING)
        test = found.get(dataset + TEST_ENDING)
        if train and test:
            pairs[dataset] = SetFiles(train, test)
        else:
            missing = (TEST_ENDING if train else TRAIN_ENDING)[1:]
            kind = "test" if train else "training"
            orphans[dataset] = SetFiles(train, test, f"no {kind} file ({missing}) beside it")
    return pairs, orphans


def is_set_file(name: str) -> bool:
    """Say whether a file's name is that of a set's training or test file."""
    return bool(set_name(name)) and not name.startswith(".")


def set_name(name: str) -> str:
    """Return the set that a file's name belongs to; empty when to none."""
    for ending in (TRAIN_ENDING, TEST_ENDING):
        if name.endswith(ending):
            return name[: -len(ending)]
    return ""


def index_sets(folder: str | os.PathLike, out_tsv: str | os.PathLike) -> None:
    """Write the sheet of the sets in a folder.

    Parameters
    ----------
    folder : path-like
        See `find_sets`; the sheet's paths start with it as it is given here.
    out_tsv : path-like
        The table: dataset, tf, cell_line, train, test, notes; sorted by dataset. An orphan has
        an empty train or test, and the reason in its notes.

    Raises
    ------
    InputError
        See `find_sets`; or a name holds a tab or a line end, or is not UTF-8.
    """
    pairs, orphans = find_sets(folder)
    records = []
    for dataset, files in sorted((pairs | orphans).items()):
        fields = [
            dataset,
            *parse_name(dataset),
            str(files.train or ""),
            str(files.test or ""),
            files.reason,
        ]
        if any(set(field) & set("\t\r\n") for field in fields):
            raise InputError(f"{dataset!r} holds a tab or a line end", folder, "rename the file")
        if any("\udc80" <= letter <= "\udcff" for field in fields for letter in field):
            raise InputError(f"the name {dataset!r} is not UTF-8", folder, "rename the file")
        records.append(dict(zip(SHEET_COLUMNS, fields, strict=True)))
    write_table(out_tsv, SHEET_COLUMNS, records)
