"""What a predicate says of each row, in plain Python; and evaluators that are wrong, which the tests must tell from it.

It shares no code with the translations of ``bascule.filters``: values become Python's own, which compare as DuckDB's
do. One row at a time, so for small tables.
"""

from __future__ import annotations

import operator
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import pyarrow as pa

from bascule import filters as f

Truth = bool | None

PER_TICK_NS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
DAY_NS = 86_400 * 10**9
FAR = 2**62  # DuckDB's infinities stay beyond all others when ticks become nanoseconds


class Reference:
    """DuckDB's semantics: three-valued; NaN equals itself and is the greatest; -0 = 0; UTF-8 bytes; instants."""

    #: A mutant that may drop a row that a query needs. Others only keep too much: a hint may, a claim may not.
    loses: ClassVar[bool] = False
    #: The type of columns to look for it with.
    of: ClassVar[pa.DataType] = pa.int64()

    def keep(self, filters: Sequence[f.Filter] | None, batch: pa.RecordBatch) -> pa.BooleanArray:
        """The rows of which all filters are true, and no other: the strictest answer to a hint."""
        truths = [self.evaluate(filter, batch) for filter in filters or ()]
        return pa.array([all(row) for row in zip(*truths, strict=True)] if truths else [True] * len(batch), pa.bool_())

    def evaluate(self, node: f.Filter, batch: pa.RecordBatch) -> list[Truth]:
        """True, False or None, row by row."""
        if isinstance(node, f.Not):
            return [self.negation(truth) for truth in self.evaluate(node.child, batch)]
        if isinstance(node, f.And | f.Or):
            join = self.conjunction if isinstance(node, f.And) else self.disjunction
            return [join(row) for row in zip(*(self.evaluate(child, batch) for child in node.children), strict=True)]
        return [self.leaf(node, value) for value in self.values(batch.column(node.column))]

    def conjunction(self, row: Sequence[Truth]) -> Truth:
        return False if False in row else None if None in row else True

    def disjunction(self, row: Sequence[Truth]) -> Truth:
        return True if True in row else None if None in row else False

    def negation(self, truth: Truth) -> Truth:
        return None if truth is None else not truth

    def leaf(self, node: f.Filter, value: Any) -> Truth:
        """What a node without children says of a value."""
        if isinstance(node, f.IsNull):
            return value is None
        if isinstance(node, f.IsNotNull):
            return value is not None
        if isinstance(node, f.In):
            return self.is_in(value, [self.value(literal) for literal in node.literals])
        if isinstance(node, f.StringPredicate):
            return None if value is None else self.string(type(node), value, node.value.encode())
        literal = self.value(node.literal)
        if isinstance(node, f.EqualNullSafe):
            return self.null_safe(value, literal)
        return None if value is None or literal is None else self.compare(type(node), value, literal)

    def null_safe(self, value: Any, literal: Any) -> Truth:
        if value is None or literal is None:
            return value is literal
        return self.compare(f.EqualTo, value, literal)

    def is_in(self, value: Any, literals: Sequence[Any]) -> Truth:
        return self.disjunction(
            [None if None in (value, literal) else self.compare(f.EqualTo, value, literal) for literal in literals]
        )

    OPERATORS: ClassVar[dict[type, Callable[[Any, Any], bool]]] = {
        f.EqualTo: operator.eq,
        f.LessThan: operator.lt,
        f.LessThanOrEqual: operator.le,
        f.GreaterThan: operator.gt,
        f.GreaterThanOrEqual: operator.ge,
    }

    def compare(self, kind: type, value: Any, literal: Any) -> Truth:
        """One of EqualTo and the four orders, of two values that are not NULL."""
        return self.OPERATORS[kind](value, literal)

    def string(self, kind: type, value: bytes, part: bytes) -> Truth:
        if kind is f.StringStartsWith:
            return value.startswith(part)
        return value.endswith(part) if kind is f.StringEndsWith else part in value

    def value(self, scalar: pa.Scalar) -> Any:
        return self.values(pa.array([None], scalar.type) if not scalar.is_valid else pa.repeat(scalar, 1))[0]

    def values(self, array: pa.Array) -> list[Any]:
        """Values that compare by Python's operators: numbers behind a rank, text as bytes, moments in nanoseconds."""
        type_, t = array.type, pa.types
        if t.is_dictionary(type_):
            return self.values(array.dictionary_decode())
        if t.is_floating(type_):
            return [None if v is None else self.number(v) for v in array.to_pylist()]
        if t.is_integer(type_) or t.is_decimal(type_):
            return [None if v is None else (0, v) for v in array.to_pylist()]
        if isinstance(type_, pa.BaseExtensionType):
            return self.values(array.storage)
        if t.is_string(type_) or t.is_large_string(type_) or t.is_string_view(type_):
            return [None if v is None else self.text(v) for v in array.to_pylist()]
        if t.is_temporal(type_):
            ticks = array.view(pa.int32() if type_.bit_width == 32 else pa.int64()).to_pylist()
            return [None if v is None else self.moment(v, type_) for v in ticks]
        return array.to_pylist()

    def number(self, value: float) -> Any:
        return (1, 0.0) if value != value else (0, value)

    def text(self, value: str) -> bytes:
        return value.encode()

    def moment(self, ticks: int, type_: pa.DataType) -> Any:
        most = 2 ** (type_.bit_width - 1) - 1
        if abs(ticks) == most and not pa.types.is_time(type_) and not pa.types.is_duration(type_):
            return FAR * DAY_NS * (1 if ticks > 0 else -1)
        if pa.types.is_date(type_):
            return ticks * (DAY_NS if type_ == pa.date32() else 10**6)
        return ticks * PER_TICK_NS[type_.unit]


MUTANTS: dict[str, type[Reference]] = {}


def mutant(loses: bool, of: pa.DataType = Reference.of) -> Callable[[type[Reference]], type[Reference]]:
    def register(cls: type[Reference]) -> type[Reference]:
        cls.loses, cls.of = loses, of
        MUTANTS[cls.__name__] = cls
        return cls

    return register


@mutant(loses=True, of=pa.float64())
class NanIsArrows(Reference):
    """Arrow's NaN: no comparison with it is true."""

    def number(self, value: float) -> Any:
        return value

    def compare(self, kind: type, value: Any, literal: Any) -> Truth:
        if isinstance(value, float) or isinstance(literal, float):
            value, literal = (v[1] if isinstance(v, tuple) else v for v in (value, literal))
        return self.OPERATORS[kind](value, literal)


@mutant(loses=True, of=pa.float64())
class NanIsLeast(Reference):
    def number(self, value: float) -> Any:
        return (-1, 0.0) if value != value else (0, value)


@mutant(loses=False)
class NullIsFalse(Reference):
    """A comparison with NULL is false, so that NOT makes it true."""

    def leaf(self, node: f.Filter, value: Any) -> Truth:
        return bool(super().leaf(node, value))


@mutant(loses=True)
class NullSpoilsOr(Reference):
    """TRUE OR NULL is NULL."""

    def disjunction(self, row: Sequence[Truth]) -> Truth:
        return None if None in row else True in row


@mutant(loses=False)
class NullIsLostInAnd(Reference):
    """TRUE AND NULL is true."""

    def conjunction(self, row: Sequence[Truth]) -> Truth:
        return False not in row


@mutant(loses=True, of=pa.string())
class NegatedSuperset(Reference):
    """Equality ignores case, which is a superset; but NOT of it is taken for one too."""

    def compare(self, kind: type, value: Any, literal: Any) -> Truth:
        if kind is f.EqualTo and isinstance(value, bytes) and isinstance(literal, bytes):
            return value.lower() == literal.lower()
        return super().compare(kind, value, literal)


@mutant(loses=True)
class AndOrSwapped(Reference):
    def conjunction(self, row: Sequence[Truth]) -> Truth:
        return super().disjunction(row)

    def disjunction(self, row: Sequence[Truth]) -> Truth:
        return super().conjunction(row)


@mutant(loses=True)
class LessForLessOrEqual(Reference):
    def compare(self, kind: type, value: Any, literal: Any) -> Truth:
        return super().compare(f.LessThan if kind is f.LessThanOrEqual else kind, value, literal)


@mutant(loses=True)
class LessOrEqualForLess(Reference):
    """A superset, until it is negated."""

    def compare(self, kind: type, value: Any, literal: Any) -> Truth:
        return super().compare(f.LessThanOrEqual if kind is f.LessThan else kind, value, literal)


@mutant(loses=True)
class GreaterForGreaterOrEqual(Reference):
    def compare(self, kind: type, value: Any, literal: Any) -> Truth:
        return super().compare(f.GreaterThan if kind is f.GreaterThanOrEqual else kind, value, literal)


@mutant(loses=True)
class SidesSwapped(Reference):
    """``5 < x`` taken for ``x < 5``."""

    def compare(self, kind: type, value: Any, literal: Any) -> Truth:
        return super().compare(kind, literal, value)


@mutant(loses=True, of=pa.float64())
class ZeroHasASign(Reference):
    def number(self, value: float) -> Any:
        return (0, -5e-324) if value == 0 and str(value).startswith("-") else super().number(value)


@mutant(loses=True, of=pa.string())
class TextByUtf16(Reference):
    """Strings in the order of Java's and JavaScript's."""

    def text(self, value: str) -> bytes:
        return value.encode("utf-16-be")

    def string(self, kind: type, value: bytes, part: bytes) -> Truth:
        return super().string(kind, value.decode("utf-16-be").encode(), part)


@mutant(loses=True, of=pa.string())
class TextNormalised(Reference):
    """Composed and decomposed letters are the same."""

    def text(self, value: str) -> bytes:
        return unicodedata.normalize("NFC", value).encode()


@mutant(loses=True, of=pa.string())
class TextEndsAtNul(Reference):
    def text(self, value: str) -> bytes:
        return value.partition("\0")[0].encode()


@mutant(loses=True, of=pa.string())
class TrailingSpaceIgnored(Reference):
    """CHAR's comparison, as many databases have it."""

    def text(self, value: str) -> bytes:
        return value.rstrip(" ").encode()


@mutant(loses=True)
class NullSafeIsEqual(Reference):
    def null_safe(self, value: Any, literal: Any) -> Truth:
        return None if None in (value, literal) else self.compare(f.EqualTo, value, literal)


@mutant(loses=True)
class NullInListSpoilsIn(Reference):
    """``x IN (1, NULL)`` is never true."""

    def is_in(self, value: Any, literals: Sequence[Any]) -> Truth:
        return None if None in literals else super().is_in(value, literals)


@mutant(loses=False)
class NullInListIgnored(Reference):
    """``x NOT IN (1, NULL)`` is true for 2."""

    def is_in(self, value: Any, literals: Sequence[Any]) -> Truth:
        return super().is_in(value, [literal for literal in literals if literal is not None] or [None])


@mutant(loses=True)
class LastOfListForgotten(Reference):
    def is_in(self, value: Any, literals: Sequence[Any]) -> Truth:
        return super().is_in(value, literals[:-1] or literals)


@mutant(loses=True)
class LastOfOrForgotten(Reference):
    """What can't be translated is left out of an OR, as it may be of an AND."""

    def disjunction(self, row: Sequence[Truth]) -> Truth:
        return super().disjunction(row[:-1] or row)


@mutant(loses=True)
class IsNullSwapped(Reference):
    def leaf(self, node: f.Filter, value: Any) -> Truth:
        return super().leaf(node, value) is not isinstance(node, f.IsNull | f.IsNotNull)


@mutant(loses=True, of=pa.timestamp("us"))
class MomentsInMilliseconds(Reference):
    def moment(self, ticks: int, type_: pa.DataType) -> Any:
        return super().moment(ticks, type_) // 10**6


@mutant(loses=True, of=pa.string())
class EndsWithForStartsWith(Reference):
    def string(self, kind: type, value: bytes, part: bytes) -> Truth:
        return super().string(f.StringEndsWith if kind is f.StringStartsWith else kind, value, part)


@mutant(loses=True, of=pa.string())
class ContainsForEndsWith(Reference):
    """A superset, until it is negated."""

    def string(self, kind: type, value: bytes, part: bytes) -> Truth:
        return super().string(f.StringContains if kind is f.StringEndsWith else kind, value, part)


@mutant(loses=True, of=pa.string())
class StartsWithForContains(Reference):
    def string(self, kind: type, value: bytes, part: bytes) -> Truth:
        return super().string(f.StringStartsWith if kind is f.StringContains else kind, value, part)


@mutant(loses=True, of=pa.int64())
class NumbersAreDoubles(Reference):
    """Integers and decimals compared as doubles."""

    def compare(self, kind: type, value: Any, literal: Any) -> Truth:
        if isinstance(value, tuple) and isinstance(literal, tuple):
            value, literal = ((rank, float(number)) for rank, number in (value, literal))
        return super().compare(kind, value, literal)


@mutant(loses=True, of=pa.uint64())
class UnsignedAreSigned(Reference):
    def values(self, array: pa.Array) -> list[Any]:
        if pa.types.is_uint64(array.type):
            return super().values(array.view(pa.int64()))
        return super().values(array)


def evaluator(name: str | None) -> Reference:
    """The reference, or a mutant by name."""
    return MUTANTS[name]() if name else Reference()
