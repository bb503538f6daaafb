"""Brokers that are down, refuse, die, lose messages; topics that go; what is cancelled. No secret in any text."""

from __future__ import annotations

import socket
import threading
import time

import pytest

import bascule
from bascule.sources.kafka import KafkaDataSource
from kafka_server import PASSWORD, USER
from sources.kafka.reading import SOURCE, new_topic, numbers, table


def closed_port() -> str:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{s.getsockname()[1]}"


@pytest.fixture
def ten(kafka) -> str:
    topic = new_topic(kafka)
    kafka.produce(topic, numbers(10))
    return topic


def test_a_broker_that_is_not_there_is_an_error(kafka):
    address = closed_port()
    begun = time.monotonic()
    with pytest.raises(
        bascule.BasculeError, match=f"can't list the topics of Kafka at {address}: .*Connection refused"
    ) as e:
        table(kafka, "t", servers=address, timeout=2).count()
    assert "Are the brokers up" in str(e.value)
    assert time.monotonic() - begun < 10


def test_what_is_no_broker_is_an_error(kafka, capfd):
    from sources.rest.api import Api

    api = Api(lambda request: {})
    try:
        with pytest.raises(bascule.BasculeError, match="can't list the topics"):
            table(kafka, "t", servers=api.url.removeprefix("http://"), timeout=2).count()
    finally:
        api.close()
    assert capfd.readouterr() == ("", ""), "its client writes no lines of its own"


@pytest.mark.parametrize("executor", ["inprocess", "process"])
def test_a_password(kafka, ten, executor):
    given = {
        "servers": f"127.0.0.1:{kafka.sasl_port}",
        "security": "sasl_plaintext",
        "user": USER,
        "executor": executor,
    }
    assert table(kafka, ten, password=PASSWORD, **given).count() == 10
    begun = time.monotonic()
    with pytest.raises(bascule.BasculeError, match="Check user, password, sasl_mechanism and security") as e:
        table(kafka, ten, password="canary-wrong", **given).count()
    assert "canary" not in str(e.value)
    assert time.monotonic() - begun < 10, "it is not tried until the time is over"


def test_no_secret_is_shown(kafka, ten):
    hidden = {"password": "canary-1", "settings": '{"ssl.key.password": "canary-2"}', "registry_password": "canary-3"}
    found = table(kafka, ten, user="u", security="plaintext", **hidden)
    assert "canary" not in repr(found)
    assert "canary" not in found._repr_html_()
    source = KafkaDataSource()
    options = bascule.declared({**kafka.options, "topics": ten}, KafkaDataSource.OPTIONS)
    assert "canary" not in repr(source.plan_partitions(options))


def test_a_topic_that_is_deleted_after_the_plan_is_an_error(kafka):
    topic = new_topic(kafka)
    kafka.produce(topic, numbers(3))
    (part,) = table(kafka, topic, timeout=10).partitions()
    kafka.delete(topic)
    with pytest.raises(bascule.BasculeError, match=f"topic '{topic}', partition 0 .*is gone|has no topic '{topic}'"):
        part.to_reader().read_all()


def test_messages_that_retention_took_are_an_error_or_left_out(kafka, ten):
    parts = table(kafka, ten).partitions()
    lax = table(kafka, ten, fail_on_data_loss=False).partitions()
    kafka.delete_records(ten, 0, 4)
    with pytest.raises(
        bascule.BasculeError, match=r"no messages from offset 0 on any more, the first is 4: .*fail_on_data_loss"
    ):
        parts[0].to_reader().read_all()
    assert lax[0].to_reader().read_all()["offset"].to_pylist() == [4, 5, 6, 7, 8, 9]
    assert table(kafka, ten).select("offset").to_arrow()["offset"].to_pylist() == [4, 5, 6, 7, 8, 9]
    begin = f'{{"{ten}": {{"0": 2}}}}'
    with pytest.raises(bascule.BasculeError, match="no messages from offset 2 on any more"):
        table(kafka, ten, start=begin).count()
    assert table(kafka, ten, start=begin, fail_on_data_loss=False).count() == 6


def test_a_range_that_is_gone_as_a_whole_is_empty(kafka, ten):
    parts = table(kafka, ten, fail_on_data_loss=False, partition_messages=5).partitions()
    kafka.delete_records(ten, 0, 7)
    assert [part.to_reader().read_all().num_rows for part in parts] == [0, 3]


def test_a_broker_that_dies_in_mid_read_and_comes_back_loses_nothing(own_kafka):
    topic = new_topic(own_kafka)
    value = b"x" * 1000
    own_kafka.produce(topic, ((None, value) for _ in range(200_000)))  # 200 MB: more than a client holds
    reader = table(own_kafka, topic, timeout=60).select("offset").to_reader(max_bytes=1)
    found = [next(reader)]
    own_kafka.kill()
    threading.Timer(1, own_kafka.restart).start()
    found += list(reader)
    assert [offset for batch in found for offset in batch["offset"].to_pylist()] == [*range(200_000)]


def test_a_broker_that_dies_in_mid_read_and_stays_away_is_an_error(own_kafka):
    topic = new_topic(own_kafka)
    own_kafka.produce(topic, ((None, b"x" * 1000) for _ in range(200_000)))
    reader = table(own_kafka, topic, timeout=3).select("offset").to_reader(max_bytes=1)
    next(reader)
    own_kafka.kill()
    begun = time.monotonic()
    with pytest.raises(bascule.BasculeError, match=r"did not come from Kafka at|can't list the topics"):
        list(reader)
    assert time.monotonic() - begun < 40


def test_a_read_that_waits_is_cancelled(own_kafka):
    topic = new_topic(own_kafka)
    own_kafka.produce(topic, ((None, b"x" * 1000) for _ in range(200_000)))
    scan = table(own_kafka, topic, timeout=60).scan(max_bytes=1)
    batches = iter(scan)
    next(batches)
    own_kafka.kill()
    ended: list[float] = []

    def read() -> None:
        try:
            list(batches)
        except Exception:
            ended.append(time.monotonic())

    thread = threading.Thread(target=read)
    thread.start()
    time.sleep(1.5)
    assert thread.is_alive(), "it waits for the broker"
    begun = time.monotonic()
    scan.cancel()
    thread.join(20)
    assert ended
    assert ended[0] - begun < 3


def test_huge_messages(kafka):
    topic = new_topic(kafka, max_message_bytes="20000000")
    from confluent_kafka import Producer

    producer = Producer({**kafka.client_settings, "message.max.bytes": 20_000_000})
    for size in (1, 9_000_000, 2):
        producer.produce(topic, b"x" * size, partition=0)
        producer.flush(30)
    assert [len(value) for value in table(kafka, topic).to_arrow()["value"].to_pylist()] == [1, 9_000_000, 2]


def test_a_missing_library_says_what_to_install(kafka, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    with pytest.raises(bascule.BasculeError, match=r"pip install 'bascule\[kafka\]'"):
        bascule.table(SOURCE, {**kafka.options, "topics": "t"}).count()
