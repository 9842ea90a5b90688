"""Score windows all along the genome, and call sites."""

from dflm.logs import setup_logging
from dflm.mining.scan.files import scan_set
from dflm.training.gpu_share import gpus_given

setup_logging(snakemake.log[0])
scan_set(
    snakemake.input.weights,
    snakemake.input.index,
    snakemake.output.bigwig,
    snakemake.output.calls,
    snakemake.params.parts,
    regions=snakemake.input.get("regions"),
    motifs=snakemake.input.get("motifs"),
    **snakemake.params.args,
    gpu=gpus_given(snakemake.resources),
    threads=snakemake.threads,
    gpu_share=snakemake.resources.get("gpu_share", 100),
)
