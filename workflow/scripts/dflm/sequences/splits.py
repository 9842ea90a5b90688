"""A ChIP-seq set as training, validation and test sequences with labels.

The split of a set is decided before its negatives are made, and each positive, its exact and near
duplicates on either strand and all their shuffles stand on one side of it. The test file is kept
as it is.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from dflm.errors import InputError
from dflm.files import BROKEN_GZIP, open_text, sha256_of, write_gzip_text, write_json
from dflm.sequences.chipseq import EmptySetError, parse_name, read_set
from dflm.sequences.kmers import AMBIGUOUS, decode, encode
from dflm.sequences.leaks import Row, families, remove_leaks
from dflm.sequences.shuffle import dinucleotide_shuffle_list

log = logging.getLogger(__name__)
HEADER = "name\tsequence\tlabel"
_REMAKE = "delete it, and name it as a target of the same command"
_TO_N = str.maketrans("U" + AMBIGUOUS, "T" + "N" * len(AMBIGUOUS))
_COMPLEMENT = str.maketrans("ACGTN", "TGCAN")


def empty_statistics(dataset: str, negatives: str, seed: int) -> dict:
    """Return the statistics of a set of which nothing was read yet.

    Parameters
    ----------
    dataset : str
    negatives : {"shuffle", "genomic", "bed"}
        What its negatives will be.
    seed : int

    Returns
    -------
    dict
        What stats.json holds of every set, counts at 0; `write_parts` adds the sizes of the parts.
    """
    tf, cell_line = parse_name(dataset)
    return {
        "dataset": dataset,
        "negatives": negatives,
        "tf": tf,
        "cell_line": cell_line,
        "seed": seed,
        "width": None,
        "rows": {"train": 0, "test": 0},
        "dropped": dict.fromkeys(("ambiguous", "length", "letters", "beyond_max_peaks"), 0),
        "shared_with_test": 0,
        "near_test": {"positives": 0, "negatives": 0},
        "duplicates": 0,
        "unshuffled": 0,
        "test_kept_with_n": 0,
        "sha256": {},
    }


def split_dataset(
    train_file: str | os.PathLike,
    test_file: str | os.PathLike,
    out_train: str | os.PathLike,
    out_validation: str | os.PathLike,
    out_test: str | os.PathLike,
    stats: str | os.PathLike,
    *,
    dataset: str,
    min_peaks: int,
    max_peaks: int | None,
    validation_fraction: float,
    ambiguous: str,
    negatives_per_positive: int,
    near_duplicate_width: int,
    leaks: str,
    seed: int,
) -> None:
    """Split a set, make its negatives, and count what was kept and dropped.

    Rows are upper-cased; ambiguities become N, and U becomes T. A row with any other letter is
    dropped. Of the training rows, then, those with N are dropped if `ambiguous` says so, those
    that are not of the most common length (of the longest of these) are dropped, and so are
    those that stand in the test file too, on either strand; with `leaks` "remove" also those that
    are near duplicates of its rows, and later the shuffles that are one. Of what is left the first
    `max_peaks` are used, as the rows of a file are ranked, the strongest peak first. Test rows are
    not dropped for N or length. Copies and near duplicates of a training row are kept, all on the
    same side of the split.

    A set that cannot be trained or tested on is skipped: its three tables hold no row, and
    the statistics tell the reason.

    Parameters
    ----------
    train_file, test_file : path-like
        The set's files, see `dflm.sequences.chipseq.read_set`.
    out_train, out_validation, out_test : path-like
        Gzipped tables with the columns name, sequence, label.
    stats : path-like
        JSON: what was read, kept and dropped, and whether the set is "ok" or "skipped".
    dataset : str
        The set's name; the split depends on it and on `seed`.
    min_peaks : int
        Training positives below which the set is skipped.
    max_peaks : int or None
        Training positives to use at most; None uses all.
    validation_fraction : float
        Part of the training positives that goes to validation, above 0 and below 1.
    ambiguous : {"drop", "keep"}
        What becomes of training rows with N.
    negatives_per_positive : int
        Shuffles of each training and validation positive, at least 1.
    near_duplicate_width : int
        Bases that near duplicates share, see `dflm.sequences.leaks`.
    leaks : {"report", "remove"}
        What becomes of near duplicates of test rows.
    seed : int
        Seed of the split and of the shuffles.

    Raises
    ------
    InputError
        If a file is malformed, or the training file holds an unbound row.
    """
    if ambiguous not in ("drop", "keep"):
        raise InputError(f"chipseq.ambiguous is {ambiguous!r}", mend="give 'drop' or 'keep'")
    if not 0 < validation_fraction < 1:
        raise InputError(
            f"chipseq.validation_fraction is {validation_fraction}", mend="above 0 and below 1"
        )
    check_leaks_setting(leaks)
    found = empty_statistics(dataset, "shuffle", seed)
    found["sha256"] = {"train": sha256_of(train_file), "test": sha256_of(test_file)}
    train, train_reason = _read(train_file, "training")
    test, test_reason = _read(test_file, "test")
    found["rows"] = {"train": len(train), "test": len(test)}
    unbound = next((name for name, _, label in train if label == 0), None)
    if unbound is not None:
        raise InputError(
            f"{unbound} has Bound 0; a training file holds positives only",
            train_file,
            "take the rows with Bound 0 out: negatives are made by shuffling",
        )
    test = _clean(test, found["dropped"])
    found["test_kept_with_n"] = sum("N" in sequence for _, sequence, _ in test)
    removal = leaks, [sequence for _, sequence, _ in test], near_duplicate_width
    train = _choose(_clean(train, found["dropped"]), removal, ambiguous, max_peaks, found)
    reason = train_reason or test_reason
    if not reason and len(train) < min_peaks:
        reason = f"{len(train)} training peaks, fewer than chipseq.min_peaks = {min_peaks}"
    if not reason and len({label for *_, label in test}) < 2:
        reason = "the test file holds rows of one label only"
    parts: dict[str, list[Row]] = {"train": [], "validation": [], "test": []}
    if not reason:
        held_out = hold_out(train, validation_fraction, dataset, seed, near_duplicate_width)
        negatives, found["unshuffled"] = shuffles(train, negatives_per_positive, dataset, seed)
        for row, shuffled in zip(train, negatives, strict=True):
            part = parts["validation" if either_strand(row[1]) in held_out else "train"]
            part += [row, *shuffled]
        parts = {part: without_leaks(rows, *removal, found) for part, rows in parts.items()}
        parts["test"] = test
    write_parts(parts, reason, found, (out_train, out_validation, out_test), stats)


def write_parts(
    parts: dict[str, list[Row]],
    reason: str,
    found: dict,
    tables: Sequence[str | os.PathLike],
    stats: str | os.PathLike,
) -> None:
    """Write the three tables of a set, and its statistics.

    Parameters
    ----------
    parts : dict of str to list of (str, str, int)
        Rows (name, sequence, label) of "train", "validation" and "test".
    reason : str
        Why the set is skipped; empty where it is not. A set with fewer than two unlike
        training peaks or without a validation row is skipped too. The tables of a skipped set hold
        no row.
    found : dict
        The statistics so far; status, reason and numbers of rows are filled in.
    tables : sequence of path-like
        Where the training, validation and test table are to stand.
    stats : path-like
        Where the statistics are to stand.
    """
    learnt_from = len({sequence for _, sequence, label in parts["train"] if label})
    if not reason and (learnt_from < 2 or not parts["validation"]):
        reason = "too few unlike training peaks to split off a validation part"
    if reason:
        parts = {part: [] for part in parts}
    found["status"] = "skipped" if reason else "ok"
    found["reason"] = reason or None
    for part, rows in parts.items():
        found[f"{part}_positives"] = sum(label for *_, label in rows)
        found[f"{part}_negatives"] = len(rows) - found[f"{part}_positives"]
    for path, part in zip(tables, ("train", "validation", "test"), strict=True):
        _write(path, parts[part])
    write_json(stats, found)


def read_split(path: str | os.PathLike) -> tuple[list[str], list[str], np.ndarray]:
    """Read a table that `split_dataset` wrote.

    Returns
    -------
    names : list of str
        The rows' names.
    sequences : list of str
        Their sequences, letters of ACGTN.
    labels : numpy.ndarray
        shape=(rows,) int8: 1 bound, 0 not.

    Raises
    ------
    InputError
        If the file is no such table.
    """
    try:
        with open_text(path) as stream:
            # By line feeds alone: other signs that end a line may stand in a name.
            lines = stream.read().removesuffix("\n").split("\n")
    except (*BROKEN_GZIP, UnicodeDecodeError) as error:
        raise InputError(f"the file is damaged ({error})", path, _REMAKE) from None
    rows = [line.split("\t") for line in lines[1:]]
    if lines[:1] != [HEADER] or any(len(row) != 3 or row[2] not in ("0", "1") for row in rows):
        raise InputError("no table of name, sequence and label", path, _REMAKE)
    labels = np.array([int(row[2]) for row in rows], dtype=np.int8)
    return [row[0] for row in rows], [row[1] for row in rows], labels


def either_strand(sequence: str) -> str:
    """Return the smaller, by the alphabet, of an ACGTN sequence and its reverse complement."""
    return min(sequence, sequence.translate(_COMPLEMENT)[::-1])


def leave_out(sequences: Sequence[str], held_out: Iterable[str]) -> tuple[np.ndarray, int]:
    """Choose the sequences that are not among those held out, on either strand.

    Parameters
    ----------
    sequences : sequence of str
        Letters of ACGTN.
    held_out : iterable of str
        What must not be trained on.

    Returns
    -------
    kept : numpy.ndarray
        shape=(kept,) int64, places in `sequences`, ascending.
    left_out : int
        How many were not kept.
    """
    forbidden = {either_strand(sequence) for sequence in held_out}
    kept = [i for i, seq in enumerate(sequences) if either_strand(seq) not in forbidden]
    return np.array(kept, dtype=np.int64), len(sequences) - len(kept)


def check_leaks_setting(leaks: str) -> None:
    """Raise InputError unless it is one that `without_leaks` knows."""
    if leaks not in ("report", "remove"):
        raise InputError(f"chipseq.leaks is {leaks!r}", mend="give 'report' or 'remove'")


def without_leaks(
    rows: list[Row], leaks: str, held_out: Sequence[str], width: int, found: dict
) -> list[Row]:
    """Leave out duplicates of sequences held out, if they are to be removed, and count them.

    Parameters
    ----------
    rows, held_out, width
        See `dflm.sequences.leaks.remove_leaks`.
    leaks : {"report", "remove"}
        With "report" nothing is left out.
    found : dict
        The numbers are added to its ``near_test``.
    """
    if leaks == "report" or not rows:
        return rows
    kept, removed = remove_leaks(rows, held_out, width)
    positives = sum(label for *_, label in rows) - sum(label for *_, label in kept)
    found["near_test"]["positives"] += positives
    found["near_test"]["negatives"] += sum(removed.values()) - positives
    return kept


def hold_out(rows: Sequence[Row], fraction: float, dataset: str, seed: int, width: int) -> set[str]:
    """Choose the sequences that go to validation, exact and near duplicates together.

    A family of duplicates goes as often as a sequence alone, so repeats are no larger a part of
    validation than of the rest. One that would exceed the part wanted by more than half of its
    own size, or that is larger than the whole part, is trained on as long as there is another.

    Parameters
    ----------
    rows : sequence of (str, str, int)
        Name, sequence, label.
    fraction : float
        Part of the rows to hold out, above 0 and below 1; at least one row is.
    dataset : str
        The set's name.
    seed : int
        The choice depends on it, the name, the width and the sequences alone.
    width : int
        Bases that near duplicates share, see `dflm.sequences.leaks.families`.

    Returns
    -------
    set of str
        The sequences held out, each as `either_strand` spells it.
    """
    members: dict[int, list[str]] = {}
    for family, (_, sequence, _) in zip(
        families([sequence for _, sequence, _ in rows], width).tolist(), rows, strict=True
    ):
        members.setdefault(family, []).append(either_strand(sequence))
    # Ranks by a hash, not by a generator: they depend neither on the order of the rows nor on
    # a library's version. One hash a family: the least of its members' would put the large first.
    names = {family: min(copies) for family, copies in members.items()}
    ranks = {family: (hash_of(seed, dataset, name), name) for family, name in names.items()}
    wanted = max(1, round(fraction * len(rows)))
    held_out: set[str] = set()
    taken = 0
    for family in sorted(ranks, key=ranks.__getitem__):
        if taken >= wanted:
            break
        size = len(members[family])
        if size <= wanted and taken + size / 2 <= wanted:
            held_out.update(members[family])
            taken += size
    if not held_out and members:
        least = min(members, key=lambda family: (len(members[family]), ranks[family]))
        held_out.update(members[least])
        taken = len(members[least])
    if 2 * taken < wanted:
        log.warning(
            "%s: only %d of %d wanted rows go to validation, as the others are near duplicates of "
            "each other; what is chosen by them, epochs and thresholds, is uncertain",
            dataset,
            taken,
            wanted,
        )
    return held_out


def shuffles(
    rows: Sequence[Row], per_positive: int, dataset: str, seed: int
) -> tuple[list[list[Row]], int]:
    """Make dinucleotide shuffles of positives.

    Parameters
    ----------
    rows : sequence of (str, str, int)
        Name, sequence, label.
    per_positive : int
        Shuffles of each.
    dataset : str
        The set's name.
    seed : int
        A shuffle depends on seed, name, sequence and place.

    Returns
    -------
    negatives : list of list of (str, str, int)
        The rows made of each positive.
    unshuffled : int
        How many are equal to their positive.
    """
    codes = [encode(sequence) for _, sequence, _ in rows]
    rounds = [
        dinucleotide_shuffle_list(codes, hash_of(seed, dataset, f"shuffle {m}"))
        for m in range(1, per_positive + 1)
    ]
    negatives: list[list[Row]] = [[] for _ in rows]
    unshuffled = 0
    for i, (name, sequence, _) in enumerate(rows):
        for m, shuffled in enumerate(rounds, start=1):
            letters = decode(shuffled[i])
            unshuffled += letters == sequence
            negatives[i].append((f"{name}_shuf{m}", letters, 0))
    return negatives, unshuffled


def hash_of(seed: int, *words: str) -> int:
    """Return 64 bits that depend on the seed and the words alone."""
    text = "\0".join([str(seed), *words])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def _read(path, kind: str) -> tuple[list[Row], str]:
    """Read a file of the set; an empty one gives no row, and the reason to skip the set."""
    try:
        names, sequences, labels = read_set(path)
    except EmptySetError as error:
        return [], f"{kind} file: {error.what}"
    return list(zip(names, sequences, labels.tolist(), strict=True)), ""


def _clean(rows: list[Row], dropped: dict[str, int]) -> list[Row]:
    """Bring sequences to letters of ACGTN; drop and count the rows that hold other letters."""
    kept = []
    for name, raw, label in rows:
        sequence = raw.upper().translate(_TO_N)
        if set(sequence) <= set("ACGTN"):
            kept.append((name, sequence, label))
        else:
            dropped["letters"] += 1
    return kept


def _choose(
    train: list[Row],
    removal: tuple[str, list[str], int],
    ambiguous: str,
    max_peaks: int | None,
    found: dict,
) -> list[Row]:
    """Drop the training rows that the row rule excludes; fill in what was found.

    `removal` is what `without_leaks` asks for: setting, test sequences, width.
    """
    if ambiguous == "drop":
        kept = [row for row in train if "N" not in row[1]]
        found["dropped"]["ambiguous"] = len(train) - len(kept)
        train = kept
    if not train:
        return []
    lengths = Counter(len(sequence) for _, sequence, _ in train)
    width = max(lengths, key=lambda length: (lengths[length], length))
    kept = [row for row in train if len(row[1]) == width]
    found["width"] = width
    found["dropped"]["length"] = len(train) - len(kept)
    chosen, found["shared_with_test"] = leave_out([row[1] for row in kept], removal[1])
    kept = without_leaks([kept[i] for i in chosen], *removal, found)
    found["dropped"]["beyond_max_peaks"] = len(kept[max_peaks:]) if max_peaks else 0
    kept = kept[:max_peaks]
    found["duplicates"] = len(kept) - len({either_strand(sequence) for _, sequence, _ in kept})
    return kept


def _write(path, rows: list[Row]) -> None:
    with write_gzip_text(path) as stream:
        stream.write(HEADER + "\n")
        stream.writelines(f"{name}\t{sequence}\t{label}\n" for name, sequence, label in rows)
