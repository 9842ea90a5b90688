"""Try all bad input, and print what came of it as Markdown: ``make bad-input``.

The first table is the corpus: malformed inputs, each of which has to be refused by its own message.
The second is every parser on files that are spoilt at random, the same ones each time.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import bad_addresses
import bad_baselines
import bad_cases
import bad_mining
import bad_models
import bad_sequences
import bad_settings
from dflm.errors import InputError
from hypothesis import HealthCheck, Phase, given, settings
from parsers import PARSERS, Parser, spoilt
from runs import write_folder

MODULES = (bad_sequences, bad_models, bad_baselines, bad_mining, bad_addresses, bad_settings)
WORDS = (
    bad_cases.REJECTED,
    bad_cases.ACCEPTED,
    bad_cases.UNCLEAR,
    bad_cases.UNCLEAN,
    bad_cases.CRASHED,
)
_NO_SHRINKING = (Phase.explicit, Phase.generate)


def try_corpus() -> dict[str, Counter]:
    """Return, by kind, how many cases came to each of `WORDS`; tell of those not rejected well."""
    found: dict[str, Counter] = {}
    for case in (case for module in MODULES for case in module.CASES):
        with tempfile.TemporaryDirectory(prefix="bad_") as folder:
            os.chdir(folder)
            word, told = bad_cases.attempt(case, Path(folder))
            os.chdir("/")
        found.setdefault(case.kind, Counter())[word] += 1
        if word != bad_cases.REJECTED:
            print(f"{case}: {word}: {told}", file=sys.stderr)
    return found


def try_parser(parser: Parser, examples: int) -> Counter:
    """Return how many spoilt files a parser read, refused and crashed at; tell of the last."""
    counts: Counter = Counter()
    with tempfile.TemporaryDirectory(prefix="bad_") as folder:
        if parser in bad_settings.PARSERS:
            write_folder(Path(folder))
        path = Path(folder, "in")

        @settings(
            max_examples=max(1, examples // parser.cost),
            database=None,
            deadline=None,
            derandomize=True,
            phases=_NO_SHRINKING,
            suppress_health_check=list(HealthCheck),
        )
        @given(spoilt(parser))
        def each(content: bytes) -> None:
            path.write_bytes(content)
            try:
                parser.read(path)
                counts["read"] += 1
            except InputError:
                counts["refused"] += 1
            except Exception as error:
                counts["crashed"] += 1
                print(f"{parser.name}: {type(error).__name__}: {error}", file=sys.stderr)

        each()
    return counts


def print_table(head: str, columns: tuple[str, ...], found: dict[str, Counter]) -> int:
    """Print a table with a sum below it; return the number of what was tried."""
    print(f"| {head} | tried | " + " | ".join(columns) + " |")
    print("|---" * (len(columns) + 2) + "|")
    rows = [*found.items(), ("**all**", sum(found.values(), Counter()))]
    for name, counts in rows:
        numbers = (sum(counts.values()), *(counts[word] for word in columns))
        print(f"| {name} | " + " | ".join(f"{number:,}" for number in numbers) + " |")
    return sum(rows[-1][1].values())


def main() -> int:
    """Run the program; the exit code says whether all was as it should be."""
    program = argparse.ArgumentParser(description=__doc__)
    program.add_argument(
        "--examples", type=int, default=300, help="spoilt files a parser; default %(default)s"
    )
    args = program.parse_args()
    logging.disable(logging.CRITICAL)
    start = time.monotonic()
    corpus = try_corpus()
    tried = print_table("bad input", WORDS, corpus)
    print(f"\n{tried} cases in {time.monotonic() - start:.0f} s\n")
    start = time.monotonic()
    spoiled = {
        parser.name: try_parser(parser, args.examples)
        for parser in [*PARSERS, *bad_settings.PARSERS]
    }
    tried = print_table("parser", ("read", "refused", "crashed"), spoiled)
    print(f"\n{tried} spoilt files in {time.monotonic() - start:.0f} s")
    wrong = sum(sum(c.values()) - c[bad_cases.REJECTED] for c in corpus.values())
    return int(bool(wrong or any(counts["crashed"] for counts in spoiled.values())))


if __name__ == "__main__":
    sys.exit(main())
