"""Put all sets into one table; as a rule, or with a JSON file that says what there is."""

import json
import sys
from pathlib import Path

from dflm.evaluation.summary import summarise
from dflm.logs import setup_logging

if "snakemake" in globals():
    task = {
        "rows": snakemake.params.rows,
        "metrics": {Path(path).parent.name: path for path in snakemake.input.metrics},
        "stats": {Path(path).parent.name: path for path in snakemake.input.stats},
        "benchmarks": snakemake.params.benchmarks,
        "logs": {},
        "table": snakemake.output.table,
        "html": snakemake.output.html,
        "plot": snakemake.output.plot,
        "bootstrap": snakemake.params.bootstrap,
        "seed": snakemake.params.seed,
        "log": snakemake.log[0],
    }
else:
    task = json.loads(Path(sys.argv[1]).read_text())

setup_logging(task.pop("log"))
summarise(**task)
