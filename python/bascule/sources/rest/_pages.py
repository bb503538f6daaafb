"""One page after the other: what is asked for next, and when there is no more."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bascule import BasculeError
from bascule.sources import _json
from bascule.sources._json import MISSING, Path
from bascule.sources.rest._links import Turns, next_link
from bascule.sources.rest._server import Answer, Server, log

__all__ = ["COUNTED", "KINDS", "Page", "Pages", "as_texts", "fingerprint"]

KINDS = ("none", "page", "offset", "cursor", "link", "next")
#: Of these any page can be asked for.
COUNTED = ("page", "offset")
_NEXT = Path.parse("$.next")


@dataclass
class Page:
    """One response.

    Attributes:
        name: for people.
    """

    records: list[dict[str, Any]]
    name: str
    answer: Answer


def as_texts(params: Mapping[str, Any], repeat: frozenset[str] = frozenset()) -> list[tuple[str, str]]:
    """Parameters as they stand in a query; those in ``repeat`` once for each value of a list."""
    pairs: list[tuple[str, str]] = []
    for name, value in params.items():
        items = value if isinstance(value, list) else [value]
        texts = [item if isinstance(item, str) else _json.encode(item) for item in items if item is not None]
        pairs += [(name, text) for text in texts] if name in repeat else [(name, ",".join(texts))] if texts else []
    return pairs


def fingerprint(records: list[dict[str, Any]]) -> str:
    """The same for the same records alone, in every process."""
    return hashlib.blake2b(_json.encode(records).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


class Pages:
    """How a server pages.

    Args:
        options: the typed options.
    """

    def __init__(self, server: Server, options: Mapping[str, Any]) -> None:
        self.server = server
        self.options = options
        self.kind: str = options["pagination"]
        self._at: Path = options["records"] or Path.parse("$")
        self.size: int | None = options["page_size"]
        first: int | None = options["page_start"]
        self.start = 0 if self.kind != "page" else 1 if first is None else first
        self.position_param: str = options[f"{self.kind}_param"] or self.kind if self.kind in COUNTED else ""
        self.cursor_param: str = options["cursor_param"] or "cursor"
        default = "limit" if self.kind == "offset" else "per_page"
        self.size_param: str = options["page_size_param"] or default
        self._in_body = (options["params_in"] or ("body" if options["method"] == "POST" else "query")) == "body"
        repeated = {p.name for p in options["filters"] or () if p.repeat}
        self._repeat = frozenset(repeated | {n for n, v in (options["params"] or {}).items() if isinstance(v, list)})

    def read(
        self,
        url: str,
        params: Mapping[str, Any],
        first: int | None = None,
        last: int | None = None,
        *,
        size: int | None = None,
        seen: str | None = None,
    ) -> Iterator[Page]:
        """The pages from ``first`` to before ``last``; None: from the first one, to the end.

        Args:
            size: how many records each page has by which ``total`` was parted; None: it wasn't.
            seen: the fingerprint of the table's first page, which must not be that of another.

        Raises:
            BasculeError: a page isn't as the options say, or comes twice.
        """
        at = self.start if first is None else first
        turns = Turns()
        previous: list[dict[str, Any]] | None = None
        n = 0
        rows = (at - self.start) * (size or 0)
        asked: dict[str, Any] = {**params, **self._sized(at, last)}
        answer = self._ask(url, asked, self.options["params"] or {})
        while True:
            n += 1
            page = Page(self._records(answer), self._name(at, n), answer)
            self._check_new(page, previous, seen if n == 1 and at != self.start else None)
            if self.kind == "page" and last is not None and 0 < len(page.records) < (size or 0):
                raise BasculeError(
                    f"{answer.request}: {page.name} has {len(page.records)} records, where the first one had {size}: the table "
                    "became smaller while it was read, or pages aren't full, and then option 'total' can't part it. Read it "
                    "again, or leave 'total' out"
                )
            rows += len(page.records)
            following = at + (1 if self.kind == "page" else len(page.records))
            previous = page.records
            if self.kind == "offset" and last is not None:
                page.records = page.records[: last - at]
            yield page
            if self.kind in COUNTED:
                if (last is not None and following >= last) or self._is_last(page, following, rows):
                    return
                at = following
                answer = self._ask(url, {**asked, **self._sized(at, last)}, self.options["params"] or {})
            elif self.kind == "cursor":
                cursor = self._next(self.options["cursor"], page, n)
                if self.options["has_more"] is not None:
                    if not self._has_more(answer):
                        return
                    if cursor is None:
                        raise BasculeError(
                            f"{answer.request}: option 'has_more' says that more follows, but there is no cursor"
                        )
                if cursor is None:
                    return
                turns.check(cursor, f"{answer.request}: the cursor {_json.shortened(cursor)}")
                answer = self._ask(url, {**asked, self.cursor_param: cursor}, self.options["params"] or {})
            else:
                target = self._target(page, n)
                if target is None:
                    return
                url = _joined(answer.url, target)
                turns.check(url, f"{answer.request}: the next page's URL")
                self.server.check_origin(answer.url, url, "names a next page that belongs")
                answer = self._ask(url, {}, {})

    def _sized(self, at: int, last: int | None) -> dict[str, Any]:
        """The parameters that ask for a page."""
        asked: dict[str, Any] = {}
        if self.size is not None:
            size = self.size if last is None or self.kind != "offset" else min(self.size, last - at)
            asked[self.size_param] = size
        if self.kind in COUNTED:
            asked[self.position_param] = at
        return asked

    def _ask(self, url: str, asked: Mapping[str, Any], fixed: Mapping[str, Any]) -> Answer:
        body = self.options["body"] or {} if self.options["method"] == "POST" else None
        if self._in_body and body is not None:
            return self.server.ask(url, as_texts(fixed, self._repeat), {**body, **asked})
        return self.server.ask(url, as_texts({**fixed, **asked}, self._repeat), body)

    def _records(self, answer: Answer) -> list[dict[str, Any]]:
        try:
            found = self._at.at(answer.body)
        except BasculeError as e:
            raise BasculeError(self.server.masked(f"{answer.request}: option 'records': {e}")) from None
        records = [] if found is None else [found] if isinstance(found, dict) else found
        if not isinstance(records, list):
            raise BasculeError(
                f"{answer.request}: option 'records': at '{self._at.text}' is {_json.kind_of(found)}, and "
                "neither a list of objects nor an object"
            )
        for i, record in enumerate(records):
            if not isinstance(record, dict):
                raise BasculeError(f"{answer.request}: record {i + 1} is {_json.kind_of(record)}, and no object")
        return records

    def _name(self, at: int, n: int) -> str:
        return f"page {at}" if self.kind == "page" else f"offset {at}" if self.kind == "offset" else f"page {n}"

    def _check_new(self, page: Page, previous: list[dict[str, Any]] | None, seen: str | None) -> None:
        """A server that doesn't know the parameter answers with the same page for ever."""
        records = page.records
        if not records or self.options["allow_repeats"]:
            return
        if records == previous or (seen is not None and seen == fingerprint(records)):
            what = (
                f"does the server know the parameter '{self.position_param}'?"
                if self.kind in COUNTED
                else "the server repeats itself."
            )
            raise BasculeError(
                f"{page.answer.request}: {page.name} has the very records of {'the first one' if seen else 'the page before'}: "
                f"{what} If they may be the same, write allow_repeats := true"
            )

    def _is_last(self, page: Page, following: int, rows: int) -> bool:
        """Whether the server says, or shows, that no page follows. A page that isn't full proves nothing by itself.

        Args:
            rows: of the table, up to the end of the page.
        """
        if not page.records:
            return True
        if self.options["has_more"] is not None:
            return not self._has_more(page.answer)
        if self.options["stop_on_short_page"] and self.size is not None and len(page.records) < self.size:
            return True
        if (pages := self.count("total_pages", page.answer)) is not None:
            return self.kind == "page" and following - self.start >= pages
        total = self.count("total", page.answer)
        return total is not None and (following if self.kind == "offset" else rows) >= total

    def count(self, option: str, answer: Answer) -> int | None:
        """What the response says by the path of option ``total`` or ``total_pages``; None: nothing."""
        path: Path | None = self.options[option]
        if path is None:
            return None
        try:
            found = path.at(answer.body, answer.headers)
        except BasculeError as e:
            raise BasculeError(self.server.masked(f"{answer.request}: option '{option}': {e}")) from None
        if found is None:
            return None
        if isinstance(found, str) and found.isdecimal():
            found = int(found)
        if not isinstance(found, int) or isinstance(found, bool) or found < 0:
            raise BasculeError(
                f"{answer.request}: option '{option}': at '{path.text}' is {_json.kind_of(found)}, and no number of "
                f"{'pages' if option == 'total_pages' else 'records'}"
            )
        return found

    def _has_more(self, answer: Answer) -> bool:
        path: Path = self.options["has_more"]
        try:
            found = path.at(answer.body, answer.headers)
        except BasculeError as e:
            raise BasculeError(self.server.masked(f"{answer.request}: option 'has_more': {e}")) from None
        return bool(found) and str(found).lower() not in ("false", "0")

    def _next(self, path: Path, page: Page, n: int) -> str | int | None:
        """What a path leads to; None at the end. That it is missing is how many servers say so."""
        option = "cursor" if self.kind == "cursor" else "next_url"
        try:
            found = path.of(page.answer.body, page.answer.headers)
        except BasculeError as e:
            raise BasculeError(self.server.masked(f"{page.answer.request}: option '{option}': {e}")) from None
        if found is MISSING:
            if n == 1 and page.records and len(page.records) == self.size:
                log.warning(
                    "%s: the first page is full, and has nothing at '%s' (option '%s'): no other page is read",
                    page.answer.request,
                    path.text,
                    option,
                )
            return None
        if found is None or found == "" or found is False:
            return None
        if isinstance(found, (dict, list, bool)):
            raise BasculeError(f"{page.answer.request}: option '{option}': at '{path.text}' is {_json.kind_of(found)}")
        return found if isinstance(found, int) else str(found)

    def _target(self, page: Page, n: int) -> str | None:
        if self.kind == "link":
            return next_link(page.answer.headers.get("Link", ""))
        if self.kind == "next":
            found = self._next(self.options["next_url"] or _NEXT, page, n)
            return None if found is None else str(found)
        return None


def _joined(base: str, target: str) -> str:
    import httpx

    try:
        return str(httpx.URL(base).join(target))
    except httpx.InvalidURL as e:
        raise BasculeError(f"the next page's URL can't be asked for: {e}") from None
