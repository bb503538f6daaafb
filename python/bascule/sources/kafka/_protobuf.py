"""Values of Protobuf, by descriptors of a schema registry: messages as structs."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from bascule import BasculeError, OptionError
from bascule.sources.kafka._registry import Registered, Registry

__all__ = ["Protobuf"]

#: FieldDescriptor.TYPE_*: https://protobuf.dev/reference/protobuf/google.protobuf/#field-kind
_PLAIN = {
    1: pa.float64(),
    2: pa.float32(),
    3: pa.int64(),
    4: pa.uint64(),
    5: pa.int32(),
    6: pa.uint64(),
    7: pa.uint32(),
    8: pa.bool_(),
    9: pa.string(),
    12: pa.binary(),
    13: pa.uint32(),
    14: pa.string(),  # an enum's name
    15: pa.int32(),
    16: pa.int64(),
    17: pa.int32(),
    18: pa.int64(),
}
_ENUM, _MESSAGES = 14, (10, 11)
_TIMESTAMP, _DURATION = "google.protobuf.Timestamp", "google.protobuf.Duration"
_WRAPPERS = "google.protobuf.{}Value"


class Protobuf:
    """Reads values that begin with an id of a registry and with which message of its schema they are.

    Args:
        message: its full name; None: the schema's first.
        registry: where schemas are; None is an error.
        newest: the schema that the columns are of, serialized.

    Raises:
        OptionError: there is no registry, no such message, or what Arrow has no type for.
    """

    def __init__(self, message: str | None, registry: Registry | None, newest: Callable[[], Registered]) -> None:
        try:
            import google.protobuf  # noqa: F401
        except ImportError:
            raise BasculeError("values of Protobuf need protobuf: pip install 'bascule[kafka]'") from None
        if registry is None:
            raise OptionError("values of Protobuf need a registry: option registry")
        self._registry = registry
        found = newest()
        what = f"the schema {found.id}"
        file = _file(found, what)
        named = {one.full_name: one for one in _all(file)}
        if message is not None and message not in named:
            raise OptionError(f"{what} has no message {message}: it has {', '.join(named)}")
        if not named:
            raise OptionError(f"{what} has no message")
        self._message = named[message or next(iter(named))]
        self.type: pa.DataType = _struct(self._message, "value", ())
        self._files: dict[int, Any] = {}

    def decode(self, value: bytes, id: int | None) -> Any:
        """Raises ValueError where it is none of its schema, or another message."""
        assert id is not None
        if id not in self._files:
            self._files[id] = _file(self._registry.by_id(id, serialized=True), f"the schema {id}")
        path, at = _indexes(value)
        descriptor = _nth(self._files[id], path)
        if descriptor.full_name != self._message.full_name:
            raise ValueError(f"it is {descriptor.full_name}, not {self._message.full_name}")
        from google.protobuf import message, message_factory

        try:
            found = message_factory.GetMessageClass(descriptor).FromString(value[at:])
        except message.DecodeError as e:
            raise ValueError(str(e)) from None
        return _value(found, self._message)


def _file(found: Registered, what: str) -> Any:
    """The descriptor of a schema's file, in a pool of its own."""
    from google.protobuf import descriptor_pb2, descriptor_pool

    if found.kind != "PROTOBUF":
        raise OptionError(f"{what} is {found.kind}, not PROTOBUF")
    pool = descriptor_pool.DescriptorPool()
    added: set[str] = set()

    def add(one: Registered, name: str | None) -> str:
        file = descriptor_pb2.FileDescriptorProto()
        try:
            file.ParseFromString(base64.b64decode(one.text, validate=True))
        except Exception as e:  # binascii's, protobuf's
            raise OptionError(
                f"{what} is no serialized descriptor: {type(e).__name__}: {e}. The registry has to know format=serialized"
            ) from None
        file.name = name or file.name or "value.proto"
        for import_name in file.dependency:
            if import_name in added:
                continue
            added.add(import_name)
            if import_name in one.references:
                add(one.references[import_name], import_name)
            else:
                _well_known(pool, import_name, what)
        pool.Add(file) if hasattr(pool, "Add") else pool.AddSerializedFile(file.SerializeToString())
        return str(file.name)

    try:
        return pool.FindFileByName(add(found, None))
    except (TypeError, KeyError) as e:
        raise OptionError(f"{what} is no sound descriptor: {e}") from None


def _well_known(pool: Any, name: str, what: str) -> None:
    """google/protobuf/timestamp.proto and its like, as the library has them."""
    import importlib

    try:
        module = importlib.import_module(name.removesuffix(".proto").replace("/", ".") + "_pb2")
    except ImportError:
        raise OptionError(f"{what} imports {name}, which it has no reference to") from None
    pool.AddSerializedFile(module.DESCRIPTOR.serialized_pb)


def _all(holder: Any) -> list[Any]:
    """Messages with those within them, in the order of their file."""
    here = getattr(holder, "message_types_by_name", None)
    ordered = list(here.values()) if here is not None else list(holder.nested_types)
    found = []
    for one in ordered:
        if not one.GetOptions().map_entry:
            found += [one, *_all_within(one)]
    return found


def _all_within(message: Any) -> list[Any]:
    found = []
    for one in message.nested_types:
        if not one.GetOptions().map_entry:
            found += [one, *_all_within(one)]
    return found


def _nth(file: Any, path: list[int]) -> Any:
    """The message that indexes name, by the order of definition."""
    try:
        found = list(file.message_types_by_name.values())[path[0]]
        for i in path[1:]:
            found = list(found.nested_types)[i]
    except IndexError:
        raise ValueError(f"it is message {path} of its schema, which has not as many") from None
    return found


def _indexes(value: bytes) -> tuple[list[int], int]:
    """Which message it is, and where its bytes begin: zigzag varints, their number first; 0 alone is the first one."""
    n, at = _varint(value, 0)
    if n == 0:
        return [0], at
    path = []
    for _ in range(n):
        i, at = _varint(value, at)
        path.append(i)
    return path, at


def _varint(value: bytes, at: int) -> tuple[int, int]:
    found = shift = 0
    while True:
        if at >= len(value) or shift > 28:
            raise ValueError("it ends within the indexes of its message")
        found |= (value[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not value[at - 1] & 0x80:
            number = (found >> 1) ^ -(found & 1)
            if number < 0 or number > 10_000:
                raise ValueError("the indexes of its message are none")
            return number, at


# ---- types and values ----


def _is_map(field: Any) -> bool:
    return field.type == 11 and bool(field.message_type.GetOptions().map_entry)


def _is_repeated(field: Any) -> bool:
    return bool(field.is_repeated if hasattr(field, "is_repeated") else field.label == 3)


def _wrapped(name: str) -> bool:
    kinds = ("Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes")
    return name in map(_WRAPPERS.format, kinds)


def _struct(message: Any, where: str, within: tuple[str, ...]) -> pa.DataType:
    if message.full_name in within:
        raise OptionError(f"{where} is {message.full_name}, which holds itself: there is no column for it")
    within = (*within, message.full_name)
    return pa.struct([(field.name, _type(field, f"{where}.{field.name}", within)) for field in message.fields])


def _type(field: Any, where: str, within: tuple[str, ...]) -> pa.DataType:
    if _is_map(field):
        key, value = field.message_type.fields_by_name["key"], field.message_type.fields_by_name["value"]
        return pa.map_(_one(key, where, within), _one(value, where, within))
    kind = _one(field, where, within)
    return pa.list_(kind) if _is_repeated(field) else kind


def _one(field: Any, where: str, within: tuple[str, ...]) -> pa.DataType:
    if field.type not in _MESSAGES:
        return _PLAIN[field.type]
    name = field.message_type.full_name
    if name == _TIMESTAMP:
        return pa.timestamp("us", "UTC")  # of nanoseconds the years are from 1677 to 2262
    if name == _DURATION:
        return pa.duration("us")
    if _wrapped(name):
        return _PLAIN[field.message_type.fields_by_name["value"].type]
    return _struct(field.message_type, where, within)


def _value(message: Any, known: Any) -> dict[str, Any]:
    """The fields that the columns have; what a writer's schema has beside is left out, what it has not is its default, as Protobuf has it."""
    there = message.DESCRIPTOR.fields_by_number
    return {field.name: _field(message, there.get(field.number), field) for field in known.fields}


def _field(message: Any, field: Any, known: Any) -> Any:
    if field is None:
        if known.has_presence or _is_map(known) or _is_repeated(known):
            return [] if _is_map(known) or _is_repeated(known) else None
        return _enum(known, known.default_value) if known.type == _ENUM else known.default_value
    if field.type != known.type and {field.type, known.type} - set(_PLAIN):
        raise ValueError(f"field {field.name} is of another type than in the newest schema")
    value = getattr(message, field.name)
    if _is_map(field):
        of = known.message_type.fields_by_name["value"]
        return [(key, _single(value[key], field.message_type.fields_by_name["value"], of)) for key in value]
    if _is_repeated(field):
        return [_single(one, field, known) for one in value]
    if field.has_presence and not message.HasField(field.name):
        return None
    return _single(value, field, known)


def _single(value: Any, field: Any, known: Any) -> Any:
    if field.type == _ENUM:
        return _enum(field, value)
    if field.type not in _MESSAGES:
        return value
    name = field.message_type.full_name
    if name in (_TIMESTAMP, _DURATION):
        return value.seconds * 1_000_000 + value.nanos // 1000
    if _wrapped(name):
        return value.value
    return _value(value, known.message_type)


def _enum(field: Any, number: int) -> str:
    found = field.enum_type.values_by_number.get(number)
    return str(number) if found is None else str(found.name)
