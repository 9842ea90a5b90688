"""The one exception that a wrong input raises."""

from __future__ import annotations

_LONGEST = 400
"""Letters of what is wrong at most: what a file holds may be quoted, and be of any length."""


class InputError(ValueError):
    """A file, a setting or an address given by the user is wrong.

    Its message is all that the user sees, so it names the thing, says what is wrong with it
    and how to mend it.

    Parameters
    ----------
    what : str
        What is wrong, as a clause: ``"row 7 has 3 fields, not 4"``.
    where : str or path-like, optional
        The file, address or setting it was found in.
    mend : str, optional
        What the user can do about it.

    Examples
    --------
    >>> str(InputError("the file is empty", "genome.fa", "download it again"))
    'genome.fa: the file is empty; download it again'
    """

    def __init__(self, what: str, where: object = None, mend: str | None = None):
        self.what = _shown(what)
        self.where = None if where is None else str(where)
        self.mend = mend
        message = self.what if where is None else f"{_shown(self.where)}: {self.what}"
        super().__init__(message if mend is None else f"{message}; {mend}")

    def __reduce__(self):
        return type(self), (self.what, self.where, self.mend)


def _shown(text: str) -> str:
    """Return a text fit for a terminal: no control character, and a long one without its middle."""
    if len(text) > _LONGEST:
        half = _LONGEST // 2 - 2
        text = f"{text[:half]} .. {text[-half:]}"
    return "".join(c if c.isprintable() or c in "\n\t" else repr(c)[1:-1] for c in text)
