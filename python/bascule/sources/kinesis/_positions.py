"""Where in a shard one is: between two of its records, at its beginning or at its end."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from bascule import BasculeError

__all__ = ["END", "HORIZON", "Position", "Where", "is_before", "offset", "offset_shards", "where"]

_UTC = datetime.UTC


@dataclass(frozen=True)
class Position:
    """A place between records, which stays the same place whatever is added.

    Attributes:
        kind: ``horizon``: before the oldest record that is kept; ``at``: before the record ``number``; ``after``: behind it;
            ``end``: behind the last record of a shard that is closed.
        number: a sequence number.
        seen: when nothing more was known to be behind it, in whole seconds since 1970: what came later came after that.
    """

    kind: str
    number: str = ""
    seen: int = 0

    @property
    def order(self) -> tuple[float, int]:
        """Positions of one shard in their order."""
        if self.number:
            return int(self.number), int(self.kind == "after")
        return (-1 if self.kind == "horizon" else math.inf), 0

    def json(self) -> dict[str, Any]:
        """As it stands in offsets and specs."""
        if self.kind == "end":
            return {"end": True}
        made: dict[str, Any] = {self.kind: self.number} if self.number else {}
        if self.seen:
            made["seen"] = datetime.datetime.fromtimestamp(self.seen, _UTC).isoformat().replace("+00:00", "Z")
        return made

    @classmethod
    def of_json(cls, made: Mapping[str, Any]) -> Position:
        """What json() made. Raises ValueError, KeyError for anything else."""
        if made.get("end") is True:
            return END
        seen = int(datetime.datetime.fromisoformat(made["seen"]).timestamp()) if "seen" in made else 0
        if made.keys() <= {"seen"}:
            return cls("horizon", seen=seen)
        kind = "after" if "after" in made else "at"
        return cls(kind, str(int(made[kind])), seen)

    def seen_at(self, moment: float) -> Position:
        """The same place; nothing was behind it then."""
        return replace(self, seen=int(moment))

    def __str__(self) -> str:
        words = {"horizon": "the oldest record", "end": "its end"}
        return words.get(self.kind) or f"{self.kind} {self.number}"


HORIZON = Position("horizon")
END = Position("end")


def is_before(a: Position, b: Position) -> bool:
    """Whether there may be records between two positions of a shard."""
    return a.order < b.order and b.kind != "horizon"


@dataclass(frozen=True)
class Where:
    """What option ``start`` or ``end`` says: a name, a moment, or a number for some shards."""

    text: str
    name: str | None = None
    moment: datetime.datetime | None = None
    numbers: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return self.text


def where(text: str) -> Where:
    """TRIM_HORIZON, LATEST, a time with a zone, 2026-01-01T00:00:00Z, or a JSON object of shards and sequence numbers"""
    if text.strip().upper() in ("TRIM_HORIZON", "LATEST"):
        return Where(text, name=text.strip().upper())
    try:
        if text.lstrip().startswith("{"):
            found = json.loads(text)
            if not found or not all(isinstance(n, str) and n.isascii() and n.isdecimal() for n in found.values()):
                raise ValueError
            return Where(text, numbers=tuple((shard, str(int(n))) for shard, n in found.items()))
        moment = datetime.datetime.fromisoformat(text.strip())
        if moment.tzinfo is None:
            raise ValueError
        return Where(text, moment=moment)
    except (ValueError, AttributeError):
        raise ValueError(where.__doc__) from None


def offset(stream: str, shards: Mapping[str, Position]) -> dict[str, Any]:
    """An offset of a stream."""
    return {"stream": stream, "shards": {shard: position.json() for shard, position in sorted(shards.items())}}


def offset_shards(stream: str, made: Mapping[str, Any]) -> dict[str, Position]:
    """The positions of an offset. Raises BasculeError where it is none of this stream."""
    try:
        name = made["stream"]
        shards = {shard: Position.of_json(position) for shard, position in made["shards"].items()}
    except (KeyError, TypeError, ValueError, AttributeError):
        raise BasculeError(
            f"the offset {json.dumps(made)[:200]} is none of this source: begin with a new checkpoint"
        ) from None
    if name != stream:
        raise BasculeError(
            f"the offset is of stream '{name}', but option 'stream' says '{stream}': begin with a new checkpoint, or name the other"
        )
    return shards
