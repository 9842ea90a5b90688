"""Downloads against a local server: resumed, retried, checked, whole or not at all."""

import gzip
import hashlib
import http.server
import random
import threading
from types import SimpleNamespace

import pytest
from dflm.downloads import fetch
from dflm.errors import InputError

BODY = bytes(range(256)) * 2000
SHA = "sha256:" + hashlib.sha256(BODY).hexdigest()
MD5 = "md5:" + hashlib.md5(BODY).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves `server.plan.body`; `server.plan.faults` are used up one a request."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        plan = self.server.plan
        plan.asked.append(dict(self.headers))
        fault = plan.faults.pop(0) if plan.faults else None
        if self.path == "/moved":
            return self.short(302, Location="/file")
        if self.path != "/file":
            return self.short(404)
        if isinstance(fault, int):
            return self.short(fault)
        body, start, status = plan.body, 0, 200
        wanted = self.headers.get("Range")
        same = self.headers.get("If-Range") in (None, plan.tag) or not plan.heeds_if_range
        if wanted and plan.ranges and same:
            start, status = int(wanted.removeprefix("bytes=").rstrip("-")), 206
            if start >= len(body):
                return self.short(416, **{"Content-Range": f"bytes */{len(body)}"})
        self.send_response(status)
        if plan.tag:
            self.send_header(
                "ETag" if plan.tag.startswith(('"', "W/")) else "Last-Modified", plan.tag
            )
        last = len(body) - 1
        if status == 206:
            start += 7 if fault == "shifted" else 0
            last = min(last, start + 999) if fault == "less" else last
            whole = "*" if fault == "unknown whole" else len(body)
            self.send_header("Content-Range", f"bytes {start}-{last}/{whole}")
        if fault == "no length":
            self.send_header("Connection", "close")
        else:
            self.send_header("Content-Length", str(last + 1 - start))
        self.end_headers()
        rest = body[start : last + 1]
        if fault in ("torn", "torn early", "stalled"):
            self.wfile.write(rest[: len(rest) // (8 if fault == "torn early" else 2)])
            self.wfile.flush()
            if fault == "stalled":
                plan.released.wait(20)
            self.close_connection = True
        else:
            self.wfile.write(rest)
            self.close_connection = fault == "no length"
        return None

    def short(self, status, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    """A proxy that the user's machine may need cannot reach the servers of these tests."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def web():
    """A server and what it is to do: `address`, `faults`, `body`, `tag`, `ranges`, `asked`."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    plan = SimpleNamespace(body=BODY, faults=[], asked=[], tag='"one"', ranges=True)
    plan.heeds_if_range = True
    plan.released = threading.Event()
    plan.address = f"http://127.0.0.1:{server.server_port}/file"
    server.plan = plan
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield plan
    plan.released.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def target(tmp_path):
    return tmp_path / "new" / "file.gz"


def get(web, target, checksum=None, **more):
    """Fetch with short waits."""
    fetch(web.address, target, checksum, **{"backoff": 0.001, "timeout": 5, **more})


def left(target) -> list[str]:
    """What stands in the target's folder."""
    return sorted(path.name for path in target.parent.iterdir())


@pytest.mark.parametrize("checksum", [None, SHA, MD5, SHA.upper(), ""])
def test_a_whole_file(web, target, checksum):
    get(web, target, checksum)
    assert target.read_bytes() == BODY
    assert left(target) == ["file.gz"]


def test_a_torn_body_is_resumed_where_it_broke(web, target):
    web.faults = ["torn", "torn"]
    get(web, target, SHA)
    assert target.read_bytes() == BODY
    starts = [int(asked.get("Range", "bytes=0-")[6:-1]) for asked in web.asked]
    assert starts[0] == 0 < starts[1] < starts[2]
    assert web.asked[1]["If-Range"] == '"one"'


def test_a_later_call_goes_on_from_the_part(web, target):
    web.faults = ["torn"]
    with pytest.raises(InputError, match="what has come is kept"):
        get(web, target, retries=0)
    assert left(target) == ["file.gz.part", "file.gz.part.json"]
    have = (target.parent / "file.gz.part").stat().st_size
    assert 0 < have < len(BODY)
    get(web, target)
    assert target.read_bytes() == BODY
    assert web.asked[1]["Range"] == f"bytes={have}-"


@pytest.mark.parametrize("tag", ['"two"', "Wed, 21 Oct 2015 07:28:00 GMT", ""])
def test_a_file_that_changed_is_fetched_anew(web, target, tag):
    web.faults = ["torn"]
    with pytest.raises(InputError):
        get(web, target, retries=0)
    web.body, web.tag = BODY[::-1], tag
    get(web, target)
    assert target.read_bytes() == BODY[::-1]


def test_without_a_strong_validator_only_a_checksum_allows_to_resume(web, target):
    for checksum, resumed in ((None, False), (SHA, True)):
        web.tag, web.faults = 'W/"weak"', ["torn"]
        web.asked.clear()
        get(web, target, checksum)
        assert ("Range" in web.asked[1]) == resumed
        assert target.read_bytes() == BODY


def test_the_part_of_another_address_is_not_gone_on_with(web, target):
    web.faults = ["torn"]
    with pytest.raises(InputError):
        get(web, target, retries=0)
    web.body, old = BODY[::-1], web.address
    web.address = old.replace("/file", "/moved")
    get(web, target)
    assert target.read_bytes() == BODY[::-1]


def test_a_server_without_ranges_starts_over(web, target):
    web.ranges, web.faults = False, ["torn"]
    get(web, target, SHA)
    assert target.read_bytes() == BODY


def test_a_part_that_is_whole_already(web, target):
    web.faults = ["torn"]
    with pytest.raises(InputError):
        get(web, target, retries=0)
    (target.parent / "file.gz.part").write_bytes(BODY)
    get(web, target, SHA)
    assert target.read_bytes() == BODY


def test_a_part_that_is_too_long_is_dropped(web, target):
    web.faults = ["torn"]
    with pytest.raises(InputError):
        get(web, target, retries=0)
    (target.parent / "file.gz.part").write_bytes(BODY + b"more")
    get(web, target, SHA)
    assert target.read_bytes() == BODY


def test_another_range_than_asked_for_is_not_joined(web, target):
    web.faults = ["torn", "shifted"]
    get(web, target)
    assert target.read_bytes() == BODY


def test_a_range_of_a_file_of_unknown_length_is_joined(web, target):
    web.faults = ["torn", "unknown whole"]
    get(web, target)
    assert target.read_bytes() == BODY
    assert len(web.asked) == 2


def test_failures_count_only_while_nothing_comes(web, target, monkeypatch):
    monkeypatch.setattr("dflm.downloads._PROGRESS", 1000)
    web.faults = ["torn"] * 7
    get(web, target, retries=1)
    assert target.read_bytes() == BODY
    web.faults, target = [500] * 2, target.with_name("other")
    with pytest.raises(InputError):
        get(web, target, retries=1)


def test_to_begin_anew_is_no_progress(web, target, monkeypatch):
    monkeypatch.setattr("dflm.downloads._PROGRESS", 1000)
    web.ranges, web.faults = False, ["torn", "torn early"] * 10
    with pytest.raises(InputError, match="failed 5 times in a row"):
        get(web, target, retries=4)
    assert len(web.asked) == 5


def test_a_new_version_is_begun_with_all_tries(web, target, monkeypatch):
    monkeypatch.setattr("dflm.downloads._PROGRESS", 1000)
    web.faults = ["torn"] * 3
    with pytest.raises(InputError):
        get(web, target, retries=0)
    web.faults = ["torn"] * 3
    with pytest.raises(InputError):
        get(web, target, retries=0)
    web.body, web.tag, web.faults = BODY[::-1], '"two"', ["torn early", "torn", "torn"]
    get(web, target, retries=1)
    assert target.read_bytes() == BODY[::-1]


def test_bytes_of_an_earlier_file_never_stand_beside_the_validator_of_the_next(
    web, target, monkeypatch
):
    """As after a kill between the two."""
    web.faults = ["torn"]
    with pytest.raises(InputError):
        get(web, target, retries=0)
    web.body, web.tag = BODY[::-1], '"two"'

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("dflm.downloads._write_body", killed)
    with pytest.raises(KeyboardInterrupt):
        get(web, target)
    monkeypatch.undo()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    get(web, target)
    assert target.read_bytes() == BODY[::-1]


def test_less_than_was_asked_for_is_not_taken_for_the_end(web, target):
    web.faults = ["torn", "less", "less"]
    get(web, target)
    assert target.read_bytes() == BODY
    assert len(web.asked) == 4


def test_two_versions_are_not_joined_where_the_server_passes_over_if_range(web, target):
    web.heeds_if_range, web.faults = False, ["torn"]
    with pytest.raises(InputError):
        get(web, target, retries=0)
    web.body, web.tag = BODY[::-1], '"two"'
    get(web, target)
    assert target.read_bytes() == BODY[::-1]


def test_a_stalled_server_is_asked_again(web, target):
    web.faults = ["stalled"]
    get(web, target, SHA, timeout=0.5)
    assert target.read_bytes() == BODY
    assert len(web.asked) >= 2  # a busy machine may stall once more


@pytest.mark.parametrize("faults", [[500], [503, 502, 429], [408]])
def test_errors_that_pass_are_retried(web, target, faults):
    web.faults = list(faults)
    get(web, target, SHA)
    assert target.read_bytes() == BODY
    assert len(web.asked) == len(faults) + 1


def test_errors_that_stay_are_told(web, target):
    web.faults = [500] * 9
    with pytest.raises(InputError, match=r"/file: failed 3 times in a row, at last: .*500"):
        get(web, target, retries=2)
    assert len(web.asked) == 3


def test_a_missing_file_is_told_at_once(web, target):
    web.address = web.address.replace("/file", "/none")
    with pytest.raises(InputError, match=r"/none: the server answers 404.*check the address"):
        get(web, target)
    assert len(web.asked) == 1
    assert left(target) == []


def test_no_server(web, target):
    with pytest.raises(InputError, match=r"127\.0\.0\.1:9/x: failed 2 times"):
        fetch("http://127.0.0.1:9/x", target, retries=1, backoff=0.001, timeout=1)


def test_a_wrong_checksum_leaves_nothing(web, target):
    target.parent.mkdir()
    target.write_text("old")
    wrong = "sha256:" + "0" * 64
    with pytest.raises(InputError) as caught:
        get(web, target, wrong)
    assert SHA[7:] in str(caught.value)
    assert "expected " + "0" * 64 in str(caught.value)
    assert web.address in str(caught.value)
    assert left(target) == ["file.gz"]
    assert target.read_text() == "old"


def damaged(whole: bytes, how: str) -> bytes:
    if how == "cut short":
        return whole[: len(whole) // 2]
    turned = bytearray(whole)
    turned[{"a letter": len(whole) // 2, "its checksum": -6}[how]] ^= 1
    return bytes(turned)


@pytest.mark.parametrize("how", ["cut short", "a letter", "its checksum"])
def test_a_damaged_gzip_file_is_told_without_a_checksum_too(tmp_path, target, how):
    whole = gzip.compress(random.Random(1).randbytes(5000))
    source = tmp_path / "a.gz"
    source.write_bytes(whole)
    fetch(source, target)
    assert target.read_bytes() == whole
    source.write_bytes(damaged(whole, how))
    with pytest.raises(InputError, match="breaks off or is damaged") as caught:
        fetch(source, target)
    assert str(source) in str(caught.value)
    assert left(target) == ["file.gz"]
    assert target.read_bytes() == whole


def test_a_gzip_file_is_not_unpacked_without_end(tmp_path, target):
    bomb = damaged(gzip.compress(bytes(64 * 2**20)), "its checksum")
    (tmp_path / "a.gz").write_bytes(bomb)
    fetch(tmp_path / "a.gz", target, max_bytes=len(bomb))
    assert target.read_bytes() == bomb


def test_a_malformed_checksum_is_told_before_the_download(web, target):
    with pytest.raises(InputError, match="no checksum"):
        get(web, target, "md5:xyz")
    assert not web.asked


@pytest.mark.parametrize("fault", [None, "no length"])
def test_a_file_that_is_too_large_is_refused(web, target, fault):
    web.faults = [fault]
    with pytest.raises(InputError, match="larger than the 1000 bytes"):
        get(web, target, max_bytes=1000)
    assert left(target) == []


def test_a_body_without_length(web, target):
    web.faults = ["no length"]
    get(web, target, SHA)
    assert target.read_bytes() == BODY


def test_a_redirect_is_followed(web, target):
    fetch(web.address.replace("/file", "/moved"), target, SHA)
    assert target.read_bytes() == BODY


def test_local_files_are_copied(tmp_path, target):
    source = tmp_path / "a (1).b:c.gz"
    source.write_bytes(BODY)
    for address in (source, str(source), source.as_uri(), f"file://localhost{source.as_posix()}"):
        fetch(address, target, MD5)
        assert target.read_bytes() == BODY
        target.unlink()
    assert source.read_bytes() == BODY
    assert left(target) == []


def test_wrong_local_files(tmp_path, target):
    (tmp_path / "a").write_bytes(BODY)
    for address, says in (
        (tmp_path / "none", "no such file"),
        (tmp_path, "no such file"),
        (f"file://{tmp_path}/none", "no such file"),
        ("file://otherhost/a", "another host"),
        ("", "no such file"),
    ):
        with pytest.raises(InputError, match=says):
            fetch(address, target)
    with pytest.raises(InputError, match="expected"):
        fetch(tmp_path / "a", target, "md5:" + "0" * 32)
    with pytest.raises(InputError, match="larger than the 10 bytes"):
        fetch(tmp_path / "a", target, max_bytes=10)
    assert left(target) == []


def test_a_password_is_not_shown(target):
    with pytest.raises(InputError) as caught:
        fetch("http://me:secret@127.0.0.1:9/x", target, retries=0, timeout=1)
    assert "secret" not in str(caught.value)
