"""A host without Python, for tests: DuckDB in a JVM, the extension loaded."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import javahost
from javahost import JavaHost


@pytest.fixture(scope="session")
def java() -> str:
    """The class path of the Java host, made once a test run; skips where it can't be had."""
    if reason := javahost.unavailable():
        pytest.skip(reason)
    try:
        return javahost.classpath()
    except RuntimeError as e:
        pytest.skip(str(e))


@pytest.fixture
def java_hosts(java: str, tmp_path: Path) -> Iterator[Callable[..., JavaHost]]:
    """Starts hosts, each with arguments of JavaHost, nothing loaded; they end with the test."""
    with contextlib.ExitStack() as stack:
        yield lambda *args, **kwargs: stack.enter_context(JavaHost(tmp_path, *args, **kwargs))


@pytest.fixture
def java_host(java_hosts: Callable[..., JavaHost]) -> JavaHost:
    """A host that has loaded the extension, its workers run by the interpreter of the tests. About 1 s."""
    from bascule import extension_path

    host = java_hosts()
    host.execute(f"LOAD '{extension_path()}'")
    host.execute(f"SET bascule_python = '{sys.executable}'")
    return host
