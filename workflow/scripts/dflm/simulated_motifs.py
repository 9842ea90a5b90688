"""The demo's motif database: the planted motifs among random ones, in MEME's format."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from dflm.files import atomic_path

DECOYS = 60
"""Random motifs: the p-values of a comparison rest on what else there is to be like."""
WIDTHS = (7, 15)
KEPT = (0.5, 0.95)


def decoy_matrices(rng: np.random.Generator, number: int = DECOYS) -> dict[str, np.ndarray]:
    """Draw random motifs, each place of which keeps one base.

    Returns
    -------
    dict of str to numpy.ndarray, shape=(width, 4)
        Rows sum to 1.
    """
    found = {}
    for count in range(1, number + 1):
        width = int(rng.integers(*WIDTHS))
        kept = rng.uniform(*KEPT, size=width)
        matrix = np.repeat((1 - kept)[:, None] / 4, 4, axis=1)
        matrix[np.arange(width), rng.integers(4, size=width)] += kept
        found[f"random_{count:02d}"] = matrix
    return found


def write_matrices(path: Path, matrices: Mapping[str, np.ndarray]) -> None:
    """Write matrices by name, each shape=(width, 4), as a MEME file, version 4."""
    lines = ["MEME version 4", "", "ALPHABET= ACGT", "", "strands: + -", ""]
    for name, matrix in matrices.items():
        lines += [f"MOTIF {name}", f"letter-probability matrix: alength= 4 w= {len(matrix)}"]
        lines += [" ".join(f"{p:.6f}" for p in row) for row in matrix]
        lines.append("")
    with atomic_path(path) as temporary:
        temporary.write_text("\n".join(lines), encoding="utf-8")
