"""How much is tried, and where."""

from __future__ import annotations

import os
import random
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import hypothesis
import pytest

import bascule
from differential.running import Bench

#: 1,000 queries, always the same; or, with BASCULE_SOAK=1, 20,000 that are new each time.
LONG = os.environ.get("BASCULE_SOAK") == "1"
SEED = os.environ.get("BASCULE_SEED") or (str(random.randrange(2**32)) if LONG else "0")


def examples(name: str, few: int, shrink: bool = True) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """As ``hypothesis.settings``: ``few`` examples, or twenty times as many; other ones for each ``name``."""
    phases = [hypothesis.Phase.generate, *([hypothesis.Phase.shrink] if shrink else [])]

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        settings = hypothesis.settings(
            max_examples=few * (20 if LONG else 1),
            database=None,
            deadline=None,
            suppress_health_check=list(hypothesis.HealthCheck),
            print_blob=False,
            phases=phases,
        )
        return hypothesis.seed(zlib.crc32(f"{SEED} {name}".encode()))(settings(function))

    return decorate


def pytest_report_header() -> str | None:
    return f"differential: BASCULE_SOAK=1 BASCULE_SEED={SEED}" if LONG else None


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    connection = bascule.connect(config={"threads": 2})
    yield Bench(connection, tmp_path_factory.mktemp("tables"))
    connection.close()
