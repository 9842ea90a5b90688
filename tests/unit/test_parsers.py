"""Whatever a file holds, its parser returns a value or raises the product's error."""

import contextlib
import logging

import pytest
from dflm.downloads import fetch
from dflm.errors import InputError
from dflm.sequences.kmers import encode
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from parsers import FEW, MANY, PARSERS, try_often

_SETTINGS = settings(max_examples=FEW, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(autouse=True)
def quiet():
    """A warning for each example would fill the report."""
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.name)
def test_a_parser_raises_nothing_else(parser, tmp_path):
    try_often(parser, tmp_path / "in", FEW)


@pytest.mark.slow
@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.name)
def test_a_parser_raises_nothing_else_however_often(parser, tmp_path):
    try_often(parser, tmp_path / "in", MANY)


@settings(max_examples=FEW)
@given(st.text() | st.binary())
def test_letters_of_any_kind(letters):
    with contextlib.suppress(InputError):
        assert encode(letters).max(initial=0) <= 4


@_SETTINGS
@given(
    st.text(max_size=40)
    | st.builds("{}:{}".format, st.sampled_from(["file", "ftp", "data", "FILE"]), st.text())
    | st.builds("file://{}".format, st.text()),
    st.none() | st.text(max_size=9) | st.from_regex(r"(sha256|md5):[0-9a-f]{30,66}"),
)
def test_addresses_of_any_kind(tmp_path, address, checksum):
    with contextlib.suppress(InputError):
        fetch(address, tmp_path / "out", checksum, retries=0)
