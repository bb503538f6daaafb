"""Files in Azure's and Google's stores: globs, folders as columns, formats, what is asked for and not; each refusal."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pyarrow as pa
import pytest

import bascule
from bascule import filters as f
from bascule.check import run
from sources.files.clouds import CONTAINER, KEY, Store, azure_server, google_server
from sources.rest.api import closed_port

SOURCE = "bascule.sources.files:FilesDataSource"
TABLE = pa.table({"id": range(40), "name": [f"é {i}" for i in range(40)]})


@pytest.fixture(scope="module", params=[azure_server, google_server], ids=["azure", "google"])
def store(request, tmp_path_factory) -> Iterator[Store]:
    with request.param(tmp_path_factory.mktemp("store")) as found:
        for year in (2025, 2026):
            found.put_parquet(f"orders/year={year}/part 0.parquet", TABLE.slice(0, 20))
            found.put_parquet(f"orders/year={year}/deep/part 1.parquet", TABLE.slice(20))
        found.put("lines/a.csv", b"id,name\n1,x\n2,y\n")
        found.put("lines/b.jsonl", b'{"id": 3, "name": "z"}\n')
        yield found


def table(store, path, **more):
    return bascule.table(SOURCE, path=f"{store.scheme}://{CONTAINER}/{path}", **store.options, **more)


@pytest.mark.parametrize("executor", ["inprocess", "process"])
def test_globs_folders_and_formats(store, executor):
    found = table(store, "orders/**/*.parquet", executor=executor)
    assert found.schema.names == ["id", "name", "year"]
    assert sorted(found.to_arrow()["id"].to_pylist()) == sorted([*range(40)] * 2)
    assert found.where(f.EqualTo("year", 2025), f.LessThan("id", 3)).select("name").to_arrow().num_rows == 3
    assert table(store, "orders", executor=executor).count() == 80
    assert table(store, "orders/year=2026/*.parquet", executor=executor).count() == 20
    assert table(store, "lines/a.csv", executor=executor).to_arrow().to_pylist() == [
        {"id": 1, "name": "x"},
        {"id": 2, "name": "y"},
    ]
    assert table(store, "lines/*.jsonl", executor=executor).to_arrow()["name"].to_pylist() == ["z"]


def test_only_matching_files_are_asked_for(store):
    found = table(store, "orders/**/*.parquet")
    assert found.schema.names  # by the first file
    time.sleep(0.3)
    before = len(store.log.read_text())
    assert found.where(f.EqualTo("year", 2026)).to_arrow().num_rows == 40
    time.sleep(0.3)
    asked = store.log.read_text()[before:]
    assert "year%3D2026" in asked or "year=2026" in asked
    reads = [line for line in asked.splitlines() if "part%20" in line and "GET" in line]
    assert reads
    assert not [line for line in reads if "2025" in line.partition("part%20")[0].rpartition("GET")[2]]


def test_it_passes_every_check(store):
    options = {"path": f"{store.scheme}://{CONTAINER}/orders/", **store.options}
    failed = [result for result in run(SOURCE, options).results if result.status == "failed"]
    assert not failed, [(result.id, result.reasons) for result in failed]


def test_what_is_not_there_is_named(store):
    with pytest.raises(bascule.BasculeError, match=r"nothing/\*\.parquet"):
        table(store, "nothing/*.parquet").schema  # noqa: B018
    path = f"{store.scheme}://no-such-one/a.parquet"
    with pytest.raises(bascule.BasculeError, match="no-such-one"):
        bascule.table(SOURCE, path=path, **store.options, timeout=5).schema  # noqa: B018


def test_a_server_that_is_down_is_an_error(store):
    url = closed_port()
    options = {**store.options, "endpoint": url, "timeout": "2"}
    with pytest.raises(bascule.BasculeError) as e:
        bascule.table(SOURCE, path=f"{store.scheme}://{CONTAINER}/orders/", **options).schema  # noqa: B018
    assert CONTAINER in str(e.value)
    assert KEY not in str(e.value)


def test_a_wrong_key_is_refused_without_showing_it(store):
    if store.scheme != "az":
        pytest.xfail("the emulator of Google's storage lets everybody in")
    wrong = "Y2FuYXJ5LWNhbmFyeS1jYW5hcnk="
    options = {**store.options, "account_key": wrong}
    with pytest.raises(bascule.BasculeError, match="account_key") as e:
        bascule.table(SOURCE, path=f"az://{CONTAINER}/orders/", **options).schema  # noqa: B018
    assert wrong not in str(e.value)


def test_a_file_that_changes_after_the_plan_is_an_error(store):
    store.put_parquet("changing/a.parquet", TABLE)
    found = table(store, "changing/a.parquet")
    parts = found.partitions()
    store.put_parquet("changing/a.parquet", TABLE.slice(0, 7))
    with pytest.raises(bascule.BasculeError, match="changing/a"):
        parts[0].to_reader().read_all()
