"""A whole run repeated has the same bytes, but for what tells of times."""

import json

import pytest
from run_repeats import differences, run


def write(folder, metrics, table):
    for name, content in (("metrics.json", json.dumps(metrics)), ("auc.tsv", table)):
        path = folder / "results" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def test_times_may_differ_and_nothing_else(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    header = "dataset\tauroc\truntime_seconds\n"
    write(one, {"auroc": 0.9, "seconds": {"wall": 1}}, f"{header}A\t0.9\t12\n")
    write(other, {"auroc": 0.9, "seconds": {"wall": 2}}, f"{header}A\t0.9\t13\n")
    assert differences(one, other) == []
    write(other, {"auroc": 0.8, "seconds": {"wall": 2}}, f"{header}A\t0.8\t13\n")
    (other / "results" / "more.tsv").write_text("")
    assert differences(one, other) == [
        f"results/{name}" for name in ("auc.tsv", "metrics.json", "more.tsv")
    ]


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2])
def test_a_whole_run_repeated_has_the_same_bytes(tmp_path, threads):
    folders = [tmp_path / name for name in ("one", "other")]
    for folder in folders:
        run(folder, threads, "fp32", {}, ())
    assert differences(*folders) == []
