"""Why Bascule accepts no predicates: watches for the DuckDB that keeps what a table function accepted.

accepting.c is an extension that accepts. Its answers are wrong as soon as a query reads the same call twice.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

import bascule
import duckdb_footer
from fetch_sdist import PINS, fetch

SOURCE = Path(__file__).with_name("accepting.c")
COMPILERS = ("cc", "gcc", "clang", "clang-19")

CHANGED = (
    "DuckDB has changed, see engines/duckdb/pushdown.h: predicates may now be accepted. "
    "(It keeps accepted predicates apart in this query, which 2.0.0 did not.)"
)

#: Queries that read a column x of 0 to 99 twice, what is right, and what DuckDB 2.0.0 makes of it.
TWICE = [
    ("SELECT (SELECT sum(x) FROM {s} WHERE x = 5), (SELECT sum(x) FROM {s} WHERE x = 6)", (5, 6), (5, 5)),
    ("SELECT (SELECT sum(x) FROM {s} WHERE x = 5), (SELECT sum(x) FROM {s})", (5, 4950), (5, 5)),
]


@pytest.fixture(scope="module")
def extension(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = next(filter(None, map(shutil.which, COMPILERS)), None)
    if compiler is None:
        pytest.skip("no C compiler is installed")
    made = tmp_path_factory.mktemp("accepting") / "accepting.so"
    command = [compiler, "-shared", "-fPIC", "-std=gnu11", "-fvisibility=hidden", "-Wall", "-Wextra", "-Werror"]
    command += ["-isystem", str(fetch("duckdb")), "-o", str(made), str(SOURCE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    system = duckdb_footer.PLATFORMS[f"{platform.system()}-{platform.machine()}"]
    target = made.with_suffix(".duckdb_extension")
    target.write_bytes(made.read_bytes() + duckdb_footer.footer(system, PINS["duckdb"].version, "0.0.1"))
    return target


@pytest.fixture
def accepting(extension: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that has accepting(n)."""
    connection = duckdb.connect(config={"allow_unsigned_extensions": "true", "threads": 2})
    connection.execute(f"LOAD '{extension}'")
    yield connection
    connection.close()


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("SELECT sum(x), count(*) FROM accepting(10000)", [(49_995_000, 10_000)]),
        ("SELECT sum(x) FROM accepting(100) WHERE x = 5", [(5,)]),
        ("SELECT x FROM accepting(10000) WHERE 9999 = x", [(9999,)]),
        ("SELECT x FROM accepting(100) WHERE x = 5 AND x = 6", []),
        ("SELECT count(*) FROM accepting(100) WHERE x > 5", [(94,)]),
    ],
)
def test_single_scan_that_accepts_is_right(accepting, query, rows):
    assert accepting.execute(query).fetchall() == rows


def test_accepted_predicate_is_not_checked_again(accepting):
    def plan(where: str) -> str:
        return accepting.execute(f"EXPLAIN SELECT x FROM accepting(100) WHERE {where}").fetchall()[0][1].title()

    assert "Filter" not in plan("x = 5")
    assert "Filter" in plan("x > 5")


@pytest.mark.parametrize(("query", "right", "wrong"), TWICE)
def test_duckdb_still_loses_accepted_predicates(accepting, query, right, wrong):
    rows = accepting.execute(query.replace("{s}", "accepting(100)")).fetchall()
    assert rows != [right], CHANGED
    assert rows == [wrong], f"neither right nor what 2.0.0 answers. {CHANGED}"


@pytest.mark.parametrize(("query", "right"), [(query, right) for query, right, _ in TWICE])
@pytest.mark.parametrize("executor", ["inprocess", "process"])
def test_bascule_source_that_takes_the_same_predicates_is_right(con, executor, query, right):
    con.execute(f"SET bascule_executor = '{executor}'")
    source = "(SELECT id AS x FROM python('pushsources:Filters'))"
    assert con.execute(query.replace("{s}", source)).fetchall() == [right]
    pushed = {scan["pushed_filters"] for scan in bascule.scans().to_pylist()[:2]}
    assert pushed == {"id = 5", "id = 6" if "x = 6" in query else None}
