"""Expressions of Arrow compute read back as predicates.

An expression tells nothing of itself but its text and its pickle: Arrow's own IPC file whose metadata lists calls,
columns and literals in prefix order (docs/decisions/018). Its NaN is not ours, so each part is read twice: for the
rows where it is true and, below a negation, for those where it is false.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from bascule.filters._columns import decoded
from bascule.filters._metadata import metadata_of
from bascule.filters._order import extension_name, family, ticks, value
from bascule.filters._translate import NO, Exactness, Translated
from bascule.filters._tree import (
    And,
    Comparison,
    EqualTo,
    Filter,
    GreaterThan,
    GreaterThanOrEqual,
    In,
    IsNotNull,
    IsNull,
    LessThan,
    LessThanOrEqual,
    Not,
    Or,
    StringContains,
    StringEndsWith,
    StringStartsWith,
)

__all__ = ["columns_in", "from_arrow", "is_plain_sql"]

_Read: TypeAlias = Translated[Filter]

_NAN = float("nan")
_COMPARISONS: dict[str, type[Comparison]] = {
    "equal": EqualTo,
    "less": LessThan,
    "less_equal": LessThanOrEqual,
    "greater": GreaterThan,
    "greater_equal": GreaterThanOrEqual,
}
_MIRRORED = {"less": "greater", "less_equal": "greater_equal", "greater": "less", "greater_equal": "less_equal"}
_OTHERWISE: dict[type[Comparison], type[Comparison]] = {
    LessThan: GreaterThanOrEqual,
    LessThanOrEqual: GreaterThan,
    GreaterThan: LessThanOrEqual,
    GreaterThanOrEqual: LessThan,
}
_STRINGS = {"starts_with": StringStartsWith, "ends_with": StringEndsWith, "match_substring": StringContains}


def from_arrow(expression: pc.Expression, schema: pa.Schema, *, sql: bool = False) -> Translated[Filter]:
    """An expression of ``pyarrow.compute`` as a predicate.

    Args:
        schema: of the tables that the expression is for: the types of its columns.
        sql: it is an engine's that writes SQL so, and means what Bascule does: NaN is the greatest value, and ``is_in`` is NULL
            of NULL.

    Returns:
        A predicate that is true for every row for which Arrow says true, as exactly as can be. Arrow says false of
        ``NaN > 5`` and Bascule true: that comparison is a superset.

    Example:
        >>> import pyarrow as pa, pyarrow.compute as pc
        >>> from bascule.filters import from_arrow
        >>> from_arrow(pc.field("day") >= "2026-01-01", pa.schema({"day": pa.string()})).expression
        day >= '2026-01-01'
    """
    if not isinstance(expression, pc.Expression):
        raise TypeError(f"expected a pyarrow.compute.Expression, got {expression!r}")
    try:
        return _Reader(schema, sql).read(_parsed(expression), True)
    except (pa.ArrowNotImplementedError, RecursionError):  # A column by its position, options that have no pickle.
        return NO


def is_plain_sql(expression: pc.Expression, schema: pa.Schema) -> bool:
    """Whether an expression that SQL was written as says in Arrow what it said there: NaN and ``is_in`` aside."""
    try:
        node = _parsed(expression)
    except (pa.ArrowNotImplementedError, RecursionError):
        return False
    return not any(pa.types.is_floating(schema.field(name).type) for name in _names(node)) and not _calls(node, "is_in")


def _calls(node: _Node, function: str) -> bool:
    return (node.kind == "call" and node.value == function) or any(_calls(n, function) for n in node.arguments)


def columns_in(expression: pc.Expression) -> frozenset[str] | None:
    """The names of the columns that an expression reads; None where it doesn't tell."""
    try:
        return frozenset(_names(_parsed(expression)))
    except (pa.ArrowNotImplementedError, RecursionError):
        return None


def _names(node: _Node) -> Iterator[str]:
    if node.kind == "field_ref":
        yield node.value
    elif node.kind == "nested_field_ref":
        yield from _names(node.value[0])
    for argument in node.arguments:
        yield from _names(argument)


@dataclass
class _Node:
    kind: str
    """``call``, ``field_ref``, ``literal``, or what isn't known."""
    value: Any
    """A function's name, a column's name, or a scalar."""
    arguments: list[_Node] = field(default_factory=list)
    options: dict[str, pa.Scalar] = field(default_factory=dict)


def _parsed(expression: pc.Expression) -> _Node:
    _, (buffer, *_rest) = expression.__reduce__()
    with pa.ipc.open_file(buffer) as file:
        return _node(iter(metadata_of(file.schema)), file.get_batch(0))


def _node(tokens: Iterator[tuple[str, str]], batch: pa.RecordBatch) -> _Node:
    """The next node of a list of tokens: a call goes on to its ``end``."""
    kind, text = next(tokens)
    if kind == "literal":
        return _Node(kind, batch.column(int(text))[0])
    if kind == "nested_field_ref":
        return _Node(kind, [_node(tokens, batch) for _ in range(int(text))])
    node = _Node(kind, text)
    if kind != "call":
        return node
    for key, inner in tokens:
        if key == "end":
            break
        if key == "options":
            scalar = batch.column(int(inner))[0]
            node.options = {scalar.type.field(i).name: scalar[i] for i in range(scalar.type.num_fields)}
        else:
            node.arguments.append(_node(chain([(key, inner)], tokens), batch))
    return node


class _Reader:
    """Reads nodes; what it returns is true for every row for which the node is ``want``."""

    def __init__(self, schema: pa.Schema, sql: bool) -> None:
        self.schema = schema
        self.sql = sql

    def read(self, node: _Node, want: bool) -> _Read:
        if node.kind == "field_ref":
            return self._flag(node, want)
        if node.kind == "literal" and self.sql:
            return self._constant(node.value, want)
        if node.kind != "call":
            return NO
        name, arguments = node.value, node.arguments
        if name == "invert":
            return self.read(arguments[0], not want)
        if name in ("and_kleene", "or_kleene", "and", "or"):
            return self._joined(node, want)
        if name in _COMPARISONS or name == "not_equal":
            return self._compared(node, want)
        column = self._column(arguments[0]) if arguments else None
        if column is None:
            return NO
        return self._of_column(node, column, want)

    def _joined(self, node: _Node, want: bool) -> _Read:
        if node.value == "or_kleene" and want and (spelled := self._with_nan(node)) is not None:
            return spelled
        parts = [self.read(argument, want) for argument in node.arguments]
        said = [part.expression for part in parts if part.expression is not None]
        exactness = min(part.exactness for part in parts)
        if node.value in ("and", "or"):  # These are NULL where either side is.
            exactness = min(exactness, Exactness.SUPERSET)
        if node.value.startswith("and") is want:
            if not said:
                return NO
            return Translated(_join(And, said), max(exactness, Exactness.SUPERSET))
        return NO if exactness is Exactness.NO else Translated(_join(Or, said), exactness)

    def _with_nan(self, node: _Node) -> _Read | None:
        """``x > 5 or is_nan(x)``, which is our ``x > 5``."""
        first, second = node.arguments
        if second.kind != "call" or second.value != "is_nan" or first.value not in ("greater", "greater_equal"):
            return None
        column, same = self._column(second.arguments[0]), self._column(first.arguments[0])
        if column is None or same is None or column != same or not pa.types.is_floating(column.type):
            return None
        read = self._compared(first, True)
        return None if read.expression is None else Translated(read.expression, Exactness.EXACT)

    def _constant(self, scalar: pa.Scalar, want: bool) -> _Read:
        """TRUE, FALSE or NULL: which rows it is ``want`` for, said of any column."""
        if not pa.types.is_boolean(scalar.type) or self.schema.names.count(self.schema.names[0]) > 1:
            return NO
        name = self.schema.names[0]
        return _exact(Or(IsNull(name), IsNotNull(name)) if scalar.as_py() is want else In(name, ()))

    def _flag(self, node: _Node, want: bool) -> _Read:
        column = self._column(node)
        if column is None or not pa.types.is_boolean(column.type):
            return NO
        return _exact(EqualTo(column.name, want))

    def _column(self, node: _Node) -> _Column | None:
        """A column, as it is or decoded as to_arrow does."""
        target = None
        if node.kind == "call" and node.value == "not_equal" and len(node.arguments) == 2:
            inner = self._column(node.arguments[0])
            return inner if inner is not None and extension_name(self._type(inner.name)) == "arrow.bool8" else None
        if node.kind == "call" and node.value == "cast" and "to_type" in node.options:
            target, node = node.options["to_type"].type, node.arguments[0]
        if node.kind != "field_ref" or len(self.schema.get_all_field_indices(node.value)) != 1:
            return None
        declared = self._type(node.value)
        type_ = decoded(declared)
        if target is None:
            # Arrow decodes dictionaries itself, and compares no extension.
            type_ = declared if type_ is None or pa.types.is_date64(declared) else type_
            return _Column(node.value, type_, extension_name(declared) == "")
        values = declared.value_type if pa.types.is_dictionary(declared) else declared
        storage = decoded(values)
        if target not in (values, type_, storage) or storage is None:
            return None
        return _Column(node.value, pa.bool_() if extension_name(values) == "arrow.bool8" else storage, True)

    def _type(self, name: str) -> pa.DataType:
        return self.schema.field(name).type

    def _of_column(self, node: _Node, column: _Column, want: bool) -> _Read:
        name, options = node.value, node.options
        floating = pa.types.is_floating(column.type)
        null, nan = IsNull(column.name), EqualTo(column.name, _NAN)
        if name == "is_null":
            if "nan_is_null" in options and options["nan_is_null"].as_py():
                read: Filter = Or(null, nan) if floating else null
                return _exact(read if want else Not(read))
            return _exact(null if want else IsNotNull(column.name))
        if name == "is_valid":
            return _exact(IsNotNull(column.name) if want else null)
        if name == "is_nan":
            if not floating:
                return NO
            return _exact(nan if want else LessThan(column.name, _NAN))
        if name in _STRINGS and family(column.type) == "text" and not options["ignore_case"].as_py():
            text = _STRINGS[name](column.name, _text(options["pattern"]))
            return _exact(text if want else Not(text))
        return self._among(node, column, want) if name == "is_in" else NO

    def _among(self, node: _Node, column: _Column, want: bool) -> _Read:
        values = node.options.get("value_set")
        matching = node.options.get("null_matching_behavior")
        if values is None or matching is None or matching.as_py() not in (0, 1) or not pa.types.is_list(values.type):
            return NO
        scalars = list(values.values)
        valid = [self._literal(column, scalar) for scalar in scalars if scalar.is_valid]
        known = [scalar for scalar in valid if scalar is not None]
        alike = all(scalar.type == column.type for scalar in scalars) or family(column.type) in ("text", "bytes")
        if len(known) < len(valid) or not column.compares or not alike:
            return NO
        null_too = len(valid) < len(scalars) and matching.as_py() == 0
        among = In(column.name, known)
        if self.sql:
            if len(known) < len(scalars):  # a NULL in the list: NULL of what is not in it
                among = In(column.name, [*known, None])
            return _exact(among if want else Not(among))
        exactness = Exactness.EXACT
        if pa.types.is_floating(column.type) and any(scalar.as_py() == 0 for scalar in known):
            # Arrow's is_in tells 0.0 from -0.0.
            bits = {str(scalar.as_py()) for scalar in known if scalar.as_py() == 0}
            if len(bits) < 2:
                if not want:
                    return NO
                exactness = Exactness.SUPERSET
        # Arrow's is_in is never NULL.
        if want:
            read: Filter = Or(IsNull(column.name), among) if null_too else And(IsNotNull(column.name), among)
        else:
            other = Not(among)
            read = And(IsNotNull(column.name), other) if null_too else Or(IsNull(column.name), other)
        return Translated(read, exactness)

    def _compared(self, node: _Node, want: bool) -> _Read:
        name = node.value
        left, right = node.arguments
        if left.kind == "literal":
            left, right, name = right, left, _MIRRORED.get(name, name)
        column = self._column(left)
        if column is None or right.kind != "literal" or not column.compares:
            return NO
        scalar = right.value
        if not scalar.is_valid:
            return _exact(EqualTo(column.name, pa.scalar(None, column.type)))
        literal = self._literal(column, scalar)
        if literal is None:
            return NO
        if name == "not_equal":
            name, want = "equal", not want
        kind = _COMPARISONS[name]
        if kind in (LessThan, GreaterThanOrEqual) and column.is_least(literal):
            # Nothing is less: how to_arrow says "always" and "never".
            never = In(column.name, ())
            if not pa.types.is_floating(column.type):
                return _exact(never if want is (kind is LessThan) else Not(never))
            if kind is LessThan:
                return _exact(never if want else Not(never))
        if pa.types.is_date64(column.type):
            return _of_days(kind, column.name, literal, want)
        if not pa.types.is_floating(column.type) or self.sql:
            return _exact(_either(kind, column.name, literal, want))
        if pa.types.is_floating(literal.type) and literal.as_py() != literal.as_py():
            # Arrow: false, whatever the column's value.
            return _exact((GreaterThan if want else LessThanOrEqual)(column.name, literal))
        if kind not in (GreaterThan, GreaterThanOrEqual):
            return _exact(_either(kind, column.name, literal, want))
        if want:
            return Translated(kind(column.name, literal), Exactness.SUPERSET)
        return _exact(Or(_either(kind, column.name, literal, False), EqualTo(column.name, _NAN)))

    def _literal(self, column: _Column, scalar: pa.Scalar) -> pa.Scalar | None:
        """A valid literal of Arrow's as one of ours; None where the two compare it differently."""
        if extension_name(self._values(column.name)) == "arrow.uuid":
            stored = pa.scalar(scalar.as_py(), pa.binary(16)) if family(scalar.type) == "bytes" else None
            return None if stored is None else pa.ExtensionScalar.from_storage(self._values(column.name), stored)
        return scalar if _same_kind(column.type, scalar.type, scalar) else None

    def _values(self, name: str) -> pa.DataType:
        type_ = self._type(name)
        return type_.value_type if pa.types.is_dictionary(type_) else type_


@dataclass(frozen=True)
class _Column:
    name: str
    type: pa.DataType
    compares: bool

    def is_least(self, literal: pa.Scalar) -> bool:
        """Whether no value of the column is less than a literal of its type."""
        if literal.type != self.type:
            return False
        if family(self.type) in ("text", "bytes"):
            return not value(literal)
        if pa.types.is_floating(self.type):
            return bool(value(literal) == -math.inf)
        among = ticks(self.type)
        return among is not None and bool(literal == among.scalar(among.first))


def _exact(filter: Filter) -> _Read:
    return Translated(filter, Exactness.EXACT)


def _join(kind: type[And] | type[Or], parts: Sequence[Filter]) -> Filter:
    """One predicate of several, flat."""
    flat: list[Filter] = []
    for part in parts:
        flat += part.children if isinstance(part, kind) else [part]
    if kind is Or:
        flat = _with_nulls(flat)
    return flat[0] if len(flat) == 1 else kind(*flat)


def _with_nulls(parts: list[Filter]) -> list[Filter]:
    """``x IS NOT NULL AND x IN (...)`` beside what is NULL where x is: an IN alone, as to_arrow had it."""
    for never in [part for part in parts if isinstance(part, In) and not part.literals]:
        for at, part in enumerate(parts):
            if (
                isinstance(part, And)
                and part.children[0] == IsNotNull(never.column)
                and isinstance(among := part.children[-1], In)
                and len(part.children) == 2
                and among.column == never.column
            ):
                rest = [*parts[:at], among, *parts[at + 1 :]]
                return [other for other in rest if other is not never]
    return parts


def _text(scalar: pa.Scalar) -> str:
    text = scalar.as_py()
    return text.decode() if isinstance(text, bytes) else str(text)


def _either(kind: type[Comparison], name: str, literal: pa.Scalar, want: bool) -> Filter:
    if want:
        return kind(name, literal)
    return _OTHERWISE[kind](name, literal) if kind in _OTHERWISE else Not(kind(name, literal))


def _of_days(kind: type[Comparison], name: str, literal: pa.Scalar, want: bool) -> _Read:
    # Arrow compares the milliseconds of a date64, DuckDB days.
    if kind in (LessThan, GreaterThanOrEqual):
        return _exact(_either(kind, name, literal, want))
    return Translated(EqualTo(name, literal), Exactness.SUPERSET) if kind is EqualTo and want else NO


def _same_kind(column: pa.DataType, type_: pa.DataType, scalar: pa.Scalar | None = None) -> bool:
    """Whether Arrow, casting one or both, compares as DuckDB does."""
    types = pa.types
    kind = family(column)
    if not kind or kind != family(type_):
        return False
    if types.is_date64(column) and not types.is_date(type_):
        return False
    if types.is_date64(type_) and scalar is not None and scalar.value % 86_400_000:
        return False
    if kind != "number" or column == type_:
        return True
    if types.is_floating(column):
        return bool(types.is_floating(type_) or types.is_integer(type_))
    if types.is_decimal(column):
        return bool(types.is_integer(type_) or types.is_decimal(type_))
    if types.is_integer(type_):
        among = ticks(column)
        return scalar is not None and among is not None and among.first <= value(scalar) <= among.last
    return bool(types.is_float64(type_))
