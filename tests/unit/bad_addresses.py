"""Addresses that are not fetched, and servers that lie."""

from __future__ import annotations

import contextlib
import os
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from bad_cases import Case
from dflm.downloads import fetch

LIMIT = 1000
_FAST = {"max_bytes": LIMIT, "retries": 1, "backoff": 0.001, "timeout": 5}
_NO_PROXY = {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}


def address(name: str, source: str, told: str, checksum: str | None = None) -> Case:
    """Return a case of an address or path, `{}` in it being the folder."""

    def build(folder: Path) -> None:
        (folder / "file").write_bytes(bytes(10))
        (folder / "large").write_bytes(bytes(LIMIT + 1))

    def read(folder: Path) -> None:
        fetch(source.replace("{}", str(folder)), folder / "out" / "file", checksum, **_FAST)

    return Case("address", name, build, read, told)


_ALLOWED = "are not fetched; give a path or an address with http, https or file"
_SUM = "is no checksum; write sha256: or md5: and the digits"
ADDRESSES = [
    address("ftp", "ftp://a.org/b", "ftp://a.org/b: addresses with ftp: " + _ALLOWED),
    address("FTP in capitals", "FTP://a.org/b", "addresses with FTP: " + _ALLOWED),
    address("s3", "s3://a/b", "addresses with s3: " + _ALLOWED),
    address("gopher", "gopher://a/b", "addresses with gopher: " + _ALLOWED),
    address("ssh", "ssh://me:secret@a/b", "ssh://a/b: addresses with ssh: " + _ALLOWED),
    address("data", "data:text/plain,x", "addresses with data: " + _ALLOWED),
    address("javascript", "javascript:alert(1)", "there is no such file"),
    address(
        "a file of another host", "file://other.org/etc/passwd", "of another host; write file:///"
    ),
    address("a file of no host", "file://[x/etc/passwd", "a file address of another host"),
    address("a file that is not there", "file://{}/none", "there is no such file"),
    address("a folder", "{}", "there is no such file"),
    address("a device", "/dev/zero", "there is no such file"),
    address("nothing", "", "there is no such file"),
    address("NUL in a path", "{}/fi\0le", r"fi\\x00le: there is no such file"),
    address("a path beyond all length", "{}/" + "x" * 9999, "there is no such file"),
    address("http without a host", "http:///x", "the address names no host"),
    address("https without a host", "https://", "the address names no host"),
    address("a broken host", "http://[bad/x", "the address names no host"),
    address("a port of text", "http://127.0.0.1:x/y", "cannot be fetched|names no host"),
    address(
        "no server", "http://127.0.0.1:9/x", "failed 2 times in a row, at last: .*run again later"
    ),
    address("a file that is too large", "{}/large", "larger than the 1000 bytes allowed"),
    address("an unknown checksum", "{}/file", _SUM, "sha1:" + "0" * 40),
    address("a checksum without its kind", "{}/file", _SUM, "0" * 64),
    address("a checksum that is cut short", "{}/file", _SUM, "sha256:00"),
    address("another checksum", "{}/file", "md5 is .*, expected 0+; try again", "md5:" + "0" * 32),
]


class _Handler(socketserver.StreamRequestHandler):
    """Sends the server's answer to each request, and hangs up."""

    def handle(self) -> None:
        while self.rfile.readline().strip():
            pass
        with contextlib.suppress(ConnectionError):
            self.wfile.write(self.server.answer)


@contextlib.contextmanager
def _serving(answer: bytes) -> Iterator[str]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Handler) as server:
        server.daemon_threads = True
        server.answer = answer
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/file"
        finally:
            server.shutdown()


def answered(name: str, answer: bytes, told: str) -> Case:
    """Return a case of a server that answers each request alike."""

    def read(folder: Path) -> None:
        target = folder / "out" / "file"
        with mock.patch.dict(os.environ, _NO_PROXY), _serving(answer) as source:
            try:
                fetch(source, target, **_FAST)
            finally:
                assert not target.exists()

    return Case(
        "server", name, lambda folder: None, read, r"http://127\.0\.0\.1:\d+/file: .*" + told
    )


def _moved(to: bytes) -> bytes:
    return (
        b"HTTP/1.1 302 Found\r\nConnection: close\r\nContent-Length: 0\r\nLocation: "
        + to
        + b"\r\n\r\n"
    )


def _whole(length: bytes, body: bytes = b"x" * 9) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: " + length + b"\r\n\r\n" + body


_LARGE = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + bytes(5000)
_CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
SERVERS = [
    answered("redirect to ftp", _moved(b"ftp://a.org/x"), "cannot be fetched"),
    answered("redirect to a file", _moved(b"file:///etc/passwd"), "cannot be fetched"),
    answered("redirect to data", _moved(b"data:text/plain,x"), "cannot be fetched"),
    answered("redirect to javascript", _moved(b"javascript:alert(1)"), "cannot be fetched"),
    answered("redirect without end", _moved(b"/file"), "cannot be fetched .*redirects"),
    answered("redirect to no host", _moved(b"http://"), "cannot be fetched"),
    answered(
        "404", b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "404 Not Found; check the"
    ),
    answered(
        "401", b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", "the server answers 401"
    ),
    answered("a status of nothing", b"HTTP/1.1 204 No Content\r\n\r\n", "the server answers 204"),
    answered("no HTTP", b"SSH-2.0-x\r\n", "failed 2 times in a row, at last: .*run again later"),
    answered("an answer of nothing", b"", "failed 2 times in a row, at last: .*run again later"),
    answered("a length below the body's bound", _whole(b"2000", b""), "larger than the 1000 bytes"),
    answered("a body beyond the bound, no length", _LARGE, "larger than the 1000 bytes allowed"),
    answered(
        "a length that is not kept",
        _whole(b"500"),
        "failed 2 times.*what has come is kept and continued",
    ),
    answered(
        "a length of many digits", _whole(b"9" * 5000, bytes(5000)), "larger than|failed 2 times"
    ),
    answered(
        "a length of no digit", _whole(b"\xb2", bytes(5000)), "larger than the 1000 bytes|failed"
    ),
    answered(
        "a part that was not asked for",
        _whole(b"9").replace(b"200 OK", b"206 Part"),
        "failed 2 times in a row, at last: the server sent another range",
    ),
    answered("broken chunks", _CHUNKS + b"zz\r\nx\r\n", "failed 2 times in a row, at last"),
    answered(
        "chunks beyond the bound",
        _CHUNKS + b"2000\r\n" + bytes(0x2000) + b"\r\n0\r\n\r\n",
        "larger than the 1000 bytes allowed",
    ),
]

CASES = [*ADDRESSES, *SERVERS]
