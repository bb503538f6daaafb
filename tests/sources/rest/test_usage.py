"""As users and engines meet it."""

from __future__ import annotations

import json
import pickle
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import bascule
from bascule import BasculeError, OptionError, check
from bascule.check import Limits
from bascule.sources.rest import RestDataSource
from sources.rest.api import Api, Reply, paged, rows
from sources.rest.reading import EXECUTORS, QUICK, SOURCE, ids, table
from sources.rest.test_filters import OPTIONS, filtering

TEXTS = {name: str(value) for name, value in QUICK.items()}


@pytest.mark.parametrize("executor", EXECUTORS)
def test_duckdb_reads_it(serve, con, executor):
    api = serve(paged([{**row, "tags": ["x"], "at": {"lat": 1.5, "lon": row["id"]}} for row in rows(95)]))
    sql = f"""
        SELECT count(*), sum(id), max(name), sum("at".lon), any_value(tags)
        FROM python('{SOURCE}', url := '{api.url}/v1/orders', records := '$.data', pagination := 'page', page_size := 20,
            total := '$.meta.total', num_partitions := 4, bascule_executor := '{executor}')"""
    assert con.execute(sql).fetchall() == [(95, 4465, "name 94", 4465.0, ["x"])]
    assert con.execute(f"{sql} WHERE id > 90").fetchall() == [(4, 370, "name 94", 370.0, ["x"])]


def test_duckdb_ends_it_early(serve, con):
    api = serve(paged(rows(1000)))
    sql = f"FROM python('{SOURCE}', url := '{api.url}', records := 'data', schema := 'id BIGINT', pagination := 'page') LIMIT 5"
    assert con.execute(sql).fetchall() == [(i,) for i in range(5)]
    assert len(api.requests) < 10


def test_polars_and_pandas_read_it(serve):
    import polars as pl

    api = serve(paged(rows(30)))
    made = table(api.url, records="data", pagination="page")
    assert made.to_polars().filter(pl.col("id") > 27).collect()["id"].to_list() == [28, 29]
    assert made.to_pandas()["id"].tolist() == list(range(30))


def test_a_pickled_partition_is_read_in_another_process(serve):
    api = serve(paged(rows(95)))
    made = table(api.url, records="data", pagination="page", total="meta.total", token="canary", auth_type="bearer")
    code = """
        import pickle, sys
        partitions = pickle.load(sys.stdin.buffer)
        print([i for p in partitions for i in p.to_reader().read_all()["id"].to_pylist()])
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], input=pickle.dumps(made.partitions()), capture_output=True, check=True
    )  # fmt: skip
    assert json.loads(done.stdout) == list(range(95))
    again = pickle.loads(pickle.dumps(made))
    assert ids(again.to_arrow()) == list(range(95))


def test_an_instance_that_was_closed_reads_again(serve):
    api = serve(paged(rows(15)))
    source, options = RestDataSource(), {"url": api.url, "records": "data", "pagination": "page", **TEXTS}
    for _ in range(2):
        (spec,) = source.plan_partitions(options)
        assert sum(batch.num_rows for batch in source.read_partition(spec, options)) == 15
        source.close()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"url": "ftp://x/"}, "option 'url' is no URL"),
        ({"url": "orders"}, "option 'url' is no URL"),
        ({"records": "$..x"}, "option 'records' is '$..x', expected a path such as $.data.items"),
        (
            {"pagination": "pages"},
            "option 'pagination' is 'pages', expected one of none, page, offset, cursor, link, next",
        ),
        ({"pagination": "cursor"}, "option 'cursor' is missing"),
        ({"total_pages": "$.n"}, "option 'total_pages' is given, but pagination is none: it is for page"),
        ({"cursor": "$.n", "pagination": "page"}, "option 'cursor' is given, but pagination is page: it is for cursor"),
        ({"params": "[]"}, "option 'params' is '[]', expected a JSON object of texts"),
        ({"params": '{"a": {"b": 1}}'}, "expected a JSON object of texts"),
        ({"headers": '{"a": 1}'}, "option 'headers' is '***', expected a JSON object of texts"),
        ({"partitions": "[]"}, "expected a JSON list of objects"),
        ({"body": "{}"}, "option 'body' is given, but method is GET"),
        ({"params_in": "body"}, "option 'params_in' is body, but method is GET"),
        ({"schema": "id"}, "option 'schema' is no list of names and types"),
        ({"timeout": "0"}, "option 'timeout' is '0', expected a number above 0"),
        ({"rate_limit": "-1"}, "expected a number above 0"),
        ({"pagenation": "page"}, "unknown option 'pagenation': did you mean 'pagination'?"),
    ],
)
def test_an_option_that_does_not_fit_is_an_error(options, message):
    with pytest.raises(OptionError) as caught:
        RestDataSource().infer_schema({"url": "http://localhost/", **options})
    assert message in str(caught.value)


@pytest.mark.parametrize("module", ["httpx", "tenacity", "sqlglot"])
def test_a_missing_library_says_what_to_install(module):
    code = f"""
        import sys
        sys.modules["{module}"] = None
        from bascule.sources.rest import RestDataSource
        try:
            RestDataSource().infer_schema({{"url": "http://localhost/", "schema": "id BIGINT"}})
        except Exception as e:
            print(type(e).__name__, e)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("BasculeError ")
    assert f"needs {module}, which is not installed: pip install 'bascule[rest]'" in done.stdout


def test_the_module_imports_nothing_heavy():
    code = """
        import sys, bascule.sources.rest
        print(sorted({"httpx", "tenacity", "sqlglot", "duckdb", "polars"} & set(sys.modules)))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


# ---- memory ----


def test_memory_is_that_of_a_page():
    """Ten times the pages, each of 0.4 MB: the same peak."""

    def answer(request):
        page, n = int(request.query["page"]), int(request.path.rpartition("/")[2])
        return body % page if page <= n else b"[]"

    filler = json.dumps([{"i": i, "text": "x" * 900} for i in range(400)])
    body = ('[{"id": %d},' + filler[1:]).encode()
    api = Api(lambda request: Reply(answer(request)))
    code = rf"""
        import re, sys
        import bascule
        options = {{"url": "{api.url}/" + sys.argv[1], "pagination": "page", "sample": 10, "schema": "id BIGINT, i BIGINT, text VARCHAR"}}
        table = bascule.table("{SOURCE}", options)
        n = sum(batch.num_rows for batch in table.to_reader(max_bytes=1 << 20))
        # Not getrusage: a process begins with its parent's.
        print(n, re.search(r"VmHWM:\s+(\d+)", open("/proc/self/status").read())[1])
    """

    def peak(pages: int) -> int:
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code), str(pages)], capture_output=True, text=True, check=True
        )
        n, kib = map(int, done.stdout.split())
        assert n == pages * 401
        return kib

    few, many = peak(10), peak(100)
    api.close()
    assert many < 1.2 * few


# ---- the checks of a class ----


@pytest.mark.parametrize(
    ("how", "skipped"),
    [
        ({"pagination": "page", "total": "meta.total", "num_partitions": "3", "exact_total": "true"}, set()),
        ({"pagination": "cursor", "cursor": "next_cursor"}, {"partition_facts", "statistics"}),
    ],
    ids=["pages", "cursors"],
)
def test_it_passes_the_checks(serve, how, skipped):
    api = serve(filtering)
    options = {"url": api.url, **OPTIONS, **TEXTS, **how, "auth_type": "bearer", "token": "canary"}
    report = check.run(RestDataSource, options, Limits(max_seconds=20))
    statuses = {result.id: (result.status, result.reasons) for result in report.results if result.status != "ok"}
    # What it hasn't got: offsets, required_filters; and a limit of rows for a warning that the rest of it is not.
    assert {name for name, (status, _) in statuses.items() if status != "skipped"} == set(), statuses
    assert set(statuses) <= {"required_filters", "stream", *skipped}, statuses


def test_a_broken_source_fails_the_checks(serve):
    """A server that loses what it is asked for: what is marked exact is believed, so the checks say so."""

    def lossy(request):
        found = filtering(request)
        if "min_id" in request.query:
            found["data"] = found["data"][1:]
        return found

    api = serve(lossy)
    report = check.run(
        RestDataSource, {"url": api.url, **OPTIONS, **TEXTS, "pagination": "offset"}, Limits(max_seconds=40)
    )
    failed = {result.id for result in report.results if result.status == "failed"}
    assert "filters" in failed


def test_the_options_are_documented():
    page = (Path(__file__).parents[3] / "docs" / "rest.md").read_text("utf-8")
    missing = [option.name for option in RestDataSource.OPTIONS if not re.search(rf"`{option.name}(`| :=)", page)]
    assert missing == []


def test_an_error_is_one_of_bascules(serve):
    api = serve(lambda request: Reply(b"{", 200))
    with pytest.raises(BasculeError) as caught:
        bascule.table(SOURCE, url=api.url).to_arrow()
    assert "Traceback" not in str(caught.value)
