"""The workflow in its conda environments, each rule in its own, without the Python of the tests.

`make test-conda` makes local channels of what is installed, by `conda_channel.py`, and names their
folder in DFLM_CONDA_CHANNELS; a front end of conda is on the PATH. To test with a real conda and
its own channels set DFLM_CONDA=1 instead.
"""

import os
import shutil

import pytest
from runs import ROOT
from small_run import STRONG, Run

pytestmark = [
    pytest.mark.conda,
    pytest.mark.skipif(
        shutil.which("conda") is None or not {"DFLM_CONDA", "DFLM_CONDA_CHANNELS"} & {*os.environ},
        reason="needs conda and channels: make test-conda",
    ),
]
ENVIRONMENTS = sorted(path.name for path in (ROOT / "workflow" / "envs").glob("*.yaml"))


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    """The folder of the environments."""
    return tmp_path_factory.mktemp("environments")


@pytest.fixture(scope="module")
def finished(prefix, tmp_path_factory):
    """The smallest demo, run in conda environments; the tests' own Python is out of reach."""
    with pytest.MonkeyPatch.context() as patch:
        if folder := os.environ.get("DFLM_CONDA_CHANNELS"):
            patch.setenv("RCONDA_CHANNEL_ALIAS", f"file://{folder}/")
            patch.setenv("RCONDA_PKGS", str(prefix / "packages"))
        for name in ("PYTHONPATH", "PYTHONHOME"):
            patch.delenv(name, raising=False)
        run = Run(tmp_path_factory.mktemp("finished"))
        run.options = (*Run.options, "--sdm", "conda", "--conda-prefix", str(prefix))
        run.configure(datasets={"select": [STRONG]})
        run.output, run.environments = run(), made(prefix)
        yield run


def made(prefix):
    return {path.name for path in prefix.iterdir() if (path / "conda-meta").is_dir()}


def test_the_demo_runs_in_its_environments(finished, prefix):
    row = finished.table()[STRONG]
    assert row["status"] == "ok"
    assert float(row["auroc"]) > 0.75
    # One each for what fetches, reads sequences, trains and draws.
    assert len(finished.environments) == 4
    for name in finished.environments:
        place = os.path.relpath(prefix / name, finished.folder)
        assert f"Activating conda environment: {place}" in finished.output


def test_models_are_mined_in_an_environment_of_their_own(finished, prefix):
    finished.configure(datasets={"select": [STRONG]}).mine()
    finished("--set-threads", "attribute=1", "scan_genome=1", "score_variants=1")
    # And those of the test after this one, where it came before.
    assert len(made(prefix) - finished.environments) >= 1
    assert "planted_STRONG" in finished.path("summary", "motifs.tsv").read_text()
    assert finished.path("variants", "annotated.vcf.gz").exists()


def test_every_environment_can_be_made_before_any_job(finished, prefix):
    config = finished.folder / "config" / "config.yaml"
    config.write_text(config.read_text() + "baselines: [floor, gkm, lsgkm, cnn]\n")
    finished("--conda-create-envs-only")
    assert len(made(prefix)) == len(ENVIRONMENTS)
