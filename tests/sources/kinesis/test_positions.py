"""From where to where a table is read, over shards that are split and merged."""

from __future__ import annotations

import datetime
import json
import time

import pytest

from bascule import BasculeError, OptionError
from sources.kinesis.reading import EXECUTORS, Direct, numbered, options, read, table, texts

FIRST, SECOND = "shardId-000000000000", "shardId-000000000001"


def iso(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat()


@pytest.mark.parametrize("executor", EXECUTORS)
def test_each_record_is_a_row(kinesis, executor):
    kinesis.create("s", 3)
    numbers = kinesis.put("s", [("ключ", b"\x00\xff"), ("key 1", b""), ("key 2", "é".encode())])
    found = sorted(read(kinesis, executor=executor).to_pylist(), key=lambda row: int(row["sequence_number"]))
    assert [row["sequence_number"] for row in found] == numbers
    assert [row["partition_key"] for row in found] == ["ключ", "key 1", "key 2"]
    assert [row["data"] for row in found] == [b"\x00\xff", b"", "é".encode()]
    assert {row["encryption_type"] for row in found} == {"NONE"}
    now = datetime.datetime.now(datetime.UTC)
    assert all(abs((now - row["approximate_arrival_timestamp"]).total_seconds()) < 60 for row in found)
    for row in found:
        assert row["sequence_number"] in kinesis.numbers("s", row["shard_id"])


def test_an_empty_stream_is_an_empty_table(kinesis):
    kinesis.create("s", 2)
    made = table(kinesis)
    assert made.partitions() == []
    assert made.to_arrow().schema == made.schema


@pytest.mark.parametrize("executor", EXECUTORS)
def test_two_reads_of_a_plan_have_the_same_rows_whatever_comes(kinesis, executor):
    kinesis.create("s", 2)
    kinesis.put("s", numbered(0, 30))
    made = table(kinesis, executor=executor)
    scan = made.scan()
    plan = made.partitions()
    kinesis.put("s", numbered(30, 50))
    kinesis.split("s", FIRST)
    kinesis.put("s", numbered(50, 70))
    for _ in range(2):
        rows = [int(t) for p in plan for t in texts(p.to_reader().read_all())]
        assert sorted(rows) == list(range(30))
    del scan
    assert sorted(map(int, texts(made.to_arrow()))) == list(range(70))


def test_parents_are_listed_before_children(kinesis):
    kinesis.create("s", 2)
    kinesis.put("s", numbered(0, 20))
    left, right = kinesis.split("s", FIRST)
    kinesis.put("s", numbered(20, 40))
    merged = kinesis.merge("s", right, SECOND)
    kinesis.put("s", numbered(40, 60))
    direct = Direct(kinesis)
    specs = direct.plan()
    assert [spec["shard"] for spec in specs] == [FIRST, SECOND, left, right, merged]
    assert [spec["end"] for spec in specs][:2] == [{"end": True}, {"end": True}]
    rows = direct.read(specs)
    assert sorted(rows) == list(range(60))
    # Of one key: those of the parent come first.
    kinesis.create("k")
    kinesis.put("k", [("one", b"0")])
    kinesis.split("k", FIRST)
    kinesis.put("k", [("one", b"1")])
    assert texts(read(kinesis, "k")) == ["0", "1"]


def test_shards_are_listed_page_by_page(kinesis):
    kinesis.create("s", 7)
    kinesis.put("s", numbered(0, 40))
    kinesis.shards_in_a_page = 2
    assert sorted(map(int, texts(read(kinesis)))) == list(range(40))
    assert kinesis.operations.count("ListShards") >= 4


def test_a_start_in_time_and_an_end(kinesis):
    kinesis.create("s", 2)
    kinesis.put("s", numbered(0, 20))
    kinesis.age("s", 3600)
    kinesis.put("s", numbered(20, 40))
    hour, half = iso(time.time() - 4000), iso(time.time() - 1800)
    soon = iso(time.time() + 100)
    assert sorted(map(int, texts(read(kinesis, start=half)))) == list(range(20, 40))
    assert sorted(map(int, texts(read(kinesis, end=half)))) == list(range(20))
    assert sorted(map(int, texts(read(kinesis, start=hour, end=half)))) == list(range(20))
    assert sorted(map(int, texts(read(kinesis, start=hour, end=soon)))) == list(range(40))
    assert read(kinesis, start=half, end=hour).num_rows == 0
    assert read(kinesis, start="LATEST").num_rows == 0
    with pytest.raises(BasculeError, match=r"option 'start' is .* which is still to come: write LATEST"):
        read(kinesis, start=soon)


def test_a_start_in_time_over_several_answers(kinesis):
    kinesis.create("s")
    kinesis.put("s", numbered(0, 20))
    kinesis.age("s", 3600)
    kinesis.put("s", numbered(20, 40))
    kinesis.page_bytes = 10
    assert texts(read(kinesis, start=iso(time.time() - 1800))) == [str(i) for i in range(20, 40)]


def test_sequence_numbers_by_shard(kinesis):
    kinesis.create("s", 2)
    kinesis.put("s", numbered(0, 40))
    first, second = (kinesis.numbers("s", shard) for shard in (FIRST, SECOND))
    found = read(kinesis, start=json.dumps({FIRST: first[2]}), end=json.dumps({FIRST: first[4], SECOND: second[0]}))
    assert found["sequence_number"].to_pylist() == [*first[2:5], second[0]]
    zeros = table(kinesis, start=json.dumps({FIRST: f"00{first[2]}"}), end=json.dumps({FIRST: f"00{first[4]}"}))
    from bascule.filters import EqualTo

    assert zeros.where(EqualTo("sequence_number", first[3])).to_arrow()["sequence_number"].to_pylist() == [first[3]]
    found = read(kinesis, start=json.dumps({FIRST: first[-1]}))
    assert found["sequence_number"].to_pylist() == [first[-1], *second], "others from their beginning to their end"
    with pytest.raises(
        BasculeError, match=f"option 'start' names x, which stream 's' has not: it has {FIRST}, {SECOND}"
    ):
        read(kinesis, start='{"x": "1"}')


@pytest.mark.parametrize("text", ["latest ", "2026-01-01T00:00:00", "yesterday", "{}", '{"s": 1}', "[1]", '{"s": "x"}'])
def test_a_start_that_is_none_is_an_error(text):
    from bascule.sources.kinesis._positions import where

    if text == "latest ":
        assert where(text).name == "LATEST"
        return
    with pytest.raises(ValueError, match="TRIM_HORIZON, LATEST, a time with a zone"):
        where(text)


def test_an_end_where_all_begins_is_an_error(kinesis):
    with pytest.raises(OptionError, match="option 'end' is TRIM_HORIZON, where all begins"):
        Direct(kinesis, end="TRIM_HORIZON").plan()


def test_empty_answers_before_the_records_end_nothing(kinesis):
    kinesis.create("s", 2)
    kinesis.put("s", numbered(0, 20))
    kinesis.empty_pages = 7
    assert sorted(map(int, texts(read(kinesis)))) == list(range(20))
    kinesis.age("s", 3600)
    assert sorted(map(int, texts(read(kinesis, start=iso(time.time() - 7200))))) == list(range(20))


def test_the_newest_record_is_found_however_old_it_is(kinesis):
    for name, age in (("a", 1), ("b", 30), ("c", 1000), ("d", 20_000), ("e", 80_000)):
        kinesis.create(name)
        kinesis.put(name, numbered(0, 3))
        kinesis.age(name, age)
        (spec,) = Direct(kinesis, name).plan()
        assert spec["end"]["after"] == kinesis.numbers(name, FIRST)[-1]


def test_closed_shards_are_not_searched(kinesis):
    kinesis.create("s")
    kinesis.put("s", numbered(0, 5))
    kinesis.split("s", FIRST)
    kinesis.requests.clear()
    Direct(kinesis).plan()
    assert {a.get("ShardId") for o, a in kinesis.requests if o == "GetShardIterator"} == set(kinesis.shards("s")[1:])


def test_more_than_an_answer_holds(kinesis):
    kinesis.create("s")
    kinesis.put("s", [("k", str(i).encode()) for i in range(10_500)])
    found = read(kinesis)
    assert texts(found) == [str(i) for i in range(10_500)]
    made = table(kinesis)
    kinesis.requests.clear()
    assert len(made.head(5)) == 5
    limits = [a.get("Limit") for o, a in kinesis.requests if o == "GetRecords"]
    assert limits[-1] == 6, "a limit is passed on"


def test_records_of_a_megabyte(kinesis):
    kinesis.create("s")
    large = [bytes([65 + i]) * (1 << 20) for i in range(11)]
    kinesis.put("s", [("k", data) for data in large])
    assert read(kinesis)["data"].to_pylist() == large
    assert kinesis.operations.count("GetRecords") >= 2 * 2, "ten megabytes an answer, found and read"


# ---- what is pushed ----


def test_shard_ids_and_sequence_numbers_prune(kinesis):
    from bascule.filters import EqualTo, GreaterThan, LessThan

    kinesis.create("s", 3)
    kinesis.put("s", numbered(0, 60))
    made = table(kinesis)
    found = made.where(EqualTo("shard_id", SECOND)).to_arrow()
    assert found["sequence_number"].to_pylist() == kinesis.numbers("s", SECOND)
    kinesis.requests.clear()
    assert [spec["shard"] for spec in Direct(kinesis).plan(LessThan("shard_id", SECOND))] == [FIRST]
    assert SECOND not in {a.get("ShardId") for _, a in kinesis.requests}
    middle = kinesis.numbers("s", FIRST)[3]
    every = sorted(n for shard in kinesis.shards("s") for n in kinesis.numbers("s", shard))
    for predicate, rows in (
        (GreaterThan("sequence_number", middle), [n for n in every if n > middle]),
        (LessThan("sequence_number", every[0]), []),
        (EqualTo("sequence_number", middle), [middle]),
    ):
        assert sorted(made.where(predicate).to_arrow()["sequence_number"].to_pylist()) == rows
    kinesis.requests.clear()
    assert made.where(LessThan("sequence_number", "4")).to_arrow().num_rows == 0
    reads = [a for o, a in kinesis.requests if o == "GetShardIterator" and a["ShardIteratorType"] == "TRIM_HORIZON"]
    assert reads == [], "no shard is read"


def test_partition_keys_prune_where_an_option_says_so(kinesis):
    from bascule.filters import EqualTo, In

    kinesis.create("s", 4)
    kinesis.put("s", numbered(0, 40))
    kinesis.split("s", SECOND)
    kinesis.put("s", numbered(40, 80))
    for i in (3, 42, 77):
        key = f"key {i}"
        (holds,) = (s for s in kinesis.shards("s") if key in _keys(kinesis, s))
        specs = Direct(kinesis, hashed_keys="true").plan(EqualTo("partition_key", key))
        assert holds in [spec["shard"] for spec in specs]
        assert len(specs) <= 2, "the shard of the key, and its parent or child"
        assert texts(table(kinesis, hashed_keys="true").where(EqualTo("partition_key", key)).to_arrow()) == [str(i)]
    both = table(kinesis, hashed_keys="true").where(In("partition_key", ["key 5", "key 66"]))
    assert sorted(texts(both.to_arrow())) == ["5", "66"]
    # A producer that gives a hash key of its own puts any partition key anywhere.
    kinesis.put("s", [("key 3", b"elsewhere")], hash_key=str(2**128 - 1))
    assert sorted(texts(table(kinesis).where(EqualTo("partition_key", "key 3")).to_arrow())) == ["3", "elsewhere"]


def _keys(kinesis, shard):
    return {record.partition_key for record in kinesis._stream("s").shards[shard].records.values()}


def test_arrivals_are_pushed_where_an_option_says_how_far_they_are_out_of_order(kinesis):
    from bascule.filters import EqualTo, GreaterThanOrEqual, LessThan

    kinesis.create("s")
    for i in range(6):
        kinesis.put("s", numbered(i, i + 1))
        kinesis.age("s", 1000 * (5 - i), first=i)
    when = [r["approximate_arrival_timestamp"] for r in read(kinesis).to_pylist()]
    column = "approximate_arrival_timestamp"
    for slack in (None, "1500"):
        more = {} if slack is None else {"arrival_slack": slack}
        made = table(kinesis, **more)
        for predicates, rows in (
            ([GreaterThanOrEqual(column, when[3])], ["3", "4", "5"]),
            ([LessThan(column, when[2])], ["0", "1"]),
            ([EqualTo(column, when[4])], ["4"]),
            ([GreaterThanOrEqual(column, when[2]), LessThan(column, when[4])], ["2", "3"]),
        ):
            found = made
            for each in predicates:
                found = found.where(each)
            assert texts(found.to_arrow()) == rows
    direct = Direct(kinesis, arrival_slack="1500")
    assert direct.read(direct.plan(GreaterThanOrEqual(column, when[3]))) == [2, 3, 4, 5]
    assert direct.read(direct.plan(LessThan(column, when[2]))) == [0, 1, 2, 3]
    direct = Direct(kinesis)
    assert direct.read(direct.plan(GreaterThanOrEqual(column, when[3]))) == [0, 1, 2, 3, 4, 5]


def test_options_that_do_not_go_together(kinesis):
    with pytest.raises(OptionError, match="options 'hashed_keys' and 'deaggregate' don't go together"):
        Direct(kinesis, hashed_keys="true", deaggregate="true").plan()
    made = {**options(kinesis), "secret_access_key": ""}
    del made["secret_access_key"]
    with pytest.raises(OptionError, match="'access_key_id' and 'secret_access_key' are given together"):
        Direct.plan(_with(made))


def _with(made):
    from bascule import declared
    from bascule.sources.kinesis import KinesisDataSource

    direct = Direct.__new__(Direct)
    direct.source, direct.options = KinesisDataSource(), declared(made, KinesisDataSource.OPTIONS)
    return direct
