"""The program: what it writes, what it says when something is wrong, and its exit codes."""

import json
import logging
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from dflm.cli.program import COMMANDS, main, parser
from dflm.mining import predict
from dflm.mining.variants import files as variant_files
from dflm.sequences.kmers import decode
from planted import WIDTH, bound_sequences, random_codes
from test_scan import write_fasta

SCRIPTS = Path(__file__).resolve().parents[2] / "workflow" / "scripts"
CPU = ("--device", "cpu", "--threads", "1")


@pytest.fixture(autouse=True)
def logging_as_before():
    """The program sets up logging and warnings for its process, which here is the tests'."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    with warnings.catch_warnings():
        yield
    root.setLevel(level)
    root.handlers[:] = handlers


@pytest.fixture
def fasta(tmp_path):
    rows = bound_sequences(np.random.default_rng(41), 6)
    return write_fasta(tmp_path / "in.fa", {f"s{i}": row for i, row in enumerate(rows)})


def table(text):
    lines = [line.split("\t") for line in text.splitlines()]
    return [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself_with_examples(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        parser().parse_args([command, "--help"])
    assert stopped.value.code == 0
    shown = capsys.readouterr().out
    assert "examples:" in shown
    assert f"  dflm {command} " in shown


@pytest.mark.parametrize(
    ("command", "columns"), [("predict", predict.COLUMNS), ("variants", variant_files.COLUMNS)]
)
def test_each_column_of_a_table_is_explained(command, columns, capsys):
    with pytest.raises(SystemExit):
        parser().parse_args([command, "--help"])
    words = set(re.findall(r"\w+", capsys.readouterr().out))
    assert set(columns) <= words


def test_predict_writes_a_table(planted_model, fasta, capsys):
    assert main(["predict", str(planted_model), "--fasta", str(fasta), *CPU]) == 0
    rows = table(capsys.readouterr().out)
    assert [row["name"] for row in rows] == [f"s{i}" for i in range(6)]
    assert all(float(row["probability"]) > 0.5 for row in rows)


def test_sources_of_the_same_sequences_give_the_same_scores(planted_model, fasta, scorer, tmp_path):
    rows = bound_sequences(np.random.default_rng(41), 6)
    (tmp_path / "in.tsv").write_text(
        "name\tsequence\n" + "".join(f"s{i}\t{decode(row)}\n" for i, row in enumerate(rows))
    )
    (tmp_path / "in.bed").write_text("".join(f"s{i}\t0\t{WIDTH}\n" for i in range(6)))
    scores = []
    for source in (
        ["--fasta", str(fasta)],
        ["--tsv", str(tmp_path / "in.tsv")],
        ["--bed", str(tmp_path / "in.bed"), "--genome", str(fasta)],
    ):
        out = tmp_path / "out.tsv"
        fp32 = ["--precision", "fp32", "-o", str(out)]
        assert main(["predict", str(planted_model), *source, *fp32, *CPU]) == 0
        scores.append([row["log_odds"] for row in table(out.read_text())])
    assert scores[0] == scores[1] == scores[2]
    expected = scorer.score(rows).log_odds
    assert [float(value) for value in scores[0]] == pytest.approx(expected, abs=1e-4)


def test_it_reads_stdin(planted_model, fasta):
    command = [
        sys.executable,
        "-m",
        "dflm.cli",
        "predict",
        str(planted_model),
        "--fasta",
        "-",
        *CPU,
    ]
    done = subprocess.run(
        command,
        input=fasta.read_text(),
        text=True,
        capture_output=True,
        env=os.environ | {"PYTHONPATH": str(SCRIPTS)},
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 7


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["predict", "MODEL"], "give one of --fasta, --tsv, --bed"),
        (["predict", "MODEL", "--fasta", "FASTA", "--tsv", "x"], "2 sources"),
        (["predict", "MODEL", "--bed", "x"], "--genome"),
        (["predict", "nowhere", "--fasta", "FASTA"], "no such model folder"),
        (["predict", "MODEL", "--fasta", "nothing.fa"], "no such file"),
        (["predict", "MODEL", "--fasta", "FASTA", "--width", "2"], "at least"),
        (["scan", "MODEL", "--fasta", "FASTA"], "--bigwig"),
        (["scan", "MODEL", "--fasta", "FASTA", "--calls", "-", "--threshold", "2"], "threshold"),
        (["scan", "MODEL", "--fasta", "FASTA", "--calls", "-", "--max-n", "2"], "--max-n"),
        (["scan", "MODEL", "--fasta", "FASTA", "--calls", "-", "--plot", "x"], "--plot is drawn"),
        (["motifs", "MODEL", "-o", "m"], "no sequences"),
        (["variants", "MODEL", "--vcf", "x.vcf", "--genome", "FASTA"], "--tsv"),
        (
            ["variants", "MODEL", "--vcf", "x.vcf", "--genome", "FASTA", "--tsv", "-"],
            "no such file",
        ),
        (
            [
                *(
                    "variants",
                    "MODEL",
                    "--vcf",
                    "x",
                    "--genome",
                    "FASTA",
                    "--tsv",
                    "-",
                    "--plot",
                    "x",
                )
            ],
            "--plot is drawn",
        ),
        (["info", "nowhere"], "no such model"),
        (["models", "nowhere"], "no such folder"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_1(
    arguments, words, planted_model, fasta, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    places = {"MODEL": str(planted_model), "FASTA": str(fasta)}
    arguments = [places.get(word, word) for word in arguments]
    assert main([*arguments, "--quiet"]) == 1
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert said[0].startswith(f"dflm {arguments[0]}: ")
    assert words in said[0]


def test_wrong_usage_is_exit_code_2(capsys):
    for arguments in ([], ["fly"], ["predict"], ["predict", "m", "--threads", "0"]):
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        assert stopped.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_a_scan_of_regions_writes_both_files(planted_model, tmp_path, capsys):
    codes = random_codes(np.random.default_rng(42), 500)
    codes[200:240] = bound_sequences(np.random.default_rng(43), 1)[0]
    genome = write_fasta(tmp_path / "g.fa", {"c": codes})
    (tmp_path / "r.bed").write_text("c\t100\t400\n")
    outputs = ["--bigwig", str(tmp_path / "s.bw"), "--calls", "-"]
    source = ["--genome", str(genome), "--bed", str(tmp_path / "r.bed")]
    rest = ["--stride", "5", "--parts", str(tmp_path / "parts"), *CPU]
    assert main(["scan", str(planted_model), *source, *outputs, *rest]) == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert lines[0][0] == "#contig"
    assert any(int(line[1]) < 240 and int(line[2]) > 200 for line in lines[1:])
    assert (tmp_path / "s.bw").stat().st_size > 0
    assert not (tmp_path / "parts").exists()


def test_a_scan_and_effects_are_drawn(planted_model, tmp_path):
    codes = random_codes(np.random.default_rng(42), 500)
    genome = write_fasta(tmp_path / "g.fa", {"c": codes})
    ref = "ACGT"[codes[249]]
    vcf = "##fileformat=VCFv4.2\n##contig=<ID=c,length=500>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\t"
    vcf += f"FILTER\tINFO\nc\t250\t.\t{ref}\t{'A' if ref != 'A' else 'C'}\t.\t.\t.\n"
    (tmp_path / "v.vcf").write_text(vcf)
    scan = ["scan", str(planted_model), "--genome", str(genome), "--bigwig", str(tmp_path / "s.bw")]
    scan += ["--calls", str(tmp_path / "c.bed"), "--plot", str(tmp_path / "s.svg"), *CPU]
    assert main(scan) == 0
    effects = ["variants", str(planted_model), "--genome", str(genome), "--null", "none"]
    effects += ["--vcf", str(tmp_path / "v.vcf"), "--tsv", str(tmp_path / "e.tsv"), *CPU]
    assert main([*effects, "--plot", str(tmp_path / "e.svg")]) == 0
    for name in ("s.svg", "e.svg"):
        assert "<svg" in (tmp_path / name).read_text()


def test_attributions_lead_to_motifs(planted_model, tmp_path):
    rows = bound_sequences(np.random.default_rng(44), 60)
    fasta = write_fasta(tmp_path / "in.fa", {f"s{i}": row for i, row in enumerate(rows)})
    model, npz = str(planted_model), str(tmp_path / "a.npz")
    made = ["attribute", model, "--fasta", str(fasta), "-o", npz, "--most", "50", *CPU]
    assert main([*made, "--logos", str(tmp_path / "a.svg")]) == 0
    assert (tmp_path / "a.svg").is_file()
    found = ["motifs", model, "--attributions", npz, "--finder", "seeds", *CPU]
    assert main([*found, "-o", str(tmp_path / "m")]) == 0
    assert (tmp_path / "m" / "index.html").is_file()
    both = [*found, "--fasta", str(fasta), "-o", str(tmp_path / "n")]
    assert main(both) == 1


def test_a_model_is_told_in_words_and_listed(planted_model, capsys):
    assert main(["info", str(planted_model)]) == 0
    shown = capsys.readouterr().out
    assert f"windows          {WIDTH} bases" in shown
    assert "motif detectors  8, of 7 tokens" in shown
    assert "calibration      temperature" in shown
    assert "threshold        max_mcc 0." in shown
    assert main(["info", str(planted_model), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["format"] == "dflm-classifier"
    assert main(["models", str(planted_model.parent)]) == 0
    rows = table(capsys.readouterr().out)
    assert [row["model"] for row in rows] == ["PLANTED"]
    assert rows[0]["state"] == "whole"
