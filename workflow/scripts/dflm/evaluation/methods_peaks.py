"""What a methods section says of sets that are given as peaks: what was left out, test contigs."""

from collections import Counter
from collections.abc import Mapping, Sequence

from dflm.evaluation.prose import count, listed, number

LEFT_OUT = {
    "unknown_contig": "on contigs that were not used",
    "beyond_contig_end": "that reached beyond the end of a contig",
    "window_off_end": "with a window over the end of a contig",
    "merged": "that had no summit and became part of one that overlapped",
    "overlap": "with a window that overlapped one that was kept",
    "ambiguous": "with N in the window",
    "on_a_peak": "on a peak",
    "repeats_left_out": "with a sequence that stood there already",
}
"""Why a peak, or a negative of a BED file, was not used, by the key of its number."""
TOLD_APART = ("beyond_max_peaks",)
"""Keys of numbers that have a sentence of their own."""


def left_out(what: str, dropped: Sequence[Mapping[str, int]]) -> str:
    """Say how many peaks or negatives of some sets were left out, and why; nothing for none.

    Parameters
    ----------
    what : str
        What they are, behind "Of the": ``peaks``.
    dropped : sequence of mapping
        Numbers by reason, of each set.
    """
    numbers: Counter[str] = Counter()
    for one in dropped:
        numbers.update({key: n for key, n in one.items() if n and key not in TOLD_APART})
    if not numbers:
        return ""
    # In the order of LEFT_OUT, whatever that of the sets; a reason that it lacks stands last.
    reasons = [
        f"{number(numbers[key])} "
        + LEFT_OUT.get(key, f"for another reason ({key.replace('_', ' ')})")
        for key in (*LEFT_OUT, *sorted(set(numbers) - set(LEFT_OUT)))
        if numbers[key]
    ]
    whole = sum(numbers.values())
    return f" Of the {what}, {number(whole)} {was(whole)} left out: {listed(reasons)}."


def was(value: int) -> str:
    """Return the verb of a number of things."""
    return "was" if value == 1 else "were"


def unusable(used: Sequence[Mapping]) -> str:
    """Say which of the user's own negatives were left out; nothing for none."""
    given = [one["background"] for one in used if one["negatives"] == "bed"]
    return left_out(
        "intervals",
        [one["dropped"] | {"repeats_left_out": one["repeats_left_out"]} for one in given],
    )


def contigs_tested(sets_of: Sequence[Mapping]) -> list[str]:
    """Return the contigs that the peaks of some sets were tested on."""
    return sorted({name for one in sets_of for name in one.get("test_contigs", [])})


def contigs_in_words(names: Sequence[str], most: int = 12) -> str:
    """Name contigs, or tell how many they are, if more than `most`."""
    return listed(names) if len(names) <= most else count(len(names), "contig")


def read_in_test(config: Mapping, facts: Mapping, held_out: Sequence[str]) -> str:
    """Name the contigs of the tests that the language model has read; nothing for none.

    Parameters
    ----------
    config, facts : mapping
        See `dflm.evaluation.methods_text.methods_text`.
    held_out : sequence of str
        The contigs that it was judged on, and has not learnt from.
    """
    used = [one for one in facts["stats"] if one["status"] == "ok"]
    names = [name for name in contigs_tested(used) if name not in held_out]
    if not names:
        return ""
    rest = "the rest of " if config["genome"]["leaks"] == "remove" else ""
    return (
        f"Of the test contigs, {contigs_in_words(names)} {was(len(names))} not held out of it: the "
        f"language model had read {rest}{'its' if len(names) == 1 else 'their'} sequence, without "
        "labels. "
    )
