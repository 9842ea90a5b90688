"""A packed model loads anywhere, a packed run has the same bytes twice, and both tell damage."""

import hashlib
import json
import subprocess
import zipfile

import pytest
from dflm.cli.program import main
from dflm.errors import InputError
from dflm.mining.packing import SUMS, check_sums, pack_model, pack_release


@pytest.fixture
def files(planted_model, tmp_path):
    """The files of a model, as the workflow has them."""
    (tmp_path / "metrics.json").write_text(
        json.dumps({"auroc": 0.93, "negatives": "shuffle", "seconds": {"wall": 3.2}})
    )
    (tmp_path / "LICENSE").write_text("MIT\n")
    (tmp_path / "motifs.meme").write_text("MEME version 4\n")
    return {
        "weights": planted_model / "model.safetensors",
        "card": planted_model / "model.json",
        "metrics": tmp_path / "metrics.json",
        "licence": tmp_path / "LICENSE",
    }


def test_a_packed_model_is_whole_and_is_listed(files, tmp_path, capsys):
    folder = tmp_path / "models" / "PLANTED_(1)"
    for _ in range(2):  # what stood there before goes
        pack_model(**files, folder=folder, motifs=[tmp_path / "motifs.meme"])
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert names == {
        *("model.safetensors", "model.json", "metrics.json", "thresholds.tsv", "README.md"),
        *("LICENSE", "motifs/motifs.meme", SUMS),
    }
    assert "seconds" not in json.loads((folder / "metrics.json").read_text())
    _, *rows = (folder / "thresholds.tsv").read_text().splitlines()
    assert {row.split("\t")[1] for row in rows} == {"max_mcc", "fdr", "half"}
    assert "AUROC 0.9300" in (folder / "README.md").read_text()
    subprocess.run(["sha256sum", "-c", "--quiet", SUMS], cwd=folder, check=True)
    assert main(["models", str(folder.parent)]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("PLANTED_(1)\t")
    (folder / "metrics.json").write_text("{}")
    with pytest.raises(InputError, match=r"metrics\.json: is not what SHA256SUMS says"):
        check_sums(folder)


def test_weights_that_are_not_those_of_the_card_are_not_packed(files, tmp_path):
    (tmp_path / "other.safetensors").write_bytes(b"other")
    files["weights"] = tmp_path / "other.safetensors"
    with pytest.raises(InputError, match="checksum is not the one in its card"):
        pack_model(**files, folder=tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_a_run_packed_twice_has_the_same_bytes_and_sums_that_hold(files, tmp_path):
    folders = [tmp_path / "models" / name for name in ("B", "A_(x)")]
    (tmp_path / "auc.tsv").write_text("dataset\n")
    archives = [tmp_path / "one" / "release.zip", tmp_path / "two" / "release.zip"]
    for archive, order in zip(archives, (folders, folders[::-1]), strict=True):
        for folder in order:
            pack_model(**files, folder=folder)
            (folder / ".snakemake_timestamp").write_text("")  # as Snakemake does
        config = {"seed": 1, "genome": {"source": "g.fa"}}
        pack_release(archive, order, [tmp_path / "auc.tsv"], files["licence"], config)
    assert archives[0].read_bytes() == archives[1].read_bytes()
    with zipfile.ZipFile(archives[0]) as packed:
        assert packed.testzip() is None
        sums = packed.read(f"release/{SUMS}").decode().splitlines()
        told = dict(line.split("  ", 1)[::-1] for line in sums)
        assert {f"release/{name}" for name in [*told, SUMS]} == set(packed.namelist())
        for name, digest in told.items():
            assert hashlib.sha256(packed.read(f"release/{name}")).hexdigest() == digest
    assert "models/A_(x)/model.safetensors" in told
    (folders[0] / "model.json").write_text("{}")
    with pytest.raises(InputError, match=r"model\.json: is not what SHA256SUMS says"):
        pack_release(archives[0], folders, [], files["licence"], {})
