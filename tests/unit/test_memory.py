"""What the rules declare is what the stages take: enough, and no more than a few times as much."""

import gzip
import sys
from pathlib import Path

import numpy as np
import pysam
import pytest
import torch
from dflm import resources
from dflm.model.language_model import LanguageModel
from dflm.training import device
from dflm.training.arguments import LanguageModelArgs

sys.path.append(str(Path(__file__).parents[1] / "benchmark"))

import stages

TINY = {"embedding": 8, "hidden": 8, "layers": 1}
K6 = {"k": 6, **TINY}
MANY = {"detectors": 1000}
FULL = stages.FULL
# What a scan takes of a genome of usual size; that of the tests takes none of it.
OF_GENOME = resources.MAPS + resources.SCANNED


def holds(found: dict, declared: int) -> None:
    """Check a declared amount, made for a CPU, against a measured one.

    Snakemake's own process was not there to be measured; that one is left out.
    """
    declared -= resources.SNAKEMAKE
    assert found["peak"] < declared, "more was taken than declared"
    assert declared < 3 * found["peak"], "far more was declared than taken"


@pytest.mark.parametrize("sizes", [TINY, stages.SMALL, {"k": 5, **stages.SMALL, "layers": 4}, FULL])
def test_parameters_are_those_of_the_model(sizes):
    model = stages.language_model(**sizes)
    args = LanguageModelArgs(**model)
    made = LanguageModel(args.architecture, args.dropouts)
    assert resources.parameters(model) == sum(p.numel() for p in made.parameters())


@pytest.mark.parametrize(
    ("sizes", "batch", "steps"),
    [
        (TINY, 8, 4),
        pytest.param(K6, 48, 4, marks=pytest.mark.slow),
        (stages.SMALL, 128, 4),
        pytest.param(FULL, 4, 2, marks=pytest.mark.slow),
        pytest.param(FULL, 48, 4, marks=pytest.mark.slow),
    ],
)
def test_pretraining(tmp_path, sizes, batch, steps):
    model = stages.language_model(**sizes)
    found = stages.pretraining(tmp_path, model, batch, 70, steps)
    holds(found, resources.pretraining(model, batch, 70, bases=batch * 70 * steps, gpus=0))


@pytest.mark.parametrize(
    ("batch", "windows"), [(64, 256), pytest.param(32, 20_000, marks=pytest.mark.slow)]
)
def test_discriminating(tmp_path, batch, windows):
    model = stages.language_model(**stages.SMALL)
    found = stages.discriminating(tmp_path, model, batch, windows)
    holds(found, resources.discriminating(model, batch, windows + 100, 101, gpus=0))


@pytest.mark.parametrize(
    ("sizes", "batch", "sequences"),
    [
        (TINY, 200, 2000),
        (stages.SMALL, 64, 256),
        pytest.param(stages.SMALL, 400, 1600, marks=pytest.mark.slow),
        pytest.param(FULL, 32, 64, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize(
    ("stage", "head"),
    [
        ("finetuning", {}),
        ("classifying", {"detectors": 64}),
        ("classifying", {"detectors": 1000}),
        ("classifying", {"detectors": 64, "strand_symmetric": True}),
    ],
    ids=str,
)
def test_finetuning_and_classifying(tmp_path, stage, head, sizes, batch, sequences):
    model = stages.language_model(**sizes) | head
    found = getattr(stages, stage)(tmp_path, model, batch, sequences)
    holds(found, getattr(resources, stage)(model, batch, sequences, 101, gpus=0))


@pytest.mark.parametrize("sequences", [400, pytest.param(40_000, marks=pytest.mark.slow)])
def test_gapping(tmp_path, sequences):
    holds(stages.gapping(tmp_path, sequences), resources.gapping(sequences, 101, shuffles=8))


@pytest.mark.parametrize(
    ("batch", "sequences"), [(64, 800), pytest.param(1000, 8000, marks=pytest.mark.slow)]
)
def test_convolving(tmp_path, batch, sequences):
    cnn = stages.settings()["cnn"]
    found = stages.convolving(tmp_path, batch, sequences)
    shape = cnn["widths"], cnn["filters"], batch
    holds(found, resources.convolving(*shape, sequences, 101, gpus=0))


@pytest.mark.parametrize(
    ("sizes", "batch", "sequences"),
    [
        (TINY, 100, 4000),
        (stages.SMALL, 250, 250),
        pytest.param(FULL, 100, 200, marks=pytest.mark.slow),
    ],
)
def test_predicting(tmp_path, sizes, batch, sequences):
    model = stages.classifier_model(**sizes)
    found = stages.predicting(tmp_path, model, batch, sequences)
    holds(found, resources.predicting(model, batch, sequences, 101, gpus=0))


@pytest.mark.parametrize(
    ("sizes", "sequences"),
    [
        (stages.SMALL, 100),
        (TINY | MANY, 100),
        pytest.param(FULL, 2, marks=pytest.mark.slow),
    ],
)
def test_attributing(tmp_path, sizes, sequences):
    model = stages.classifier_model(**sizes)
    found = stages.attributing(tmp_path, model, sequences)
    holds(found, resources.attributing(model, sequences, 101, gpus=0))


@pytest.mark.parametrize(
    ("sizes", "bases"),
    [
        (TINY, 200_000),
        (TINY | MANY, 100_000),
        pytest.param(FULL, 10_000, marks=pytest.mark.slow),
    ],
)
def test_scanning(tmp_path, sizes, bases):
    model = stages.classifier_model(**sizes)
    found = stages.scanning(tmp_path, model, bases)
    holds(found, resources.scanning(model, 1, 101, gpus=0) - OF_GENOME)


@pytest.mark.parametrize(
    ("sizes", "models", "variants"),
    [
        (TINY, 1, 3),
        pytest.param(TINY, 2, 4000, marks=pytest.mark.slow),
        pytest.param(FULL, 2, 3, marks=pytest.mark.slow),
    ],
)
def test_annotating(tmp_path, sizes, models, variants):
    model = stages.classifier_model(**sizes)
    found = stages.annotating(tmp_path, model, models, variants)
    alleles = resources.alleles_in(tmp_path / "variants.vcf")
    holds(found, resources.annotating(model, models, 101, alleles, gpus=0) - OF_GENOME)


@pytest.mark.parametrize(("samples", "rows"), [(0, 60_000), (400, 3000)])
def test_alleles_of_a_packed_file_are_not_counted_by_its_bytes_alone(tmp_path, samples, rows):
    rng = np.random.default_rng(0)
    calls = np.array(["0|0", "0|1", "1|1"])
    path = tmp_path / "a.vcf.gz"
    with pysam.BGZFile(str(path), "wb") as file:
        # As many contigs as a draft assembly has.
        file.write(b"".join(b"##contig=<ID=scaffold_%d>\n" % i for i in range(25_000)))
        for i in range(rows):
            fields = ["chr1", str(7 * i), ".", "A", "C", ".", ".", ".", "GT"]
            file.write(("\t".join([*fields, *rng.choice(calls, samples)]) + "\n").encode())
    (tmp_path / "a.vcf").write_bytes(gzip.decompress(path.read_bytes()))
    for kind in (path, tmp_path / "a.vcf"):
        assert rows <= resources.alleles_in(kind) <= 6 * rows
    path.write_bytes(path.read_bytes()[:-500])
    assert resources.alleles_in(path) > 0


@pytest.mark.parametrize(("sequences", "each"), [(2000, 1), (10_000, 1), (10_000, 40)])
def test_splitting(tmp_path, sequences, each):
    found = stages.splitting(tmp_path, sequences, per_positive=each)
    packed = sum((tmp_path / f"{part}.seq.gz").stat().st_size for part in ("AC", "B"))
    holds(found, resources.splitting(packed, each))


@pytest.mark.parametrize(
    ("bases", "peaks", "negatives"),
    [
        (10**7, 2000, "shuffle"),
        (10**7, 20_000, "shuffle"),
        (10**8, 20_000, "genomic"),
        pytest.param(4 * 10**8, 50_000, "genomic", marks=pytest.mark.slow),
    ],
)
def test_splitting_peaks(tmp_path, bases, peaks, negatives):
    found = stages.cutting(tmp_path, bases, peaks, negatives)
    lines = resources.lines_in(tmp_path / "peaks.bed")
    assert peaks <= lines <= 3 * peaks
    holds(found, resources.splitting_peaks(lines, 0, bases, bases - bases // 10, 101, 1))


@pytest.mark.parametrize(
    ("lines", "packed"), [(0, 0), (1, 1), (19_999, 0), (60_000, 0), (60_000, 1)]
)
def test_lines_are_counted_where_they_are_few_and_no_fewer_where_not(tmp_path, lines, packed):
    rng = np.random.default_rng(lines)
    text = "# head\n" + "".join(
        f"chr{number % 23}\t{start}\t{start + 300}\tpeak_{number}\n"
        for number, start in enumerate(rng.integers(0, 10**8, lines).tolist())
    )
    path = tmp_path / "peaks.bed"
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    found = resources.lines_in(path)
    assert lines <= found <= 3 * lines
    assert (found == lines) == (lines < 20_000)


@pytest.mark.parametrize("lines", [25_000, 100_000, 1_000_000])
@pytest.mark.parametrize("width", [1, 200])
def test_lines_are_counted_where_a_piece_of_the_packed_file_holds_many(tmp_path, lines, width):
    path = tmp_path / "tiles.bed"
    tiles = "".join(f"chr1\t{i * width}\t{(i + 1) * width}\n" for i in range(1, lines + 1))
    for number, text in enumerate((tiles, "chr1\t0\t101\n" * lines)):
        path.write_bytes(gzip.compress(text.encode()))
        assert lines <= resources.lines_in(path) <= (3, 5)[number] * lines


@pytest.mark.parametrize(("sequences", "members"), [(10_000, 3), (80_000, 4)])
def test_averaging(tmp_path, sequences, members):
    found = stages.averaging(tmp_path, sequences, members)
    holds(found, resources.averaging(sequences, members))


@pytest.mark.parametrize("bases", [10**6, 20 * 10**6])
def test_sharding(tmp_path, bases):
    holds(stages.sharding(tmp_path, bases), resources.sharding())


@pytest.mark.parametrize(
    ("longest", "sequences", "windows"),
    [(10**6, 1000, 0), (10**8, 2000, 0), (10**6, 1000, 200_000)],
)
def test_checking(tmp_path, longest, sequences, windows):
    found = stages.checking(tmp_path, longest, sequences, windows)
    holds(found, resources.checking(longest, 3 * sequences, 101, windows * 101))


@pytest.mark.parametrize(
    ("longest", "sequences", "width"),
    [(10**6, 1000, 101), (10**8, 20_000, 101), (10**6, 4000, 1000)],
)
def test_withholding(tmp_path, longest, sequences, width):
    found = stages.withholding(tmp_path, longest, sequences, width)
    holds(found, resources.withholding(longest, sequences, width))


@pytest.mark.parametrize(("train", "test"), [(2000, 1000), (10_000, 4000)])
def test_evaluating(tmp_path, train, test):
    found = stages.evaluating(tmp_path, train, test)
    holds(found, resources.evaluating(train + test, 101))


def test_what_the_amounts_grow_with():
    """Slopes: each input makes the amount grow, and by about as much as it should."""
    bases = 3 * 10**9
    full, small = (stages.language_model(**sizes) for sizes in (FULL, stages.SMALL))
    on_cpu = resources.pretraining(full, 640, 70, bases, gpus=0)
    assert 15e9 < on_cpu < 24e9
    assert resources.pretraining(full, 640, 70, bases, variable=True, gpus=0) > 1.3 * on_cpu
    shared = resources.pretraining(full, 640, 70, bases, gpus=0, processes=8)
    assert on_cpu + 7 * resources.TORCH < shared < on_cpu + 7 * 2500 * resources.MB
    one, eight = (resources.pretraining(full, 640, 70, bases, gpus=n) for n in (1, 8))
    assert resources.CUDA < one < on_cpu
    assert 7.5 < (eight - resources.SNAKEMAKE) / (one - resources.SNAKEMAKE) < 8.5
    assert resources.pretraining(full, 640, 70, bases, gpus=16, nodes=2) == eight
    # The corpus counts on the host only where it is masked, or read by few streams.
    assert resources.pretraining(small, 640, 70, bases, masked=10**9) > 3e8 + (
        resources.pretraining(small, 640, 70, bases)
    )
    assert resources.pretraining(small, 1, 70, bases) > 6e9
    assert resources.on_device(full, 0, bases=bases) == resources.on_device(full, 0) + bases
    whole, half = (resources.on_device(full, 44_800, bases, gpus=n) for n in (1, 2))
    assert 0.5 * whole < half < 0.65 * whole
    assert resources.on_device(full, 44_800, gpus=0) == 0
    assert resources.predicting_on_device(full, 1000, 101, gpus=0) == 0
    assert resources.predicting_on_device(full, 5000, 101) > 1.9 * (
        resources.predicting_on_device(full, 1000, 101) - resources.CUDA_CONTEXT
    )
    filling = device.FILLING_ROWS, device.FILLING_BASES
    assert filling == (resources.FILLING_ROWS, resources.FILLING_BASES)
    for stage in (resources.finetuning, resources.classifying, resources.predicting):
        here, on_gpu = (stage(full, 800, 40_000, 101, gpus=n) for n in (0, 1))
        assert resources.CUDA < on_gpu < resources.CUDA + 10**9
        assert stage(full, 400, 40_000, 101, gpus=0) < 0.7 * here
        assert stage(full, 800, 80_000, 101, gpus=0) > here + 40_000 * resources.OF_SEQUENCE


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device")
@pytest.mark.parametrize(("sizes", "batch"), [(stages.SMALL, 640), (FULL, 640), (FULL, 1280)])
def test_device_memory_of_pretraining(tmp_path, sizes, batch):
    model = stages.language_model(**sizes)
    found = stages.pretraining(tmp_path, model, batch, 70)
    declared = resources.on_device(model, batch * 70, bases=2 * 3 * batch * 70)
    assert found["device_peak"] < declared - resources.CUDA_CONTEXT
    assert found["peak"] < resources.pretraining(model, batch, 70, 0) - resources.SNAKEMAKE
