"""Frames and payloads as Python reads and writes them. src/process/wire.h is the reference."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from enum import IntEnum

VERSION = 3


class Frame(IntEnum):
    """``enum bsc__frame_type``."""

    HELLO = 1
    OPENED = 2
    SPECS = 3
    PLANNED = 4
    SEGMENT = 5
    DROP = 6
    BATCH = 7
    END = 8
    PREPARED = 9
    FAILED = 10
    CLOSED = 11
    COUNTED = 12
    CLAIMED = 13
    METRICS = 14
    LOCATED = 15
    SETUP = 32
    PREPARE = 33
    OPEN = 34
    PLAN = 35
    READ = 36
    STOP = 37
    WINDOW = 38
    RELEASE = 39
    FREE = 40
    CLOSE = 41
    QUIT = 42
    STATISTICS = 43
    CLAIM = 44
    OFFSET = 45


class Status(IntEnum):
    """``enum bsc_status``."""

    OK = 0
    INVALID = 1
    NOT_FOUND = 2
    SOURCE = 3
    MISMATCH = 4
    MALFORMED = 5
    CANCELLED = 6
    SHUTDOWN = 7
    NOMEM = 8
    WORKER = 9


class Reader:
    """Reads a payload from its beginning. ``struct.error`` where it is too short."""

    def __init__(self, payload: bytes) -> None:
        self._payload = payload
        self._at = 0

    def numbers(self, layout: str) -> tuple[int, ...]:
        """Numbers of the types that ``struct`` calls ``layout``."""
        values = struct.unpack_from("<" + layout, self._payload, self._at)
        self._at += struct.calcsize("<" + layout)
        return values

    def data(self) -> bytes:
        """A *str* as bytes."""
        (length,) = self.numbers("I")
        (data,) = struct.unpack_from(f"{length}s", self._payload, self._at)
        self._at += length
        return bytes(data)

    def text(self) -> str:
        return self.data().decode("utf-8", "replace")

    def texts(self) -> list[str]:
        """A list of *str*."""
        return [self.text() for _ in range(self.numbers("I")[0])]

    def columns(self) -> tuple[str, ...] | None:
        """Names, or that all columns are wanted."""
        return tuple(self.texts()) if self.numbers("B")[0] else None

    def optional(self, layout: str) -> int | None:
        """A number that may be given: *u8* says whether."""
        given, value = self.numbers("B" + layout)
        return value if given else None


def data(value: bytes) -> bytes:
    """A *str*."""
    return struct.pack("<I", len(value)) + value


def text(value: str) -> bytes:
    """A *str* of text."""
    return data(value.encode("utf-8", "backslashreplace"))


def texts(values: Iterable[bytes]) -> bytes:
    """A list of *str*."""
    items = [data(value) for value in values]
    return struct.pack("<I", len(items)) + b"".join(items)
