"""Predicates as each library's own expressions. What they mean there may differ; nothing here knows our translations."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from functools import reduce
from operator import and_, eq, ge, gt, le, lt, or_
from typing import Any

import datafusion
import datafusion.functions
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from bascule import filters as f

_COMPARE = {f.EqualTo: eq, f.LessThan: lt, f.LessThanOrEqual: le, f.GreaterThan: gt, f.GreaterThanOrEqual: ge}


class Expressions(ABC):
    """A library's way to write the nodes of a tree."""

    def of(self, node: f.Filter) -> Any:
        if isinstance(node, f.Not):
            return ~self.of(node.child)
        if isinstance(node, f.And | f.Or):
            return reduce(and_ if isinstance(node, f.And) else or_, map(self.of, node.children))
        column = self.column(node.column)  # type: ignore[attr-defined]
        if isinstance(node, f.IsNull | f.IsNotNull):
            return column.is_null() if isinstance(node, f.IsNull) else ~column.is_null()
        if isinstance(node, f.In):
            return self.is_in(column, list(node.literals))
        if isinstance(node, f.StringPredicate):
            return self.text(column, type(node), node.value)
        value = node.literal  # type: ignore[attr-defined]
        if isinstance(node, f.EqualNullSafe):
            return self.equal_null_safe(column, value)
        return _COMPARE[type(node)](column, self.literal(value))

    def equal_null_safe(self, column: Any, value: Any) -> Any:
        if not _scalar(value).is_valid:
            return column.is_null()
        return (column == self.literal(value)) & ~column.is_null()

    @abstractmethod
    def column(self, name: str) -> Any: ...

    @abstractmethod
    def literal(self, value: Any) -> Any: ...

    @abstractmethod
    def is_in(self, column: Any, values: list[Any]) -> Any: ...

    @abstractmethod
    def text(self, column: Any, kind: type, value: str) -> Any: ...


def _scalar(value: Any) -> pa.Scalar:
    return value if isinstance(value, pa.Scalar) else pa.scalar(value)


def _array(values: list[Any]) -> pa.Array:
    scalars = [_scalar(value) for value in values]
    return pa.concat_arrays([pa.repeat(scalar, 1) for scalar in scalars])


class Polars(Expressions):
    def column(self, name: str) -> pl.Expr:
        return pl.col(name)

    def literal(self, value: Any) -> pl.Expr:
        series = pl.from_arrow(_array([value]))
        assert isinstance(series, pl.Series)
        with contextlib.suppress(Exception):  # as people write it, where Python has the value
            plain = series[0]
            if pl.Series([plain], dtype=series.dtype).equals(series, null_equal=True):
                return pl.lit(plain, dtype=series.dtype)
        return pl.lit(series)

    def is_in(self, column: pl.Expr, values: list[Any]) -> pl.Expr:
        return column.is_in(pl.from_arrow(_array(values)).implode())  # type: ignore[union-attr,arg-type]

    def equal_null_safe(self, column: pl.Expr, value: Any) -> pl.Expr:
        return column.eq_missing(self.literal(value))

    def text(self, column: pl.Expr, kind: type, value: str) -> pl.Expr:
        if kind is f.StringContains:
            return column.str.contains(value, literal=True)
        return column.str.starts_with(value) if kind is f.StringStartsWith else column.str.ends_with(value)


class DataFusion(Expressions):
    def column(self, name: str) -> datafusion.Expr:
        quoted = name.replace('"', '""')
        return datafusion.col(f'"{quoted}"')

    def literal(self, value: Any) -> datafusion.Expr:
        return datafusion.lit(_scalar(value))

    def is_in(self, column: datafusion.Expr, values: list[Any]) -> datafusion.Expr:
        # Of four floats and more its IN tells -0.0 from 0.0, its = does not (docs/table.md).
        few = values[:3] if pa.types.is_floating(_scalar(values[0]).type) else values
        return datafusion.functions.in_list(column, [self.literal(value) for value in few])

    def text(self, column: datafusion.Expr, kind: type, value: str) -> datafusion.Expr:
        names = {f.StringContains: "contains", f.StringStartsWith: "starts_with", f.StringEndsWith: "ends_with"}
        return getattr(datafusion.functions, names[kind])(column, datafusion.lit(value))


class Arrow(Expressions):
    def column(self, name: str) -> pc.Expression:
        return pc.field(name)

    def literal(self, value: Any) -> pc.Expression:
        return pc.scalar(_scalar(value))

    def is_in(self, column: pc.Expression, values: list[Any]) -> pc.Expression:
        return column.isin(_array(values))

    def text(self, column: pc.Expression, kind: type, value: str) -> pc.Expression:
        calls = {
            f.StringContains: pc.match_substring,
            f.StringStartsWith: pc.starts_with,
            f.StringEndsWith: pc.ends_with,
        }
        return calls[kind](column, value)
