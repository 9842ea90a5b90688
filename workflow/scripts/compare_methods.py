"""Compare all methods over all sets; as a rule, or with a JSON file that says what there is."""

import json
import sys
from pathlib import Path

from dflm.evaluation.comparison import Run, compare_methods
from dflm.logs import setup_logging

if "snakemake" in globals():
    task = {
        "rows": snakemake.params.rows,
        "runs": snakemake.params.runs,
        "stats": {Path(path).parent.name: path for path in snakemake.input.stats},
        "seed": snakemake.params.seed,
        "log": snakemake.log[0],
        **snakemake.params.args,
        **snakemake.output,
    }
else:
    task = json.loads(Path(sys.argv[1]).read_text())

setup_logging(task.pop("log"))
compare_methods(task.pop("rows"), [Run(**run) for run in task.pop("runs")], **task)
