"""Numbers in English prose."""

from collections.abc import Sequence


def number(value: float) -> str:
    """Spell a whole number with commas: 12,345."""
    return f"{value:,}"


def count(value: int, one: str, many: str | None = None) -> str:
    """Spell a number of things: ``1 layer``, ``6 layers``."""
    return f"{number(value)} {one if value == 1 else many or one + 's'}"


def spelled(value: int) -> str:
    """Spell a whole number as a word up to nine, with commas above."""
    words = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    return words[value] if value < len(words) else number(value)


def part(value: float) -> str:
    """Spell a share in percent, without zeros that say nothing: 0.1 is ``10 %``."""
    return f"{100 * value:.6g} %"


def listed(items: Sequence[str], last: str = "and") -> str:
    """Join words as a sentence does: ``a, b and c``."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {last} {items[-1]}"
