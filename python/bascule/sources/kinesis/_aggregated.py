"""Records that hold several, as the Kinesis Producer Library writes them: a mark, a Protobuf message, its MD5."""

from __future__ import annotations

import functools
import hashlib
from typing import Any

from bascule import BasculeError

__all__ = ["BrokenError", "needs", "taken_apart"]

_MARK = b"\xf3\x89\x9a\xc2"
_DIGEST_BYTES = 16
_EXTRA = "pip install 'bascule[kinesis]'"


class BrokenError(ValueError):
    """An aggregate, by its mark and its digest, that can't be taken apart."""


def needs() -> None:
    """Raises BasculeError where a library is missing."""
    try:
        import google.protobuf  # noqa: F401
    except ModuleNotFoundError:
        raise BasculeError(f"option 'deaggregate' needs protobuf, which is not installed: {_EXTRA}") from None


def taken_apart(record: dict[str, Any]) -> list[dict[str, Any]]:
    """The records within one, each with the sequence number of all and a number of its own; itself where it is no aggregate.

    Raises:
        BrokenError: it can't be read.
    """
    data: bytes = record["Data"]
    body, digest = data[len(_MARK) : -_DIGEST_BYTES], data[-_DIGEST_BYTES:]
    if not data.startswith(_MARK) or hashlib.md5(body, usedforsecurity=False).digest() != digest:
        return [record]
    from google.protobuf.message import DecodeError

    try:
        found = _message()()
        found.ParseFromString(body)
        keys, hash_keys = found.partition_key_table, found.explicit_hash_key_table
        return [
            {
                **record,
                "Data": each.data,
                "PartitionKey": keys[each.partition_key_index],
                "SubSequenceNumber": i,
                "ExplicitHashKey": hash_keys[each.explicit_hash_key_index]
                if each.HasField("explicit_hash_key_index")
                else None,
            }
            for i, each in enumerate(found.records)
        ]
    except (DecodeError, IndexError, ValueError) as e:
        raise BrokenError(f"an aggregate that can't be taken apart: {str(e) or type(e).__name__}") from None


@functools.lru_cache(maxsize=1)
def _message() -> Any:
    """The format's message, in a pool of its own: other libraries register the same name."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="bascule_kinesis.proto", package="bascule.kinesis", syntax="proto2")
    one = file.message_type.add(name="Record")
    one.field.add(name="partition_key_index", number=1, type=field.TYPE_UINT64, label=field.LABEL_REQUIRED)
    one.field.add(name="explicit_hash_key_index", number=2, type=field.TYPE_UINT64, label=field.LABEL_OPTIONAL)
    one.field.add(name="data", number=3, type=field.TYPE_BYTES, label=field.LABEL_REQUIRED)
    all_ = file.message_type.add(name="AggregatedRecord")
    all_.field.add(name="partition_key_table", number=1, type=field.TYPE_STRING, label=field.LABEL_REPEATED)
    all_.field.add(name="explicit_hash_key_table", number=2, type=field.TYPE_STRING, label=field.LABEL_REPEATED)
    all_.field.add(
        name="records",
        number=3,
        type=field.TYPE_MESSAGE,
        label=field.LABEL_REPEATED,
        type_name=".bascule.kinesis.Record",
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("bascule.kinesis.AggregatedRecord"))
