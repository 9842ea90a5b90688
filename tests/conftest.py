"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# No deadline: the first example compiles, and the machine may be busy. The same examples each
# run: a failure is to be seen again.
settings.register_profile("dflm", deadline=None, derandomize=True)
settings.load_profile("dflm")


def pytest_make_parametrize_id(config, val, argname):
    """Bytes are named by their length: two workers must collect the same names, and the content
    may hold the time (gzip)."""
    return f"{argname}-{len(val)}-bytes" if isinstance(val, bytes) else None


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data (DFLM_REAL_DATA, by default beside the repository)."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("DFLM_REAL_DATA", default))
    if not (folder / "chipseq").is_dir():
        pytest.skip(f"no real data: {folder} holds no chipseq folder; set DFLM_REAL_DATA")
    return folder
