"""A class that is defined again: in a notebook's cell, by importlib.reload, in place as %autoreload does."""

from __future__ import annotations

import importlib
import sys
import textwrap
from pathlib import Path

import pytest

from life.notebook import run_cell

CLASS = """
    import pyarrow as pa
    class Orders:
        def infer_schema(self, options):
            return pa.schema([("NAME", pa.TYPE())])
        def plan_partitions(self, options):
            return [{}]
        def read_partition(self, spec, options):
            for _ in range(3):
                yield pa.table({"NAME": pa.array([VALUE] * 5000, pa.TYPE())})
"""


def definition(name: str, kind: str, value: str) -> str:
    return textwrap.dedent(CLASS).replace("NAME", name).replace("TYPE", kind).replace("VALUE", value)


OLD = definition("a", "int64", "1")
NEW = definition("b", "string", "'x'")
FIRST = "cur = con.execute(QUERY + ' LIMIT 1'); print(cur.description[0][0], cur.fetchall())"


def printed(client, code: str) -> str:
    text, error = run_cell(client, code)
    assert error is None, error
    return text.strip()


def test_a_cell_that_is_run_again_counts_at_once(kernel):
    _, client = kernel
    printed(client, "import bascule; con = bascule.connect(); QUERY = \"FROM python('__main__:Orders')\"")
    printed(client, OLD)
    assert printed(client, FIRST) == "a [(1,)]"
    # What is alive of the old class: a relation, a view, a statement, a result and a stream half read.
    printed(
        client,
        """
        rel = con.sql(QUERY)
        con.execute("CREATE VIEW v AS " + QUERY)
        con.execute("PREPARE q AS " + QUERY)
        half = con.cursor().execute(QUERY); half.fetchone()
        reader = con.cursor().sql(QUERY).to_arrow_reader(100); reader.read_next_batch()
        """,
    )
    printed(client, NEW)
    assert printed(client, FIRST) == "b [('x',)]"
    assert printed(client, "print(rel.limit(1).fetchall())") == "[('x',)]"
    assert printed(client, "print(con.sql('FROM v LIMIT 1').fetchall())") == "[('x',)]"
    # What was begun goes on with the class that it was begun with; so does what was prepared.
    assert printed(client, "print(set(half.fetchall()), set(reader.read_all().column(0).to_pylist()))") == "{(1,)} {1}"
    assert printed(client, "print(set(con.execute('EXECUTE q').fetchall()))") == "{(1,)}"
    assert (
        printed(client, "con.execute('PREPARE r AS ' + QUERY); print(con.execute('EXECUTE r').fetchone())") == "('x',)"
    )


def test_autoreload_of_an_edited_module_counts_at_once(kernel, tmp_path):
    _, client = kernel
    module = tmp_path / "edited_orders.py"
    module.write_text(OLD)
    printed(client, f"import sys; sys.path.insert(0, {str(tmp_path)!r}); sys.dont_write_bytecode = True")
    printed(client, "%load_ext autoreload")
    printed(client, "%autoreload 2")
    printed(client, "import edited_orders, bascule; con = bascule.connect()")
    printed(client, "QUERY = \"FROM python('edited_orders:Orders')\"; con.execute('PREPARE q AS ' + QUERY)")
    assert printed(client, FIRST) == "a [(1,)]"
    module.write_text(NEW + "# edited: another size, for the same second\n")
    assert printed(client, FIRST) == "b [('x',)]"


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.delitem(sys.modules, "reloaded_orders", raising=False)
    file = tmp_path / "reloaded_orders.py"
    file.write_text(OLD)
    return file


def test_a_reloaded_module_counts_at_once(con, module):
    query = "FROM python('reloaded_orders:Orders') LIMIT 1"
    con.execute("PREPARE q AS " + query)
    assert con.execute(query).fetchall() == [(1,)]
    module.write_text(NEW + "# edited: another size, for the same second\n")
    assert con.execute(query).fetchall() == [(1,)], "as Python's own import: once for a process"
    importlib.reload(sys.modules["reloaded_orders"])
    assert con.execute(query).fetchall() == [("x",)]
    assert con.execute("EXECUTE q").fetchall() == [(1,)]


#: Where a class may keep its schema: then no method's code changes with it.
ELSEWHERE = {
    "attribute": """
        import pyarrow as pa
        class Orders:
            SCHEMA = pa.schema([("NAME", pa.TYPE())])
            def infer_schema(self, options):
                return self.SCHEMA
            def plan_partitions(self, options):
                return [{}]
            def read_partition(self, spec, options):
                yield pa.table([pa.nulls(1, self.SCHEMA.types[0])], schema=self.SCHEMA)
    """,
    "global": """
        import pyarrow as pa
        SCHEMA = pa.schema([("NAME", pa.TYPE())])
        class Orders:
            def infer_schema(self, options):
                return SCHEMA
            def plan_partitions(self, options):
                return [{}]
            def read_partition(self, spec, options):
                yield pa.table([pa.nulls(1, SCHEMA.types[0])], schema=SCHEMA)
    """,
    "function": """
        import pyarrow as pa
        def schema():
            return pa.schema([("NAME", pa.TYPE())])
        class Orders:
            def infer_schema(self, options):
                return schema()
            def plan_partitions(self, options):
                return [{}]
            def read_partition(self, spec, options):
                yield pa.table([pa.nulls(1, schema().types[0])], schema=schema())
    """,
    "method": CLASS,
}


@pytest.mark.parametrize("where", ELSEWHERE)
def test_a_class_that_is_changed_in_place_is_another(con, module, where):
    def text(name: str, kind: str) -> str:
        return textwrap.dedent(ELSEWHERE[where]).replace("NAME", name).replace("TYPE", kind).replace("VALUE", "None")

    module.write_text(text("a", "int64"))
    query = "FROM python('reloaded_orders:Orders') LIMIT 1"
    con.execute("PREPARE q AS " + query)  # keeps an instance open
    loaded = sys.modules["reloaded_orders"]
    old = loaded.Orders
    assert con.execute(query).description[0][0] == "a"
    exec(text("b", "string"), vars(loaded))  # as %autoreload does
    for name, value in vars(loaded.Orders).items():
        if not name.startswith("__"):
            setattr(old, name, value)
    loaded.Orders = old
    cursor = con.execute(query)
    assert cursor.description[0][0] == "b"
    assert cursor.fetchall() == [(None,)]
