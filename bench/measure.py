"""Timing, spreads, and processes of their own."""

from __future__ import annotations

import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class WrongAnswerError(Exception):
    """A query was timed that did not do its work."""


class SkippedError(Exception):
    """This machine lacks what the case needs: the message says what."""


@dataclass(frozen=True)
class Spread:
    """The median of some measurements, and their extremes."""

    median: float
    low: float
    high: float
    n: int

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        seen = list(values)
        return cls(statistics.median(seen), min(seen), max(seen), len(seen))


@dataclass(frozen=True)
class Figure:
    """One line of the page.

    Args:
        name: what was run.
        unit: ``x`` for a ratio, else the unit of ``value`` and ``target``.
        value: ratios are python(...) over the Table; other units are as ``name`` says.
        target: the most that ``value``'s median may be; None where nothing was promised.
        ours: of python(...) alone, in ``side_unit``; or of what its case's ``sides`` says.
        theirs: of the Table alone, likewise.
        at_least: ``target`` is the least that it may be.
    """

    name: str
    unit: str
    value: Spread
    target: float | None = None
    ours: Spread | None = None
    theirs: Spread | None = None
    side_unit: str = ""
    at_least: bool = False


@dataclass(frozen=True)
class Case:
    """What a case measured, and on what."""

    title: str
    setup: str
    figures: list[Figure]
    sides: tuple[str, str] = ("python(...)", "Table")


def check(what: str, seen: object, expected: object) -> None:
    """Raises :class:`WrongAnswerError` unless ``seen`` is ``expected``."""
    if seen != expected:
        raise WrongAnswerError(f"{what}: got {str(seen)[:300]}, expected {str(expected)[:300]}")


def stopwatch(run: Callable[[], R]) -> tuple[float, R]:
    """Seconds, and what ``run`` returned."""
    start = time.perf_counter()
    result = run()
    return time.perf_counter() - start, result


def alternate(n: int, *sides: Callable[[], float]) -> list[list[float]]:
    """Runs the sides in turn, A B A B, ``n`` times after a warm-up that is dropped.

    Returns the seconds of each side: the i-th of one was measured next to the i-th of the others.
    """
    seconds: list[list[float]] = [[] for _ in sides]
    for i in range(n + 1):
        for kept, side in zip(seconds, sides, strict=True):
            elapsed = side()
            if i > 0:
                kept.append(elapsed)
    return seconds


def scaled(values: Iterable[float], factor: float) -> Spread:
    return Spread.of(value * factor for value in values)


def ratios(ours: list[float], theirs: list[float]) -> Spread:
    """Of the pairs."""
    return Spread.of(a / b for a, b in zip(ours, theirs, strict=True))


def differences(ours: list[float], theirs: list[float], factor: float) -> Spread:
    """Of the pairs, times ``factor``."""
    return Spread.of((a - b) * factor for a, b in zip(ours, theirs, strict=True))


def fresh(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Calls ``function`` in a new interpreter, which ends with the call."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *args, **kwargs).result()


def peak_rss_mib() -> float:
    """The most memory that this process held. Not getrusage's, which begins with the parent's."""
    (line,) = (line for line in Path("/proc/self/status").read_text("utf-8").splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def _with_peak(function: Callable[..., None], args: tuple[Any, ...]) -> float:
    function(*args)
    return peak_rss_mib()


def fresh_peak(function: Callable[..., None], *args: Any) -> float:
    """The peak memory in MiB of a new interpreter that called ``function``."""
    return fresh(_with_peak, function, args)


def memory_growth(
    name: str, target: float, function: Callable[..., None], small: Sequence[Any], large: Sequence[Any]
) -> Figure:
    """The peak of a new interpreter that called ``function`` with ``large`` over one that did with ``small``."""
    few, many = (fresh_peak(function, *args) for args in (small, large))
    return Figure(f"{name}: {few:.0f} MiB, then {many:.0f}", "x", Spread.of([many / few]), target)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
