"""What the tests of the life cycle share."""

from __future__ import annotations

import pytest

from life.sources import Life


@pytest.fixture(autouse=True)
def _life():
    Life.reset()
    yield
    Life.go.set()
