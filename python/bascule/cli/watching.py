"""Work on a thread of its own, while the main thread is there for Ctrl-C, the progress bar and who reads stdout."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import TypeVar

import duckdb

from bascule.cli import QUERY_THREAD

__all__ = ["into_descriptor", "watched"]

_T = TypeVar("_T")

_BAR_AFTER_S = 0.5
_POLL_S = 0.1
_GRACE_S = 1.0
_CHUNK_BYTES = 1 << 20


def watched(connection: duckdb.DuckDBPyConnection, work: Callable[[], _T]) -> _T:
    """What ``work``, which uses the connection, returns or raises.

    Raises:
        KeyboardInterrupt: after Ctrl-C; the work is interrupted and given a second to end.
    """
    outcome: list[_T] = []
    failure: list[BaseException] = []
    done = threading.Event()

    def run() -> None:
        try:
            outcome.append(work())
        except BaseException as e:
            failure.append(e)
        finally:
            done.set()

    if sys.stderr.isatty():
        _count_progress(connection)
    thread = threading.Thread(target=run, name=QUERY_THREAD, daemon=True)
    thread.start()
    try:
        if not sys.stderr.isatty():
            done.wait()
        elif not done.wait(_BAR_AFTER_S):
            _draw_progress(connection, done)
    except KeyboardInterrupt:
        connection.interrupt()
        thread.join(_GRACE_S)
        raise
    thread.join()
    if failure:
        raise failure[0]
    return outcome[0]


def into_descriptor(connection: duckdb.DuckDBPyConnection, descriptor: int, work: Callable[[str], object]) -> None:
    """Sends what ``work`` writes to the path that it is given into an open file, wherever that stands.

    Opened by its own path, as /dev/stdout, a file would be cut to nothing first.

    Raises:
        BrokenPipeError: nobody reads it any more.
    """
    read_end, write_end = os.pipe()
    failure: list[OSError] = []

    def pump() -> None:
        try:
            while data := memoryview(os.read(read_end, _CHUNK_BYTES)):
                while data:
                    data = data[os.write(descriptor, data) :]
        except OSError as e:
            failure.append(e)
            connection.interrupt()
        finally:
            os.close(read_end)

    pumping = threading.Thread(target=pump, name=QUERY_THREAD, daemon=True)
    pumping.start()
    error: Exception | None = None
    try:
        watched(connection, lambda: work(f"/dev/fd/{write_end}"))
    except Exception as e:
        error = e
    finally:
        os.close(write_end)
    pumping.join()
    if failure:
        raise failure[0]
    if error is not None:
        raise error


def _count_progress(connection: duckdb.DuckDBPyConnection) -> None:
    """DuckDB's own bar goes to stdout: it counts, but draws nothing."""
    for setting in ("enable_progress_bar_print = false", "enable_progress_bar = true", "progress_bar_time = 0"):
        connection.execute(f"SET {setting}")


def _draw_progress(connection: duckdb.DuckDBPyConnection, done: threading.Event) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TimeElapsedColumn

    columns = BarColumn(), TaskProgressColumn(), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=None)
        while not done.wait(_POLL_S):
            percent = connection.query_progress()  # negative: not known yet
            progress.update(task, completed=max(percent, 0), total=100 if percent > 0 else None)
