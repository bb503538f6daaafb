"""The predicates: small frozen dataclasses with PySpark's names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from bascule.filters._literal import key_of, literal, shown, value_of

if TYPE_CHECKING:
    from pyarrow.compute import Expression

    from bascule.filters._sql import Sql, SqlColumn
    from bascule.filters._translate import Translated

__all__ = [
    "And",
    "Comparison",
    "EqualNullSafe",
    "EqualTo",
    "Filter",
    "GreaterThan",
    "GreaterThanOrEqual",
    "In",
    "IsNotNull",
    "IsNull",
    "LessThan",
    "LessThanOrEqual",
    "Not",
    "Or",
    "StringContains",
    "StringEndsWith",
    "StringPredicate",
    "StringStartsWith",
]


class Filter:
    """A predicate over a source's columns: of a row it says true, false or, as SQL does, NULL.

    One semantics, DuckDB's: three-valued NULL; NaN equals itself and is the greatest value; -0.0 equals 0.0; strings
    compare by their UTF-8 bytes. ``repr`` reads like SQL.
    """

    __slots__ = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it reads, each once, in the order of their first use."""
        return tuple(dict.fromkeys(self._columns()))

    def _columns(self) -> Iterator[str]:
        raise NotImplementedError

    def conjuncts(self) -> tuple[Filter, ...]:
        """The predicates that it joins by AND; itself, where it is no :class:`And`."""
        return (self,)

    def to_arrow(self, schema: pa.Schema) -> Translated[Expression]:
        """It as an expression of ``pyarrow.compute``; see :func:`bascule.filters.to_arrow`."""
        from bascule.filters._arrow import to_arrow

        return to_arrow(self, schema)

    def to_sql(self, dialect: str, columns: Mapping[str, SqlColumn] | None = None) -> Translated[Sql]:
        """As a condition in a database's SQL, with parameters; how exact it is, is told. See docs/jdbc.md.

        Args:
            dialect: postgres, mysql (or mariadb), sqlite, duckdb; of others, by sqlglot's name, little is said.
            columns: what is known of them. None: each is what its literals are, its strings of any collation.

        Raises:
            BasculeError: sqlglot is missing (``bascule[jdbc]``).

        Example:
            >>> made = EqualTo("id", 7).to_sql("postgres").expression
            >>> made.text, made.parameters
            ('"id" = CAST($1 AS BIGINT)', (<pyarrow.Int64Scalar: 7>,))
        """
        from bascule.filters._sql import to_sql

        return to_sql(self, dialect, columns)

    def __getstate__(self) -> dict[str, Any]:
        slots = (slot for cls in type(self).__mro__ for slot in vars(cls).get("__slots__", ()))
        return {**getattr(self, "__dict__", {}), **{slot: getattr(self, slot) for slot in slots if hasattr(self, slot)}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            object.__setattr__(self, name, value)

    def __and__(self, other: Filter) -> And:
        return And(*_children(self, And), *_children(other, And))

    def __or__(self, other: Filter) -> Or:
        return Or(*_children(self, Or), *_children(other, Or))

    def __invert__(self) -> Not:
        return Not(self)


def _children(filter: Filter, kind: type[_Joined]) -> tuple[Filter, ...]:
    """What ``filter`` joins, where it is of the kind; else itself: chains stay flat."""
    return filter.children if isinstance(filter, kind) else (filter,)


def name(column: str) -> str:
    """A column's name as SQL has it."""
    plain = column.isidentifier() and column.isascii() and column == column.lower()
    return column if plain else '"' + column.replace('"', '""') + '"'


class _OfColumn(Filter):
    __slots__ = ()
    column: str

    def _columns(self) -> Iterator[str]:
        yield self.column

    def _check(self) -> None:
        if not isinstance(self.column, str):
            raise TypeError(f"a column is named by a string, got {self.column!r}")


@dataclass(frozen=True, init=False, eq=False, repr=False)
class Comparison(_OfColumn):
    """A column compared with a literal: NULL where either is NULL, but for :class:`EqualNullSafe`.

    Args:
        column: its name.
        value: a Python value, or a ``pyarrow.Scalar`` for what Python has no value of.

    Example:
        >>> from bascule.filters import GreaterThan
        >>> GreaterThan("price", 9.5)
        price > 9.5
        >>> GreaterThan("price", 9.5).value
        9.5
    """

    __slots__ = ("column", "literal")
    column: str
    literal: pa.Scalar
    _operator = ""

    def __init__(self, column: str, value: Any) -> None:
        object.__setattr__(self, "column", column)
        object.__setattr__(self, "literal", literal(value))
        self._check()

    @property
    def value(self) -> Any:
        """The literal as a Python value. Raises ValueError where Python has no such value (see :attr:`literal`)."""
        return value_of(self.literal)

    def __repr__(self) -> str:
        return f"{name(self.column)} {self._operator} {shown(self.literal)}"

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[Any, ...]:
        return type(self).__name__, self.column, key_of(self.literal)


class EqualTo(Comparison):
    """``column = value``."""

    __slots__ = ()
    _operator = "="


class EqualNullSafe(Comparison):
    """``column IS NOT DISTINCT FROM value``: never NULL; NULL equals NULL."""

    __slots__ = ()
    _operator = "IS NOT DISTINCT FROM"


class GreaterThan(Comparison):
    """``column > value``."""

    __slots__ = ()
    _operator = ">"


class GreaterThanOrEqual(Comparison):
    """``column >= value``."""

    __slots__ = ()
    _operator = ">="


class LessThan(Comparison):
    """``column < value``."""

    __slots__ = ()
    _operator = "<"


class LessThanOrEqual(Comparison):
    """``column <= value``."""

    __slots__ = ()
    _operator = "<="


@dataclass(frozen=True, init=False, eq=False, repr=False)
class In(_OfColumn):
    """``column IN (value, ...)``: NULL where the column is NULL, or equals none of the values and one of them is NULL.

    Example:
        >>> from bascule.filters import In
        >>> In("region", ["eu", "us"])
        region IN ('eu', 'us')
    """

    __slots__ = ("column", "literals")
    column: str
    literals: tuple[pa.Scalar, ...]

    def __init__(self, column: str, values: Iterable[Any]) -> None:
        object.__setattr__(self, "column", column)
        object.__setattr__(self, "literals", tuple(literal(value) for value in values))
        self._check()

    @property
    def values(self) -> tuple[Any, ...]:
        """The literals as Python values. Raises ValueError where Python has no such value (see :attr:`literals`)."""
        return tuple(value_of(scalar) for scalar in self.literals)

    def __repr__(self) -> str:
        return f"{name(self.column)} IN ({', '.join(map(shown, self.literals))})"

    def __eq__(self, other: object) -> bool:
        return type(other) is In and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[Any, ...]:
        return self.column, tuple(map(key_of, self.literals))


@dataclass(frozen=True, repr=False)
class IsNull(_OfColumn):
    """``column IS NULL``: never NULL."""

    __slots__ = ("column",)
    column: str

    def __post_init__(self) -> None:
        self._check()

    def __repr__(self) -> str:
        return f"{name(self.column)} IS NULL"


@dataclass(frozen=True, repr=False)
class IsNotNull(_OfColumn):
    """``column IS NOT NULL``: never NULL."""

    __slots__ = ("column",)
    column: str

    def __post_init__(self) -> None:
        self._check()

    def __repr__(self) -> str:
        return f"{name(self.column)} IS NOT NULL"


@dataclass(frozen=True, repr=False)
class StringPredicate(_OfColumn):
    """A string column and a string that it begins with, ends with or contains, byte for byte: NULL where it is NULL."""

    __slots__ = ("column", "value")
    column: str
    value: str

    def __post_init__(self) -> None:
        self._check()
        if not isinstance(self.value, str):
            raise TypeError(f"{type(self).__name__} takes a string, got {self.value!r}")

    def __repr__(self) -> str:
        function = {StringStartsWith: "starts_with", StringEndsWith: "ends_with", StringContains: "contains"}[
            type(self)
        ]
        return f"{function}({name(self.column)}, {shown(literal(self.value))})"


class StringStartsWith(StringPredicate):
    """``starts_with(column, value)``, ``column LIKE 'value%'``."""

    __slots__ = ()


class StringEndsWith(StringPredicate):
    """``ends_with(column, value)``, ``column LIKE '%value'``."""

    __slots__ = ()


class StringContains(StringPredicate):
    """``contains(column, value)``, ``column LIKE '%value%'``."""

    __slots__ = ()


@dataclass(frozen=True, init=False, repr=False)
class _Joined(Filter):
    __slots__ = ("children",)
    children: tuple[Filter, ...]
    _word = ""

    def __init__(self, *children: Filter) -> None:
        if not children or not all(isinstance(child, Filter) for child in children):
            raise TypeError(f"{type(self).__name__} takes one predicate or more, got {children!r}")
        object.__setattr__(self, "children", children)

    def _columns(self) -> Iterator[str]:
        for child in self.children:
            yield from child._columns()

    def __repr__(self) -> str:
        if len(self.children) == 1:
            return repr(self.children[0])
        plain = [_alone(child) for child in self.children]
        return f" {self._word} ".join(
            f"({child!r})" if isinstance(child, _Joined) and type(child) is not type(self) else repr(child)
            for child in plain
        )


def _alone(filter: Filter) -> Filter:
    """What an AND or OR of one is of."""
    while isinstance(filter, _Joined) and len(filter.children) == 1:
        (filter,) = filter.children
    return filter


class And(_Joined):
    """``child AND child ...``: any number of them, at least one."""

    __slots__ = ()
    _word = "AND"

    def conjuncts(self) -> tuple[Filter, ...]:
        return tuple(conjunct for child in self.children for conjunct in child.conjuncts())


class Or(_Joined):
    """``child OR child ...``: any number of them, at least one."""

    __slots__ = ()
    _word = "OR"


@dataclass(frozen=True, repr=False)
class Not(Filter):
    """``NOT child``."""

    __slots__ = ("child",)
    child: Filter

    def __post_init__(self) -> None:
        if not isinstance(self.child, Filter):
            raise TypeError(f"Not takes a predicate, got {self.child!r}")

    def _columns(self) -> Iterator[str]:
        yield from self.child._columns()

    def __repr__(self) -> str:
        return f"NOT ({self.child!r})"
