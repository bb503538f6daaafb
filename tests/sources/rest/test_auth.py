"""Credentials: sent as they should be, never shown."""

from __future__ import annotations

import base64
import json
import logging
import threading
import time

import duckdb
import pytest

import bascule
from bascule import BasculeError
from sources.rest.api import Reply, paged, rows
from sources.rest.reading import QUICK, SOURCE, ids, read, table

BASIC = "Basic " + base64.b64encode(b"ann:canary-pw").decode()
CREDENTIALS = {
    "basic": ({"username": "ann", "password": "canary-pw"}, lambda r: r.headers.get("authorization") == BASIC),
    "bearer": ({"token": "canary-token"}, lambda r: r.headers.get("authorization") == "Bearer canary-token"),
    "api_key": ({"api_key": "canary-key"}, lambda r: r.headers.get("x-api-key") == "canary-key"),
    "api_key, named": ({"api_key": "canary-key", "key_name": "K"}, lambda r: r.headers.get("k") == "canary-key"),
    "api_key in query": (
        {"api_key": "canary-key", "key_name": "appid", "key_in": "query"},
        lambda r: r.query.get("appid") == "canary-key",
    ),
}


@pytest.mark.parametrize(("kind", "executor"), [*((kind, "inprocess") for kind in CREDENTIALS), ("basic", "process")])
def test_credentials_are_sent_with_each_request(serve, kind, executor):
    options, is_known = CREDENTIALS[kind]
    answer = paged(rows(25))
    api = serve(lambda request: answer(request) if is_known(request) else Reply({"error": "who?"}, 401))
    auth = {"auth_type": kind.split(",")[0].split(" ")[0], **options}
    for pagination in ("page", "next"):
        found = read(f"{api.url}/next", executor=executor, pagination=pagination, records="data", **auth)
        assert ids(found) == list(range(25))
    assert all(map(is_known, api.requests))


@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_are_an_error_at_once(serve, status):
    api = serve(lambda request: Reply({"error": "go away"}, status))
    with pytest.raises(
        BasculeError,
        match=rf"HTTP {status} .*, which begins: {{.error.: .go away.}}\nThe server refuses whoever asks \(auth_type bearer\)",
    ):
        read(api.url, auth_type="bearer", token="canary")  # fmt: skip
    with pytest.raises(BasculeError, match=r"\(auth_type none, no credentials\)"):
        read(api.url)
    assert len(api.requests) == 2


def test_options_of_another_kind_are_an_error():
    for options, message in (
        ({"auth_type": "bearer"}, "option 'token' is missing: auth_type bearer needs it"),
        ({"token": "canary"}, "option 'token' is given, but auth_type is none: it belongs to auth_type bearer"),
        ({"auth_type": "basic", "username": "a"}, "option 'password' is missing"),
        ({"auth_type": "oauth2", "client_id": "a", "client_secret": "canary"}, "option 'oauth_url' is missing"),
        ({"url": "http://ann:canary@localhost/"}, "option 'url' holds a user: write auth_type := 'basic'"),
    ):
        with pytest.raises(BasculeError) as caught:
            read(**{"url": "http://localhost/", **options})
        assert message in str(caught.value)
        assert "canary" not in str(caught.value)


# ---- OAuth2 ----


class Granting:
    """Gives out tokens, and serves whoever has the newest one."""

    def __init__(self, *, expires_in: float | None = 3600, by_basic: bool = False, n: int = 40) -> None:
        self.expires_in = expires_in
        self.by_basic = by_basic
        self.granted: list[str] = []
        self.revoked: set[str] = set()
        self.pages = paged(rows(n))

    def __call__(self, request):
        if request.path == "/token":
            form = dict(pair.split("=") for pair in request.body.decode().split("&"))
            basic = base64.b64encode(b"me:canary-secret").decode()
            known = (
                request.headers.get("authorization") == f"Basic {basic}"
                if self.by_basic
                else form.get("client_id") == "me" and form.get("client_secret") == "canary-secret"
            )
            if not known or form["grant_type"] != "client_credentials":
                return Reply({"error": "invalid_client", "hint": "canary-hint"}, 401)
            self.granted.append(f"canary-token-{len(self.granted)}")
            more = {} if self.expires_in is None else {"expires_in": self.expires_in}
            return {"access_token": self.granted[-1], "token_type": "Bearer", **more, "scope": form.get("scope")}
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token not in self.granted or token in self.revoked:
            return Reply({"error": "expired", "you sent": token}, 401)
        return self.pages(request)

    def options(self, url: str) -> dict[str, str]:
        return {"auth_type": "oauth2", "oauth_url": f"{url}/token", "client_id": "me", "client_secret": "canary-secret"}


@pytest.mark.parametrize("by_basic", [False, True])
def test_one_token_serves_all_partitions(serve, by_basic):
    server = Granting(by_basic=by_basic)
    api = serve(server)
    options = {
        "pagination": "page",
        "records": "data",
        "total": "meta.total",
        "scope": "read",
        **server.options(api.url),
    }
    assert ids(read(api.url, **options)) == list(range(40))
    assert len(server.granted) == 1


def test_a_token_is_renewed_before_it_ends(serve):
    server = Granting(expires_in=0.2)
    api = serve(server)
    made = table(api.url, pagination="page", records="data", schema="id BIGINT", **server.options(api.url))
    for n in (1, 2):
        assert len(made.to_arrow()) == 40
        assert len(server.granted) == n
        time.sleep(0.25)


def test_a_token_that_is_refused_is_renewed_once(serve):
    server = Granting(expires_in=None)
    api = serve(server)
    options = {"pagination": "page", "records": "data", "schema": "id BIGINT", **server.options(api.url)}
    made = table(api.url, total="meta.total", **options)
    made.to_arrow()
    server.revoked = set(server.granted)
    assert ids(made.to_arrow()) == list(range(40))
    assert len(server.granted) == 2
    server.revoked = {f"canary-token-{n}" for n in range(100)}
    with pytest.raises(BasculeError, match=r"(?s)HTTP 401 .*auth_type oauth2") as caught:
        table(api.url, **options).to_arrow()
    assert len(server.granted) == 3 + 1
    assert "canary" not in str(caught.value)


def test_a_refused_client_is_an_error_without_the_answer(serve):
    server = Granting()
    api = serve(server)
    options = server.options(api.url) | {"client_secret": "canary-wrong"}
    with pytest.raises(
        BasculeError,
        match=r"no access token from http://127.0.0.1:\d+/token: HTTP 401, invalid_client. See that client_id",
    ) as caught:
        read(api.url, **options)  # fmt: skip
    assert "canary" not in str(caught.value)


def test_a_token_is_waited_for_where_the_server_is_busy(serve):
    server, busy = Granting(), [Reply(status=503, headers={"Retry-After": "0"})] * 2
    api = serve(lambda request: busy.pop() if request.path == "/token" and busy else server(request))
    assert ids(read(api.url, pagination="page", records="data", **server.options(api.url))) == list(range(40))


# ---- secrets ----

SECRETS = [
    {"auth_type": "basic", "username": "ann", "password": "canary-pass"},
    {"auth_type": "bearer", "token": "canary-pass"},
    {"auth_type": "api_key", "api_key": "canary-pass"},
    {"auth_type": "api_key", "api_key": "canary-pass", "key_in": "query", "key_name": "k"},
    {"headers": json.dumps({"X-Tenant": "canary-pass"})},
    {"params": json.dumps({"access_token": "canary-pass"})},
]


@pytest.mark.parametrize(
    ("options", "executor"),
    [*((options, "inprocess") for options in SECRETS), (SECRETS[0], "process"), (SECRETS[3], "process")],
    ids=lambda o: o if isinstance(o, str) else " ".join(o),
)
def test_a_secret_is_in_no_text(serve, options, executor, caplog, capfd):
    """Whatever the server does with it: it says it back in each kind of error."""
    caplog.set_level(logging.INFO)
    echo = ["canary-pass", "a" * 195 + " canary-pass"]
    if "password" in options:
        echo.append(base64.b64encode(b"ann:canary-pass").decode())
    replies = [
        *(Reply(text.encode(), status) for text in echo for status in (401, 404, 500, 200)),
        Reply([{"id": 1}, {"id": "canary-pass"}]),
        Reply({"canary-pass": 1}, 200),
        Reply(status=302, headers={"Location": "http://127.0.0.1:1/?k=canary-pass&access_token=canary-pass"}),
        Reply(status=429, headers={"Retry-After": "100"}, body={"said": "canary-pass"}),
        Reply(b'{"a', 200, cut=1),
    ]
    api = serve(lambda request: reply)
    if executor == "process":  # each error costs a worker's start
        replies = replies[2:3]
    for reply in replies:
        for more in ({"records": "$.x", "schema": "id BIGINT"}, {"schema": "id BIGINT", "pagination": "page"}):
            with pytest.raises(BasculeError) as caught:
                read(api.url, executor=executor, retries=1, **options, **more)
                raise BasculeError("nothing went wrong")  # a reply may fit these options
            assert "canary-pass" not in str(caught.value), (reply, more)
            assert not any(text in str(caught.value) for text in echo), (reply, more)
            assert " canary" not in str(caught.value), (reply, more)
    assert "canary-pass" not in caplog.text
    assert "canary-pass" not in "".join(capfd.readouterr())
    assert "canary-pass" not in str(bascule.scans().slice(0, 60).to_pylist())
    assert "canary-pass" not in repr(table(api.url, **options))
    sent = api.requests[-1]
    assert echo[-1] in str((sent.headers, sent.query)) or "canary-pass" in str((sent.headers, sent.query))


def test_no_secret_is_in_a_partition(serve):
    api = serve(paged(rows(40)))
    for options in SECRETS:
        made = table(api.url, pagination="page", records="data", total="meta.total", **options)
        assert all(b"canary" not in partition.spec for partition in made.partitions())


def test_a_secret_comes_from_the_environment(serve, monkeypatch, con):
    monkeypatch.setenv("REST_TOKEN", "canary-env")
    api = serve(
        lambda r: rows(3) if r.headers.get("authorization") == "Bearer canary-env" else Reply(b"canary-env", 401)
    )
    sql = f"FROM python('{SOURCE}', url := '{api.url}', auth_type := 'bearer', token := '@env:REST_TOKEN')"
    assert len(con.execute(sql).fetchall()) == 3
    api.answer = lambda request: Reply(b"you are canary-env", 401)
    with pytest.raises(duckdb.Error) as caught:
        con.execute(sql)
    assert "canary" not in str(caught.value)


def test_other_users_of_httpx_still_see_their_requests(serve, caplog):
    import httpx

    caplog.set_level(logging.INFO)
    api = serve(lambda request: rows(1))
    read(f"{api.url}/ours")
    httpx.get(f"{api.url}/theirs")
    assert "/theirs" in caplog.text
    assert "/ours" not in caplog.text


def test_tokens_are_asked_for_once_by_many_threads(serve):
    server = Granting()
    api = serve(server)
    from bascule.sources.rest import RestDataSource

    source = RestDataSource()
    options = {
        "url": api.url,
        "pagination": "page",
        "records": "data",
        "schema": "id BIGINT",
        **server.options(api.url),
    }
    options |= {name: str(value) for name, value in QUICK.items()}
    (spec,) = source.plan_partitions(options)
    threads = [threading.Thread(target=lambda: list(source.read_partition(spec, options))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    source.close()
    assert len(server.granted) == 1
    assert len(api.requests) > 6 * 4
