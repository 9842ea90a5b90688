"""The methods section of a paper, from the configuration and what the run counted."""

import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from dflm.evaluation.methods_models import classifier, language_model, others, prediction
from dflm.evaluation.methods_peaks import (
    contigs_in_words,
    contigs_tested,
    left_out,
    read_in_test,
    unusable,
)
from dflm.evaluation.prose import count, listed, number, part, spelled
from dflm.files import atomic_path, read_json
from dflm.software import installed

PACKAGES = ("numpy", "numba", "scikit-learn", "matplotlib")
REFERENCES = {
    "Alipanahi et al. 2015": (
        "Alipanahi B, Delong A, Weirauch MT, Frey BJ (2015) Nat Biotechnol 33:831-838"
    ),
    "Altschul and Erickson 1985": "Altschul SF, Erickson BW (1985) Mol Biol Evol 2:526-538",
    "Ghandi et al. 2014": (
        "Ghandi M, Lee D, Mohammad-Noori M, Beer MA (2014) PLoS Comput Biol 10:e1003711"
    ),
    "Guo et al. 2017": "Guo C, Pleiss G, Sun Y, Weinberger KQ (2017) ICML; arXiv:1706.04599",
    "Holm 1979": "Holm S (1979) Scand J Stat 6:65-70",
    "Howard and Ruder 2018": "Howard J, Ruder S (2018) ACL; arXiv:1801.06146",
    "Lee 2016": "Lee D (2016) Bioinformatics 32:2196-2198",
    "Loshchilov and Hutter 2019": "Loshchilov I, Hutter F (2019) ICLR; arXiv:1711.05101",
    "Merity et al. 2018": "Merity S, Keskar NS, Socher R (2018) ICLR; arXiv:1708.02182",
    "Smith 2018": "Smith LN (2018) arXiv:1803.09820",
}
"""What the text cites, by how it is cited."""


def write_methods(
    config: Mapping,
    rows: Sequence[Mapping],
    metrics: Sequence[str | Path],
    cards: Sequence[str | Path],
    stats: Sequence[str | Path],
    index: str | Path | None,
    pretrain: str | Path | None,
    discriminate: str | Path | None,
    pretrained_card: str | Path | None,
    path: str | Path,
    *,
    snakemake: str,
) -> None:
    """Write the methods section.

    Parameters
    ----------
    config : mapping
        The whole configuration, defaults filled in.
    rows : sequence of mapping
        The sets of the run, see `dflm.evaluation.summary.summarise`.
    metrics, cards : sequence of path-like
        metrics.json and model.json of the sets that ended.
    stats : sequence of path-like
        stats.json of the sets that were split.
    index : path-like or None
        The genome's index.json, where the run reads a genome.
    pretrain : path-like or None
        metrics.json of the pretraining, where the run has one.
    discriminate : path-like or None
        metrics.json of the second pretraining, where the run has one.
    pretrained_card : path-like or None
        model.json of a language model that was given.
    path : path-like
        Markdown to write.
    snakemake : str
        Its version.
    """
    places = {
        "index": index,
        "pretrain": pretrain,
        "discriminate": discriminate,
        "pretrained_card": pretrained_card,
    }
    facts = {
        "config": config,
        "rows": list(rows),
        "metrics": [read_json(one) for one in metrics],
        "cards": [read_json(one) for one in cards],
        "stats": [read_json(one) for one in stats],
        **{name: None if one is None else read_json(one) for name, one in places.items()},
        "versions": {
            "Python": platform.python_version(),
            "Snakemake": snakemake,
            **installed(PACKAGES),
        },
    }
    text = methods_text(config, facts)
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def methods_text(config: Mapping, facts: Mapping) -> str:
    """Build the methods section.

    Parameters
    ----------
    config : mapping
        See `write_methods`.
    facts : mapping
        What the files of `write_methods` hold, under the names of its parameters, ``config`` and
        ``versions``, a mapping of str to str.

    Returns
    -------
    str
        Markdown: prose in the past tense, then the sets and references.
    """
    used = [one for one in facts["stats"] if one["status"] == "ok"]
    paragraphs = [
        ("Sequences", f"{sets(facts)} {chosen(config, used)}"),
        ("Splits and negatives", f"{splits(config, used)} {negatives(config, used)}"),
        ("Language model", f"{genome(config, facts)}{language_model(config, facts)}"),
        ("Classifiers", f"{classifier(config, used)} {prediction(config)}"),
        ("Evaluation", " ".join(filter(None, [evaluation(config, used), others(config, used)]))),
        ("Software", software(facts)),
    ]
    text = "# Methods\n\nWritten by the workflow from its configuration and its counts.\n"
    for title, words in paragraphs:
        text += f"\n**{title}.** {' '.join(words.split())}\n"
    text += f"\n## Sets\n\n{table(facts)}\n"
    cited = [one for name, one in REFERENCES.items() if name in text]
    return text + "\n## References\n\n" + "".join(f"- {one}\n" for one in cited)


def sets(facts: Mapping) -> str:
    """Say which sets there were and what became of them."""
    rows, ended = facts["rows"], len(facts["metrics"])
    states = Counter(one["status"] for one in facts["stats"])
    text = f"Binding was learnt from {count(len(rows), 'ChIP-seq set')}."
    skipped, failed = states["skipped"], len(rows) - ended - states["skipped"]
    left = [
        f"{spelled(n)} {'was' if n == 1 else 'were'} {what}"
        for n, what in (
            (skipped, "skipped, for too few or unusable sequences"),
            (failed, "left out, as files were missing or wrong"),
        )
        if n
    ]
    if left:
        text += f" Of these, {listed(left)}; what follows holds for the {count(ended, 'other')}."
    return text


def chosen(config: Mapping, used: Sequence[Mapping]) -> str:
    """Say where sequences came from and which were used."""
    cut = [one for one in used if "test_contigs" in one]
    given = [one for one in used if "test_contigs" not in one]
    texts, split, peaks = [], config["chipseq"], config["peaks"]
    if given:
        dropped = "dropped" if split["ambiguous"] == "drop" else "kept"
        texts.append(
            f"{some_of(given, used)} given as sequences, with positives to train on and a test "
            f"file of both labels. Training sequences with ambiguous bases were {dropped}, and so "
            "that all had one length, those that differed from the most common one were dropped."
        )
    if cut:
        shown = contigs_in_words(contigs_tested(cut))
        texts.append(
            f"{some_of(cut, used)} given as peaks, of which windows of "
            f"{count(peaks['width'], 'base')} around the summit, or where none was given around "
            "the middle, were cut out of the genome; of windows that overlapped the strongest was "
            f"kept. Peaks on {shown} were held out for the test."
            f"{left_out('peaks', [one['dropped'] for one in cut])}"
        )
        if split["ambiguous"] == "keep" and (kept := shuffled(cut)):
            which_sets = "" if len(kept) == len(cut) else " where negatives were shuffles"
            texts.append(f"Windows with N were kept{which_sets}.")
    shared = sum(one["shared_with_test"] for one in used)
    texts.append(
        "Training sequences that stood in the set's test part, on either strand, were left out "
        f"({number(shared)} in all)."
    )
    width = split["near_duplicate_width"]
    if split["leaks"] == "remove":
        near = [sum(one["near_test"][kind] for one in used) for kind in ("positives", "negatives")]
        texts.append(
            f"So were near duplicates of test sequences, which shared {width} bases or more with "
            f"one on either strand ({count(near[0], 'positive')} and {count(near[1], 'negative')})."
        )
    if split["max_peaks"] is not None:
        texts.append(
            f"Of each set at most {number(split['max_peaks'])} training positives were used, the "
            "strongest."
        )
        if drawn := sum(bool(one.get("drawn_of_equal")) for one in used):
            sets_of = "one set" if drawn == 1 else f"{spelled(drawn)} sets"
            texts.append(
                f"In {sets_of} several peaks were as strong as the weakest of these, and some of "
                "them were drawn at random."
            )
    least = number(split["min_peaks"])
    texts.append(f"Sets with fewer than {least} training positives left were skipped.")
    return " ".join(texts)


def shuffled(used: Sequence[Mapping]) -> list[Mapping]:
    """Return the statistics of the sets whose negatives are shuffles."""
    return [one for one in used if one["negatives"] == "shuffle"]


def some_of(some: Sequence, whole: Sequence) -> str:
    """Begin a sentence on some of the sets, up to its verb."""
    if len(some) == len(whole):
        return "All were" if len(some) > 1 else "It was"
    return f"{spelled(len(some)).capitalize()} of them {'was' if len(some) == 1 else 'were'}"


def splits(config: Mapping, used: Sequence[Mapping]) -> str:
    """Say how training and validation parts were made, and how large all parts are."""
    split = config["chipseq"]
    sizes = {
        name: sum(one[f"{name}_positives"] for one in used)
        for name in ("train", "validation", "test")
    }
    return (
        f"Before any negative was made, {part(split['validation_fraction'])} of the training "
        "positives of each set were held out for validation; copies and near duplicates (sharing "
        f"{split['near_duplicate_width']} bases on either strand) stayed on one side. In all there "
        f"were {number(sizes['train'])} positives to train on, {number(sizes['validation'])} for "
        f"validation and {number(sizes['test'])} for the test."
    )


def negatives(config: Mapping, used: Sequence[Mapping]) -> str:
    """Describe the negatives of each kind in use."""
    peaks, per = config["peaks"], config["chipseq"]["negatives_per_positive"]
    kinds = Counter(one["negatives"] for one in used)
    each = f"Each training and validation positive was given {count(per, 'negative')}"
    of_test = ""
    if contigs_tested(shuffled(used)):
        of_test = " Test peaks cut out of the genome were given one each in the same way."
    described = {
        "shuffle": (
            f"{each} by dinucleotide shuffling: uniform draws over Eulerian paths (Altschul and "
            "Erickson 1985), with exactly the positive's counts of all dinucleotides, on the "
            f"positive's side of the split.{of_test}"
        ),
        "genomic": (
            f"{each}, a window of the genome at least {count(peaks['distance'], 'base')} away from "
            "all peaks whose GC content differed from the positive's by at most "
            f"{part(peaks['gc_tolerance'])}; test peaks were given one each, from the test contigs."
            f"{too_few(used)}"
        ),
        "bed": "Negatives were windows around the middles of the intervals of a BED file, except "
        f"those on a peak, divided between the parts as the positives were.{unusable(used)}",
    }
    texts = []
    for kind, words in described.items():
        if kinds[kind]:
            sets_of = f"{spelled(kinds[kind])} {'set' if kinds[kind] == 1 else 'sets'}"
            texts.append(
                words if len(kinds) == 1 else f"In {sets_of}, {words[0].lower()}{words[1:]}"
            )
    return " ".join(texts)


def too_few(used: Sequence[Mapping]) -> str:
    """Say in how many sets the genome held fewer windows than were wanted; nothing for none."""
    sides = [
        [
            side
            for side in one["background"].values()
            if isinstance(side, Mapping) and "wanted" in side
        ]
        for one in used
        if one["negatives"] == "genomic" and "background" in one
    ]
    short = [one for one in sides if any(side["found"] < side["wanted"] for side in one)]
    if not short:
        return ""
    found, wanted = (sum(side[key] for one in short for side in one) for key in ("found", "wanted"))
    sets_of = "one set" if len(short) == 1 else f"{spelled(len(short))} sets"
    return (
        f" For {sets_of} the genome held fewer such windows than that: {number(found)} in place of "
        f"{number(wanted)}."
    )


def genome(config: Mapping, facts: Mapping) -> str:
    """Describe the genome, where one was read."""
    index = facts["index"]
    if index is None:
        return ""
    name = f"{index['source']['name']} (SHA-256 {index['source']['sha256']})"
    if facts["pretrain"] is None:
        return f"The genome that peaks were cut out of was {name}. "
    totals = index["totals"]
    held_out = [one["name"] for one in index["contigs"] if one["split"] == "validation"]
    shown = contigs_in_words(held_out, 8)
    masked = {
        "keep": "Soft-masked bases were used as bases.",
        "mask": "Soft-masked bases were taken as unknown.",
    }[config["genome"]["soft_masked"]]
    left_in = {
        "report": "Loci of peaks were not left out of the genome, which was read without labels.",
        "remove": "It was read without labels, and not where it shares "
        f"{count(config['chipseq']['near_duplicate_width'], 'base')} with a test sequence.",
    }[config["genome"]["leaks"]]
    return (
        f"The genome was {name}, of which "
        f"{count(totals['train']['contigs'], 'contig')} with {number(totals['train']['length'])} "
        f"bases were read for training, and {shown} ({number(totals['validation']['length'])} "
        f"bases) held out to judge the language model. {masked} {left_in} "
        f"{read_in_test(config, facts, held_out)}"
    )


def evaluation(config: Mapping, used: Sequence[Mapping]) -> str:
    """Say how sets were judged."""
    args = config["evaluate"]
    text = (
        "The test sequences decided nothing and were scored once, by the area under the ROC curve "
        "(AUROC), average precision and, at a probability of 0.5 and at the stored thresholds, "
        "Matthews correlation, precision and recall; calibration by the expected calibration error "
        "over 10 bins. "
    )
    if len(used) > 1:
        text += (
            "The mean AUROC over sets is given with a 95 % bootstrap interval "
            f"({number(args['bootstrap'])} resamples of sets). "
        )
    text += (
        "As a floor, a logistic regression on the counts of the 16 dinucleotides was trained and "
        "tested on the same sequences"
    )
    if shuffled(used):
        text += (
            "; a set with shuffled negatives on which its AUROC differed from 0.5 by more than "
            f"{args['floor_tolerance']:g} would have been refused"
        )
    return text + "."


def software(facts: Mapping) -> str:
    """Name versions and seed."""
    dflm = sorted({card["dflm_version"] for card in facts["cards"]})
    torch = sorted({card["torch_version"] for card in facts["cards"]})
    versions = [f"DFLM {listed(dflm)}", f"PyTorch {listed(torch)}"] if dflm else []
    versions += [f"{name} {value}" for name, value in facts["versions"].items()]
    config = facts["config"]
    others = ", in trainings from theirs" if config["seeds"] > 1 else ""
    return (
        f"All was run with {listed(versions)}. Every random choice followed from the seed "
        f"{config['seed']}{others}."
    )


def table(facts: Mapping) -> str:
    """Return the sets with their numbers of positives and the checksums of their files."""
    lines = [
        "| set | training | validation | test | SHA-256 of its files |",
        "|---|--:|--:|--:|---|",
    ]
    for one in facts["stats"]:
        sizes = [number(one[f"{name}_positives"]) for name in ("train", "validation", "test")]
        if one["status"] != "ok":
            sizes = [one["status"], "", ""]
        digests = "; ".join(f"{name} `{digest}`" for name, digest in one["sha256"].items())
        lines.append(f"| {one['dataset']} | {' | '.join(sizes)} | {digests} |")
    return "Positives of each part.\n\n" + "\n".join(lines)
