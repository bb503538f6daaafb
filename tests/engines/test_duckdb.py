"""The DuckDB adapter: every SQL form, pushed projection, order, cancel, life, and the hazards of registration."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
import time

import duckdb
import pyarrow as pa
import pytest

import bascule
import testsources
from testsources import Yields, calls

GOOD = [(1, "x"), (2, None)] * 2


def run(code: str, *, check: bool = True) -> subprocess.CompletedProcess[str]:
    """A program of its own, with the tests' folder importable."""
    script = f"import sys; sys.path.insert(0, {testsources.__file__.rsplit('/', 1)[0]!r})\n" + textwrap.dedent(code)
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=check)


# ---- how a class is named ----


@pytest.mark.parametrize(
    "source",
    [
        "python('testsources', 'Good')",
        "python('testsources:Good')",
        "python('testsources:Good', opt := 'v')",
        "python(python_module := 'testsources', python_class := 'Good')",
        "python(python_class := 'testsources:Good')",
        "python('testsources:Good', options := MAP {'opt': 'v'})",
        "python('testsources:Good', options := MAP {'opt': 'v'}, more := 1)",
        "python('testsources:Good', OPTIONS := {'opt': 'v'})",
        "python('testsources:Good', options := NULL)",
        "'testsources:Good'",
        '"testsources:Good"',
    ],
)
def test_every_form_reads_the_same_rows(con, source):
    assert con.execute(f"FROM {source}").fetchall() == GOOD


def test_a_file(con, tmp_path, monkeypatch):
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir" / "orders.py").write_text("from testsources import Good as Orders\n")
    monkeypatch.chdir(tmp_path)
    assert con.execute("FROM python('dir/orders.py:Orders')").fetchall() == GOOD
    assert con.execute("FROM python('dir/orders.py', 'Orders')").fetchall() == GOOD


def test_a_short_name(con, tmp_path, monkeypatch):
    info = tmp_path / "acme-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[bascule.sources]\norders = testsources:Good\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert con.execute("FROM python('orders')").fetchall() == GOOD
    assert con.execute("FROM python('orders', x := 1)").fetchall() == GOOD


def test_a_class_of_main_and_a_parameter_of_a_prepared_statement():
    out = run("""
        import bascule, pyarrow as pa
        class Here:
            def infer_schema(self, options): return pa.schema([("n", pa.string())])
            def plan_partitions(self, options): return [{}]
            def read_partition(self, spec, options): yield pa.record_batch([[options["v"]]], names=["n"])
        con = bascule.connect()
        print(con.execute("FROM python(?, v := ?)", ["__main__:Here", 42]).fetchall())
        print(con.sql("FROM python('__main__', 'Here', v := 'x')").fetchall())
    """).stdout
    assert out.splitlines() == ["[('42',)]", "[('x',)]"]


def test_a_quoted_table_name_that_is_no_class_stays_duckdbs(con):
    for name in ("'no_such_file.parquet'", "'pkg.mod:'", "'a/b.py:C'", "nothing"):
        with pytest.raises(duckdb.Error) as e:
            con.execute(f"FROM {name}")
        assert "python" not in str(e.value)


# ---- options ----


def options(con, arguments: str) -> dict[str, str]:
    return dict(con.execute(f"FROM python('testsources:Options', {arguments})").fetchall())


def test_values_become_strings_by_duckdbs_own_cast(con):
    con.execute("SET TimeZone = 'America/New_York'")
    assert options(
        con,
        """a := 1, b := 1.50, c := true, d := DATE '2026-01-31', e := TIMESTAMP '2026-01-31 12:00:00.5', f := 'ünï''s',
        g := TIMESTAMPTZ '2026-01-31 12:00:00-05', h := INTERVAL 90 MINUTE, i := 12345678901234567890, j := '',
        k := '550e8400-e29b-41d4-a716-446655440000'::UUID, CamelCase := 1""",
    ) == {
        "a": "1",
        "b": "1.50",
        "c": "true",
        "d": "2026-01-31",
        "e": "2026-01-31 12:00:00.5",
        "f": "ünï's",
        "g": "2026-01-31 17:00:00+00",
        "h": "01:30:00",
        "i": "12345678901234567890",
        "j": "",
        "k": "550e8400-e29b-41d4-a716-446655440000",
        "CamelCase": "1",
    }


def test_null_means_not_given(con):
    assert options(con, "a := NULL, b := 1, options := MAP {'c': NULL, 'd': 'x'}") == {"b": "1", "d": "x"}


def test_a_map_or_a_struct_gives_options(con):
    assert options(con, "options := MAP {'a b': 'x', 'é': 'y'}, z := 1") == {"a b": "x", "é": "y", "z": "1"}
    assert options(con, "options := MAP {'n': 5}") == {"n": "5"}
    assert options(con, "options := {'a': 1, 'b': DATE '2026-01-01', 'c': NULL}") == {"a": "1", "b": "2026-01-01"}


@pytest.mark.parametrize("value", ["[1, 2]", "{'x': 1}", "MAP {'x': 1}", "'ab'::BLOB", "array_value(1, 2)"])
def test_nested_and_binary_values_are_refused(con, value):
    with pytest.raises(duckdb.Error, match="option 'x' is nested or binary, but options are strings"):
        options(con, f"x := {value}")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("a := 1, A := 2", "Duplicate named argument"),
        ("a := 1, options := MAP {'A': '2'}", "option 'a' is given twice, as 'a' and as 'A'"),
        ("options := MAP {'a': '1', 'A': '2'}", "given twice"),
        ("options := 'a=1'", "options := takes a MAP or a STRUCT"),
        ("bascule_foo := 1", "unknown setting 'bascule_foo'.*this version knows"),
        ("bascule_validation := 'x'", "'x' is not among its choices"),
        ("python_class := 'x'", "named twice"),
        ("'more'", "python.. takes one or two strings|positional"),
        ("x := '@env:BASCULE_NOT_SET'", "BASCULE_NOT_SET is not set"),
    ],
)
def test_options_that_can_not_be_used(con, arguments, message):
    with pytest.raises(duckdb.Error, match=message):
        con.execute(f"FROM python('testsources', 'Good', {arguments})")


def test_an_option_without_a_name_is_told_how_to_be_given(con):
    with pytest.raises(duckdb.Error, match=r"options are given by name, python\('pkg.mod:Class', path := 'x'\)"):
        con.execute("FROM python('testsources:Good', 'data.csv')")


@pytest.mark.parametrize("kind", [pa.float16(), pa.decimal256(60, 2)])
def test_a_type_that_duckdb_does_not_know_is_named_with_its_column(con, monkeypatch, kind):
    monkeypatch.setattr(Yields, "schema", pa.schema([("good", pa.int64()), ("odd", kind)]))
    with pytest.raises(duckdb.Error, match=r"testsources:Yields: DuckDB can't read column 'odd' of type .*Cast it"):
        con.execute("FROM python('testsources:Yields')")


def test_a_nul_in_the_name_is_refused_not_cut(con):
    for name in ("'testsources:Good' || chr(0) || 'x'", "'testsources', 'Good' || chr(0) || 'x'"):
        with pytest.raises(duckdb.Error, match="holds a NUL character"):
            con.execute(f"FROM python({name})")


@pytest.mark.parametrize("arguments", ["", "NULL", "1", "'a', 'b', 'c'", "''", "'a:b:c'", "'x.py'"])
def test_names_that_are_none(con, arguments):
    with pytest.raises(duckdb.Error, match=r"'pkg.mod:Class'|'x.py:Class'"):
        con.execute(f"FROM python({arguments})")


def test_secrets_by_reference_reach_the_class(con, monkeypatch):
    monkeypatch.setenv("BASCULE_TEST_PW", "canary-1")
    assert options(con, "password := '@env:BASCULE_TEST_PW'") == {"password": "canary-1"}
    with pytest.raises(duckdb.Error) as e:
        con.execute("FROM python('testsources:SecretInError', password := '@env:BASCULE_TEST_PW')")
    assert "canary" not in str(e.value)


def test_a_setting_by_set_is_below_an_option_and_above_the_default(con, monkeypatch):
    column = pa.StringArray.from_buffers(1, pa.py_buffer(b"\0\0\0\0\2\0\0\0"), pa.py_buffer(b"\xc3\x28"))
    monkeypatch.setattr(Yields, "schema", pa.schema([("c", pa.string())]))
    monkeypatch.setattr(Yields, "items", [pa.record_batch([column], names=["c"])])
    count = "SELECT count(*) FROM python('testsources:Yields'"
    assert con.execute(f"{count})").fetchone() == (1,)
    con.execute("SET bascule_validation = 'full'")
    with pytest.raises(duckdb.Error, match="not UTF-8"):
        con.execute(f"{count})")
    assert con.execute(f"{count}, bascule_validation := 'layout')").fetchone() == (1,)
    con.execute("RESET bascule_validation")
    assert con.execute(f"{count})").fetchone() == (1,)


# ---- what is read ----


def test_results_are_those_of_the_same_data_in_a_table(con):
    want = pa.concat_tables(
        pa.Table.from_batches(testsources.Numbers().read_partition({"p": p}, {"rows": "5000"})) for p in range(3)
    )
    con.register("want", want)
    con.execute("CREATE VIEW got AS FROM python('testsources:Numbers', rows := 5000)")
    assert con.sql("FROM got").to_arrow_table() == con.sql("FROM want").to_arrow_table()
    for query in (
        "SELECT p, count(*), sum(k), avg(x), max(s) FROM {} GROUP BY ALL ORDER BY ALL",
        "SELECT a.s, count(*) FROM {0} a JOIN {0} b ON a.k = b.k AND a.p <> b.p GROUP BY ALL ORDER BY ALL LIMIT 20",
        "SELECT k, row_number() OVER (PARTITION BY p ORDER BY k DESC) FROM {} ORDER BY ALL LIMIT 50",
        "SELECT count(*) FROM {}",
        "SELECT count(s), count(DISTINCT p) FROM {}",
        "SELECT x FROM {} WHERE k BETWEEN 10 AND 12 AND s IS NOT NULL ORDER BY ALL",
    ):
        assert con.execute(query.format("got")).fetchall() == con.execute(query.format("want")).fetchall()


def test_only_the_columns_of_the_query_reach_the_class(con):
    testsources.Columns.seen.clear()
    con.execute("SELECT x, p FROM python('testsources:Columns', partitions := 1)").fetchall()
    assert testsources.Columns.seen == [("plan", ["x", "p"]), ("read", ["x", "p"])]
    testsources.Columns.seen.clear()
    assert con.execute("SELECT count(*) FROM python('testsources:Columns')").fetchall() == [(30,)]
    assert {tuple(columns) for _, columns in testsources.Columns.seen} == {("p",)}
    testsources.Columns.seen.clear()
    con.execute("FROM python('testsources:Columns', partitions := 1)").fetchall()
    assert testsources.Columns.seen == [("plan", ["p", "k", "x", "s"]), ("read", ["p", "k", "x", "s"])]


def test_an_unread_column_is_not_looked_at(con):
    """A null where none may be is found by the query that reads the column."""
    assert con.execute("SELECT b FROM python('testsources:NullInNonNullable')").fetchall() == [("x",), ("y",)] * 2
    with pytest.raises(duckdb.Error, match="column 'a' has a null"):
        con.execute("SELECT a FROM python('testsources:NullInNonNullable')").fetchall()


@pytest.mark.parametrize("name", ["a b", "ünï", 'quo"te', "select", "x" * 10_000])
def test_odd_column_names(con, monkeypatch, name):
    monkeypatch.setattr(Yields, "schema", pa.schema([(name, pa.int64())]))
    monkeypatch.setattr(Yields, "items", [pa.record_batch([[1]], names=[name])])
    result = con.execute("FROM python('testsources:Yields')")
    assert [d[0] for d in result.description] == [name]
    assert result.fetchall() == [(1,)]


def test_five_thousand_columns(con):
    row = con.execute("FROM python('testsources:Wide', n := 5000)").fetchone()
    assert row == tuple(range(5000))
    assert con.execute("SELECT c4999 FROM python('testsources:Wide', n := 5000)").fetchone() == (4999,)


@pytest.mark.parametrize("arguments", ["partitions := 0", "batches := 0", "rows := 0", "partitions := 0, rows := 0"])
def test_nothing_is_an_empty_result(con, arguments):
    assert con.execute(f"FROM python('testsources:Numbers', {arguments})").fetchall() == []
    assert con.execute(f"SELECT count(*), sum(k) FROM python('testsources:Numbers', {arguments})").fetchall() == [
        (0, None)
    ]


@pytest.mark.parametrize("rows", [1, 2047, 2048, 2049, 5000])
def test_batches_of_any_size(con, rows):
    sql = f"SELECT count(*), sum(k) FROM python('testsources:Numbers', rows := {rows}, partitions := 3, batches := 2)"
    assert con.execute(sql).fetchone() == (6 * rows, 3 * sum(range(2 * rows)))


def test_two_partitions_are_read_at_once(con):
    sql = "SELECT count(*) FROM python('testsources:Threads', partitions := 2)"
    assert con.execute(sql).fetchone() == (20,)


def test_partition_order_is_kept(con):
    sql = "FROM python('testsources:SlowFirst', partitions := 20, rows := 3000)"
    rows = con.execute(f"SELECT p, k {sql}").fetchall()
    assert rows == sorted(rows)
    con.execute(f"CREATE TABLE t AS {sql}")
    rows = con.execute("SELECT p, k FROM t").fetchall()
    assert rows == sorted(rows)


def test_a_slow_first_partition_bounds_what_is_read_ahead(con, tmp_path, monkeypatch):
    """While partition 0 waits, DuckDB holds the others back: it must keep what they give."""
    block = pa.record_batch({"x": pa.array([0.5] * 65536)})
    release, ahead = threading.Event(), 0

    class Ahead:
        def infer_schema(self, options):
            return block.schema

        def plan_partitions(self, options):
            return [{"i": i} for i in range(1000)]

        def read_partition(self, spec, options):
            nonlocal ahead
            if spec["i"] == 0:
                release.wait(2)
            for _ in range(2):
                ahead += not release.is_set()
                yield block
            release.set() if spec["i"] == 0 else None

    monkeypatch.setattr(testsources, "Ahead", Ahead, raising=False)
    con.execute("SET memory_limit = '64MB'")
    con.execute(f"COPY (FROM python('testsources:Ahead')) TO '{tmp_path}/out.parquet'")
    assert con.execute(f"SELECT count(*) FROM '{tmp_path}/out.parquet'").fetchone() == (1000 * 2 * 65536,)
    assert ahead < 400, f"{ahead} batches of half a MiB were read ahead of partition 0"


# ---- life ----


def test_one_schema_for_a_source_that_a_query_names_twice(con):
    calls.clear()
    con.execute(
        "WITH c AS (FROM python('testsources:Counted')) SELECT * FROM c a JOIN c b USING (k) LIMIT 1"
    ).fetchall()
    assert (calls["__init__"], calls["infer_schema"], calls["close"]) == (1, 1, 1)
    calls.clear()
    con.execute(
        "SELECT (SELECT sum(p) FROM python('testsources:Counted')), (SELECT sum(k) FROM python('testsources:Counted'))"
    ).fetchall()
    assert (calls["infer_schema"], calls["plan_partitions"], calls["read_partition"]) == (1, 2, 6)
    calls.clear()
    con.execute(
        "SELECT (SELECT sum(p) FROM python('testsources:Counted')), (SELECT sum(k) FROM python('testsources:Counted', rows := 1))"
    ).fetchall()
    assert calls["infer_schema"] == 2, "other options are another source"


def test_a_source_is_not_shared_between_connections(con):
    calls.clear()
    first = con.sql("FROM python('testsources:Counted')")
    second = con.cursor().sql("FROM python('testsources:Counted')")
    assert calls["infer_schema"] == 2
    assert first.fetchall() == second.fetchall()


def test_instances_and_generators_are_closed_however_the_scan_ends(con):
    def closed() -> bool:
        return calls["__init__"] == calls["close"] > 0 and calls["read_partition"] == calls["ended"]

    calls.clear()
    con.execute("FROM python('testsources:Counted')").fetchall()
    assert closed()
    con.execute("FROM python('testsources:Counted', partitions := 100) LIMIT 1").fetchall()
    assert closed()
    with pytest.raises(duckdb.Error):
        con.execute("SELECT error(s) FROM python('testsources:Counted') WHERE s IS NOT NULL").fetchall()
    assert closed()
    con.execute("EXPLAIN FROM python('testsources:Counted')").fetchall()
    assert closed()


def test_a_limit_ends_the_scan(con):
    calls.clear()
    con.execute(
        "FROM python('testsources:Counted', partitions := 1000, batches := 100, rows := 100) LIMIT 10"
    ).fetchall()
    assert calls["batch"] <= 4
    assert calls["read_partition"] <= 2


def test_a_relation_and_a_prepared_statement_run_twice(con):
    relation = con.sql("SELECT count(*) FROM python('testsources:Numbers')")
    assert relation.fetchall() == relation.fetchall() == [(30,)]
    con.execute("PREPARE q AS SELECT sum(p) FROM python('testsources:Numbers', partitions := $1)")
    assert con.execute("EXECUTE q(2)").fetchall() == [(10,)]
    assert con.execute("EXECUTE q(3)").fetchall() == [(30,)]


@pytest.mark.parametrize("rows", [10, 0])
def test_an_interrupt_ends_the_scan(con, rows):
    """Rows or none: without rows it is our loop that has to notice."""
    timer = threading.Timer(0.3, con.interrupt)
    timer.start()
    started = time.monotonic()
    with pytest.raises(duckdb.InterruptException):
        con.execute(
            f"SELECT sum(k) FROM python('testsources:Counted', partitions := 4, rows := {rows}, batches := 100000, sleep := 0.002)"
        ).fetchall()
    assert time.monotonic() - started < 5
    assert con.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize(
    "call",
    [
        "testsources:Counted', partitions := 400, batches := 1, sleep := 0.005",
        "testsources:Told', partitions := 1, batches := 100, sleep := 0.01",
    ],
    ids=["partitions", "rows"],
)
def test_progress_is_reported(con, call):
    con.execute("SET enable_progress_bar = true")
    con.execute("SET enable_progress_bar_print = false")
    con.execute("SET progress_bar_time = 1")
    seen = []
    thread = threading.Thread(target=lambda: con.execute(f"SELECT sum(k) FROM python('{call})").fetchall())
    thread.start()
    while thread.is_alive():
        seen.append(con.query_progress())
        time.sleep(0.01)
    assert any(10 < p < 90 for p in seen), seen


def test_cardinality_is_a_million_rows_by_default(con):
    con.execute("CREATE TABLE small AS FROM range(1000) t(k)")
    plan = con.execute("EXPLAIN SELECT * FROM small JOIN python('testsources:Numbers') USING (k)").fetchall()[0][1]
    assert "1,000,000 rows" in plan or "1000000" in plan or "~1M" in plan, plan


def test_a_source_may_query_duckdb_itself(con, monkeypatch):
    inner = con.cursor()

    class Inner(testsources.Good):
        def read_partition(self, spec, options):
            yield inner.sql("SELECT a, b FROM python('testsources:Good') LIMIT 2").to_arrow_table()

        def plan_partitions(self, options):
            return [{}]

    monkeypatch.setattr(testsources, "Inner", Inner, raising=False)
    assert con.execute("FROM python('testsources:Inner')").fetchall() == GOOD[:2]


def test_a_new_class_object_is_a_new_source(con, monkeypatch):
    """As when a notebook's cell runs again."""
    relation = con.sql("FROM python('testsources:Yields')")
    new = type("Yields", (Yields,), {"schema": pa.schema([("other", pa.int64())])})
    monkeypatch.setattr(testsources, "Yields", new)
    assert con.sql("FROM python('testsources:Yields')").columns == ["other"]
    assert relation.columns == ["a", "b"]


# ---- errors ----


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("InitRaises", "testsources:InitRaises: __init__ raised RuntimeError: no init today"),
        ("SchemaIsNone", "testsources:SchemaIsNone: infer_schema returned None, expected a pyarrow.Schema"),
        ("NoColumns", "a schema without columns"),
        ("PlanHasInt", "plan_partitions returned a list whose item 1 is an int"),
        ("ReadRaises", "partition 1 of 2: read_partition raised OSError: the disk is on fire"),
        ("ReadYieldsDict", "read_partition yielded a dict"),
        ("WrongType", "column 'a' is int32, but infer_schema said int64"),
    ],
)
def test_a_classs_failure_is_the_querys_error(con, name, message):
    with pytest.raises(duckdb.Error, match=message):
        con.execute(f"FROM python('testsources:{name}')").fetchall()
    assert con.execute("FROM python('testsources:Good')").fetchall() == GOOD, "and the next query works"


def test_an_error_that_is_cancelled_by_ctrl_c_is_an_interrupt(con, monkeypatch):
    def read_partition(self, spec, options):
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(testsources.Good, "read_partition", read_partition)
    with pytest.raises(duckdb.InterruptException, match="was interrupted"):
        con.execute("FROM python('testsources:Good')").fetchall()


def test_external_access_off_forbids_code_from_outside():
    con = bascule.connect(config={"enable_external_access": False})
    for source in ("python('testsources:Good')", "'testsources:Good'"):
        with pytest.raises(duckdb.PermissionException, match="enable_external_access = false forbids"):
            con.execute(f"FROM {source}")


def test_a_locked_configuration_still_reads():
    con = bascule.connect(config={"lock_configuration": True})
    assert con.execute("FROM python('testsources:Good')").fetchall() == GOOD


# ---- registration ----


def test_the_default_connection_knows_python_if_the_import_came_first():
    assert run(
        "import bascule.duckdb, duckdb; print(duckdb.sql(\"FROM python('testsources:Good')\").fetchall())"
    ).stdout


def test_a_default_connection_that_was_opened_before_is_told_of():
    done = run("""
        import duckdb
        duckdb.sql("SELECT 1").fetchall()
        import bascule.duckdb
        print(bascule.connect().sql("FROM python('testsources:Good')").fetchall())
        duckdb.set_default_connection(bascule.connect())
        print(duckdb.sql("FROM python('testsources:Good')").fetchall())
    """)
    assert "opened before `import bascule.duckdb`" in done.stderr
    assert done.stdout.count("(1, 'x')") == 4


def test_connect_does_not_warn_of_what_it_mends():
    done = run("""
        import duckdb
        duckdb.sql("SELECT 1").fetchall()
        import bascule
        print(bascule.connect().sql("FROM python('testsources:Good')").fetchall())
    """)
    assert done.stderr == ""


def test_the_import_leaves_an_unfinished_result_of_the_default_connection_alone():
    done = run("""
        import duckdb
        result = duckdb.execute("FROM range(5)")
        print(result.fetchone())
        import bascule.duckdb
        print(result.fetchall())
    """)
    assert done.stdout.splitlines() == ["(0,)", "[(1,), (2,), (3,), (4,)]"]


def test_a_database_that_was_opened_before_is_refused_by_connect(tmp_path):
    done = run(f"""
        import duckdb
        first = duckdb.connect("{tmp_path}/x.db")
        import bascule
        try:
            bascule.connect("{tmp_path}/x.db")
        except bascule.BasculeError as e:
            print(e)
        first.close()
        print(bascule.connect("{tmp_path}/x.db").execute("FROM python('testsources:Good')").fetchall())
    """)
    assert "this database was opened before `import bascule.duckdb`, and is still open" in done.stdout
    assert "(1, 'x')" in done.stdout


def test_another_duckdb_version_is_refused_before_it_is_touched():
    done = run(
        """
        import duckdb, bascule
        duckdb.__version__ = "2.0.1"
        try:
            import bascule.duckdb
        except bascule.BasculeError as e:
            print(e)
        duckdb.connect().sql("SELECT 'still opens'").show()
    """
    )
    assert "works with DuckDB 2.0.0 only" in done.stdout
    assert "but 2.0.1 is installed" in done.stdout
    assert "still opens" in done.stdout


def test_a_second_copy_of_bascule_is_refused_before_it_is_registered():
    done = run(
        """
        import sys, bascule.duckdb, duckdb, _duckdb
        _duckdb.__bascule__ = "/somewhere/else/bascule"
        for name in [n for n in sys.modules if n.split(".")[0] == "bascule" and n != "bascule._native"]:
            del sys.modules[name]
        try:
            import bascule.duckdb
        except Exception as e:
            print(e)
        print(duckdb.connect().sql("FROM python('testsources:Good')").fetchall())
    """
    )
    assert "another copy of bascule has registered python(...) in this process: /somewhere/else/bascule" in done.stdout
    assert "(1, 'x')" in done.stdout


def test_no_duckdb_at_all_names_the_extra():
    done = run("""
        import sys
        sys.modules["duckdb"] = sys.modules["_duckdb"] = None
        import bascule
        try:
            bascule.connect()
        except bascule.BasculeError as e:
            print(e)
    """)
    assert "needs DuckDB 2.0.0, which is not installed: pip install 'bascule[duckdb]'" in done.stdout


def test_reloading_the_adapter_is_harmless():
    done = run("""
        import importlib, bascule.duckdb
        importlib.reload(bascule.duckdb)
        print(bascule.connect().sql("FROM python('testsources:Good')").fetchall())
    """)
    assert "(1, 'x')" in done.stdout


def test_the_function_documents_itself(con):
    rows = con.execute("SELECT description, examples FROM duckdb_functions() WHERE function_name = 'python'").fetchall()
    assert "They choose code to import and run" in rows[0][0]
