"""Values: texts, JSON, Avro and Protobuf with a registry, schemas that change; what becomes of bad ones."""

from __future__ import annotations

import datetime
import decimal
import io
import json
from collections.abc import Iterator

import fastavro
import pyarrow as pa
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2

import bascule
from sources.kafka.reading import new_topic, table
from sources.kafka.registry import RegistryServer, framed
from sources.rest.api import closed_port

SCHEMA = "id BIGINT, name VARCHAR, price DOUBLE, tags VARCHAR[], at TIMESTAMPTZ"


@pytest.fixture
def registry() -> Iterator[RegistryServer]:
    server = RegistryServer()
    yield server
    server.close()


def values(kafka, topic, **options):
    return table(kafka, topic, **options).select("value").to_arrow()["value"].to_pylist()


def held(kafka, *items: bytes | None) -> str:
    topic = new_topic(kafka)
    kafka.produce(topic, [(None, item) for item in items])
    return topic


def avro(schema, record) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), record)
    return out.getvalue()


def record(*fields, name="Order"):
    return {"type": "record", "name": name, "fields": [{"name": n, "type": t, **more} for n, t, more in fields]}


# ---- texts, JSON ----


def test_texts(kafka):
    topic = held(kafka, "é \N{PILE OF POO}".encode(), b"", None)
    assert values(kafka, topic, value_format="string") == ["é \N{PILE OF POO}", "", None]


@pytest.mark.parametrize("executor", ["inprocess", "process"])
def test_json_with_declared_fields(kafka, executor):
    topic = held(
        kafka,
        b'{"id": 1, "name": "\xc3\xa9", "price": 1.5, "tags": ["a", null], "at": "2026-01-31T12:00:00Z", "more": {}}',
        b'{"id": null}',
        None,
    )
    found = values(kafka, topic, value_format="json", schema=SCHEMA, executor=executor)
    at = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)
    empty = {"id": None, "name": None, "price": None, "tags": None, "at": None}
    assert found == [{"id": 1, "name": "é", "price": 1.5, "tags": ["a", None], "at": at}, empty, None]


def test_json_by_the_schema_of_a_registry(kafka, registry):
    topic = new_topic(kafka)
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": {
            "id": {"type": "integer"},
            "name": {"type": ["null", "string"]},
            "of": {"type": "object", "properties": {"x": {"type": "number"}}},
            "list": {"type": "array", "items": {"type": "boolean"}},
        },
    }
    id = registry.add(f"{topic}-value", schema, "JSON")
    kafka.produce(topic, [(None, framed(id, b'{"id": 1, "of": {"x": 2.5}, "list": [true]}'))])
    found = values(kafka, topic, value_format="json", registry=registry.url)
    assert found == [{"id": 1, "name": None, "of": {"x": 2.5}, "list": [True]}]


# ---- Avro ----

TYPES = record(
    ("i", "int", {}),
    ("l", ["null", "long"], {"default": None}),
    ("f", "float", {}),
    ("b", "bytes", {}),
    ("s", "string", {}),
    ("e", {"type": "enum", "name": "E", "symbols": ["A", "B"]}, {}),
    ("a", {"type": "array", "items": ["null", "string"]}, {}),
    ("m", {"type": "map", "values": "double"}, {}),
    ("x", {"type": "fixed", "name": "X", "size": 3}, {}),
    ("d", {"type": "int", "logicalType": "date"}, {}),
    ("t", {"type": "long", "logicalType": "timestamp-micros"}, {}),
    ("n", {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}, {}),
    ("u", {"type": "string", "logicalType": "uuid"}, {}),
    ("r", record(("y", "boolean", {}), name="R"), {}),
)
ROW = {
    "i": -1,
    "l": 2**62,
    "f": 0.5,
    "b": b"\x00\xff",
    "s": "é",
    "e": "B",
    "a": ["x", None],
    "m": {"k": 1.5},
    "x": b"abc",
    "d": datetime.date(2026, 1, 31),
    "t": datetime.datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=datetime.UTC),
    "n": decimal.Decimal("-12345.67"),
    "u": "00000000-0000-0000-0000-000000000001",
    "r": {"y": True},
}


@pytest.mark.parametrize("executor", ["inprocess", "process"])
def test_avro_has_each_type(kafka, registry, executor):
    topic = new_topic(kafka)
    id = registry.add(f"{topic}-value", TYPES)
    kafka.produce(topic, [(None, framed(id, avro(TYPES, ROW))), (None, None)])
    found = table(kafka, topic, value_format="avro", registry=registry.url, executor=executor)
    kind = found.schema.field("value").type
    assert kind.field("t").type == pa.timestamp("us", "UTC")
    assert kind.field("n").type == pa.decimal128(9, 2)
    assert kind.field("x").type == pa.binary(3)
    rows = found.select("value").to_arrow()["value"].to_pylist()
    assert rows == [{**ROW, "m": [("k", 1.5)]}, None]


def test_avro_without_a_registry(kafka):
    schema = record(("id", "long", {}))
    topic = held(kafka, avro(schema, {"id": 7}))
    assert values(kafka, topic, value_format="avro", schema=json.dumps(schema)) == [{"id": 7}]


def test_a_schema_that_evolves_is_read_as_the_newest_says(kafka, registry):
    topic = new_topic(kafka)
    old = record(("id", "int", {}), ("gone", "string", {}))
    new = record(
        ("id", "long", {}),
        ("more", ["null", "string"], {"default": None}),
        ("raw", "bytes", {"default": "\u00ff"}),
        ("n", "int", {"default": 5}),
    )
    first = registry.add(f"{topic}-value", old)
    kafka.produce(topic, [(None, framed(first, avro(old, {"id": 1, "gone": "x"})))])
    assert values(kafka, topic, value_format="avro", registry=registry.url) == [{"id": 1, "gone": "x"}]
    second = registry.add(f"{topic}-value", new)
    kafka.produce(topic, [(None, framed(second, avro(new, {"id": 2**40, "more": "y", "raw": b"z", "n": 6})))])
    assert values(kafka, topic, value_format="avro", registry=registry.url) == [
        {"id": 1, "more": None, "raw": b"\xff", "n": 5},
        {"id": 2**40, "more": "y", "raw": b"z", "n": 6},
    ]
    # A reader that asks for the older one: what is too long for it is a bad value.
    with pytest.raises(bascule.BasculeError, match="the value of message 1 is no avro"):
        values(kafka, topic, value_format="avro", registry=registry.url, schema_id=first)
    assert values(kafka, topic, value_format="avro", registry=registry.url, schema_id=second)[0]["n"] == 5


def test_a_plan_keeps_its_schema(kafka, registry):
    """A version that is registered between plan and read is the next query's."""
    topic = new_topic(kafka)
    old, new = record(("id", "int", {})), record(("id", "int", {}), ("n", "int", {"default": 5}))
    id = registry.add(f"{topic}-value", old)
    kafka.produce(topic, [(None, framed(id, avro(old, {"id": 1})))])
    source = bascule.sources.kafka.KafkaDataSource
    options = {**kafka.options, "topics": topic, "value_format": "avro", "registry": registry.url}
    given = bascule.declared(options, source.OPTIONS)
    planner, reader = source(), source()
    specs = planner.plan_partitions(given)
    registry.add(f"{topic}-value", new)
    (batch,) = reader.read_partition(specs[0], given)
    planner.close()
    reader.close()
    assert batch["value"].to_pylist() == [{"id": 1}]


def test_references_of_a_schema(kafka, registry):
    topic = new_topic(kafka)
    inner = {**record(("x", "int", {}), name="Inner"), "namespace": "acme"}
    registry.add("inner", inner)
    reference = [{"name": "acme.Inner", "subject": "inner", "version": 1}]
    outer = record(("of", "acme.Inner", {}))
    id = registry.add(f"{topic}-value", outer, references=reference)
    whole = record(("of", inner, {}))
    kafka.produce(topic, [(None, framed(id, avro(whole, {"of": {"x": 3}})))])
    assert values(kafka, topic, value_format="avro", registry=registry.url) == [{"of": {"x": 3}}]


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        (record(("u", ["int", "string"], {})), r"value\.u is a union of several types"),
        (record(("again", ["null", "Order"], {})), "which holds itself"),
    ],
    ids=["union", "recursive"],
)
def test_what_no_column_can_hold_is_said_at_once(kafka, schema, message):
    topic = held(kafka, b"")
    with pytest.raises(bascule.BasculeError, match=message):
        values(kafka, topic, value_format="avro", schema=json.dumps(schema))


# ---- Protobuf ----


def descriptor(**more) -> descriptor_pb2.FileDescriptorProto:
    """message Other {}; message Order { int64 id = 1; optional string note = 2; repeated Item items = 3; ... }"""
    file = descriptor_pb2.FileDescriptorProto(name="order.proto", package="acme", syntax="proto3")
    file.dependency.append("google/protobuf/timestamp.proto")
    file.message_type.add(name="Other")
    order = file.message_type.add(name="Order")
    kinds = descriptor_pb2.FieldDescriptorProto
    order.field.add(name="id", number=1, type=kinds.TYPE_INT64, label=1)
    order.field.add(name="note", number=2, type=kinds.TYPE_STRING, label=1, proto3_optional=True, oneof_index=0)
    order.oneof_decl.add(name="_note")
    order.field.add(name="items", number=3, type=kinds.TYPE_MESSAGE, label=3, type_name=".acme.Order.Item")
    order.field.add(name="at", number=4, type=kinds.TYPE_MESSAGE, label=1, type_name=".google.protobuf.Timestamp")
    order.field.add(name="kind", number=5, type=kinds.TYPE_ENUM, label=1, type_name=".acme.Kind")
    order.field.add(name="counts", number=6, type=kinds.TYPE_MESSAGE, label=3, type_name=".acme.Order.CountsEntry")
    order.nested_type.add(name="Item").field.add(name="x", number=1, type=kinds.TYPE_DOUBLE, label=1)
    entry = order.nested_type.add(name="CountsEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=kinds.TYPE_STRING, label=1)
    entry.field.add(name="value", number=2, type=kinds.TYPE_INT32, label=1)
    kind = file.enum_type.add(name="Kind")
    kind.value.add(name="NONE", number=0)
    kind.value.add(name="BIG", number=1)
    for name in more.get("fields", ()):
        order.field.add(name=name, number=20, type=kinds.TYPE_INT32, label=1)
    return file


def message_of(file, name="acme.Order"):
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))


@pytest.mark.parametrize("executor", ["inprocess", "process"])
def test_protobuf_by_the_descriptors_of_a_registry(kafka, registry, executor):
    topic = new_topic(kafka)
    file = descriptor()
    id = registry.add(f"{topic}-value", file, "PROTOBUF")
    made = message_of(file)(id=5, note="é", kind=1, counts={"a": 1})
    made.items.add(x=0.5)
    made.at.FromDatetime(datetime.datetime(2026, 1, 31, 12))
    second = bytes([2, 2])  # one index, 1, as a zigzag varint
    kafka.produce(topic, [(None, framed(id, second + made.SerializeToString())), (None, framed(id, second))])
    options = {"value_format": "protobuf", "message": "acme.Order", "registry": registry.url, "executor": executor}
    assert values(kafka, topic, **options) == [
        {
            "id": 5,
            "note": "é",
            "items": [{"x": 0.5}],
            "at": datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC),
            "kind": "BIG",
            "counts": [("a", 1)],
        },
        {"id": 0, "note": None, "items": [], "at": None, "kind": "NONE", "counts": []},
    ]


def test_a_message_that_evolves_and_another_message(kafka, registry):
    topic = new_topic(kafka)
    old, new = descriptor(), descriptor(fields=["added"])
    first = registry.add(f"{topic}-value", old, "PROTOBUF")
    registry.add(f"{topic}-value", new, "PROTOBUF")
    kafka.produce(topic, [(None, framed(first, b"\2\2" + message_of(old)(id=1).SerializeToString()))])
    options = {"value_format": "protobuf", "message": "acme.Order", "registry": registry.url}
    assert [(row["id"], row["added"]) for row in values(kafka, topic, **options)] == [(1, 0)]
    kafka.produce(topic, [(None, framed(first, b"\0"))])
    with pytest.raises(bascule.BasculeError, match=r"message 1 is no protobuf: it is acme\.Other, not acme\.Order"):
        values(kafka, topic, **options)
    with pytest.raises(bascule.BasculeError, match=r"has no message acme\.Nothing: it has acme\.Other, acme\.Order"):
        values(kafka, topic, **{**options, "message": "acme.Nothing"})


# ---- bad ones ----

BAD = {
    "string": (b"\xff", {"value_format": "string"}, "no text: it is no UTF-8"),
    "json": (b'{"id": ', {"value_format": "json", "schema": "id BIGINT"}, "no json: "),
    "list": (b"[1]", {"value_format": "json", "schema": "id BIGINT"}, "no json: it is a list, no object"),
    "misfit": (b'{"id": "x"}', {"value_format": "json", "schema": "id BIGINT"}, "no json: "),
    "avro": (b"", {"value_format": "avro", "schema": json.dumps(record(("id", "long", {})))}, "no avro: "),
    "left": (b"\2\2", {"value_format": "avro", "schema": json.dumps(record(("id", "long", {})))}, "1 bytes are left"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_poison_message_is_an_error_or_skipped_or_null(kafka, kind):
    bad, options, words = BAD[kind]
    good = {"string": b"ok", "avro": b"\2", "left": b"\2"}.get(kind, b'{"id": 1}')
    topic = held(kafka, good, bad, good)
    with pytest.raises(bascule.BasculeError, match="the value of message 1 is") as e:
        values(kafka, topic, **options)
    assert words in str(e.value)
    assert "bad_messages := 'skip'" in str(e.value)
    first = values(kafka, topic, bad_messages="skip", **options)
    assert len(first) == 2
    assert first[0] == first[1]
    assert values(kafka, topic, bad_messages="null", **options) == [first[0], None, first[0]]
    # Whichever columns are read, the same rows are there.
    skipped = table(kafka, topic, bad_messages="skip", **options)
    assert skipped.select("offset").to_arrow()["offset"].to_pylist() == [0, 2]
    assert skipped.count() == 2


def test_keys_that_are_no_texts(kafka):
    topic = new_topic(kafka)
    kafka.produce(topic, [(b"a", b"1"), (b"\xff", b"2"), (None, b"3")])
    with pytest.raises(bascule.BasculeError, match="the key of message 1 is no text"):
        table(kafka, topic, key_format="string").to_arrow()
    rows = table(kafka, topic, key_format="string", bad_messages="skip").select("key", "value").to_arrow()
    assert rows.to_pylist() == [{"key": "a", "value": b"1"}, {"key": None, "value": b"3"}]


def test_values_that_name_no_schema_or_one_that_is_not_there(kafka, registry):
    topic = new_topic(kafka)
    schema = record(("id", "long", {}))
    id = registry.add(f"{topic}-value", schema)
    good = framed(id, avro(schema, {"id": 1}))
    kafka.produce(topic, [(None, good), (None, b"x"), (None, framed(9999, b"\2"))])
    options = {"value_format": "avro", "registry": registry.url}
    with pytest.raises(
        bascule.BasculeError, match="message 1 is no avro: it does not begin with 0 and the id of a schema"
    ):
        values(kafka, topic, **options)
    assert values(kafka, topic, bad_messages="null", **options) == [{"id": 1}, None, None]
    assert values(kafka, topic, bad_messages="skip", **options) == [{"id": 1}]


def test_the_registry_is_down_refuses_or_fails(kafka, registry):
    topic = held(kafka, b"")
    options = {"value_format": "avro", "registry": closed_port()}
    with pytest.raises(bascule.BasculeError, match=r"the schema registry http.* gives no answer"):
        values(kafka, topic, **options)
    options["registry"] = registry.url
    with pytest.raises(bascule.BasculeError, match=f"has not the newest schema of '{topic}-value': 404"):
        values(kafka, topic, **options)
    registry.fails = 503
    with pytest.raises(bascule.BasculeError, match=r"gives no answer for .*503 made"):
        values(kafka, topic, **options)


def test_a_registry_with_a_password(kafka):
    server = RegistryServer(("me", "canary-word"))
    try:
        topic = new_topic(kafka)
        schema = record(("id", "long", {}))
        id = server.add(f"{topic}-value", schema)
        kafka.produce(topic, [(None, framed(id, avro(schema, {"id": 1})))])
        options = {"value_format": "avro", "registry": server.url, "registry_user": "me"}
        assert values(kafka, topic, registry_password="canary-word", **options) == [{"id": 1}]
        with pytest.raises(bascule.BasculeError, match=r"refuses .* 401 Unauthorized\. Check registry_user") as e:
            values(kafka, topic, registry_password="canary-other", **options)
        assert "canary" not in str(e.value)
    finally:
        server.close()


def test_options_that_don_t_fit_together(kafka):
    topic = held(kafka, b"")
    for options, words in (
        ({"schema": "id BIGINT"}, "it is for json and avro"),
        ({"registry": "http://127.0.0.1:1"}, "it is for json, avro and protobuf"),
        ({"value_format": "json"}, "option 'schema' is missing"),
        ({"value_format": "avro"}, "values of Avro need a schema"),
        ({"value_format": "avro", "schema": "{}"}, "option 'schema' is no schema of Avro"),
        ({"value_format": "protobuf"}, "values of Protobuf need a registry"),
    ):
        with pytest.raises(bascule.BasculeError, match=words):
            values(kafka, topic, **options)
