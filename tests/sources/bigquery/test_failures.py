"""What goes wrong: read on with nothing lost and nothing twice, or an error that says what to do."""

from __future__ import annotations

import time

import pyarrow as pa
import pytest

from bascule import BasculeError
from bigquery_server import BigQuery, Fault
from sources.bigquery.reading import EXECUTORS, Direct, numbers, table


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize(
    "fault",
    [
        Fault("ReadRows", "UNAVAILABLE", after=2),
        Fault("ReadRows", "UNAVAILABLE", after=-1),
        Fault("ReadRows", "INTERNAL", after=1, message="stream terminated by RST_STREAM with error code 2"),
        Fault("ReadRows", "RESOURCE_EXHAUSTED", after=1, retry_s=0.05),
        Fault("ReadRows", "UNAUTHENTICATED", after=2),
        Fault("ReadRows", "DEADLINE_EXCEEDED", after=2),
        Fault("CreateReadSession", "UNAVAILABLE"),
    ],
    ids=lambda fault: f"{fault.method}-{fault.code}{fault.after}",
)
def test_a_read_goes_on_where_it_was(bigquery, fault, executor):
    bigquery.put("p.d.t", numbers(100))
    bigquery.faults.append(fault)
    found = table(bigquery, executor=executor).to_arrow()
    assert sorted(found["id"].to_pylist()) == list(range(100))
    assert not bigquery.faults
    if fault.method == "ReadRows" and fault.after > 0:
        assert fault.after * 10 in {offset for _, offset in bigquery.reads}


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault("ReadRows", "GARBAGE", after=1), "no record batch"),
        (Fault("ReadRows", "FAILED_PRECONDITION", after=1, message="session expired at 1"), "plan the query again"),
        (Fault("ReadRows", "INTERNAL", after=1, message="a bug"), "a bug"),
        (Fault("CreateReadSession", "PERMISSION_DENIED", message="no"), "bigquery.readsessions.create"),
        (Fault("CreateReadSession", "UNAUTHENTICATED", message="token expired"), "credentials are refused or have expired"),
        (Fault("CreateReadSession", "INVALID_ARGUMENT", message="is a view"), "Views"),
    ],
    ids=lambda x: x.code + x.method if isinstance(x, Fault) else "",
)  # fmt: skip
def test_what_does_not_pass_is_an_error_at_once(bigquery, fault, said):
    bigquery.put("p.d.t", numbers(100))
    bigquery.faults.append(fault)
    with pytest.raises(BasculeError, match=said) as e:
        table(bigquery).to_arrow()
    assert "p.d.t" in str(e.value)
    assert bigquery.faults == []


def test_a_token_that_is_renewed_leaves_other_streams_alone(bigquery):
    bigquery.put("p.d.t", numbers(100_000))
    direct = Direct(bigquery, max_stream_count=2)
    first, second = direct.plan()
    reading = direct.source.read_partition(first, direct.options)
    seen = next(reading).num_rows
    bigquery.faults.append(Fault("ReadRows", "UNAUTHENTICATED"))
    assert next(direct.source.read_partition(second, direct.options)).num_rows == 10
    offsets = len(bigquery.reads)
    assert seen + sum(batch.num_rows for batch in reading) == 50_000
    assert len(bigquery.reads) == offsets


def test_asking_again_ends(bigquery):
    bigquery.put("p.d.t", numbers(100))
    bigquery.faults += [Fault("ReadRows", "RESOURCE_EXHAUSTED", after=1, retry_s=0.01) for _ in range(3)]
    bigquery.faults += [Fault("ReadRows", "RESOURCE_EXHAUSTED", retry_s=0.01) for _ in range(30)]
    with pytest.raises(BasculeError, match=r"asked 3 times.*quota"):
        table(bigquery, retries=2, max_stream_count=1).to_arrow()


def test_no_table(bigquery):
    with pytest.raises(BasculeError, match="See that project, dataset and table are right"):
        table(bigquery).to_arrow()


def test_a_session_that_has_expired(bigquery):
    bigquery.put("p.d.t", numbers(10))
    bigquery.session_s = -1
    direct = Direct(bigquery)
    specs = direct.plan()
    bigquery.faults.append(Fault("ReadRows", "UNAVAILABLE"))
    with pytest.raises(BasculeError, match="has expired"):
        direct.read(specs)


def test_columns_that_changed_since_they_were_looked_at(bigquery):
    bigquery.put("p.d.t", numbers(10))
    direct = Direct(bigquery)
    direct.source.infer_schema(direct.options)
    bigquery.put("p.d.t", pa.table({"id": ["x"], "name": ["y"]}), at=1)
    with pytest.raises(BasculeError, match="has changed since"):
        direct.plan(columns=["id"])


def test_a_stream_that_stalls_is_read_on_after_the_timeout(bigquery):
    bigquery.put("p.d.t", numbers(60))
    bigquery.faults.append(Fault("ReadRows", "SLOW", after=1))
    started = time.monotonic()
    direct = Direct(bigquery, timeout=1, retries=0)
    assert [row["id"] for row in direct.read(direct.plan())] == list(range(60))
    assert time.monotonic() - started < 8


def test_a_read_that_is_given_up_ends_the_call(bigquery):
    bigquery.put("p.d.t", numbers(200_000))
    direct = Direct(bigquery, max_stream_count=1)
    (spec,) = direct.plan()
    reading = direct.source.read_partition(spec, direct.options)
    assert next(reading).num_rows == 10
    reading.close()
    time.sleep(0.2)
    sent = bigquery.sent
    time.sleep(0.2)
    assert bigquery.sent == sent < 20_000


def test_a_server_that_goes_away_in_mid_read():
    with BigQuery.start() as server:
        server.put("p.d.t", numbers(200_000))
        direct = Direct(server, retries=1)
        specs = direct.plan()
        reading = direct.source.read_partition(specs[0], direct.options)
        next(reading)
        server.close()
        with pytest.raises(BasculeError, match=r"UNAVAILABLE.*asked 2 times at 127"):
            list(reading)


def test_a_token_is_in_no_text(bigquery):
    """A server without TLS gets none: there is no connection to it."""
    bigquery.put("p.d.t", numbers(10))
    secret = "canary-token"
    direct = Direct(bigquery, insecure="false", access_token=secret, retries=0, timeout=3)
    with pytest.raises(BasculeError, match="asked 1 time at 127") as e:
        direct.plan()
    assert secret not in str(e.value)
    assert secret not in repr(direct.options)
    assert bigquery.sessions == []
