"""What a check is, and what it finds."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from bascule.check._subject import Subject

Status = Literal["ok", "warning", "failed", "skipped"]


@dataclass(frozen=True)
class Limits:
    """How far a check reads.

    Args:
        partitions: the first so many; None: all.
        batches: the first so many of each partition; None: all.
        max_seconds: after these no more is read. A third of them is the first read's.
        memory_bytes: what one batch, and one partition while it is read, may hold.
    """

    partitions: int | None = None
    batches: int | None = None
    max_seconds: float = 60
    memory_bytes: int = 256 << 20


class Broken(Exception):
    """The class broke the contract. The message says what was seen, where, and what to do."""


class Skip(Exception):
    """There is nothing to check, or no way to. The message says why."""


@dataclass
class Findings:
    """What one check has to say."""

    failures: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Check:
    """One fact about a class.

    Args:
        id: stable, a Python identifier.
        proves: the fact, in one sentence.
        needs: ids of checks without which this one means nothing: skipped where one of them failed.
        run: looks; raises Broken or Skip, or adds to the findings.
    """

    id: str
    proves: str
    needs: tuple[str, ...]
    run: Callable[[Subject, Findings], None]


@dataclass(frozen=True)
class Result:
    """What a check found.

    Args:
        reasons: of a failure, a warning or a skip; each is readable by itself.
        notes: what else there is to know.
    """

    id: str
    proves: str
    status: Status
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def check(id: str, proves: str, needs: tuple[str, ...] = ()) -> Callable[[Callable[[Subject, Findings], None]], Check]:
    """Makes a check of a function."""
    return lambda run: Check(id, proves, needs, run)


@contextlib.contextmanager
def hushed() -> Iterator[None]:
    """Without the bridge's log: what it tells there of a class is what the checks tell."""
    log = logging.getLogger("bascule")
    handlers, propagate = log.handlers, log.propagate
    log.handlers, log.propagate = [logging.NullHandler()], False
    try:
        yield
    finally:
        log.handlers, log.propagate = handlers, propagate


def listed(names: object) -> str:
    """Names as a text quotes them: ``'a', 'b'``."""
    return ", ".join(f"'{name}'" for name in names)  # type: ignore[attr-defined]


def counted(n: int, what: str) -> str:
    """``1 partition``, ``2 partitions``, ``2 batches``."""
    plural = what + ("es" if what.endswith("ch") else "s")
    return f"{n:,} {what if n == 1 else plural}"


def size(n: float) -> str:
    """``70 bytes``, ``1.5 KiB``, ``256 MiB``."""
    for unit, power in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if n >= 1 << power:
            return f"{n / (1 << power):.3g} {unit}"
    return f"{n:.0f} bytes"
