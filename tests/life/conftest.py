"""What the tests of the life cycle share."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import pytest

from life.sources import Life


@pytest.fixture(autouse=True, scope="module")
def _nothing_of_others():
    """Errors that tests elsewhere looked at may keep their sources open, in circles of a traceback and its frames."""
    gc.collect()


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
