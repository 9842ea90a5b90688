"""A wrong configuration is told in one message that names the key and what is allowed."""

import json
import re
from pathlib import Path
from unittest import mock

import pytest
import yaml
from bad_cases import REJECTED, attempt
from bad_settings import CASES, PARSERS, SCHEMAS, read_settings
from dflm.evaluation.baselines.lsgkm import LONGEST
from dflm.evaluation.comparison import METRICS, TITLES
from dflm.evaluation.methods_models import others
from parsers import FEW, MANY, try_often
from runs import NAMES, ROOT, rule_functions
from snakemake.exceptions import WorkflowError


@pytest.fixture
def rules():
    """The functions of methods.smk and config.smk."""
    return rule_functions()


@pytest.fixture
def read(folder, monkeypatch):
    """Read a configuration, given as YAML over that of the folder."""
    monkeypatch.chdir(folder)
    return read_settings


def test_defaults_are_filled_in_all_the_way_down(read):
    config, rows = read("classifier: {head: {dropout: 0.2}}")
    assert config["classifier"]["head"] == {
        "dropout": 0.2,
        "hidden": 50,
        "detectors": 64,
        "strand_symmetric": False,
        "detector_width": 15,
    }
    assert config["language_model"]["dropout"]["weight"] == 0.15
    assert config["classifier"]["dropout"]["weight"] == 0.5
    assert [row["dataset"] for row in rows] == list(NAMES)
    assert rows[0]["tf"] == "ELK1"
    assert rows[0]["cell_line"] == "GM12878"


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_mistake_is_named_with_what_is_allowed(case, tmp_path):
    assert attempt(case, tmp_path) == (REJECTED, mock.ANY)


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
        "classifier: {stages: [{unfreeze: all, epochs: '2', learning_rate: 1e-3}]}\n"
        "gkm: {costs: ['1', 2e-2]}\nmining: {scan: {threshold: '0.9'}}"
    )
    assert config["kmers"]["k"] == 4
    assert config["language_model"]["pretrained"] is None
    assert config["language_model"]["drop_mult"] == 2
    assert config["pretrain"]["learning_rate"] == 0.02
    assert config["pretrain"]["variable_bptt"] is True
    assert config["pretrain"]["clip"] is None
    stage = {"unfreeze": "all", "epochs": 2, "learning_rate": 0.001}
    assert config["classifier"]["stages"] == [stage]
    assert config["gkm"]["costs"] == [1, 0.02]
    assert config["mining"]["scan"]["threshold"] == 0.9
    with pytest.raises(WorkflowError, match="there is no file or folder 1"):
        read("datasets: {source: '1'}")


def test_several_mistakes_come_in_one_message(read):
    with pytest.raises(WorkflowError) as error:
        read("kmers: {k: 0, stride: 0}\nsead: 1")
    assert len(str(error.value).splitlines()) == 3


def test_the_order_of_keys_is_no_other_configuration(read):
    plain, _ = read("{}")
    other, _ = read("{}")
    for name, section in list(plain.items()):
        if isinstance(section, dict):
            text = yaml.safe_dump({name: dict(reversed(section.items()))}, sort_keys=False)
            other[name] = read(text)[0][name]
    stages = [dict(reversed(stage.items())) for stage in plain["classifier"]["stages"]]
    other["classifier"] = read(f"classifier: {json.dumps({'stages': stages})}")[0]["classifier"]
    assert str(other) == str(plain)


def test_whole_numbers_may_be_written_as_floats(read):
    config, _ = read("{discriminate: {windows: 1.0e+5}, kmers: {k: 4.0}, mining: {run: []}}")
    for value, wanted in ((config["discriminate"]["windows"], 100_000), (config["kmers"]["k"], 4)):
        assert (type(value), value) == (int, wanted)
    assert read("discriminate: {windows: '1.0e+5'}")[0]["discriminate"]["windows"] == 100_000


def test_a_number_has_one_spelling(read):
    """To Snakemake 1 and 1.0 are other params, after which all would be trained anew."""
    for text in ("1", "1.0", "'1'", "'1e0'"):
        rate = read(f"pretrain: {{learning_rate: {text}}}")[0]["pretrain"]["learning_rate"]
        assert (type(rate), rate) == (float, 1.0)


def test_files_of_sets_that_are_not_selected_need_not_be_there(read):
    sheet = Path("sheet.tsv")
    sheet.write_text(f"dataset\tpeaks\n{NAMES[0]}\t\nMYC_x\t\nB_y\tnone.bed\n")
    how = f"datasets: {{source: data, sheet: sheet.tsv, select: ['{NAMES[0]}']}}"
    assert [row["dataset"] for row in read(how)[1]] == [NAMES[0]]
    with pytest.raises(WorkflowError, match="MYC_x, column train is empty") as told:
        read(how.replace(NAMES[0], "*"))
    assert "none.bed" in str(told.value)


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
    if told is None:
        with pytest.raises(WorkflowError, match="k4 needs a language model of 4-mers, and the one"):
            read(f"{text}\nablations: [random, pretrained, k4]")
        read(f"{text}\nablations: [random, pretrained]")
    Path("lm/model.json").write_text("[]")
    with pytest.raises(WorkflowError, match="no model card"):
        read(text)


def methods(rules, config):
    schema = yaml.safe_load((SCHEMAS / "config.schema.yaml").read_text())
    return rules["methods_of"](config, schema)


def test_methods_are_the_configuration_its_variants_and_baselines_then_their_seeds(rules, read):
    config, _ = read(
        "seed: 5\nseeds: 2\nensemble: [full]\nbaselines: [gkm, cnn]\nablations: [random]\n"
        "variants: {wide: {classifier: {head: {hidden: '100'}}}}"
    )
    found = methods(rules, config)
    assert [(method.name, method.seed, method.at) for method in found] == [
        ("full", 5, ""),
        ("random", 5, "methods/random/"),
        ("wide", 5, "methods/wide/"),
        ("ensemble", 5, "methods/ensemble/"),
        ("gkm", 5, "methods/gkm/"),
        ("cnn", 5, "methods/cnn/"),
        ("full", 6, "methods/full-seed6/"),
        ("random", 6, "methods/random-seed6/"),
        ("wide", 6, "methods/wide-seed6/"),
        ("cnn", 6, "methods/cnn-seed6/"),
    ]
    wide = found[2].settings["classifier"]
    assert wide["head"] == config["classifier"]["head"] | {"hidden": 100}
    assert wide["stages"] == config["classifier"]["stages"]
    assert config["classifier"]["head"]["hidden"] == 50


def test_a_stage_stands_where_all_that_it_rests_on_is_the_same(rules, read):
    config, _ = read(
        "seeds: 2\nablations: [random, pretrained, lm_only, one_strand, k4]\nvariants:\n"
        "  longer: {finetune: {epochs: 20}}\n  both: {finetune: {epochs: 20}, predict: "
        "{both_strands: false}}\n  wide4: {kmers: {k: 4}, classifier: {head: {hidden: 100}}}"
    )
    found = methods(rules, config)
    homes = {
        method.at.split("/")[-2] if method.at else "full": [
            rules["home_of"](stage, method, found).at.removeprefix("methods/").rstrip("/")
            for stage in rules["STAGES"]
        ]
        for method in found
    }
    assert homes == {
        "full": ["", "", "", "", ""],
        "random": ["", "", "", "random", "random"],
        "pretrained": ["", "", "", "pretrained", "pretrained"],
        "lm_only": ["", *["lm_only"] * 4],
        "one_strand": ["", "", "one_strand", "one_strand", "one_strand"],
        "k4": ["k4"] * 5,
        "longer": ["", "", "longer", "longer", "longer"],
        "both": ["", "", "longer", "longer", "both"],
        "wide4": ["k4", "k4", "k4", "wide4", "wide4"],
        "full-seed2": ["", "", *["full-seed2"] * 3],
        "random-seed2": ["", "", "full-seed2", "random-seed2", "random-seed2"],
        "pretrained-seed2": ["", "", "full-seed2", "pretrained-seed2", "pretrained-seed2"],
        "lm_only-seed2": ["", "lm_only", *["lm_only-seed2"] * 3],
        "one_strand-seed2": ["", "", *["one_strand-seed2"] * 3],
        "k4-seed2": ["k4", "k4", *["k4-seed2"] * 3],
        "longer-seed2": ["", "", *["longer-seed2"] * 3],
        "both-seed2": ["", "", "longer-seed2", "longer-seed2", "both-seed2"],
        "wide4-seed2": ["k4", "k4", "k4-seed2", "wide4-seed2", "wide4-seed2"],
    }


def test_every_shipped_method_has_a_title_and_its_place_in_the_schema(rules):
    schema = yaml.safe_load((SCHEMAS / "config.schema.yaml").read_text())["properties"]
    assert tuple(schema["baselines"]["items"]["enum"]) == rules["BASELINES"]
    assert schema["ablations"]["items"]["enum"] == list(rules["ABLATIONS"])
    assert tuple(schema["comparison"]["properties"]["metrics"]["items"]["enum"]) == METRICS
    assert rule_functions()["LONGEST_OF_LSGKM"] == LONGEST
    methods = {rules["FULL"], rules["ENSEMBLE"], *rules["BASELINES"], *rules["ABLATIONS"]}
    assert methods <= set(TITLES)


def test_the_methods_section_knows_every_shipped_method(rules):
    config = {}
    schema = yaml.safe_load((SCHEMAS / "config.schema.yaml").read_text())
    assert not rules["check_schema"](config, schema)
    for kind, names in (("baselines", rules["BASELINES"]), ("ablations", rules["ABLATIONS"])):
        for name in names:
            text = others(config | {"baselines": [], "ablations": []} | {kind: [name]}, [])
            assert " with ." not in text, name


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
    # it has to be the demo. small.yaml is made to lie there.
    published, demo, small = (
        yaml.safe_load(Path(f"config/{name}.yaml").read_text())
        for name in ("config", "demo", "small")
    )
    merged = rules["laid_over"](published, demo)
    rules["fill_defaults"](
        merged, *[yaml.safe_load((SCHEMAS / "config.schema.yaml").read_text())] * 2
    )
    assert merged == configs["demo"]
    merged = rules["laid_over"](published, small)
    schemas = (SCHEMAS / f"{name}.schema.yaml" for name in ("config", "datasets"))
    assert len(rules["read_configuration"](merged, *schemas)) == 14
    assert merged["language_model"]["hidden"] == small["language_model"]["hidden"]


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


def test_yaml_that_would_run_code_ends_the_run_in_words(snakemake):
    text = "seed: !!python/object/apply:os.mkdir [made]\n"
    (snakemake.folder / "config" / "config.yaml").write_text(text)
    output = snakemake("--dry-run", fails=True)
    assert "Config file is not valid JSON or YAML" in output
    assert "Traceback" not in output
    assert not (snakemake.folder / "made").exists()


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.name)
def test_settings_of_any_kind_are_read_or_refused_in_words(parser, folder):
    try_often(parser, folder / "in", FEW)


@pytest.mark.slow
@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.name)
def test_settings_of_any_kind_are_read_or_refused_in_words_however_often(parser, folder):
    try_often(parser, folder / "in", MANY)
