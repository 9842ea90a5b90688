"""Compiling a function with numba, wherever the library happens to stand."""

from __future__ import annotations

from collections.abc import Callable

import numba


def compiled(function: Callable) -> Callable:
    """Compile a function for one core, keeping the machine code on disk where that is possible.

    Numba refuses to compile at all when it may cache and finds no folder it can write to
    (neither ``NUMBA_CACHE_DIR``, nor beside the module, nor the user's cache), as under a
    read-only container; then the function is compiled anew by each process.
    """
    try:
        return numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:
        return numba.njit(nogil=True)(function)
