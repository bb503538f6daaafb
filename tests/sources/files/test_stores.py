"""Stores: which files a URL names, what is asked of S3 and of web servers, and each failure as its user reads it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import bascule
from bascule import filters as f
from sources.files.stores import BUCKET, KEYS, s3_server, web_server

SOURCE = "bascule.sources.files:FilesDataSource"
TESTS = Path(__file__).parents[2]


def files(path, **options):
    return bascule.table(SOURCE, path=path, **options)


@pytest.fixture(scope="module")
def server():
    with s3_server() as store:
        for year in (2024, 2025, 2026):
            for region in ("eu", "us"):
                table = pa.table({"id": range(year * 1000, year * 1000 + 100), "name": ["é"] * 100})
                store.put_parquet(f"orders/year={year}/region={region}/part 0.parquet", table, row_group_size=25)
        store.put("orders/_SUCCESS", b"")
        store.put("lines/a.csv", b"id,name\n1,Ann\n")
        store.put("lines/b.csv", b"id,name\n2,\xc3\xa9\n")
        store.put("bad/a.parquet", b"nothing")
        yield store


@pytest.fixture
def s3(server):
    server.requests.clear()
    server.fail = lambda method, path: None
    yield server
    server.fail = lambda method, path: None


# ---- which files ----


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("", "a.csv b.csv sub/c.csv sub/deep/d.csv"),
        ("*.csv", "a.csv b.csv"),
        ("**/*.csv", "a.csv b.csv sub/c.csv sub/deep/d.csv"),
        ("sub/**/*.csv", "sub/c.csv sub/deep/d.csv"),
        ("sub/*/*.csv", "sub/deep/d.csv"),
        ("[ab].csv", "a.csv b.csv"),
        ("{a,sub/c}.csv", "a.csv sub/c.csv"),
        ("?.csv", "a.csv b.csv"),
        ("a.csv", "a.csv"),
        ('["{0}/b.csv", "{0}/a.csv"]', "b.csv a.csv"),
    ],
)
def test_globs_folders_and_lists(tmp_path, pattern, names):
    for name in ("a.csv", "b.csv", "sub/c.csv", "sub/deep/d.csv", "_skip/e.csv", ".hidden.csv", "sub/_SUCCESS"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"name\n{name}\n")
    path = (
        pattern.replace("{0}", str(tmp_path))
        if pattern.startswith("[") and "{0}" in pattern
        else f"{tmp_path}/{pattern}"
    )
    assert files(path).to_arrow()["name"].to_pylist() == names.split()
    assert files(f"file://{tmp_path}/a.csv").count() == 1


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("{0}/none.csv", "no file is at .*none.csv: there is neither such a file nor a folder with files"),
        ("{0}/*.csv", r"no file is at .*\*.csv: \*\* is any number of folders"),
        ("{0}", "no file is at "),
        ("ftp://host/x.csv", "ftp:// is no storage that is known: file, s3, gs, az, http, https"),
        ("az://container/x.csv", "Azure needs the storage account"),
        ("[1]", "a path, a URL, a glob, or a JSON list of them"),
    ],
)
def test_no_files(tmp_path, path, words):
    with pytest.raises(bascule.BasculeError, match=words):
        _ = files(path.replace("{0}", str(tmp_path))).schema


# ---- folders that are columns ----


def test_folders_are_columns_with_types(tmp_path):
    for folder, text in (
        ("day=2026-01-02/n=1/s=a%2Fb", "x\n1\n"),
        ("day=2026-01-03/n=-7/s=__HIVE_DEFAULT_PARTITION__", "x\n2\n"),
    ):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "f.csv").write_text(text)
    table = files(tmp_path)
    assert table.schema == pa.schema([("x", pa.int64()), ("day", pa.date32()), ("n", pa.int64()), ("s", pa.string())])
    assert table.to_arrow()["s"].to_pylist() == ["a/b", None]
    assert table.where(f.IsNull("s")).to_arrow()["n"].to_pylist() == [-7]
    assert table.select("n", "x").to_arrow().to_pylist() == [{"n": 1, "x": 1}, {"n": -7, "x": 2}]
    assert table.select("day").limit(1).to_arrow().num_rows == 1
    assert files(tmp_path, hive=False).schema.names == ["x"]
    (tmp_path / "day=soon/n=1/s=c").mkdir(parents=True)
    (tmp_path / "day=soon/n=1/s=c/f.csv").write_text("x\n3\n")
    assert files(tmp_path).schema.field("day").type == pa.string()


def test_numbers_with_zeros_in_front_stay_texts(tmp_path):
    (tmp_path / "zip=01234").mkdir()
    (tmp_path / "zip=01234" / "f.csv").write_text("x\n1\n")
    assert files(tmp_path).to_arrow()["zip"].to_pylist() == ["01234"]


# ---- S3 ----


@pytest.mark.parametrize("executor", ["inprocess", "process"])
def test_only_matching_files_are_read(s3, executor):
    table = files(f"s3://{BUCKET}/orders", executor=executor, **s3.options)
    assert table.schema.names == ["id", "name", "year", "region"]
    s3.requests.clear()
    asked = table.where(f.EqualTo("year", 2025), f.EqualTo("region", "eu"), f.LessThan("id", 2025010)).select(
        "id", "year"
    )
    assert asked.to_arrow()["id"].to_pylist() == list(range(2025000, 2025010))
    assert s3.read() == {"orders/year=2025/region=eu/part 0.parquet"}
    con = bascule.connect()
    s3.requests.clear()
    query = f"SELECT count(*), min(year) FROM python('{SOURCE}', path := 's3://{BUCKET}/orders/**/*.parquet'"
    options = "".join(f", {name} := '{value}'" for name, value in s3.options.items())
    assert con.sql(
        f"{query}{options}, bascule_executor := '{executor}') WHERE year > 2025 AND region = 'us'"
    ).fetchall() == [(100, 2026)]
    assert s3.read() <= {
        "orders/year=2026/region=us/part 0.parquet",
        "orders/year=2024/region=eu/part 0.parquet",
    }  # for the columns


@pytest.mark.parametrize("executor", ["inprocess", "process"])
def test_a_limit_reads_no_more_files_than_it_needs(s3, executor):
    table = files(f"s3://{BUCKET}/orders/**/*.parquet", executor=executor, **s3.options)
    everything = table.select("id").to_arrow()["id"].to_pylist()
    assert len(everything) > 200
    s3.requests.clear()
    assert table.select("id").limit(7).to_arrow()["id"].to_pylist() == everything[:7]
    assert len(s3.read()) == 1
    s3.requests.clear()
    assert len(table.limit(101).to_arrow()) == 101
    assert len(s3.read()) == 2
    s3.requests.clear()
    assert table.where(f.EqualTo("year", 2026)).limit(3).to_arrow()["year"].to_pylist() == [2026] * 3
    assert {path.split("/")[1] for path in s3.read()} == {"year=2026"}
    # A predicate that the folders don't decide is not this source's to count by.
    assert table.where(f.GreaterThan("id", everything[-2])).limit(1).to_arrow()["id"].to_pylist() == everything[-1:]


def test_csv_and_counts_over_s3(s3):
    table = files(f"s3a://{BUCKET}/lines/*.csv", **s3.options)
    assert table.to_arrow().to_pylist() == [{"id": 1, "name": "Ann"}, {"id": 2, "name": "é"}]
    assert files(f"s3://{BUCKET}/orders", **s3.options).count() == 600


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (403, "can't list s3://lake/orders.*ACCESS_DENIED.*The credentials don't allow it: see access_key_id"),
        (500, "can't list s3://lake/orders"),
        (503, "can't list s3://lake/orders"),
    ],
)
def test_what_s3_refuses_is_said_without_secrets(s3, status, words):
    s3.fail = lambda method, path: status
    with pytest.raises(bascule.BasculeError, match=words) as e:
        _ = files(f"s3://{BUCKET}/orders", retries=1, **s3.options).schema
    assert "canary-secret" not in str(e.value)


def test_a_request_that_fails_is_tried_again(s3):
    left = [2]

    def fail(method, path):
        if "region=us" in path and method == "GET" and left[0]:
            left[0] -= 1
            return 503
        return None

    table = files(f"s3://{BUCKET}/orders/**/region=us/*.parquet", **s3.options)
    assert table.schema.names == ["id", "name", "year", "region"]
    s3.fail = fail
    assert sorted(table.to_arrow()["id"].to_pylist()) == [y * 1000 + i for y in (2024, 2025, 2026) for i in range(100)]
    assert left == [0]


def test_a_server_that_goes_down_in_mid_read_is_an_error_that_names_the_file(s3):
    table = files(f"s3://{BUCKET}/orders", retries=0, **s3.options)
    assert table.schema is not None
    s3.fail = lambda method, path: 503 if "year=2026" in path else None
    with pytest.raises(
        bascule.BasculeError, match=r"partition \d of \d: .*can't (open|read) s3://lake/orders/year=2026/region=.."
    ):
        table.to_arrow()


def test_a_bucket_that_is_not_there_a_port_where_nobody_is_and_garbage(s3):
    with pytest.raises(bascule.BasculeError, match=r"can.t list s3://nowhere/x|no file is at s3://nowhere/x"):
        _ = files("s3://nowhere/x", **s3.options).schema
    options = {**s3.options, "endpoint": "http://127.0.0.1:9", "timeout": 2, "retries": 0}
    with pytest.raises(bascule.BasculeError, match="can't list s3://lake/x"):
        _ = files("s3://lake/x", **options).schema
    with pytest.raises(bascule.BasculeError, match=r"can.t read the columns of s3://lake/bad/a\.parquet"):
        _ = files(f"s3://{BUCKET}/bad", **s3.options).schema


def test_secrets_are_in_no_text(s3):
    table = files(f"s3://{BUCKET}/orders", **s3.options)
    for text in (repr(table), table._repr_html_(), str(bascule.scans().to_pylist())):
        assert KEYS["secret_access_key"] not in text


# ---- HTTP ----


def test_files_of_a_web_server(tmp_path):
    table = pa.table({"id": range(1000), "name": ["é"] * 1000})
    pq.write_table(table, tmp_path / "a b.parquet", row_group_size=100)
    (tmp_path / "t.csv").write_text("id\n1\n")
    with web_server(tmp_path) as url:
        assert files(f"{url}/a%20b.parquet", num_partitions=3).to_arrow().equals(table)
        assert files(f"{url}/a%20b.parquet").where(f.EqualTo("id", 7)).count() == 1
        assert files(f'["{url}/t.csv", "{url}/t.csv"]').count() == 2
        with pytest.raises(bascule.BasculeError, match=r"can.t read http://127\.0\.0\.1:.*/none\.csv"):
            _ = files(f"{url}/none.csv").schema
        with pytest.raises(bascule.BasculeError, match=r"can.t be listed: over HTTP"):
            _ = files(f"{url}/*.csv").schema


# ---- between plan and read ----


def test_files_that_change_or_go_after_the_plan_are_errors(tmp_path):
    for i in range(3):
        (tmp_path / f"{i}.csv").write_text(f"id\n{i}\n")
    table = files(tmp_path)
    partitions = table.partitions()
    (tmp_path / "1.csv").write_text("id\n1\n10\n")
    (tmp_path / "2.csv").unlink()
    assert pa.table(partitions[0])["id"].to_pylist() == [0]
    with pytest.raises(
        pa.ArrowInvalid, match=r"1.csv has changed since it was listed, from 5 bytes to 8: read it again"
    ):
        pa.table(partitions[1])
    with pytest.raises(
        pa.ArrowInvalid, match=r"2.csv: it was there when files were listed, and is gone: read it again"
    ):
        pa.table(partitions[2])


def test_the_next_query_sees_new_files(tmp_path, monkeypatch):
    (tmp_path / "0.csv").write_text("id\n0\n")
    table = files(tmp_path)
    assert table.count() == 1
    (tmp_path / "1.csv").write_text("id\n1\n")
    assert table.count() == 2
    assert table.where(f.EqualTo("id", 1)).to_arrow().num_rows == 1


def test_partitions_are_read_in_another_process_without_listing(tmp_path, s3):
    code = "import pickle, sys, pyarrow as pa; print(sum(pa.table(p).num_rows for p in pickle.load(sys.stdin.buffer)))"
    import pickle

    partitions = files(f"s3://{BUCKET}/orders", **s3.options).partitions()
    s3.requests.clear()
    env = {**os.environ, "PYTHONPATH": str(TESTS)}
    done = subprocess.run(
        [sys.executable, "-c", code], input=pickle.dumps(partitions), capture_output=True, env=env, check=True
    )
    assert done.stdout == b"600\n"


def test_files_that_are_empty_have_no_rows(tmp_path):
    pq.write_table(pa.table({"id": pa.array([], pa.int64())}), tmp_path / "a.parquet")
    assert files(tmp_path).to_arrow().num_rows == 0
    assert files(tmp_path).count() == 0
    (tmp_path / "b.csv").write_text("id\n")
    assert files(tmp_path / "b.csv").to_arrow().num_rows == 0
