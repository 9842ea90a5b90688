"""The workflow at the smallest size, really run: its configuration, and a folder to run it in."""

import copy
import csv
import json

import yaml
from dflm.mining.genomes import open_genome
from dflm.sequences.kmers import decode
from runs import Snakemake

STRONG, MEDIUM, WEAK, NONE = NAMES = (
    "STRONG_SIM1_STRONG_(1277-1)_Demo",
    "MEDIUM_SIM1_MED-2.1_Demo",
    "WEAK_SIM2_c-Weak_(SC-281)_Demo",
    "NONE_SIM2_None.0_Demo",
)
TEST_POSITIVES = 50
CONFIG = {
    "genome": {
        "source": "resources/demo/genome.fa.gz",
        "include": ["chr[0-9]"],
        "exclude": ["*_*"],
        "validation": ["chr4"],
    },
    "datasets": {"source": "resources/demo/encode.zip"},
    "simulate": {"genome_length": 200_000, "peaks": 300, "test_positives": TEST_POSITIVES},
    "chipseq": {"min_peaks": 100},
    "language_model": {"embedding": 16, "hidden": 32, "layers": 1, "drop_mult": 0.1},
    "pretrain": {
        "batch_size": 16,
        "learning_rate": 0.06,
        "validations_per_epoch": 3,
        "validation_tokens": 5000,
        "checkpoint_minutes": 0,
        "precision": "fp32",
    },
    "discriminate": {
        "epochs": 1,
        "windows": 200,
        "validation_windows": 50,
        "batch_size": 16,
        "learning_rate": 0.02,
        "precision": "fp32",
    },
    "finetune": {"epochs": 1, "batch_size": 32, "precision": "fp32"},
    "classifier": {
        "batch_size": 16,
        "drop_mult": 0.1,
        "lr_range": 5.0,
        "precision": "fp32",
        "stages": [
            {"unfreeze": 1, "epochs": 1, "learning_rate": 0.02},
            {"unfreeze": "all", "epochs": 6, "learning_rate": 0.05},
        ],
        "patience": None,
    },
    "evaluate": {"bootstrap": 200},
}

COMPARED = {
    "baselines": ["floor", "gkm", "cnn"],
    "ablations": ["random"],
    "variants": {"wide": {"classifier": {"head": {"hidden": 60}}}},
    "gkm": {"word": 6, "informative": 4, "costs": [1.0]},
    "cnn": {"widths": [12], "filters": 16, "epochs": 8, "batch_size": 32},
    "comparison": {"metrics": ["auroc", "brier"], "resamples": 100},
}
"""Baselines and further models, at that size; to be laid over `CONFIG`."""

MINING = {
    "run": ["motifs", "scan", "variants"],
    "attribution": {"part": "train", "sequences": 120},
    "motifs": {"finder": "seeds", "most": 2, "database": "resources/demo/motifs.meme"},
    "scan": {"stride": 50},
    "variants": {"vcf": "some.vcf", "null_size": 20},
}


class Run(Snakemake):
    """Snakemake in a folder with a configuration, on two cores, a thread for each training."""

    options = (
        *("--cores", "2", "--set-threads"),
        *("pretrain_lm=1", "finetune_lm=1", "train_classifier=1", "predict=1", "run_cnn=1"),
    )

    def configure(self, **sections):
        """Write the configuration, with other values in some sections."""
        config = copy.deepcopy(CONFIG)
        for name, values in sections.items():
            config[name] = config.get(name, {}) | values if isinstance(values, dict) else values
        (self.folder / "config").mkdir(exist_ok=True)
        (self.folder / "config" / "config.yaml").write_text(yaml.safe_dump(config))
        return self

    def mine(self):
        """Let a finished run find motifs, scan, and score two variants, one of them wrong."""
        codes = open_genome(self.path("genome", "index.json"))
        ref = decode(codes.codes("chr1", 5000, 5001))
        other = "ACGT"[("ACGT".index(ref) + 1) % 4]
        lines = ["##fileformat=VCFv4.2", "##contig=<ID=chr1>"]
        lines.append("\t".join(("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO")))
        for name, allele, change in (("right", ref, other), ("wrong", other, ref)):
            lines.append("\t".join(("chr1", "5001", name, allele, change, ".", ".", ".")))
        (self.folder / "some.vcf").write_text("\n".join(lines) + "\n")
        config = self.folder / "config" / "config.yaml"
        config.write_text(config.read_text() + yaml.safe_dump({"mining": MINING}))
        return self

    def path(self, *parts):
        return self.folder.joinpath("results", *parts)

    def table(self):
        with self.path("summary", "auc.tsv").open() as stream:
            return {row["dataset"]: row for row in csv.DictReader(stream, delimiter="\t")}

    def log(self, name):
        return (self.folder / "logs" / f"{name}.log").read_text()


def contents(folder):
    """Return the files of a folder as bytes, but for the times that metrics.json tells."""
    found = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    if "metrics.json" in found:
        metrics = json.loads(found["metrics.json"])
        metrics.pop("seconds", None)
        found["metrics.json"] = json.dumps(metrics).encode()
    return found
