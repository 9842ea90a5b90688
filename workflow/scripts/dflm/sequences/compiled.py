"""Compiling a function with numba, wherever the library happens to stand."""

from __future__ import annotations

import functools
from collections.abc import Callable


def compiled(function: Callable) -> Callable:
    """Compile a function for one core at its first call, keeping the machine code on disk.

    Not before, as numba takes half a second to import, and most processes only read with a
    module whose functions they never call.
    """
    return _Compiled(function)


class _Compiled:
    """Stands for a function until it is called."""

    def __init__(self, function: Callable) -> None:
        self.function = function
        functools.update_wrapper(self, function)

    @functools.cached_property
    def code(self) -> Callable:
        return _compile(self.function)

    def __call__(self, *args: object) -> object:
        # Compiled code can call nothing but compiled code, so the others of the module, which
        # are globals of this function, take their compiled form together with it.
        names = self.function.__globals__
        for name, value in names.items():
            if isinstance(value, _Compiled):
                names[name] = value.code
        return self.code(*args)


def _compile(function: Callable) -> Callable:
    """Return numba's form of a function.

    Numba refuses to compile at all when it may cache and finds no folder it can write to
    (neither ``NUMBA_CACHE_DIR``, nor beside the module, nor the user's cache), as under a
    read-only container; then the function is compiled anew by each process.
    """
    import numba

    try:
        return numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:
        return numba.njit(nogil=True)(function)
