"""Tables of awkward values, and random predicates on them, read with and without being pushed."""

from __future__ import annotations

import datetime
import uuid
from decimal import Decimal
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from bascule import filters as f
from bascule.sources.jdbc import JDBCArrowDataSource
from filters.sql_reference import evaluate

UTC = datetime.UTC
STRINGS = ["", "a", "A", "a ", "ab", "aB", "b", "Z", "é", "e\u0301", "ß", "ss", "\uff5e", "\U0001f600", "a%b", "a_b", "a!b",
           "a\\b", "\\' OR 1=1 --", "it's", '"', "$1", "?", "%s", "5", "5.0", " 5", "abc\nd"]  # fmt: skip
FLOATS = [0.0, -0.0, 1.5, 0.1, 0.30000000000000004, -2.0, 2.0**53, 1e300, 5e-324, 0.12345678901234567]
ENDLESS = [float("inf"), float("-inf")]
NAN = [float("nan")]
FLOATS_32 = [0.0, 1.5, 0.10000000149011612, -2.0, 16777216.0]
INTEGERS = [0, 1, -1, 5, 2**31, 2**53, 2**53 + 1, 2**63 - 1, -(2**63)]
DECIMALS = [Decimal("0.00"), Decimal("1.50"), Decimal("-1.50"), Decimal("99999999.99"), Decimal("0.10")]
DATES = [datetime.date(1970, 1, 1), datetime.date(2020, 2, 29), datetime.date(2020, 3, 1), datetime.date(1582, 10, 10)]
TIMES = [datetime.time(0), datetime.time(12, 30, 0, 1), datetime.time(23, 59, 59, 999999)]
STAMPS = [
    datetime.datetime(2020, 1, 2),
    datetime.datetime(2020, 1, 2, 3, 4, 5, 6),
    datetime.datetime(2020, 1, 1, 23, 59, 59, 999999),
    datetime.datetime(2037, 12, 31),
]
INSTANTS = [stamp.replace(tzinfo=UTC) for stamp in STAMPS]
BYTES = [b"", b"\x00", b"\xff", b"a", b"a\x00", b"'\\"]
UUIDS = [uuid.UUID(int=0), uuid.UUID(int=2**128 - 1), uuid.UUID("123e4567-e89b-12d3-a456-426655440000")]

Pools = dict[str, tuple[str, list[Any]]]


def rows_of(pools: Pools) -> list[list[Any]]:
    """A number, and of each column each of its values, NULL too, in a step of its own."""
    n = max(len(values) for _, values in pools.values()) + 3
    return [
        [i, *(([*values, None])[(i * (1 + 2 * c)) % (len(values) + 1)] for c, (_, values) in enumerate(pools.values()))]
        for i in range(n)
    ] + [[n + i, *(([*values, None])[i % (len(values) + 1)] for _, values in pools.values())] for i in range(n)]


class Reading:
    """One source, its rows, and what it makes of predicates."""

    def __init__(self, **options: str) -> None:
        self.options = options
        self.source = JDBCArrowDataSource()
        self.schema = self.source.infer_schema(options)
        (self.spec,) = self.source.plan_partitions(options)
        self.rows = self.read(())
        self.n_exact = self.n_cut = 0

    def read(self, filters: tuple[f.Filter, ...], **more: Any) -> list[dict[str, Any]]:
        batches = self.source.read_partition(self.spec, self.options, filters=filters, **more)
        return [row for batch in batches for row in batch.to_pylist()]

    def check(self, *filters: f.Filter) -> None:
        """Pushed rows hold all true ones; what is claimed exact holds no others."""
        got = sorted(row["id"] for row in self.read(filters, columns=["id"]))
        true = sorted(row["id"] for row in self.rows if all(evaluate(each, row) is True for each in filters))
        assert set(true) <= set(got), f"lost rows of {filters}"
        assert len(got) == len(set(got))
        if not self.source.push_filters(filters, self.options):
            assert got == true, f"{filters} is claimed to be exact"
            self.n_exact += 1
        self.n_cut += len(got) < len(self.rows)

    def predicates(self) -> st.SearchStrategy[f.Filter]:
        """Of the columns' own values, joined."""
        leaves = st.one_of([self._leaf(field) for field in self.schema])
        return st.recursive(
            leaves,
            lambda child: st.one_of(
                child.map(f.Not),
                st.builds(f.And, child, child),
                st.builds(f.Or, child, child),
            ),
            max_leaves=4,
        )

    def _leaf(self, field: pa.Field) -> st.SearchStrategy[f.Filter]:
        name = field.name
        nulls: st.SearchStrategy[f.Filter] = st.sampled_from([f.IsNull(name), f.IsNotNull(name)])
        if isinstance(field.type, pa.BaseExtensionType) and field.type != pa.uuid():
            return nulls
        pool = [row[name] for row in self.rows if row[name] is not None]
        scalars = [pa.scalar(value, field.type) for value in pool]
        scalar = st.sampled_from(scalars)
        compare = st.sampled_from(
            [f.EqualTo, f.EqualNullSafe, f.LessThan, f.LessThanOrEqual, f.GreaterThan, f.GreaterThanOrEqual]
        )
        null = pa.scalar(None, field.type)
        leaves = [
            st.builds(lambda kind, value: kind(name, value), compare, scalar),
            st.lists(scalar | st.just(null), min_size=1, max_size=4).map(lambda values: f.In(name, values)),
            nulls,
        ]
        if pa.types.is_string(field.type):
            text = st.sampled_from([*pool, "a", "", "%", "_", "\\", "A"])
            part = st.tuples(text, st.integers(0, 2)).map(lambda drawn: drawn[0][: drawn[1]])
            match = st.sampled_from([f.StringStartsWith, f.StringEndsWith, f.StringContains])
            leaves.append(st.builds(lambda kind, value: kind(name, value), match, text | part))
            leaves.append(st.builds(lambda kind, value: kind(name, value), compare, part))
        return st.one_of(leaves)
