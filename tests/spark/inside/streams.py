"""A class that grows, read as a stream of micro-batches by each deployment of Spark. Sail 0.7.2 has no streams of Python sources."""

from __future__ import annotations

import json
import time

import pytest


class Stream:
    """A source of growingsources, written as Parquet files with a checkpoint; a query may be begun again and again."""

    def __init__(self, engine, folder):
        self.engine = engine
        self.folder = folder
        self.to(0)

    def to(self, length):
        """In one step: a query that goes on may read it at any time."""
        new = self.folder / "length.new"
        new.write_text(str(length))
        new.rename(self.folder / "length")

    def begin(self, name, schema=None, **options):
        paths = {"length": str(self.folder / "length"), "record": str(self.folder / "record")}
        reader = self.engine.session.readStream.format("python").option("python_class", f"growingsources:{name}")
        reader = reader.schema(schema) if schema else reader
        trigger = {"processingTime": options.pop("every")} if "every" in options else {"availableNow": True}
        frame = reader.options(**paths, **options).load()
        writer = frame.writeStream.format("parquet").option("checkpointLocation", str(self.folder / "checkpoint"))
        return writer.trigger(**trigger).start(str(self.folder / "rows"))

    def run(self, name, **options):
        """Until all is read that is there."""
        query = self.begin(name, **options)
        assert query.awaitTermination(90)

    @property
    def rows(self):
        return sorted(row.n for row in self.engine.session.read.parquet(str(self.folder / "rows")).collect())

    def noted(self, what):
        lines = (self.folder / "record").read_text().splitlines()
        return [tuple(offset["n"] for offset in rest) for kind, *rest in map(json.loads, lines) if kind == what]


@pytest.fixture
def stream(engine, tmp_path):
    if engine.is_sail:
        pytest.xfail("Sail reads no Python source as a stream")
    return Stream(engine, tmp_path)


def test_sail_has_no_streams_of_python_sources(engine, tmp_path):
    if not engine.is_sail:
        pytest.xfail("Spark has")
    (tmp_path / "length").write_text("10")
    reader = engine.session.readStream.format("python").option("python_class", "growingsources:Growing")
    with pytest.raises(Exception, match="only supports streaming data"):
        reader.option("length", str(tmp_path / "length")).load().writeStream.format("console").start()


def test_a_restart_reads_on_where_the_checkpoint_ends(stream):
    stream.to(250)
    stream.run("GrowingByRows", most="100")
    assert stream.rows == list(range(250))
    assert stream.noted("plan") == [(0, 100), (100, 200), (200, 250)]
    stream.run("GrowingByRows", most="100")
    stream.to(301)
    stream.run("GrowingByRows", most="100")
    assert stream.rows == list(range(301))
    assert stream.noted("plan")[3:] == [(250, 301)]
    commits = stream.noted("commit")
    assert commits == sorted(commits)
    assert commits[:2] == [(100,), (200,)]


@pytest.mark.parametrize("name", ["Growing", "GrowingWithoutEnd"])
def test_what_is_there_at_the_beginning_is_one_micro_batch_where_the_class_cant_divide_it(stream, name):
    stream.to(250)
    stream.run(name, most="100", **{"from": "7"})
    assert stream.rows == list(range(7, 250))
    assert stream.noted("plan") == [(7, 250)]


def test_a_query_that_goes_on_reads_what_comes(stream):
    stream.to(10)
    query = stream.begin("Growing", every="100 milliseconds")
    for length in (10, 25, 300):
        stream.to(length)
        deadline = time.monotonic() + 60
        while not query.exception() and time.monotonic() < deadline:
            if query.lastProgress and (query.lastProgress["sources"][0]["endOffset"] or {}) in (
                {"n": length},
                json.dumps({"n": length}),
                json.dumps({"n": length}, separators=(",", ":")),
            ):
                break
            time.sleep(0.2)
        else:
            raise AssertionError(f"{query.exception()}, {query.lastProgress}")
    query.stop()
    assert stream.rows == list(range(300))


@pytest.mark.parametrize("executor", ["inprocess", "process"])
def test_a_reader_that_dies_loses_no_row_and_none_is_twice(stream, executor):
    stream.to(500)
    stream.run("GrowingByRows", most="200", kill_at="321", bascule_executor=executor)
    assert (stream.folder / "length.done").exists()
    assert stream.rows == list(range(500))


def test_a_given_schema_chooses_columns_of_a_stream(stream):
    stream.to(5)
    stream.run("Growing", schema="n bigint")
    assert stream.engine.session.read.parquet(str(stream.folder / "rows")).columns == ["n"]
    assert stream.rows == list(range(5))


def failure(stream, name, **options):
    with pytest.raises(Exception) as e:  # noqa: PT011
        stream.run(name, **options)
    return str(e.value)


def test_a_class_that_is_no_stream_says_what_it_lacks(stream):
    text = failure(stream, "NoOffsets")
    assert "growingsources:NoOffsets: latest_offset was wanted of a stream, which the class is not: it has no" in text
    assert "this class can be read as a table" in text


def test_failures_of_a_stream_name_source_and_method_and_no_secret(stream):
    text = failure(stream, "OffsetRaises", password="hunter2hunter2")
    assert "growingsources:OffsetRaises: latest_offset raised ConnectionError: no answer for ***" in text
    assert "hunter2hunter2" not in text
