"""How much memory a job is given: the formulas of dflm.resources, fed by config and input."""

import importlib.util


def formulas():
    """Return the module dflm.resources; the library cannot be imported where rules are read."""
    # As plain text: Python cannot keep compiled code whose file is named by Snakemake's own kind.
    place = str(Path(workflow.source_path("../scripts/dflm/resources.py")))
    spec = importlib.util.spec_from_file_location("dflm_resources", place)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


NEEDS = formulas()
PARTS = ("train", "validation", "test")
USUAL_SET = dict(rows=100_000, width=101)  # where the statistics of a set are not at hand


def memory(amount):
    """Return mem_mb by a function of configuration, input and rule in bytes; it grows with each attempt.

    The configuration is that of the job's method. Where the function asks for a file that is not
    there yet, Snakemake waits with the amount until the job is about to start.
    """

    def mem_mb(wildcards, input, attempt, rulename):
        return -(-amount(settings(wildcards), input, rulename) // NEEDS.MB) * attempt

    return mem_mb


def device_memory(amount):
    """Return gpu_mem_mb, what a job takes of each GPU, by a function as that of `memory`."""

    def gpu_mem_mb(wildcards, input, rulename):
        return -(-amount(settings(wildcards), input, rulename) // NEEDS.MB)

    return gpu_mem_mb


def number_of(resource):
    """Return the number that a resource is; None without one, or while it is still an expression."""
    value = getattr(resource, "value", None) if resource and not resource.is_evaluable() else None
    return value if isinstance(value, int) else None


def given(rulename, resource, default):
    """Return what a rule is given of a resource, by itself, a profile or the command line.

    What --resources has of it for all jobs together bounds that.
    """
    amount = number_of(workflow.get_rule(rulename).resources.get(resource))
    limit = number_of(workflow.global_resources.get(resource))
    amount = default if amount is None else amount
    return amount if limit is None else min(amount, limit)


def gpus_of(rulename):
    """Return the GPUs that a rule is given; a part of one, SLURM's shard or mps, counts as one."""
    # As it was written: Snakemake takes a text for an expression until a job is at hand.
    gres = str(getattr(workflow.get_rule(rulename).resources.get("gres"), "raw", ""))
    last = gres.rpartition(":")[2]
    each = (int(last) if last.isdigit() else 1) if gres.startswith("gpu") else 0
    whole = each * given(rulename, "nodes", 1)
    return max(given(rulename, "gpu", 1), whole, int(gres.startswith(("shard", "mps"))))


def set_sizes(tables, parts=PARTS):
    """Return rows of these parts and width of the sets to which tables belong, by the sets' statistics."""
    rows, width = 0, 1
    for table in [tables] if isinstance(tables, str) else tables:
        os.stat(table)  # until it is there, neither are the statistics
        stats, found = Path(table).with_name("stats.json"), USUAL_SET
        if stats.exists():
            counts = json.loads(stats.read_text())
            kinds = [f"{part}_{kind}" for part in parts for kind in ("positives", "negatives")]
            found = dict(
                rows=sum(counts[kind] for kind in kinds),
                width=counts["width"] or USUAL_SET["width"],
            )
        rows, width = rows + found["rows"], max(width, found["width"])
    return rows, width


def genome_sizes(index):
    """Return bases and masked bases to train on, the longest contig's length, and all bases."""
    return sizes_in(index, os.stat(index).st_mtime_ns)


@lru_cache(maxsize=1)
def sizes_in(index, mtime):
    """Read `genome_sizes`, as long as the file stays the same."""
    contigs = json.loads(Path(index).read_text())["contigs"]
    train = [contig for contig in contigs if contig["split"] == "train"]
    return (
        sum(contig["length"] for contig in train),
        sum(contig["soft_masked"] for contig in train),
        max(contig["length"] for contig in contigs),
        sum(contig["length"] for contig in contigs),
    )


def pretraining_needs(settings, input, rulename):
    args = settings["pretrain"]
    bases, masked, *_ = genome_sizes(input.index)
    return NEEDS.pretraining(
        architecture_of(settings),
        args["batch_size"],
        args["bptt"],
        bases,
        variable=args["variable_bptt"],
        masked=masked,
        gpus=gpus_of(rulename),
        processes=given(rulename, "processes", 1),
        nodes=given(rulename, "nodes", 1),
    )


def discriminating_needs(settings, input, rulename):
    args, gpus = settings["discriminate"], gpus_of(rulename)
    sizes = (args["batch_size"], args["windows"] + args["validation_windows"], args["width"])
    return NEEDS.discriminating(architecture_of(settings), *sizes, gpus)


def finetuning_needs(settings, input, rulename):
    batch, gpus = settings["finetune"]["batch_size"], gpus_of(rulename)
    sizes, members = set_sizes(input.train), 1 if isinstance(input.train, str) else len(input.train)
    return NEEDS.finetuning(architecture_of(settings), batch, *sizes, gpus, members)


def classifier_shape(settings):
    """Return what a classifier's size rests on: its encoder's architecture, and its head."""
    head = settings["classifier"]["head"]
    return architecture_of(settings) | {key: head[key] for key in ("detectors", "strand_symmetric")}


def classifying_needs(settings, input, rulename):
    batch, gpus = settings["classifier"]["batch_size"], gpus_of(rulename)
    return NEEDS.classifying(classifier_shape(settings), batch, *set_sizes(input.train), gpus)


def predicting_needs(settings, input, rulename):
    batch, gpus = settings["predict"]["batch_size"], gpus_of(rulename)
    return NEEDS.predicting(classifier_shape(settings), batch, *set_sizes(input.test), gpus)


def pretraining_on_device(settings, input, rulename):
    args, gpus = settings["pretrain"], gpus_of(rulename)
    bptt = args["bptt"] + NEEDS.LONGER * args["variable_bptt"]
    bases = genome_sizes(input.index)[0]
    return NEEDS.on_device(architecture_of(settings), args["batch_size"] * bptt, bases, gpus)


def discriminating_on_device(settings, input, rulename):
    args = settings["discriminate"]
    tokens = 2 * args["batch_size"] * args["width"]
    return NEEDS.on_device(architecture_of(settings), tokens, gpus=gpus_of(rulename))


def finetuning_on_device(settings, input, rulename):
    tokens = settings["finetune"]["batch_size"] * set_sizes(input.train)[1]
    return NEEDS.on_device(architecture_of(settings), tokens, gpus=gpus_of(rulename))


def classifying_on_device(settings, input, rulename):
    batch, width = settings["classifier"]["batch_size"], set_sizes(input.train)[1]
    model, gpus = classifier_shape(settings), gpus_of(rulename)
    # The validation reads as many rows at once as fill a GPU.
    validating = NEEDS.predicting_on_device(model, 2 * batch, width, gpus)
    return max(NEEDS.on_device(model, batch * width, gpus=gpus), validating)


def predicting_on_device(settings, input, rulename):
    batch, width = settings["predict"]["batch_size"], set_sizes(input.test)[1]
    return NEEDS.predicting_on_device(classifier_shape(settings), batch, width, gpus_of(rulename))


def withholding_needs(settings, input, rulename):
    return NEEDS.withholding(genome_sizes(input.index)[2], *set_sizes(input.stats, ["test"]))


def sharding_needs(settings, input, rulename):
    return NEEDS.sharding()


def splitting_needs(settings, input, rulename):
    packed = sum(os.stat(path).st_size for path in (input.train, input.test))
    return NEEDS.splitting(packed, settings["chipseq"]["negatives_per_positive"])


def checking_needs(settings, input, rulename):
    _, masked, longest, _ = genome_sizes(input.index) if "index" in input.keys() else (0,) * 4
    bases = max((one["windows"] * one["width"] for one in windows_shown()), default=0)
    return NEEDS.checking(longest, *set_sizes(input.test), bases, masked)


def splitting_peaks_needs(settings, input, rulename):
    *_, longest, bases = genome_sizes(input.index)
    given = NEEDS.lines_in(input.negatives) if input.get("negatives") else 0
    width, negatives = config["peaks"]["width"], config["chipseq"]["negatives_per_positive"]
    return NEEDS.splitting_peaks(
        NEEDS.lines_in(input.peaks), given, bases, longest, width, negatives
    )


def averaging_needs(settings, input, rulename):
    """Of an ensemble."""
    return NEEDS.averaging(set_sizes(input.stats)[0], len(input.test))


def evaluating_needs(settings, input, rulename):
    """Of a skipped set there are no tables, and the job ends at once."""
    return NEEDS.evaluating(*set_sizes(input.get("test") or []))


def gapping_needs(settings, input, rulename):
    """Of a gapped k-mer SVM."""
    return NEEDS.gapping(*set_sizes(input.train), settings["gkm"]["shuffles"])


def ls_gkm_needs(settings, input, rulename):
    return NEEDS.ls_gkm(*set_sizes(input.train))


def convolving_needs(settings, input, rulename):
    """Of the convolutional network."""
    cnn, gpus = settings["cnn"], gpus_of(rulename)
    batch = cnn["batch_size"]
    return NEEDS.convolving(cnn["widths"], cnn["filters"], batch, *set_sizes(input.train), gpus)


def convolving_on_device(settings, input, rulename):
    cnn, gpus = settings["cnn"], gpus_of(rulename)
    batch, width = cnn["batch_size"], set_sizes(input.train)[1]
    return NEEDS.convolving_on_device(cnn["widths"], cnn["filters"], batch, width, gpus)


def attributing_needs(settings, input, rulename):
    rows, width = set_sizes(input.sequences)
    rows = min(rows, settings["mining"]["attribution"]["sequences"])
    return NEEDS.attributing(classifier_shape(settings), rows, width, gpus_of(rulename))


def scanning_needs(settings, input, rulename):
    width = set_sizes(input.stats)[1]
    return NEEDS.scanning(classifier_shape(settings), 1, width, gpus_of(rulename))


def annotating_needs(settings, input, rulename):
    width, models = set_sizes(input.stats)[1], max(1, len(input.weights))
    alleles = NEEDS.alleles_in(input.vcf)
    return NEEDS.annotating(classifier_shape(settings), models, width, alleles, gpus_of(rulename))


def attributing_on_device(settings, input, rulename):
    model, width, gpus = (
        classifier_shape(settings),
        set_sizes(input.sequences)[1],
        gpus_of(rulename),
    )
    gradients = NEEDS.on_device(model, NEEDS.MINING_ROWS * width, gpus=gpus)
    # Before, the windows are scored to find the best ones.
    return max(gradients, NEEDS.predicting_on_device(model, NEEDS.MINING_ROWS, width, gpus))


def scanning_on_device(settings, input, rulename):
    width, rows = set_sizes(input.stats)[1], NEEDS.MINING_ROWS
    return NEEDS.predicting_on_device(classifier_shape(settings), rows, width, gpus_of(rulename))


def annotating_on_device(settings, input, rulename):
    model, gpus = architecture_of(settings), gpus_of(rulename)
    more = (len(input.weights) - 1) * 4 * NEEDS.parameters(model) if gpus else 0
    return scanning_on_device(settings, input, rulename) + more
