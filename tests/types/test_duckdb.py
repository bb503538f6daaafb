"""Every Arrow type through DuckDB: read as pyarrow has it, or refused where DuckDB's own scan of the table fails too."""

from __future__ import annotations

import re
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
        if castable(field) is field:
            check(con, name, field, MANY if group in ("leaves", "odd", "two layers") else 75)


@pytest.mark.parametrize("group", CATALOGUE)
def test_a_type_is_the_one_of_duckdbs_own_scan(con, group):
    for name, field in CATALOGUE[group].items():
        if castable(field) is field:
            empty = table(pa.schema([field.with_name("v")]), [])
            give(empty.schema, [])
            con.register("own", empty)
            # DuckDB's own has DECIMAL(3,5) and the like, which none of its casts or tables take.
            want = re.sub(r"DECIMAL\((\d+),(\d+)\)", room_for_the_scale, str(con.sql("FROM own").types))
            assert str(con.sql("FROM python('reading:Parts')").types) == want, name


def room_for_the_scale(found: re.Match[str]) -> str:
    digits, scale = int(found[1]), int(found[2])
    return f"DECIMAL({max(digits, scale)},{scale})"


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
    became = own.of(name for name, field in EVERYTHING.items() if castable(field) is not field)
    read = [name for name, what in became.items() if what == own.READ]
    assert read == []
    # Not for an offset, which Bascule takes out, nor for empty lists, which the variants don't have.
    other = [what for what in became.values() if "below an offset" in what or "only empty lists" in what]
    assert other == []
    kinds = {own.WRONG, own.CRASHED}
    assert kinds <= set(became.values()), "each kind of failure is among them"


@pytest.mark.parametrize("name", CASES)
def test_lists_that_are_all_empty_are_read(con, name):
    array = CASES[name]
    give(pa.schema([("v", array.type)]), [[pa.record_batch([array], names=["v"])]])
    got = [v for chunk in select(con, "python('reading:Parts')").chunks for v in decode(chunk)]
    assert got == decode(array, in_microseconds)


def test_duckdbs_own_scan_fails_on_lists_that_are_all_empty():
    """The day it reads them, engines/duckdb/nested.c need not give them items without an encoding."""
    assert set(own.of(CASES).values()) - {own.READ}


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
