"""JSON over HTTP, as ``python('rest', url := 'https://api.example.com/orders', records := '$.data', ...)``.

Pages by number, offset, cursor, Link header or a URL in the body. See docs/rest.md for pagination, credentials, the
columns' types, and what of a query the server is asked.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from bascule import ArrowBatchDataSource, Option, Statistics, declared
from bascule.filters import Filter
from bascule.sources import _json
from bascule.sources.rest import _auth, _pages, _template
from bascule.sources.rest._table import Table

__all__ = ["RestDataSource"]

Read = Callable[[str], Any]


def _json_of(words: str, fits: Callable[[Any], bool]) -> Read:
    def read(text: str) -> Any:
        try:
            found = _json.decode(text)
        except ValueError:
            found = None
        if not fits(found):
            raise ValueError(words)
        return found

    read.__doc__ = words
    return read


def _is_flat(value: Any) -> bool:
    return isinstance(value, dict) and not any(
        isinstance(item, dict) or (isinstance(item, list) and any(isinstance(i, (dict, list)) for i in item))
        for item in value.values()
    )


def _positive(text: str) -> float:
    """a number above 0"""
    number = float(text)
    if not 0 < number < float("inf"):
        raise ValueError(_positive.__doc__)
    return number


_object = _json_of('a JSON object, {"region": "eu"}', lambda v: isinstance(v, dict))
_parameters = _json_of('a JSON object of texts, numbers and lists of them, {"region": "eu"}', _is_flat)
_headers = _json_of(
    'a JSON object of texts, {"X-Tenant": "acme"}',
    lambda v: isinstance(v, dict) and all(type(item) is str for item in v.values()),
)
_partitions = _json_of(
    'a JSON list of objects, [{"region": "eu"}, {"region": "us"}]',
    lambda v: isinstance(v, list) and bool(v) and all(map(_is_flat, v)),
)
_path = _json.Path.parse


class RestDataSource(ArrowBatchDataSource):
    """The records of an HTTP API that answers in JSON.

    Example:
        >>> source = RestDataSource()
        >>> source.infer_schema({"url": "https://api.example.com/orders", "schema": "id BIGINT, tags VARCHAR[]"}).names
        ['id', 'tags']
    """

    OPTIONS = (
        Option("url", required=True, doc="where the records are; {name} is filled in from params or partitions"),
        Option("method", choices=("GET", "POST"), default="GET", doc="POST: for searches, which change nothing"),
        Option("params", _parameters, doc="query parameters, as a JSON object"),
        Option("headers", _headers, secret=True, doc="headers, as a JSON object"),
        Option("body", _object, doc="what is posted, a JSON object"),
        Option("params_in", choices=("query", "body"), doc="where pages and predicates are asked for; body with POST"),
        Option("records", _path, doc="where in a response the records are, $.data.items; $, all of it"),
        Option("schema", doc="the columns, id BIGINT, tags VARCHAR[]; else inferred"),
        Option("sample", int, default=1000, minimum=1, doc="from how many records the columns are inferred"),
        Option("pagination", choices=_pages.KINDS, default="none", doc="how one page follows another"),
        Option("page_size", int, minimum=1, doc="how many records to ask for; else as many as the server likes"),
        Option("page_size_param", doc="the parameter for it; per_page, with offset limit"),
        Option("page_param", doc="page: the parameter; page"),
        Option("page_start", int, minimum=0, doc="page: the first page's number; 1"),
        Option("offset_param", doc="offset: the parameter; offset"),
        Option("cursor", _path, doc="cursor: where it is in a response, $.meta.next or $.data[-1].id"),
        Option("cursor_param", doc="cursor: the parameter; cursor"),
        Option("next_url", _path, doc="next: where the next page's URL is in a response; $.next"),
        Option("has_more", _path, doc="page, offset, cursor: where a response says whether another page follows"),
        Option("stop_on_short_page", bool, default=False, doc="page, offset: one of fewer records than page_size is the last"),
        Option("total", _path, doc="where a response says how many records there are: page, offset are then read in parallel"),
        Option("total_pages", _path, doc="page: where a response says how many pages there are; the same"),
        Option("exact_total", bool, default=False, doc="total is exact: rows are counted by it"),
        Option("allow_repeats", bool, default=False, doc="a page may have the very records of the one before"),
        Option("num_partitions", int, default=8, minimum=1, doc="how many partitions the pages make at most"),
        Option("partitions", _partitions, doc="the partitions, as a JSON list of objects of parameters"),
        Option("filters", _template.entries, doc="""predicates as parameters, {"created >=": "since", "id IN": "ids"}"""),
        Option("auth_type", choices=_auth.KINDS, default="none"),
        Option("username"),
        Option("password", secret=True),
        Option("token", secret=True, doc="bearer: the token"),
        Option("api_key", secret=True),
        Option("key_name", default="X-API-Key", doc="api_key: the header or the query parameter"),
        Option("key_in", choices=("header", "query"), default="header"),
        Option("oauth_url", doc="oauth2: where tokens are asked for"),
        Option("client_id"),
        Option("client_secret", secret=True),
        Option("scope"),
        Option("oauth_params", _headers, secret=True, doc="""oauth2: what else to send for a token, {"audience": "x"}"""),
        Option("timeout", _positive, default=30.0, doc="seconds to connect, and without a byte of an answer"),
        Option("retries", int, default=4, minimum=0, doc="how often one asks again where that may help"),
        Option("backoff", _positive, default=0.5, doc="seconds before the first time; they double"),
        Option("max_wait", _positive, default=60.0, doc="the longest Retry-After, in seconds, that is waited for"),
        Option("rate_limit", _positive, doc="requests a second at most, of all partitions together"),
    )  # fmt: skip

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._table: Table | None = None

    def infer_schema(self, options: Mapping[str, str]) -> pa.Schema:
        """The columns by option ``schema``, or of a sample: docs/rest.md has the rules."""
        return self._opened(options).rows().schema

    def plan_partitions(
        self, options: Mapping[str, str], *, filters: Sequence[Filter] = (), limit: int | None = None
    ) -> list[dict[str, Any]]:
        """Groups of pages where their number is known, or what option ``partitions`` says. A spec has no secret."""
        return self._opened(options).plan(filters, limit)

    def push_filters(self, filters: Sequence[Filter], options: Mapping[str, str]) -> list[Filter]:
        """Those for which option ``filters`` has no parameter that says them exactly."""
        template = self._opened(options).template()
        return [each for each in filters if template.claims(each) is None]

    def statistics(self, options: Mapping[str, str]) -> Statistics | None:
        """What the server says by ``total``; None where that isn't given."""
        return self._opened(options).statistics()

    def read_partition(
        self,
        partition_spec: dict[str, Any],
        options: Mapping[str, str],
        *,
        columns: Sequence[str] | None = None,
        filters: Sequence[Filter] = (),
        limit: int | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """The rows of one partition, a batch for each page; no page is asked for beyond ``limit`` rows."""
        return self._opened(options).read(partition_spec, columns, filters, limit)

    def close(self) -> None:
        """Closes the connections."""
        if self._table is not None:
            self._table.server.close()

    def _opened(self, options: Mapping[str, str]) -> Table:
        # Each instance serves one source: the first call describes it for all.
        with self._lock:
            if self._table is None:
                known = declared(options, self.OPTIONS)
                self._table = Table(known.typed, known.secrets())
            return self._table
