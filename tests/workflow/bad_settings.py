"""Wrong configurations and sheets, each with what is told of it.

Those that are read by the rules' functions take milliseconds each; what YAML itself has to refuse
is tried by a dry run, see test_config.py.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import yaml
from bad_cases import Case, RefusedError
from dflm.errors import InputError
from parsers import Parser
from runs import NAMES, ROOT, rule_functions, write_folder
from snakemake.exceptions import WorkflowError

SCHEMAS = ROOT / "workflow" / "schemas"


def read_settings(text: str = "") -> tuple[dict, list[dict]]:
    """Read a configuration, given as YAML over that of the working directory, and its sheet."""
    config = yaml.safe_load(Path("config/config.yaml").read_text())
    for key, value in (yaml.safe_load(text) or {}).items():
        config[key] = config[key] | value if key in config else value
    rows = rule_functions()["read_configuration"](
        config, SCHEMAS / "config.schema.yaml", SCHEMAS / "datasets.schema.yaml"
    )
    return config, rows


def _refused(text: str):
    def read(folder: Path) -> None:
        with contextlib.chdir(folder):
            try:
                read_settings(text)
            except WorkflowError as error:
                raise RefusedError(str(error)) from None

    return read


def configuration(text: str, told: str) -> Case:
    return Case("configuration", text[:60], write_folder, _refused(text), told)


def sheet(content: str | bytes, told: str) -> Case:
    raw = content.encode() if isinstance(content, str) else content

    def build(folder: Path) -> None:
        write_folder(folder)
        (folder / "sheet.tsv").write_bytes(raw)

    return Case("sheet", repr(raw)[:60], build, _refused(""), told)


def card(content: str, told: str) -> Case:
    """Return a case of the card of a language model that is to be taken."""

    def build(folder: Path) -> None:
        write_folder(folder)
        (folder / "lm").mkdir()
        (folder / "lm" / "model.safetensors").write_bytes(b"")
        (folder / "lm" / "model.json").write_text(content)

    return Case(
        "configuration",
        f"lm: {content[:60]}",
        build,
        _refused("language_model: {pretrained: lm}"),
        told,
    )


CONFIGS = [
    ("pretrain: {epoch: 1}", "pretrain.epoch is no key.*did you mean epochs.*batch_size"),
    ("sed: 1", "sed is no key of the configuration, did you mean seed"),
    ("classifier: {head: {width: 1}}", "classifier.head.width.*hidden, dropout"),
    ("seed: one", 'seed is "one"; allowed: a whole number'),
    ("pretrain: {epochs: 1.5}", "pretrain.epochs is 1.5; allowed: a whole number"),
    ("classifier: {batch_size: 1}", "classifier.batch_size is 1; allowed.*at least 2"),
    (
        "classifier: {drop_mult: 2}",
        "classifier.dropout.input is 0.6 and classifier.drop_mult 2.*below 1",
    ),
    (
        "discriminate: {drop_mult: 5}",
        "language_model.dropout.output is 0.25 and discriminate.drop_mult 5.*below 1",
    ),
    (
        "{kmers: {k: 4, stride: 60}, discriminate: {width: 60}}",
        "discriminate.width is 60, but two tokens take .* = 64 bases",
    ),
    ("seed: true", "seed is true; allowed: a whole number"),
    ("finetune: null", "finetune is null; allowed: a section"),
    ("pretrain: {learning_rate: 2x}", 'pretrain.learning_rate is "2x"; allowed: a number'),
    ("pretrain: {optimizer: sgd}", "pretrain.optimizer.*adamw, nt-asgd"),
    ("pretrain: {momentum: [0.8]}", "pretrain.momentum.*at least 2"),
    ("kmers: {k: 9}", "kmers.k is 9; allowed:.*at most 8"),
    ("kmers: {stride: 0}", "kmers.stride is 0; allowed:.*at least 1"),
    ("genome: {checksum: 'sha1:00'}", "genome.checksum.*sha256"),
    ("genome: {soft_masked: drop}", "genome.soft_masked.*keep, mask"),
    ("genome: {validation: ['*']}", "genome.validation.*leave contigs to train on"),
    ("genome: {include: [chr1], validation: [chr1]}", "genome.validation.*genome.include"),
    ("genome: {source: missing.fa}", "genome.source: there is no file missing.fa"),
    ("genome: {source: 'https://x.org/hg38.2bit'}", "genome.source.*endings allowed: .fa"),
    ("genome: {source: 'ftp://x.org/hg38.fa'}", "genome.source.*ftp; allowed: http, https"),
    ("datasets: {source: missing.zip}", "datasets.source: there is no file or folder"),
    ("datasets: {source: genome.fa}", "datasets.source.*endings allowed: .zip"),
    ("datasets: {source: null, sheet: null}", "datasets.sheet and datasets.source are both"),
    ("datasets: {source: null}", "column train is empty, and datasets.source"),
    ("datasets: {sheet: missing.tsv}", "datasets.sheet: there is no file missing.tsv"),
    ("datasets: {select: MYC}", 'datasets.select is "MYC"; allowed: a list of text'),
    ("datasets: {select: []}", "datasets.select.*at least 1"),
    ("datasets: {select: ['ELK?_GM*', 'USF_*']}", "USF_.* matches no set.*USF1_H1-hESC"),
    ("datasets: {select: ['ELK1_GM12878_ELK1_(1277)']}", r"matches no set.*\(1277-1\)"),
    ("finetune: {group_by: famly}", "finetune.group_by is famly; allowed: tf, cell_line or a c"),
    (
        "finetune: {group_by: train}\ndatasets: {sheet: null, source: data}",
        "finetune.group_by is train; allowed without a sheet: dataset, tf, cell_line",
    ),
    ("language_model: {pretrained: results/discriminate}", "is one of this run's own results"),
    (
        "variants: {x: {kmers: {k: 4}, pretrain: {checkpoint_minutes: 5}}}",
        "variants.x.pretrain.checkpoint_minutes cannot differ between methods",
    ),
    ("variants: {800: {kmers: {k: 4}}}", "variants.800: a number, true, false or no as a name"),
    ("variants: {no: {kmers: {k: 4}}}", "variants.False: a number, true, false or no as a name"),
    ("classifier: {stages: []}", "classifier.stages.*at least 1"),
    (
        "classifier: {stages: [{unfreeze: 9, epochs: 1, learning_rate: 0.1}]}",
        r"classifier.stages\[0\].unfreeze is 9; allowed: 1 to 8",
    ),
    (
        "classifier: {stages: [{unfreeze: 0, epochs: 1, learning_rate: 0.1}]}",
        r"classifier.stages\[0\].unfreeze is 0; allowed:.*all",
    ),
    (
        "classifier: {stages: [{unfreeze: 1, learning_rate: 0.1}]}",
        r"classifier.stages\[0\] lacks the key epochs",
    ),
    (
        "pretrain: {optimizer: nt-asgd, validations_per_epoch: 5}",
        "nt-asgd.*pretrain.nonmono .* 6 validations.*there are 5",
    ),
    ("peaks: {width: 10}", "peaks.width is 10; allowed: a whole number, at least 20"),
    ("peaks: {negatives: random}", "peaks.negatives.*genomic, shuffle"),
    ("peaks: {test: chr8}", 'peaks.test is "chr8"; allowed: a list or null of text'),
    ("peaks: {test: []}", "peaks.test.*at least 1"),
    ("simulate: {peaks: 100, test_positives: 50}", "simulate.peaks is 100; allowed: more"),
    ("language_model: {pretrained: nowhere}", "language_model.pretrained: there is no file"),
    ("chipseq: {max_peaks: 500}", "chipseq.max_peaks is 500 and chipseq.min_peaks 1000"),
    ("baselines: [floor, svm]", r'baselines\[1\] is "svm"; allowed: one of floor, gkm, lsgkm'),
    ("baselines: [cnn, cnn]", "baselines holds a value twice"),
    ("ablations: [k2]", r'ablations\[0\] is "k2"; allowed: one of random, pretrained'),
    ("ablations: [k3]", r"ablations: k3 \(kmers.k is 3\) comes to the same as the config"),
    (
        "classifier: {start: random}\nablations: [random]",
        "ablations: random .classifier.start is random. comes to the same as the config",
    ),
    ("classifier: {start: scratch}", "classifier.start.*finetuned, pretrained, random"),
    ("seeds: 0", "seeds is 0; allowed: a whole number, at least 1"),
    ("variants: [wide]", r"variants is \[.wide.\]; allowed: a section"),
    (f"variants: {{{'w' * 101}: {{kmers: {{k: 4}}}}}}", "variants.w+.*allowed.*100 at most"),
    (
        'genome: {source: "https://[x/genome.fa.gz"}',
        r"genome.source: https://\[x/genome.fa.gz is no address",
    ),
    (
        "kmers: {stride: 2}\nclassifier: {head: {strand_symmetric: true}}",
        "kmers.stride is 2, and with classifier.head.strand_symmetric it has to be 1",
    ),
    (
        "genome: {leaks: remove}\nlanguage_model: {pretrained: .}",
        "genome.leaks: remove does nothing for the model of language_model.pretrained",
    ),
    (
        "genome: {source: 'https://[x/g.fa.gz'}\nlanguage_model: {pretrained: lm}",
        r"genome.source: https://\[x/g.fa.gz is no address",
    ),
    ("variants: {wide: 3}", "variants.wide is 3; allowed: a section"),
    ("variants: {gkm: {kmers: {k: 4}}}", "variants.gkm: gkm is the name of a method that"),
    ("variants: {a/b: {kmers: {k: 4}}}", "variants.a/b: the name is not allowed"),
    ("variants: {x-seed2: {kmers: {k: 4}}}", "variants.x-seed2: the name is not allowed"),
    ("variants: {x: {seed: 4}}", "variants.x.seed cannot differ between methods"),
    ("variants: {x: {clasifier: {}}}", "x.clasifier cannot.*did you mean classifier"),
    ("variants: {x: {kmers: 4}}", "variants.x.kmers is 4; allowed: a section"),
    (
        "variants: {x: {pretrain: {epoch: 4}}}",
        "variants.x.pretrain.epoch is no key of the configuration, did you mean epochs",
    ),
    ("variants: {x: {kmers: {k: 9}}}", "variants.x.kmers.k is 9; allowed:.*at most 8"),
    (
        "variants: {x: {classifier: {drop_mult: 2}}}",
        "variants.x: classifier.dropout.input is 0.6 and classifier.drop_mult 2.*below 1",
    ),
    (
        "variants: {x: {classifier: {patience: 3}}}",
        "variants.x .classifier.patience is 3. comes",
    ),
    ("variants: {x: {}}", "variants.x comes to the same as the configuration itself"),
    (
        "variants: {x: {classifier: {start: random}}}\nablations: [random]",
        "variants.x .* comes to the same as random; take it out",
    ),
    (
        "variants: {x: {finetune: {group_by: famly}}}",
        "finetune.group_by is famly; allowed: tf, cell_line or a column",
    ),
    (
        "ablations: [one_strand]\nensemble: [full, one_strand]",
        "ensemble: one_strand predicts with another predict.both_strands than the configuration",
    ),
    ("comparison: {references: [cnn]}", "comparison.references: cnn is no method.*full"),
    ("comparison: {metrics: [auc]}", r"comparison.metrics\[0\].*one of auroc"),
    ("gkm: {informative: 8, word: 6}", "gkm.informative is 8 and gkm.word 6"),
    ("cnn: {batch_size: 1}", "cnn.batch_size is 1; allowed.*at least 2"),
    (
        "mining: {run: [motif]}",
        r'mining.run\[0\] is "motif"; allowed: one of attributions, mot',
    ),
    ("mining: {motifs: {find: true}}", "mining.motifs.find is no key"),
    ("mining: {motifs: {database: no.meme}}", "mining.motifs.database: there is no file no.m"),
    ("mining: {scan: {regions: no.bed}}", "mining.scan.regions: there is no file no.bed"),
    ("mining: {scan: {threshold: best}}", "threshold.*max_mcc, fdr, half or a number"),
    ("mining: {scan: {threshold: 2}}", "mining.scan.threshold is 2; allowed"),
    ("mining: {run: [variants]}", "asks for variants, and mining.variants.vcf is null"),
    ("mining: {variants: {vcf: 'http://x.org/a.vcf'}}", "vcf: http.* is an address; allowed"),
]
CONFIGS += [
    (f"genome: {{source: {'x' * 5000}.fa}}", "genome.source: there is no file xxx"),
    ("genome: {source: 'javascript:alert(1)'}", "genome.source: there is no file javascript:"),
    ("genome: {source: 'data:text/plain,x.fa'}", "genome.source: there is no file data:"),
    (
        "datasets: {sheet: 'http://x.org/sheet.tsv'}",
        "datasets.sheet: http.* is an address; allowed",
    ),
    ("datasets: {sheet: resources/demo/sheet.tsv}", "datasets.sheet: there is no file resources/d"),
    ("seed: '2020-13-45'", 'seed is "2020-13-45"; allowed: a whole number'),
    ("seed: '0b_'", 'seed is "0b_"; allowed: a whole number'),
    ("seed: .nan", "seed is NaN; allowed: a whole number"),
    ("seed: -1", "seed is -1; allowed: a whole number, at least 0"),
    ("kmers: [3]", r"kmers is \[3\]; allowed: a section"),
    ("genome: {source: [a.fa]}", r'genome.source is \["a.fa"\]; allowed: text'),
    ("genome: {include: chr1}", 'genome.include is "chr1"; allowed: a list of text'),
    ("pretrain: {learning_rate: .inf}", "pretrain.learning_rate is inf; allowed: a number"),
    ("pretrain: {learning_rate: .nan}", "pretrain.learning_rate is nan; allowed: a number"),
    ("2: 3", r"\[2\] is no key of the configuration"),
    ("genome: &a {source: *a}", "genome.source is a value within itself; allowed: text"),
    ("variants: {'../x': {kmers: {k: 4}}}", "variants.../x: the name is not allowed"),
    ("language_model: {pretrained: config/config.yaml}", "there is no file config/config.json"),
]

SHEETS = {
    "dataset\ttrian\nA\t\n": "column 'trian' is unknown, did you mean train",
    "name\nA\n": "unknown.*\n.*lacks the column dataset",
    "dataset\n": "holds no set",
    f"dataset\n{NAMES[1]}\n{NAMES[1]}\n": r"MED-2.1_H1-hESC stands there twice",
    "dataset\nA B\n": "the name 'A B' is not allowed; allowed: letters",
    "dataset\nA/B\n": "the name 'A/B' is not allowed",
    'dataset\tnotes\nA\t"5 prime\nB\tx\n': "row 1 .* a quote that is not closed",
    "dataset\tnotes\nA\tx\ty\n": "row 1 .* more fields than the header",
    "dataset\n{A}\n": "the name '{A}' is not allowed",
    "dataset\nA\n": "there is no A_AC.seq.gz in data",
    "dataset\ttrain\ttest\nA\tno.gz\thttp://x.org/b.gz\n": "A, column train: there is no file",
    f"dataset\ttrain_sha256\n{NAMES[1]}\tabc\n": "column train_sha256 is abc; allowed: 64",
    "dataset\tpeaks\tpeaks_sha256\nA\tgenome.fa\tabc\n": "column peaks_sha256 is abc; allowed: 64",
    "dataset\tpeaks\nA\tno.bed\n": "A, column peaks: there is no file no.bed",
    "dataset\tpeaks\nA\tftp://x.org/a.bed\n": "column peaks: .* has the scheme ftp; allowed: http",
    "dataset\tpeaks\tnegatives\nA\tgenome.fa\tno.bed\n": "column negatives: there is no file",
    "dataset\tpeaks\ttrain\nA\tgenome.fa\tgenome.fa\n": "A has peaks and train; a set has either",
    f"dataset\tnegatives\n{NAMES[1]}\tgenome.fa\n": "has negatives and no peaks; negatives go with",
}
SHEETS |= {
    "": "lacks the column dataset",
    "dataset\n../x\n": r"the name '../x' is not allowed; allowed: letters",
    "dataset\n/etc/passwd\n": "the name '/etc/passwd' is not allowed",
    "dataset\n..\n": "the name '..' is not allowed",
    "dataset\n-rf\n": "the name '-rf' is not allowed",
    "dataset\n$(touch x)\n": "is not allowed",
    "dataset\na;b\n": "the name 'a;b' is not allowed",
    "dataset\na|b\n": "is not allowed",
    "dataset\n`id`\n": "is not allowed",
    "dataset\na\0b\n": r"the name 'a.x00b' is not allowed",
    f"dataset\n{'A' * 151}\n": "the name 'A+' is not allowed;.*, 150 at most",
    "dataset\ttf\nA\n": "there is no A_AC.seq.gz in data",
    "dataset tf\nA B\n": "column 'dataset tf' is unknown.*\n.*columns are separated by tabs",
    "dataset\tdataset\nA\tB\n": "column dataset stands there twice",
    b"dataset\n\xe9\n": "sheet.tsv: no table of tab-separated text in UTF-8",
    "dataset\n".encode("utf-16"): "sheet.tsv: no table of tab-separated text in UTF-8",
    f"dataset\n{'A' * 200_000}\n": "sheet.tsv: no table of tab-separated text in UTF-8",
    "dataset\ttrain\ttest\nA\tdata:x\tjavascript:x\n": "column train: there is no file data:x",
}

_SHAPE = {"embedding": 200, "hidden": 800, "layers": 6}
_WORDS = {"k": 3, "stride": 1}
_NONE = "lm/model.json is no model card"
CARDS = {
    "": _NONE,
    "[]": _NONE,
    "[" * 10**5: _NONE,
    '{"architecture": 3, "vocabulary": 3}': _NONE,
    '{"architecture": [], "vocabulary": "x"}': _NONE,
    json.dumps(
        {"architecture": _SHAPE, "vocabulary": _WORDS}
    ): "has the format None; allowed: dflm-l",
    json.dumps(
        {"format": "dflm-language-model", "architecture": _SHAPE, "vocabulary": _WORDS | {"k": 4}}
    ): "kmers.k is 3, but the model of language_model.pretrained has 4; set kmers.k: 4",
}


CONFIG = b"""genome: {source: genome.fa, include: ["*"], validation: [chr8], checksum: null}
datasets: {source: data, sheet: sheet.tsv, select: ["*"]}
kmers: {k: 3, stride: 1}
language_model: {embedding: 20, layers: 2, drop_mult: 0.5, dropout: {input: 0.1}}
classifier:
  stages:
    - {unfreeze: 1, epochs: 1, learning_rate: 0.01}
    - {unfreeze: all, epochs: 2, learning_rate: 1e-3}
variants: {wide: {kmers: {k: 4}}}
baselines: [floor, gkm]
mining: {run: [motifs], scan: {threshold: 0.9}}
seed: 7
"""
SHEET = b"dataset\ttf\ttrain\ttest\tpeaks\nA\tTFA\tgenome.fa\tgenome.fa\t\nB\t\t\t\tgenome.fa\n"


def _from_file(path: Path) -> None:
    """Read a file as Snakemake does, and the configuration in it."""
    try:
        content = yaml.safe_load(path.read_text())
        if not isinstance(content, dict):
            raise ValueError("no keys")
    except (ValueError, yaml.YAMLError, RecursionError) as error:  # by Snakemake, in words
        raise InputError(f"no YAML ({error})", path) from None
    with contextlib.chdir(path.parent):
        try:
            rule_functions()["read_configuration"](
                content, SCHEMAS / "config.schema.yaml", SCHEMAS / "datasets.schema.yaml"
            )
        except WorkflowError as error:
            raise InputError(str(error)) from None


def _from_sheet(path: Path) -> None:
    settings = path.with_name("in.yaml")
    settings.write_text(
        f"genome: {{source: genome.fa}}\ndatasets: {{source: data, sheet: {path.name}}}"
    )
    _from_file(settings)


PARSERS = [
    Parser("configuration", lambda: CONFIG, _from_file),
    Parser("sheet", lambda: SHEET, _from_sheet),
]
CASES = [
    *(configuration(text, told) for text, told in CONFIGS),
    *(sheet(content, told) for content, told in SHEETS.items()),
    *(card(content, told) for content, told in CARDS.items()),
]
