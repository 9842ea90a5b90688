"""Record what a run's results were made of and by; as a rule, or with a JSON file."""

import json
import os
import sys
from pathlib import Path

from dflm.logs import setup_logging
from dflm.provenance import write_provenance

if "snakemake" in globals():
    task = {
        "results": list(snakemake.input.results),
        **snakemake.params.told,
        "path": snakemake.output.record,
        "log": snakemake.log[0],
    }
else:
    task = json.loads(Path(sys.argv[1]).read_text())
    task["path"] = task.pop("record")

setup_logging(task.pop("log"))
write_provenance(**task, command=os.environ.get("DFLM_COMMAND"))
