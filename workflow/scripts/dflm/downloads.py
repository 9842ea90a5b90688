"""Fetching a file from an address or a path: resumed, retried, checked, whole or not at all."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import logging
import os
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from dflm.addresses import without_login
from dflm.errors import InputError
from dflm.files import BROKEN_GZIP, is_gzip

log = logging.getLogger(__name__)

MAX_BYTES = 128 * 2**30
"""Bytes of a download where nothing else is said: more than any genome that is known has."""
_BLOCK = 2**20
_PROGRESS = 2**20  # a connection that brought this much was worth having
_DIGITS = {"sha256": 64, "md5": 32}
_RETRIED = {408, 425, 429}


@dataclass(frozen=True)
class _Limits:
    """How long and how much to try."""

    max_bytes: int
    retries: int
    timeout: float
    backoff: float


class _TryAgain(Exception):
    """A failure that may pass: a server's error, a timeout, a body cut short."""


def fetch(
    source: str | os.PathLike,
    target: str | os.PathLike,
    checksum: str | None = None,
    *,
    max_bytes: int = MAX_BYTES,
    retries: int = 5,
    timeout: float = 60.0,
    backoff: float = 1.0,
) -> None:
    """Bring a file to `target`, which then is whole, or is not touched.

    What has come is kept as ``target.part`` also when this fails, and the next call goes on
    from there if the server says that its file is still the same.

    Parameters
    ----------
    source : str or path-like
        A path, or an address with http, https or file.
    target : path-like
        Where the file is to stand.
    checksum : str, optional
        ``sha256:`` or ``md5:`` and the hexadecimal digits.
    max_bytes : int
        Refuse anything larger.
    retries : int
        Failures in a row, without progress, after the first try.
    timeout : float
        Seconds to wait for a connection and for each piece of data.
    backoff : float
        Seconds before the first retry; doubled each time, to at most 60.

    Raises
    ------
    InputError
        Naming the source: it is not there, is not what the checksum says or, without one, is a
        damaged gzip file, is too large, is of a kind that is not fetched, or fails again and
        again.
    """
    target = Path(target)
    algorithm, expected = _parse_checksum(checksum)
    part = target.with_name(target.name + ".part")
    limits = _Limits(max_bytes, retries, timeout, backoff)
    address = os.fspath(source)
    path = _local_path(address)
    target.parent.mkdir(parents=True, exist_ok=True)
    if path is not None:
        _copy_local(path, part, max_bytes)
    else:
        _fetch_http(address, part, limits, resumable_by_checksum=algorithm is not None)
    if algorithm is not None:
        with open(part, "rb") as stream:
            got = hashlib.file_digest(stream, algorithm).hexdigest()
        if got != expected:
            _forget(part)
            raise InputError(
                f"{algorithm} is {got}, expected {expected}",
                without_login(address),
                "try again, or correct the checksum if the file was changed on purpose",
            )
    else:
        _check_gzip(part, address, max_bytes)
    os.replace(part, target)
    _validator_path(part).unlink(missing_ok=True)


def _check_gzip(part: Path, address: str, max_bytes: int) -> None:
    """Compare a gzip file with the checksum that it carries itself; others are not looked at."""
    if not is_gzip(part):
        return
    left = max_bytes
    try:
        with gzip.open(part) as stream:
            # What unpacks to more than may be fetched is left to its reader, which has limits.
            while left > 0 and (block := stream.read(_BLOCK)):
                left -= len(block)
    except BROKEN_GZIP as error:
        _forget(part)
        raise InputError(
            f"the gzip file breaks off or is damaged ({error})",
            without_login(address),
            "fetch it again",
        ) from None


def _parse_checksum(checksum: str | None) -> tuple[str | None, str]:
    if not checksum:
        return None, ""
    algorithm, _, digits = checksum.strip().lower().partition(":")
    if len(digits) != _DIGITS.get(algorithm, -1) or set(digits) - set("0123456789abcdef"):
        raise InputError(
            f"{checksum!r} is no checksum", mend="write sha256: or md5: and the digits"
        )
    return algorithm, digits


def _local_path(address: str) -> Path | None:
    """Return the path that an address names; None if it is one of http or https."""
    scheme, mark, rest = address.partition(":")
    if not mark or "/" in scheme or os.path.exists(address):
        return Path(address)
    if scheme.lower() in ("http", "https") and rest.startswith("//"):
        try:
            host = urlsplit(address).hostname
        except ValueError:
            host = None
        if not host:
            raise InputError("the address names no host", without_login(address))
        return None
    if scheme.lower() == "file":
        with contextlib.suppress(ValueError):
            pieces = urlsplit(address)
            if pieces.netloc in ("", "localhost"):
                return Path(unquote(pieces.path))
        raise InputError("a file address of another host", address, "write file:///path")
    if rest.startswith("//") or scheme.lower() in ("data", "ftp", "s3", "gs"):
        raise InputError(
            f"addresses with {scheme}: are not fetched",
            without_login(address),
            "give a path or an address with http, https or file",
        )
    return Path(address)


def _copy_local(path: Path, part: Path, max_bytes: int) -> None:
    if not os.path.isfile(path):
        raise InputError("there is no such file", path)
    if path.stat().st_size > max_bytes:
        raise _too_large(str(path), max_bytes)
    _validator_path(part).unlink(missing_ok=True)
    with open(path, "rb") as reader, open(part, "wb") as writer:
        shutil.copyfileobj(reader, writer, _BLOCK)


def _fetch_http(address: str, part: Path, limits: _Limits, *, resumable_by_checksum: bool) -> None:
    """Fetch the whole body of an address into `part`, over as many connections as it takes."""
    import requests  # here, so that copying a local file needs no such package
    from urllib3.exceptions import HTTPError as Urllib3Error

    passing = (
        _TryAgain,
        requests.ConnectionError,
        requests.Timeout,
        requests.exceptions.ChunkedEncodingError,
        Urllib3Error,
        ConnectionError,
        TimeoutError,
    )
    failures, most, version = 0, _size(part), _kept(part).get("validator")
    with requests.Session() as session:
        while True:
            try:
                _one_connection(session, address, part, limits, resumable_by_checksum)
                return
            except passing as error:
                reason = str(error) or type(error).__name__
            except requests.RequestException as error:
                raise InputError(f"cannot be fetched ({error})", without_login(address)) from None
            # Progress is to come further than ever with one version of the file: a server without
            # ranges begins anew each time.
            size, before, version = _size(part), version, _kept(part).get("validator")
            same = version == before
            failures = 1 if same and size - most >= _PROGRESS else failures + 1
            most = max(most, size) if same else size
            if failures > limits.retries:
                raise InputError(
                    f"failed {failures} times in a row, at last: {reason}",
                    without_login(address),
                    "run again later: what has come is kept and continued",
                )
            wait = min(60.0, limits.backoff * 2 ** (failures - 1))
            log.warning("%s: %s; trying again in %.1f s", without_login(address), reason, wait)
            time.sleep(wait)


def _one_connection(session, address, part, limits, resumable_by_checksum) -> None:
    """Ask for what is missing of the body, once; return when it is whole."""
    have = _size(part)
    validator = _read_validator(part, address)
    if have and validator is None and not (resumable_by_checksum and _began(part, address)):
        have = 0
    headers = {"Accept-Encoding": "identity", "User-Agent": "dflm"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if validator is not None:
            headers["If-Range"] = validator
    wait = (limits.timeout, limits.timeout)
    with session.get(address, headers=headers, stream=True, timeout=wait) as response:
        status = response.status_code
        if status == 416 and have:
            if response.headers.get("Content-Range", "") == f"bytes */{have}":
                return
            _forget(part)
            raise _TryAgain("the part kept does not fit the server's file")
        if status >= 500 or status in _RETRIED:
            raise _TryAgain(f"the server answers {status} {response.reason}")
        if status not in (200, 206):
            raise InputError(
                f"the server answers {status} {response.reason}",
                without_login(address),
                "check the address" if status in (404, 410) else None,
            )
        # Numbers of 18 digits at most: more is no length, and int() takes no more than 4300.
        if status == 206:
            told = response.headers.get("Content-Range", "")
            range_sent = re.fullmatch(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18}|\*)", told)
            if not have or not range_sent or int(range_sent[1]) != have:
                _forget(part)
                raise _TryAgain("the server sent another range than was asked for")
            now = _validator_of(response.headers)
            if now is not None and validator is not None and now != validator:
                _forget(part)  # and the server passed over If-Range
                raise _TryAgain("the file has changed on the server")
            whole = range_sent[2]  # a server may send less of it than was asked for
        else:
            have, whole = 0, "*"  # the server takes no ranges, or its file has changed
        length = response.headers.get("Content-Length", "")
        if whole != "*":
            total = int(whole)
        else:
            total = have + int(length) if re.fullmatch("[0-9]{1,18}", length) else None
        if status == 200:
            _forget(part)  # first, lest bytes of an earlier file stand beside this one's validator
            _write_validator(part, address, response.headers)
        if total is not None and total > limits.max_bytes:
            _forget(part)
            raise _too_large(address, limits.max_bytes)
        _write_body(response, address, part, have, limits.max_bytes)
    if total is not None and _size(part) != total:
        raise _TryAgain(f"the body ended after {_size(part)} of {total} bytes")


def _write_body(response, address: str, part: Path, have: int, max_bytes: int) -> None:
    with open(part, "r+b" if have else "wb") as sink:
        sink.seek(have)
        # Small pieces: what a torn connection loses of the piece it is in comes over again.
        for block in response.raw.stream(2**16, decode_content=False):
            have += len(block)
            if have > max_bytes:
                break
            sink.write(block)
        else:
            return
    _forget(part)
    raise _too_large(address, max_bytes)


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    _validator_path(part).unlink(missing_ok=True)


def _too_large(address: str, max_bytes: int) -> InputError:
    return InputError(f"larger than the {max_bytes} bytes allowed", without_login(address))


def _validator_path(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _write_validator(part: Path, address: str, headers) -> None:
    """Keep what tells the server's file from a later one."""
    kept = {"address": without_login(address), "validator": _validator_of(headers)}
    _validator_path(part).write_text(json.dumps(kept), encoding="utf-8")


def _validator_of(headers) -> str | None:
    """Return an ETag, or a date; weak ETags cannot tell (RFC 9110, 13.1.5)."""
    tag = headers.get("ETag", "")
    return tag if tag.startswith('"') else headers.get("Last-Modified")


def _kept(part: Path) -> dict:
    try:
        kept = json.loads(_validator_path(part).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}


def _began(part: Path, address: str) -> bool:
    return _kept(part).get("address") == without_login(address)


def _read_validator(part: Path, address: str) -> str | None:
    return _kept(part).get("validator") if _began(part, address) else None
