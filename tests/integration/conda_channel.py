"""Build local conda channels from what is installed: environments can be made without a network.

    python conda_channel.py FOLDER SITE_PACKAGES MKCHANNEL ENV.yaml ..

makes FOLDER/conda-forge and FOLDER/bioconda with a package for each dependency of the environment
files, and for all that these need in turn. A package holds the files of the installed distribution;
`python` is the interpreter that runs this. `ls-gkm` is a C++ program that is not installed: its
package holds a note.

Runs in the environment of the conda front end, which has zstandard; imports nothing of DFLM.
"""

import hashlib
import importlib.util
import io
import json
import re
import sys
import tarfile
import zipfile
from importlib.metadata import distributions
from pathlib import Path

import yaml
import zstandard
from pip._vendor.packaging.requirements import Requirement

DISTRIBUTIONS = {"pytorch": "torch", "matplotlib-base": "matplotlib"}
PROGRAMS = {"ls-gkm": ("0.1.1", "bioconda", {"share/ls-gkm/README": b"a stand-in\n"})}
PACKAGES = "lib/python{}.{}/site-packages/".format(*sys.version_info)


def plain(name):
    return re.sub(r"[-_.]+", "-", name).lower()


CONDA_NAMES = {dist: name for name, dist in DISTRIBUTIONS.items()}


def conda_name(name):
    return CONDA_NAMES.get(plain(name), plain(name))


class Installed:
    """The distributions of an environment, by name."""

    def __init__(self, site_packages):
        found = distributions(path=[str(site_packages)])
        self.distributions = {plain(dist.metadata["Name"]): dist for dist in found}

    def needs(self, name):
        """Return the installed distributions that another asks for here."""
        found = []
        for text in self.distributions[name].requires or []:
            need = Requirement(text)
            applies = need.marker is None or need.marker.evaluate({"extra": ""})
            if applies and plain(need.name) in self.distributions:
                found.append(plain(need.name))
        return found

    def all_needs(self, names):
        todo, seen = list(names), set()
        while todo:
            name = todo.pop()
            if name not in seen:
                seen.add(name)
                todo += self.needs(name)
        return sorted(seen)

    def files(self, name):
        """Return where each file goes in an environment; commands are left out, as they name their
        Python."""
        dist, found = self.distributions[name], {}
        for file in dist.files or []:
            path = Path(dist.locate_file(file))
            if ".." in file.parts or "__pycache__" in file.parts or not path.is_file():
                continue
            found[PACKAGES + file.as_posix()] = path
        return found


def packed(members):
    """Return a compressed tar of names and what they hold, bytes or a file."""
    buffer = io.BytesIO()
    writer = zstandard.ZstdCompressor(level=1).stream_writer(buffer, closefd=False)
    with writer, tarfile.open(fileobj=writer, mode="w|") as archive:
        for name, held in members:
            if isinstance(held, Path):
                archive.add(held, name, recursive=False)
                continue
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(held), 0o644
            archive.addfile(entry, io.BytesIO(held))
    return buffer.getvalue()


def described(name, held):
    content = held.read_bytes() if isinstance(held, Path) else held
    link = isinstance(held, Path) and held.is_symlink()
    return {
        "_path": name,
        "path_type": "softlink" if link else "hardlink",
        "sha256": hashlib.sha256(content).hexdigest(),
        "size_in_bytes": len(content),
    }


def package(channel, name, version, files, needs):
    """Write a package in conda's format, and return its file name and record."""
    record = {
        **{"name": name, "version": version, "build": "0", "build_number": 0},
        **{"depends": needs, "subdir": "linux-64", "arch": "x86_64", "platform": "linux"},
    }
    paths = {"paths": [described(*item) for item in files.items()], "paths_version": 1}
    info = {
        "info/index.json": json.dumps(record).encode(),
        "info/paths.json": json.dumps(paths).encode(),
        "info/files": "\n".join(files).encode(),
    }
    stem = f"{name}-{version}-0"
    place = channel / "linux-64" / f"{stem}.conda"
    place.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(place, "w") as archive:
        archive.writestr("metadata.json", '{"conda_pkg_format_version": 2}')
        archive.writestr(f"pkg-{stem}.tar.zst", packed(files.items()))
        archive.writestr(f"info-{stem}.tar.zst", packed(info.items()))
    content = place.read_bytes()
    digests = {kind: hashlib.new(kind, content).hexdigest() for kind in ("md5", "sha256")}
    return place.name, record | digests | {"size": len(content)}


def index(channel, records):
    for subdir in ("linux-64", "noarch"):
        content = {
            "info": {"subdir": subdir},
            "packages": {},
            "packages.conda": records if subdir == "linux-64" else {},
            "repodata_version": 1,
        }
        (channel / subdir).mkdir(parents=True, exist_ok=True)
        (channel / subdir / "repodata.json").write_text(json.dumps(content))


def dependencies(environments):
    """Return the names that environment files ask for."""
    lines = [
        line for path in environments for line in yaml.safe_load(path.read_text())["dependencies"]
    ]
    # What an environment takes by pip is no part of a channel.
    return sorted({line.split()[0] for line in lines if isinstance(line, str)})


def main(folder, site_packages, mkchannel, *environments):
    spec = importlib.util.spec_from_file_location("mkchannel", mkchannel)
    tools = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tools)
    installed, folder = Installed(site_packages), Path(folder)
    names = set(dependencies(map(Path, environments))) - {"python", *PROGRAMS}
    version = ".".join(map(str, sys.version_info[:3]))
    # An interpreter brings a pip of its own, where conda's is a package beside it.
    bare = {path: file for path, file in tools.python_files().items() if "/pip" not in path}
    records = dict([package(folder / "conda-forge", "python", version, bare, [])])
    for name in installed.all_needs(DISTRIBUTIONS.get(name, name) for name in names):
        version = installed.distributions[name].version.partition("+")[0]
        needs = ["python", *map(conda_name, installed.needs(name))]
        built = package(
            folder / "conda-forge", conda_name(name), version, installed.files(name), needs
        )
        records.update([built])
    index(folder / "conda-forge", records)
    others = [
        package(folder / channel, name, version, files, [])
        for name, (version, channel, files) in PROGRAMS.items()
    ]
    index(folder / "bioconda", dict(others))
    print(*sorted([*records, *dict(others)]), sep="\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
