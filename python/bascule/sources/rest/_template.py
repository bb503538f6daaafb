"""Predicates as query parameters, by the option ``filters``: which parameter means what of which column."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pyarrow as pa

from bascule import OptionError
from bascule.filters import (
    EqualNullSafe,
    EqualTo,
    Filter,
    GreaterThan,
    GreaterThanOrEqual,
    In,
    LessThan,
    LessThanOrEqual,
    StringContains,
    StringEndsWith,
    StringStartsWith,
)
from bascule.sources import _json

__all__ = ["Parameter", "Template", "entries"]

_ENTRY = re.compile(r"(?s)(.+?)\s*(>=|<=|=|>|<|\bIN|\bstarts_with|\bends_with|\bcontains)", re.IGNORECASE)
#: For each predicate the operators that say it: exactly by the first, and by a superset of it in each next group.
_OPERATORS: dict[type[Filter], list[list[str]]] = {
    EqualTo: [["="], ["in"], [">=", "<="]],
    EqualNullSafe: [["="], ["in"], [">=", "<="]],
    In: [["in"]],
    GreaterThan: [[">"], [">="]],
    GreaterThanOrEqual: [[">="]],
    LessThan: [["<"], ["<="]],
    LessThanOrEqual: [["<="]],
    StringStartsWith: [["starts_with"]],
    StringEndsWith: [["ends_with"]],
    StringContains: [["contains"]],
}
_FORMATS = ("iso", "date", "unix", "unix_ms")
#: More values of an IN make a URL that servers refuse.
_MOST_VALUES = 100
_EPOCH = datetime.datetime(1970, 1, 1)
_DAY = datetime.timedelta(days=1)

Value = str | int | float | bool | list[Any]


@dataclass(frozen=True)
class Parameter:
    """What says one operator of one column.

    Attributes:
        exact: rows for which the predicate isn't true are never returned.
        format: of dates and timestamps.
        repeat: the values of an IN are parameters of one name; else one, with commas.
    """

    column: str
    operator: str
    name: str
    exact: bool = False
    format: str = "iso"
    repeat: bool = False


def entries(text: str) -> list[Parameter]:
    """JSON as {"created >=": "since", "id IN": {"param": "ids", "exact": true}}"""
    found = _decoded(text)
    made: list[Parameter] = []
    for key, value in found.items():
        given = {"param": value} if isinstance(value, str) else value
        match = _ENTRY.fullmatch(key.strip())
        if match is None:
            raise ValueError(
                f"{entries.__doc__}; '{key}' is no column with one of = > >= < <= IN starts_with ends_with contains"
            )
        known = isinstance(given, dict) and given.keys() <= {"param", "exact", "format", "repeat"}
        fits = (
            known
            and isinstance(given.get("param"), str)
            and all(isinstance(given.get(flag, False), bool) for flag in ("exact", "repeat"))
            and given.get("format", "iso") in _FORMATS
        )
        if not fits:
            raise ValueError(
                f"{entries.__doc__}; '{key}' has other things than param, exact (true or false), repeat (true or false) "
                f"and format ({', '.join(_FORMATS)})"
            )
        more: dict[str, Any] = {name: item for name, item in given.items() if name != "param"}
        made.append(Parameter(match[1].strip(), match[2].lower(), given["param"], **more))
    return made


def _decoded(text: str) -> dict[str, Any]:
    try:
        found = _json.decode(text)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not found:
        raise ValueError(entries.__doc__)
    return found


class Template:
    """The parameters, for the columns of a table.

    Raises:
        OptionError: there is no such column.
    """

    def __init__(self, parameters: Iterable[Parameter], schema: pa.Schema) -> None:
        self._schema = schema
        self._of: dict[tuple[str, str], Parameter] = {}
        for parameter in parameters:
            if schema.get_field_index(parameter.column) < 0:
                raise OptionError(
                    f"option 'filters' names the column '{parameter.column}', which is not among {', '.join(schema.names)}"
                )
            self._of[parameter.column, parameter.operator] = parameter

    def pushed(self, filters: Sequence[Filter]) -> dict[str, Value]:
        """Parameters that ask for a superset of the rows; each has one value, that of the first predicate."""
        found: dict[str, Value] = {}
        for each in _conjuncts(filters):
            said, _ = self._said(each)
            if not any(name in found for name in said):
                found |= said
        return found

    def claims(self, each: Filter) -> dict[str, Value] | None:
        """The parameters by which the server applies a predicate exactly; None: it doesn't."""
        found: dict[str, Value] = {}
        for conjunct in each.conjuncts():
            said, is_exact = self._said(conjunct)
            if not is_exact or any(name in found for name in said):
                return None
            found |= said
        return found

    def _said(self, each: Filter) -> tuple[dict[str, Value], bool]:
        """One predicate's parameters, and whether they say it exactly."""
        if type(each) is In and len(each.literals) == 1:
            each = EqualTo(each.column, each.literals[0])
        for n, operators in enumerate(_OPERATORS.get(type(each), [])):
            column = each.columns[0]
            parameters = [p for operator in operators if (p := self._of.get((column, operator))) is not None]
            said: dict[str, Value] = {}
            is_exact = len(parameters) == 1 and (n == 0 or operators == ["in"])
            for parameter in parameters:
                made = self._value(each, parameter)
                if made is not None and parameter.name not in said:
                    said[parameter.name] = made[0]
                    is_exact = is_exact and parameter.exact and made[1]
            if said:
                return said, is_exact
        return {}, False

    def _value(self, each: Any, parameter: Parameter) -> tuple[Value, bool] | None:
        """What a parameter is given, and whether that is the very value; None: it can't be said."""
        kind = self._schema.field(each.column).type
        if isinstance(each, (StringStartsWith, StringEndsWith, StringContains)):
            return (each.value, True) if each.value and pa.types.is_string(kind) else None
        is_list = type(each) is In
        literals = each.literals if is_list else (each.literal,)
        if not 0 < len(literals) <= _MOST_VALUES:
            return None
        up = {">=": False, ">": False, "<": True, "<=": True}.get(parameter.operator)
        values: list[Any] = []
        is_same = True
        for literal in literals:
            made = _said(literal, kind, parameter.format, up)
            if made is None or (is_list and not parameter.repeat and "," in str(made[0])):
                return None
            values.append(made[0])
            is_same = is_same and made[1]
        return (values if is_list or (parameter.operator == "in" and parameter.repeat) else values[0]), is_same


def _conjuncts(filters: Sequence[Filter]) -> Iterable[Filter]:
    return (conjunct for each in filters for conjunct in each.conjuncts())


def _said(literal: pa.Scalar, kind: pa.DataType, format: str, up: bool | None) -> tuple[Any, bool] | None:
    """A literal as the server reads it, and whether it has its very value.

    Args:
        kind: the column's type. One of another is not said: what its values are compared as is not known.
        up: where it must be made coarser: to above it, to below; None: then it isn't said.
    """
    if not literal.is_valid or not (
        literal.type == kind or (pa.types.is_integer(literal.type) and pa.types.is_integer(kind))
    ):
        return None
    if format != "iso" and not (pa.types.is_date(kind) or pa.types.is_timestamp(kind)):
        return None  # text, to whose order a moment's is none
    try:
        value = EqualTo("", literal).value
    except ValueError:
        return None
    if isinstance(value, bool) or (isinstance(value, (int, str)) and value != ""):
        return value, True
    if isinstance(value, float):  # a single is not what was written: 0.1 is 0.10000000149011612
        return (value, True) if kind == pa.float64() and abs(value) < float("inf") else None
    if isinstance(value, Decimal):
        return f"{value:f}", True
    if isinstance(value, datetime.datetime):
        return _moment(value, format, up)
    if isinstance(value, datetime.date):
        if format in ("unix", "unix_ms"):
            days = (value - _EPOCH.date()).days
            return days * 86400 * (1000 if format == "unix_ms" else 1), True
        return value.isoformat(), True
    return (value.isoformat(), True) if isinstance(value, datetime.time) else None


def _moment(value: datetime.datetime, format: str, up: bool | None) -> tuple[Any, bool] | None:
    zone = "Z" if value.tzinfo is not None else ""
    plain = value.astimezone(datetime.UTC).replace(tzinfo=None) if zone else value
    if format == "iso":
        return plain.isoformat() + zone, True
    unit = {"date": _DAY, "unix": datetime.timedelta(seconds=1)}.get(format, datetime.timedelta(milliseconds=1))
    whole, rest = divmod(plain - _EPOCH, unit)
    if rest and up is None:
        return None
    whole += bool(rest and up)
    if format != "date":
        return whole, not rest
    try:
        return (_EPOCH + whole * _DAY).date().isoformat(), not rest
    except OverflowError:
        return None
