"""Configuration and sheet: defaults filled in, every mistake named before any job.

Plain Python on purpose (no rule, no workflow object but in `read_configuration`), so that the
tests can call it without a run of Snakemake.
"""

import copy
import csv
import difflib
import fnmatch
import glob
import json
import math
import os
import re
from pathlib import Path
from urllib.parse import urlsplit

import yaml
from jsonschema import Draft202012Validator
from snakemake.exceptions import WorkflowError

GENOME_ENDINGS = tuple(f"{end}{gz}" for end in (".fa", ".fasta", ".fna") for gz in ("", ".gz"))
ARCHIVE_ENDINGS = (".zip", ".tar.gz", ".tgz")
SCHEMES = ("http", "https", "file")
LONGEST_OF_LSGKM = 2047  # that of the library's lsgkm.py, which rules cannot import
# Columns that are filled in from a set's name where the sheet lacks them.
NAMED = ("tf", "cell_line")
DEMO = "resources/demo/"  # what lies here is made by rule simulate_demo
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._()+,=@-]{0,149}")
NAME_ALLOWED = (
    "letters, digits and . _ - ( ) + , = @, no blanks or slashes, a letter or digit first, "
    "150 at most"
)
TYPES = {
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "string": "text",
    "null": "null",
    "array": "a list",
    "object": "a section with keys of its own",
}
BOUNDS = {
    "minimum": "at least",
    "exclusiveMinimum": "above",
    "maximum": "at most",
    "exclusiveMaximum": "below",
    "minItems": "entries: at least",
    "maxItems": "entries: at most",
}


# ---- schema -------------------------------------------------------------------------------------


def read_schema(path):
    """Return what a schema holds; by libyaml where it is there, which takes a tenth of the time."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return loader(Path(path).read_text()).get_single_data()


def resolved(schema, root):
    """Return a schema node with its reference into `$defs` filled in."""
    if "$ref" not in schema:
        return schema
    return {**root["$defs"][schema["$ref"].rpartition("/")[2]], **schema}


def typed(value, node):
    """Return a value as the number, truth value or null that its key asks for, if it is one.

    Snakemake hands on all that stands within ``--config 'section={key: value}'`` as text, and YAML
    takes 2e-2 for text.
    """
    types = node.get("type", "string")
    types = {types} if isinstance(types, str) else set(types)
    if isinstance(value, str) and types & {"integer", "number", "boolean", "null"}:
        value = read_as(value, types)
    # One spelling of a number, as 1 and 1.0 are other params to Snakemake.
    if type(value) is int and "number" in types and abs(value) < 2**53:
        return float(value)
    if type(value) is float and "number" not in types and "integer" in types and value.is_integer():
        return int(value)
    return value


def read_as(value, types):
    """Return a text as a number, truth value or null, where `types` hold its type."""
    if types & {"integer", "number"} and re.fullmatch(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+", value):
        return float(value)
    try:
        read = yaml.safe_load(value) if re.fullmatch(r"[-+.\w]+", value) else value
    except (ValueError, yaml.YAMLError):  # looks like a date and is none
        return value
    kinds = {int: "integer", float: "number", bool: "boolean", type(None): "null"}
    kind = kinds.get(type(read))
    numbers = {"integer", "number"}
    return read if kind in types or (kind in numbers and types & numbers) else value


def fill_defaults(section, schema, root):
    """Set every key of `section` that is left out to the schema's default, all the way down.

    Keys come to stand in the schema's order: in another one the same values would be other params.
    """
    known = schema.get("properties", {})
    for key, node in known.items():
        node = resolved(node, root)
        if "default" in node:
            section.setdefault(key, copy.deepcopy(node["default"]))
        if key in section:
            section[key] = typed(section[key], node)
        if isinstance(section.get(key), list):
            items = resolved(node.get("items", {}), root)
            section[key] = [typed(item, items) for item in section[key]]
            for item in section[key]:
                if isinstance(item, dict):
                    fill_defaults(item, items, root)
        if isinstance(section.get(key), dict):
            fill_defaults(section[key], node, root)
    section.update({key: section.pop(key) for key in [*known, *section] if key in section})


def allowed(schema, root):
    """Say in words what a schema node takes."""
    schema = resolved(schema, root)
    if "enum" in schema:
        return "one of " + ", ".join(map(str, schema["enum"]))
    if "const" in schema:
        return str(schema["const"])
    if "anyOf" in schema:
        return " or ".join(allowed(choice, root) for choice in schema["anyOf"])
    if "pattern" in schema:
        return "null, sha256: and 64 hexadecimal digits, or md5: and 32"
    types = schema.get("type", "object")
    text = " or ".join(TYPES[name] for name in ([types] if isinstance(types, str) else types))
    bounds = [f"{words} {schema[key]}" for key, words in BOUNDS.items() if key in schema]
    if "items" in schema:
        text += f" of {allowed(schema['items'], root)}"
    return ", ".join([text, *bounds])


def closest(name, names):
    """Return ``, did you mean X?`` for the most similar of `names`, or nothing."""
    near = difflib.get_close_matches(str(name), list(names), n=3, cutoff=0.5)
    return f", did you mean {' or '.join(near)}?" if near else ""


def key_of(path):
    """Spell a path into the configuration: ``classifier.stages[2].epochs``."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(
        "."
    )


def describe(error, root):
    """Turn a validation error into one line that names the key and what is allowed."""
    key = key_of(error.absolute_path)
    if error.validator == "additionalProperties":
        known = error.schema["properties"]
        lines = []
        for name in [name for name in error.instance if name not in known]:
            full = key_of([*error.absolute_path, name])
            lines.append(
                f"{full} is no key of the configuration{closest(name, known)} "
                f"(allowed here: {', '.join(known)})"
            )
        return "\n".join(lines)
    if error.validator == "required":
        lacking = [name for name in error.schema["required"] if name not in error.instance]
        return f"{key} lacks the key {' and '.join(lacking)}"
    if error.validator == "uniqueItems":
        return f"{key} holds a value twice; each stands there once"
    try:
        shown = json.dumps(plain(error.instance), default=str)
    except ValueError:  # an alias of YAML that leads back to itself
        shown = "a value within itself"
    text = f"{key} is {shown if len(shown) < 80 else shown[:77] + '...'}; allowed: "
    # A bound that is broken stands in the node itself, an `anyOf` too.
    return text + allowed(error.schema, root)


def plain(value):
    """Return a number as it is written: 2, although `typed` made it 2.0."""
    whole = isinstance(value, float) and value.is_integer()
    return int(value) if whole else value


def check_schema(config, schema):
    """Fill in the defaults and return what is wrong by the schema, a line each."""
    fill_defaults(config, schema, schema)
    errors = sorted(
        Draft202012Validator(schema).iter_errors(config),
        key=lambda error: (error.validator != "additionalProperties", key_of(error.absolute_path)),
    )
    return [describe(error, schema) for error in errors] or list(not_finite(config))


def not_finite(value, path=()):
    """Yield what is wrong with numbers that are none, .nan and .inf, which no bound keeps off."""
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value) if isinstance(value, list) else ()
    )
    for name, part in inner:
        yield from not_finite(part, (*path, name))
    if isinstance(value, float) and not math.isfinite(value):
        yield f"{key_of(path)} is {value}; allowed: a number"


# ---- sources ------------------------------------------------------------------------------------


def is_address(source):
    return "://" in source


def ending_of(source, endings):
    """Return the ending of a path or address among `endings`, or None; the longest wins."""
    path = urlsplit(source).path if is_address(source) else source
    found = [ending for ending in endings if path.lower().endswith(ending)]
    return max(found, key=len, default=None)


def source_problem(key, source, endings=None, folder=False):
    """Return what is wrong with a path or address, or None."""
    if is_address(source):
        try:
            urlsplit(source)
        except ValueError as error:
            return f"{key}: {source} is no address ({error})"
        scheme = source.partition("://")[0]
        if scheme not in SCHEMES:
            return f"{key}: {source} has the scheme {scheme}; allowed: {', '.join(SCHEMES)} or a local path"
    elif not source.startswith(DEMO):
        if folder and os.path.isdir(source):
            return None
        if not os.path.isfile(source):
            return f"{key}: there is no file {'or folder ' if folder else ''}{source} (paths count from {Path.cwd()})"
    if endings and ending_of(source, endings) is None:
        kinds = ", ".join(endings) + (" or a folder" if folder else "")
        return f"{key}: {source} has none of the endings allowed: {kinds}"
    return None


def local_problem(key, path):
    """Return what is wrong with the path of a file that has to be there now, or None."""
    if is_address(path):
        return f"{key}: {path} is an address; allowed: a local path"
    if not os.path.isfile(path):
        return f"{key}: there is no file {path} (paths count from {Path.cwd()})"
    return None


def find_in(folder, name):
    """Return the path of a file of that name anywhere in a folder, or None."""
    return next((str(path) for path in sorted(Path(folder).rglob(glob.escape(name)))), None)


# ---- combinations -------------------------------------------------------------------------------


def check_combinations(config):
    """Yield what is wrong although each key by itself is right."""
    genome, datasets, model = config["genome"], config["datasets"], config["language_model"]
    if model["pretrained"] is None:
        yield source_problem("genome.source", genome["source"], GENOME_ENDINGS)
    elif is_address(genome["source"]):  # nothing is fetched, but the rule's file has its ending
        yield source_problem("genome.source", genome["source"])
    if "*" in genome["validation"] or set(genome["include"]) <= set(genome["validation"]):
        yield (
            f"genome.validation holds out {', '.join(genome['validation'])}, which is all that genome.include "
            "takes; leave contigs to train on"
        )
    if datasets["source"] is not None:
        yield source_problem("datasets.source", datasets["source"], ARCHIVE_ENDINGS, folder=True)
    elif datasets["sheet"] is None:
        yield (
            "datasets.sheet and datasets.source are both null; name an archive or a folder in "
            "datasets.source, or a sheet whose rows name their files"
        )
    for section, of in (
        ("language_model", "language_model"),
        ("discriminate", "language_model"),
        ("classifier", "classifier"),
    ):
        factor = config[section]["drop_mult"]
        for name, probability in config[of]["dropout"].items():
            if probability * factor >= 1:
                yield (
                    f"{of}.dropout.{name} is {probability} and {section}.drop_mult {factor}; "
                    "their product must stay below 1"
                )
    tokens, width = (
        config["kmers"]["k"] + config["kmers"]["stride"],
        config["discriminate"]["width"],
    )
    if width < tokens and discriminates(config):
        yield (
            f"discriminate.width is {width}, but two tokens take kmers.k + kmers.stride = {tokens} bases; "
            "raise it, or set discriminate.epochs to 0"
        )
    if config["classifier"]["head"]["strand_symmetric"] and config["kmers"]["stride"] > 1:
        yield (
            f"kmers.stride is {config['kmers']['stride']}, and with classifier.head.strand_symmetric it has to be 1: "
            "the two strands would be cut into other k-mers"
        )
    chipseq = config["chipseq"]
    if chipseq["max_peaks"] is not None and chipseq["max_peaks"] < chipseq["min_peaks"]:
        yield (
            f"chipseq.max_peaks is {chipseq['max_peaks']} and chipseq.min_peaks {chipseq['min_peaks']}; "
            "every set would be skipped"
        )
    groups = model["layers"] + 2
    for number, stage in enumerate(config["classifier"]["stages"]):
        if stage["unfreeze"] != "all" and stage["unfreeze"] > groups:
            yield (
                f"classifier.stages[{number}].unfreeze is {stage['unfreeze']}; allowed: 1 to {groups} "
                f"(language_model.layers {model['layers']} + embedding + head) or all"
            )
    pretrain = config["pretrain"]
    validations = pretrain["epochs"] * pretrain["validations_per_epoch"]
    if pretrain["optimizer"] == "nt-asgd" and validations <= pretrain["nonmono"] + 1:
        yield (
            f"pretrain.optimizer nt-asgd needs more than pretrain.nonmono + 1 = "
            f"{pretrain['nonmono'] + 1} validations to begin averaging, and there are {validations} in all; raise "
            "pretrain.validations_per_epoch or pretrain.epochs"
        )
    rate, decay = pretrain["learning_rate"], pretrain["weight_decay"]
    if pretrain["optimizer"] == "nt-asgd" and (rate < 0.1 or rate * decay > 1e-3):
        yield (
            f"pretrain.optimizer nt-asgd does not learn with pretrain.learning_rate {rate} and "
            f"pretrain.weight_decay {decay}, whose defaults are AdamW's; take a rate of 1 to 30 and a decay of 1.2e-6"
        )
    simulate = config["simulate"]
    if simulate["peaks"] <= 2 * simulate["test_positives"]:
        yield (
            f"simulate.peaks is {simulate['peaks']}; allowed: more than twice "
            f"simulate.test_positives ({simulate['test_positives']})"
        )
    yield from check_mining(config)
    if model["pretrained"] is not None:
        yield from check_pretrained(model, config["kmers"])


def check_withheld(config):
    """Yield what is wrong with withholding test sequences; of variants some may have a given model."""
    if config["genome"]["leaks"] == "remove" and config["language_model"]["pretrained"] is not None:
        yield (
            "genome.leaks: remove does nothing for the model of language_model.pretrained, which has read what it "
            "has; take one of the two out"
        )


def check_mining(config):
    """Yield what cannot be made of the trained classifiers."""
    mining = config["mining"]
    database, regions, vcf = (
        mining[section][key]
        for section, key in (("motifs", "database"), ("scan", "regions"), ("variants", "vcf"))
    )
    if database is not None:
        yield source_problem("mining.motifs.database", database)
    for key, path in (("mining.scan.regions", regions), ("mining.variants.vcf", vcf)):
        if path is not None:
            yield local_problem(key, path)
    if "variants" in mining["run"] and vcf is None:
        yield "mining.run asks for variants, and mining.variants.vcf is null; name a VCF file"
    if {"scan", "variants"} & set(mining["run"]):
        yield source_problem("genome.source", config["genome"]["source"], GENOME_ENDINGS)


def pretrained_files(path):
    """Return weights and card of an existing model, from its folder or its weights file."""
    weights = Path(path) / "model.safetensors" if os.path.isdir(path) else Path(path)
    return str(weights), str(weights.with_suffix(".json"))


def check_pretrained(model, kmers):
    """Yield what does not fit between an existing language model and the configuration."""
    key = "language_model.pretrained"
    if Path("results").resolve() in Path(model["pretrained"]).resolve().parents:
        yield (
            f"{key}: {model['pretrained']} is one of this run's own results, which it may make anew; copy it to "
            "another place, or run in another folder (--directory)"
        )
        return
    for path in pretrained_files(model["pretrained"]):
        if not os.path.isfile(path):
            yield f"{key}: there is no file {path}; it needs model.safetensors and its model.json beside it"
            return
    try:
        card = json.loads(Path(path).read_text())
        architecture, vocabulary = card["architecture"], card["vocabulary"]
        architecture, vocabulary = dict(architecture), dict(vocabulary)
    except (ValueError, KeyError, TypeError, RecursionError):
        yield f"{key}: {path} is no model card (JSON with architecture and vocabulary)"
        return
    if card.get("format") != "dflm-language-model":
        yield f"{key}: {path} has the format {card.get('format')}; allowed: dflm-language-model"
        return
    wanted = {f"kmers.{name}": (kmers[name], vocabulary.get(name)) for name in ("k", "stride")}
    for name in ("embedding", "hidden", "layers"):
        wanted[f"language_model.{name}"] = (model[name], architecture.get(name))
    for name, (here, there) in wanted.items():
        if here != there:
            yield f"{name} is {here}, but the model of {key} has {there}; set {name}: {there}"


# ---- sheet --------------------------------------------------------------------------------------


def read_table(path):
    """Return the columns and rows (dicts) of a tab-separated file with a header."""
    with open(path, encoding="utf-8-sig", newline="") as stream:
        lines = (line for line in stream if line.strip() and not line.startswith("#"))
        reader = csv.DictReader(lines, delimiter="\t", restkey="", restval="")
        try:
            rows = list(reader)
        except (csv.Error, UnicodeDecodeError) as error:
            raise WorkflowError(
                f"{path}: no table of tab-separated text in UTF-8 ({error}); save it as that"
            ) from None
    columns = list(reader.fieldnames or [])
    for number, row in enumerate(rows, 1):
        if any(row.pop("", None) or []) and "" not in columns:
            raise WorkflowError(
                f"{path}: row {number} below the header has more fields than the header; "
                "name every column"
            )
        if broken := [value for value in row.values() if value and "\n" in value]:
            raise WorkflowError(
                f"{path}: row {number} below the header holds a quote that is not closed on its "
                f"line, at {broken[0].splitlines()[0]!r}; take it out, or double it within quotes"
            )
    return columns, [
        {name: (value or "").strip() for name, value in row.items() if name} for row in rows
    ]


def name_problem(name):
    return (
        None
        if NAME.fullmatch(name)
        else f"the name {name!r} is not allowed; allowed: {NAME_ALLOWED}"
    )


def check_sheet(path, columns, rows, schema, config):
    """Yield what is wrong with the sheet, of files only with those of the selected sets.

    Fills in its rows.
    """
    datasets, grouped_by = config["datasets"], groupings(config)
    known = schema["properties"]
    for name in columns:
        if name not in known and name not in grouped_by:
            yield (
                f"{path}: column {name!r} is unknown{closest(name, known)} (allowed: {', '.join(known)}, "
                "and the column that finetune.group_by names)"
            )
        elif columns.count(name) > 1:
            yield f"{path}: column {name} stands there twice"
            return
    if "dataset" not in columns:
        yield f"{path}: lacks the column dataset (columns are separated by tabs)"
        return
    for group_by in grouped_by:
        if group_by not in (*columns, *NAMED):
            yield (
                f"finetune.group_by is {group_by}; allowed: {', '.join(NAMED)} or a column of {path}: "
                f"{', '.join(columns)}"
            )
            return
    if not rows:
        yield f"{path}: holds no set"
    seen, selected = set(), []
    for row in rows:
        name = row["dataset"]
        for key in known:
            row.setdefault(key, "")
        fields = [*name.split("_"), "", ""]
        row["tf"], row["cell_line"] = row["tf"] or fields[0], row["cell_line"] or fields[1]
        if problem := name_problem(name):
            yield f"{path}: {problem}"
            continue  # it is no name to look for files by
        if name in seen:
            yield f"{path}: {name} stands there twice; each set has one row"
        seen.add(name)
        if not any(matches(name, pattern) for pattern in datasets["select"]):
            continue
        selected.append(row)
        for group_by in grouped_by:
            if problem := name_problem(row[group_by]):
                yield f"{path}: {name}, column {group_by} (finetune.group_by): {problem}"
        if row["peaks"]:
            yield from check_peaks(path, row)
        else:
            yield from check_files(path, row, datasets["source"])
        for column in ("train", "test", "peaks", "negatives"):
            checksum = row[f"{column}_sha256"]
            if checksum and not re.fullmatch("[0-9a-fA-F]{64}", checksum):
                yield (
                    f"{path}: {name}, column {column}_sha256 is {checksum}; allowed: 64 hexadecimal "
                    "digits"
                )
    if any(row["peaks"] for row in selected):
        yield from check_width(config)
    if any(row["peaks"] for row in selected) and config["language_model"]["pretrained"] is not None:
        yield source_problem("genome.source", config["genome"]["source"], GENOME_ENDINGS)


def check_width(config):
    """Yield what the width of peaks is too small or too large for."""
    width = config["peaks"]["width"]
    layers = [({}, "kmers"), *layers_of(config).values()]
    for layer, key in layers:
        if not isinstance(layer.get("kmers", {}), dict):
            continue  # which is told elsewhere
        kmers = laid_over(config["kmers"], layer.get("kmers", {}))
        # Of a variant they may still be texts.
        bases = [int(kmers[name]) for name in ("k", "stride") if str(kmers[name]).isdecimal()]
        if len(bases) == 2 and width < sum(bases):
            yield (
                f"peaks.width is {width}, but two tokens take k + stride = {sum(bases)} bases ({key}); raise it"
            )
    if "lsgkm" in config["baselines"] and width > LONGEST_OF_LSGKM:
        yield (
            f"peaks.width is {width}, and LS-GKM reads {LONGEST_OF_LSGKM} bases at most; lower it, or take lsgkm "
            "out of baselines"
        )


def check_peaks(path, row):
    """Yield what is wrong with the files of a row that holds peaks."""
    name = row["dataset"]
    for column in ("train", "test"):
        if row[column]:
            yield (
                f"{path}: {name} has peaks and {column}; a set has either peaks, which are cut out of the "
                "genome, or train and test, which hold sequences"
            )
    for column in ("peaks", "negatives"):
        if row[column]:
            yield source_problem(f"{path}: {name}, column {column}", row[column])


def check_files(path, row, source):
    """Yield what is wrong with the two files of a row that holds sequences."""
    name = row["dataset"]
    if row["negatives"]:
        yield (
            f"{path}: {name} has negatives and no peaks; negatives go with the column peaks (a "
            "test file of sequences brings its own)"
        )
    for column, part in (("train", "AC"), ("test", "B")):
        key = f"{path}: {name}, column {column}"
        if row[column]:
            yield source_problem(key, row[column])
        elif source is None:
            yield f"{key} is empty, and datasets.source, where NAME_{part}.seq.gz would come from, is null"
        elif Path(source).is_dir() and not find_in(source, f"{name}_{part}.seq.gz"):
            yield f"{key} is empty, and there is no {name}_{part}.seq.gz in {source} (datasets.source)"


def matches(name, pattern):
    return name == pattern or fnmatch.fnmatchcase(name, pattern)


def select_rows(rows, patterns, where):
    """Return the rows whose names match `patterns`; each pattern has to match one.

    Raises
    ------
    WorkflowError
        If a pattern matches no set.
    """
    names = [row["dataset"] for row in rows]
    chosen = set()
    for pattern in patterns:
        found = [name for name in names if matches(name, pattern)]
        if not found:
            stem = pattern.strip("*?").lower()
            near = [name for name in names if stem and stem in name.lower()][:3]
            hint = f", did you mean {' or '.join(near)}?" if near else closest(pattern, names)
            hint = hint or f" (there are {len(names)}: {', '.join(names[:3])}, ..)"
            raise WorkflowError(f"datasets.select: {pattern} matches no set of {where}{hint}")
        chosen.update(found)
    return [row for row in rows if row["dataset"] in chosen]


# ---- all of it ----------------------------------------------------------------------------------


def shortened(text, longest=700):
    """Return a text, the middle of a long one left out: a value may be of any length."""
    half = longest // 2 - 2
    return text if len(text) <= longest else f"{text[:half]} .. {text[-half:]}"


def complain(problems, many=8):
    """Raise one WorkflowError for all `problems`, if there are any."""
    problems = [shortened(problem) for problem in problems if problem]
    if problems:
        rest = [f".. and {len(problems) - many} more"] if len(problems) > many else []
        raise WorkflowError("\n".join([*problems[:many], *rest]))


def read_configuration(config, config_schema, sheet_schema):
    """Check the configuration and fill in its defaults, and read the sheet.

    Parameters
    ----------
    config : dict
        Filled in place.
    config_schema, sheet_schema : path-like
        YAML files.

    Returns
    -------
    list of dict or None
        The selected rows; None when the sets are only known after rule index_chipseq.

    Raises
    ------
    WorkflowError
        If anything is wrong; its message has a line for each mistake.
    """
    schema = read_schema(config_schema)
    complain(check_schema(config, schema))
    complain([*check_combinations(config), *check_withheld(config)])
    complain(check_methods(config, schema))
    sheet = config["datasets"]["sheet"]
    if sheet is None:
        known = ("dataset", *NAMED)
        complain(
            f"finetune.group_by is {group_by}; allowed without a sheet: {', '.join(known)}"
            for group_by in groupings(config)
            if group_by not in known
        )
        return None
    complain([local_problem("datasets.sheet", sheet)])
    columns, rows = read_table(sheet)
    complain(check_sheet(sheet, columns, rows, read_schema(sheet_schema), config))
    return select_rows(rows, config["datasets"]["select"], sheet)
