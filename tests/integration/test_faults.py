"""A few of the faults of `make faults`: trainings and mining killed, and their files damaged."""

import subprocess
import sys
from pathlib import Path

import pytest

RUNNER = Path(__file__).with_name("run_faults.py")
STAGES = (
    *("pretrain_lm", "train_classifier", "attribute", "find_motifs", "match_motifs"),
    *("write_motif_page", "summarise_motifs", "scan_genome", "score_variants", "pack_model"),
)


@pytest.mark.slow
def test_killed_and_damaged_stages_end_in_the_same_bytes_or_a_refusal(tmp_path):
    words = ["--directory", str(tmp_path / "faults"), "--storms", "kills", "checkpoints"]
    done = subprocess.run(
        [sys.executable, str(RUNNER), *words, "input_flipped", "--stages", *STAGES],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    *_, last = done.stdout.splitlines()
    tried, same, refused, broken = map(int, last.split("|")[2:6])
    assert last.startswith("| all |")
    # Ten stages killed, three checkpoints damaged in two ways, six inputs.
    assert tried > 15
    assert (same + refused, broken) == (tried, 0)
