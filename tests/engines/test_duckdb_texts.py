"""Texts that Bascule cuts, in errors and in DuckDB's log: no character is cut."""

from __future__ import annotations

import duckdb
import pyarrow as pa
import pytest

import testsources


@pytest.mark.parametrize("before", ["", "a"])
def test_long_predicate_is_cut_between_characters_in_the_log(con, before):
    con.execute("CALL enable_logging(level = 'info')")
    con.execute(f"SELECT count(*) FROM python('pushsources:Filters') WHERE name = '{before}{'ü' * 5000}'").fetchall()
    ((logged,),) = con.execute("SELECT message FROM duckdb_logs WHERE type = 'Bascule'").fetchall()
    assert logged.startswith(f"pushsources:Filters: 10 partitions to read, pushed: name = '{before}üüü")
    assert logged.rstrip("?").endswith("üüü")


@pytest.mark.parametrize("before", ["", "a"])
def test_long_name_of_an_option_is_cut_between_characters(con, before):
    with pytest.raises(duckdb.Error, match=rf"option '{before}ü+\??' is nested or binary"):
        con.execute(f"""FROM python('pushsources:Plain', "{before}{"ü" * 100}" := [1])""")


@pytest.mark.parametrize("before", ["", "a"])
def test_long_name_of_a_column_is_cut_between_characters(con, monkeypatch, before):
    name = before + "ü" * 300
    odd = pa.struct([(name, pa.float16())])  # its type is cut too
    monkeypatch.setattr(testsources.Yields, "schema", pa.schema([(name, odd)]))
    with pytest.raises(duckdb.Error, match=rf"DuckDB can't read column '{before}ü+\??' of type struct"):
        con.execute("FROM python('testsources:Yields')")
