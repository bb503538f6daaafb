"""Formats of files: their columns, what of them can be read apart, and their rows."""

from __future__ import annotations

import functools
import importlib
import io
import operator
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyarrow import csv, ipc, json

from bascule import BasculeError
from bascule.filters import Filter

__all__ = ["FORMATS", "Format", "Parsed", "format_of"]

_CHUNK = 1 << 20
_ROWS = 1 << 17
_AT_ONCE = 16 << 20
_COMPRESSED = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2", ".lz4": "lz4"}


class Format(ABC):
    """One format; ``options`` are the source's, typed."""

    #: Parts of a file, by bytes, may be read apart.
    splits_by_bytes = False

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options

    @abstractmethod
    def schema(self, file: pa.NativeFile, path: str) -> pa.Schema:
        """The columns of a file."""

    @abstractmethod
    def read(
        self,
        file: pa.NativeFile,
        path: str,
        declared: pa.Schema,
        columns: Sequence[str],
        part: Any,
        filters: Sequence[Filter],
        limit: int | None,
    ) -> Iterator[pa.RecordBatch]:
        """The rows of a file, or of one part of it.

        Args:
            declared: the table's columns.
            columns: names of those that are wanted.
            part: None: all of it; (begin, end) in bytes; of Parquet, row groups.
            filters: hints: rows for which they aren't true may be missing.
            limit: how many rows are wanted at most; more may come.
        """


class Parquet(Format):
    """Row groups by their statistics, a few at a time: Arrow's dataset reader would hold most of the file."""

    def schema(self, file: pa.NativeFile, path: str) -> pa.Schema:
        return pq.read_schema(file)

    def row_groups(self, file: pa.NativeFile) -> list[tuple[int, int]]:
        """Bytes and rows of each."""
        metadata = pq.read_metadata(file)
        groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
        return [
            (sum(group.column(j).total_compressed_size for j in range(group.num_columns)), group.num_rows)
            for group in groups
        ]

    def read(
        self,
        file: pa.NativeFile,
        path: str,
        declared: pa.Schema,
        columns: Sequence[str],
        part: Any,
        filters: Sequence[Filter],
        limit: int | None,
    ) -> Iterator[pa.RecordBatch]:
        fragment = ds.ParquetFileFormat().make_fragment(file, row_groups=part)
        # Its footer is read for the one and is the other's, too.
        whole = pq.ParquetFile(file, metadata=fragment.metadata, pre_buffer=True)
        # By its own columns: what differs from what is declared is for the bridge to judge.
        physical = whole.schema_arrow
        hints = [filter for filter in filters if _are_as_declared(filter.columns, physical, declared)]
        condition = _all_of([filter.to_arrow(declared).expression for filter in hints])
        wanted = [name for name in columns if name in physical.names]
        needed = [name for name in physical.names if name in wanted or any(name in f.columns for f in hints)]
        n_rows = _ROWS if limit is None else max(1, min(limit, _ROWS))
        for groups in _at_once(whole.metadata, _kept_groups(fragment, part, condition), needed):
            for batch in whole.iter_batches(n_rows, row_groups=groups, columns=needed):
                yield (batch if condition is None else batch.filter(condition)).select(wanted)


def _are_as_declared(names: Sequence[str], physical: pa.Schema, declared: pa.Schema) -> bool:
    """Are all of these columns of a file what they are in the table?"""
    return all(
        name in physical.names and name in declared.names and physical.field(name).type == declared.field(name).type
        for name in names
    )


def _all_of(expressions: Sequence[Any]) -> Any:
    """Expressions joined by AND, but for those that aren't there; None: there are none."""
    said = [expression for expression in expressions if expression is not None]
    return functools.reduce(operator.and_, said) if said else None


def _kept_groups(fragment: ds.ParquetFileFragment, part: Any, condition: Any) -> list[int]:
    """The row groups of a part that may hold a row of which the condition is true, by their statistics."""
    kept = fragment if condition is None else fragment.subset(condition)
    found = {group.id for group in kept.row_groups}
    # In order: a fragment makes a set of those that it is given, and reads [7, 8, 9] as 8, 9, 7.
    return [group for group in (range(fragment.metadata.num_row_groups) if part is None else part) if group in found]


def _at_once(metadata: pq.FileMetaData, groups: Sequence[int], columns: Sequence[str]) -> Iterator[list[int]]:
    """Row groups that are read together: all bytes of the columns lie in memory then."""
    held: list[int] = []
    n_bytes = 0
    for i in groups:
        group = metadata.row_group(i)
        chunks = (group.column(j) for j in range(group.num_columns))
        size = sum(
            chunk.total_uncompressed_size for chunk in chunks if chunk.path_in_schema.partition(".")[0] in columns
        )
        if held and n_bytes + size > _AT_ONCE:
            yield held
            held, n_bytes = [], 0
        held.append(i)
        n_bytes += size
    if held:
        yield held


class Arrow(Format):
    """Arrow IPC, as a file (Feather 2) or a stream."""

    def _opened(self, file: pa.NativeFile, names: Sequence[str] | None = None) -> Any:
        head = file.read(6)
        file.seek(0)
        if head != b"ARROW1":
            return ipc.open_stream(file)
        whole = ipc.open_file(file)
        if names is None:
            return whole
        included = [i for i, name in enumerate(whole.schema.names) if name in names]
        return ipc.open_file(file, options=ipc.IpcReadOptions(included_fields=included))

    def schema(self, file: pa.NativeFile, path: str) -> pa.Schema:
        return self._opened(file).schema

    def read(
        self,
        file: pa.NativeFile,
        path: str,
        declared: pa.Schema,
        columns: Sequence[str],
        part: Any,
        filters: Sequence[Filter],
        limit: int | None,
    ) -> Iterator[pa.RecordBatch]:
        reader = self._opened(file, columns)
        if isinstance(reader, ipc.RecordBatchStreamReader):
            yield from reader
            return
        for i in range(reader.num_record_batches):
            yield reader.get_batch(i)


class Lines(Format):
    """Formats whose rows are lines: parts begin behind the first line break in them."""

    def stream(self, file: pa.NativeFile, path: str, part: Any) -> Any:
        """The bytes of the lines that begin in a part."""
        if part is not None:
            return io.BufferedReader(_LinesOf(file, *part), _CHUNK)
        kind = next((kind for suffix, kind in _COMPRESSED.items() if path.endswith(suffix)), None)
        return file if kind is None else pa.CompressedInputStream(file, kind)


class _LinesOf(io.RawIOBase):
    """The lines of a file whose first byte is in [begin, end)."""

    def __init__(self, file: pa.NativeFile, begin: int, end: int) -> None:
        self._file = file
        self._end = end
        self._at = max(begin - 1, 0)
        self._is_over = begin >= end
        file.seek(self._at)
        self._held = b""
        if begin and not self._is_over:  # a line that begins at `begin` has a break before it
            self._held = self._behind_break()

    def _chunk(self) -> bytes:
        data = self._file.read(_CHUNK)
        self._at += len(data)
        return bytes(data)

    def _behind_break(self) -> bytes:
        while data := self._chunk():
            found = data.find(b"\n")
            if found >= 0:
                begins = self._at - len(data) + found + 1
                self._is_over = begins >= self._end
                return b"" if self._is_over else self._cut(data[found + 1 :], begins)
        self._is_over = True
        return b""

    def _cut(self, data: bytes, begins: int) -> bytes:
        """Up to the end of the line that holds the last byte of the part."""
        last = self._end - 1
        if begins + len(data) <= last:
            return data
        found = data.find(b"\n", max(0, last - begins))
        if found >= 0:
            self._is_over = True
            return data[: found + 1]
        return data

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._held and not self._is_over:
            begins = self._at
            data = self._chunk()
            if not data:
                self._is_over = True
            self._held = self._cut(data, begins)
        n = min(len(buffer), len(self._held))
        buffer[:n] = self._held[:n]
        self._held = self._held[n:]
        return n


class Csv(Lines):
    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        self.splits_by_bytes = not options["newlines_in_values"]

    def _parse(self) -> csv.ParseOptions:
        return csv.ParseOptions(
            delimiter=self.options["delimiter"],
            quote_char=self.options["quote"] or False,
            escape_char=self.options["escape"] or False,
            newlines_in_values=self.options["newlines_in_values"],
        )

    def _convert(self, **more: Any) -> csv.ConvertOptions:
        nulls = {} if self.options["null_values"] is None else {"null_values": self.options["null_values"]}
        return csv.ConvertOptions(strings_can_be_null=self.options["null_values"] is not None, **nulls, **more)

    def _reading(self, names: list[str] | None = None, skip: int = 0) -> csv.ReadOptions:
        return csv.ReadOptions(
            block_size=self.options["block_bytes"],
            encoding=self.options["encoding"],
            column_names=names,
            skip_rows=skip,
            autogenerate_column_names=names is None and not self.options["header"],
        )

    def schema(self, file: pa.NativeFile, path: str) -> pa.Schema:
        stream = self.stream(file, path, None)
        return csv.open_csv(stream, self._reading(), self._parse(), self._convert()).schema

    def read(
        self,
        file: pa.NativeFile,
        path: str,
        declared: pa.Schema,
        columns: Sequence[str],
        part: Any,
        filters: Sequence[Filter],
        limit: int | None,
    ) -> Iterator[pa.RecordBatch]:
        names = None
        if part is not None and part[0]:  # the names stand where it begins
            names = self.schema(file, path).names
        convert = self._convert(column_types=_of(declared, columns), include_columns=columns)
        stream = self.stream(file, path, part)
        try:
            reader = csv.open_csv(stream, self._reading(names), self._parse(), convert)
        except pa.ArrowInvalid as e:
            if "Empty CSV" in str(e):  # no line begins in this part
                return
            raise
        yield from reader


class Json(Lines):
    """A JSON object a line."""

    splits_by_bytes = True

    def schema(self, file: pa.NativeFile, path: str) -> pa.Schema:
        return json.open_json(
            self.stream(file, path, None), json.ReadOptions(block_size=self.options["block_bytes"])
        ).schema

    def read(
        self,
        file: pa.NativeFile,
        path: str,
        declared: pa.Schema,
        columns: Sequence[str],
        part: Any,
        filters: Sequence[Filter],
        limit: int | None,
    ) -> Iterator[pa.RecordBatch]:
        parse = json.ParseOptions(explicit_schema=_of(declared, columns), unexpected_field_behavior="ignore")
        stream = self.stream(file, path, part)
        try:
            reader = json.open_json(stream, json.ReadOptions(block_size=self.options["block_bytes"]), parse)
        except pa.ArrowInvalid as e:
            if "Empty JSON" in str(e):
                return
            raise
        yield from reader


class Parsed(Format):
    """Any other format, by a class of the user's: ``schema(file)`` and ``read(file)``."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        module, _, name = options["parser"].partition(":")
        try:
            cls = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError, ValueError) as e:
            raise BasculeError(
                f"the parser {options['parser']!r} can't be found ({e}): it is 'pkg.mod:Class'"
            ) from None
        missing = [method for method in ("schema", "read") if not callable(getattr(cls, method, None))]
        if missing:
            raise BasculeError(f"the parser {options['parser']} has no method {', '.join(missing)}")
        self.parser = cls()

    def schema(self, file: pa.NativeFile, path: str) -> pa.Schema:
        return self.parser.schema(file)

    def read(
        self,
        file: pa.NativeFile,
        path: str,
        declared: pa.Schema,
        columns: Sequence[str],
        part: Any,
        filters: Sequence[Filter],
        limit: int | None,
    ) -> Iterator[pa.RecordBatch]:
        for item in self.parser.read(file):
            yield from pa.table(item).to_batches()


def _of(schema: pa.Schema, names: Sequence[str]) -> pa.Schema:
    """Some of its columns."""
    return pa.schema([schema.field(name) for name in names])


FORMATS: dict[str, type[Format]] = {"parquet": Parquet, "csv": Csv, "json": Json, "arrow": Arrow}
_SUFFIXES = {
    ".parquet": "parquet",
    ".parq": "parquet",
    ".csv": "csv",
    ".tsv": "csv",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
    ".arrow": "arrow",
    ".arrows": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
}


def format_of(path: str) -> str:
    """The format of a file by its suffix.

    Raises:
        BasculeError: it says none.
    """
    name = path.lower()
    for suffix in _COMPRESSED:
        name = name.removesuffix(suffix)
    for suffix, kind in _SUFFIXES.items():
        if name.endswith(suffix):
            return kind
    raise BasculeError(
        f"the format of {path} is not clear by its name: give format := {', '.join(FORMATS)}, or a parser"
    )


def is_compressed(path: str) -> bool:
    """It can be read from its beginning only."""
    return path.lower().endswith(tuple(_COMPRESSED))
