from __future__ import annotations

from collections.abc import Iterator

import pytest

from bigquery_server import BigQuery


@pytest.fixture(scope="module")
def server() -> Iterator[BigQuery]:
    with BigQuery.start() as started:
        yield started


@pytest.fixture
def bigquery(server) -> Iterator[BigQuery]:
    """A server that has no tables, and makes no failures."""
    server.reset()
    yield server
    server.reset()
