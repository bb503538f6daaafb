"""The source as a class of the contract: its checks, engines, many partitions, flat in memory."""

from __future__ import annotations

import re
import subprocess
import sys

import polars as pl
import pytest

import bascule
from bascule.check import run
from sources.kafka.reading import SOURCE, new_topic, numbers, table


@pytest.fixture(scope="module")
def eight(kafka) -> str:
    """8,000 messages in eight partitions."""
    topic = new_topic(kafka, 8)
    for partition in range(8):
        kafka.produce(topic, numbers(1000, 1000 * partition), partition)
    return topic


@pytest.mark.parametrize(
    "more", [{}, {"partition_messages": "300"}, {"max_messages": "500"}, {"value_format": "string"}], ids=str
)
def test_it_passes_every_check(kafka, eight, more):
    failed = [r for r in run(SOURCE, {**kafka.options, "topics": eight, **more}).results if r.status == "failed"]
    assert not failed, [(result.id, result.reasons) for result in failed]


@pytest.mark.parametrize("executor", ["inprocess", "process"])
def test_engines_read_it_by_its_short_name(kafka, eight, con, executor):
    sql = f"FROM python('kafka', servers := '{kafka.address}', topics := '{eight}', bascule_executor := '{executor}')"
    assert con.execute(f'SELECT count(*), count(DISTINCT "partition"), count(DISTINCT value) {sql}').fetchall() == [
        (8000, 8, 8000)
    ]
    found = bascule.table("kafka", {**kafka.options, "topics": eight}, executor=executor)
    assert len(found.partitions()) == 8
    counted = found.to_polars().filter(pl.col("partition") == 3).select(pl.len(), pl.col("offset").max()).collect()
    assert counted.rows() == [(1000, 999)]
    assert found.statistics().num_rows == 8000


def test_many_partitions_are_planned_in_a_few_requests(kafka):
    topic = new_topic(kafka, 300)
    kafka.produce(topic, numbers(5), 299)
    assert table(kafka, topic).select("partition", "offset").to_arrow().to_pylist() == [
        {"partition": 299, "offset": i} for i in range(5)
    ]


READ = """
import re, sys
import bascule
table = bascule.table("kafka", servers=sys.argv[1], topics=sys.argv[2], partition_messages=10_000_000)
n = sum(batch.num_rows for batch in table.to_reader(threads=1, max_bytes=1 << 20))
print(n, re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
"""


def test_memory_does_not_grow_with_the_topic(kafka):
    topic = new_topic(kafka)
    peaks = []
    for n in (150_000, 450_000):
        kafka.produce(topic, ((None, b"x" * 500) for _ in range(n)))
        done = subprocess.run(
            [sys.executable, "-c", READ, kafka.address, topic], capture_output=True, text=True, check=True
        )
        peaks.append([int(number) for number in re.findall(r"\d+", done.stdout)])
    assert [n for n, _ in peaks] == [150_000, 600_000]
    assert peaks[1][1] < 1.15 * peaks[0][1], peaks


def test_the_module_imports_nothing_heavy():
    code = "import sys, bascule.sources.kafka; print([m for m in ('confluent_kafka', 'fastavro', 'google.protobuf', 'httpx') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
