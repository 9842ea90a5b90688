"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data (DFLM_REAL_DATA, by default beside the repository)."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("DFLM_REAL_DATA", default))
    if not (folder / "chipseq").is_dir():
        pytest.skip(f"no real data: {folder} holds no chipseq folder; set DFLM_REAL_DATA")
    return folder
