"""The house's order: wings, what a script's environment holds, what a rule declares."""

import ast
import graphlib
import re
import subprocess
import sys
import tomllib

import pytest
import yaml
from runs import ROOT

SCRIPTS = ROOT / "workflow" / "scripts"
LIBRARY = SCRIPTS / "dflm"
# A wing may import from itself and from those before it; so none but cli imports mining.
WINGS = ("", "sequences", "model", "training", "evaluation", "simulate", "mining", "cli")
TOP = (
    "errors",
    "files",
    "logs",
    "addresses",
    "downloads",
    "phases",
    "scores",
    "calibration",
    "predictions",
    "resources",
    "software",
    "checksums",
    "provenance",
    "tables",
    "pages",
)
PACKAGES = {"torch": "pytorch", "sklearn": "scikit-learn", "matplotlib": "matplotlib-base"}
PACKAGES |= {"pyBigWig": "pybigwig"}
OPTIONAL = {"modiscolite"}  # asked for where it is imported, and done without
RULES = {
    name: text
    for path in sorted((ROOT / "workflow" / "rules").glob("*.smk"))
    for name, text in re.findall(
        r"^(?:rule|checkpoint) (\w+):\n(.*?)(?=^\S|\Z)", path.read_text(), re.MULTILINE | re.DOTALL
    )
}


def test_the_wings_are_those_that_contributing_tells():
    table = (ROOT / "CONTRIBUTING.md").read_text().split("| wing | subject |")[1].split("\n\n")[0]
    told = {name for row in re.findall(r"^\| (`.*?) \|", table, re.M) for name in row.split(", ")}
    there = {f"`{path.stem}`" for path in LIBRARY.glob("*.py") if path.stem != "__init__"}
    there |= {f"`{path.parent.name}/`" for path in LIBRARY.glob("*/__init__.py")}
    assert told == there


def imported(path):
    """Return the modules that a file imports, and the names it takes from them."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} has a relative import"
            yield node.module
            for alias in node.names:
                yield f"{node.module}.{alias.name}"


def module_of(path):
    parts = path.relative_to(SCRIPTS).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in LIBRARY.rglob("*.py")}
IMPORTS = {
    name: {other for other in imported(path) if other in MODULES and other != name}
    for name, path in MODULES.items()
}


def wing(module):
    room = [*module.split("."), ""][1]
    if room in ("", *TOP):
        return 0
    return WINGS.index("simulate" if room.startswith("simulat") else room)


def transitive(path):
    """Return a script's library modules and their third-party imports, told by ast alone."""
    todo, seen, others = [path], set(), set()
    while todo:
        for name in imported(todo.pop()):
            parts = name.split(".")
            if parts[0] != "dflm":
                others.add(parts[0])
                continue
            for depth in range(1, len(parts) + 1):
                module = ".".join(parts[:depth])
                if module in MODULES and module not in seen:
                    seen.add(module)
                    todo.append(MODULES[module])
    standard = set(sys.stdlib_module_names)
    return seen, others - standard - {"dflm"}


def test_wings_import_only_from_those_above():
    for name, others in IMPORTS.items():
        for other in others:
            assert wing(other) <= wing(name), f"{name} imports {other}, which lies below it"


def test_imports_have_no_circle():
    # A package's own docstring-only __init__ depends on nothing, so it cannot close a circle.
    assert list(graphlib.TopologicalSorter(IMPORTS).static_order())


def test_packages_hold_a_docstring_and_no_work():
    for path in LIBRARY.rglob("__init__.py"):
        for node in ast.parse(path.read_text()).body:
            assert isinstance(node, (ast.Expr, ast.Assign)), f"{path} does more than it should"


def test_the_top_and_sequences_load_no_heavy_package():
    light = [name for name in MODULES if wing(name) <= 1 and name.count(".") >= 1]
    heavy = {"torch", "pandas", "matplotlib", "sklearn"}
    code = (
        f"import sys, importlib; [importlib.import_module(name) for name in {sorted(light)}];"
        f"print(sorted({heavy} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=SCRIPTS, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_no_script_shadows_a_module():
    names = {path.stem for path in SCRIPTS.glob("*.py")} | {"dflm"}
    assert not names & set(sys.stdlib_module_names)
    third = {name for path in SCRIPTS.rglob("*.py") for name in transitive(path)[1]}
    assert not names & third


def test_every_script_serves_a_rule():
    used = {name for text in RULES.values() for name in re.findall(r'"\.\./scripts/(.*?)"', text)}
    assert used | {"show_table.py"} == {path.name for path in SCRIPTS.glob("*.py")}


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_declares_all_it_should(rule):
    text = RULES[rule]
    for directive in ("log", "conda", "threads", "resources"):
        assert re.search(rf"^    {directive}:", text, re.MULTILINE), directive
    for resource in ("mem_mb", "runtime"):
        assert re.search(rf"^        {resource}=", text, re.MULTILINE), resource
    script = re.search(r'script:\s+"\.\./scripts/(.*?)"', text)[1]
    assert f'lib=library("{script}")' in text
    if "torch" in transitive(SCRIPTS / script)[1]:
        assert "gpu=1," in text
        # Snakemake refuses a benchmark beside `cache`.
        assert ("benchmark:" in text) != ("cache: True" in text)


def pinned(env):
    """Return what an environment holds, ``name =version``; pip's part of it too."""
    for line in yaml.safe_load(env.read_text())["dependencies"]:
        if isinstance(line, dict):
            yield from (each.replace("==", "=") for each in line["pip"])
        else:
            yield line


@pytest.mark.parametrize("rule", RULES)
def test_an_environment_holds_what_its_script_imports(rule):
    text = RULES[rule]
    script = re.search(r'script:\s+"\.\./scripts/(.*?)"', text)[1]
    env = ROOT / "workflow" / "envs" / re.search(r'conda:\s+"\.\./envs/(.*?)"', text)[1]
    names = {line.split()[0] for line in pinned(env)}
    needed = {PACKAGES.get(name, name) for name in transitive(SCRIPTS / script)[1] - OPTIONAL}
    assert needed <= names


def test_environments_hold_the_versions_that_make_installs():
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.M))
    for path in (ROOT / "workflow" / "envs").glob("*.yaml"):
        env = yaml.safe_load(path.read_text())
        assert env["channels"][-1] == "nodefaults"
        for line in pinned(path):
            name, version = line.split(" =")
            name = {conda: pip for pip, conda in PACKAGES.items()}.get(name, name)
            name = {"sklearn": "scikit-learn"}.get(name, name)
            if name not in ("python", "ls-gkm"):  # which pip does not have
                assert f"{pins[name]}.".startswith(f"{version}."), f"{path.name}: {line}"


def test_constraints_name_no_place():
    text = (ROOT / "constraints.txt").read_text()
    for line in text.splitlines():
        assert re.fullmatch(r"#.*|[\w.-]+==[\w.]+", line), line


def test_the_command_alone_is_installed_with_what_make_installs():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = project["dependency-groups"]
    named = {entry for name in ("run", "mining") for entry in groups[name] if type(entry) is str}
    assert set(project["project"]["dependencies"]) <= named


CODE = {"pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}  # read, they may run code
CALLS = {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "yaml.load"}
CALLS |= {"yaml.unsafe_load", "yaml.full_load", "torch.jit.load", "torch.hub.load"}
METHODS = {"extractall", "read_pickle"}  # the first writes to where an archive's names lead
KEYWORDS = {"shell": False, "allow_pickle": False, "weights_only": True}
NEEDED = {"torch.load": "weights_only", "np.load": "allow_pickle"}


def what_runs_data(text):
    """Yield what a source does by which a file, an address or a setting could come to run."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names if one.name.split(".")[0] in CODE)
        elif isinstance(node, ast.ImportFrom) and node.module.split(".")[0] in CODE:
            yield node.module
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            given = {one.arg: ast.unparse(one.value) for one in node.keywords}
            if name in CALLS or name.rpartition(".")[2] in METHODS:
                yield name
            if name in NEEDED and NEEDED[name] not in given:
                yield f"{name} without {NEEDED[name]}"
            for key, value in KEYWORDS.items():
                if given.get(key, str(value)) != str(value):
                    yield f"{key}={given[key]}"


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "from joblib import load",
        "eval(text)",
        "exec(compile(text, path, 'exec'))",
        "os.system(text)",
        "yaml.load(text, Loader=yaml.Loader)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path)",
        "np.load(path, allow_pickle=True)",
        "subprocess.run(text, shell=True)",
        "tarfile.open(path).extractall()",
        "pandas.read_pickle(path)",
    ],
)
def test_what_runs_data_is_seen(text):
    assert list(what_runs_data(text))


def test_nothing_that_is_read_can_run():
    found = {path: list(what_runs_data(path.read_text())) for path in SCRIPTS.rglob("*.py")}
    assert {path: names for path, names in found.items() if names} == {}
    # Rules are no Python to ast; re.compile would be seen as compile.
    calls = "|".join(map(re.escape, sorted(CALLS - {"compile"})))
    words = rf"\b(?:{calls})\(|shell=True|{'|'.join(CODE)}"
    for path in [ROOT / "workflow" / "Snakefile", *(ROOT / "workflow" / "rules").glob("*.smk")]:
        assert re.findall(words, path.read_text()) == [], path.name
