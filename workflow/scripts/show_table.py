"""Print the summary for a terminal: python show_table.py results/summary/auc.tsv."""

import sys
from pathlib import Path

from dflm.evaluation.comparison import format_comparison
from dflm.evaluation.summary import format_table
from dflm.mining.motifs.summary import format_motifs

print(format_table(sys.argv[1]))
comparison = Path(sys.argv[1]).with_name("comparison.tsv")
if comparison.exists():
    print("", format_comparison(comparison), sep="\n")
motifs = Path(sys.argv[1]).with_name("motifs.tsv")
if motifs.exists():
    print("", format_motifs(motifs), sep="\n")
