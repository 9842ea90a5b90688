"""LS-GKM is run as its authors meant it, and what is wrong with it is told in words."""

import csv
import hashlib
import json
import stat
import sys

import numpy as np
import pytest
from dflm.errors import InputError
from dflm.evaluation.baselines.lsgkm import run_lsgkm

# Programs of the same names and arguments: a score is how often a sequence holds CACGTG.
TRAIN = """#!{python}
import sys
*options, positive, negative, prefix = sys.argv[1:]
assert options == "-t 4 -l 11 -k 7 -d 3 -c 1 -T {threads}".split(), options
for path in (positive, negative):
    lines = open(path).read().split()
    assert lines[::2] == [f">{{i}}" for i in range(len(lines) // 2)]
print("training")
open(f"{{prefix}}.model.txt", "w").write(f"{{open(positive).read().count('CACGTG')}}\\n")
"""
PREDICT = """#!{python}
import sys
*options, query, model, answer = sys.argv[1:]
assert open(model).read().strip().isdigit()
lines = open(query).read().split()
with open(answer, "w") as out:
    for name, sequence in zip(lines[::2], lines[1::2]):
        out.write(f"{{name[1:]}}\\t{{sequence.count('CACGTG') - 0.5}}\\n")
"""


def install(folder, monkeypatch, threads=4, **programs):
    folder.mkdir(exist_ok=True)
    for name, text in ({"gkmtrain": TRAIN, "gkmpredict": PREDICT} | programs).items():
        path = folder / name
        path.write_text(text.format(python=sys.executable, threads=threads))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(folder))


@pytest.fixture
def files(tmp_path):
    rng = np.random.default_rng(1)
    paths = {}
    for part, rows in (("train", 40), ("validation", 20), ("sequences", 12)):
        lines = ["name\tsequence\tlabel"]
        for i in range(rows):
            bases = "".join(rng.choice(list("ACT"), 40))  # no G, so no site by chance
            sequence = bases[:17] + "CACGTG" + bases[23:] if i % 2 else bases
            lines.append(f"peak {i} (x)\t{sequence}\t{i % 2}")
        paths[part] = tmp_path / f"{part}.tsv"
        paths[part].write_text("\n".join(lines) + "\n")
    for name in ("model", "card", "predictions"):
        paths[name] = tmp_path / "out" / name
    return paths


@pytest.mark.parametrize(("given", "taken"), [(1, 1), (3, 1), (4, 4), (15, 4), (20, 16)])
def test_predictions_are_probabilities_of_the_test_file_in_its_order(
    files, tmp_path, monkeypatch, given, taken
):
    install(tmp_path / "bin", monkeypatch, taken)
    run_lsgkm(**files, threads=given)
    with files["predictions"].open() as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    assert [row["name"] for row in rows] == [f"peak {i} (x)" for i in range(12)]
    for row in rows:
        assert (float(row["probability"]) > 0.5) == (row["label"] == "1")
        assert row["probability"] == row["probability_forward"] == row["probability_reverse"]
    assert files["model"].read_text() == "20\n"
    card = json.loads(files["card"].read_text())
    assert card["metrics"]["validation_auroc"] == 1
    assert card["training"]["sequences"] == 40
    assert {"word": 11, "informative": 7, "mismatches": 3, "cost": 1}.items() <= (
        card["training"]["args"].items()
    )


def test_the_card_tells_which_programs_made_it_the_same_each_time(files, tmp_path, monkeypatch):
    """A conda environment records its packages in conda-meta; elsewhere no version is known."""
    folder = tmp_path / "env" / "bin"
    folder.parent.mkdir()
    install(folder, monkeypatch, 1)
    run_lsgkm(**files, threads=1)
    first = files["card"].read_bytes()
    run_lsgkm(**files, threads=1)
    assert files["card"].read_bytes() == first
    told = json.loads(first)["programs"]
    assert told == {
        name: {"sha256": hashlib.sha256((folder / name).read_bytes()).hexdigest()}
        for name in ("gkmtrain", "gkmpredict")
    } | {"version": None}
    meta = tmp_path / "env" / "conda-meta"
    meta.mkdir()
    records = {
        "ls-gkm-0.1.1-h4ac6f70_2": ("ls-gkm", "0.1.1"),
        "ls-gkm-more-2-0": ("ls-gkm-more", "2"),
    }
    for stem, (name, version) in records.items():
        record = {"name": name, "version": version}
        (meta / f"{stem}.json").write_text(json.dumps(record))
    for version in ("0.1.1", None):
        run_lsgkm(**files, threads=1)
        found = json.loads(files["card"].read_text())["programs"]
        assert found == told | {"version": version}
        (meta / "ls-gkm-0.1.1-h4ac6f70_2.json").write_text("torn")


def test_programs_that_are_not_there_are_named_with_where_to_get_them(files, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"no program gkmtrain on the PATH.*bioconda::ls-gkm"):
        run_lsgkm(**files, threads=1)


def test_sequences_that_it_would_cut_are_refused(files, tmp_path, monkeypatch):
    install(tmp_path / "bin", monkeypatch, 1)
    with files["validation"].open("a") as stream:
        stream.write(f"long\t{'ACGT' * 512}\t1\n")
    with pytest.raises(InputError, match=r"validation\.tsv.* 2,048 bases; .* first 2,047 only"):
        run_lsgkm(**files, threads=1)


@pytest.mark.parametrize(
    ("programs", "told"),
    [
        ({"gkmtrain": "#!/bin/sh\necho no memory >&2\nexit 3\n"}, "gkmtrain: it ended with 3: no"),
        ({"gkmtrain": "#!/bin/sh\n"}, "gkmtrain: it wrote no model svm.model.txt"),
        ({"gkmpredict": "#!/bin/sh\n"}, "gkmpredict: its scores cannot be read"),
        ({"gkmpredict": '#!/bin/sh\necho 0 1.5 > "$5"\n'}, "its scores cannot be read.*LS-GKM 0.1"),
    ],
)
def test_what_fails_is_told_and_leaves_no_predictions(files, tmp_path, monkeypatch, programs, told):
    install(tmp_path / "bin", monkeypatch, 1, **programs)
    with pytest.raises(InputError, match=told):
        run_lsgkm(**files, threads=1)
    assert not files["predictions"].exists()
