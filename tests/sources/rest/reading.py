"""Reads RestDataSource as its users do."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

import bascule

SOURCE = "bascule.sources.rest:RestDataSource"
EXECUTORS = ("inprocess", "process")
#: Waits that a test has the time for.
QUICK = {"backoff": 0.01, "timeout": 5}


def table(url: str, *, executor: str = "inprocess", **options: Any) -> bascule.Table:
    """The table of an API."""
    return bascule.table(SOURCE, {"url": url, **QUICK, **options}, executor=executor, workers=4)


def read(url: str, **options: Any) -> pa.Table:
    """All of it."""
    return table(url, **options).to_arrow()


def ids(found: pa.Table) -> list[int]:
    return found["id"].to_pylist()
