"""Values of Avro: its types as Arrow's, each value resolved from its writer's schema to the reader's."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa

from bascule import BasculeError, OptionError
from bascule.sources.kafka._registry import Registered, Registry

__all__ = ["Avro"]

_PLAIN = {
    "boolean": pa.bool_(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "bytes": pa.binary(),
    "string": pa.string(),
    "enum": pa.string(),
}
_LOGICAL: dict[str, pa.DataType] = {
    "date": pa.date32(),
    "time-millis": pa.time32("ms"),
    "time-micros": pa.time64("us"),
    "timestamp-millis": pa.timestamp("ms", "UTC"),
    "timestamp-micros": pa.timestamp("us", "UTC"),
    "local-timestamp-millis": pa.timestamp("ms"),
    "local-timestamp-micros": pa.timestamp("us"),
}


class Avro:
    """Reads values that begin with an id of a registry, or, without one, have the reader's schema.

    Args:
        text: the reader's schema as JSON; None: the newest of the subject.
        registry: None: there is none.
        newest: the reader's schema of the registry.

    Raises:
        OptionError: it is no schema, or has what Arrow has no type for.
    """

    def __init__(self, text: str | None, registry: Registry | None, newest: Callable[[], Registered]) -> None:
        try:
            import fastavro
        except ImportError:
            raise BasculeError("values of Avro need fastavro: pip install 'bascule[kafka]'") from None
        self._fastavro, self._registry = fastavro, registry
        if text is not None:
            self._reader = self._parsed(text, {}, "option 'schema'")
        elif registry is not None:
            found = newest()
            self._reader = self._of(found, f"the schema {found.id}")
        else:
            raise OptionError("values of Avro need a schema: option schema, or registry")
        _mend_defaults(self._reader)
        self.type: pa.DataType = _Types().of(self._reader)
        self._writers: dict[int, Any] = {}

    def decode(self, value: bytes, id: int | None) -> Any:
        """Raises ValueError where it is none of its schema, or doesn't fit the reader's."""
        writer = self._reader if id is None else self._writer(id)
        stream = io.BytesIO(value)
        try:
            found = self._fastavro.schemaless_reader(stream, writer, self._reader)
        except Exception as e:  # of any kind, for bytes that are none of Avro
            raise ValueError(f"{type(e).__name__}: {e}" if str(e) else type(e).__name__) from None
        if rest := len(value) - stream.tell():
            raise ValueError(f"{rest} bytes are left behind what the schema has")
        return found

    def _writer(self, id: int) -> Any:
        if id not in self._writers:
            assert self._registry is not None
            self._writers[id] = self._of(self._registry.by_id(id), f"the schema {id}")
        return self._writers[id]

    def _of(self, found: Registered, what: str) -> Any:
        if found.kind != "AVRO":
            raise OptionError(f"{what} is {found.kind}, not AVRO")
        named: dict[str, Any] = {}
        for name, reference in found.references.items():
            self._parsed(reference.text, named, name)
        return self._parsed(found.text, named, what)

    def _parsed(self, text: str, named: dict[str, Any], what: str) -> Any:
        try:
            return _without_uuids(self._fastavro.parse_schema(json.loads(text), named_schemas=named, expand=True))
        except Exception as e:  # fastavro's and json's
            raise OptionError(f"{what} is no schema of Avro: {type(e).__name__}: {e}") from None


def _without_uuids(schema: Any) -> Any:
    """They are texts, as which Arrow has them."""
    if isinstance(schema, list):
        return [_without_uuids(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {name: _without_uuids(of) for name, of in schema.items() if name not in ("default", "logicalType")}
    for name in ("default", "logicalType"):
        if name in schema and schema[name] != "uuid":
            kept[name] = schema[name]
    return kept


def _mend_defaults(schema: Any) -> None:
    """Defaults of bytes are texts of ISO-8859-1 in a schema."""
    if isinstance(schema, list):
        for one in schema:
            _mend_defaults(one)
    elif isinstance(schema, dict):
        for field in schema.get("fields", ()):
            kind = field["type"][0] if isinstance(field["type"], list) else field["type"]
            kind = kind["type"] if isinstance(kind, dict) else kind
            if kind in ("bytes", "fixed") and isinstance(field.get("default"), str):
                field["default"] = field["default"].encode("latin-1")
        for name in ("type", "items", "values"):
            _mend_defaults(schema.get(name))
        for field in schema.get("fields", ()):
            _mend_defaults(field["type"])


class _Types:
    """Avro's types as Arrow's."""

    def __init__(self) -> None:
        self._within: list[str] = []

    def of(self, schema: Any, where: str = "value") -> pa.DataType:
        if isinstance(schema, list):
            some = [one for one in schema if one != "null"]
            if len(some) != 1:
                raise OptionError(f"{where} is a union of several types, for which there is no column")
            return self.of(some[0], where)
        if isinstance(schema, str):
            if schema in _PLAIN:
                return _PLAIN[schema]
            if schema == "null":
                return pa.null()
            raise OptionError(f"{where} is {schema}, which holds itself: there is no column for it")
        return self._complex(schema, where)

    def _complex(self, schema: Mapping[str, Any], where: str) -> pa.DataType:
        kind, logical = schema["type"], schema.get("logicalType")
        if logical in _LOGICAL:
            return _LOGICAL[logical]
        if logical == "decimal":
            wide = pa.decimal128 if schema["precision"] <= 38 else pa.decimal256
            return wide(schema["precision"], schema.get("scale", 0))
        if kind == "record":
            if schema["name"] in self._within:
                raise OptionError(f"{where} is {schema['name']}, which holds itself: there is no column for it")
            self._within.append(schema["name"])
            fields = [(field["name"], self.of(field["type"], f"{where}.{field['name']}")) for field in schema["fields"]]
            self._within.pop()
            return pa.struct(fields)
        if kind == "array":
            return pa.list_(self.of(schema["items"], f"{where}[]"))
        if kind == "map":
            return pa.map_(pa.string(), self.of(schema["values"], f"{where}{{}}"))
        if kind == "fixed":
            return pa.binary(schema["size"])
        return self.of(kind, where)
