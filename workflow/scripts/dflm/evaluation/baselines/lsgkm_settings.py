"""What LS-GKM is run with: its own defaults, named here for its card and the methods section.

The program is given them all the same, so that one of another version does what these two say.
"""

SETTINGS = {"kernel": 4, "word": 11, "informative": 7, "mismatches": 3, "cost": 1.0}
"""Kernel 4 (wgkm) lets bases near the middle weigh more; mismatches are those between two words
up to which they are compared; the others are what `dflm.evaluation.baselines.gkm` calls so."""
OPTIONS = {"kernel": "-t", "word": "-l", "informative": "-k", "mismatches": "-d", "cost": "-c"}
"""What gkmtrain calls them."""
