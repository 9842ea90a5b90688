"""Motifs by TF-MoDISco: clusters of the stretches of sequence that carry credit.

Shrikumar et al., "Technical Note on TF-MoDISco", arXiv:1811.00416; by the package modisco-lite.
"""

from __future__ import annotations

import importlib.util
import logging

import numpy as np

from dflm.errors import InputError
from dflm.mining.attribution.files import AttributionSet
from dflm.mining.motifs.motif import Motif

log = logging.getLogger(__name__)

SLIDING, FLANK = 15, 5
"""Bases of a stretch and of the flanks added to it; less than the package's, for short windows."""
LEAST_WIDTH, LEAST_SEQLETS = 40, 100
MOST_SEQLETS = 5000
MARGIN = 10
"""Empty places put before and after each sequence: stretches that a motif with its flanks makes
reach beyond the end would be dropped, which are most of those in a short window."""
_PAD, _SHARE = 2, 0.25


def is_installed() -> bool:
    """Say whether the package is there; it is no part of what `make` installs."""
    return importlib.util.find_spec("modiscolite") is not None


def check_installed() -> None:
    """Raise InputError where the package is not there."""
    if not is_installed():
        raise InputError(
            "TF-MoDISco is not installed",
            mend="take the seeds (--finder seeds; in the workflow mining.motifs.finder: seeds), or "
            "install it where this runs: python -m pip install -c constraints.txt --group modisco",
        )


def can_run(found: AttributionSet) -> bool:
    """Say whether the package is there, and sequences are long and many enough for it."""
    enough = found.codes.shape[1] >= LEAST_WIDTH and len(found) >= LEAST_SEQLETS
    return enough and is_installed()


def find_modisco_motifs(found: AttributionSet, most_seqlets: int = MOST_SEQLETS) -> list[Motif]:
    """Find motifs; those with most sites first.

    Parameters
    ----------
    found : AttributionSet
        Of bound sequences; those shorter than the longest are filled up with N, which carry no
        credit.
    most_seqlets : int >= 1
        Stretches to cluster at most; memory and time grow with them.

    Returns
    -------
    list of Motif
        Names ``pos_0``, .. for those that speak for being bound, ``neg_0``, .. against it.
        Empty where too few stretches carry credit.

    Raises
    ------
    InputError
        If the package is not installed.
    """
    check_installed()
    from modiscolite.tfmodisco import TFMoDISco

    hypothetical = found.hypothetical - found.hypothetical.mean(-1, keepdims=True)
    margins = ((0, 0), (MARGIN, MARGIN), (0, 0))
    try:
        positive, negative = TFMoDISco(
            one_hot=np.pad(found.one_hot, margins),
            hypothetical_contribs=np.pad(hypothetical.astype(np.float32), margins),
            sliding_window_size=SLIDING,
            flank_size=FLANK,
            target_seqlet_fdr=0.1,
            max_seqlets_per_metacluster=most_seqlets,
            trim_to_window_size=20,
            initial_flank_to_add=5,
            n_leiden_runs=2,
        )
    except (ValueError, IndexError, AssertionError) as error:
        # The package has no word for "nothing found": it fails on empty arrays.
        log.warning("TF-MoDISco found nothing (%s)", " ".join(str(error).split()) or "no seqlets")
        return []
    motifs = []
    for sign, patterns in (("pos", positive or []), ("neg", negative or [])):
        ordered = sorted(patterns, key=lambda pattern: -len(pattern.seqlets))
        motifs += [_motif(f"{sign}_{i}", pattern) for i, pattern in enumerate(ordered)]
    if not motifs:
        log.warning("TF-MoDISco found nothing")
    return motifs


def _motif(name: str, pattern) -> Motif:
    """Trim a pattern to the places that carry credit, with two on either side."""
    p = np.asarray(pattern.sequence) + 1e-4
    credit = np.asarray(pattern.contrib_scores)
    strength = np.abs(credit).sum(1)
    keep = np.flatnonzero(strength >= _SHARE * strength.max())
    some = slice(max(0, int(keep[0]) - _PAD), int(keep[-1]) + 1 + _PAD)
    return Motif(
        name, (p / p.sum(1, keepdims=True))[some], len(pattern.seqlets), credit[some]
    ).trimmed(0.1)
