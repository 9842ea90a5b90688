"""A wrong configuration is told in one message that names the key and what is allowed."""

import json
import re
from pathlib import Path

import pytest
import yaml
from runs import NAMES, ROOT
from snakemake.exceptions import WorkflowError

SCHEMAS = ROOT / "workflow" / "schemas"


@pytest.fixture(scope="module")
def rules():
    """The functions of methods.smk and config.smk, which are plain Python."""
    namespace = {}
    for name in ("methods.smk", "config.smk"):
        path = ROOT / "workflow" / "rules" / name
        exec(compile(path.read_text(), str(path), "exec"), namespace)
    return namespace


@pytest.fixture
def read(rules, folder, monkeypatch):
    """Read a configuration, given as YAML over that of the folder."""
    monkeypatch.chdir(folder)

    def read(text=""):
        config = yaml.safe_load(Path("config/config.yaml").read_text())
        for key, value in (yaml.safe_load(text) or {}).items():
            config[key] = config[key] | value if key in config else value
        rows = rules["read_configuration"](
            config, SCHEMAS / "config.schema.yaml", SCHEMAS / "datasets.schema.yaml"
        )
        return config, rows

    return read


def test_defaults_are_filled_in_all_the_way_down(read):
    config, rows = read("classifier: {head: {dropout: 0.2}}")
    assert config["classifier"]["head"] == {"dropout": 0.2, "hidden": 50}
    assert config["language_model"]["dropout"]["weight"] == 0.15
    assert config["classifier"]["dropout"]["weight"] == 0.5
    assert [row["dataset"] for row in rows] == list(NAMES)
    assert rows[0]["tf"] == "ELK1"
    assert rows[0]["cell_line"] == "GM12878"


@pytest.mark.parametrize(
    ("text", "told"),
    [
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
        ("finetune: {group_by: famly}", "finetune.group_by is famly; allowed: tf or a column"),
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
    ],
)
def test_a_mistake_is_named_with_what_is_allowed(read, text, told):
    with pytest.raises(WorkflowError) as error:
        read(text)
    message = str(error.value)
    assert re.search(told, message), message
    assert len(message) < 1000


SHEETS = {
    "dataset\ttrian\nA\t\n": "column 'trian' is unknown, did you mean train",
    "name\nA\n": "unknown.*\n.*lacks the column dataset",
    "dataset\n": "holds no set",
    f"dataset\n{NAMES[1]}\n{NAMES[1]}\n": r"MED-2.1_H1-hESC stands there twice",
    "dataset\nA B\n": "the name 'A B' is not allowed; allowed: letters",
    "dataset\nA/B\n": "the name 'A/B' is not allowed",
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


@pytest.mark.parametrize("sheet", SHEETS)
def test_a_mistake_in_the_sheet_is_named(read, sheet):
    Path("sheet.tsv").write_text(sheet)
    with pytest.raises(WorkflowError, match=SHEETS[sheet]):
        read()


def test_a_row_of_peaks_needs_no_other_file_but_the_genome(read):
    Path("sheet.tsv").write_text("dataset\tpeaks\tnegatives\nMYTF_cells\tgenome.fa\tgenome.fa\n")
    config, (row,) = read("datasets: {source: null}")
    assert (row["tf"], row["peaks"], row["train"]) == ("MYTF", "genome.fa", "")
    assert config["peaks"]["negatives"] == "genomic"
    # A language model that is given spares the genome, and the peaks need it all the same.
    lm = "language_model: {pretrained: nowhere}\ngenome: {source: missing.fa}"
    with pytest.raises(WorkflowError, match=r"language_model\.pretrained: there is no file"):
        read(lm)
    card = {
        "format": "dflm-language-model",
        "architecture": {"embedding": 200, "hidden": 800, "layers": 6},
        "vocabulary": {"k": 3, "stride": 1},
    }
    Path("nowhere").mkdir()
    Path("nowhere/model.safetensors").write_bytes(b"")
    Path("nowhere/model.json").write_text(json.dumps(card))
    with pytest.raises(WorkflowError, match=r"genome\.source: there is no file missing\.fa"):
        read(lm)


def test_groups_need_a_value_that_can_name_a_folder(read):
    Path("sheet.tsv").write_text(f"dataset\tfamily\n{NAMES[0]}\t\n{NAMES[1]}\ta/b\n")
    with pytest.raises(WorkflowError) as error:
        read("finetune: {group_by: family}")
    assert "(1277-1)_Stanford, column family" in str(error.value)
    assert "'a/b' is not allowed" in str(error.value)


def test_a_column_named_by_group_by_is_allowed(read):
    Path("sheet.tsv").write_text(f"dataset\tlab\n{NAMES[0]}\tStanford\n")
    assert read("finetune: {group_by: lab}")[1][0]["lab"] == "Stanford"
    with pytest.raises(WorkflowError, match="column 'lab' is unknown"):
        read()


def test_text_counts_as_what_the_key_asks_for(read):
    """Snakemake's --config gives text only; a file called 1 stays a file."""
    config, _ = read(
        "kmers: {k: '4'}\nlanguage_model: {pretrained: 'null', drop_mult: '2'}\n"
        "pretrain: {learning_rate: 2e-2, variable_bptt: 'true', clip: 'null'}\n"
        "classifier: {stages: [{unfreeze: all, epochs: '2', learning_rate: 1e-3}]}"
    )
    assert config["kmers"]["k"] == 4
    assert config["language_model"]["pretrained"] is None
    assert config["language_model"]["drop_mult"] == 2
    assert config["pretrain"]["learning_rate"] == 0.02
    assert config["pretrain"]["variable_bptt"] is True
    assert config["pretrain"]["clip"] is None
    stage = {"unfreeze": "all", "epochs": 2, "learning_rate": 0.001}
    assert config["classifier"]["stages"] == [stage]
    with pytest.raises(WorkflowError, match="there is no file or folder 1"):
        read("datasets: {source: '1'}")


def test_several_mistakes_come_in_one_message(read):
    with pytest.raises(WorkflowError) as error:
        read("kmers: {k: 0, stride: 0}\nsead: 1")
    assert len(str(error.value).splitlines()) == 3


def test_names_select_themselves_and_patterns_what_they_match(read):
    assert [row["dataset"] for row in read(f"datasets: {{select: ['{NAMES[0]}']}}")[1]] == [
        NAMES[0]
    ]
    assert len(read("datasets: {select: ['*_H1-hESC*', 'MED*']}")[1]) == 2


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, None),
        ({"architecture": {"embedding": 9}}, "language_model.embedding is 8, but .* has 9"),
        ({"architecture": {"layers": 4}}, "language_model.layers is 2, but"),
        (
            {"vocabulary": {"k": 5}},
            "kmers.k is 3, but the model of language_model.pretrained has 5",
        ),
        ({"vocabulary": {"stride": 2}}, "kmers.stride is 1, but"),
        ({"format": "dflm-classifier"}, "has the format dflm-classifier; allowed"),
    ],
)
def test_a_pretrained_model_has_to_fit(read, change, told):
    card = {
        "format": "dflm-language-model",
        "architecture": {"embedding": 8, "hidden": 12, "layers": 2}
        | change.get("architecture", {}),
        "vocabulary": {"k": 3, "stride": 1} | change.get("vocabulary", {}),
    }
    card["format"] = change.get("format", card["format"])
    Path("lm").mkdir()
    Path("lm/model.safetensors").write_bytes(b"")
    Path("lm/model.json").write_text(json.dumps(card))
    sizes = "embedding: 8, hidden: 12, layers: 2"
    for path in ("lm", "lm/model.safetensors"):
        text = f"language_model: {{pretrained: {path}, {sizes}}}"
        if told is None:
            read(text)
        else:
            with pytest.raises(WorkflowError, match=told):
                read(text)
    Path("lm/model.json").write_text("[]")
    with pytest.raises(WorkflowError, match="no model card"):
        read(text)


def test_the_shipped_configurations_are_right(rules, monkeypatch):
    monkeypatch.chdir(ROOT)
    configs = {}
    for name in ("config", "demo"):
        config = yaml.safe_load(Path(f"config/{name}.yaml").read_text())
        rows = rules["read_configuration"](
            config, SCHEMAS / "config.schema.yaml", SCHEMAS / "datasets.schema.yaml"
        )
        configs[name] = config
        assert rows is None or len(rows) == 14
    # --configfile config/demo.yaml lies over config/config.yaml where that is found: then too
    # it has to be the demo.
    merged = yaml.safe_load(Path("config/config.yaml").read_text())
    for key, value in yaml.safe_load(Path("config/demo.yaml").read_text()).items():
        merged[key] = merged.get(key, {}) | value if isinstance(value, dict) else value
    rules["fill_defaults"](
        merged, *[yaml.safe_load((SCHEMAS / "config.schema.yaml").read_text())] * 2
    )
    assert merged == configs["demo"]


def keys_of(schema, root, prefix=""):
    for name, node in schema["properties"].items():
        node = (
            {**root["$defs"][node["$ref"].rpartition("/")[2]], **node} if "$ref" in node else node
        )
        items = node.get("items", {})
        assert node.get("description"), f"{prefix}{name} has no description"
        if "properties" in node:
            assert node["additionalProperties"] is False
            yield from keys_of(node, root, f"{prefix}{name}.")
        else:
            assert "default" in node or prefix.endswith("[]."), f"{prefix}{name} has no default"
            yield f"{prefix}{name}", node
            if items.get("type") == "object":
                assert items["additionalProperties"] is False
                yield from keys_of(items, root, f"{prefix}{name}[].")


def test_the_readme_documents_every_key_with_its_default():
    readme = (ROOT / "config" / "README.md").read_text()
    rows = re.findall(r"^\| `([\w.\[\]]+)` \| (.*?) \| .*? \| (.*?) \|$", readme, re.MULTILINE)
    documented = {key: (meaning, default.strip("`")) for key, meaning, default in rows}
    schema = yaml.safe_load((SCHEMAS / "config.schema.yaml").read_text())
    keys = dict(keys_of(schema, schema))
    assert set(keys) == set(documented)
    for key, node in keys.items():
        meaning, default = documented[key]
        assert meaning == node["description"], key
        if default not in ("required", "see below"):
            assert json.loads(default) == node["default"], key
    sheet = yaml.safe_load((SCHEMAS / "datasets.schema.yaml").read_text())
    for column, node in sheet["properties"].items():
        assert f"| `{column}` | {node['description']} |" in readme
