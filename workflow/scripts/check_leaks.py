"""Count what a set's test file has in common with all that its model learns from."""

from dflm.files import write_json
from dflm.logs import setup_logging
from dflm.phases import Phases, quick_imports

setup_logging(snakemake.log[0])
with quick_imports():
    from dflm.sequences.leak_report import check_leaks

phases = Phases()
with phases("looking up"):
    check_leaks(
        snakemake.input.train,
        snakemake.input.validation,
        snakemake.input.test,
        snakemake.output.leaks,
        dataset=snakemake.params.dataset,
        width=snakemake.params.width,
        index=snakemake.input.get("index"),
        contigs=snakemake.input.get("contigs"),
        withheld=snakemake.input.get("withheld"),
        windows=snakemake.params.windows,
    )
write_json(snakemake.output.seconds, phases.as_dict())
