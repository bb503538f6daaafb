"""The files of one source: which they are, their columns, and each part's rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import pyarrow as pa

from bascule import BasculeError, Statistics
from bascule.filters import Filter
from bascule.sources.files import _hive
from bascule.sources.files._formats import FORMATS, Format, Parquet, Parsed, format_of, is_compressed
from bascule.sources.files._storage import File, Storage, open_storage

__all__ = ["Files", "Found"]


class Found(NamedTuple):
    """A file, its storage, and which of the option's paths it is of."""

    storage: Storage
    file: File
    of: int


def find(options: Mapping[str, Any]) -> list[Found]:
    """All files, path after path."""
    found = []
    for i, path in enumerate(options["path"]):
        storage, pattern = open_storage(path, options)
        found += [Found(storage, file, i) for file in storage.find(pattern)]
    return found


class Files:
    """A source's columns and format, and how its files are read.

    Args:
        options: the source's, typed.
        schema: of all columns.
        hive: names of those that are folders.
        format: its name; "": the ``parser``.
    """

    def __init__(self, options: Mapping[str, Any], schema: pa.Schema, hive: Sequence[str], format: str) -> None:
        self.options = options
        self.schema = schema
        self.hive: dict[str, pa.DataType] = {name: schema.field(name).type for name in hive}
        #: Without the columns of folders.
        self.inner: pa.Schema = pa.schema([field for field in schema if field.name not in self.hive])
        self.format: Format = FORMATS[format](options) if format else Parsed(options)
        self._format = format
        self._storages: dict[int, Storage] = {}
        self.found: list[Found] = []

    @classmethod
    def opened(cls, options: Mapping[str, Any]) -> Files:
        """Lists the files, and looks at the first one for its columns."""
        found = find(options)
        first = found[0]
        format = "" if options["parser"] else options["format"] or format_of(first.file.path)
        hive = _hive.columns_of([one.file.path for one in found]) if options["hive"] else {}
        bare = cls(options, pa.schema(list(hive.items())), list(hive), format)
        inner = bare._used(first, "read the columns of", lambda opened: bare.format.schema(opened, first.file.path))
        fields = [field for field in inner if field.name not in hive]
        files = cls(options, pa.schema([*fields, *hive.items()], inner.metadata), list(hive), format)
        files.found = found
        return files

    def again(self) -> Files:
        """The same source with the files that are there now."""
        files = Files(self.options, self.schema, list(self.hive), self._format)
        files.found = find(self.options)
        return files

    def spec(self) -> dict[str, Any]:
        """What reads its parts elsewhere: see :meth:`of_spec`."""
        return {"schema": self.schema.serialize().to_pybytes(), "hive": list(self.hive), "format": self._format}

    @classmethod
    def of_spec(cls, options: Mapping[str, Any], spec: dict[str, Any]) -> Files:
        """The source of a :meth:`spec`; no file is listed."""
        return cls(options, pa.ipc.read_schema(pa.py_buffer(spec["schema"])), spec["hive"], spec["format"])

    def _used(self, found: Found, doing: str, use: Any) -> Any:
        with found.storage.open(found.file) as opened:
            try:
                return use(opened)
            except (OSError, pa.ArrowException) as e:
                raise found.storage.failed(doing, found.file, e) from None

    # ---- predicates ----

    def is_of_folders(self, filter: Filter) -> bool:
        return _hive.is_about(filter, self.hive)

    def kept(self, filters: Sequence[Filter]) -> list[Found]:
        """The files that may hold rows of which all are true."""
        about = [filter for filter in filters if self.is_of_folders(filter)]
        kept = _hive.kept([self._values(one.file.path) for one in self.found], self.hive, about)
        return [self.found[i] for i in kept]

    def _values(self, path: str) -> dict[str, Any]:
        try:
            return _hive.values_of(path, self.hive)
        except (KeyError, ValueError):
            shown = ", ".join(f"{name} {type_}" for name, type_ in self.hive.items())
            raise BasculeError(
                f"{path} has other folders than the files that were there first, whose columns are {shown}: open the source anew"
            ) from None

    # ---- size ----

    def statistics(self) -> Statistics:
        """Bytes as listed; rows by the first footer, where there are footers."""
        total = sum(one.file.size for one in self.found)
        if not isinstance(self.format, Parquet):
            return Statistics(None, False, total)
        first = self.found[0].file
        rows = sum(n for _, n in self._first_groups)
        return Statistics(rows * total // max(1, first.size), len(self.found) == 1, total)

    @cached_property
    def _first_groups(self) -> list[tuple[int, int]]:
        return self.row_groups(self.found[0])

    def row_groups(self, found: Found) -> list[tuple[int, int]]:
        """Bytes and rows of each row group of a Parquet file."""
        assert isinstance(self.format, Parquet)
        groups: list[tuple[int, int]] = self._used(found, "read the footer of", self.format.row_groups)
        return groups

    def splits_by_bytes(self, file: File) -> bool:
        return self.format.splits_by_bytes and not is_compressed(file.path)

    # ---- rows ----

    def read(
        self, part: dict[str, Any], columns: Sequence[str] | None, filters: Sequence[Filter], limit: int | None = None
    ) -> Iterator[pa.RecordBatch]:
        """The rows of one part: ``path`` and ``size`` of a file, ``of`` which of the option's paths it is, ``part`` of it; of
        more than ``limit`` about so many.
        """
        of = part["of"]
        if of not in self._storages:
            self._storages[of] = open_storage(self.options["path"][of], self.options)[0]
        storage, file = self._storages[of], File(part["path"], part["size"])
        about = [filter for filter in filters if self.is_of_folders(filter)]
        values = self._values(file.path)
        if not _hive.kept([values], self.hive, about):
            return
        names = self.schema.names if columns is None else list(columns)
        inner = [name for name in names if name not in self.hive]
        with storage.open(file) as opened:
            try:
                for batch in self.format.read(opened, file.path, self.inner, inner, part["part"], filters, limit):
                    yield self._with_folders(batch, names, values)
            except (OSError, pa.ArrowException) as e:
                raise storage.failed("read", file, e) from None

    def _with_folders(self, batch: pa.RecordBatch, names: Sequence[str], values: dict[str, Any]) -> pa.RecordBatch:
        """A batch and the columns of its folders, as far as they are asked for. What the file has beside is left out."""
        fields = [batch.schema.field(name) for name in names if name in batch.schema.names and name not in self.hive]
        arrays = [batch.column(field.name) for field in fields]
        for name in (name for name in names if name in self.hive):
            fields.append(pa.field(name, self.hive[name]))
            arrays.append(pa.repeat(pa.scalar(values[name], self.hive[name]), batch.num_rows))
        if not arrays:
            return pa.RecordBatch.from_struct_array(pa.StructArray.from_buffers(pa.struct([]), batch.num_rows, [None]))
        return pa.record_batch(arrays, schema=pa.schema(fields))
