"""What is read: the columns, the partitions, and the rows of each."""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import pyarrow as pa

from bascule import BasculeError, OptionError, Statistics
from bascule.filters import Filter
from bascule.sources._json_schema import Sample, declared_schema
from bascule.sources._json_values import Misfit, Rows
from bascule.sources.rest._pages import COUNTED, Page, Pages, fingerprint
from bascule.sources.rest._server import Server
from bascule.sources.rest._template import Template

__all__ = ["Table"]

#: Requests that a sample takes at most.
_SAMPLE_PAGES = 5
_IN_URL = re.compile(r"\{([\w.\-]+)\}")
#: Options that mean something to some kinds of pagination alone.
_ONLY_FOR = {
    **dict.fromkeys(("page_param", "page_start", "total_pages"), ("page",)),
    "offset_param": ("offset",),
    **dict.fromkeys(("cursor", "cursor_param"), ("cursor",)),
    "next_url": ("next",),
    "has_more": ("page", "offset", "cursor"),
    "page_size": ("page", "offset", "cursor", "link", "next"),
    "page_size_param": ("page", "offset", "cursor", "link", "next"),
}


class Table:
    """What one instance of the source reads.

    Args:
        options: the typed options.
        secrets: what no text may show.

    Raises:
        OptionError: they don't fit.
    """

    def __init__(self, options: Mapping[str, Any], secrets: Sequence[str]) -> None:
        kind = options["pagination"]
        for name, kinds in _ONLY_FOR.items():
            if options[name] is not None and kind not in kinds:
                raise OptionError(f"option '{name}' is given, but pagination is {kind}: it is for {', '.join(kinds)}")
        if kind == "cursor" and options["cursor"] is None:
            raise OptionError(
                "option 'cursor' is missing: where in a response the next page's cursor is, $.meta.next_cursor"
            )
        if options["method"] == "GET" and options["body"] is not None:
            raise OptionError("option 'body' is given, but method is GET: only POST has a body")
        if options["method"] == "GET" and options["params_in"] == "body":
            raise OptionError("option 'params_in' is body, but method is GET: only POST has a body")
        self.options = options
        self.server = Server(options, secrets)
        self._pages = Pages(self.server, options)
        self._lock = threading.Lock()
        self._rows: Rows | None = None
        self._total: int | None = None
        for params in self._parted():
            self._addressed(params)

    # ---- columns ----

    def rows(self, serialized: bytes | None = None) -> Rows:
        """What makes batches; the columns are asked for once. ``serialized``: those of a plan elsewhere."""
        with self._lock:
            if self._rows is None:
                self._rows = self._described(serialized)
            elif serialized is not None and not self._rows.schema.equals(_restored(serialized)):
                return Rows(_restored(serialized), False)
            return self._rows

    def template(self) -> Template:
        """The predicates that can be asked for."""
        return Template(self.options["filters"] or (), self.rows().schema)

    def _described(self, serialized: bytes | None) -> Rows:
        if self.options["schema"] is not None:
            return Rows(declared_schema(self.options["schema"]), True)
        if serialized is not None:
            return Rows(_restored(serialized), False)
        wanted, asked = self.options["sample"], ""
        records: list[dict[str, Any]] = []
        for page in itertools.islice(self._first_pages(), _SAMPLE_PAGES):
            if not asked:
                self._total = self._pages.count("total", page.answer)
            asked = page.answer.request
            records += page.records[: wanted - len(records)]
            if len(records) >= wanted:
                break
        schema = Sample.schema(records)
        if not schema.names:
            raise BasculeError(
                f"{asked}: no record to infer the columns from: give them by option 'schema', id BIGINT, name VARCHAR"
            )
        return Rows(schema, False)

    def _first_pages(self) -> Iterator[Page]:
        for params in self._parted():
            url, left = self._addressed(params)
            yield from self._pages.read(url, left)

    # ---- partitions ----

    def plan(self, filters: Sequence[Filter], limit: int | None) -> list[dict[str, Any]]:
        """One spec for each of the option ``partitions``, for each group of pages where their number is known, or for all."""
        rows = self.rows()
        pushed = self.template().pushed(filters)
        common: dict[str, Any] = {"filters": pushed, "schema": None}
        if self.options["schema"] is None:
            common["schema"] = rows.schema.serialize().to_pybytes()
        whole = [{**common, "params": params, "first": None, "last": None} for params in self._parted()]
        knows = self.options["total"] is not None or self.options["total_pages"] is not None
        if len(whole) > 1 or not knows or self._pages.kind not in COUNTED or self.options["num_partitions"] == 1:
            return whole
        if limit is not None and self._pages.size is not None and limit <= self._pages.size:
            return whole
        return self._grouped(whole[0], limit)

    def _grouped(self, whole: dict[str, Any], limit: int | None) -> list[dict[str, Any]]:
        """The pages in groups, by what the first one says of their number. The last group has no end: what is added
        after this is read, too.
        """
        url, params = self._addressed(whole["params"])
        pages = self._pages
        read = pages.read(url, {**params, **whole["filters"]})
        page = next(read)
        size = len(page.records)
        total = pages.count("total", page.answer)
        n = pages.count("total_pages", page.answer)
        if n is None and total is not None and size:
            n = -(-total // size)
        if n is None or n < 2 or not size:
            return [whole]
        if limit is not None:
            n = min(n, max(-(-limit // size), 1))
        each = -(-n // self.options["num_partitions"])
        step = each * (size if pages.kind == "offset" else 1)
        by_total = self.options["total_pages"] is None
        specs = []
        for i, at in enumerate(range(0, n, each)):
            first = pages.start + i * step
            is_last = at + each >= n
            spec = {
                **whole,
                "first": first,
                "last": None if is_last else first + step,
                "seen": fingerprint(page.records),
            }
            if by_total and pages.kind == "page":
                spec["size"] = size
            if self.options["exact_total"] and total is not None and not whole["filters"] and limit is None:
                spec["bascule_rows"] = max(min(each * size, total - at * size), 0)
            specs.append(spec)
        return specs

    def statistics(self) -> Statistics | None:
        """What the server says of the number of records; never exact, for it may change."""
        if self.options["total"] is None or len(self._parted()) > 1:
            return None
        if self._total is None:
            self._total = self._pages.count("total", next(self._first_pages()).answer)
        return None if self._total is None else Statistics(self._total)

    def _parted(self) -> list[dict[str, Any]]:
        return self.options["partitions"] or [{}]

    def _addressed(self, params: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """The URL with its ``{names}`` filled in, and the parameters that are left."""
        values = {**(self.options["params"] or {}), **params}
        used = set()

        def value(match: re.Match[str]) -> str:
            name = match[1]
            if values.get(name) in (None, "", ".", "..") or isinstance(values[name], (list, dict)):
                raise OptionError(f"option 'url' has {{{name}}}, for which option 'params' or 'partitions' has no text")
            used.add(name)
            return quote(str(values[name]), safe="")

        url = _IN_URL.sub(value, self.options["url"])
        return url, {name: item for name, item in params.items() if name not in used}

    # ---- rows ----

    def read(
        self, spec: Mapping[str, Any], columns: Sequence[str] | None, filters: Sequence[Filter], limit: int | None
    ) -> Iterator[pa.RecordBatch]:
        """The rows of one partition, a batch for each page."""
        rows = self.rows(spec["schema"])
        template = Template(self.options["filters"] or (), rows.schema)
        claims = {each: template.claims(each) for each in filters}
        if None in claims.values():
            limit = None
        # What this plan didn't ask the server for, although it could, is done here.
        here = [each for each, said in claims.items() if said and not said.items() <= spec["filters"].items()]
        asked = set(rows.schema.names if columns is None else columns) | {c for each in here for c in each.columns}
        names = [name for name in rows.schema.names if name in asked] or rows.schema.names[:1]
        url, params = self._addressed(spec["params"])
        pages = self._pages.read(
            url,
            {**params, **spec["filters"]},
            spec["first"],
            spec["last"],
            size=spec.get("size"),
            seen=spec.get("seen"),
        )
        left = limit
        for page in pages:
            if left == 0:
                return
            if not page.records:
                continue
            batch = self._batch(rows, page, names)
            if here:
                from bascule.filters import filter_table

                batch = filter_table(here, batch)
            if left is not None:
                batch = batch.slice(0, left)
                left -= batch.num_rows
            yield batch
            if left == 0:
                return

    def _batch(self, rows: Rows, page: Page, names: Sequence[str]) -> pa.RecordBatch:
        try:
            return rows.batch(page.records, names)
        except Misfit as e:
            hint = "" if "option 'schema'" in e.text else ". Declare it by option 'schema': VARCHAR takes any value"
            text = f"{page.answer.request}: {page.name}, record {e.record + 1}: {e.text}{hint}"
            raise BasculeError(self.server.masked(text)) from None


def _restored(serialized: bytes) -> pa.Schema:
    return pa.ipc.read_schema(pa.py_buffer(serialized))
