"""The methods section says what the configuration says, whatever its switches are."""

import copy
import json
import re
from pathlib import Path

import pytest
import yaml
from dflm.evaluation.methods_text import REFERENCES, methods_text, write_methods
from dflm.evaluation.prose import count, listed, number, part, spelled
from dflm.resources import parameters
from runs import rule_functions

WORKFLOW = Path(__file__).resolve().parents[2] / "workflow"


@pytest.fixture(scope="module")
def defaults():
    """The configuration that the schema fills in, by the workflow's own functions."""
    rules = rule_functions()
    schema = yaml.safe_load((WORKFLOW / "schemas" / "config.schema.yaml").read_text())

    def filled(config):
        config = copy.deepcopy(config)
        assert not rules["check_schema"](config, schema)
        return config

    return filled


def a_set(name="A", **changes):
    return {
        "dataset": name,
        "status": "ok",
        "negatives": "shuffle",
        "shared_with_test": 11,
        "near_test": {"positives": 3, "negatives": 1},
        "train_positives": 1234,
        "validation_positives": 137,
        "test_positives": 500,
        "sha256": {"train": "a1" * 32, "test": "b2" * 32},
        **changes,
    }


def cut(name, negatives="genomic", dropped=None, **changes):
    found = {
        "negatives": negatives,
        "test_contigs": ["chr8", "chr9"],
        "dropped": DROPPED | (dropped or {}),
        "sha256": {"peaks": "e5" * 32},
    }
    if negatives == "bed":
        found["background"] = {"dropped": DROPPED, "repeats_left_out": 0}
    return a_set(name, **found | changes)


DROPPED = dict.fromkeys(
    (
        *("unknown_contig", "beyond_contig_end", "window_off_end", "overlap"),
        *("ambiguous", "length", "letters", "beyond_max_peaks"),
    ),
    0,
)


GENOME = {
    "source": {"name": "hg38.fa.gz", "sha256": "c3" * 32},
    "totals": {
        "train": {"contigs": 23, "length": 2_943_123_456},
        "validation": {"contigs": 1, "length": 145_138_636},
    },
    "contigs": [{"name": "chr8", "split": "validation"}, {"name": "chr1", "split": "train"}],
}
PRETRAIN = {"bits_per_base": 1.87654, "tokens": 2_000_000, "train_tokens": 2_900_000_001}
PRETRAIN |= {"averaged": True}


def facts(config, sets, **changes):
    bits = {"lm_bits_per_base_before": 1.9123, "lm_bits_per_base_after": 1.8801}
    ended = [one for one in sets if one["status"] == "ok"]
    return {
        "config": config,
        "rows": [{"dataset": one["dataset"]} for one in sets],
        "metrics": [bits for _ in ended],
        "cards": [{"dflm_version": "0.1.0", "torch_version": "2.13.0"} for _ in ended],
        "stats": sets,
        "index": GENOME,
        "pretrain": PRETRAIN,
        "pretrained_card": None,
        "versions": {"Python": "3.11.2", "Snakemake": "9.27.1"},
        **changes,
    }


def written(config, sets=None, **changes):
    """Return the text without line ends, and hold what is true of every text."""
    text = methods_text(config, facts(config, sets or [a_set("A"), a_set("B")], **changes))
    for title in ("Sequences", "Splits and negatives", "Language model", "Classifiers"):
        assert f"**{title}.** " in text
    prose = text.partition("## Sets")[0]
    assert not re.search(r"  |\.\.|,,| \.| ,|None|nan|\{|\}|\[|\]", prose), prose
    # Each sentence begins as one does; a number is no beginning.
    for sentence in re.findall(r"(?<!et al)\. (\S+)", prose):
        assert sentence[0].isupper() or sentence.startswith("**"), sentence
    for name, reference in REFERENCES.items():
        assert (name in prose) == (reference in text)
    return " ".join(prose.split())


def test_the_default_is_told_with_its_numbers(defaults):
    config = defaults({})
    text = written(config)
    for words in (
        "learnt from 2 ChIP-seq sets",
        "All were given as sequences",
        "(22 in all)",
        "Sets with fewer than 1,000 training positives left were skipped",
        "10 % of the training positives",
        "sharing 40 bases on either strand",
        "2,468 positives to train on, 274 for validation and 1,000 for the test",
        "1 negative by dinucleotide shuffling",
        f"hg38.fa.gz (SHA-256 {'c3' * 32})",
        "23 contigs with 2,943,123,456 bases",
        "chr8 (145,138,636 bases) held out",
        "overlapping 3-mers, one at each base",
        "AWD-LSTM (Merity et al. 2018) of 6 layers, 800 hidden units a layer",
        f"width 200 ({number(parameters({**config['language_model'], 'k': 3}))} parameters",
        "1 pass over the training contigs (2,900,000,001 tokens) in 640 parallel streams",
        "windows of 70 tokens, by AdamW",
        "peak learning rate of 0.003",
        "0.125 (output), 0.05 (hidden), 0.1 (input), 0.01 (embedding) and 0.075 (weight)",
        "it reached 1.8765 bits per base",
        "training positives of each set by itself, for 10 epochs in batches of 800",
        "from 1.9123 to 1.8801 bits per base of held-out peaks",
        "and the mean of 64 motif detectors, a convolution over 15 embedded tokens with batch",
        "head with 50 hidden units (dropout 0.1; in the encoder and on the pooled features, its "
        "output, dropout probabilities of 0.1",
        "in 5 stages, in which the last 1, 2, 3, 8 and 8 of 8 layer groups learnt for 3, 3, 3, 3",
        "rates of 0.02, 0.01, 0.005, 0.005 and 0.0001",
        "training ended after 3 epochs without a better one",
        "mean of the probabilities of the sequence and of its reverse complement",
        "false discovery rate of at most 10 %",
        "(2,000 resamples of sets)",
        "differed from 0.5 by more than 0.03",
        "DFLM 0.1.0, PyTorch 2.13.0, Python 3.11.2 and Snakemake 9.27.1",
        "the seed 1",
    ):
        assert words in text, words
    for words in (
        "NT-ASGD",
        "peaks, of which",
        "near duplicates of test",
        "skipped, for",
        "also run",
    ):
        assert words not in text, words


CASES = {
    "nt-asgd": (
        {"pretrain": {"optimizer": "nt-asgd", "learning_rate": 20, "nonmono": 7, "clip": None}},
        ["learning rate of 20 that", "for 7 validations (NT-ASGD", "gradients not clipped"],
        ["a peak learning rate of 20", "averaging did not set in"],
    ),
    "tokens": (
        {"kmers": {"k": 5, "stride": 5}, "language_model": {"layers": 1, "drop_mult": 0}},
        ["read as 5-mers, one every 5 bases", "of 1 layer and an", "no dropout"],
        ["overlapping", "hidden units a layer"],
    ),
    "bases": ({"kmers": {"k": 1}}, ["read base by base."], ["-mers"]),
    "group": (
        {"finetune": {"group_by": "tf", "epochs": 4}},
        [
            "of all sets of a transcription factor together, for 4 epochs",
            "of a set of the group, or were near",
        ],
        ["by itself"],
    ),
    "family": (
        {"finetune": {"group_by": "family", "reverse_complement": False}},
        ["of all sets together that have the same family"],
        ["for 10 epochs in batches of 800 with AdamW; a random"],
    ),
    "one strand": (
        {"predict": {"both_strands": False}, "classifier": {"reverse_complement": False}},
        ["the probability of the sequence as given"],
        ["mean of the probabilities"],
    ),
    "split": (
        {
            "seed": 42,
            "chipseq": {
                "leaks": "remove",
                "near_duplicate_width": 32,
                "max_peaks": 5000,
                "min_peaks": 200,
                "validation_fraction": 0.125,
                "ambiguous": "keep",
                "negatives_per_positive": 3,
            },
        },
        [
            "shared 32 bases or more with one on either strand (6 positives and 2 negatives)",
            "at most 5,000 training positives",
            "Sets with fewer than 200",
            "12.5 % of the training",
            "ambiguous bases were kept",
            "3 negatives by",
            "the seed 42",
        ],
        [],
    ),
    "head": (
        {
            "classifier": {
                "head": {"hidden": 20, "dropout": 0.3, "detectors": 0},
                "stages": [{"unfreeze": "all", "epochs": 6, "learning_rate": 0.002}],
                "patience": None,
                "fdr": 0.05,
            }
        },
        [
            "20 hidden units (dropout 0.3",
            "in one stage of 6 epochs, in which the last 8 of 8 layer groups learnt, at a peak "
            "learning rate of 0.002",
            "at most 5 %",
        ],
        ["Howard", "without a better one", "detector"],
    ),
    "others": (
        {
            "baselines": ["floor", "gkm", "lsgkm", "cnn"],
            "ablations": ["random", "one_strand", "k4"],
            "variants": {"wide": {"classifier": {"head": {"hidden": 99}}}},
            "seed": 3,
            "seeds": 3,
        },
        [
            "windows of 10 bases of which 6 were read; 8 shuffles of each peak; C of 0.3, 1 or 3,",
            "LS-GKM (Lee 2016; windows of 11 bases of which 7 were read, at most 3 mismatches, "
            "weighted towards the middle; 1 shuffle of each peak; C of 1)",
            "32 detectors of each of the widths 6, 9, 12 and 18",
            "with an encoder of random weights, one strand only, in training and prediction and "
            "tokens of 4 bases",
            "`wide`",
            "trainings of DFLM on the sets and of the convolutional network were done with each of "
            "the seeds 3 to 5",
            "(Ghandi et al. 2014;",
            "shuffles drawn anew in each",
            "Wilcoxon",
            "bootstrap intervals (2,000 resamples of sets)",
            "A method's seeds were averaged within each set first",
            "from the seed 3, in trainings from theirs",
        ],
        [],
    ),
    "ensemble of seeds": ({"ensemble": ["full"], "seeds": 2}, ["mean of", "Wilcoxon"], []),
    "baseline": (
        {"baselines": ["cnn"]},
        ["peaks, splits and test sequences stood a conv"],
        ["Lee"],
    ),
    "random": (
        {"classifier": {"start": "random"}},
        ["began with random weights, without a language model"],
        ["pretrained without labels", "fine-tuned"],
    ),
    "pretrained": (
        {"classifier": {"start": "pretrained"}},
        ["pretrained without labels", "It was not fine-tuned on the sets."],
        ["then fine-tuned"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_each_switch_is_told(defaults, case):
    config, said, unsaid = CASES[case]
    text = written(defaults(config))
    for words in said:
        assert words in text, words
    for words in unsaid:
        assert words not in text, words


def test_a_given_model_is_named_by_its_checksum(defaults):
    config = defaults({"language_model": {"pretrained": "somewhere"}})
    card = {"dflm_version": "0.1.0", "sha256": "d4" * 32}
    text = written(config, index=None, pretrain=None, pretrained_card=card)
    assert f"existing model (DFLM 0.1.0, SHA-256 of the weights {'d4' * 32})" in text
    assert "pretrained without labels" not in text
    assert "The genome" not in text
    # Where peaks are cut out of one, it is named all the same.
    text = written(config, [cut("A")], pretrain=None, pretrained_card=card)
    assert f"The genome that peaks were cut out of was hg38.fa.gz (SHA-256 {'c3' * 32})." in text


def test_peaks_and_kinds_of_negatives_are_told_apart(defaults):
    config = defaults({"peaks": {"width": 201, "distance": 750, "gc_tolerance": 0.05}})
    text = written(
        config, [a_set("A"), a_set("B"), cut("C"), cut("D", "bed"), a_set("E", status="skipped")]
    )
    for words in (
        "learnt from 5 ChIP-seq sets. Of these, one was skipped",
        "holds for the 4 others",
        "Two of them were given as sequences",
        "Two of them were given as peaks, of which windows of 201 bases",
        "Peaks on chr8 and chr9 were held out",
        "In two sets, each training and validation positive was given 1 negative by dinucleotide",
        "In one set, each training and validation positive was given 1 negative, a window of the "
        "genome at least 750 bases away from all peaks whose GC content differed from the "
        "positive's by at most 5 %",
        "In one set, negatives were windows around the middles",
        "a set with shuffled negatives on which",
    ):
        assert words in text, words
    text = written(config, [cut("C")])
    assert "from 1 ChIP-seq set. It was given as peaks" in text
    assert "Altschul" not in text
    assert "one each in the same way" in written(config, [cut("C", "shuffle")])
    assert "would have been refused" not in text
    assert "Negatives were windows" not in text


def test_baselines_are_told_by_the_negatives_that_there_are(defaults):
    config = defaults({"baselines": ["gkm", "cnn"], "chipseq": {"negatives_per_positive": 3}})
    assert "6 shuffles of each peak; C of" in written(config)
    text = written(config, [cut("A"), cut("B", "bed")])
    assert "6 were read; C of" in text
    assert "shuffle" not in text
    text = written(config, [a_set("A"), cut("B")])
    assert "6 shuffles of each peak where negatives were shuffles; C of" in text
    assert "drawn anew in each where negatives were shuffles)" in text


def test_ls_gkm_learns_from_the_shuffles_of_the_split_where_there_are_any(defaults):
    config = defaults({"baselines": ["lsgkm"], "chipseq": {"negatives_per_positive": 3}})
    assert "; 3 shuffles of each peak; C of 1)" in written(config)
    both = written(config, [a_set("A"), cut("B")])
    assert "; 3 shuffles of each peak where negatives were shuffles; C of 1)" in both
    alone = written(config, [cut("B")])
    assert "the middle; C of 1)" in alone
    assert "shuffle" not in alone


def test_what_holds_of_several_sets_or_equal_peaks_is_told_of_those_alone(defaults):
    config = defaults({"chipseq": {"max_peaks": 5000}})
    several = "The mean AUROC over sets is given with a 95 % bootstrap interval"
    assert several in written(config, [a_set("A"), a_set("B")])
    text = written(config, [cut("A", drawn_of_equal={"drawn": 3, "equal": 9})])
    assert several not in text
    assert "In one set several peaks were as strong as the weakest of these, and some" in text
    assert "drawn at random" not in written(config, [cut("A")])


def test_genomic_negatives_that_were_too_few_are_told(defaults):
    def background(train, test):
        sides = {"train": {"wanted": 1000, "found": train}, "test": {"wanted": 100, "found": test}}
        return {"background": sides | {"repeats_left_out": 0}}

    enough, few = background(1000, 100), background(700, 90)
    config = defaults({})
    text = written(config, [cut("A", **enough), cut("B", **few)])
    assert "For one set the genome held fewer such windows than that: 790 in place of 1,100" in text
    assert "fewer such windows" not in written(config, [cut("A", **enough), cut("B", "bed")])


def test_peaks_that_were_left_out_are_told_with_their_number_and_why(defaults):
    config = defaults({"chipseq": {"max_peaks": 5000}})
    far = {"unknown_contig": 1200, "beyond_contig_end": 2, "window_off_end": 3, "ambiguous": 4}
    sets = [
        cut("A", dropped=far | {"overlap": 50, "beyond_max_peaks": 9999}),
        cut("B", dropped={"overlap": 7, "unknown_contig": 34}),
        a_set("C", dropped=DROPPED | {"ambiguous": 600}),  # given as sequences: not peaks
        cut("D", status="skipped", dropped={"overlap": 5000}),
    ]
    words = (
        "Of the peaks, 1,300 were left out: 1,234 on contigs that were not used, 2 that reached "
        "beyond the end of a contig, 3 with a window over the end of a contig, 57 with a window "
        "that overlapped one that was kept and 4 with N in the window."
    )
    assert words in written(config, sets)
    few = written(config, [cut("A", dropped={"ambiguous": 1})])
    assert "Of the peaks, 1 was left out: 1 with N in the window." in few
    assert "contigs that were not used" not in few
    assert "left out:" not in written(config, [cut("A")])
    merged = written(config, [cut("A", dropped={"merged": 5, "overlap": 2}), cut("B")])
    words = (
        "7 were left out: 5 that had no summit and became part of one that overlapped and 2 with a"
    )
    assert words in merged
    # A reason that a later split may count.
    assert "2 were left out: 2 for another reason (too odd)." in written(
        config, [cut("A", dropped={"too_odd": 2})]
    )


def test_windows_with_n_are_told_of_where_they_were_kept(defaults):
    config, kept = defaults({"chipseq": {"ambiguous": "keep"}}), "Windows with N were kept"
    assert f"{kept}." in written(config, [cut("A", "shuffle")])
    assert f"{kept} where negatives were shuffles." in written(
        config, [cut("A"), cut("B", "shuffle")]
    )
    for text in (written(config, [cut("A")]), written(defaults({}), [cut("A", "shuffle")])):
        assert kept not in text


def test_negatives_that_were_given_and_left_out_are_told(defaults):
    dropped = DROPPED | {"on_a_peak": 20, "overlap": 3}
    given = {"background": {"dropped": dropped, "repeats_left_out": 2}}
    words = (
        "Of the intervals, 25 were left out: 3 with a window that overlapped one that was kept, 20 "
        "on a peak and 2 with a sequence that stood there already."
    )
    assert words in written(defaults({}), [cut("A", "bed", **given)])
    assert "left out:" not in written(defaults({}), [cut("A", "bed")])


def test_test_contigs_that_the_language_model_has_read_are_named(defaults):
    config, had = defaults({"peaks": {"test": ["chr[89]"]}}), "the language model had read"
    text = written(config, [cut("A"), cut("B")])
    assert "test contigs, chr9 was not held out of it: the language model had read its se" in text
    two = {"test_contigs": ["chr1", "chr9"]}
    assert "test contigs, chr1 and chr9 were not held" in written(config, [cut("A", **two)])
    many = {"test_contigs": [f"scaffold{i}" for i in range(40)]}
    assert "test contigs, 40 contigs were not held" in written(config, [cut("A", **many)])
    assert had not in written(config, [cut("A", test_contigs=["chr8"])])
    assert had not in written(config, [a_set("A")])
    withheld = defaults({"genome": {"leaks": "remove"}})
    assert "had read the rest of its sequence, without labels." in written(withheld, [cut("A")])
    # No language model of this run has read any.
    assert had not in written(
        defaults({"classifier": {"start": "random"}}), [cut("A")], pretrain=None
    )


def test_the_sets_stand_in_a_table_with_their_checksums(defaults):
    config = defaults({})
    sets = [a_set("ELK1_(1277-1)"), a_set("B", status="skipped")]
    text = methods_text(config, facts(config, sets))
    row = f"| ELK1_(1277-1) | 1,234 | 137 | 500 | train `{'a1' * 32}`; test `{'b2' * 32}` |"
    assert row in text
    assert "| B | skipped |" in text


def test_files_give_the_same_bytes_each_time(defaults, tmp_path):
    config, sets = defaults({}), [a_set("A"), a_set("B")]
    told, lists = facts(config, sets), {}
    for name in ("metrics", "cards", "stats"):
        lists[name] = [tmp_path / f"{name}{i}.json" for i in range(len(told[name]))]
        for path, content in zip(lists[name], told[name], strict=True):
            path.write_text(json.dumps(content))
    for name in ("index", "pretrain"):
        (tmp_path / f"{name}.json").write_text(json.dumps(told[name]))
    places = tmp_path / "index.json", tmp_path / "pretrain.json", None, None
    for name in ("a.md", "b.md"):
        write_methods(
            config, told["rows"], *lists.values(), *places, tmp_path / name, snakemake="9.27.1"
        )
    text = (tmp_path / "a.md").read_text()
    assert text == (tmp_path / "b.md").read_text()
    assert "Snakemake 9.27.1, numpy " in text


def test_words():
    assert [count(n, "pass", "passes") for n in (1, 2000)] == ["1 pass", "2,000 passes"]
    assert [part(0.1), part(0.125), part(0)] == ["10 %", "12.5 %", "0 %"]
    assert [listed([]), listed(["a"]), listed(["a", "b", "c"], "or")] == ["", "a", "a, b or c"]
    assert [spelled(n) for n in (0, 9, 10)] == ["no", "nine", "10"]
