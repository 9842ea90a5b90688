"""Put the motifs of all sets into one table; as a rule, or with a JSON file."""

import json
import sys
from pathlib import Path

from dflm.logs import setup_logging
from dflm.mining.motifs.summary import summarise_motifs

if "snakemake" in globals():
    task = {
        "rows": snakemake.params.rows,
        "motifs": {Path(path).parent.name: path for path in snakemake.input.motifs},
        "stats": {Path(path).parent.name: path for path in snakemake.input.stats},
        "logs": {},
        "table": snakemake.output.table,
        "page": snakemake.output.page,
        "log": snakemake.log[0],
    }
else:
    task = json.loads(Path(sys.argv[1]).read_text())

setup_logging(task.pop("log"))
summarise_motifs(**task)
