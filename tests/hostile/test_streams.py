"""Streams that fail, lie or go on for ever."""

from __future__ import annotations

import errno

import pyarrow as pa
import pytest

from hostile.c_data import GetLastError, GetNext, GetSchema, ReleaseStream, Stream, shells

BATCH = pa.record_batch([pa.array([1, 2, 3], pa.int64())], names=["a"])
OTHER = pa.record_batch([pa.array(["x"])], names=["b"])
WHERE = "hostile:Yields, partition 0 of 1: read_partition yielded an Arrow stream that failed in "


def items(*streams):
    return lambda: iter(streams)


def test_a_stream_is_read_to_its_end_and_released(read):
    stream = Stream([BATCH, BATCH])
    assert read.rows(BATCH.schema, items(stream)) == [(1,), (2,), (3,)] * 2
    assert stream.released == 1


def test_a_stream_of_no_batches_is_no_rows(read):
    stream = Stream([], schema=shells(BATCH)[0])
    assert read.rows(BATCH.schema, items(stream, BATCH)) == [(1,), (2,), (3,)]
    assert stream.released == 1


def test_an_error_in_get_schema_says_what_the_stream_said(read):
    stream = Stream([BATCH], schema_code=errno.EIO)
    assert WHERE + "get_schema: the wire was cut" in read.fails(BATCH.schema, items(stream))
    assert stream.released == 1


@pytest.mark.parametrize("at", [0, 1, 2])
def test_an_error_in_get_next_says_what_the_stream_said(read, at):
    stream = Stream([BATCH, BATCH], fails_at=at)
    assert WHERE + "get_next: the wire was cut" in read.fails(BATCH.schema, items(stream))
    assert stream.released == 1
    assert stream.calls == at + 1


def test_an_error_without_words_is_shown_by_its_number(read):
    stream = Stream([BATCH], fails_at=0, code=errno.ECONNRESET, said=None)
    assert WHERE + "get_next: Connection reset by peer" in read.fails(BATCH.schema, items(stream))


def test_an_error_in_bytes_that_are_no_text_is_shown_as_well_as_can_be(read):
    stream = Stream([BATCH], fails_at=0, said=b"caf\xe9 \xff")
    assert WHERE + "get_next: caf\ufffd \ufffd" in read.fails(BATCH.schema, items(stream))


def test_a_long_error_is_cut(read):
    stream = Stream([BATCH], fails_at=0, said=b"x" * 100_000)
    assert len(read.fails(BATCH.schema, items(stream))) < 10_000


def test_a_stream_of_another_schema_is_a_mismatch(read):
    stream = Stream([OTHER])
    message = read.fails(BATCH.schema, items(stream))
    assert "hostile:Yields, partition 0 of 1, batch 0: " in message
    assert "'b'" in message or "'a'" in message
    assert stream.released == 1


def test_a_second_stream_of_another_schema_is_a_mismatch(read):
    first, second = Stream([BATCH]), Stream([OTHER])
    assert "hostile:Yields, partition 0 of 1, batch 1: " in read.fails(BATCH.schema, items(first, second))
    assert (first.released, second.released) == (1, 1)


def test_a_stream_whose_arrays_are_not_of_its_schema_is_a_message(read):
    stream = Stream([OTHER], schema=shells(BATCH)[0])
    assert "broken Arrow array" in read.fails(BATCH.schema, items(stream))


def test_a_released_stream_is_named(read):
    stream = Stream([BATCH])
    stream.struct.release = ReleaseStream()
    assert "the exported Arrow stream was released already" in read.fails(BATCH.schema, items(stream))


@pytest.mark.parametrize(
    ("name", "kind"), [("get_schema", GetSchema), ("get_next", GetNext), ("get_last_error", GetLastError)]
)
def test_a_stream_without_one_of_its_functions_is_refused(read, name, kind):
    stream = Stream([BATCH])
    setattr(stream.struct, name, kind())
    message = read.fails(BATCH.schema, items(stream))
    assert f"partition 0 of 1: read_partition raised ValueError: the exported Arrow stream has no {name}: " in message
    assert stream.released == 0, "that is its capsule's affair"
    assert stream.calls == 0


def test_a_limit_ends_a_stream_and_releases_it(read):
    stream = Stream([BATCH] * 50)
    assert len(read.rows(BATCH.schema, items(stream), sql="FROM {} LIMIT 4")) == 4
    assert stream.released == 1
    assert stream.calls < 50
