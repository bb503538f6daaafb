"""Offsets of a source that grows: dicts of the class, JSON on their way between processes and into an engine's checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Any

from bascule._hints import OFFSETS, takes
from bascule._locate import a
from bascule.errors import ContractError

__all__ = ["METHODS", "NEEDED", "Question", "ask", "can_stream", "dump", "load", "not_streaming"]

#: An engine writes them into each entry of its log.
MAX_BYTES = 1 << 20


class Question(IntEnum):
    """``enum bsc_offset_question``."""

    INITIAL = 0
    LATEST = 1
    COMMIT = 2


#: The method that answers a question.
METHODS = {
    Question.INITIAL: "initial_offset",
    Question.LATEST: "latest_offset",
    Question.COMMIT: "commit_offset",
}
#: What a stream has; the third may be missing.
NEEDED = (METHODS[Question.INITIAL], METHODS[Question.LATEST])


def can_stream(source: object) -> bool:
    """Whether a class, or an instance, has what a stream needs beside ``start`` and ``end`` in ``plan_partitions``."""
    return all(callable(getattr(source, method, None)) for method in NEEDED)


def ask(source: object, method: str, options: Any, start: str, end: str) -> str:
    """What the method says, as JSON; "" for no answer. ``start``, ``end``: "" for none.

    Raises:
        ContractError: what it returned is no offset.
    """
    call: Callable[..., Any] | None = getattr(source, method, None)
    if method == METHODS[Question.COMMIT]:
        if callable(call):
            call(load(end), options)
        return ""
    assert callable(call)
    if method == METHODS[Question.INITIAL]:
        return dump(call(options))
    wanted = takes(call, OFFSETS)
    if end and "end" not in wanted:
        return end  # What it said was there; more may be by now.
    given = {"start": start, "end": end}
    return dump(call(options, **{name: load(given[name]) if given[name] else None for name in wanted}))


def not_streaming(source: object) -> str:
    """Why a class can't be read as a stream."""
    missing = [method for method in NEEDED if not callable(getattr(source, method, None))]
    lacks = f"no {' and no '.join(missing)}" if missing else "no start and end in plan_partitions"
    return (
        f"was wanted of a stream, which the class is not: it has {lacks}. A stream has initial_offset(options), "
        "latest_offset(options) and plan_partitions(options, *, start, end); this class can be read as a table"
    )


def dump(offset: object) -> str:
    """An offset as JSON, the same for equal ones.

    Raises:
        ContractError: it isn't a dict that JSON gives back as it was.
    """
    import json  # later: every worker starts with this module

    if not isinstance(offset, dict):
        raise ContractError(f"returned {a(offset)}, expected an offset: a dict of what JSON has")
    try:
        text = json.dumps(offset, sort_keys=True, separators=(",", ":"), allow_nan=False)
        same = json.loads(text) == offset
    except (TypeError, ValueError, RecursionError) as e:
        raise ContractError(f"returned the offset {offset!r:.200}, which is no JSON: {e}") from None
    if not same:
        raise ContractError(
            f"returned the offset {offset!r:.200}, which JSON gives back as {json.loads(text)!r:.200}: an offset is a dict with "
            "strings as keys, of numbers, strings, true, false, null, lists and such dicts"
        )
    if len(text) > MAX_BYTES:
        raise ContractError(
            f"returned an offset of {len(text):,} bytes, more than {MAX_BYTES:,}: it says where to read on, not what was read"
        )
    return text


def load(text: str) -> dict[str, Any]:
    """The offset again, each time another dict."""
    import json

    offset: dict[str, Any] = json.loads(text)
    return offset
