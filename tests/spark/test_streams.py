"""A streaming job whose driver is killed in the middle of a micro-batch, and started again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from kinesis_server import Kinesis, Reply
from spark import environments
from spark.clusters import Session, java_version, local

TESTS = Path(__file__).parents[1]
JOB = TESTS / "spark" / "inside" / "stream_job.py"


def started(
    python: Path, session: Session, folder: Path, python_class: str, value: str, options: dict[str, str]
) -> subprocess.Popen[str]:
    said = {"master": session.master, "settings": session.settings, "options": options, "folder": str(folder)}
    command = [str(python), str(JOB), json.dumps({**said, "python_class": python_class, "value": value})]
    return subprocess.Popen(command, env=session.env, stdout=subprocess.PIPE, text=True, start_new_session=True)


@pytest.mark.timeout(300)
def test_a_killed_driver_loses_no_row_and_none_is_twice(tmp_path):
    if java_version() < 17:
        pytest.skip("Spark 4 needs Java 17 (openjdk-17-jre-headless)")
    python = environments.python("spark-4.3")
    length, record = tmp_path / "length", tmp_path / "record"
    options = {"length": str(length), "record": str(record), "most": "250", "hang_at": "600"}

    with local(python, tmp_path, TESTS) as session:

        def job() -> subprocess.Popen[str]:
            return started(python, session, tmp_path, "growingsources:GrowingByRows", "n", options)

        length.write_text("1000")
        first = job()
        while not (tmp_path / "length.done").exists():
            assert first.poll() is None
            time.sleep(0.1)
        # Driver, JVM and readers, in the middle of the rows from 500 to 750.
        os.killpg(first.pid, signal.SIGKILL)
        first.communicate()
        length.write_text("1100")
        second = job()
        out, _ = second.communicate(timeout=200)
    assert second.returncode == 0
    assert sorted(json.loads(out.splitlines()[-1])) == list(range(1100))
    planned = [
        tuple(offset["n"] for offset in rest)
        for kind, *rest in map(json.loads, record.read_text().splitlines())
        if kind == "plan"
    ]
    assert planned == [(0, 250), (250, 500), (500, 750), (500, 750), (750, 1000), (1000, 1100)]


@pytest.mark.timeout(300)
def test_of_kinesis_too_while_its_shards_are_split(tmp_path):
    if java_version() < 17:
        pytest.skip("Spark 4 needs Java 17 (openjdk-17-jre-headless)")
    if reason := Kinesis.unavailable():
        pytest.skip(reason)
    python = environments.python("spark-4.3")
    reading = threading.Event()

    def hang(operation: str, arguments: dict[str, Any]) -> Reply | None:
        # So begins a partition of a later micro-batch.
        if arguments.get("ShardIteratorType") != "AT_SEQUENCE_NUMBER":
            return None
        reading.set()
        return Reply(delay_s=1, hangs_up=True)

    def put(numbers: range) -> None:
        kinesis.put("orders", [(f"key {i}", str(i).encode()) for i in numbers])

    with Kinesis.start() as kinesis, local(python, tmp_path, TESTS) as session:
        kinesis.create("orders", shards=2)
        put(range(60))
        kinesis.fail = hang
        options = {**kinesis.options, "stream": "orders", "max_records": "20", "reads_per_second": "1000"}
        arguments = (python, session, tmp_path, "kinesis", "CAST(CAST(data AS STRING) AS INT)", options)
        first = started(*arguments)
        while not reading.wait(0.1):
            assert first.poll() is None
        os.killpg(first.pid, signal.SIGKILL)
        first.communicate()
        begun, ended = (len(list((tmp_path / "checkpoint" / kind).glob("[0-9]*"))) for kind in ("offsets", "commits"))
        assert begun == ended + 1, "a micro-batch is unfinished"
        kinesis.fail = lambda operation, arguments: None
        kinesis.split("orders", "shardId-000000000000")
        put(range(60, 100))
        second = started(*arguments)
        out, _ = second.communicate(timeout=200)
    assert second.returncode == 0
    assert sorted(json.loads(out.splitlines()[-1])) == list(range(100))


@pytest.mark.timeout(300)
def test_of_kafka_too_while_its_broker_hangs(tmp_path, own_kafka):
    if java_version() < 17:
        pytest.skip("Spark 4 needs Java 17 (openjdk-17-jre-headless)")
    python = environments.python("spark-4.3")
    commits = tmp_path / "checkpoint" / "commits"

    def put(numbers: range) -> None:
        for partition in range(2):
            own_kafka.produce("orders", [(None, str(i).encode()) for i in numbers if i % 2 == partition], partition)

    own_kafka.create("orders", partitions=2)
    put(range(500))
    options = {**own_kafka.options, "topics": "orders", "max_messages": "50", "value_format": "string"}
    with local(python, tmp_path, TESTS) as session:
        arguments = (python, session, tmp_path, "kafka", "CAST(value AS INT)", options)
        first = started(*arguments)
        while not list(commits.glob("[0-9]*")):
            assert first.poll() is None
            time.sleep(0.02)
        with own_kafka.hanging():
            time.sleep(1)
            os.killpg(first.pid, signal.SIGKILL)
            first.communicate()
        assert len(list(commits.glob("[0-9]*"))) < 10, "it was not done"
        put(range(500, 600))
        second = started(*arguments)
        out, _ = second.communicate(timeout=200)
    assert second.returncode == 0
    assert sorted(json.loads(out.splitlines()[-1])) == list(range(600))
