"""Predicates pushed into a source, compared with engines that filter a table of their own.

data.py       random tables: any scalar type, with the values that go wrong
predicates.py random predicates over them as bascule.filters trees: they know no engine
reference.py  what such a tree says of each row, in plain Python; and its mutants, which the tests must catch
source.py     a source that drops every row it may drop, and its twin that drops none
duckdb_sql.py DuckDB's SQL: literals, predicates beyond the trees, queries of many shapes

Another engine needs its own twin of duckdb_sql.py, and nothing else.
"""
