"""Figures in words: for the page, the chart and the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def number(value: float, unit: str) -> str:
    """A measured value, as precise as it is read.

    Example:
        >>> [number(*it) for it in [(1.0749, "x"), (5.0, "ms"), (1234.5, "ms"), (9.95, "x growth")]]
        ['1.07', '5.0', '1,234', '9.9x']
    """
    if unit == "x":
        return f"{value:.2f}"
    if unit == "x growth":
        return f"{value:.1f}x"
    if abs(value) >= 9.95:
        return f"{value:,.0f}"
    digits = 1 if abs(value) >= 1 or unit.startswith("MiB") else 2
    return f"{round(value, digits) + 0.0:.{digits}f}"  # + 0.0: no minus zero


def quantity(value: float, unit: str) -> str:
    """:func:`number` with its unit."""
    return number(value, unit) if unit.startswith("x") else f"{number(value, unit)} {unit}".rstrip()


def limit(figure: dict[str, Any]) -> str:
    """The target, with its unit."""
    target, unit = figure["target"], figure["unit"]
    text = number(target, unit) if unit.startswith("x") else f"{target:g} {unit}"
    return f"at least {text}" if figure.get("at_least") else text


def spread(figure: dict[str, Any]) -> str:
    """The value with its lowest and highest: ``1.07 (1.05..1.09)``."""
    value, unit = figure["value"], figure["unit"]
    return f"{quantity(value['median'], unit)} ({number(value['low'], unit)}..{number(value['high'], unit)})"


def met(figure: dict[str, Any]) -> bool | None:
    """Whether the median is within the target; None without one."""
    used = share(figure, figure["value"]["median"])
    return None if used is None else used <= 1


def share(figure: dict[str, Any], value: float) -> float | None:
    """What of the target is used up by a value: 1 is all; None without one."""
    target: float | None = figure["target"]
    if target is None:
        return None
    return target / value if figure.get("at_least") else value / target


def plain(figure: dict[str, Any], sides: Sequence[str]) -> str:
    """One line for a terminal."""
    verdict = {True: "met", False: "MISSED", None: ""}[met(figure)]
    target = "" if figure["target"] is None else f"  target {limit(figure)}: {verdict}"
    times = [
        f"{side} {quantity(figure[key]['median'], figure['side_unit'])}"
        for side, key in zip(sides, ("ours", "theirs"), strict=True)
        if figure[key]
    ]
    return f"{figure['name']}: {spread(figure)}{target}  [{', '.join(times)}]"
