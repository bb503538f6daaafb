"""What leads from one page to the next: Link headers, and circles."""

from __future__ import annotations

import re

from bascule import BasculeError

__all__ = ["Turns", "next_link"]

_LINK = re.compile(r"<([^>]*)>((?:\s*;\s*[\w*-]+\s*(?:=\s*(?:\"[^\"]*\"|[^\",;\s]+))?)*)")
_REL = re.compile(r";\s*rel\s*=\s*(?:\"([^\"]*)\"|([^\",;\s]+))", re.IGNORECASE)


def next_link(header: str) -> str | None:
    """The URL of ``Link: <https://…?page=2>; rel="next"``, among others."""
    for url, parameters in _LINK.findall(header):
        relation = _REL.search(parameters)
        if relation is not None and "next" in (relation[1] or relation[2]).lower().split():
            return str(url)
    return None


class Turns:
    """Finds that a sequence comes back to where it was, by Brent: remembering one of its items, however long it is."""

    def __init__(self) -> None:
        self._kept: object = None
        self._power = 1
        self._steps = 0

    def check(self, item: object, what: str) -> None:
        """Raises BasculeError where ``item`` is one that was there."""
        if item == self._kept:
            raise BasculeError(f"{what} comes again: the server leads in a circle, and the read would never end")
        self._steps += 1
        if self._steps == self._power:
            self._kept, self._power, self._steps = item, 2 * self._power, 0
