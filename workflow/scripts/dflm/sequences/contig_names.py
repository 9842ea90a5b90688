"""Contigs that peaks and genome name by two customs, and the command that renames them."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from dflm.errors import InputError

_PREFIX = re.compile("chr", re.IGNORECASE)
_ANY_PREFIX = "[Cc][Hh][Rr]"  # not every sed can leave case aside
_ORGANELLES = {
    **dict.fromkeys(("m", "mt", "mito", "mtdna", "mitochondrion", "mitochondrion_genome"), "M"),
    **dict.fromkeys(("c", "pt", "chloroplast"), "C"),
}
"""What the mitochondrial and the chloroplast genome are called, in lower case without prefix."""
_SPECIAL = re.compile(r"[][\\.*^$+?(){}|/]")


def check_names(peaks: Mapping[str, int], genome: Sequence[str], where: object) -> None:
    """Stop where the peaks' contigs and the genome's are named in two ways, or share none.

    Names are the same contig's if they differ in the prefix ``chr`` alone, in its presence or
    its case (``1``, ``chr1``, ``Chr1``), or are usual names of the mitochondrial or of the
    chloroplast genome.

    Parameters
    ----------
    peaks : mapping of str to int
        How many peaks are on each contig.
    genome : sequence of str
        The contigs of the genome.
    where : object
        The file of the peaks, for messages.

    Raises
    ------
    InputError
        With a command that gives the peaks the genome's names, where there is one.
    """
    known = set(genome)
    unknown = [name for name in peaks if name not in known]
    others: dict[str, str] = {}
    for name in genome:
        others.setdefault(_key(name), name)
    renamed = {name: others[key] for name in unknown if (key := _key(name)) in others}
    if renamed:
        what, command = _renaming(renamed, known.intersection(peaks))
        raise InputError(
            f"the peaks name contigs as {listed(list(renamed))}, the genome as "
            f"{listed(list(renamed.values()))}",
            where,
            f"{what} (zcat first, if packed): {command}",
        )
    if unknown and len(unknown) == len(peaks):
        raise InputError(
            f"no peak is on a contig of the genome: the peaks name {listed(unknown)}",
            where,
            f"the genome holds {listed(genome)}, as genome.include and genome.exclude choose",
        )


def listed(names: Sequence[str]) -> str:
    """Return the first six of some names, and how many more there are."""
    more = f" and {len(names) - 6} more" if len(names) > 6 else ""
    return ", ".join(names[:6]) + more


def _bare(name: str) -> str:
    return _PREFIX.sub("", name, count=1) if _PREFIX.match(name) else name


def _key(name: str) -> str:
    """Return what all names of a contig have in common."""
    return _ORGANELLES.get(_bare(name).lower(), _bare(name))


def _renaming(renamed: Mapping[str, str], known: Iterable[str]) -> tuple[str, str]:
    """Return what is to be done to names, in words and as a command of sed.

    The command either gives all lines the genome's prefix, and then sets right those that have
    another name; or it names the contigs that take the prefix. Both leave alone what the genome
    has already (`known`), and on a genome of many scaffolds either can be long: the shorter one
    is told.
    """
    prefixes = {
        name: other.removesuffix(_bare(other))
        for name, other in renamed.items()
        if _bare(other) == _bare(name)
    }
    if not prefixes:
        return "rename the peaks' contigs", _sed([_one(*pair) for pair in renamed.items()])
    prefix = Counter(prefixes.values()).most_common(1)[0][0]
    bare = [_bare(name) for name, of in prefixes.items() if of == prefix]
    if not prefix:
        what = "take the chr off the peaks' contigs"
    elif set(bare) & set(renamed):
        what = f"put {prefix} before the peaks' contigs"
    else:
        what = f"begin the peaks' contigs with {prefix}"
    every = f"s/^({_ANY_PREFIX})?/{prefix}/"
    # Neither what is passed over when peaks are read nor an empty line takes a prefix.
    every = f"/^(#|track|browser|[[:space:]]*$)/!{every}" if prefix else f"s/^{_ANY_PREFIX}//"
    wanted = dict(renamed) | {name: name for name in known}
    after = {prefix + _bare(name): other for name, other in wanted.items()}
    some = "|".join(dict.fromkeys(map(_literal, bare)))
    rest = {name: other for name, other in renamed.items() if prefixes.get(name) != prefix}
    commands = (
        [every, *(_one(*pair) for pair in after.items() if pair[0] != pair[1])],
        [
            f"s/^({_ANY_PREFIX})?({some})([[:blank:]])/{prefix}\\2\\3/",
            *(_one(*pair) for pair in rest.items()),
        ],
    )
    return what, min(map(_sed, commands), key=len)


def _one(name: str, other: str) -> str:
    """Return the command of sed that renames one contig."""
    other = re.sub(r"[\\&/]", r"\\\g<0>", other)
    return f"s/^{_literal(name)}([[:blank:]])/{other}\\1/"


def _literal(name: str) -> str:
    """Return an extended regular expression that matches a name."""
    return _SPECIAL.sub(r"\\\g<0>", name)


def _sed(commands: Iterable[str]) -> str:
    return f"sed -E {shlex.quote('; '.join(commands))}"
