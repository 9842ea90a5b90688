"""A file of peaks as training, validation and test sequences with labels.

Whole contigs are held out for the test, positives and negatives alike; the other peaks are
divided into training and validation before any negative is made.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence

import numpy as np

from dflm.errors import InputError
from dflm.files import sha256_of
from dflm.sequences.backgrounds import gc_counts, genomic_windows, given_windows
from dflm.sequences.bed import read_peaks
from dflm.sequences.genome import GenomeIndex
from dflm.sequences.kmers import N, decode
from dflm.sequences.leaks import Row
from dflm.sequences.peaks import (
    Placed,
    Windows,
    cut_windows,
    held_out_contigs,
    place_peaks,
    window_names,
)
from dflm.sequences.splits import (
    check_leaks_setting,
    either_strand,
    empty_statistics,
    hash_of,
    hold_out,
    leave_out,
    shuffles,
    without_leaks,
    write_parts,
)

log = logging.getLogger(__name__)

SIDES = ("train", "test")
FEW = 50
"""Test peaks below which the log warns: an AUROC of so few says little."""


def split_peaks(
    peaks_file: str | os.PathLike,
    negatives_file: str | os.PathLike | None,
    index: str | os.PathLike,
    contigs: str | os.PathLike,
    out_train: str | os.PathLike,
    out_validation: str | os.PathLike,
    out_test: str | os.PathLike,
    stats: str | os.PathLike,
    *,
    dataset: str,
    seed: int,
    min_peaks: int,
    max_peaks: int | None,
    validation_fraction: float,
    ambiguous: str,
    negatives_per_positive: int | None,
    near_duplicate_width: int,
    leaks: str,
    width: int,
    test: Sequence[str] | None,
    negatives: str | None,
    distance: int | None,
    gc_tolerance: float | None,
) -> None:
    """Cut a set's peaks out of the genome, split them, and find or make their negatives.

    The tables are those of `dflm.sequences.splits.split_dataset`, and so are the keys of the
    statistics. A row is called ``contig:start-end`` (a shuffle has ``_shuf1`` behind it).

    Peaks that overlap and whose file tells no summit are merged, see
    `dflm.sequences.peaks.place_peaks`.

    Negatives are: dinucleotide shuffles of the positives; or windows of the genome, see
    `dflm.sequences.backgrounds.genomic_windows`, from the test contigs for the test and from the
    others for training and validation; or, where there is a file of them, windows around
    the middles of its intervals, all of which are used, but for those that overlap a peak.
    Of genomic windows, those that hold N are dropped, positives too, and so are negatives with
    the sequence of a positive or of another negative.

    Parameters
    ----------
    peaks_file : path-like
        BED or narrowPeak, see `dflm.sequences.bed.read_peaks`.
    negatives_file : path-like or None
        BED of the user's own negatives; wins over `negatives`.
    index, contigs : path-like
        The genome, see `dflm.sequences.genome.GenomeIndex`.
    out_train, out_validation, out_test : path-like
        Gzipped tables with the columns name, sequence, label.
    stats : path-like
        JSON: what was read, kept and dropped, and whether the set is "ok" or "skipped";
        ``negatives`` is "shuffle", "genomic" or "bed".
    dataset : str
        The set's name.
    seed : int
        Seed of the split and of the negatives.
    min_peaks, max_peaks, validation_fraction, ambiguous, negatives_per_positive
        See `dflm.sequences.splits.split_dataset`; the first peaks are here the strongest, and of
        equally strong ones some drawn at random. In the test there is one negative for each
        positive. Here `ambiguous` goes for the test too.
    near_duplicate_width, leaks
        See `dflm.sequences.splits.split_dataset`.
    width : int
        Bases of a sequence.
    test : sequence of str, optional
        Contigs for the test, names or glob patterns; None takes the genome's validation contigs.
    negatives : {"genomic", "shuffle"}
        Which kind. This and the two below, and `negatives_per_positive`, may be None where the
        kind of negatives makes no use of them.
    distance : int
        Bases at least between a genomic negative and any peak.
    gc_tolerance : float
        Largest difference in GC content between a genomic negative and its positive, 0 to 1.

    Raises
    ------
    InputError
        If a file is malformed, names its contigs otherwise than the genome, or leaves too few
        negatives.
    """
    check_leaks_setting(leaks)
    genome = GenomeIndex.load(index, contigs)
    held_out = held_out_contigs(genome, test)
    _warn_of_read_contigs(genome, held_out, dataset)
    peaks = read_peaks(peaks_file)
    placed = place_peaks(peaks, genome, width, peaks_file, merge=True)
    if placed.dropped["merged"]:
        log.info(
            "%s: %d peaks without a summit were merged with others that they overlap",
            *(dataset, placed.dropped["merged"]),
        )
    kind = "bed" if negatives_file is not None else negatives
    found = empty_statistics(dataset, kind, seed)
    found |= {
        "width": width,
        "format": peaks.kind,
        "rows": {side: int((held_out[placed.contigs] == (side == "test")).sum()) for side in SIDES},
        "dropped": placed.dropped | found["dropped"],
        "dropped_names": placed.named,
        "test_contigs": [name for name, out in zip(genome.contigs(), held_out, strict=True) if out],
        "sha256": {"peaks": sha256_of(peaks_file)},
    }
    windows, codes, whole = _without_n(
        placed.windows, genome, kind == "shuffle" and ambiguous == "keep", found["dropped"]
    )
    rows = _rows(windows, codes, genome, 1)
    in_test = held_out[windows.contigs]
    test_rows = [row for row, out in zip(rows, in_test, strict=True) if out]
    found["test_kept_with_n"] = sum("N" in sequence for _, sequence, _ in test_rows)
    apart = leaks, [sequence for _, sequence, _ in test_rows], near_duplicate_width
    training = _unlike_test(np.flatnonzero(~in_test), rows, apart, found)
    training = _strongest(training, placed.strengths[whole], rows, max_peaks, found)
    train_rows = [rows[i] for i in training]
    found["duplicates"] = len(train_rows) - len({either_strand(row[1]) for row in train_rows})
    parts: dict[str, list[Row]] = {part: [] for part in ("train", "validation", "test")}
    reason = _reason_to_skip(len(peaks), train_rows, test_rows, min_peaks, found)
    if not reason:
        hidden = hold_out(train_rows, validation_fraction, dataset, seed, near_duplicate_width)
        sides = ["validation" if either_strand(row[1]) in hidden else "train" for row in train_rows]
        for part, row in zip(sides, train_rows, strict=True):
            parts[part].append(row)
        parts["test"] = test_rows
        # Without a training or a validation peak write_parts skips the set.
        if parts["train"] and parts["validation"] and kind == "shuffle":
            _add_shuffles(parts, sides, train_rows, negatives_per_positive, found)
        elif parts["train"] and parts["validation"]:
            if kind == "bed":
                made = _given(
                    negatives_file,
                    genome,
                    held_out,
                    placed,
                    (validation_fraction, near_duplicate_width),
                    found,
                )
            else:
                gc = gc_counts(codes)
                made = _matched(
                    genome,
                    held_out,
                    placed,
                    {"train": np.repeat(gc[training], negatives_per_positive), "test": gc[in_test]},
                    np.repeat(sides, negatives_per_positive),
                    (distance, int(gc_tolerance * width + 1e-9)),
                    found,
                )
            _add_unlike(parts, made, found, negatives_file or peaks_file)
        in_test_part = [sequence for _, sequence, _ in parts["test"]]
        for part in ("train", "validation"):
            parts[part] = without_leaks(
                parts[part], leaks, in_test_part, near_duplicate_width, found
            )
        if len(test_rows) < FEW:
            log.warning("%s: only %d peaks to test on", dataset, len(test_rows))
    write_parts(parts, reason, found, (out_train, out_validation, out_test), stats)


def _warn_of_read_contigs(genome: GenomeIndex, held_out: np.ndarray, dataset: str) -> None:
    """Say which test contigs a pretraining reads: peaks.test may name others than it spares."""
    names = [name for name, out in zip(genome.contigs(), held_out, strict=True) if out]
    read = sorted(set(names) - set(genome.contigs("validation")))
    if read:
        log.warning(
            "%s: the test contigs %s are no validation contigs of the genome: a pretraining on it "
            "reads them, without labels; name them in genome.validation too",
            *(dataset, ", ".join(read[:6]) + (", .." if len(read) > 6 else "")),
        )


def _without_n(
    windows: Windows, genome: GenomeIndex, keep: bool, dropped: dict[str, int]
) -> tuple[Windows, np.ndarray, np.ndarray]:
    """Return windows, their bases and which they are; those with N are dropped and counted."""
    codes = cut_windows(windows, genome)
    whole = (codes < N).all(axis=1) | keep
    dropped["ambiguous"] = int((~whole).sum())
    return windows.take(whole), codes[whole], whole


def _unlike_test(
    places: np.ndarray, rows: list[Row], apart: tuple[str, list[str], int], found: dict
) -> np.ndarray:
    """Return the places of the training peaks that are no test peak, nor near one if so asked for.

    `apart` is what becomes of near duplicates, the test's sequences and the width of a duplicate.
    """
    leaks, of_test, width = apart
    kept, found["shared_with_test"] = leave_out([rows[i][1] for i in places], of_test)
    places = places[kept]
    unlike = {
        row[0] for row in without_leaks([rows[i] for i in places], leaks, of_test, width, found)
    }
    return np.array([i for i in places if rows[i][0] in unlike], dtype=np.int64)


def _strongest(
    places: np.ndarray, strengths: np.ndarray, rows: list[Row], most: int | None, found: dict
) -> np.ndarray:
    """Return the places of the strongest peaks, at most so many, in the order they had.

    Of equally strong ones, as all are in a BED file without scores, the first on the genome
    would be those of a contig or two: their names' hashes decide.
    """
    if most is None or len(places) <= most:
        return places
    dataset, strengths = found["dataset"], strengths[places]
    found["dropped"]["beyond_max_peaks"] = len(places) - most
    hashes = [hash_of(found["seed"], dataset, "strongest", rows[i][0]) for i in places]
    ranked = np.lexsort((np.array(hashes, dtype=np.uint64), -strengths))
    least = strengths[ranked[most - 1]]
    if strengths[ranked[most]] == least:
        equal = strengths == least
        drawn = int(equal[ranked[:most]].sum())
        found["drawn_of_equal"] = {"drawn": drawn, "equal": int(equal.sum())}
        log.warning(
            "%s: the limit of chipseq.max_peaks lies among %d equally strong peaks, of which %d "
            "are drawn at random",
            *(dataset, int(equal.sum()), drawn),
        )
    return places[np.sort(ranked[:most])]


def _rows(windows: Windows, codes: np.ndarray, genome: GenomeIndex, label: int) -> list[Row]:
    names = window_names(windows, genome)
    return [(name, decode(bases), label) for name, bases in zip(names, codes, strict=True)]


def _reason_to_skip(read: int, train: list[Row], test: list[Row], least: int, found: dict) -> str:
    if not read:
        return "the file holds no peak"
    if len(train) < least:
        return f"{len(train)} training peaks, fewer than chipseq.min_peaks = {least}"
    if not test:
        shown = ", ".join(found["test_contigs"][:6])
        return f"no peak to test on: none that can be used is on {shown} (peaks.test)"
    return ""


def _add_shuffles(parts, sides, train_rows, per_positive, found) -> None:
    """Put the shuffles of each positive into its part."""
    dataset, seed = found["dataset"], found["seed"]
    negatives, equal = shuffles(train_rows, per_positive, dataset, seed)
    for part, rows in zip(sides, negatives, strict=True):
        parts[part] += rows
    of_test, equal_too = shuffles(parts["test"], 1, f"{dataset}\0test", seed)
    parts["test"] = parts["test"] + [row for rows in of_test for row in rows]
    found["unshuffled"] = equal + equal_too


def _matched(
    genome: GenomeIndex,
    held_out: np.ndarray,
    placed: Placed,
    wanted: dict[str, np.ndarray],
    parts_wanted: np.ndarray,
    limits: tuple[int, int],
    found: dict,
) -> dict[str, list[Row]]:
    """Draw genomic negatives with the GC counts wanted, from the test contigs and the others.

    `parts_wanted` says for each one of the training contigs to which part it belongs; `limits`
    are the distance from peaks and the tolerance.
    """
    made: dict[str, list[Row]] = {"train": [], "validation": [], "test": []}
    found["background"] = {}
    for side in SIDES:
        windows, which = genomic_windows(
            genome,
            held_out == (side == "test"),
            wanted[side],
            placed.windows.width,
            avoid=(placed.contigs, placed.starts, placed.ends),
            distance=limits[0],
            tolerance=limits[1],
            seed=hash_of(found["seed"], found["dataset"], side, "negatives"),
        )
        codes = cut_windows(windows, genome)
        off = np.abs(gc_counts(codes) - wanted[side][which])
        number, where = wanted[side].size, "test" if side == "test" else "training"
        found["background"][side] = {
            "wanted": number,
            "found": len(windows),
            "largest_gc_difference": int(off.max(initial=0)) / placed.windows.width,
        }
        if 2 * len(windows) < number:
            raise InputError(
                f"only {len(windows)} genomic negatives were found for the {number} wanted on the "
                f"{where} contigs",
                found["dataset"],
                "lower peaks.distance, raise peaks.gc_tolerance, hold out other contigs by "
                "peaks.test, or take peaks.negatives: shuffle",
            )
        if len(windows) < number:
            log.warning(
                "%s: %d of %d genomic negatives found on the %s contigs",
                *(found["dataset"], len(windows), number, where),
            )
        belongs = np.repeat("test", number) if side == "test" else parts_wanted
        for part, row in zip(belongs[which], _rows(windows, codes, genome, 0), strict=True):
            made[part].append(row)
    return made


def _given(path, genome, held_out, placed, division, found) -> dict[str, list[Row]]:
    """Cut the user's negatives out of the genome and divide them as the positives are.

    `division` is the part for validation and the width of near duplicates.
    """
    windows, found["background"] = given_windows(path, genome, placed)
    windows, codes, _ = _without_n(windows, genome, False, found["background"]["dropped"])
    found["sha256"]["negatives"] = sha256_of(path)
    made: dict[str, list[Row]] = {"train": [], "validation": [], "test": []}
    in_test = held_out[windows.contigs]
    rows = _rows(windows, codes, genome, 0)
    training = [row for row, out in zip(rows, in_test, strict=True) if not out]
    fraction, width = division
    hidden = hold_out(training, fraction, found["dataset"], found["seed"], width)
    for row in training:
        made["validation" if either_strand(row[1]) in hidden else "train"].append(row)
    made["test"] = [row for row, out in zip(rows, in_test, strict=True) if out]
    return made


def _add_unlike(parts, made, found, where) -> None:
    """Put negatives behind the positives, without those that stand there as another row."""
    taken = {either_strand(sequence) for rows in parts.values() for _, sequence, _ in rows}
    repeated = 0
    for part in ("test", "validation", "train"):
        rows = []
        for row in made[part]:
            if (sequence := either_strand(row[1])) not in taken:
                taken.add(sequence)
                rows.append(row)
        repeated += len(made[part]) - len(rows)
        if parts[part] and not rows:
            raise InputError(
                f"no negative is left for the {part} part",
                where,
                "give more of them, on the test contigs (peaks.test) and on others",
            )
        parts[part] = parts[part] + rows
    found["background"]["repeats_left_out"] = repeated
