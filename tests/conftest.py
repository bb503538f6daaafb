"""What all tests share."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import duckdb


pytest_plugins = ["fixtures_java", "fixtures_servers", "fixtures_workers"]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Generator[None, Any, Any]:
    """With CI=true nothing may be missing: a skip is a failure, but an expected failure is none."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI") == "true":
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI must not be: {report.longrepr}"
    return report


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection of its own to a new in-memory database, two threads."""
    import bascule

    connection = bascule.connect(config={"threads": 2})
    yield connection
    connection.close()
