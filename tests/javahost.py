"""A host of DuckDB without Python: a Java program that runs the statements it is told (tests/java/Host.java)."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "java"
BUILD = ROOT / "build" / "java"
#: A JVM that starts fast and keeps no file of its own open or mapped for others to see.
JVM = ("-Xshare:auto", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-Xmx256m")
#: Its native library and caches, which would be unpacked anew in each process.
UNPACKED = BUILD / "tmp"


def unavailable() -> str | None:
    """Why there can be no Java host here."""
    missing = [name for name in ("java", "javac", "mvn") if not shutil.which(name)]
    return f"needs a JDK and Maven: {', '.join(missing)} not found (tools/system_packages.sh)" if missing else None


@cache
def classpath() -> str:
    """The host's class, compiled, and DuckDB's JDBC driver, of the version in examples/java/pom.xml.

    Raises:
        RuntimeError: the driver can't be had.
    """
    libraries = BUILD / "dependency"
    if not list(libraries.glob("duckdb_jdbc-*.jar")) or _older(libraries, EXAMPLE / "pom.xml"):
        shutil.rmtree(libraries, ignore_errors=True)
        copy = ("dependency:copy-dependencies", f"-DoutputDirectory={libraries}")
        for flags in (("-o",), ()):
            done = subprocess.run(
                ["mvn", "-q", "-B", *flags, "-f", str(EXAMPLE / "pom.xml"), *copy],
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )
            if done.returncode == 0:
                break
        else:
            raise RuntimeError(f"Maven can't get DuckDB's JDBC driver:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    (jar,) = libraries.glob("duckdb_jdbc-*.jar")
    source, classes = ROOT / "tests" / "java" / "Host.java", BUILD / "classes"
    if not (classes / "Host.class").exists() or _older(classes / "Host.class", source):
        subprocess.run(["javac", "-cp", str(jar), "-d", str(classes), str(source)], check=True)
    return f"{classes}{os.pathsep}{jar}"


def _older(made: Path, of: Path) -> bool:
    return made.stat().st_mtime < of.stat().st_mtime


class HostError(RuntimeError):
    """A statement failed: the message as Java has it."""


@dataclass(frozen=True)
class Counts:
    """What a process holds."""

    children: int
    descriptors: int
    shared_mappings: int

    @classmethod
    def of(cls, pid: int) -> Counts:
        maps = Path(f"/proc/{pid}/maps").read_text("utf-8").splitlines()
        shared = [line for line in maps if "/memfd:" in line or "/dev/shm/" in line]
        return cls(len(children(pid)), len(os.listdir(f"/proc/{pid}/fd")), len(shared))  # noqa: PTH208 - a count


def children(pid: int) -> list[int]:
    """The processes that a process started, and that are there still."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text("utf-8", "replace").rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        if int(fields[1]) == pid:
            found.append(int(stat.parent.name))
    return sorted(found)


def gone(pid: int, seconds: float = 10) -> bool:
    """Whether a process ends, within a time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


class JavaHost:
    """A JVM with a database. A context manager: leaving it ends the JVM.

    Args:
        folder: where its stderr is kept, and its working directory.
        database: behind ``jdbc:duckdb:``, as ``;allow_unsigned_extensions=true``.
        env: what is set in its environment besides; None as a value: not set.
    """

    def __init__(
        self,
        folder: Path,
        database: str = ";allow_unsigned_extensions=true",
        env: dict[str, str | None] | None = None,
    ) -> None:
        UNPACKED.mkdir(parents=True, exist_ok=True)
        self._log = folder / "java-stderr"
        changed = {**os.environ, **(env or {})}
        with self._log.open("wb") as stderr:
            self._process = subprocess.Popen(
                ["java", *JVM, f"-Djava.io.tmpdir={UNPACKED}", "-cp", classpath(), "Host", database],
                cwd=folder,
                env={k: v for k, v in changed.items() if v is not None},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def execute(self, sql: str) -> list[list[Any]]:
        """The rows of a statement.

        Raises:
            HostError: it failed.
            EOFError: the JVM is gone.
        """
        return self._ask(" ".join(sql.splitlines()))

    def begin(self, sql: str) -> None:
        """Runs a statement in a second thread, on a connection of its own to the same database."""
        self._ask("!begin " + " ".join(sql.splitlines()))

    def end(self) -> list[list[Any]]:
        """Waits for the first of what was begun. Raises as execute."""
        return self._ask("!end")

    def cancel(self) -> None:
        """Cancels the last of what was begun; its end is an error."""
        self._ask("!cancel")

    def counts(self) -> Counts:
        return Counts.of(self.pid)

    def settled(self, before: Counts, seconds: float = 10) -> Counts:
        """The counts, once they are not above what they were before, or the time is over."""
        end = time.monotonic() + seconds
        while True:
            now = self.counts()
            above = (
                now.children > before.children
                or now.descriptors > before.descriptors
                or now.shared_mappings > before.shared_mappings
            )
            if not above or time.monotonic() > end:
                return now
            time.sleep(0.05)

    def children(self) -> list[int]:
        return children(self.pid)

    def mapped_files(self) -> set[str]:
        """The names of all files that are mapped into it."""
        lines = Path(f"/proc/{self.pid}/maps").read_text("utf-8").splitlines()
        return {fields[5] for line in lines if len(fields := line.split(None, 5)) == 6}

    def stderr(self) -> str:
        """What it and its workers have printed there."""
        return self._log.read_text("utf-8", "replace")

    def kill(self, sign: signal.Signals = signal.SIGKILL) -> None:
        """Ends it; what has it started ends by itself."""
        self._process.send_signal(sign)
        self._process.wait(30)

    def close(self) -> int:
        """Ends it in order. Returns its exit status."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            return self._process.wait(30)
        finally:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()

    def __enter__(self) -> JavaHost:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, line: str) -> list[list[Any]]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass
        answer = self._process.stdout.readline()
        if not answer:
            raise EOFError(f"the JVM is gone: {self._process.wait(30)}\n{self.stderr()[-4000:]}")
        told = json.loads(answer)
        if "error" in told:
            raise HostError(told["error"])
        rows: list[list[Any]] = told["rows"]
        return rows
