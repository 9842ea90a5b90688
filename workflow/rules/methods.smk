"""The methods of a run: the configuration itself, its variants, baselines, and their seeds.

Plain Python on purpose, as config.smk. Each method has a folder laid out like results/ itself:
`at` is its path below results/, nothing for the configuration itself, which is called full.
"""

import copy
import re
from collections import namedtuple

from snakemake.exceptions import WorkflowError

FULL = "full"
ENSEMBLE = "ensemble"  # the trainings of some methods with all seeds, averaged
# What each shipped ablation lays over the configuration.
ABLATIONS = {
    "random": {"classifier": {"start": "random"}},
    "pretrained": {"classifier": {"start": "pretrained"}},
    "lm_only": {"discriminate": {"epochs": 0}},
    "no_detectors": {"classifier": {"head": {"detectors": 0}}},
    "one_strand": {
        "finetune": {"reverse_complement": False},
        "classifier": {"reverse_complement": False},
        "predict": {"both_strands": False},
    },
    "k1": {"kmers": {"k": 1}},
    "k3": {"kmers": {"k": 3}},
    "k4": {"kmers": {"k": 4}},
    "k5": {"kmers": {"k": 5}},
}
BASELINES = ("floor", "gkm", "lsgkm", "cnn")
SEEDLESS = ("floor", "gkm", "lsgkm")  # the same split gives the same result
OPEN_SECTIONS = (
    "kmers",
    "language_model",
    "pretrain",
    "discriminate",
    "finetune",
    "classifier",
    "predict",
)
VARIANT_NAME = re.compile(r"(?!.*-seed\d+$)[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
STAGES = ("pretrain", "discriminate", "finetune", "classify", "predict")

# kind is model, of which DFLM has a language model or none, ensemble, or the name of a baseline.
Method = namedtuple("Method", "name seed at kind settings")


def laid_over(section, layer):
    """Return a copy of a section with the keys of another laid over it, all the way down."""
    result = copy.deepcopy(section)
    for key, value in layer.items():
        below = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = laid_over(result[key], value) if below else copy.deepcopy(value)
    return result


def layers_of(config):
    """Return what ablations and variants lay over the configuration, and the key each stands under."""
    layers = {name: (ABLATIONS[name], f"ablations: {name}") for name in config["ablations"]}
    return layers | {
        name: (layer, f"variants.{name}") for name, layer in config["variants"].items()
    }


def groupings(config):
    """Return the columns by which some method groups sets, each once."""
    layers = [{}, *(layer for layer, _ in layers_of(config).values())]
    found = [
        laid_over(config["finetune"], layer.get("finetune", {}))["group_by"] for layer in layers
    ]
    return list(dict.fromkeys(found))


def settings_of(config, layer, schema):
    """Return the configuration with a layer over it; texts become what their keys ask for."""
    settings = laid_over(config, layer)
    fill_defaults(settings, schema, schema)
    return settings


def discriminates(settings):
    """Say whether there is a second pretraining; a given language model is taken as it is."""
    return (
        settings["discriminate"]["epochs"] > 0 and settings["language_model"]["pretrained"] is None
    )


def basis(stage, settings, seed):
    """Return all that decides the result of a stage, the stages before it included."""
    model = settings["language_model"]
    if stage == "pretrain":
        own = [] if model["pretrained"] is not None else [dict(settings["pretrain"])]
        for section in own:
            section.pop("checkpoint_minutes")
        return [settings["kmers"], model, *own]
    if stage == "discriminate":
        own = [settings["discriminate"]] if discriminates(settings) else []
        return [*basis("pretrain", settings, seed), *own]
    if stage == "finetune":
        return [*basis("discriminate", settings, seed), settings["finetune"], seed]
    if stage == "predict":
        return [*basis("classify", settings, seed), settings["predict"]]
    start = settings["classifier"]["start"]
    if start == "random":
        before = [settings["kmers"], [model[key] for key in ("embedding", "hidden", "layers")]]
    else:
        before = basis("finetune" if start == "finetuned" else "discriminate", settings, seed)
    return [*before, settings["classifier"], seed]


def methods_of(config, schema):
    """Return all methods of a run, the configuration itself first and further seeds last."""
    first = config["seed"]
    plain = [Method(FULL, first, "", "model", config)]
    for name, (layer, _) in layers_of(config).items():
        settings = settings_of(config, layer, schema)
        plain.append(Method(name, first, f"methods/{name}/", "model", settings))
    if config["ensemble"]:
        plain.append(Method(ENSEMBLE, first, f"methods/{ENSEMBLE}/", ENSEMBLE, config))
    for name in config["baselines"]:
        plain.append(Method(name, first, f"methods/{name}/", name, config))
    return plain + [
        method._replace(seed=seed, at=f"methods/{method.name}-seed{seed}/")
        for method in plain
        if method.name not in (*SEEDLESS, ENSEMBLE)
        for seed in range(first + 1, first + config["seeds"])
    ]


def home_of(stage, method, methods):
    """Return the first method that a stage is the same for: there its results stand."""
    wanted = basis(stage, method.settings, method.seed)
    return next(
        each
        for each in methods
        if each.kind == "model" and basis(stage, each.settings, each.seed) == wanted
    )


# ---- mistakes -----------------------------------------------------------------------------------


def check_methods(config, schema):
    """Yield what is wrong with ablations, variants and the comparison."""
    known = {FULL: config}
    for name, layer in config["variants"].items():
        yield from check_variant(name, layer)
    if not all(isinstance(name, str) for name in config["variants"]):
        return
    for name, (layer, key) in layers_of(config).items():
        if set(layer) - set(OPEN_SECTIONS) or not all(isinstance(s, dict) for s in layer.values()):
            continue  # which is told above
        settings = laid_over(config, layer)
        problems = list(check_schema(settings, schema))
        if problems:
            lines = "\n".join(problems).splitlines()
            yield from (f"{key}.{line}" for line in lines)
            continue
        if problem := token_problem(name, config):
            yield problem
            continue
        problems = [problem for problem in check_combinations(settings) if problem]
        yield from (f"{key}: {problem}" for problem in problems)
        if problems:
            continue
        wanted = basis("predict", settings, config["seed"])
        for other, theirs in known.items():
            if basis("predict", theirs, config["seed"]) == wanted:
                same = "the configuration itself" if other == FULL else other
                yield f"{key}{shown(layer)} comes to the same as {same}; take it out"
                break
        known[name] = settings
    for name in config["ensemble"]:
        if name not in known:
            yield (
                f"ensemble: {name} is no method of DFLM in this run{closest(name, known)} "
                f"(there are: {', '.join(known)})"
            )
        elif known[name]["predict"]["both_strands"] != config["predict"]["both_strands"]:
            yield (
                f"ensemble: {name} predicts with another predict.both_strands than the "
                "configuration itself; take it out, or set it alike"
            )
    if len(config["ensemble"]) == 1 and config["seeds"] == 1:
        yield (
            f"ensemble is {config['ensemble']} and seeds 1; it averages several trainings, so name "
            "another method or set seeds to 2 or more"
        )
    names = [*known, *([ENSEMBLE] if config["ensemble"] else []), *config["baselines"]]
    for reference in config["comparison"]["references"]:
        if reference not in names:
            yield (
                f"comparison.references: {reference} is no method of this run"
                f"{closest(reference, names)} (its methods: {', '.join(names)})"
            )
    for name in config["ablations"]:
        if name in config["variants"]:
            yield f"variants.{name}: an ablation has this name; choose another"
    gkm = config["gkm"]
    if gkm["informative"] > gkm["word"]:
        yield (
            f"gkm.informative is {gkm['informative']} and gkm.word {gkm['word']}; a window of word "
            "bases has no more to read"
        )


def check_variant(name, layer):
    """Yield what is wrong with the name of a variant, or with what it lays over."""
    key = f"variants.{name}"
    if not isinstance(name, str):
        yield f"{key}: a number, true, false or no as a name has to stand in quotation marks"
        return
    if not VARIANT_NAME.fullmatch(name):
        yield (
            f"{key}: the name is not allowed; allowed: letters, digits and . _ -, a letter or digit "
            "first, no -seed and a number at the end, 100 at most"
        )
    if name in (FULL, ENSEMBLE, *ABLATIONS, *BASELINES):
        yield f"{key}: {name} is the name of a method that is shipped; choose another"
    for section, keys in layer.items():
        if section not in OPEN_SECTIONS:
            yield (
                f"{key}.{section} cannot differ between methods{closest(section, OPEN_SECTIONS)} "
                f"(allowed: {', '.join(OPEN_SECTIONS)})"
            )
        elif not isinstance(keys, dict):
            yield f"{key}.{section} is {keys}; allowed: a section with keys of its own"
        elif section == "pretrain" and "checkpoint_minutes" in keys:
            yield f"{key}.pretrain.checkpoint_minutes cannot differ between methods; set it for all of them"


def shown(layer):
    """Spell a layer of one key, as in `` (kmers.k is 3)``; nothing for larger ones."""
    keys = [(section, key, value) for section in layer for key, value in layer[section].items()]
    if len(keys) != 1:
        return ""
    section, key, value = keys[0]
    return f" ({section}.{key} is {value})"


def token_problem(name, config):
    """Return why an ablation of k cannot be had with a given language model, or None."""
    k, given = ABLATIONS.get(name, {}).get("kmers", {}).get("k"), config["language_model"]
    if name not in config["ablations"] or k is None or given["pretrained"] is None:
        return None
    if k == config["kmers"]["k"]:
        return None
    return (
        f"ablations: {name} needs a language model of {k}-mers, and the one of "
        f"language_model.pretrained reads {config['kmers']['k']}-mers; take {name} out, or make it a "
        "variant with a language_model.pretrained of its own"
    )
