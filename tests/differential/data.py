"""Random tables: few rows, many types, values that go wrong. Nothing here knows an engine or a predicate.

Each column has a pool, an array of the values that it is made of, so that values repeat and predicates, whose constants
come of the same pools, are true for some rows.
"""

from __future__ import annotations

import decimal
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

NAN, INF = float("nan"), float("inf")
PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
DAY_S = 86_400
IN_2020_S = 1_577_836_800

#: First what some systems confuse or order otherwise: case, trailing spaces, NUL, composed letters, and UTF-16 where
#: astral letters are. Then LIKE's own characters, and both sides of the twelve bytes that DuckDB keeps in a string's head.
TEXTS = (
    *("a", "A", "a ", "a\0", "é", "e\u0301", "\U0001f600", "\ufffd", "ab", "ba", "aba"),
    *(
        "",
        "b",
        "B",
        "abc",
        "aa",
        "zab",
        "a%b",
        "a_b",
        "axb",
        "%",
        "_",
        "\\",
        "a\\b",
        "it's",
        "É",
        "\ue000",
        "ß",
        "ss",
        "SS",
    ),
    *("12", "nan", "{t}", "$1", "abcdefghijkl", "abcdefghijklm", "abcdefghijkln", "a\0b", "a\0c", " a", "AB"),
)
BYTES = (
    b"a",
    b"",
    b"\0",
    b"\xff",
    b"ab",
    b"\0\xff",
    b"a\0",
    b"abc",
    b"abcdefghijkl",
    b"abcdefghijklm",
    b"abcdefghijkln",
)


def _integers(bits: int, signed: bool) -> list[int]:
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return [1, 0, 2, 3, 5, *([-1, -2, low, low + 1] if signed else []), high - 1, high]


def _floats(bits: int) -> list[float]:
    most, least = (3.4028234663852886e38, 1e-45) if bits == 32 else (1.7976931348623157e308, 5e-324)
    return [1.0, 0.0, -0.0, NAN, INF, -INF, -1.5, 0.5, 2.0, 3.0, 0.1, most, -most, least, -least]


def _decimals(precision: int, scale: int) -> list[decimal.Decimal]:
    most = decimal.Decimal(10**precision - 1).scaleb(-scale, decimal.Context(precision))
    tick = decimal.Decimal(1).scaleb(-scale)
    numbers = [decimal.Decimal(n) for n in ("1", "0", "-1.5", "0.5", "2")]
    return [*numbers, tick, -tick, most, most.copy_negate(), decimal.Context(precision).subtract(most, tick)]


def _moments(unit: str, zone: str | None) -> list[int]:
    per = PER_SECOND[unit]
    first, last = (-9_223_286_400, 9_223_286_400) if unit == "ns" else (-62_135_596_800, 253_402_214_400)
    moments = [m * per for m in (IN_2020_S, 0, first, last)]
    out = [moments[0], 0, 1, -1, moments[0] + 1, moments[0] - 1, moments[0] + DAY_S * per, moments[2], moments[3]]
    if per >= 1000:
        out += [moments[0] + per // 1000, moments[0] + 999]
    if zone is None or unit == "us":
        out += [2**63 - 1, -(2**63 - 1)]  # DuckDB's infinities
    return out


def _times(unit: str) -> list[int]:
    per = PER_SECOND[unit]
    noon = DAY_S // 2 * per
    return [noon, 0, 1, noon + 1, noon - 1, DAY_S * per - 1]


def _durations(unit: str) -> list[int]:
    per = PER_SECOND[unit]
    return [per, 0, 1, -1, per + 1, DAY_S * per, 30 * DAY_S * per, 31 * DAY_S * per]


_DAYS = [IN_2020_S // DAY_S, 0, 1, -1, IN_2020_S // DAY_S + 1, -719_162, 2_932_896]


def _kinds() -> dict[pa.DataType, Sequence[Any]]:
    """Each type, and its values: of moments, times and durations, and of dates, their integers."""
    kinds: dict[pa.DataType, Sequence[Any]] = {pa.bool_(): [True, False]}
    for bits in (8, 16, 32, 64):
        kinds[getattr(pa, f"int{bits}")()] = _integers(bits, True)
        kinds[getattr(pa, f"uint{bits}")()] = _integers(bits, False)
    kinds |= {pa.float32(): _floats(32), pa.float64(): _floats(64)}
    kinds |= {pa.decimal128(p, s): _decimals(p, s) for p, s in ((4, 1), (9, 2), (18, 3), (38, 10))}
    kinds |= dict.fromkeys(
        (pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())), TEXTS
    )
    kinds |= dict.fromkeys((pa.binary(), pa.large_binary(), pa.binary_view()), BYTES)
    kinds[pa.binary(3)] = [b"abc", b"\0\0\0", b"\xff\xff\xff", b"ab\0", b"abd"]
    kinds |= {pa.date32(): [*_DAYS, 2**31 - 1, -(2**31 - 1)], pa.date64(): [day * DAY_S * 1000 for day in _DAYS]}
    kinds |= {pa.time32(unit): _times(unit) for unit in ("s", "ms")}
    kinds |= {pa.time64(unit): _times(unit) for unit in ("us", "ns")}
    for zone in (None, "UTC", "Europe/Berlin"):
        kinds |= {pa.timestamp(unit, zone): _moments(unit, zone) for unit in PER_SECOND}
    kinds |= {pa.duration(unit): _durations(unit) for unit in PER_SECOND}
    kinds[pa.uuid()] = [uuid.UUID(int=n).bytes for n in (1, 0, 2**127, 2**127 - 1, 2**128 - 1, 2)]
    return kinds


KINDS = _kinds()


def _is_by_integers(type_: pa.DataType) -> bool:
    return pa.types.is_temporal(type_)


def array_of(values: Sequence[Any], type_: pa.DataType) -> pa.Array:
    """An array of a pool's values, None among them."""
    if _is_by_integers(type_):
        return pa.array(values, pa.int32() if type_.bit_width == 32 else pa.int64()).view(type_)
    if pa.types.is_dictionary(type_):
        return pa.array(values, type_.value_type).dictionary_encode().cast(type_)
    return pa.array(values, type_)


@dataclass(frozen=True)
class Column:
    """A column's name and type, and the values that it is made of."""

    name: str
    type: pa.DataType
    pool: tuple[Any, ...]

    def __repr__(self) -> str:
        return f"{self.name} {self.type}"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))  # hypothesis would show the pool

    def literals(self) -> list[pa.Scalar]:
        """The pool as scalars: a dictionary's of its values' type."""
        type_ = self.type.value_type if pa.types.is_dictionary(self.type) else self.type
        return list(array_of(self.pool, type_))


@dataclass(frozen=True)
class Data:
    """A table in partitions, each of which is a list of batches.

    Its first column, ``id``, numbers the rows, ``k`` has few values, for joins and groups; the others are random.
    """

    columns: tuple[Column, ...]
    partitions: tuple[tuple[pa.RecordBatch, ...], ...]

    @property
    def schema(self) -> pa.Schema:
        return pa.schema([(column.name, column.type) for column in self.columns])

    def table(self) -> pa.Table:
        return pa.Table.from_batches([b for p in self.partitions for b in p], self.schema)

    def write(self, folder: Path) -> None:
        """One Arrow stream per partition, and one with the schema alone."""
        folder.mkdir()
        for name, batches in (("schema", ()), *((f"p{i:03}", p) for i, p in enumerate(self.partitions))):
            with pa.ipc.new_stream(folder / f"{name}.arrows", self.schema) as stream:
                for batch in batches:
                    stream.write_batch(batch)


def _more_values(type_: pa.DataType) -> st.SearchStrategy[Any] | None:
    """Values that no pool has thought of."""
    if pa.types.is_integer(type_):
        values = KINDS[type_]
        return st.integers(min(values), max(values))
    if pa.types.is_floating(type_):
        return st.floats(width=type_.bit_width)
    if KINDS[type_] is TEXTS:
        return st.text(st.characters(exclude_categories=("Cs",)), max_size=4)
    return st.binary(max_size=4) if KINDS[type_] is BYTES else None


#: The rows of each batch of each partition.
LAYOUTS: tuple[tuple[tuple[int, ...], ...], ...] = (
    *(((12,),), ((9, 8), (7,)), ((20,), (), (1, 5)), ((3, 0, 4), (0,), (11,), (6, 6))),
    *(((40,),), ((5,), (5,), (5,), (5,), (5,)), ((2,),), ((), ()), ()),
)
NAMES = ("c0", "c1", "C2", "with space", "ünï", 'qu"ote', "select")


@st.composite
def tables(draw: st.DrawFn, of: pa.DataType | None = None) -> Data:
    """A table of four to eight columns in up to five partitions; of fifty rows at most. ``of``: the type of its two random columns."""
    types = draw(st.lists(st.sampled_from(list(KINDS)), min_size=2, max_size=6))
    types = types if of is None else [of, of]
    columns = [Column("id", pa.int64(), tuple(range(12))), Column("k", pa.int32(), (1, 0, 2, 3, None))]
    for name, type_ in zip(NAMES, types, strict=False):
        more = _more_values(type_)
        extra = draw(st.lists(more, max_size=2)) if more is not None else []
        start = draw(st.integers(0, len(KINDS[type_]) - 1)) if draw(st.booleans()) else 0
        # Some of the values, and neighbours: few enough for a constant to be met in the rows.
        chosen = (*KINDS[type_][start:], *KINDS[type_][:start])[:11]
        columns.append(Column(name, type_, (*chosen, None, *extra)))
    sizes = draw(st.sampled_from(LAYOUTS))
    partitions, row = [], 0
    for partition in sizes:
        batches = []
        for size in partition:
            arrays = [array_of(range(row, row + size), pa.int64())]
            for column in columns[1:]:
                # A byte for each value: one draw instead of many, and a smaller byte is a simpler value.
                picks = draw(st.binary(min_size=size, max_size=size))
                arrays.append(array_of([column.pool[pick % len(column.pool)] for pick in picks], column.type))
            batches.append(pa.record_batch(arrays, schema=pa.schema([(c.name, c.type) for c in columns])))
            row += size
        partitions.append(tuple(batches))
    return Data(tuple(columns), tuple(partitions))
