"""JSON as it came: numbers keep their digits, and a path says where in it something is."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bascule import BasculeError

__all__ = ["MISSING", "Number", "Path", "decode", "encode", "kind_of", "shortened"]

_STEP = re.compile(r"\.?([^.\[\]'\"*?()@$\s]+)|\[(-?\d+)\]|\['([^']+)'\]|\[\"([^\"]+)\"\]")
_SHOWN = 60
_SHOWN_KEYS = 12
MISSING: Any = object()


class Number(str):
    """A number with a fraction or an exponent, as it was written."""

    __slots__ = ()


def decode(text: str | bytes) -> Any:
    """The JSON value. Raises ValueError, in words, for what is none: NaN and infinities too."""
    try:
        return json.loads(text, parse_float=Number, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except UnicodeDecodeError as e:
        raise ValueError(f"it is no UTF-8: {e.reason} at byte {e.start}") from None


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def encode(value: Any) -> str:
    """The value as JSON text, without blanks; its numbers as they were written."""
    if isinstance(value, Number):
        return value
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(k, ensure_ascii=False)}:{encode(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(encode, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def kind_of(value: Any) -> str:
    """What it is, in words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, (int, Number)):
        return "a number"
    return "text" if isinstance(value, str) else "an object" if isinstance(value, dict) else "a list"


def shortened(value: Any) -> str:
    """Its first characters as JSON."""
    text = encode(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


@dataclass(frozen=True)
class Path:
    """Where in a response something is: ``$``, ``$.data.items``, ``data[0]['odd.name']``, ``data[-1].id``; or one of its
    headers, ``header:X-Total-Count``.
    """

    text: str
    steps: tuple[str | int, ...] = ()
    header: str | None = None

    @classmethod
    def parse(cls, text: str) -> Path:
        """a path such as $.data.items, data[0].rows, or header:X-Total-Count"""
        if text[:7].lower() == "header:":
            if not text[7:].strip():
                raise ValueError(cls.parse.__doc__)
            return cls(text, header=text[7:].strip())
        steps: list[str | int] = []
        at = 1 if text.startswith("$") else 0
        while at < len(text):
            match = _STEP.match(text, at)
            if match is None or (match[0].startswith(".") and at == 0):
                raise ValueError(cls.parse.__doc__)
            name, index, single, double = match.groups()
            steps.append(int(index) if index is not None else name or single or double)
            at = match.end()
        if not text:
            raise ValueError(cls.parse.__doc__)
        return cls(text, tuple(steps))

    def of(self, body: Any, headers: Mapping[str, str] | None = None) -> Any:
        """What is there. ``MISSING`` where the last step leads nowhere, or an earlier one to null or an empty list.

        Raises:
            BasculeError: an earlier step leads nowhere. Shows what is there instead.
        """
        if self.header is not None:
            return (headers or {}).get(self.header, MISSING)
        found, i = self._walked(body)
        if i < len(self.steps):
            if i + 1 < len(self.steps) and found is not None and found != []:
                raise BasculeError(self._absent(found, i))
            return MISSING
        return found

    def at(self, body: Any, headers: Mapping[str, str] | None = None) -> Any:
        """What is there. Raises BasculeError where nothing is."""
        if self.header is not None:
            if self.header not in (headers or {}):
                raise BasculeError(f"the response has no header '{self.header}'")
            return (headers or {})[self.header]
        found, i = self._walked(body)
        if i < len(self.steps):
            raise BasculeError(self._absent(found, i))
        return found

    def _walked(self, body: Any) -> tuple[Any, int]:
        """What the steps lead to, and how many of them do."""
        for i, step in enumerate(self.steps):
            there = MISSING
            if isinstance(step, str):
                there = body.get(step, MISSING) if isinstance(body, dict) else MISSING
            elif isinstance(body, list):
                there = body[step] if -len(body) <= step < len(body) else MISSING
            if there is MISSING:
                return body, i
            body = there
        return body, len(self.steps)

    def _absent(self, body: Any, i: int) -> str:
        """Why there is nothing: ``body`` is what the first ``i`` steps led to."""
        where = "$" + "".join(f".{s}" if isinstance(s, str) else f"[{s}]" for s in self.steps[:i])
        if isinstance(body, dict):
            keys = [*map(str, list(body)[:_SHOWN_KEYS]), *(["…"] if len(body) > _SHOWN_KEYS else [])]
            there = f"an object with the keys {', '.join(keys)}" if keys else "an empty object"
        elif isinstance(body, list):
            there = f"a list of {len(body)}"
        else:
            there = kind_of(body)
        return f"'{self.text}' is not in the response: '{where}' is {there}"
