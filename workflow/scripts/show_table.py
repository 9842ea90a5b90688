"""Print the summary for a terminal: python show_table.py results/summary/auc.tsv."""

import sys

from dflm.evaluation.summary import format_table

print(format_table(sys.argv[1]))
