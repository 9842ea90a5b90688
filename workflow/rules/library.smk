"""The library as input of the rules whose scripts import it."""

import ast
import os
from functools import lru_cache
from pathlib import PurePosixPath

# Where this file lies: a folder, or an address when the workflow is used from elsewhere.
RULES = workflow.current_basedir.get_path_or_uri(secret_free=True)
# A storage provider takes every plain path for one of its own.
LOCAL = os.path.isdir(RULES) and not workflow.storage_settings.default_storage_provider
# What a module that uses this workflow puts before the paths of all rules; nothing otherwise.
PREFIX = getattr(workflow.modifier.path_modifier, "prefix", None) or ""


def outside(path):
    """Return the path of a file that is none of the workflow's results, so that no prefix is put before."""
    return (
        local(path) if PREFIX and not workflow.storage_settings.default_storage_provider else path
    )


def placed(path):
    """Return where a result stands, for params: Snakemake puts the prefix before inputs and outputs only."""
    return f"{PREFIX}{path}"


@lru_cache(maxsize=None)
def source_of(path):
    """Return where a file of workflow/scripts/ can be read, or None if there is none.

    workflow.source_path copies, for each run of Snakemake, and scripts import the copies: what
    numba and Python compiled, which they keep beside a module, would be lost with every run.
    """
    if LOCAL:
        file = os.path.normpath(os.path.join(RULES, "..", "scripts", path))
        return file if os.path.isfile(file) else None
    try:
        return workflow.source_path(f"../scripts/{path}")
    except (OSError, WorkflowError):
        return None


@lru_cache(maxsize=None)
def imports_of(path):
    """Return the library files that a file imports itself, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(Path(source_of(path)).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = PurePosixPath(path).parents[node.level - 1]
                base = ".".join([*package.parts, *filter(None, [node.module])])
            names.update([base, *(f"{base}.{alias.name}" for alias in node.names)])
    found = set()
    for name in names:
        parts = name.split(".")
        if parts[0] != "dflm":
            continue
        # `import dflm.a.b` runs the packages above it too; the last part may be no module but a
        # name within one.
        for depth in range(1, len(parts) + 1):
            stem = "/".join(parts[:depth])
            found.update(filter(source_of, [f"{stem}/__init__.py"]))
            if source_of(f"{stem}.py"):
                found.add(f"{stem}.py")
                break
    return frozenset(found)


@lru_cache(maxsize=None)
def library_files(script):
    """Return the names of all library files that a script imports, directly or not."""
    todo, seen = [script], set()
    while todo:
        new = imports_of(todo.pop()) - seen
        seen |= new
        todo += new
    return tuple(sorted(seen))


def library(script):
    """Return the library files of a script as input of its rule.

    Snakemake reruns a job when its script changes, but knows nothing of the script's imports;
    as inputs they count, for reruns and for the between-workflow cache. Files of a local workflow
    are named relative to the working directory: then moving both, or a change of their dates
    alone, reruns nothing, as Snakemake compares small inputs by their content. (Of the scripts
    themselves, which import them, it looks at the dates.)
    """
    files = []
    for path in library_files(script):
        file = source_of(path)
        files.append(outside(os.path.relpath(file)) if LOCAL else file)
    return files
