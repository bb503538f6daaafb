"""From records to Arrow: the columns of a stream, and what becomes of data that is none of its format."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa

import bascule
from bascule import BasculeError, OptionError
from bascule.sources._json import decode, kind_of
from bascule.sources._json_schema import declared_schema
from bascule.sources._json_values import Misfit
from bascule.sources._json_values import Rows as JsonRows
from bascule.sources.kinesis._aggregated import BrokenError, taken_apart
from bascule.sources.kinesis._shards import Record

__all__ = ["Rows"]

_COLUMNS: dict[str, tuple[pa.DataType, Callable[[Record], Any]]] = {
    "partition_key": (pa.string(), lambda r: r["PartitionKey"]),
    "sequence_number": (pa.string(), lambda r: r["SequenceNumber"]),
    "approximate_arrival_timestamp": (pa.timestamp("us", "UTC"), lambda r: r["ApproximateArrivalTimestamp"]),
    "encryption_type": (pa.string(), lambda r: r.get("EncryptionType")),
    "sub_sequence_number": (pa.int64(), lambda r: r.get("SubSequenceNumber")),
    "explicit_hash_key": (pa.string(), lambda r: r.get("ExplicitHashKey")),
}
_OF_AGGREGATES = ("sub_sequence_number", "explicit_hash_key")
_DATA, _SHARD = "data", "shard_id"
_SHOWN = 40


class Rows:
    """Makes record batches of records.

    Args:
        options: the typed options.

    Raises:
        OptionError: format and schema don't fit.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._format: str = options["format"]
        self._policy: str = options["bad_records"]
        self._deaggregates: bool = options["deaggregate"]
        kind: pa.DataType = pa.binary() if self._format == "binary" else pa.string()
        if self._format == "json":
            if options["schema"] is None:
                raise OptionError(
                    "option 'schema' is missing: format is json, so give the columns, id BIGINT, name VARCHAR"
                )
            kind = pa.struct(list(declared_schema(options["schema"], "kinesis")))
        elif options["schema"] is not None:
            raise OptionError(f"option 'schema' is given, but format is {self._format}: it is for json")
        self._json = JsonRows(pa.schema([(_DATA, kind)]), True) if self._format == "json" else None
        fields = [("partition_key", pa.string()), (_DATA, kind), ("sequence_number", pa.string())]
        if self._deaggregates:
            fields.append(("sub_sequence_number", pa.int64()))
        fields += [(_SHARD, pa.string()), ("approximate_arrival_timestamp", pa.timestamp("us", "UTC"))]
        fields += [("encryption_type", pa.string())]
        if self._deaggregates:
            fields.append(("explicit_hash_key", pa.string()))
        self.schema = pa.schema(fields)

    @property
    def keeps_all(self) -> bool:
        """Whether each record is one row."""
        return not self._deaggregates and (self._format == "binary" or self._policy != "skip")

    def batch(self, records: Sequence[Record], stream: str, shard: str, names: Sequence[str]) -> pa.RecordBatch:
        """The records as rows of some columns.

        Raises:
            BasculeError: a record is none of the format, and ``bad_records`` says fail.
        """
        where = f"stream '{stream}', shard '{shard}'"
        if self._deaggregates:
            records = [row for record in records for row in self._apart(record, where)]
        data: pa.Array | None = None
        # Whether a record is bad must not depend on the columns that a query reads.
        if _DATA in names or (self._policy == "skip" and self._format != "binary"):
            records, data = self._data(records, where)
        arrays = [
            data
            if name == _DATA
            else pa.repeat(pa.scalar(shard), len(records))
            if name == _SHARD
            else pa.array(map(_COLUMNS[name][1], records), _COLUMNS[name][0])
            for name in names
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=pa.schema([self.schema.field(name) for name in names]))

    def _data(self, records: Sequence[Record], where: str) -> tuple[Sequence[Record], pa.Array]:
        """The records that are kept, and their data."""
        values = [record["Data"] for record in records]
        if self._format == "binary":
            return records, pa.array(values, pa.binary())
        try:
            return records, self._converted(values)
        except (ValueError, Misfit):  # one of them: which?
            kept: list[Record] = []
            arrays: list[pa.Array] = []
            for record, value in zip(records, values, strict=True):
                try:
                    arrays.append(self._converted([value]))
                except (ValueError, Misfit) as e:
                    self._bad(record, value, e, where)
                    if self._policy == "skip":
                        continue
                    arrays.append(pa.nulls(1, self.schema.field(_DATA).type))
                kept.append(record)
            return kept, pa.concat_arrays(arrays) if arrays else pa.array([], self.schema.field(_DATA).type)

    def _converted(self, values: Sequence[bytes | None]) -> pa.Array:
        """Raises ValueError, Misfit where one is none of the format."""
        if self._json is None:
            return pa.array([None if v is None else v.decode("utf-8") for v in values], pa.string())
        records = []
        for value in values:
            found = None if value is None else decode(value)
            if value is not None and not isinstance(found, dict):
                raise ValueError(f"it is {kind_of(found)}, no object")
            records.append({_DATA: found})
        return self._json.batch(records, [_DATA]).column(0)

    def _apart(self, record: Record, where: str) -> Sequence[Record]:
        try:
            return taken_apart(record)
        except BrokenError as e:
            self._bad(record, record["Data"], e, where)
            return [] if self._policy == "skip" else [{**record, "Data": None}]

    def _bad(self, record: Record, value: bytes, error: Exception, where: str) -> None:
        if self._policy != "fail":
            bascule.report_metric("bad records")
            return
        if isinstance(error, UnicodeDecodeError):
            said = f"it is no UTF-8: {error.reason} at byte {error.start}"
        else:
            said = error.text if isinstance(error, Misfit) else str(error)
        hint = (
            ""
            if self._deaggregates or not value.startswith(b"\xf3\x89\x9a\xc2")
            else ". It looks like an aggregate: set deaggregate := 'true'"
        )
        raise BasculeError(
            f"{where}: the record {record['SequenceNumber']} is no {'text' if self._format == 'string' else self._format}: {said} "
            f"({len(value)} bytes, {value[:_SHOWN]!r}){hint}. Read it as format := 'binary', or set bad_records := 'skip' or 'null'"
        ) from None
