"""A genome sharded as most tests want it: all contigs, one of them held out, soft masking kept."""

from pathlib import Path

from dflm.sequences.genome import shard_genome


def shard_all(fasta: Path, folder: Path, validation: str = "chr2") -> tuple[Path, Path]:
    """Shard a FASTA file into a folder; return its index and its folder of contigs."""
    index, contigs = folder / "index.json", folder / "contigs"
    choice = {"include": ["*"], "exclude": [], "validation": [validation], "soft_masked": "keep"}
    shard_genome(fasta, contigs, index, **choice)
    return index, contigs
