"""A class is found while anything else happens: garbage is collected, it changes, it has an odd metaclass."""

from __future__ import annotations

import gc
import sys
import threading
import time

import pyarrow as pa
import pytest

from bascule._native import Source


class Plain:
    def infer_schema(self, options):
        return pa.schema([("a", pa.int64())])

    def plan_partitions(self, options):
        return [{}]

    def read_partition(self, spec, options):
        yield pa.record_batch([[1]], names=["a"])


class Equals(type):
    """Its classes can't be keys of a dict."""

    def __eq__(cls, other):
        return cls is other

    __hash__ = None  # type: ignore[assignment]


class Odd(Plain, metaclass=Equals):
    pass


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    monkeypatch.setitem(sys.modules, "found_here", sys.modules[__name__])


def test_a_collection_of_garbage_may_close_a_source_meanwhile():
    """With each threshold in turn, so that one falls between any two allocations."""

    def leave_garbage():
        cycle = [Source("found_here:Plain", {"x": "1"})]
        cycle.append(cycle)

    before = gc.get_threshold()
    try:
        for threshold in range(1, 300):
            gc.disable()
            leave_garbage()
            gc.set_threshold(threshold)
            gc.enable()
            Source("found_here:Plain", {"y": "2"})
    finally:
        gc.set_threshold(*before)
        gc.enable()
        gc.collect()


def test_a_class_may_change_its_attributes_meanwhile():
    stop = threading.Event()

    def change():
        while not stop.is_set():
            for i in range(200):
                setattr(Plain, f"cache_{i}", i)
            for i in range(200):
                delattr(Plain, f"cache_{i}")

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread = threading.Thread(target=change)
    thread.start()
    try:
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            Source("found_here:Plain", {})
    finally:
        stop.set()
        thread.join()
        sys.setswitchinterval(interval)


def test_a_class_that_is_no_key_is_found():
    assert Source("found_here:Odd", {}).label == "found_here:Odd"
