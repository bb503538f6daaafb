"""Files in object stores and folders, as ``python('files', path := 's3://bucket/orders/**/*.parquet')``.

Parquet, CSV, JSON lines, Arrow IPC, or any format by a ``parser``. docs/files.md has options, partitions and predicates.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from bascule import ArrowBatchDataSource, Option, Statistics, declared
from bascule.filters import Filter
from bascule.sources.files._files import Files
from bascule.sources.files._parts import parts_of

__all__ = ["FilesDataSource"]

#: For so long the files that were found for the schema are those that the first query plans with.
_FRESH_S = 10.0


def _paths(text: str) -> list[str]:
    """a path, a URL, a glob, or a JSON list of them"""
    if not text.lstrip().startswith("["):
        return [text]
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        found = None
    if not isinstance(found, list) or not found or not all(isinstance(item, str) and item for item in found):
        raise ValueError(_paths.__doc__)
    return found


def _texts(text: str) -> list[str]:
    """texts with commas between them"""
    return text.split(",")


class FilesDataSource(ArrowBatchDataSource):
    """Files of one format as one table.

    Example:
        >>> import pathlib, tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp()) / "year=2026"
        >>> folder.mkdir()
        >>> _ = (folder / "a.csv").write_text("id,name\\n1,Ann\\n")
        >>> options, source = {"path": f"{folder.parent}/**/*.csv"}, FilesDataSource()
        >>> [spec] = source.plan_partitions(options)
        >>> next(source.read_partition(spec, options)).to_pylist()
        [{'id': 1, 'name': 'Ann', 'year': 2026}]
    """

    OPTIONS = (
        Option("path", _paths, required=True, doc="a file, a folder, a glob, or a JSON list of them: s3://, gs://, az://, https://, a path"),
        Option("format", choices=("parquet", "csv", "json", "arrow"), doc="by the first file's suffix, where it isn't given"),
        Option("parser", doc="pkg.mod:Class, for any other format: schema(file) and read(file)"),
        Option("hive", bool, default=True, doc="folders like year=2026 are columns"),
        Option("num_partitions", int, minimum=1, doc="how many partitions; else as many as partition_bytes say, at least one a file up to eight"),
        Option("partition_bytes", int, default=128 << 20, minimum=1, doc="the size of a partition, about"),
        Option("header", bool, default=True, doc="CSV: the first line has the names"),
        Option("delimiter", default=",", doc="CSV"),
        Option("quote", default='"', doc="CSV; empty: none"),
        Option("escape", default="", doc="CSV; empty: none"),
        Option("null_values", _texts, doc="CSV: texts that are NULL, with commas between them"),
        Option("newlines_in_values", bool, default=True, doc="CSV: false where no value has a line break: then large files are split"),
        Option("encoding", default="utf8", doc="CSV"),
        Option("block_bytes", int, default=1 << 20, minimum=1 << 10, doc="CSV, JSON: what is parsed at a time, at least the longest line; types are inferred from the first block"),
        Option("endpoint", doc="another server than the provider's, http://127.0.0.1:9000"),
        Option("region", doc="S3; AWS_REGION where it isn't given, else looked up"),
        Option("anonymous", bool, default=False, doc="read without credentials"),
        Option("access_key_id", doc="S3; where none is given, as the AWS tools find them"),
        Option("secret_access_key", secret=True, doc="S3"),
        Option("session_token", secret=True, doc="S3"),
        Option("access_token", secret=True, doc="GCS; where none is given, the application's default credentials"),
        Option("account_name", doc="Azure: the storage account"),
        Option("account_key", secret=True, doc="Azure"),
        Option("sas_token", secret=True, doc="Azure"),
        Option("timeout", float, default=60.0, minimum=0.001, doc="seconds for a request"),
        Option("retries", int, default=3, minimum=0, doc="how often a request to S3 is tried again"),
    )  # fmt: skip

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._opened: tuple[float, Files] | None = None
        self._reading: Files | None = None

    def infer_schema(self, options: Mapping[str, str]) -> pa.Schema:
        """The first file's columns, then those of the folders."""
        return self._files(options).schema

    def plan_partitions(
        self,
        options: Mapping[str, str],
        *,
        columns: Sequence[str] | None = None,
        filters: Sequence[Filter] = (),
        limit: int | None = None,
    ) -> list[dict[str, Any]]:
        """Partitions of about equal bytes: files, row groups of Parquet, or ranges of lines. Files of which the folders say that
        no row is wanted are left out, and so is Parquet behind the ``limit``. Where no column is asked for, Parquet's rows are
        counted by its footers.
        """
        files = self._files(options, for_a_query=True)
        return parts_of(files, filters, columns is not None and not columns and not filters, limit)

    def push_filters(self, filters: Sequence[Filter], options: Mapping[str, str]) -> list[Filter]:
        """Those that the folders don't decide. What else is left out of Parquet is no claim: a file may have another type, or no
        such column, of which the bridge knows what to make.
        """
        files = self._files(options)
        return [filter for filter in filters if not files.is_of_folders(filter)]

    def statistics(self, options: Mapping[str, str]) -> Statistics:
        """Bytes as they were listed, rows by the first file's footer."""
        return self._files(options).statistics()

    def read_partition(
        self,
        partition_spec: dict[str, Any],
        options: Mapping[str, str],
        *,
        columns: Sequence[str] | None = None,
        filters: Sequence[Filter] = (),
        limit: int | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """The rows of its parts, file after file."""
        with self._lock:
            if self._reading is None:  # of an instance that reads alone, in another process
                typed = declared(options, self.OPTIONS).typed
                self._reading = Files.of_spec(typed, partition_spec["table"])
            files = self._reading
        for part in partition_spec["parts"]:
            for batch in files.read(part, columns, filters, limit):
                yield batch
                if limit is not None:
                    limit -= batch.num_rows
                    if limit <= 0:
                        return

    def _files(self, options: Mapping[str, str], for_a_query: bool = False) -> Files:
        """The files as they were found. A query plans with those of the schema, if these are new, the next one looks again."""
        with self._lock:
            if self._opened is None:
                self._opened = time.monotonic(), Files.opened(declared(options, self.OPTIONS).typed)
            elif for_a_query and time.monotonic() - self._opened[0] > _FRESH_S:
                self._opened = time.monotonic(), self._opened[1].again()
            since, files = self._opened
            if for_a_query:
                self._opened = since - _FRESH_S, files
            return files
