"""The record of a run: what it holds, and that any change of a file shows."""

import hashlib
import json
import subprocess
import zipfile

import pytest
from dflm.cli.program import main
from dflm.errors import InputError
from dflm.files import sha256_of, write_json
from dflm.mining.packing import pack_model, pack_release
from dflm.provenance import RECORD, config_sha256, verify, write_provenance
from dflm.software import commit_of, made_by

CONFIG = {"seed": 7, "genome": {"source": "g.fa", "include": ["chr1"]}}
MODEL = "results/classify/A_(1)"
RULES = {
    "train_classifier": [
        rf"results/classify/(?P<dataset>[^/]+)/model\.{end}$" for end in ("safetensors", "json")
    ],
    "evaluate": [r"results/classify/(?P<dataset>[^/]+)/metrics\.json"],
    "shard_genome": [r"results/genome/index\.json", r"results/genome/contigs"],
    "get_genome": [],
}


@pytest.fixture
def ran(tmp_path, monkeypatch, planted_model):
    """A folder as a run leaves it, with its record."""
    monkeypatch.chdir(tmp_path)
    files = {
        f"{MODEL}/metrics.json": b"{}",
        f"{MODEL}/checkpoints/last.pt": b"to go on from",
        "results/genome/contigs/.snakemake_timestamp": b"",
        "results/genome/contigs/chr1.bin": b"\0\1\2\3",
        "results/summary/auc.tsv": b"dataset\tauroc\n",
        "results/classify/elsewhere/model.json": b"of an earlier run",
        "resources/genome.fa": b">chr1\nACGT\n",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    for name in ("model.safetensors", "model.json"):
        (tmp_path / MODEL / name).write_bytes((planted_model / name).read_bytes())
    # As the index tells it; of hg38 the contigs are gigabytes, and are not read again.
    contig = {"file": "chr1.bin", "sha256": sha256_of("results/genome/contigs/chr1.bin")}
    write_json("results/genome/index.json", {"contigs": [contig]})
    return record(tmp_path)


def record(folder):
    write_provenance(
        [f"{MODEL}/metrics.json", "results/genome/index.json", "results/summary/auc.tsv"],
        ["resources/genome.fa", "resources/gone.zip"],
        RULES,
        CONFIG,
        {"full": 7, "full-seed2": 8},
        RECORD,
        snakemake="9.27.1",
        workflow=None,
        command="snakemake --cores 2",
    )
    return folder


def test_the_record_tells_of_software_configuration_seeds_inputs_and_each_file(ran, planted_model):
    told = json.loads((ran / RECORD).read_text())
    assert told["software"] == made_by() | {"snakemake_version": "9.27.1", "workflow": None}
    assert told["software"]["packages"]["numpy"]
    assert told["command"] == "snakemake --cores 2"
    assert told["seeds"] == {"full": 7, "full-seed2": 8}
    assert told["config"] == CONFIG
    compact = json.dumps(CONFIG, sort_keys=True, separators=(",", ":")).encode()
    assert told["config_sha256"] == hashlib.sha256(compact).hexdigest()
    assert told["inputs"] == {
        "resources/genome.fa": {
            "sha256": hashlib.sha256(b">chr1\nACGT\n").hexdigest(),
            "bytes": 11,
        },
        "resources/gone.zip": {"sha256": None, "bytes": None},
    }
    assert {name: one["rule"] for name, one in told["files"].items()} == {
        f"{MODEL}/model.json": "train_classifier",
        f"{MODEL}/model.safetensors": "train_classifier",
        f"{MODEL}/metrics.json": "evaluate",
        "results/genome/index.json": "shard_genome",
        "results/genome/contigs/chr1.bin": "shard_genome",
        "results/summary/auc.tsv": None,
    }
    for name, one in told["files"].items():
        content = (ran / name).read_bytes()
        assert one["sha256"] == hashlib.sha256(content).hexdigest()
        assert one["bytes"] == len(content)
    card = json.loads((planted_model / "model.json").read_text())
    assert told["models"]["torch_version"] == [card["torch_version"]]
    assert told["models"]["device"] == ["cpu"]
    assert told["models"]["bf16"] == [False]
    assert told["models"]["processor"] == [card["metrics"]["processor"]]


def test_the_same_run_is_recorded_in_the_same_bytes(ran):
    first = (ran / RECORD).read_bytes()
    record(ran)
    assert (ran / RECORD).read_bytes() == first


def test_a_card_tells_what_made_the_model_and_where(planted_model):
    card = json.loads((planted_model / "model.json").read_text())
    assert {key: card[key] for key in made_by()} == made_by()
    assert card["training"]["seed"] == 1
    assert card["training"]["train_sha256"] == sha256_of(planted_model.parent / "train.tsv.gz")
    assert {"device", "processor", "threads", "bf16"} <= set(card["metrics"])


def test_an_untouched_run_is_verified_and_one_with_its_configuration_edited_is_not(ran, capsys):
    assert main(["verify", str(ran)]) == 0
    assert capsys.readouterr().out == ""
    content = json.loads((ran / RECORD).read_text())
    content["config"]["seed"] = 8
    write_json(ran / RECORD, content)
    assert verify(ran)[1] == [("changed", f"{RECORD}: config")]
    assert content["config_sha256"] != config_sha256(content["config"])


@pytest.mark.parametrize(
    "name",
    [
        f"{MODEL}/model.safetensors",
        f"{MODEL}/metrics.json",
        "results/genome/contigs/chr1.bin",
        "resources/genome.fa",
    ],
)
def test_one_changed_byte_and_a_missing_file_are_found(ran, name, capsys):
    path = ran / name
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert main(["verify", str(ran)]) == 1
    told = capsys.readouterr()
    assert told.out == f"changed\t{name}\n"
    assert "of 7 recorded files: 1 changed" in told.err
    path.unlink()
    assert verify(ran) == (7, [("missing", name)])


def test_a_file_that_came_later_is_found_where_results_are_recorded_only(ran):
    (ran / MODEL / "more.tsv").write_text("")
    (ran / MODEL / "checkpoints" / "more.pt").write_text("")
    (ran / "results" / "release.zip").write_text("")
    (ran / "results" / "classify" / "elsewhere" / "more.tsv").write_text("")
    assert verify(ran)[1] == [("unrecorded", f"{MODEL}/more.tsv")]


def test_weights_that_changed_before_the_record_was_written_are_found(ran):
    weights = ran / MODEL / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    record(ran)
    assert verify(ran)[1] == [("changed", f"{MODEL}/model.safetensors")]


def test_a_run_that_was_moved_is_verified_and_a_folder_without_record_is_refused(ran, tmp_path):
    moved = ran.rename(ran.with_name("moved"))
    assert verify(moved) == (7, [])
    with pytest.raises(InputError, match="holds neither SHA256SUMS nor results/summary/prov"):
        verify(moved / "results" / "genome")
    (moved / RECORD).write_text("{}")
    with pytest.raises(InputError, match="is no record of a run"):
        verify(moved)


def test_an_input_of_a_long_address_is_passed_over(ran):
    content = json.loads((ran / RECORD).read_text())
    content["inputs"]["https://example.org/" + "9" * 300] = {"sha256": "00" * 32, "bytes": 1}
    write_json(ran / RECORD, content)
    assert [kind for kind, _ in verify(ran)[1]] == ["missing"]


def test_a_folder_of_results_may_be_a_link(ran, tmp_path):
    (ran / "results").rename(tmp_path / "elsewhere")
    (ran / "results").symlink_to(tmp_path / "elsewhere")
    assert verify(ran) == (7, [])


@pytest.mark.parametrize("password", ["secret", "very@secret"])
def test_passwords_of_addresses_are_recorded_nowhere(ran, planted_model, tmp_path, password):
    address = f"https://me:{password}@example.org/a.zip"
    config = {"datasets": {"source": address, "select": ["*@*", "https://x.org?mail=a@b.org"]}}
    write_provenance(
        [f"{MODEL}/metrics.json"],
        [address],
        RULES,
        config,
        {"full": 7},
        RECORD,
        snakemake="9.27.1",
        workflow=None,
        command=f"snakemake --config datasets={{source: {address}}}",
    )
    text = (ran / RECORD).read_text()
    assert "secret" not in text
    assert text.count("https://example.org/a.zip") == 3
    assert json.loads(text)["config"]["datasets"]["select"] == ["*@*", "https://x.org?mail=a@b.org"]
    assert not [name for kind, name in verify(ran)[1] if "config" in name]
    pack_release(tmp_path / "r.zip", [], [], ran / "resources" / "genome.fa", config)
    with zipfile.ZipFile(tmp_path / "r.zip") as packed:
        assert b"secret" not in packed.read("r/config.json")


def test_an_unpacked_release_and_a_packed_model_are_verified(ran, planted_model):
    (ran / "LICENSE").write_text("MIT\n")
    packed = ran / "results" / "models" / "A_(1)"
    pack_model(
        planted_model / "model.safetensors",
        planted_model / "model.json",
        ran / MODEL / "metrics.json",
        ran / "LICENSE",
        packed,
    )
    assert verify(packed)[1] == []
    archive = ran / "results" / "release.zip"
    pack_release(archive, [packed], [ran / RECORD], ran / "LICENSE", CONFIG)
    with zipfile.ZipFile(archive) as members:
        members.extractall(ran / "elsewhere")
    release = ran / "elsewhere" / "release"
    assert verify(release)[1] == []
    (release / "config.json").write_text("{}")
    (release / "LICENSE").unlink()
    (release / "new").write_text("")
    assert verify(release)[1] == [
        ("missing", "LICENSE"),
        ("changed", "config.json"),
        ("unrecorded", "new"),
    ]


def test_the_commit_is_that_of_the_workflow_and_of_no_repository_around_it(tmp_path):
    library = tmp_path / "workflow" / "scripts" / "dflm"
    library.mkdir(parents=True)
    (library / "__init__.py").write_text("")

    def git(*words):
        who = ("-c", "user.name=a", "-c", "user.email=a@b.c")
        done = subprocess.run(
            ["git", "-C", tmp_path, *who, *words], check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    assert commit_of(library) == (None, None)
    git("init", "-q")
    (tmp_path / "README").write_text("another project")
    git("add", "README")
    git("commit", "-q", "-m", "not of the library")
    assert commit_of(library) == (None, None)
    git("add", "workflow")
    git("commit", "-q", "-m", "of the library")
    assert commit_of(library) == (git("rev-parse", "HEAD"), False)
    (tmp_path / "README").write_text("edited, and no part of the workflow")
    assert commit_of(library)[1] is False
    (library / "__init__.py").write_text('"""Edited."""\n')
    assert commit_of(library) == (git("rev-parse", "HEAD"), True)
