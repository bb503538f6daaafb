"""What data become: bytes, text, JSON; bad records; aggregates."""

from __future__ import annotations

import hashlib
from decimal import Decimal

import pyarrow as pa
import pytest

import bascule
from bascule import BasculeError, OptionError
from sources.kinesis.reading import Direct, numbered, read, table

SCHEMA = "id BIGINT, amount DECIMAL(10, 2), tags VARCHAR[], place STRUCT(lat DOUBLE)"
FIRST = "shardId-000000000000"


def test_text(kinesis):
    kinesis.create("s")
    kinesis.put("s", [("k", "naïve ☃".encode()), ("k", b"")])
    assert read(kinesis, format="string")["data"].to_pylist() == ["naïve ☃", ""]


def test_json_by_a_schema(kinesis):
    kinesis.create("s")
    kinesis.put(
        "s", [("k", b'{"id": 1, "amount": 12.50, "tags": ["a"], "place": {"lat": 1.5}, "more": 1}'), ("k", b"{}")]
    )
    made = table(kinesis, format="json", schema=SCHEMA)
    assert made.schema.field("data").type.field("amount").type == pa.decimal128(10, 2)
    assert made.to_arrow()["data"].to_pylist() == [
        {"id": 1, "amount": Decimal("12.50"), "tags": ["a"], "place": {"lat": 1.5}},
        {"id": None, "amount": None, "tags": None, "place": None},
    ]


def test_json_needs_a_schema_and_others_take_none(kinesis):
    with pytest.raises(OptionError, match="option 'schema' is missing: format is json"):
        Direct(kinesis, format="json").source.infer_schema(Direct(kinesis, format="json").options)
    with pytest.raises(OptionError, match="option 'schema' is given, but format is binary"):
        read(kinesis, schema="id BIGINT")


BAD = [b"{", b"[1]", b'{"id": "x"}', b"\xff", b"", b"null"]


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_record_fails_with_where_it_is(kinesis, bad):
    kinesis.create("s")
    numbers = kinesis.put("s", [("k", b'{"id": 1}'), ("k", bad)])
    with pytest.raises(BasculeError) as caught:
        read(kinesis, format="json", schema="id BIGINT")
    said = str(caught.value)
    assert f"stream 's', shard '{FIRST}': the record {numbers[1]} is no json" in said
    assert "set bad_records := 'skip' or 'null'" in said
    assert "Traceback" not in said
    assert read(kinesis, format="json", schema="id BIGINT", end=f'{{"{FIRST}": "{numbers[0]}"}}').num_rows == 1


@pytest.mark.parametrize("executor", ["inprocess", "process"])
def test_bad_records_are_skipped_and_counted_or_null(kinesis, executor):
    kinesis.create("s")
    good = [("good", b'{"id": %d}' % i) for i in range(5)]
    kinesis.put("s", [item for pair in zip(good, [("bad", bad) for bad in BAD], strict=False) for item in pair])
    made = table(kinesis, format="json", schema="id BIGINT", bad_records="skip", executor=executor)
    assert made.to_arrow()["data"].to_pylist() == [{"id": i} for i in range(5)]
    assert dict(bascule.scans().slice(0, 1).to_pylist()[0]["reported"])["bad records"] == 5
    # Which records are rows does not depend on the columns that are read.
    assert made.select("partition_key").to_arrow()["partition_key"].to_pylist() == ["good"] * 5
    assert made.count() == 5
    nulls = table(kinesis, format="json", schema="id BIGINT", bad_records="null", executor=executor).to_arrow()
    assert [row["data"] for row in nulls.to_pylist() if row["partition_key"] == "bad"] == [None] * 5
    assert nulls.num_rows == 10


def test_text_that_is_no_utf_8(kinesis):
    kinesis.create("s")
    kinesis.put("s", [("k", b"a"), ("k", b"\xff\xfe"), ("k", b"b")])
    with pytest.raises(BasculeError, match="is no text: it is no UTF-8: invalid start byte at byte 0"):
        read(kinesis, format="string")
    assert read(kinesis, format="string", bad_records="skip")["data"].to_pylist() == ["a", "b"]
    assert read(kinesis, format="string", bad_records="null")["data"].to_pylist() == ["a", None, "b"]


def test_a_limit_counts_rows_not_records(kinesis):
    kinesis.create("s")
    kinesis.put("s", [("k", b"\xff")] * 50 + [("k", b"a")] * 5)
    made = table(kinesis, format="string", bad_records="skip")
    assert made.head(5)["data"].to_pylist() == ["a"] * 5


def test_only_what_is_asked_for_is_made(kinesis):
    kinesis.create("s")
    kinesis.put("s", numbered(0, 3))
    made = table(kinesis, format="json", schema="id BIGINT")  # numbers are no objects
    assert made.select("partition_key", "shard_id").to_arrow().num_rows == 3
    (batch,) = Direct(kinesis).source.read_partition(
        Direct(kinesis).plan()[0], Direct(kinesis).options, columns=["shard_id"]
    )
    assert batch.schema.names == ["shard_id"]


# ---- aggregates ----


def aggregate(records, hash_keys=()):
    """As the documentation of the format has it, byte by byte."""

    def varint(n):
        out = b""
        while n > 127:
            out, n = out + bytes([n & 127 | 128]), n >> 7
        return out + bytes([n])

    def field(number, data):
        return varint(number << 3 | 2) + varint(len(data)) + data

    keys = list(dict.fromkeys(key for key, _ in records))
    body = b"".join(field(1, key.encode()) for key in keys) + b"".join(field(2, key.encode()) for key in hash_keys)
    for i, (key, data) in enumerate(records):
        hashed = b"\x10" + varint(i) if i < len(hash_keys) else b""
        body += field(3, b"\x08" + varint(keys.index(key)) + hashed + field(3, data))
    return b"\xf3\x89\x9a\xc2" + body + hashlib.md5(body, usedforsecurity=False).digest()


def test_aggregates_are_taken_apart(kinesis):
    kinesis.create("s")
    inner = [("ключ", b"a"), ("b", b"x" * 300), ("ключ", b"")]
    numbers = kinesis.put("s", [("a", aggregate(inner, ["170141183460469231731687303715884105728"])), ("plain", b"p")])
    found = read(kinesis, deaggregate="true").to_pylist()
    assert [
        (row["partition_key"], row["data"], row["sequence_number"], row["sub_sequence_number"]) for row in found
    ] == [
        ("ключ", b"a", numbers[0], 0),
        ("b", b"x" * 300, numbers[0], 1),
        ("ключ", b"", numbers[0], 2),
        ("plain", b"p", numbers[1], None),
    ]
    assert [row["explicit_hash_key"] for row in found] == ["170141183460469231731687303715884105728", None, None, None]
    assert table(kinesis, deaggregate="true").head(2)["data"].to_pylist() == [b"a", b"x" * 300]
    assert read(kinesis).num_rows == 2, "as they are, otherwise"


def test_an_aggregate_is_named_where_it_is_not_taken_apart(kinesis):
    kinesis.create("s")
    kinesis.put("s", [("a", aggregate([("k", b'{"id": 1}')]))])
    with pytest.raises(BasculeError, match="It looks like an aggregate: set deaggregate := 'true'"):
        read(kinesis, format="json", schema="id BIGINT")
    found = read(kinesis, format="json", schema="id BIGINT", deaggregate="true")
    assert found["data"].to_pylist() == [{"id": 1}]


def test_what_only_begins_like_an_aggregate_is_a_record(kinesis):
    kinesis.create("s")
    data = aggregate([("k", b"1")])
    wrong = data[:-1] + bytes([data[-1] ^ 1])
    kinesis.put("s", [("k", wrong), ("k", b"\xf3\x89\x9a\xc2"), ("k", b"\xf3\x89\x9a\xc2short")])
    assert read(kinesis, deaggregate="true")["data"].to_pylist() == [
        wrong,
        b"\xf3\x89\x9a\xc2",
        b"\xf3\x89\x9a\xc2short",
    ]


def test_a_broken_aggregate_is_a_bad_record(kinesis):
    kinesis.create("s")
    body = b"\x1a\x02\x08\x09"  # a record of partition key 9, without data
    broken = b"\xf3\x89\x9a\xc2" + body + hashlib.md5(body, usedforsecurity=False).digest()
    kinesis.put("s", [("k", b"a"), ("k", broken), ("k", b"b")])
    with pytest.raises(BasculeError, match="an aggregate that can't be taken apart"):
        read(kinesis, deaggregate="true")
    assert read(kinesis, deaggregate="true", bad_records="skip")["data"].to_pylist() == [b"a", b"b"]
    assert read(kinesis, deaggregate="true", bad_records="null")["data"].to_pylist() == [b"a", None, b"b"]
