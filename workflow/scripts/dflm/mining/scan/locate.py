"""Where in a called window the site lies, and on which strand: the best match of a motif."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from dflm.mining.genomes import Genome
from dflm.mining.motifs.motif import Motif, scan_scores

LOCATED_COLUMNS = ("motif", "site_start", "site_end", "motif_score")


def locator(genome: Genome, motifs: Sequence[Motif]) -> Callable[[str, int, int], tuple[str, ...]]:
    """Return what finds the best match of motifs in a window of a genome.

    Parameters
    ----------
    genome : Genome
    motifs : sequence of Motif
        At least one. Names that begin with ``neg`` speak against binding and are passed over.

    Returns
    -------
    callable
        Given contig, start and end it returns the strand, and the values of `LOCATED_COLUMNS`:
        the motif's name, where the match starts and ends, and its log2 ratio to uniform bases.
        All are ``.`` where no motif fits into the window.
    """
    weights = [(m.name.split()[0], m.log_odds()) for m in motifs if not m.name.startswith("neg")]

    def locate(contig: str, start: int, end: int) -> tuple[str, ...]:
        codes = genome.codes(contig, start, end)[None]
        found = (-np.inf, ".", ".", 0, 0)
        for name, matrix in weights:
            for strand, turned in (("+", matrix), ("-", matrix[::-1, ::-1])):
                scores = scan_scores(codes, turned)[0]
                if scores.size and scores.max() > found[0]:
                    at = start + int(scores.argmax())
                    found = (float(scores.max()), strand, name, at, at + len(matrix))
        score, strand, name, first, last = found
        if name == ".":
            return (".",) * 5
        return strand, name, str(first), str(last), f"{score:.4g}"

    return locate
