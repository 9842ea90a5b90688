"""Memory that a job takes at most, told from what it works on.

Plain arithmetic: the rules call it where only Snakemake is installed. The constants of the CPU are
upper bounds of what `tests/unit/test_memory.py` measures. Those of a GPU are estimates: nothing
here was measured on one.

A model is a dict of ``k``, ``embedding``, ``hidden`` and ``layers``, a classifier's also of
``detectors`` (motif detectors, none where the key is missing) and ``strand_symmetric`` (whether it
reads both strands at once, missing for not); other keys do not matter. All amounts are in bytes.
"""

import contextlib
import gzip
import itertools
import os
import zlib

MB = 10**6

SNAKEMAKE = 300 * MB  # the process that runs a job's script on a cluster
PLAIN = 150 * MB  # Python with NumPy
NUMBA = 300 * MB  # with Numba too, which may have to compile first
LEARN = 100 * MB  # what scikit-learn adds
TORCH = 650 * MB  # with torch too; a build with CUDA takes 150 MB more than one without
CUDA = 4000 * MB  # host memory of a process that has begun to use a GPU, all above included
CUDA_CONTEXT = 1000 * MB  # device memory that is gone before the first tensor
MAPS = 300 * MB  # of the genome's maps that may lie in memory; see dflm.sequences.corpus
BLOCK = 2**26  # codes of the genome on their way to a device

# Bytes of a parameter: its value, gradient and two moments are 16. The rest are the copies that
# weight dropout, clipping and the optimiser's step make for a moment.
OF_PARAMETER = 36
# Bytes that the backward pass needs of each unit of each layer and each token.
OF_UNIT = 100
OF_UNIT_ON_DEVICE = 20  # in bfloat16; 50 KB a token at full size is 12
# Without a backward pass only one layer's gates, inputs and outputs are there at a time.
OF_UNIT_FORWARD = 40
# Logits, their logarithms and their gradient, for each word of the vocabulary and each token.
OF_WORD = 16
# A sequence as a row of a table, as text, as text of the other strand, and as codes.
OF_SEQUENCE, OF_BASE = 1500, 8
# Rows that a GPU reads at once where no gradient is needed, and a bound on their bases: those of
# dflm.training.device, which is not imported, as an edit here is no reason to train again.
FILLING_ROWS, FILLING_BASES = 2560, 2560 * 128
LONGER = 30  # tokens by which a window of varying length may exceed the usual one (6 sigma)
AVERAGING = 60 * MB  # Python with NumPy, and little else of the library
OF_AVERAGE, OF_PREDICTION = 500, 80  # a row of a mean of predictions, and of each that goes into it
OF_CELL = 8  # a window that a negative may be drawn from
OF_WINDOW = 150  # an entry in the list of an epoch's windows
# Two halves of a window of a gapped k-mer, of 16 bits each, on the way from text.
OF_WINDOWS = 24
OF_WORDS = 130  # a base of sequences in a table of their words
OF_LEAF = 40  # an estimate: of a window in the tree of LS-GKM
GAPPED = 150 * MB  # the tables of readings and the weights
# A detector's match at a place of a strand, before and after its norm, and their gradients.
OF_MATCH = 20
# The same at a place of a classifier's sequence, pooled in two ways, with memory freed in between.
OF_DETECTION = 60
OF_DETECTION_FORWARD = 36  # where no gradient is needed
MINING_ROWS = 256  # sequences that mining reads at once; see dflm.mining.scoring
DRAWING = 250 * MB  # matplotlib, pandas and logomaker, and the pictures
SCANNED = 400 * MB  # a block of a contig, its windows and their scores
OF_ALLELE, OF_EFFECT = 600, 100  # an alternative allele, and what each model says of it
OF_PACKED_VARIANT = 8  # bytes of BCF for each allele, at least
OF_SHOWN = 7  # a base of windows as they are drawn, put in order and set apart
OF_CREDIT = 150  # credits of the four bases at a place, in all their forms
OF_MASKED_BASE = 0.4  # places of the runs between masked stretches of 200 bases or more


def layer_widths(model: dict) -> list[int]:
    """Return the widths of a model's input and of each layer's output."""
    inner = [model["hidden"]] * (model["layers"] - 1)
    return [model["embedding"], *inner, model["embedding"]]


def vocabulary(model: dict) -> int:
    """Return the size of a model's vocabulary, the pad included."""
    return 4 ** model["k"] + 1


def parameters(model: dict) -> int:
    """Return the number of a language model's parameters; the decoder shares the embedding's."""
    sizes = layer_widths(model)
    layers = sum(4 * b * (a + b + 2) for a, b in itertools.pairwise(sizes))
    return layers + vocabulary(model) * (model["embedding"] + 1)


def of_sequences(sequences: int, width: int) -> int:
    """Return what that many sequences of up to `width` bases take, in all their forms."""
    return sequences * (OF_SEQUENCE + OF_BASE * width)


def of_token(model: dict, decoder: bool = True) -> int:
    """Return what a training step on the CPU takes for each token of its batch.

    Parameters
    ----------
    model : dict
    decoder : bool
        Whether the step ends in a word for each token, as a language model's does.
    """
    top = OF_WORD * vocabulary(model) if decoder else of_detection(model)
    return strands(model) * (OF_UNIT * sum(layer_widths(model)[1:]) + top)


def strands(model: dict) -> int:
    """Return how many strands of a sequence a classifier reads at once."""
    return 2 if model.get("strand_symmetric") else 1


def of_detection(model: dict) -> int:
    """Return what a classifier's motif detectors take for each token."""
    return OF_DETECTION * model.get("detectors", 0)


def of_matches(widths: list[int], filters: int, sequences: int, width: int) -> int:
    """Return what a convolutional network's detectors take on both strands of sequences."""
    return OF_MATCH * 2 * sequences * (width + max(widths)) * filters * len(widths)


def of_gpu_process(model: dict) -> int:
    """Return what a process takes of the host's memory when it trains or predicts on a GPU."""
    return CUDA + 12 * parameters(model)


def of_prediction(model: dict, tokens: int) -> int:
    """Return what a model and a batch of its predictions take on the CPU."""
    token = OF_UNIT_FORWARD * max(layer_widths(model))
    token += OF_DETECTION_FORWARD * model.get("detectors", 0)
    return 12 * parameters(model) + strands(model) * tokens * token


def pretraining(
    model: dict,
    batch_size: int,
    bptt: int,
    bases: int,
    *,
    variable: bool = False,
    masked: int = 0,
    gpus: int = 1,
    processes: int = 1,
    nodes: int = 1,
) -> int:
    """Return the host memory of pretraining, on each node.

    Parameters
    ----------
    model : dict
        Also with ``stride``.
    batch_size, bptt : int
    bases : int
        Of the genome's training contigs.
    variable : bool
        Whether the windows' lengths vary around `bptt`.
    masked : int
        Those of the bases that soft-masking turned into N.
    gpus, processes, nodes : int
        Which the job was given; `processes` count where there are no GPUs.
    """
    windows = bases // (model["stride"] * batch_size * bptt) + 1
    own = min(MAPS, bases) + OF_WINDOW * windows + int(OF_MASKED_BASE * masked)
    if gpus:
        return SNAKEMAKE + -(-gpus // nodes) * (of_gpu_process(model) + own + 2 * BLOCK)
    tokens = -(-batch_size // processes) * (bptt + LONGER * variable)
    one = TORCH + own + OF_PARAMETER * parameters(model) + tokens * of_token(model)
    return SNAKEMAKE + -(-processes // nodes) * one


def discriminating(model: dict, batch_size: int, windows: int, width: int, gpus: int = 1) -> int:
    """Return the host memory of the second pretraining.

    Parameters
    ----------
    model : dict
    batch_size : int
        Windows of a batch; it holds their shuffles too.
    windows, width : int
        Windows that are held at a time, and their bases.
    gpus : int
        0 for the CPU.
    """
    own = SNAKEMAKE + MAPS + NUMBA - PLAIN + 4 * windows * width
    if gpus:
        return own + of_gpu_process(model)
    tokens = 2 * batch_size * width
    return own + TORCH + OF_PARAMETER * parameters(model) + tokens * of_token(model)


def finetuning(
    model: dict, batch_size: int, sequences: int, width: int, gpus: int = 1, members: int = 1
) -> int:
    """Return the host memory of a fine-tuning.

    Parameters
    ----------
    model : dict
    batch_size : int
    sequences, width : int
        Rows of all split files of the group, and the bases of the longest.
    gpus : int
        0 for the CPU.
    members : int
        Sets of the group; of several the peaks are compared.
    """
    own = SNAKEMAKE + of_sequences(sequences, width)
    if members > 1:
        own += NUMBA - PLAIN + of_sequences(sequences, width)
    if gpus:
        return own + of_gpu_process(model)
    tokens = min(batch_size, sequences) * width
    return own + TORCH + OF_PARAMETER * parameters(model) + tokens * of_token(model)


def classifying(model: dict, batch_size: int, sequences: int, width: int, gpus: int = 1) -> int:
    """Return the host memory of a classifier's training.

    As `finetuning`, with the best weights, and with Numba, which shuffles.
    """
    own = SNAKEMAKE + of_sequences(sequences, width) + 4 * parameters(model) + NUMBA - PLAIN
    if gpus:
        return own + of_gpu_process(model)
    tokens = min(batch_size, sequences) * width
    return own + TORCH + OF_PARAMETER * parameters(model) + tokens * of_token(model, decoder=False)


def predicting(model: dict, batch_size: int, sequences: int, width: int, gpus: int = 1) -> int:
    """Return the host memory of a prediction; see `classifying`."""
    own = SNAKEMAKE + of_sequences(sequences, width)
    if gpus:
        return own + of_gpu_process(model)
    tokens = min(batch_size, sequences) * width
    return own + TORCH + of_prediction(model, tokens)


def on_device(model: dict, tokens: int, bases: int = 0, gpus: int = 1) -> int:
    """Return the memory that a training takes of each GPU; an estimate.

    Parameters
    ----------
    model : dict
    tokens : int
        Of a batch, on all GPUs together.
    bases : int
        Codes of the genome that are kept there, on all GPUs together.
    gpus : int
        0 for the CPU, which takes none.
    """
    if not gpus:
        return 0
    token = OF_UNIT_ON_DEVICE * sum(layer_widths(model)[1:]) + OF_WORD * vocabulary(model)
    token += of_detection(model)
    own = -(-tokens // gpus) * strands(model) * token + -(-bases // gpus)
    return CUDA_CONTEXT + OF_PARAMETER * parameters(model) + own


def predicting_on_device(model: dict, batch_size: int, width: int, gpus: int = 1) -> int:
    """Return the memory that a prediction takes of a GPU; an estimate, as `on_device`."""
    if not gpus:
        return 0
    rows = max(batch_size, min(FILLING_ROWS, FILLING_BASES // (strands(model) * width)))
    return CUDA_CONTEXT + of_prediction(model, rows * width)


def sharding() -> int:
    """Return the memory of sharding a genome of any size: it is read in blocks."""
    return SNAKEMAKE + NUMBA + 150 * MB


def splitting_peaks(peaks: int, given: int, bases: int, longest: int, width: int, each: int) -> int:
    """Return the memory of cutting a set's peaks and negatives out of a genome.

    Parameters
    ----------
    peaks, given : int
        Of the set, and negatives of the user's; see `lines_in`.
    bases, longest : int
        Of all contigs, and of the longest, whose map may lie in memory.
    width : int
        Bases of a window.
    each : int
        Negatives of each peak, where none are given.
    """
    rows = peaks + (given or peaks * each)
    return SNAKEMAKE + NUMBA + longest + OF_CELL * (bases // width) + of_sequences(rows, width)


def splitting(packed: int, per_positive: int = 1) -> int:
    """Return the memory of splitting a set whose gzipped files have `packed` bytes.

    `per_positive` are the shuffles of each positive.
    """
    return SNAKEMAKE + NUMBA + (250 + 25 * (per_positive - 1)) * packed


def checking(longest: int, sequences: int, width: int, shown: int = 0, masked: int = 0) -> int:
    """Return the memory of a set's leak check.

    Parameters
    ----------
    longest : int
        Bases of the genome's longest contig; 0 without a genome.
    sequences, width : int
        Rows of all its tables, and the bases of the longest.
    shown : int
        Bases of the windows of an epoch of the second pretraining.
    masked : int
        Bases of the genome that soft-masking turned into N.
    """
    own = longest
    if shown:
        own += OF_SHOWN * shown + min(MAPS, longest) + int(OF_MASKED_BASE * masked)
    return SNAKEMAKE + NUMBA + own + 2 * of_sequences(sequences, width)


def withholding(longest: int, sequences: int, width: int) -> int:
    """Return the memory of looking for all sets' test sequences in a genome; see `checking`."""
    return SNAKEMAKE + NUMBA + min(longest, MAPS) + sequences * (OF_SEQUENCE + OF_WORDS * width)


def gapping(sequences: int, width: int, shuffles: int = 1) -> int:
    """Return the memory of a gapped k-mer SVM on a set of that many rows, half of them peaks.

    Of each peak it makes `shuffles`.
    """
    sequences = sequences * (1 + shuffles) // 2
    own = OF_WINDOWS * sequences * width + GAPPED
    return SNAKEMAKE + NUMBA + LEARN + of_sequences(sequences, width) + own


def ls_gkm(sequences: int, width: int) -> int:
    """Return the memory of LS-GKM: a tree of all windows of both strands, and 100 MB of kernel."""
    return gapping(sequences, width) + OF_LEAF * 2 * sequences * width


def convolving(
    widths: list[int], filters: int, batch_size: int, sequences: int, width: int, gpus: int = 1
) -> int:
    """Return the host memory of a convolutional network's training and prediction.

    Parameters
    ----------
    widths : list of int
        Bases that the detectors of each group look at.
    filters : int
        Detectors of a group.
    batch_size : int
        Of the training; a validation has twice as many.
    sequences, width : int
        Rows of the set, and their bases.
    gpus : int
        0 for the CPU.
    """
    own = SNAKEMAKE + LEARN + NUMBA - PLAIN + of_sequences(sequences, width)
    if gpus:
        return own + CUDA
    return own + TORCH + of_matches(widths, filters, min(2 * batch_size, sequences), width)


def convolving_on_device(
    widths: list[int], filters: int, batch_size: int, width: int, gpus: int = 1
) -> int:
    """Return the memory that a convolutional network takes of a GPU; an estimate, as `on_device`.

    Parameters are those of `convolving`.
    """
    if not gpus:
        return 0
    return CUDA_CONTEXT + of_matches(widths, filters, 2 * batch_size, width)


def averaging(sequences: int, members: int) -> int:
    """Return the memory of averaging what that many members say of all sequences of a set."""
    return SNAKEMAKE + AVERAGING + sequences * (OF_AVERAGE + OF_PREDICTION * members)


def evaluating(sequences: int, width: int) -> int:
    """Return the memory of judging a set with that many rows in its training and test tables."""
    return SNAKEMAKE + PLAIN + 2 * of_sequences(sequences, width)


def attributing(model: dict, sequences: int, width: int, gpus: int = 1) -> int:
    """Return the host memory of the attributions of that many sequences; see `finetuning`."""
    own = SNAKEMAKE + DRAWING + NUMBA - PLAIN
    own += of_sequences(sequences, width) + OF_CREDIT * sequences * width
    if gpus:
        return own + of_gpu_process(model)
    tokens = MINING_ROWS * width
    return own + TORCH + OF_PARAMETER * parameters(model) + tokens * of_token(model, decoder=False)


def scanning(model: dict, models: int, width: int, gpus: int = 1) -> int:
    """Return the host memory of scoring windows of a genome with that many models, of any size."""
    own = SNAKEMAKE + NUMBA - PLAIN + MAPS + SCANNED + 4 * parameters(model) * (models - 1)
    if gpus:
        return own + of_gpu_process(model)
    return own + TORCH + of_prediction(model, MINING_ROWS * width)


def lines_in(path: str | os.PathLike, most: int = 20_000) -> int:
    """Return how many lines a text may have at most, but for those that begin with #.

    Parameters
    ----------
    path : path-like
        Plain or gzipped; an empty file has none.
    most : int
        Lines that are read at least, behind a head of lines that begin with #. Where there are
        more, the bytes that these took tell the number: those further on may be half as long.
    """
    size, lines, begin = os.stat(path).st_size, 0, 0
    with open(path, "rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        text = gzip.GzipFile(fileobj=_Sips(raw)) if packed else raw
        with contextlib.suppress(OSError, EOFError, zlib.error):
            for line in text:
                if line.startswith(b"#"):
                    continue
                if not lines:
                    begin = raw.tell()
                lines += 1
                if lines > most and raw.tell() > begin:
                    return 2 * lines * (size - begin) // (raw.tell() - begin)
    return lines


class _Sips:
    """A file that is read in small pieces, so that its place tells how far unpacking has come.

    How far gzip would read ahead depends on the version of Python.
    """

    def __init__(self, file):
        self.file = file

    def read(self, size: int) -> bytes:
        return self.file.read(min(size, 8192))


def alleles_in(vcf: str | os.PathLike) -> int:
    """Return how many alternative alleles a VCF file may hold, two a line.

    Parameters
    ----------
    vcf : path-like
        Plain, packed by bgzip, or BCF, which has no lines: of that its size tells.
    """
    with contextlib.suppress(OSError, EOFError, zlib.error), gzip.open(vcf) as text:
        if text.read(3) == b"BCF":
            return os.stat(vcf).st_size // OF_PACKED_VARIANT
    return 2 * lines_in(vcf)


def annotating(model: dict, models: int, width: int, alleles: int, gpus: int = 1) -> int:
    """Return the host memory of scoring the variants of a VCF file.

    Parameters
    ----------
    model : dict
    models : int
        How many score them.
    width : int
        Bases of their windows.
    alleles : int
        Of the file, see `alleles_in`.
    gpus : int
        0 for the CPU.
    """
    return scanning(model, models, width, gpus) + alleles * (OF_ALLELE + OF_EFFECT * models)
