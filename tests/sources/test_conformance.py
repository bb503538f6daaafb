"""Each real source over its real server, read by every engine and both executors: the same rows."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from conformance.conftest import engine_of
from conformance.engines import ENGINES, Engine
from sources import held
from sources.held import Held

KEYS = {"access_key_id": "canary-key-id", "secret_access_key": "canary-secret"}

#: Sources whose server is started by the function.
BY_THEMSELVES = {
    "files-parquet-s3": held.parquet_in_s3,
    "files-lines-http": held.lines_on_a_web_server,
    "rest": held.pages,
    "kinesis": held.kinesis_stream,
    "bigquery": held.bigquery_table,
    "predict": held.predictions,
    "jdbc-sqlite": held.sqlite,
}


@pytest.fixture(scope="module", params=[*BY_THEMSELVES, "jdbc-postgresql", "kafka"])
def source(request, tmp_path_factory) -> Iterator[Held]:
    if request.param in BY_THEMSELVES:
        with BY_THEMSELVES[request.param](tmp_path_factory.mktemp(request.param)) as found:
            yield found
        return
    if request.param == "kafka":
        yield held.fill_topic(request.getfixturevalue("kafka"))
        return
    database = request.getfixturevalue("postgres").create_database()
    held.fill(database)
    yield Held("jdbc", {"url": database.url(), "dbtable": "t", **held.BY_ID})
    database.drop()


#: Adapters differ in what they make of batches, executors in how batches come: not each with each.
SOME = [name for name in ENGINES if name.endswith("-inprocess") or name.startswith(("native-", "duckdb-", "table-"))]


@pytest.fixture(params=SOME)
def engine(request) -> Engine:
    return engine_of(request.param)


def test_rows_and_columns(engine, source):
    rows = source.rows
    names = list(rows[0])
    assert engine.read(source.source, source.options, None).to_pylist() == rows
    for some in ([names[0]], names[::-1], names[1:3]):
        assert engine.read(source.source, source.options, some).to_pylist() == [
            {n: row[n] for n in some} for row in rows
        ]
    assert engine.count(source.source, source.options) == len(rows)


def test_a_server_that_is_not_there_is_an_error(engine):
    from sources.rest.api import closed_port

    url = closed_port()
    host = url.removeprefix("http://")
    for source, options in (
        ("rest", {"url": url, "retries": "0"}),
        ("files", {"path": f"{url}/t.parquet", "retries": "0"}),
        ("jdbc", {"url": f"postgresql://u:canary@{host}/d", "dbtable": "t"}),
        ("kinesis", {"stream": "t", "endpoint": url, "region": "eu-central-1", "retries": "0", **KEYS}),
        ("bigquery", {"table_id": "p.d.t", "endpoint": host, "insecure": "true", "retries": "0"}),
    ):
        with pytest.raises(engine.fails_with) as e:
            engine.read(source, options, None)
        said = str(e.value)
        assert source in said or "DataSource" in said
        assert host.split(":")[1] in said, "where it was looked for"
        assert "canary" not in said


def test_each_source_that_is_there_is_tested():
    """Whoever adds a source adds it here."""
    from importlib.metadata import entry_points

    named = {
        entry.name for entry in entry_points(group="bascule.sources") if entry.value.startswith("bascule.sources.")
    }
    assert named == {name.split("-")[0] for name in itertools.chain(BY_THEMSELVES, ["jdbc", "kafka"])}
