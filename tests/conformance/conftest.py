"""What the cases share: each engine, made once."""

from __future__ import annotations

import functools

import pytest

from conformance.engines import ENGINES, Engine


@functools.cache
def engine_of(name: str) -> Engine:
    return ENGINES[name]()


@pytest.fixture(params=ENGINES)
def engine(request) -> Engine:
    return engine_of(request.param)


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    """The cases' module under the name that the cases give."""
    import sys

    import conformance.cases

    monkeypatch.setitem(sys.modules, "cases", conformance.cases)
