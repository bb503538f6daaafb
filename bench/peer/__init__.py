"""Beside vgi-python: its subprocess worker read by its own Python client, ours by a Python program.

vgi-python needs CPython 3.13 or later. It lives in an environment of its own, kept in the user's cache.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType

import pyarrow as pa

from bench.measure import Case, Figure, SkippedError, Spread, WrongAnswerError, alternate, ratios, say
from bench.processes import Puller
from bench.sources import wide_batch

VERSIONS = {"vgi-python": "0.47.0", "vgi-rpc": "0.52.2"}
HERE = Path(__file__).parent
#: Room for a dozen batches; it holds one at a time.
SHM_BYTES = 64 << 20


def _python() -> str:
    """A CPython 3.13: on the PATH, or where pyenv and uv keep theirs."""
    keepers = (
        Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions",
        Path("~/.local/share/uv/python").expanduser(),
    )
    kept = [str(path) for keeper in keepers for path in sorted(keeper.glob("*3.13.*/bin/python3.13"))]
    code = "import sys, ensurepip, venv; sys.exit(sys.version_info[:2] != (3, 13))"
    for python in [*filter(None, [shutil.which("python3.13")]), *kept]:
        # A version manager's stand-in for one fails.
        if subprocess.run([python, "-c", code], capture_output=True, check=False).returncode == 0:
            return python
    raise SkippedError("vgi-python needs CPython 3.13, and there is none on the PATH, with pyenv or with uv")


def _environment() -> Path:
    """The interpreter of an environment with vgi-python and our pyarrow, made where there is none."""
    wanted = [f"{name}=={version}" for name, version in VERSIONS.items()] + [f"pyarrow=={pa.__version__}"]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "bascule" / "bench-vgi"
    environment = cache / "-".join(wanted).replace("==", "-")
    python, complete = environment / "bin" / "python", environment / ".complete"
    if not complete.exists():
        say(f"  installing {', '.join(wanted)} into {environment}")
        shutil.rmtree(environment, ignore_errors=True)
        for command in (
            [_python(), "-m", "venv", str(environment)],
            [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted],
        ):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise SkippedError(f"{' '.join(command)} failed: {done.stderr.strip()[-500:]}")
        complete.touch()
    return python


class Peer:
    """vgi-python's client with its worker, running."""

    def __init__(self, python: Path, batch: Path, n_batches: int, shm_bytes: int) -> None:
        command = [str(python), str(HERE / "client.py"), str(batch), str(n_batches), str(shm_bytes)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.communicate(timeout=30)

    def pull(self) -> float:
        """Seconds for all batches, as its client measured and checked them."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise WrongAnswerError("vgi-python's client ended; why is above")
        return float(line)


def peer(quick: bool) -> Case:
    """The same batches through one worker, vgi-python's and ours."""
    python = _environment()
    n_batches, n = (50, 5) if quick else (200, 15)
    nine = wide_batch(65536)
    figures = []
    for name, batch in (("nine columns", nine), ("the eight of numbers", nine.select(nine.schema.names[:8]))):
        with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
            path = Path(folder) / "batch.arrow"
            with pa.ipc.new_file(path, batch.schema) as file:
                file.write_batch(batch)
            theirs = {
                way: stack.enter_context(Peer(python, path, n_batches, shm_bytes))
                for way, shm_bytes in (("pipe", 0), ("shared memory", SHM_BYTES))
            }
            ours = Puller("bench.process_sources:FromFile", batch, n_batches, {"path": path, "batches": n_batches})
            # Its first runs are slower: the worker starts, its memory grows.
            for side in theirs.values():
                side.pull()
            through, *others = alternate(n, ours.pull, *(side.pull for side in theirs.values()))
        rows = batch.num_rows * n_batches / 1e6
        rate = partial(_rate, rows)
        best = min(others, key=lambda seconds: Spread.of(seconds).median)
        for way, seconds in zip(theirs, others, strict=True):
            target = 4.0 if seconds is best else None
            title = f"{name}: times as fast as vgi-python by {way}"
            value = ratios(seconds, through)
            figures.append(Figure(title, "x", value, target, rate(through), rate(seconds), "M rows/s", at_least=True))
    setup = (
        f"{n_batches} batches of 65,536 rows, those of the first case and without their strings, by one worker to a Python "
        f"program that drops them, {n} rounds of the three. vgi-python {VERSIONS['vgi-python']} (vgi-rpc "
        f"{VERSIONS['vgi-rpc']}) on CPython 3.13: its own client and a subprocess worker that it keeps warm, one table "
        "function that emits the batch, through its pipe, and through the shared memory that its WorkerPool offers "
        f"(shm_size = {SHM_BYTES >> 20} MiB); the target is for the faster of the two"
    )
    return Case("Beside the closest peer", setup, figures, ("bascule", "vgi-python"))


def _rate(rows: float, seconds: list[float]) -> Spread:
    return Spread.of(rows / s for s in seconds)
