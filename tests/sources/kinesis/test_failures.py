"""What goes wrong between here and the service: nothing is lost, nothing comes twice, no secret is told."""

from __future__ import annotations

import _thread
import itertools
import logging
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest

import bascule
from bascule import BasculeError, OptionError
from kinesis_server import Reply
from sources.kinesis.reading import EXECUTORS, SOURCE, Direct, numbered, options, read, table, texts

FIRST = "shardId-000000000000"


def reported() -> dict[str, float]:
    return dict(bascule.scans().slice(0, 1).to_pylist()[0]["reported"])


def on(operation: str, first: int, n: int, reply: Reply):
    """The ``first``-th request and the next ones are answered so."""
    seen = []
    lock = threading.Lock()

    def fail(asked, arguments):
        if asked != operation:
            return None
        with lock:
            seen.append(arguments)
            return reply if first <= len(seen) < first + n else None

    return fail


THROTTLED = Reply("ProvisionedThroughputExceededException", "Rate exceeded for shard")


@pytest.mark.parametrize(
    "reply",
    [
        THROTTLED,
        Reply("InternalFailure", status=500),
        Reply("ServiceUnavailable", status=503),
        Reply(hangs_up=True),
        Reply("ExpiredIteratorException"),
        Reply("KMSThrottlingException"),
    ],
    ids=lambda reply: reply.code or "hang-up",
)
def test_what_passes_is_asked_again_and_no_record_is_lost_or_twice(kinesis, reply):
    kinesis.create("s")
    kinesis.put("s", [("k", str(i).encode()) for i in range(40)])
    direct = Direct(kinesis)
    (spec,) = direct.plan()
    # Pages of a few records, so that it fails between them.
    for first in (1, 2, 4):
        kinesis.fail = on("GetRecords", first, 2, reply)
        shards = direct.source._opened(direct.options)[0].shards
        pages = [page.records for page in _between(shards, spec, 7)]
        assert [int(r["Data"]) for page in pages for r in page] == list(range(40))


@pytest.mark.parametrize("executor", EXECUTORS)
def test_what_passes_is_counted(kinesis, executor):
    kinesis.create("s")
    kinesis.put("s", numbered(0, 10))
    made = table(kinesis, executor=executor)
    kinesis.fail = on("GetRecords", 1, 2, THROTTLED)
    assert texts(made.to_arrow()) == [str(i) for i in range(10)]
    assert reported()["throttled"] == 2
    kinesis.fail = on("GetRecords", 2, 1, Reply("ExpiredIteratorException"))
    assert texts(made.to_arrow()) == [str(i) for i in range(10)]
    assert reported()["expired iterators"] == 1
    assert reported()["requests"] >= 5


def _between(shards, spec, most):
    from bascule.sources.kinesis._positions import Position
    from bascule.sources.kinesis._shards import Page

    start, end = (Position.of_json(spec[name]) for name in ("start", "end"))
    for records in shards.between(spec["shard"], start, end, None, most):
        yield Page(records, 0, False)


def test_the_limits_of_a_shard_are_kept_to(kinesis):
    """Five reads a second, as the service has it; two readers of one shard are throttled, and come through."""
    kinesis.create("s")
    kinesis.put("s", [("k", str(i).encode()) for i in range(12)])
    plan = Direct(kinesis).plan()
    kinesis.throttles = True
    found = []

    def one():
        direct = Direct(kinesis, backoff="0.05")
        shards = direct.source._opened(direct.options)[0].shards
        found.append([int(r["Data"]) for page in _between(shards, plan[0], 2) for r in page.records])

    threads = [threading.Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [list(range(12))] * 2


def test_a_reader_does_not_ask_oftener_than_it_may(kinesis):
    kinesis.create("s")
    kinesis.put("s", numbered(0, 3))
    kinesis.empty_pages = 4
    times = []
    kinesis.fail = lambda operation, _: times.append(time.monotonic()) if operation == "GetRecords" else None
    direct = Direct(kinesis, reads_per_second="5")
    direct.read([{"shard": FIRST, "start": {}, "end": {"after": kinesis.numbers("s", FIRST)[-1]}, "until": None}])
    assert len(times) == 5
    assert times[-1] - times[0] >= 4 * 0.2 - 0.1
    assert sorted(b - a for a, b in itertools.pairwise(times))[1] > 0.1


def test_being_throttled_for_too_long_is_an_error(kinesis):
    kinesis.create("s")
    kinesis.put("s", numbered(0, 3))
    plan = Direct(kinesis).plan()
    kinesis.fail = on("GetRecords", 1, 10_000, THROTTLED)
    with pytest.raises(BasculeError) as caught:
        Direct(kinesis, max_wait="0.3").read(plan)
    said = str(caught.value)
    assert said.startswith(f"GetRecords of stream 's', shard '{FIRST}': ProvisionedThroughputExceededException")
    assert "asked for 0.3 s (option 'max_wait')" in said


def test_iterators_expire_while_the_engine_is_slow(kinesis):
    kinesis.create("s")
    kinesis.put("s", [("k", str(i).encode()) for i in range(10)])
    direct = Direct(kinesis)
    (spec,) = direct.plan()
    shards = direct.source._opened(direct.options)[0].shards
    found = []
    for page in _between(shards, spec, 2):
        found += [int(r["Data"]) for r in page.records]
        kinesis.expire_iterators()
    assert found == list(range(10))
    kinesis.fail = lambda operation, _: (
        Reply("ExpiredIteratorException", "Iterator expired.") if operation == "GetRecords" else None
    )
    with pytest.raises(BasculeError, match=r"ExpiredIteratorException: Iterator expired, 6 times in turn"):
        direct.read([spec])


def test_a_server_that_is_down_when_it_is_planned(kinesis):
    kinesis.create("s")
    kinesis.hang_up()
    try:
        made = table(kinesis, retries="1")
        assert made.schema.names[0] == "partition_key", "the columns are known without it"
        with pytest.raises(BasculeError) as caught:
            made.to_arrow()
    finally:
        kinesis.listen()
    said = str(caught.value)
    assert "plan_partitions: ListShards of stream 's': Could not connect to the endpoint URL" in said
    assert f"127.0.0.1:{kinesis.port}" in said
    assert "(asked 2 times)" in said
    assert "canary" not in said


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_server_that_goes_down_in_mid_read_and_stays(kinesis, executor):
    kinesis.create("s")
    kinesis.put("s", numbered(0, 10))
    made = table(kinesis, retries="1", executor=executor)
    (partition,) = made.partitions()
    kinesis.hang_up()
    try:
        with pytest.raises(BasculeError) as caught:
            partition.to_reader().read_all()
    finally:
        kinesis.listen()
    assert f"GetShardIterator of stream 's', shard '{FIRST}': Could not connect" in str(caught.value)
    assert "partition 0" in str(caught.value)
    assert texts(partition.to_reader().read_all()) == [str(i) for i in range(10)], "and reads when it is there again"


def test_a_server_that_comes_back_is_read_on(kinesis):
    kinesis.create("s")
    kinesis.put("s", [("k", str(i).encode()) for i in range(10)])
    direct = Direct(kinesis, retries="8", backoff="0.1")
    (spec,) = direct.plan()
    shards = direct.source._opened(direct.options)[0].shards
    pages = _between(shards, spec, 3)
    found = [int(r["Data"]) for r in next(pages).records]
    kinesis.hang_up()
    timer = threading.Timer(0.5, kinesis.listen)
    timer.start()
    found += [int(r["Data"]) for page in pages for r in page.records]
    timer.join()
    assert found == list(range(10))


def test_a_server_that_does_not_answer(kinesis):
    kinesis.create("s")
    kinesis.fail = lambda operation, _: Reply(delay_s=1)
    with pytest.raises(BasculeError, match="ListShards of stream 's': Read timeout on endpoint URL"):
        read(kinesis, timeout="0.2", retries="0")


SHARDS = b'{"Shards": [{"ShardId": "s", "HashKeyRange": {"StartingHashKey": "%s", "EndingHashKey": "1"}, "SequenceNumberRange": {}}]}'


@pytest.mark.parametrize(
    "body", [b"<html>nothing here</html>", b"", b"{}", b"[]", b'{"Shards": ', b"\xff\x00", SHARDS % b"", SHARDS % b"x"]
)
def test_garbage_is_an_error(kinesis, body):
    kinesis.create("s")
    kinesis.fail = lambda operation, _: Reply(body=body)
    with pytest.raises(BasculeError) as caught:
        read(kinesis, retries="0")
    said = str(caught.value)
    assert "ListShards of stream 's': what came is no answer of Kinesis: see that option 'endpoint' is right" in said
    assert "Traceback" not in said


def test_garbage_in_mid_read_is_an_error(kinesis):
    kinesis.create("s")
    kinesis.put("s", numbered(0, 3))
    plan = Direct(kinesis).plan()
    for body in (b"{}", b'{"Records": 7}', b'{"Records": [{"Data": "A"}]}', b'{"Records": [7]}'):
        kinesis.fail = lambda operation, _, body=body: Reply(body=body) if operation == "GetRecords" else None
        with pytest.raises(
            BasculeError, match=f"GetRecords of stream 's', shard '{FIRST}': what came is no answer of Kinesis"
        ):
            Direct(kinesis).read(plan)


# ---- credentials ----


def test_wrong_credentials_are_an_error_at_once(kinesis):
    kinesis.create("s")
    kinesis.keys = {"another"}
    with pytest.raises(BasculeError) as caught:
        read(kinesis)
    said = str(caught.value)
    assert "UnrecognizedClientException: The security token included in the request is invalid\n" in said
    assert "The credentials are refused" in said
    assert kinesis.operations == ["ListShards"], "once"
    assert "canary" not in said


def test_what_may_not_be_read(kinesis):
    kinesis.create("s")
    kinesis.fail = lambda operation, _: Reply("AccessDeniedException", "User canary-user may not")
    with pytest.raises(BasculeError, match="Reading takes kinesis:ListShards, GetShardIterator, GetRecords"):
        read(kinesis)


def test_a_token_that_expires_in_mid_read_of_keys_that_were_given(kinesis):
    kinesis.create("s")
    kinesis.put("s", numbered(0, 3))
    plan = Direct(kinesis, session_token="canary-token").plan()
    kinesis.fail = on(
        "GetRecords", 1, 100, Reply("ExpiredTokenException", "The security token included is expired: canary-token")
    )
    with pytest.raises(BasculeError) as caught:
        Direct(kinesis, session_token="canary-token").read(plan)
    assert "are of a session that has ended: give new ones" in str(caught.value)
    assert "canary" not in str(caught.value)


def test_a_token_that_expires_in_mid_read_is_looked_for_anew(kinesis, tmp_path, monkeypatch):
    kinesis.create("s")
    kinesis.put("s", numbered(0, 5))
    file = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)

    def keys(name: str) -> None:
        file.write_text(
            f"[default]\naws_access_key_id = {name}\naws_secret_access_key = canary\naws_session_token = t\n"
        )

    keys("first")
    kinesis.keys = {"first"}
    direct = Direct(kinesis)
    for name in ("access_key_id", "secret_access_key"):
        direct.options.typed[name] = None
    plan = direct.plan()
    keys("second")
    kinesis.keys = {"second"}
    kinesis.fail = on("GetShardIterator", 1, 1, Reply("ExpiredTokenException"))
    assert sorted(direct.read(plan)) == list(range(5))
    kinesis.fail = on("GetShardIterator", 1, 2, Reply("ExpiredTokenException"))
    with pytest.raises(BasculeError, match="the credentials that are found now have expired too"):
        direct.read(plan)


def test_no_credentials_no_region(kinesis, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    endpoint = kinesis.options["endpoint"]
    with pytest.raises(OptionError, match=r"You must specify a region.; give option 'region'"):
        bascule.table(SOURCE, {"stream": "s", "endpoint": endpoint}).to_arrow()
    with pytest.raises(
        BasculeError, match=r"Unable to locate credentials. Give access_key_id and secret_access_key, a profile"
    ):
        bascule.table(SOURCE, {"stream": "s", "endpoint": endpoint, "region": "eu-central-1"}).to_arrow()
    with pytest.raises(OptionError, match=r"no client for Kinesis: The config profile .nobody. could not be found"):
        bascule.table(SOURCE, {"stream": "s", "endpoint": endpoint, "profile": "nobody"}).to_arrow()


def test_no_secret_is_told(kinesis, caplog):
    kinesis.create("s")
    kinesis.put("s", [("k", b"canary-data")])
    caplog.set_level(logging.DEBUG)
    made = table(kinesis, session_token="canary-token")
    shown = [repr(made), made._repr_html_(), repr(made.partitions())]
    kinesis.fail = on(
        "GetRecords", 1, 1, Reply("ProvisionedThroughputExceededException", "canary-token, canary-secret")
    )
    assert made.to_arrow().num_rows == 1
    shown.append(str(bascule.scans().slice(0, 5).to_pylist()))
    direct = Direct(kinesis, session_token="canary-token")
    shown += [repr(direct.options), repr(direct.plan()), repr(direct.latest())]
    cut = "x" * 290 + " canary-secret and canary-token"
    kinesis.fail = lambda *_: Reply("SomeException", cut)
    with pytest.raises(BasculeError) as caught:
        made.to_arrow()
    shown.append(str(caught.value))
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith(("werkzeug", "moto"))]
    assert any("asks again" in text for text in ours)
    for text in (*shown, *ours):
        assert "canary" not in text.replace("canary-key-id", "")


# ---- streams that go ----


def test_a_stream_that_is_not_there(kinesis):
    with pytest.raises(
        BasculeError, match=r"ResourceNotFoundException: .*. See that the stream's name, region and account are right"
    ):
        read(kinesis, "nowhere")


@pytest.mark.parametrize("lenient", ["true", "false"])
def test_a_stream_that_is_deleted_in_mid_read(kinesis, lenient):
    kinesis.create("s")
    kinesis.put("s", [("k", str(i).encode()) for i in range(10)])
    direct = Direct(kinesis, fail_on_data_loss=lenient)
    (spec,) = direct.plan()
    shards = direct.source._opened(direct.options)[0].shards
    pages = _between(shards, spec, 3)
    next(pages)
    kinesis.delete("s")
    with pytest.raises(BasculeError, match=r"GetRecords of stream 's', shard .*: ResourceNotFoundException"):
        list(pages)
    with pytest.raises(BasculeError, match="ResourceNotFoundException"):
        direct.read([spec])


# ---- waiting ----


@pytest.mark.parametrize("waits", ["an answer", "being throttled", "a plan"])
def test_a_read_that_waits_is_cancelled_at_once(kinesis, waits):
    kinesis.create("s", 3)
    kinesis.put("s", numbered(0, 30))
    plan = Direct(kinesis).plan()
    reached = threading.Event()

    def fail(asked, _):
        if asked != ("GetShardIterator" if waits == "a plan" else "GetRecords"):
            return None
        reached.set()
        return THROTTLED if waits == "being throttled" else Reply(delay_s=3)

    kinesis.fail = fail
    ended: list[float] = []

    def interrupt() -> None:
        reached.wait(10)
        time.sleep(0.1)
        ended.append(time.monotonic())
        _thread.interrupt_main()

    thread = threading.Thread(target=interrupt)
    thread.start()
    direct = Direct(kinesis, backoff="5", timeout="60")
    # A shell has its background jobs ignore it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with pytest.raises(KeyboardInterrupt):
        if waits == "a plan":
            direct.plan()
        else:
            direct.read(plan)
    assert time.monotonic() - ended[0] < 1
    thread.join()
    signal.signal(signal.SIGINT, before)


def test_a_scan_that_waits_is_cancelled(kinesis):
    kinesis.create("s")
    kinesis.put("s", numbered(0, 3))
    release, reached = threading.Event(), threading.Event()
    scan = table(kinesis).scan()

    def fail(asked, _):
        if asked == "GetRecords":
            reached.set()
            release.wait(10)

    kinesis.fail = fail
    failures: list[BaseException] = []

    def run() -> None:
        try:
            list(scan)
        except BaseException as e:
            failures.append(e)

    thread = threading.Thread(target=run)
    thread.start()
    assert reached.wait(10)
    begun = time.monotonic()
    scan.cancel()
    thread.join(5)
    assert time.monotonic() - begun < 1
    assert failures
    release.set()


def test_memory_is_that_of_an_answer(kinesis):
    """Four times the answers, of two megabytes each: the same peak, to a fraction of what came more."""
    kinesis.page_bytes = 2 << 20
    for name, n in (("few", 6), ("many", 24)):
        kinesis.create(name)
        kinesis.put(name, [("k", bytes([i]) * (1 << 20)) for i in range(n)])
    code = f"""
        import re, sys
        import bascule
        options = {{**{options(kinesis)!r}, "stream": sys.argv[1]}}
        n = sum(batch.num_rows for batch in bascule.table("{SOURCE}", options).to_reader(max_bytes=1 << 20))
        # Not getrusage: a process begins with its parent's.
        print(n, re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
    """

    def peak(name: str) -> tuple[int, int]:
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code), name], capture_output=True, text=True, check=True
        )
        n, kib = map(int, done.stdout.split())
        return n, kib

    (few, small), (many, large) = peak("few"), peak("many")
    assert (few, many) == (6, 24)
    assert large - small < 9 << 10
