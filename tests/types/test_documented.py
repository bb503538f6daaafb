"""docs/types.md says of each type what DuckDB makes of it."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from arrays import catalogue
from reading import connect, give
from refusals import castable, describe

TEXT = (Path(__file__).parents[2] / "docs" / "types.md").read_text("utf-8")
SECTIONS = dict(zip(re.findall(r"^## (.*)", TEXT, re.M), re.split(r"^## .*", TEXT, flags=re.M)[1:], strict=True))


def rows(section: str) -> list[tuple[list[pa.Field], str]]:
    """The fields that a row names, and the second cell."""
    cells = [
        re.findall(r"`([^`]+)`", line.split(" | ")[i])
        for line in SECTIONS[section].splitlines()
        for i in (0, 1)
        if line.startswith("| `")
    ]
    named = [[eval(text, {"pa": pa}) for text in texts] for texts in cells[::2]]
    fields = [[k if isinstance(k, pa.Field) else pa.field("v", k) for k in kinds] for kinds in named]
    return [(f, second) for f, (second,) in zip(fields, cells[1::2], strict=True)]


READ = rows("What DuckDB makes of a type")
REFUSED = rows("What is refused")


@pytest.fixture
def con():
    connection = connect()
    yield connection
    connection.close()


@pytest.mark.parametrize(("fields", "duckdb_type"), READ, ids=[second for _, second in READ])
def test_duckdb_makes_of_it_what_the_table_says(con, fields, duckdb_type):
    for field in fields:
        give(pa.schema([field]), [])
        assert [str(kind) for kind in con.sql("FROM python('reading:Parts')").types] == [duckdb_type], field


@pytest.mark.parametrize(("fields", "cast"), REFUSED, ids=[str(fields[0].type) for fields, _ in REFUSED])
def test_what_the_table_says_is_refused_is_and_what_to_cast_to(con, fields, cast):
    (field,) = fields
    other = pa.field("v", eval(cast, {"pa": pa}))
    assert castable(field).type == other.type
    give(pa.schema([field]), [])
    with pytest.raises(duckdb.InvalidInputException, match=re.escape(f". Cast it to {describe(other)} in the class")):
        con.execute("FROM python('reading:Parts')")
    give(pa.schema([other]), [])
    assert con.execute("FROM python('reading:Parts')").fetchall() == []


def kinds_of(fields: list[pa.Field]) -> set[str]:
    """Arrow's types and units and extensions among fields, on top."""
    return {
        getattr(f.type, "extension_name", re.sub(r"[\[(<].*", "", str(f.type))) + getattr(f.type, "unit", "")
        for f in fields
    }


def test_the_tables_miss_no_type():
    documented = kinds_of([f for fields, _ in READ + REFUSED for f in fields])
    groups = catalogue()
    given = [*groups["leaves"].values(), *groups["odd"].values(), *groups["two layers"].values()]
    assert kinds_of(given) - documented == {"acme.registered"}, "this one stands for any"
