from __future__ import annotations

from collections.abc import Iterator

import pytest

from kinesis_server import Kinesis


@pytest.fixture(scope="module")
def server() -> Iterator[Kinesis]:
    if reason := Kinesis.unavailable():
        pytest.skip(reason)
    with Kinesis.start() as started:
        yield started


@pytest.fixture
def kinesis(server) -> Iterator[Kinesis]:
    """A server that has no streams, and makes no failures."""
    server.reset()
    yield server
    server.reset()
