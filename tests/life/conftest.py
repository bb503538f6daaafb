"""What the tests of the life cycle share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from life.sources import Life


@pytest.fixture(autouse=True)
def _life():
    Life.reset()
    yield
    Life.go.set()


@pytest.fixture
def kernel() -> Iterator[Any]:
    """A notebook's kernel: its manager and a client, to run cells with ``life.notebook.run_cell``."""
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(kernel_name="python3", extra_arguments=["--HistoryManager.enabled=False"])
    try:
        yield manager, client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
