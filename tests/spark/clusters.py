"""Each way to deploy an engine, started from its wheel: what a session connects to, and what to stop."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

START_S = 120


@dataclass(frozen=True)
class Session:
    """What the suite's process needs.

    Attributes:
        settings: of ``SparkSession.builder``.
        master, remote: one of them: a URL.
        env: for the process, and all that it starts.
    """

    master: str = ""
    remote: str = ""
    settings: dict[str, str] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)


def environment(python: Path, tests: Path) -> dict[str, str]:
    """As in an activated environment that can import the tests' sources."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV", "SPARK", "PYSPARK"))}
    paths = [tests, tests / "conformance"]
    return {
        **env,
        "PATH": f"{python.parent}{os.pathsep}{env['PATH']}",
        "PYSPARK_PYTHON": str(python),
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "PYTHONDONTWRITEBYTECODE": "1",
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_NO_DAEMONIZE": "1",
    }


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def wait_for_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        assert process.poll() is None, log.read_text(errors="replace")[-4000:]
        time.sleep(0.1)
    raise AssertionError(f"nothing listens on port {port}: {log.read_text(errors='replace')[-4000:]}")


@contextlib.contextmanager
def started(log: Path, env: dict[str, str], *command: str | Path) -> Iterator[subprocess.Popen[bytes]]:
    """A server in a process group of its own, ended with all that it started."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=env,
            cwd=log.parent,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def spark_class(python: Path) -> Path:
    (found,) = python.parents[1].glob("lib/python3*/site-packages/pyspark/bin/spark-class")
    return found


def spark_home(python: Path) -> str:
    return str(spark_class(python).parents[1])


#: No browser pages, small shuffles, a heap that fits beside the rest.
SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.sql.shuffle.partitions": "2",
    "spark.driver.memory": "1g",
    "spark.executor.memory": "1g",
    "spark.sql.session.timeZone": "UTC",
}


@contextlib.contextmanager
def local(python: Path, folder: Path, tests: Path) -> Iterator[Session]:
    """Spark in the process of the session, two threads."""
    yield Session("local[2,3]", settings=SETTINGS, env=environment(python, tests))


@contextlib.contextmanager
def local_pushing(python: Path, folder: Path, tests: Path) -> Iterator[Session]:
    """The same, with predicates pushed."""
    settings = {**SETTINGS, "spark.sql.python.filterPushdown.enabled": "true"}
    yield Session("local[2,3]", settings=settings, env=environment(python, tests))


@contextlib.contextmanager
def standalone(python: Path, folder: Path, tests: Path) -> Iterator[Session]:
    """A master and two workers, one executor of one core on each."""
    env = {**environment(python, tests), "SPARK_HOME": spark_home(python)}
    port = free_port()
    master = ("org.apache.spark.deploy.master.Master", "--host", "127.0.0.1", "--port", str(port), "--webui-port", "0")
    worker = ("org.apache.spark.deploy.worker.Worker", "--cores", "1", "--memory", "1g", "--webui-port", "0")
    with contextlib.ExitStack() as stack:
        log = folder / "master.log"
        process = stack.enter_context(started(log, env, spark_class(python), *master))
        wait_for_port(port, process, log)
        for i in range(2):
            more = ("--work-dir", folder / f"work{i}", f"spark://127.0.0.1:{port}")
            stack.enter_context(started(folder / f"worker{i}.log", env, spark_class(python), *worker, *more))
        settings = {**SETTINGS, "spark.executor.cores": "1", "spark.driver.host": "127.0.0.1"}
        yield Session(f"spark://127.0.0.1:{port}", settings=settings, env=env)


@contextlib.contextmanager
def connect(python: Path, folder: Path, tests: Path) -> Iterator[Session]:
    """A Spark Connect server."""
    env = {**environment(python, tests), "SPARK_HOME": spark_home(python)}
    port, log = free_port(), folder / "connect.log"
    settings = {**SETTINGS, "spark.connect.grpc.binding.port": str(port), "spark.master": "local[2,3]"}
    options = [part for name, value in settings.items() for part in ("--conf", f"{name}={value}")]
    command = (
        *(spark_class(python), "org.apache.spark.deploy.SparkSubmit", "--class"),
        *("org.apache.spark.sql.connect.service.SparkConnectServer", *options, "spark-internal"),
    )
    with started(log, env, *command) as process:
        wait_for_port(port, process, log)
        yield Session(remote=f"sc://127.0.0.1:{port}", env=env)


def sail(mode: str) -> Callable[[Path, Path, Path], contextlib.AbstractContextManager[Session]]:
    """A Sail server in ``mode``."""

    @contextlib.contextmanager
    def server(python: Path, folder: Path, tests: Path) -> Iterator[Session]:
        env = {**environment(python, tests), "SAIL_MODE": mode, "RUST_LOG": "warn"}
        port, log = free_port(), folder / f"sail-{mode}.log"
        command = (python, "-m", "pysail", "spark", "server", "--ip", "127.0.0.1", "--port", str(port))
        with started(log, env, *command) as process:
            wait_for_port(port, process, log)
            yield Session(remote=f"sc://127.0.0.1:{port}", env=env)

    return server


#: Name -> environment, and how it is deployed.
CLUSTERS = {
    "spark-4.3-local": ("spark-4.3", local),
    "spark-4.3-pushing": ("spark-4.3", local_pushing),
    "spark-4.3-standalone": ("spark-4.3", standalone),
    "spark-4.3-connect": ("spark-4.3", connect),
    "spark-4.2-local": ("spark-4.2", local),
    "sail": ("sail", sail("local")),
    "sail-local-cluster": ("sail", sail("local-cluster")),
}


def java_version() -> int:
    """The machine's; 0: it has none."""
    try:
        said = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False).stderr
    except OSError:
        return 0
    found = re.search(r'version "(\d+)', said)
    return int(found[1]) if found else 0
