"""From messages to Arrow: the columns, and what becomes of values that are none of their format."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import Any

import pyarrow as pa

import bascule
from bascule import BasculeError, OptionError
from bascule.sources._json import decode, kind_of
from bascule.sources._json_schema import declared_schema
from bascule.sources._json_values import Misfit
from bascule.sources._json_values import Rows as JsonRows
from bascule.sources.kafka._avro import Avro
from bascule.sources.kafka._protobuf import Protobuf
from bascule.sources.kafka._registry import Registered, Registry

__all__ = ["Rows"]

_HEADERS = pa.list_(pa.struct([("key", pa.string()), ("value", pa.binary())]))
_SHOWN = 40
_JSON_TYPES = {"string": pa.string(), "integer": pa.int64(), "number": pa.float64(), "boolean": pa.bool_()}


class Rows:
    """Makes record batches of messages.

    Args:
        options: the typed options.
        registry: None: there is none.
        topic: the first one's name, which names the subject of the registry.

    Raises:
        OptionError: formats and schemas don't fit.
    """

    def __init__(self, options: Mapping[str, Any], registry: Registry | None, topic: Callable[[], str]) -> None:
        self._format: str = options["value_format"]
        self._key_is_text = options["key_format"] == "string"
        self._policy: str = options["bad_messages"]
        self._is_framed = registry is not None and self._format in ("json", "avro", "protobuf")
        #: Of the reader's schema, where it is the registry's.
        self.schema_id: int | None = None
        self._codec: Avro | Protobuf | None = None
        self._json: JsonRows | None = None
        text = options["schema"]
        if text is not None and self._format not in ("json", "avro"):
            raise OptionError(f"option 'schema' is given, but value_format is {self._format}: it is for json and avro")
        if registry is not None and not self._is_framed:
            raise OptionError(
                f"option 'registry' is given, but value_format is {self._format}: it is for json, avro and protobuf"
            )

        def newest() -> Registered:
            assert registry is not None
            serialized = self._format == "protobuf"
            if options["schema_id"] is not None:
                found = registry.by_id(options["schema_id"], serialized)
            else:
                found = registry.latest(str(options["subject"] or f"{topic()}-value"), serialized)
            self.schema_id = found.id
            return found

        kind: pa.DataType = pa.binary() if self._format == "binary" else pa.string()
        if self._format == "json":
            kind = _of_json(text, registry, newest)
            self._json = JsonRows(pa.schema([("value", kind)]), True)
        elif self._format == "avro":
            self._codec = Avro(text, registry, newest)
            kind = self._codec.type
        elif self._format == "protobuf":
            self._codec = Protobuf(options["message"], registry, newest)
            kind = self._codec.type
        self.schema = pa.schema(
            [
                ("key", pa.string() if self._key_is_text else pa.binary()),
                ("value", kind),
                ("headers", _HEADERS),
                ("topic", pa.string()),
                ("partition", pa.int32()),
                ("offset", pa.int64()),
                ("timestamp", pa.timestamp("ms", "UTC")),
            ]
        )

    def batch(self, messages: Sequence[Any], topic: str, partition: int, names: Sequence[str]) -> pa.RecordBatch:
        """The messages as rows of some columns.

        Raises:
            BasculeError: a key or a value is none of its format, and ``bad_messages`` says fail.
        """
        where = f"topic '{topic}', partition {partition}"
        made: dict[str, pa.Array] = {}
        # Whether a message is bad must not depend on the columns that a query reads.
        if self._policy == "skip" or "key" in names:
            messages, made["key"] = self._column(messages, where, "key", self._key_is_text)
        if self._policy == "skip" or "value" in names:
            before = messages
            messages, made["value"] = self._column(messages, where, "value", self._format != "binary")
            if len(messages) < len(before) and "key" in made:
                kept = set(map(id, messages))
                made["key"] = made["key"].filter(pa.array([id(message) in kept for message in before]))
        for name in names:
            if name not in made:
                made[name] = self._plain(name, messages, topic, partition)
        if not names:
            empty = pa.StructArray.from_buffers(pa.struct([]), len(messages), [None])
            return pa.RecordBatch.from_struct_array(empty)
        return pa.RecordBatch.from_arrays(
            [made[name] for name in names], schema=pa.schema([self.schema.field(n) for n in names])
        )

    def _plain(self, name: str, messages: Sequence[Any], topic: str, partition: int) -> pa.Array:
        if name == "topic":
            return pa.repeat(pa.scalar(topic), len(messages))
        if name == "partition":
            return pa.repeat(pa.scalar(partition, pa.int32()), len(messages))
        if name == "offset":
            return pa.array([message.offset() for message in messages], pa.int64())
        if name == "timestamp":  # of kind 0 there is none
            moments = [message.timestamp() for message in messages]
            return pa.array([at if kind else None for kind, at in moments], self.schema.field(name).type)
        found = [message.headers() or () for message in messages]
        pairs = [pair for headers in found for pair in headers]
        offsets = pa.array([0, *accumulate(map(len, found))], pa.int32())
        arrays = [
            pa.array([key for key, _ in pairs], pa.string()),
            pa.array([value for _, value in pairs], pa.binary()),
        ]
        return pa.ListArray.from_arrays(offsets, pa.StructArray.from_arrays(arrays, fields=list(_HEADERS.value_type)))

    def _column(
        self, messages: Sequence[Any], where: str, what: str, is_decoded: bool
    ) -> tuple[Sequence[Any], pa.Array]:
        """The messages that are kept, and their keys or values."""
        kind = self.schema.field(what).type
        raw = [getattr(message, what)() for message in messages]
        if not is_decoded:
            return messages, pa.array(raw, kind)
        convert = self._values if what == "value" else _texts
        try:
            return messages, convert(raw)
        except (ValueError, Misfit):  # one of them: which?
            kept: list[Any] = []
            arrays: list[pa.Array] = []
            for message, value in zip(messages, raw, strict=True):
                try:
                    arrays.append(convert([value]))
                except (ValueError, Misfit) as e:
                    self._bad(message, value, what, e, where)
                    if self._policy == "skip":
                        continue
                    arrays.append(pa.nulls(1, kind))
                kept.append(message)
            return kept, pa.concat_arrays(arrays) if arrays else pa.array([], kind)

    def _values(self, values: Sequence[bytes | None]) -> pa.Array:
        """Raises ValueError, Misfit where one is none of the format."""
        if self._format == "string":
            return _texts(values)
        if self._json is not None:
            return self._json.batch([{"value": self._object(value)} for value in values], ["value"]).column(0)
        assert self._codec is not None
        found: list[Any] = []
        for value in values:
            if value is None:
                found.append(None)
                continue
            id, body = self._unframed(value) if self._is_framed else (None, value)
            found.append(self._codec.decode(body, id))
        try:
            return pa.array(found, self._codec.type)
        except (pa.ArrowException, OverflowError, TypeError) as e:
            raise ValueError(str(e)) from None

    def _object(self, value: bytes | None) -> Any:
        if value is None:
            return None
        found = decode(self._unframed(value)[1] if self._is_framed else value)
        if not isinstance(found, dict):
            raise ValueError(f"it is {kind_of(found)}, no object")
        return found

    def _unframed(self, value: bytes) -> tuple[int, bytes]:
        """The id of its schema, and what is behind: https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop"""
        if len(value) < 5 or value[0] != 0:
            raise ValueError("it does not begin with 0 and the id of a schema, as values of a registry do")
        return int.from_bytes(value[1:5], "big"), value[5:]

    def _bad(self, message: Any, value: bytes, what: str, error: Exception, where: str) -> None:
        if self._policy != "fail":
            bascule.report_metric("bad messages")
            return
        if isinstance(error, UnicodeDecodeError):
            said = f"it is no UTF-8: {error.reason} at byte {error.start}"
        else:
            said = error.text if isinstance(error, Misfit) else str(error)
        kind = "text" if what == "key" or self._format == "string" else self._format
        raise BasculeError(
            f"{where}: the {what} of message {message.offset()} is no {kind}: {said} ({len(value)} bytes, {value[:_SHOWN]!r}). Read it as "
            f"{what}_format := 'binary', or set bad_messages := 'skip' or 'null'"
        ) from None


def _texts(values: Sequence[bytes | None]) -> pa.Array:
    return pa.array([None if value is None else value.decode("utf-8") for value in values], pa.string())


def _of_json(text: str | None, registry: Registry | None, newest: Callable[[], Registered]) -> pa.DataType:
    """The type of values of JSON: as declared, or by the registry's JSON Schema."""
    if text is not None:
        return pa.struct(list(declared_schema(text, "kafka")))
    if registry is None:
        raise OptionError(
            "option 'schema' is missing: value_format is json, so give the columns, id BIGINT, name VARCHAR"
        )
    found = newest()
    what = f"the schema {found.id}"
    if found.kind != "JSON":
        raise OptionError(f"{what} is {found.kind}, not JSON")
    try:
        kind = _of_json_schema(json.loads(found.text), "value")
    except ValueError as e:
        raise OptionError(f"{what} has {e}: give schema := 'id BIGINT, …'") from None
    if not pa.types.is_struct(kind):
        raise OptionError(f"{what} is of {kind}, no object")
    return kind


def _of_json_schema(schema: Mapping[str, Any], where: str) -> pa.DataType:
    kind = schema.get("type")
    if isinstance(kind, list):
        some = [one for one in kind if one != "null"]
        kind = some[0] if len(some) == 1 else None
    if kind in _JSON_TYPES:
        return _JSON_TYPES[kind]
    if kind == "object" and schema.get("properties"):
        return pa.struct([(name, _of_json_schema(of, f"{where}.{name}")) for name, of in schema["properties"].items()])
    if kind == "array" and isinstance(schema.get("items"), dict):
        return pa.list_(_of_json_schema(schema["items"], f"{where}[]"))
    raise ValueError(f"no type for {where} that there is a column for")
