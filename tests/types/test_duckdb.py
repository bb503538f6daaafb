"""Every Arrow type through DuckDB: read as pyarrow has it, or refused where DuckDB's own scan of the table fails too."""

from __future__ import annotations

import struct
from typing import Any

import duckdb
import nanoarrow as na
import pyarrow as pa
import pytest

import own
from arrays import MANY, catalogue, variants
from empties import CASES
from reading import as_batch, connect, give, select, table
from refusals import castable, describe
from testsources import Yields
from values import decode, in_microseconds

CATALOGUE = catalogue()
EVERYTHING = {name: field for fields in CATALOGUE.values() for name, field in fields.items()}

CUT = "a batch with a dictionary in a struct is cut to powers of two, and a piece may have empty lists alone"
PRECISION = (
    "DuckDB's C API declares no column of DECIMAL(3,5), which its own scan has: refused, to cast to DECIMAL(5,5)"
)
#: What Bascule doesn't read yet and DuckDB's own scan reads.
KNOWN = {
    **{name: PRECISION for name in EVERYTHING if "decimal128(3,5)" in name and not name.startswith("dense_union")},
    "map<list_view<dictionary<string>>>": CUT,
    "map_key<list<dictionary<string>>>": CUT,
    "struct<sparse_union<large_list_view<dictionary<string>>>>": CUT,
    "list_view<map<list_view<dictionary<list_view<timestamp[us,tz=UTC]>>>>>": CUT,
    "map_key<large_list<dictionary<fixed_size_list<list_view<timestamp[us,tz=UTC]>>>>>": CUT,
}


@pytest.fixture
def con():
    connection = connect()
    yield connection
    connection.close()


def check(con: Any, name: str, field: pa.Field, many: int) -> None:
    """A partition for each variant, all in one query."""
    given = variants(name, field, many)
    schema = pa.schema([field.with_name("v")])
    give(schema, list(given.values()))
    got = [v for chunk in select(con, "python('reading:Parts')").chunks for v in decode(chunk)]
    at = 0
    for variant, items in given.items():
        want = [v for item in items for v in decode(as_batch(item, schema).column(0), in_microseconds)]
        assert got[at : at + len(want)] == want, (name, variant)
        at += len(want)
    assert at == len(got), name


@pytest.mark.parametrize("group", CATALOGUE)
def test_duckdb_reads_what_the_class_yielded(con, group):
    for name, field in CATALOGUE[group].items():
        if castable(field) is field and name not in KNOWN:
            check(con, name, field, MANY if group in ("leaves", "odd", "two layers") else 75)


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.xfail(strict=True, reason=r)) for n, r in KNOWN.items()]
)
def test_duckdb_reads_what_its_own_scan_reads(con, name):
    check(con, name, EVERYTHING[name], 75)


@pytest.mark.parametrize("group", CATALOGUE)
def test_a_type_is_the_one_of_duckdbs_own_scan(con, group):
    for name, field in CATALOGUE[group].items():
        if castable(field) is field and name not in KNOWN:
            empty = table(pa.schema([field.with_name("v")]), [])
            give(empty.schema, [])
            con.register("own", empty)
            assert con.sql("FROM python('reading:Parts')").types == con.sql("FROM own").types, name


# ---- refused ----


def refusal(con: Any) -> str:
    with pytest.raises(duckdb.InvalidInputException) as e:
        con.execute("FROM python('reading:Parts')")
    return str(e.value).split("\n")[0].replace("Invalid Input Error: ", "")


@pytest.mark.parametrize("group", CATALOGUE)
def test_a_refusal_names_the_column_its_type_and_one_to_cast_to_which_is_read(con, group):
    for name, field in CATALOGUE[group].items():
        cast = castable(field)
        if cast is not field:
            give(pa.schema([("good", pa.int8()), field.with_name("v")]), [])
            assert refusal(con) == (
                f"reading:Parts: DuckDB can't read column 'v' of type {describe(field)}. "
                f"Cast it to {describe(cast)} in the class"
            ), name
            assert castable(cast) is cast, name
            if group not in ("four layers", "five layers"):
                check(con, name, cast, 75)


def test_only_what_duckdbs_own_scan_fails_on_is_refused():
    """The day a name is in ``read``, DuckDB has learnt it: its rule in engines/duckdb/types.c can go."""
    became = own.of(name for name, field in EVERYTHING.items() if castable(field) is not field and name not in KNOWN)
    read = [name for name, what in became.items() if what == own.READ]
    assert read == []
    # Not for an offset, which Bascule takes out, nor for empty lists, which the variants don't have.
    other = [what for what in became.values() if "below an offset" in what or "only empty lists" in what]
    assert other == []
    kinds = {own.WRONG, own.CRASHED}
    assert kinds <= set(became.values()), "each kind of failure is among them"


def test_what_is_known_not_to_work_works_in_duckdbs_own_scan():
    assert set(own.of(KNOWN).values()) == {own.READ}


@pytest.mark.parametrize("name", CASES)
def test_lists_that_are_all_empty_are_read_or_refused(con, name):
    array, cast = CASES[name]
    give(pa.schema([("v", array.type)]), [[pa.record_batch([array], names=["v"])]])
    if cast is None:
        got = [v for chunk in select(con, "python('reading:Parts')").chunks for v in decode(chunk)]
        assert got == decode(array)
    else:
        assert refusal(con) == (
            f"DuckDB can't read column 'v' of type {describe(pa.field('v', array.type))} where all "
            f"lists of 2048 rows, or of a whole batch, are empty. Cast their items to {cast} in the class"
        )
    assert con.execute("SELECT 1").fetchall() == [(1,)], "the database lives"


def test_lists_that_are_all_empty_fail_in_duckdbs_own_scan_where_they_are_refused():
    became = own.of(CASES)
    assert [name for name, (_, cast) in CASES.items() if cast and became[name] == own.READ] == []


def intervals(kind: na.Type, data: bytes, n: int) -> Any:
    schema = na.Schema(na.Type.STRUCT, fields={"v": na.Schema(kind)})
    column = na.c_array_from_buffers(schema.field(0), n, [None, data])
    return na.c_array_from_buffers(schema, n, [None], children=[column])


def test_intervals_of_months_are_read(con, monkeypatch):
    array = intervals(na.Type.INTERVAL_MONTHS, struct.pack("<3i", 1, 0, -14), 3)
    monkeypatch.setattr(Yields, "schema", array.schema)
    monkeypatch.setattr(Yields, "items", [array])
    (chunk,) = select(con, "python('testsources:Yields')").chunks
    assert decode(chunk) == [(1, 0, 0), (0, 0, 0), (-14, 0, 0)]


def test_intervals_of_days_and_milliseconds_are_refused_as_duckdb_reads_them_wrong(con, monkeypatch):
    array = intervals(na.Type.INTERVAL_DAY_TIME, struct.pack("<4i", 1, 2, -3, 4), 2)
    monkeypatch.setattr(Yields, "schema", array.schema)
    with pytest.raises(
        duckdb.InvalidInputException,
        match=r"DuckDB can't read column 'v' of type interval_day_time\. Cast it to interval_month_day_nano in the class",
    ):
        con.execute("FROM python('testsources:Yields')")
    con.register("own", pa.RecordBatchReader.from_stream(na.c_array_stream(array)))
    (chunk,) = select(con, "own").chunks
    assert decode(chunk) != [(0, 1, 2_000_000), (0, -3, 4_000_000)]
