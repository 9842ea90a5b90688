"""Small whole files of every kind that the product reads, to be spoilt by the tests of bad input.

Each maker returns the content; what is costly to make is made once a process.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import io
import json
import tarfile
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pyBigWig
import torch
from dflm.evaluation.baselines import gkm as gkm_models
from dflm.evaluation.baselines.cnn import CNN
from dflm.evaluation.baselines.convolution import ConvolutionalNetwork, Shape
from dflm.evaluation.baselines.gapped import readings
from dflm.files import sha256_of
from dflm.mining.attribution.files import AttributionSet, save_attributions
from dflm.mining.output import write_lines
from dflm.model.classifier import PoolingClassifier
from dflm.model.files import FORMAT_VERSION, NO_DROPOUT, save_model
from dflm.model.language_model import Architecture, LanguageModel
from dflm.provenance import FORMAT, RECORD, config_sha256
from dflm.training.checkpoint import Checkpoint
from safetensors.torch import save
from sharded import shard_all

ARCHITECTURE = Architecture(k=2, stride=1, embedding=4, hidden=6, layers=1)
WIDTH = 20
AC, B = "A_AC.seq.gz", "A_B.seq.gz"
CONTIGS = {"chr1": "ACGTTGCA" * 30, "chr2": "GGCATNNACT" * 12}
FASTA = "".join(
    f">{name} a contig\n" + "".join(f"{text[at : at + 60]}\n" for at in range(0, len(text), 60))
    for name, text in CONTIGS.items()
).encode()
SET = b"FoldID\tEventID\tseq\tBound\nA\tp1\tACGTACGTTTGACC\t1\nA\tn1\tTTGCATNCAATGCA\t0\n"
SPLIT = b"name\tsequence\tlabel\np1\tACGTACGTTTGACC\t1\nn1\tTTGCATNCAATGCA\t0\n"
TABLE = b"name\tsequence\none\tACGTACGTTTGACCACGTACGTTTGACC\ntwo\tTTGCATNCAATGCA\n"
BED = b"track name=x\nchr1\t10\t40\ta\t7.5\nchr2\t5\t60\tb\t3\n"
NARROW = b"chr1\t10\t40\ta\t7\t.\t5.5\t3\t2\t12\nchr2\t5\t60\tb\t3\t+\t4\t3\t2\t-1\n"
MEME = b"""MEME version 4

ALPHABET= ACGT

MOTIF M1 one
letter-probability matrix: alength= 4 w= 3 nsites= 20 E= 0
0.7 0.1 0.1 0.1
0.1 0.7 0.1 0.1
0.25 0.25 0.25 0.25
MOTIF M2
letter-probability matrix: alength= 4 w= 1 nsites= 5 E= 0
1 0 0 0
"""
VCF = (
    b"##fileformat=VCFv4.2\n##contig=<ID=chr1,length=240>\n##contig=<ID=chr2,length=120>\n"
    b'##INFO=<ID=AF,Number=A,Type=Float,Description="frequency">\n'
    b"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    b"chr1\t101\trs1\tT\tA,G\t50\tPASS\tAF=0.1,0.2\nchr2\t31\t.\tG\tGAC\t.\t.\t.\n"
)
PREDICTIONS = (
    b"name\tlabel\tprobability\tprobability_calibrated\tprobability_forward\tprobability_reverse\n"
    b"p1\t1\t0.9\t0.8\t0.9\t0.9\nn1\t0\t0.2\t0.3\t0.1\t0.3\n"
)
HISTORY = b'{"event": "validation", "step": 1, "loss": 0.5}\n{"event": "end"}\n'
MATCHES = (
    b"motif\trank\ttarget\tp_value\tq_value\toverlap\tstrand\toffset\n"
    b"M1\t1\tT1\t0.01\t0.02\t6\t+\t0\n"
)
CALLS = (
    b"#contig\tstart\tend\tname\tscore\tstrand\tprobability\tcalibrated\tlog_odds\n"
    b"chr1\t100\t201\tsite1\t900\t.\t0.9\t0.9\t2.2\nchr1\t400\t501\tsite2\t950\t.\t0.95\t0.95\t2.9\n"
)
EFFECTS = (
    b"contig\tposition\tid\tref\talt\tmodel\tstatus\tdelta_log_odds\tq_value\n"
    b"chr1\t7\trs1\tA\tC\tMYC\tscored\t-3.5\t0.01\nchr1\t9\t.\tA\tG\tMYC\tscored\t0.2\t.\n"
)


def write_bigwig(path: Path) -> Path:
    """Write the scores of a scan of one contig, and return their file."""
    with pyBigWig.open(str(path), "w") as track:
        track.addHeader([("chr1", 600)])
        track.addEntries("chr1", list(range(50, 550, 25)), values=[0.5] * 20, span=25)
    return path


@functools.cache
def model(kind: str = "classifier") -> dict[str, bytes]:
    """Weights and card of an untrained model: a "classifier" or a "language model"."""
    generator = torch.random.get_rng_state()
    torch.manual_seed(3)
    made = (
        PoolingClassifier(ARCHITECTURE, NO_DROPOUT, 3, 0.0, 2, 4)
        if kind == "classifier"
        else LanguageModel(ARCHITECTURE, NO_DROPOUT)
    )
    torch.random.set_rng_state(generator)
    with tempfile.TemporaryDirectory() as folder:
        weights, card = Path(folder, "model.safetensors"), Path(folder, "model.json")
        point = {"threshold": 0.5, "recall": 0.5, "fdr": 0.1, "mcc": 0.5}
        both = {"temperature": 1.2, "thresholds": {"max_mcc": point, "fdr": point | {"limit": 0.1}}}
        calibration = {"both_strands": both, "one_strand": both}
        training = {"dataset": "A", "width": WIDTH, "seed": 1, "train_sha256": "0" * 64}
        save_model(
            made,
            weights,
            card,
            training=training,
            metrics={"validation_auroc": 0.9},
            calibration=calibration if kind == "classifier" else None,
        )
        return {path.name: path.read_bytes() for path in (weights, card)}


def write_model(folder: Path, kind: str = "classifier") -> Path:
    """Write that model into a folder, and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in model(kind).items():
        (folder / name).write_bytes(content)
    return folder


def spoil_card(folder: Path, section: str | None = None, **values) -> None:
    """Change a model's card, or one of its sections; a value of ``...`` takes the key out."""
    path = folder / "model.json"
    card = json.loads(path.read_text())
    part = card if section is None else card[section]
    part.update(values)
    for key in [key for key, value in part.items() if value is ...]:
        del part[key]
    path.write_text(json.dumps(card))


def vouch(folder: Path) -> None:
    """Let a model's card hold the checksum of the weights, whatever they are."""
    spoil_card(folder, sha256=sha256_of(folder / "model.safetensors"))


def write_genome(folder: Path) -> Path:
    """Write the workflow's genome into a folder, and return its index."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "genome.fa").write_bytes(FASTA)
    return shard_all(folder / "genome.fa", folder)[0]


@functools.cache
def attributions() -> bytes:
    """An npz file of two attributed sequences."""
    codes = np.zeros((2, WIDTH), dtype=np.uint8)
    found = AttributionSet(
        np.array(["a", "b"]),
        np.zeros(2, dtype=np.int64),
        np.full(2, WIDTH),
        codes,
        np.zeros((2, WIDTH, 4), dtype=np.float32),
        np.zeros(2),
        "gradients",
        "MODEL",
    )
    with tempfile.TemporaryDirectory() as folder:
        save_attributions(Path(folder, "a.npz"), found)
        return Path(folder, "a.npz").read_bytes()


@functools.cache
def checkpoint() -> bytes:
    """A training's checkpoint."""
    with tempfile.TemporaryDirectory() as folder:
        saved = Checkpoint(Path(folder, "last.pt"), {"seed": 1})
        saved.save({"step": 3, "weights": torch.zeros(4)})
        return saved.path.read_bytes()


@functools.cache
def gkm() -> bytes:
    """A gapped k-mer SVM of windows of 4 bases, 2 of them read."""
    held = io.BytesIO()
    np.savez(
        held,
        format=np.array(gkm_models.FORMAT),
        shape=np.array([4, 2]),
        weights=np.zeros(readings(4, 2).features, dtype=np.float32),
        scalars=np.array([0.1, 1.0]),
    )
    return held.getvalue()


@functools.cache
def cnn() -> dict[str, bytes]:
    """Weights and card of an untrained convolutional network."""
    shape = Shape((3, 5), 2, 4)
    network = ConvolutionalNetwork(shape, 0.0, 0.0)
    weights = save(network.state_dict())
    card = {
        "format": CNN,
        "format_version": FORMAT_VERSION,
        "architecture": {"widths": [3, 5], "filters": 2, "hidden": 4},
        "sha256": hashlib.sha256(weights).hexdigest(),
    }
    return {"model.safetensors": weights, "model.json": json.dumps(card).encode()}


def write_run(folder: Path) -> Path:
    """Write a run of one result into a folder, and return its record."""
    table = folder / "results" / "summary" / "auc.tsv"
    table.parent.mkdir(parents=True)
    table.write_text("dataset\tauroc\n")
    record = folder / RECORD
    content = {
        "format": FORMAT,
        "path": RECORD,
        "config": {"seed": 1},
        "config_sha256": config_sha256({"seed": 1}),
        "inputs": {"resources/gone.zip": {"sha256": None, "bytes": None}},
        "folders": ["results/summary"],
        "files": {"results/summary/auc.tsv": {"sha256": sha256_of(table), "bytes": 14}},
    }
    record.write_text(json.dumps(content))
    return record


def packed_set() -> bytes:
    """A set's file as it lies in an archive."""
    return gzip.compress(SET, mtime=0)


def zipped(members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip file of these members."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, compression)
    return held.getvalue()


def tarred(members: dict[str, bytes], mode: str = "w:gz", **about) -> bytes:
    """A tar file of these members; `about` goes to the header of each."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode=mode) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            for key, value in about.items():
                setattr(info, key, value)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return held.getvalue()


def summed(folder: Path) -> Path:
    """Write a folder of a model with its SHA256SUMS."""
    write_model(folder)
    sums = [f"{sha256_of(path)}  {path.name}" for path in sorted(folder.iterdir())]
    write_lines(folder / "SHA256SUMS", sums)
    return folder
