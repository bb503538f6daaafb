"""Which messages are read: starts and ends, gaps, predicates, partitions, limits; micro-batches; each exactly once."""

from __future__ import annotations

import datetime
import json
import time

import pytest

import bascule
from bascule import filters as f
from bascule.sources.kafka import KafkaDataSource
from sources.kafka.reading import new_topic, numbers, table

MOMENT = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)
MS = int(MOMENT.timestamp() * 1000)


def at(ms: int) -> datetime.datetime:
    return MOMENT + datetime.timedelta(milliseconds=ms)


def offsets(found) -> list[int]:
    return found.to_arrow()["offset"].to_pylist()


@pytest.fixture(scope="module")
def hundred(kafka) -> str:
    """100 messages in each of two partitions, a millisecond apart."""
    topic = new_topic(kafka, 2)
    for partition in range(2):
        kafka.produce(topic, numbers(100), partition, first_ms=MS)
    return topic


@pytest.mark.parametrize("executor", ["inprocess", "process"])
def test_each_message_comes_once_with_all_that_it_has(kafka, hundred, executor):
    found = table(kafka, hundred, executor=executor, partition_messages=30).to_arrow()
    assert found["offset"].to_pylist() == [*range(100)] * 2
    assert found["partition"].to_pylist() == [0] * 100 + [1] * 100
    assert found["value"].to_pylist() == [value for _, value in numbers(100)] * 2
    assert found["key"].to_pylist() == [key for key, _ in numbers(100)] * 2
    assert found["timestamp"].to_pylist() == [at(i) for i in range(100)] * 2
    assert set(found["topic"].to_pylist()) == {hundred}
    assert found["headers"].to_pylist() == [[]] * 200


def test_headers_null_keys_and_tombstones(kafka):
    topic = new_topic(kafka)
    kafka.produce(topic, [(None, b"1")], headers=[("a", b"x"), ("ä", None), ("a", b"\xff")])
    kafka.produce(topic, [(b"k", None), (b"", b"")])
    rows = table(kafka, topic).select("key", "value", "headers").to_arrow().to_pylist()
    assert rows == [
        {
            "key": None,
            "value": b"1",
            "headers": [{"key": "a", "value": b"x"}, {"key": "ä", "value": None}, {"key": "a", "value": b"\xff"}],
        },
        {"key": b"k", "value": None, "headers": []},
        {"key": b"", "value": b"", "headers": []},
    ]


def test_starts_and_ends(kafka, hundred):
    some = {"partition_messages": 1000}
    given = json.dumps({hundred: {"0": 90}})
    assert offsets(table(kafka, hundred, start=given, **some)) == [*range(90, 100), *range(100)]
    assert offsets(table(kafka, hundred, end=given, **some)) == [*range(90), *range(100)]
    assert offsets(table(kafka, hundred, start=at(95).isoformat(), **some)) == [*range(95, 100)] * 2
    assert offsets(table(kafka, hundred, end=at(3).isoformat(), **some)) == [0, 1, 2] * 2
    assert offsets(table(kafka, hundred, start=at(1000).isoformat())) == []
    assert offsets(table(kafka, hundred, end=at(1000).isoformat(), **some)) == [*range(100)] * 2
    assert offsets(table(kafka, hundred, start="latest")) == []
    # A fraction of a millisecond: the first message that is not before it.
    later = (at(95) + datetime.timedelta(microseconds=1)).isoformat()
    assert offsets(table(kafka, hundred, start=later)) == [*range(96, 100)] * 2


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"start": "yesterday"}, "expected earliest, latest, a time"),
        ({"start": '{"x": {"0": 1}}'}, "partition 0 of topic 'x' has an offset, and is none of those that are read"),
        ({"end": "earliest"}, "option 'end' is earliest"),
        ({"topics": None}, "give either topics or topic_pattern"),
        ({"topic_pattern": "x"}, "give either topics or topic_pattern"),
        ({"topics": "nothing-here"}, "has no topic 'nothing-here': it has"),
        ({"topics": None, "topic_pattern": "no.*such"}, "no topic of .* matches no.*such"),
        ({"settings": '{"no.such.setting": 1}'}, "refuses its settings: .*no.such.setting"),
        ({"topics": "a, b, a"}, "expected names with commas between them, each once"),
        ({"settings": "[]"}, "expected a JSON object of librdkafka's settings"),
    ],
    ids=str,
)
def test_an_option_that_does_not_fit_is_an_error(kafka, hundred, option, message):
    with pytest.raises(bascule.BasculeError, match=message):
        table(kafka, **{"topic": hundred, **option}).count() if "topics" not in option else table(
            kafka, hundred, **option
        ).count()


def test_an_offset_beyond_the_end_is_an_error(kafka, hundred):
    for option in ("start", "end"):
        with pytest.raises(
            bascule.BasculeError, match=f"option '{option}' is offset 101 of topic .* which ends at 100"
        ):
            table(kafka, hundred, **{option: json.dumps({hundred: {"1": 101}})}).count()


def test_topics_by_a_pattern(kafka):
    names = [new_topic(kafka) for _ in range(2)]
    for name in names:
        kafka.produce(name, numbers(3))
    pattern = "|".join(names)
    found = table(kafka, None, topic_pattern=pattern).to_arrow()
    assert found["topic"].to_pylist() == [name for name in sorted(names) for _ in range(3)]
    assert offsets(table(kafka, ", ".join(names))) == [0, 1, 2] * 2


def test_transactions_leave_gaps(kafka):
    topic = new_topic(kafka)
    kafka.produce(topic, numbers(5))
    kafka.transaction(topic, numbers(3, 5), commit=True)
    kafka.transaction(topic, numbers(3, 50), commit=False)
    committed = table(kafka, topic, partition_messages=2)
    # 8: the commit; 9 to 11: aborted; 12: the abort. Some partitions hold nothing, and end without a message.
    assert offsets(committed) == [*range(8)]
    assert len(committed.partitions()) == 7
    assert offsets(table(kafka, topic, isolation="read_uncommitted")) == [*range(8), 9, 10, 11]
    kafka.produce(topic, numbers(2, 100))
    assert offsets(table(kafka, topic)) == [*range(8), 13, 14]
    assert offsets(table(kafka, topic, start=json.dumps({topic: {"0": 9}}), end=json.dumps({topic: {"0": 13}}))) == []


def test_an_open_transaction_is_not_read_nor_what_is_behind_it(kafka):
    from confluent_kafka import Producer

    topic = new_topic(kafka)
    kafka.produce(topic, numbers(2))
    producer = Producer({**kafka.client_settings, "transactional.id": topic})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(topic, b"open", partition=0)
    producer.flush(30)
    kafka.produce(topic, numbers(2, 10))
    assert offsets(table(kafka, topic)) == [0, 1]
    assert offsets(table(kafka, topic, isolation="read_uncommitted")) == [0, 1, 2, 3, 4]
    producer.commit_transaction(30)
    assert offsets(table(kafka, topic)) == [0, 1, 2, 3, 4]


def test_compaction_leaves_gaps(kafka):
    topic = new_topic(
        kafka,
        cleanup_policy="compact",
        segment_ms="100",
        min_cleanable_dirty_ratio="0.01",
        min_compaction_lag_ms="0",
        max_compaction_lag_ms="200",
    )
    for i in range(6):
        kafka.produce(topic, [(b"same", b"%d" % i), (b"k%d" % i, b"x")])
    for _ in range(120):
        time.sleep(0.5)
        kafka.produce(topic, [(b"tick", b"")])  # rolls the segment
        found = offsets(table(kafka, topic, partition_messages=3))
        if 0 not in found:
            break
    assert 0 not in found, "the cleaner has not run"
    assert set(found) >= {1, 3, 5, 7, 9, 10, 11}
    assert found == sorted(set(found))


# ---- the plan is fixed ----


@pytest.mark.parametrize("executor", ["inprocess", "process"])
def test_a_plan_has_the_same_rows_whenever_it_is_read(kafka, executor):
    topic = new_topic(kafka, 2)
    kafka.produce(topic, numbers(10))
    parts = table(kafka, topic, executor=executor, partition_messages=4).partitions()
    first = [part.to_reader().read_all() for part in parts]
    kafka.produce(topic, numbers(10, 10))
    kafka.produce(topic, numbers(10), 1)
    assert [part.to_reader().read_all() for part in parts] == first
    assert sum(found.num_rows for found in first) == 10


def test_partitions_that_come_after_the_plan_are_the_next_one_s(kafka):
    from confluent_kafka.admin import NewPartitions

    topic = new_topic(kafka)
    kafka.produce(topic, numbers(3))
    found = table(kafka, topic)
    parts = found.partitions()
    admin = kafka.admin()
    admin.create_partitions([NewPartitions(topic, 2)])[topic].result(30)
    kafka.produce(topic, numbers(3), 1)
    assert [part.to_reader().read_all().num_rows for part in parts] == [3]
    assert found.count() == 6


# ---- what is not read ----


def planned(kafka, topic, *predicates, **options):
    """The ranges that are left of a plan."""
    source = KafkaDataSource()
    given = bascule.declared({**kafka.options, "topics": topic, **options}, KafkaDataSource.OPTIONS)
    return [(s["partition"], s["start"], s["end"]) for s in source.plan_partitions(given, filters=predicates)]


@pytest.mark.parametrize(
    ("predicate", "left"),
    [
        (f.EqualTo("partition", 1), [(1, 0, 100)]),
        (f.In("partition", [0, 7]), [(0, 0, 100)]),
        (f.EqualTo("topic", "other"), []),
        (f.GreaterThan("offset", 97), [(0, 98, 100), (1, 98, 100)]),
        (f.GreaterThanOrEqual("offset", 97), [(0, 97, 100), (1, 97, 100)]),
        (f.LessThan("offset", 2), [(0, 0, 2), (1, 0, 2)]),
        (f.LessThanOrEqual("offset", 2), [(0, 0, 3), (1, 0, 3)]),
        (f.In("offset", [5, 50, None]), [(0, 5, 51), (1, 5, 51)]),
        (f.And(f.EqualTo("partition", 0), f.EqualTo("offset", 42)), [(0, 42, 43)]),
        (f.EqualTo("offset", 1000), []),
        (f.GreaterThan("offset", -5), [(0, 0, 100), (1, 0, 100)]),
        (f.Not(f.EqualTo("offset", 5)), [(0, 0, 100), (1, 0, 100)]),
        (f.Or(f.EqualTo("offset", 5), f.EqualTo("partition", 1)), [(0, 0, 100), (1, 0, 100)]),
        (f.GreaterThanOrEqual("timestamp", at(90)), [(0, 90, 100), (1, 90, 100)]),
        (f.GreaterThan("timestamp", at(90)), [(0, 90, 100), (1, 90, 100)]),
        (f.EqualTo("timestamp", at(90)), [(0, 90, 100), (1, 90, 100)]),
        (f.GreaterThan("timestamp", at(10_000)), [(0, 0, 100), (1, 0, 100)]),
        (f.GreaterThan("timestamp", datetime.datetime(1960, 1, 1, tzinfo=datetime.UTC)), [(0, 0, 100), (1, 0, 100)]),
        (f.LessThan("timestamp", at(3)), [(0, 0, 100), (1, 0, 100)]),
    ],
    ids=str,
)
def test_predicates_leave_ranges_out(kafka, hundred, predicate, left):
    assert planned(kafka, hundred, predicate) == left
    rows = table(kafka, hundred).select("partition", "offset").where(predicate).to_arrow()
    everything = table(kafka, hundred).to_arrow()
    kept = f.filter_table([predicate], everything).select(["partition", "offset"])
    assert rows.to_pylist() == kept.to_pylist()


def test_timestamps_in_no_order_lose_no_message(kafka):
    """Producers' clocks go back and forth: the first message that is late enough may stand before older ones."""
    topic = new_topic(kafka)
    moments = [50, 10, 90, 20, 20, 95, 5, 91, 90, 0]
    for i, ms in enumerate(moments):
        kafka.produce(topic, [(None, b"%d" % i)], first_ms=MS + ms)
    for low in range(0, 101, 5):
        for predicate, keeps in (
            (f.GreaterThanOrEqual("timestamp", at(low)), lambda ms, low=low: ms >= low),
            (f.EqualTo("timestamp", at(low)), lambda ms, low=low: ms == low),
            (f.LessThan("timestamp", at(low)), lambda ms, low=low: ms < low),
        ):
            assert offsets(table(kafka, topic).where(predicate)) == [i for i, ms in enumerate(moments) if keeps(ms)]
    assert planned(kafka, topic, f.GreaterThanOrEqual("timestamp", at(95))) == [(0, 5, 10)]


def test_duckdb_s_predicates_arrive(kafka, hundred, con):
    sql = f"FROM python('bascule.sources.kafka:KafkaDataSource', servers := '{kafka.address}', topics := '{hundred}')"
    assert con.execute(
        f'SELECT count(*), min("offset") {sql} WHERE "offset" >= 90 AND "partition" = 1 AND "timestamp" < TIMESTAMPTZ \'{at(95)}\''
    ).fetchall() == [(5, 90)]
    assert con.execute(f"SELECT count(*) {sql}").fetchall() == [(200,)]


def test_a_limit_ends_the_reading(kafka, hundred):
    assert offsets(table(kafka, hundred).limit(7)) == [*range(7)]


# ---- streams ----


def opened(kafka, topic, **more):
    given = {**kafka.options, "topics": topic, **{name: str(value) for name, value in more.items()}}
    return KafkaDataSource(), bascule.declared(given, KafkaDataSource.OPTIONS)


def read(source, options, start, end):
    specs = source.plan_partitions(options, start=start, end=end)
    return [
        (spec["partition"], offset)
        for spec in specs
        for batch in source.read_partition(spec, options)
        for offset in batch["offset"].to_pylist()
    ]


def test_micro_batches_take_each_message_once(kafka):
    topic = new_topic(kafka, 2)
    source, options = opened(kafka, topic, max_messages=7)
    start = source.initial_offset(options)
    assert start == {topic: {"0": 0, "1": 0}}
    kafka.produce(topic, numbers(20), 0)
    kafka.produce(topic, numbers(5), 1)
    seen = []
    for _ in range(20):
        end = source.latest_offset(options, start=start)
        if end == start:
            break
        rows = read(source, options, start, end)
        assert rows == read(*opened(kafka, topic), start, end), "again, by another instance"
        assert 0 < len(rows) <= 7
        seen += rows
        start = end
    assert sorted(seen) == [(0, i) for i in range(20)] + [(1, i) for i in range(5)]
    assert source.latest_offset(options, start=start, end=end) == end


def test_a_stream_begins_where_it_is_told(kafka, hundred):
    source, options = opened(kafka, hundred, start=json.dumps({hundred: {"1": 90}}))
    start = source.initial_offset(options)
    assert start == {hundred: {"0": 0, "1": 90}}
    source.close()
    source, options = opened(kafka, hundred, start="latest")
    assert source.initial_offset(options) == {hundred: {"0": 100, "1": 100}} == source.latest_offset(options)


def test_a_stream_goes_on_in_new_partitions(kafka):
    from confluent_kafka.admin import NewPartitions

    topic = new_topic(kafka)
    kafka.produce(topic, numbers(3))
    source, options = opened(kafka, topic)
    first = source.latest_offset(options)
    admin = kafka.admin()
    admin.create_partitions([NewPartitions(topic, 2)])[topic].result(30)
    kafka.produce(topic, numbers(2), 1)
    second = source.latest_offset(options, start=first)
    assert read(source, options, None, first) == [(0, 0), (0, 1), (0, 2)]
    assert read(source, options, first, second) == [(1, 0), (1, 1)]


def test_a_topic_that_was_made_anew_is_an_error(kafka):
    topic = new_topic(kafka)
    kafka.produce(topic, numbers(5))
    source, options = opened(kafka, topic)
    start = source.latest_offset(options)
    kafka.delete(topic)
    time.sleep(1)
    kafka.create(topic)
    with pytest.raises(bascule.BasculeError, match="no messages from offset 0 on any more"):
        source.latest_offset(options, start=start)
    source, options = opened(kafka, topic, fail_on_data_loss="false")
    assert source.latest_offset(options, start=start) == start, "it does not go back"
