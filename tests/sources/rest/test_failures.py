"""A server that is down, slow, throttled, or answers with garbage: a clear error, or it is asked again."""

from __future__ import annotations

import datetime
import email.utils
import gzip
import threading
import time

import pytest

import bascule
from bascule import BasculeError
from sources.rest.api import Reply, closed_port, paged, rows
from sources.rest.reading import ids, read, table


def failing(answer, replies, on=lambda request: True):
    """Answers with each of ``replies`` first."""
    left = list(replies)

    def first(request):
        return left.pop(0) if left and on(request) else answer(request)

    return first


def test_a_server_that_is_down_is_an_error():
    with pytest.raises(
        BasculeError, match=r"infer_schema: GET http://127.0.0.1:\d+: can't connect: .*refused \(asked 3 times\)"
    ):
        read(closed_port(), retries=2)  # fmt: skip


def test_a_server_that_does_not_exist_is_an_error():
    with pytest.raises(BasculeError, match="can't connect"):
        read("http://no.such.host.invalid/x", retries=0)


PASSING = {
    **{str(status): Reply("busy", status) for status in (429, 500, 502, 503, 504)},
    "hangs up": None,
    "cut off": Reply(rows(3), cut=5),
}


@pytest.mark.parametrize(
    ("reply", "executor"), [*((reply, "inprocess") for reply in PASSING), ("503", "process"), ("hangs up", "process")]
)
def test_what_may_pass_is_asked_again(serve, reply, executor):
    api = serve(failing(paged(rows(30)), [PASSING[reply]] * 2, on=lambda request: request.query["page"] == "2"))
    found = read(api.url, executor=executor, pagination="page", records="data", sample=1)
    assert ids(found) == list(range(30))
    assert [q["page"] for q in api.queries] == ["1", "1", "2", "2", "2", "3", "4"]


@pytest.mark.parametrize("reply", [Reply("x", 503), None], ids=["503", "hangs up"])
def test_what_does_not_pass_is_an_error(serve, reply):
    api = serve(lambda request: reply)
    with pytest.raises(BasculeError, match=r"\(asked 4 times\)"):
        read(api.url, retries=3)
    assert len(api.requests) == 4


def test_a_server_that_goes_down_in_mid_read_is_an_error_that_names_the_request(serve):
    api = serve(lambda request: paged(rows(300))(request) if int(request.query["page"]) < 4 else None)
    made = table(api.url, pagination="page", records="data", schema="id BIGINT", retries=1)
    with pytest.raises(
        BasculeError,
        match=r"partition 0 of 1: read_partition: GET http://127.0.0.1:\d+\?page=4: the connection failed: .*\(asked 2 times\)",
    ):
        made.to_arrow()  # fmt: skip
    assert len(api.requests) == 5


@pytest.mark.parametrize("status", [400, 404, 410, 422])
def test_what_the_server_refuses_is_an_error_at_once(serve, status):
    api = serve(lambda request: Reply({"detail": "no such field: sort"}, status))
    with pytest.raises(BasculeError, match=rf"HTTP {status} .*, which begins: .*no such field: sort"):
        read(api.url)
    assert len(api.requests) == 1


def test_a_slow_server_is_an_error_that_names_the_option(serve):
    api = serve(lambda request: time.sleep(0.6) or rows(1))
    with pytest.raises(BasculeError, match=r"no answer within 0.2 s \(option 'timeout'\) \(asked 2 times\)"):
        read(api.url, timeout=0.2, retries=1)
    assert ids(read(api.url, timeout=2)) == [0]


GARBAGE = {
    "html": (Reply(b"<html><body>Sign in</body></html>", headers={"Content-Type": "text/html"}), r"HTTP 200 OK, which begins: <html><body>Sign in</body></html>\nThat is no JSON \(text/html\): Expecting value"),
    "nothing": (Reply(b""), r"HTTP 200 OK, of no body\nThat is no JSON \(application/json\)"),
    "half": (Reply(b'[{"id": 1}, {"id'), r"That is no JSON .*: (Unterminated string|Expecting)"),
    "NaN": (Reply(b'[{"id": NaN}]'), "NaN is no number of JSON"),
    "infinity": (Reply(b'[{"id": -Infinity}]'), "-Infinity is no number of JSON"),
    "no text": (Reply(b'[{"id": "\xff\xfe"}]'), "it is no UTF-8: invalid start byte at byte 9"),
    "too deep": (Reply(b"[" * 100_000), "it is nested too deeply"),
    "no gzip": (Reply(b"[1]", headers={"Content-Encoding": "gzip"}), "the body can't be decompressed"),
    "digits": (Reply(b'[{"id": ' + b"9" * 5000 + b"}]"), "That is no JSON .*: Exceeds the limit"),
    "a number": (Reply(b"7"), r"option 'records': at '\$' is a number, and neither a list of objects nor an object"),
    "numbers": (Reply(b"[1, 2]"), "record 1 is a number, and no object"),
    "lists": (Reply(b'[{"id": 1}, []]'), "record 2 is a list, and no object"),
}  # fmt: skip


@pytest.mark.parametrize("kind", GARBAGE)
def test_garbage_is_an_error_that_shows_it(serve, kind):
    reply, message = GARBAGE[kind]
    api = serve(lambda request: reply)
    with pytest.raises(BasculeError, match=message):
        read(api.url)
    assert len(api.requests) == 1


def test_a_long_body_is_shown_in_part(serve):
    api = serve(lambda request: Reply(b"x " * 50_000, 400))
    with pytest.raises(BasculeError) as caught:
        read(api.url)
    assert len(str(caught.value)) < 500


def test_what_the_server_compresses_and_encodes_is_read(serve):
    body = gzip.compress(b'[{"id": 1}]')
    api = serve(lambda request: Reply(body, headers={"Content-Encoding": "gzip"}))
    assert read(api.url).to_pylist() == [{"id": 1}]
    api = serve(lambda request: Reply('[{"näme": "ü"}]'.encode("latin-1"), headers={"Content-Type": "application/json; charset=latin-1"}))  # fmt: skip
    assert read(api.url).to_pylist() == [{"näme": "ü"}]
    api = serve(lambda request: Reply(b'\xef\xbb\xbf[{"id": 1}]', headers={"Content-Type": "text/plain"}))
    assert read(api.url).to_pylist() == [{"id": 1}]


# ---- throttled ----


def http_date(seconds: float) -> str:
    moment = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
    return email.utils.format_datetime(moment.replace(microsecond=0), usegmt=True)


@pytest.mark.parametrize("after", ["1", lambda: http_date(1.9)], ids=["seconds", "date"])
def test_retry_after_is_waited_for(serve, after):
    text = after if isinstance(after, str) else after()
    api = serve(failing(paged(rows(20)), [Reply("slow down", 429, {"Retry-After": text})]))
    begun = time.monotonic()
    assert len(read(api.url, pagination="page", records="data")) == 20
    assert 0.8 < time.monotonic() - begun < 3


def test_all_partitions_wait_when_one_is_told_to(serve):
    """The fourth request is refused: nobody asks until its second is over."""
    times: list[float] = []
    answer = paged(rows(200))
    lock = threading.Lock()

    def throttled(request):
        with lock:
            times.append(time.monotonic())
            n = len(times)
        time.sleep(0.02)
        return Reply("slow down", 429, {"Retry-After": "1"}) if n == 4 else answer(request)

    api = serve(throttled)
    made = table(api.url, pagination="page", records="data", total="meta.total", schema="id BIGINT", num_partitions=4)
    batches = list(made.scan(ordered=False).batches())
    assert sorted(i for batch in batches for i in batch["id"].to_pylist()) == list(range(200))
    # Those that were on their way; without the pause a dozen.
    assert sum(times[3] < t < times[3] + 0.9 for t in times) <= 5
    assert len(times) == 1 + 20 + 1


def test_a_retry_after_that_is_too_long_is_an_error_at_once(serve):
    for text in ("3600", http_date(3600)):
        api = serve(lambda request, text=text: Reply("slow down", 429, {"Retry-After": text}))
        with pytest.raises(BasculeError, match=r"It asks to wait 3[56]\d\d s, more than the 60 of option 'max_wait'"):
            read(api.url)
        assert len(api.requests) == 1


def test_a_retry_after_that_is_nonsense_is_none(serve):
    api = serve(failing(lambda request: rows(1), [Reply("x", 503, {"Retry-After": "soon"})]))
    assert ids(read(api.url)) == [0]


def test_a_rate_limit_holds_for_all_partitions(serve):
    api = serve(paged(rows(100)))
    made = table(api.url, pagination="page", records="data", total="meta.total", schema="id BIGINT", rate_limit=20)
    begun = time.monotonic()
    assert ids(made.to_arrow()) == list(range(100))
    assert len(api.requests) == 11
    assert 10 / 20 <= time.monotonic() - begun < 1.5


# ---- ended ----


def test_a_read_that_waits_for_the_server_is_cancelled(serve):
    release = threading.Event()
    api = serve(lambda request: release.wait(5) and None)
    made = table(api.url, schema="id BIGINT", timeout=30)
    scan = made.scan()
    failures: list[BaseException] = []

    def run() -> None:
        try:
            list(scan)
        except BaseException as e:
            failures.append(e)

    thread = threading.Thread(target=run)
    thread.start()
    while not api.requests:
        time.sleep(0.01)
    begun = time.monotonic()
    scan.cancel()
    thread.join(5)
    assert time.monotonic() - begun < 1
    assert failures
    release.set()


def test_requests_are_counted_for_the_scan(serve):
    api = serve(failing(paged(rows(30)), [Reply("x", 503)]))
    table(api.url, pagination="page", records="data", schema="id BIGINT").to_arrow()
    reported = dict(bascule.scans().slice(0, 1).to_pylist()[0]["reported"])
    assert reported["requests"] == 5
    assert reported["retries"] == 1
    assert reported["bytes over the network"] > 1000
