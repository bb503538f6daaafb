"""What is kept of sources: only where bascule_cache_ttl allows it, for its time, of the same class and options."""

from __future__ import annotations

import logging

import pyarrow as pa
import pytest

import bascule
from bascule import _native

CALLS: list[str] = []


class Counted:
    def infer_schema(self, options):
        CALLS.append("schema")
        return pa.schema([("n", pa.int64())])

    def statistics(self, options):
        CALLS.append("statistics")
        return bascule.Statistics(3, exact=True)

    def plan_partitions(self, options):
        CALLS.append("plan")
        return [{"n": 3, "bascule_rows": 3}]

    def read_partition(self, partition_spec, options):
        yield pa.record_batch({"n": list(range(partition_spec["n"]))})


class Cached(Counted):
    cache_partitions = True


@pytest.fixture(autouse=True)
def fresh():
    bascule.clear_cache()
    CALLS.clear()


def query(name: str, columns: list[str] | None = None, **options: str) -> list[str]:
    """What was asked of the class for one query."""
    CALLS.clear()
    source = _native.Source(f"{__name__}:{name}", options)
    assert source.statistics() == (3, -1, True)
    plan = source.plan(columns)
    assert plan.row_count == 3
    assert pa.table(plan.scan().partition(0)).num_rows == 3
    return list(CALLS)


def test_nothing_is_kept_unless_it_is_asked():
    assert query("Cached") == query("Cached") == ["schema", "statistics", "plan"]


def test_schema_and_statistics_are_kept():
    assert query("Counted", bascule_cache_ttl="60") == ["schema", "statistics", "plan"]
    assert query("Counted", bascule_cache_ttl="60") == ["plan"]


def test_partitions_are_kept_where_the_class_says_so_for_the_same_request():
    assert query("Cached", bascule_cache_ttl="60") == ["schema", "statistics", "plan"]
    assert query("Cached", bascule_cache_ttl="60") == []
    assert query("Cached", ["n"], bascule_cache_ttl="60") == ["plan"]
    assert query("Cached", ["n"], bascule_cache_ttl="60") == []


def test_other_options_are_another_source():
    query("Cached", bascule_cache_ttl="60", a="1")
    assert query("Cached", bascule_cache_ttl="60", a="2") == ["schema", "statistics", "plan"]
    assert query("Cached", bascule_cache_ttl="60", a="1") == []


def test_it_is_forgotten_when_told():
    query("Cached", bascule_cache_ttl="60")
    bascule.clear_cache()
    assert query("Cached", bascule_cache_ttl="60") == ["schema", "statistics", "plan"]


def test_it_is_forgotten_in_time(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("bascule._cache.time.monotonic", lambda: now[0])
    query("Cached", bascule_cache_ttl="0.5")
    now[0] += 0.49
    assert query("Cached", bascule_cache_ttl="0.5") == []
    now[0] += 0.02
    assert query("Cached", bascule_cache_ttl="0.5") == ["schema", "statistics", "plan"]


def test_a_class_whose_methods_were_replaced_is_another(monkeypatch):
    query("Cached", bascule_cache_ttl="60")

    def infer_schema(self, options):
        CALLS.append("new schema")
        return pa.schema([("n", pa.int64())])

    monkeypatch.setattr(Cached, "infer_schema", infer_schema)
    assert query("Cached", bascule_cache_ttl="60") == ["new schema", "statistics", "plan"]


def test_cache_is_bounded(monkeypatch):
    monkeypatch.setattr("bascule._cache._MOST", 3)
    for i in range(5):
        query("Counted", bascule_cache_ttl="60", a=str(i))
    assert query("Counted", bascule_cache_ttl="60", a="4") == ["plan"]
    assert query("Counted", bascule_cache_ttl="60", a="0") == ["schema", "statistics", "plan"]


def test_wrong_time_is_refused():
    with pytest.raises(bascule.OptionError, match="bascule_cache_ttl = 'soon' is not a number of seconds"):
        query("Cached", bascule_cache_ttl="soon")


def test_plans_are_logged(caplog):
    with caplog.at_level(logging.DEBUG, "bascule"):
        query("Counted", ["n"])
    assert "Counted: 1 partitions to read, 0 pruned; columns n, predicates none pushed, limit None" in caplog.text
