"""What made a result: the versions of this library, of Python and packages, and the git commit."""

from __future__ import annotations

import hashlib
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from dflm import __version__

HERE = Path(__file__).resolve().parent
PACKAGES = ("numpy", "numba", "scipy", "scikit-learn", "safetensors", "matplotlib")
PACKAGES += ("pandas", "pysam", "pyBigWig", "logomaker", "memelite")
"""What results rest on beside torch, which tells its own version."""


def installed(names: Sequence[str]) -> dict[str, str]:
    """Return the versions of packages, as far as they are installed."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def code_digest() -> str:
    """Return a checksum of the files of this library that the process has imported so far."""
    files = {
        module.__file__
        for name, module in sys.modules.items()
        if name.partition(".")[0] == HERE.name and getattr(module, "__file__", None)
    }
    digest = hashlib.sha256()
    for path in sorted(files, key=lambda path: Path(path).resolve().relative_to(HERE).parts):
        digest.update(Path(path).read_bytes())
    return digest.hexdigest()


def made_by() -> dict:
    """Return what a result's record says of the software that made it.

    The same software says the same at any time and in any folder, so that a record of it may
    stand in files of which two runs are to have the same bytes.

    Returns
    -------
    dict
        ``dflm_version``, ``dflm_commit`` and ``dflm_modified`` (see `commit_of_workflow`),
        ``python_version``, and ``packages``, the versions of those of `PACKAGES` that are there.
    """
    commit, modified = commit_of_workflow()
    return {
        "dflm_version": __version__,
        "dflm_commit": commit,
        "dflm_modified": modified,
        "python_version": platform.python_version(),
        "packages": installed(PACKAGES),
    }


@lru_cache(maxsize=1)
def commit_of_workflow() -> tuple[str | None, bool | None]:
    """Return `commit_of` this library, as it was when this process first asked."""
    return commit_of(HERE)


def commit_of(library: Path) -> tuple[str | None, bool | None]:
    """Return the git commit that the library is of, and whether the workflow differs from it.

    Both are None where there is no git, or the library is not among the files that the repository
    around it tracks: an installed copy below someone's project is not of that project's commit.

    Parameters
    ----------
    library : Path
        The folder of this library, two below that of the workflow.
    """
    git = shutil.which("git")
    if git is None:
        return None, None

    def ask(*words: str) -> str | None:
        command = [git, "--no-optional-locks", "-C", str(library), *words]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        return None if ended.returncode else ended.stdout

    if ask("ls-files", "--error-unmatch", "__init__.py") is None:
        return None, None
    commit = ask("rev-parse", "--verify", "--quiet", "HEAD")
    changes = ask("status", "--porcelain", "--", str(library.parents[1]))
    if commit is None or changes is None:
        return None, None
    return commit.strip(), bool(changes)
