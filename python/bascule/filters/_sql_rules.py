"""What may be asked of a database: per dialect and kind of column, how a comparison there relates to ours.

Ours is DuckDB's: three-valued NULL, NaN equal to itself and above all, -0.0 = 0.0, strings by their UTF-8 bytes. The
table is the whole decision; ``_sql.py`` has for each entry the SQL that makes it true, docs/jdbc.md shows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

import pyarrow as pa

from bascule.filters._translate import Exactness

if TYPE_CHECKING:
    from sqlglot import exp

__all__ = ["DIALECTS", "IN_LIMIT", "RULES", "Kind", "Rule", "SqlColumn", "dialect_of", "kind_of_literal", "rule"]

_NO, _SUPERSET, _EXACT = Exactness.NO, Exactness.SUPERSET, Exactness.EXACT

#: The most values of an IN; more become the range that they lie in.
IN_LIMIT = 1000


class Kind(Enum):
    """How the database compares a column's values; the text names it in docs/jdbc.md."""

    INTEGER = "integers"
    DECIMAL = "decimals"
    FLOAT = "double precision"
    REAL = "single precision"
    BOOLEAN = "booleans"
    TEXT = "strings, told apart by their bytes"
    FOLDED = "strings, of any collation"
    LOOSE = "strings, padded or of a type not known"
    BINARY = "bytes"
    DATE = "dates"
    TIMESTAMP = "timestamps without a zone"
    INSTANT = "timestamps with a zone"
    TIME = "times of day"
    UUID = "UUIDs"
    OTHER = "any other"

    @property
    def is_text(self) -> bool:
        return self in (Kind.TEXT, Kind.FOLDED, Kind.LOOSE)


@dataclass(frozen=True)
class SqlColumn:
    """A column as the database has it.

    Attributes:
        kind: how it compares.
        compared: what is compared; None: the column by its name.
        bare: what IS NULL is asked of; None: the same.
        strict: of ``FOLDED`` only: ``=`` by the column's own collation, which an index may serve, is left out.
    """

    kind: Kind
    compared: exp.Expr | None = None
    bare: exp.Expr | None = None
    strict: bool = False


@dataclass(frozen=True)
class Rule:
    """How exact a column's predicates are.

    Attributes:
        equal: ``=``, IN, IS NOT DISTINCT FROM.
        order: ``<``, ``<=``, ``>``, ``>=``.
        match: starts_with, ends_with, contains.
    """

    equal: Exactness
    order: Exactness
    match: Exactness = _NO

    def shown(self, is_text: bool) -> str:
        """As docs/jdbc.md has it."""
        words = {_NO: "–", _SUPERSET: "superset", _EXACT: "exact"}
        others = {self.order, self.match} if is_text else {self.order}
        if others == {self.equal}:
            return words[self.equal]
        if self.order == self.match or not is_text:
            return f"`=` {words[self.equal]}, else {words[self.order]}"
        return f"`=` {words[self.equal]}, `<` {words[self.order]}, LIKE {words[self.match]}"


_ALL = Rule(_EXACT, _EXACT)
_ALL_TEXT = Rule(_EXACT, _EXACT, _EXACT)
_NONE = Rule(_NO, _NO)
#: A collation or padding may take other strings for equal: never fewer. Of an order nothing is known.
_EQUAL_MORE = Rule(_SUPERSET, _NO)

_COMPARED_ALIKE = {
    Kind.INTEGER: _ALL,
    Kind.DECIMAL: _ALL,
    Kind.FLOAT: _ALL,
    Kind.BOOLEAN: _ALL,
    Kind.TEXT: _ALL_TEXT,
    Kind.FOLDED: _ALL_TEXT,
    Kind.LOOSE: _EQUAL_MORE,
    Kind.BINARY: _ALL,
    Kind.DATE: _ALL,
    Kind.TIMESTAMP: _ALL,
    Kind.INSTANT: _ALL,
    Kind.TIME: _ALL,
}

RULES: dict[str, dict[Kind, Rule]] = {
    # NaN is the greatest and equals itself there, too; COLLATE "C" orders by bytes.
    "postgres": _COMPARED_ALIKE | {Kind.REAL: _ALL, Kind.UUID: _ALL},
    # MariaDB compares a FLOAT as a double; that MySQL never rounds the constant to it was not tried.
    "mysql": _COMPARED_ALIKE | {Kind.REAL: _NONE, Kind.UUID: _NONE},
    # Dates are text of one form. Timestamps are text of several: their days are compared. It has no decimals.
    "sqlite": _COMPARED_ALIKE
    | {
        Kind.DECIMAL: _NONE,
        Kind.REAL: _NONE,
        Kind.TIMESTAMP: Rule(_SUPERSET, _SUPERSET),
        Kind.INSTANT: _NONE,
        Kind.TIME: _NONE,
        Kind.UUID: _NONE,
    },
    "duckdb": _COMPARED_ALIKE | {Kind.REAL: _ALL, Kind.UUID: _ALL},
    # Not tried: what SQL itself says, and that as a hint.
    "other": {Kind.INTEGER: Rule(_SUPERSET, _SUPERSET)},
}

DIALECTS = tuple(RULES)


def dialect_of(dialect: str) -> str:
    """The row of ``RULES`` for a dialect's name as sqlglot has it; mariadb is mysql's."""
    name = {"postgresql": "postgres", "mariadb": "mysql"}.get(dialect.lower(), dialect.lower())
    return name if name in RULES else "other"


def rule(dialect: str, kind: Kind) -> Rule:
    return RULES[dialect].get(kind, _NONE)


def null_rule(dialect: str) -> Exactness:
    """How exact IS NULL and IS NOT NULL are, of every kind."""
    return _SUPERSET if dialect == "other" else _EXACT


def has_nan(dialect: str) -> bool:
    return dialect in ("postgres", "duckdb")


def has_infinity(dialect: str) -> bool:
    return dialect in ("postgres", "duckdb", "sqlite")


def kind_of_literal(type_: pa.DataType) -> Kind:
    """The kind of a column of which nothing is known but that it is compared with such a literal."""
    if isinstance(type_, pa.DictionaryType):
        type_ = type_.value_type
    tests = (
        (pa.types.is_boolean, Kind.BOOLEAN),
        (pa.types.is_integer, Kind.INTEGER),
        (pa.types.is_decimal, Kind.DECIMAL),
        (pa.types.is_float64, Kind.FLOAT),
        (pa.types.is_floating, Kind.REAL),
        (pa.types.is_date, Kind.DATE),
        (pa.types.is_time, Kind.TIME),
    )
    for test, kind in tests:
        if test(type_):
            return kind
    if pa.types.is_timestamp(type_):
        return Kind.INSTANT if type_.tz else Kind.TIMESTAMP
    if pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_):
        return Kind.LOOSE
    if pa.types.is_binary(type_) or pa.types.is_large_binary(type_) or pa.types.is_binary_view(type_):
        return Kind.BINARY
    return Kind.UUID if type_ == pa.uuid() else Kind.OTHER
