"""What two runs have in common: their files without the times that some of them tell."""

import csv
import hashlib
import io
import json
import re
import zipfile
from pathlib import Path, PurePath

TIMED = ("metrics.json", "auc.tsv", "methods.tsv", "auc.html")
SUMS = ("provenance.json", "SHA256SUMS", "release.zip")
"""Files of results that tell how long jobs ran, and what holds such files or their checksums."""
MARK = ".snakemake_timestamp"  # Snakemake's, in a folder that is an output; holds nothing


def is_timed(path: PurePath) -> bool:
    """Say whether a file of results differs from run to run."""
    return path.name in (*TIMED, *SUMS) or path.parent.name == "seconds"


def digests(folder: Path, *tops: str) -> dict[str, str]:
    """Return the SHA-256 of each file below folders of a run, without the times in it.

    `logs/` and `benchmarks/` are times all through. Files with a dot in front count too: what is
    left of a write that was killed is a difference.
    """
    return {
        str(path.relative_to(folder)): hashlib.sha256(timeless(path, path.read_bytes())).hexdigest()
        for top in tops
        for path in sorted((folder / top).rglob("*"))
        if path.is_file() and path.name != MARK
    }


def timeless(path: PurePath, content: bytes) -> bytes:
    """Return the content of a file without times: how long jobs ran."""
    if path.parent.name == "seconds":
        return b""
    if path.name == "metrics.json":
        told = json.loads(content)
        told.pop("seconds", None)
        return json.dumps(told, sort_keys=True).encode()
    if path.name in ("auc.tsv", "methods.tsv"):
        rows = list(csv.DictReader(io.StringIO(content.decode()), delimiter="\t"))
        return json.dumps([row | {"runtime_seconds": ""} for row in rows]).encode()
    if path.name == "auc.html":  # the last cell of a row
        return re.sub(rb'<td class="n" data-value="[^"]*">[^<]*</td></tr>', b"</tr>", content)
    if path.name == "provenance.json":
        told = json.loads(content) | {"command": None}
        for name, file in told["files"].items():
            if is_timed(PurePath(name)):
                file |= {"sha256": None, "bytes": None}
        return json.dumps(told).encode()
    if path.name == "SHA256SUMS":
        lines = content.decode().splitlines()
        return "\n".join(line for line in lines if not is_timed(PurePath(line))).encode()
    if path.name == "release.zip":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            parts = [
                (name, hashlib.sha256(timeless(PurePath(name), archive.read(name))).hexdigest())
                for name in archive.namelist()
            ]
        return json.dumps(parts).encode()
    return content
