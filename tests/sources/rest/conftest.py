from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from sources.rest.api import Answer, Api


@pytest.fixture
def serve() -> Iterator[Callable[[Answer], Api]]:
    """Starts servers."""
    started: list[Api] = []

    def start(answer: Answer) -> Api:
        started.append(Api(answer))
        return started[-1]

    yield start
    for api in started:
        api.close()
