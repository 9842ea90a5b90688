"""The memory that a job is given is what dflm.resources says of the job's own input."""

import json
import re

from dflm import resources
from runs import NAMES

MODEL = {"k": 3, "stride": 1, "embedding": 200, "hidden": 800, "layers": 6}
DETECTORS = {"detectors": 64}
CLASSIFIER = MODEL | DETECTORS
GENOME = {"train": 3_000_000_000, "validation": 145_000_000}
ROWS, WIDTH = 6000, 401


def declared(output: str, resource: str) -> dict[str, set[str]]:
    """Return a resource of each rule's jobs, as a dry run shows it."""
    found: dict[str, set[str]] = {}
    for job in re.split(r"^(?=(?:rule|checkpoint|localrule) )", output, flags=re.MULTILINE):
        name = re.match(r"\w+ (\w+):", job)
        given = re.search(rf"^    resources: .*\b{resource}=([^,\s]+)", job, re.MULTILINE)
        if name and given:
            found.setdefault(name[1], set()).add(given[1])
    return found


def amounts(output: str) -> dict[str, set[str]]:
    return declared(output, "mem_mb")


def of_devices(output: str) -> dict[str, set[str]]:
    return declared(output, "gpu_mem_mb")


def mb(amount: int) -> set[str]:
    return {str(-(-amount // resources.MB))}


def trained_and_validated(model: dict, batch: int) -> int:
    """Return what a classifier's training takes of a GPU, whichever of its parts takes more."""
    training = resources.on_device(model, batch * WIDTH)
    return max(training, resources.predicting_on_device(model, 2 * batch, WIDTH))


def finish_what_tells_sizes(folder):
    """Put the genome's index and the sets' splits there."""
    genome = folder / "results" / "genome"
    genome.mkdir(parents=True)
    contigs = [
        {"name": name, "split": name, "length": length, "soft_masked": 0}
        for name, length in GENOME.items()
    ]
    (genome / "index.json").write_text(json.dumps({"contigs": contigs}))
    for name in NAMES:
        split = folder / "results" / "chipseq" / name
        split.mkdir(parents=True)
        kinds = [f"{p}_{k}" for p in ("train", "test") for k in ("positives", "negatives")]
        stats = {"status": "ok", "width": WIDTH, "validation_positives": 0}
        stats |= {"validation_negatives": 0, **dict.fromkeys(kinds, ROWS // 4)}
        (split / "stats.json").write_text(json.dumps(stats))
        for part in ("train", "validation", "test"):
            (split / f"{part}.tsv.gz").write_bytes(b"")


def test_amounts_wait_for_the_files_that_tell_sizes(snakemake):
    before = amounts(snakemake("--dry-run"))
    for rule in ("pretrain_lm", "finetune_lm", "train_classifier", "predict", "evaluate"):
        assert before[rule] == {"<TBD>"}
    assert before["shard_genome"] == mb(resources.sharding())
    finish_what_tells_sizes(snakemake.folder)
    after = amounts(snakemake("--dry-run"))
    one = ROWS, WIDTH
    assert after["pretrain_lm"] == mb(resources.pretraining(MODEL, 640, 70, GENOME["train"]))
    assert after["finetune_lm"] == mb(resources.finetuning(MODEL, 800, *one))
    assert after["train_classifier"] == mb(resources.classifying(CLASSIFIER, 400, *one))
    assert after["predict"] == mb(resources.predicting(CLASSIFIER, 1000, *one))
    assert after["evaluate"] == mb(resources.evaluating(*one))
    # The windows of an epoch of the second pretraining, by its defaults.
    assert after["check_leaks"] == mb(resources.checking(GENOME["train"], *one, 100_000 * 101))
    by_group = amounts(snakemake("--dry-run", "--config", "finetune={group_by: family}"))
    of_two = resources.finetuning(MODEL, 800, 2 * ROWS, WIDTH, members=2)
    assert by_group["finetune_lm"] == mb(of_two) | mb(resources.finetuning(MODEL, 800, *one))


def test_amounts_follow_what_a_job_is_given(snakemake):
    finish_what_tells_sizes(snakemake.folder)
    given = ["--set-resources", "pretrain_lm:gpu=8", "predict:gpu=0"]
    small = "language_model={embedding: 32, hidden: 96, layers: 2}"
    model = MODEL | {"embedding": 32, "hidden": 96, "layers": 2}
    # A method's own widths count for its jobs.
    wide = "variants={wide: {language_model: {hidden: 384}}}"
    chosen = [small, wide, "baselines=[gkm, cnn]", "discriminate={epochs: 0}"]
    output = snakemake("--dry-run", *given, "--config", *chosen)
    found = amounts(output)
    of_both = [model, model | {"hidden": 384}]
    base = resources.pretraining(model, 640, 70, GENOME["train"], gpus=8)
    more = resources.pretraining(of_both[1], 640, 70, GENOME["train"], gpus=8)
    assert found["pretrain_lm"] == mb(base) | mb(more)
    assert base > 7 * resources.CUDA
    assert found["predict"] == set().union(
        *(mb(resources.predicting(each | DETECTORS, 1000, ROWS, WIDTH, gpus=0)) for each in of_both)
    )
    assert found["run_gkm"] == mb(resources.gapping(ROWS, WIDTH, shuffles=8))
    widths = [6, 9, 12, 18]
    assert found["run_cnn"] == mb(resources.convolving(widths, 32, 128, ROWS, WIDTH))

    def of_each(amount, *arguments, **others):
        more = others.pop("more", {})
        return set().union(*(mb(amount(each | more, *arguments, **others)) for each in of_both))

    on_device = resources.convolving_on_device(widths, 32, 128, WIDTH)
    # Of a GPU: the batch and the corpus are shared out over those that a job is given.
    assert of_devices(output) == {
        "pretrain_lm": of_each(resources.on_device, 640 * 70, GENOME["train"], gpus=8),
        "finetune_lm": of_each(resources.on_device, 800 * WIDTH),
        "train_classifier": of_each(trained_and_validated, 400, more=DETECTORS),
        "predict": {"0"},
        "run_cnn": mb(on_device),
    }
    # What all jobs together may take bounds what one of them is given.
    kept = [small, "discriminate={epochs: 0}"]
    none = snakemake("--dry-run", "--resources", "gpu=0", "--config", *kept)
    assert amounts(none)["pretrain_lm"] == mb(
        resources.pretraining(model, 640, 70, GENOME["train"], gpus=0)
    )
    assert set().union(*of_devices(none).values()) == {"0"}


def test_motif_detectors_count_wherever_a_classifier_is_at_work(snakemake):
    finish_what_tells_sizes(snakemake.folder)
    (snakemake.folder / "my.vcf").write_text("")
    chosen = ["mining={run: [motifs, scan, variants], variants: {vcf: my.vcf}}"]
    detectors = "classifier={{head: {{detectors: {}}}}}"
    rules = ("train_classifier", "predict", "attribute", "scan_genome", "score_variants")
    on_cpu = ["--set-resources", *(f"{rule}:gpu=0" for rule in rules)]
    for where, resource in (([], "gpu_mem_mb"), (on_cpu, "mem_mb")):
        few, many = (
            declared(
                snakemake("--dry-run", *where, "--config", *chosen, detectors.format(number)),
                resource,
            )
            for number in (64, 10_000)
        )
        for rule in rules:
            assert float(*many[rule]) > 1.5 * float(*few[rule]), (rule, resource)


def test_attributions_ask_for_what_the_scores_before_them_take(snakemake):
    finish_what_tells_sizes(snakemake.folder)
    output = snakemake("--dry-run", "--config", "mining={run: [motifs]}")
    scored = resources.predicting_on_device(CLASSIFIER, resources.MINING_ROWS, WIDTH)
    assert of_devices(output)["attribute"] == mb(scored)
    assert scored > resources.on_device(CLASSIFIER, resources.MINING_ROWS * WIDTH)


def test_a_part_of_a_gpu_counts_as_one(snakemake):
    finish_what_tells_sizes(snakemake.folder)
    shards = ["--set-resources", "predict:gpu=0", "predict:gres=shard:1"]
    output = snakemake("--dry-run", *shards)
    assert amounts(output)["predict"] == mb(resources.predicting(CLASSIFIER, 1000, ROWS, WIDTH))
    device = mb(resources.predicting_on_device(CLASSIFIER, 1000, WIDTH))
    assert of_devices(output)["predict"] == device
    whole = ["--set-resources", "predict:gpu=0", "predict:gres=gpu:h200:1"]
    assert of_devices(snakemake("--dry-run", *whole))["predict"] == device
