"""A secret appears in no text that Bascule writes: errors, log, repr, traceback; wherever the class fails."""

from __future__ import annotations

import logging
import sys
import traceback
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from bascule import _native
from bascule.options import Options

SCHEMA = pa.schema([("a", pa.int64())])
CANARY = "canary-4711"

#: Options that hold the canary: by their name, in a URL, in a connection string.
HIDING: dict[str, dict[str, str]] = {
    **{
        name: {name: CANARY}
        for name in (
            *("password", "Passwd", "db_pwd", "sslpassphrase", "token", "access_token", "client_secret", "secretKey"),
            *("credentials", "credentials_json", "private_key", "privateKey", "api_key", "apikey", "X-Api-Key", "key"),
            *("account_key", "accessKeyId", "sas_token", "shared_key", "encryption.key", "authorization", "cookie"),
            *("auth", "sig", "X-Amz-Signature", "service.key"),
        )
    },
    "url's password": {"url": f"postgresql://ann:{CANARY}@db.example:5432/shop"},
    "url's user": {"url": f"https://{CANARY}@api.example/v1"},
    "url's escaped password": {"url": "postgresql://ann:canary%2D4711@db.example/shop"},
    "one of many urls": {"servers": f"kafka://h1, kafka://ann:{CANARY}@h2"},
    "url's parameter": {"url": f"https://api.example/v1?region=eu&access_token={CANARY}&page=2"},
    "signed url": {"url": f"https://blob.example/x?sv=2024&sig={CANARY}#top"},
    "dsn": {"dsn": f"host=db.example user=ann password={CANARY} dbname=shop"},
    "quoted dsn": {"dsn": f"host=db.example password = '{CANARY}' user=ann"},
    "odbc": {"connection": f"Driver={{PostgreSQL}};Server=db.example;Uid=ann;Pwd={CANARY};"},
    "odbc braces": {"connection": f"Server=db.example;PWD={{{CANARY}}};UID=ann"},
    "azure": {"connection_string": f"AccountName=shop;AccountKey={CANARY};EndpointSuffix=example"},
    "json": {"config": f'{{"user": "ann", "password": "{CANARY}"}}'},
    "header": {"headers": f"Accept: json\nAuthorization: Bearer {CANARY}"},
}

PLACES = ("infer_schema", "plan_partitions", "read_partition", "close", "yielded", "returned", "chained")


class Leaky:
    """Puts all its options into everything that it can: ``fails`` says where."""

    options: Any = None

    def infer_schema(self, options):
        self.options = options
        self.leak("infer_schema")
        return SCHEMA

    def plan_partitions(self, options):
        self.leak("plan_partitions")
        return [{}] if options["fails"] != "returned" else [self.everything()]

    def read_partition(self, spec, options):
        self.leak("read_partition")
        if options["fails"] == "yielded":
            yield self.everything()
        if options["fails"] == "chained":
            try:
                raise OSError(self.everything())
            except OSError as e:
                raise RuntimeError(f"can't read with {list(self.options.values())}") from e
        yield pa.record_batch([[1]], schema=SCHEMA)

    def close(self):
        self.leak("close")

    def everything(self):
        return f"{dict(self.options)} {self.options!r} {' '.join(self.options.values())}"

    def leak(self, place):
        if self.options["fails"] == place:
            raise ValueError(self.everything())


def texts_of(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)) + str(error) + repr(error)


def assert_masked(text: str) -> None:
    assert CANARY not in text
    assert "canary%2D4711" not in text
    assert "canary" not in text


@pytest.fixture
def leaky(monkeypatch):
    monkeypatch.setitem(sys.modules, "leaky", sys.modules[__name__])


@pytest.mark.parametrize("hiding", HIDING.values(), ids=HIDING)
@pytest.mark.parametrize("place", PLACES)
def test_a_secret_is_in_no_error_and_in_no_log(leaky, caplog, capfd, place, hiding):
    caplog.set_level(logging.DEBUG)
    text = ""
    try:
        scan = _native.Source("leaky:Leaky", {**hiding, "fails": place, "region": "eu-1"}).plan().scan()
        pa.RecordBatchReader.from_stream(scan.partition(0)).read_all()
        del scan
    except Exception as e:
        text = texts_of(e)
    assert text or place == "close"
    printed = capfd.readouterr()
    assert_masked(text + caplog.text + printed.out + printed.err)
    if place == "close":
        assert "ValueError" in caplog.text
    elif place not in ("returned", "yielded"):
        assert "***" in text
        assert "eu-1" in text  # what is no secret is shown


@pytest.mark.parametrize("place", ["infer_schema", "plan_partitions", "read_partition", "chained"])
def test_a_secret_is_in_no_error_of_duckdb(leaky, con, caplog, place):
    """Given as a parameter: DuckDB quotes the SQL line itself."""
    for hiding in HIDING.values():
        ((name, value),) = hiding.items()
        with pytest.raises(duckdb.Error) as caught:
            con.execute(
                "FROM python('leaky:Leaky', fails := $place, options := MAP {$name: $value})",
                {"place": place, "name": name, "value": value},
            ).fetchall()
        assert_masked(texts_of(caught.value) + caplog.text)
        assert "***" in str(caught.value)


@pytest.mark.parametrize("hiding", HIDING.values(), ids=HIDING)
def test_a_secret_is_in_no_repr(hiding):
    options = Options({**hiding, "region": "eu-1"})
    for text in (repr(options), str(options), f"{options}", repr(options.copy()), repr(options | {"x": "y"})):
        assert_masked(text)
        assert "***" in text
        assert "eu-1" in text


def test_a_resolved_secret_is_masked_as_well(leaky, monkeypatch, tmp_path):
    (tmp_path / "pw").write_text(CANARY + "\n")
    monkeypatch.setenv("BASCULE_TEST_DSN", f"host=h password={CANARY}")
    for hidden in ({"password": f"@file:{tmp_path}/pw"}, {"dsn": "@env:BASCULE_TEST_DSN"}):
        with pytest.raises(Exception, match="ValueError") as caught:
            _native.Source("leaky:Leaky", {**hidden, "fails": "infer_schema"})
        assert_masked(texts_of(caught.value))


def test_what_only_looks_alike_is_shown():
    query = "SELECT * FROM orders WHERE customer_key = 42 AND region = 'eu-1' AND primary_key: 7"
    assert Options({"query": query, "partitionColumn": "id"}).secrets() == []


@pytest.mark.parametrize("piece", ["a='", 'a="', "a='b\"", "password=", "a:{", "a-", "password ", "a=\\'"])
def test_a_long_value_is_searched_for_assignments_in_linear_time(piece):
    assert isinstance(Options({"body": piece * 300_000}).secrets(), list)


@pytest.mark.parametrize(
    "call",
    [
        "python('https://ann:canary@host/x:Orders')",
        "python('postgresql://ann:canary@host/db.py:Orders')",
        "python('postgresql://ann:canary@host')",
        "python('nothing_here:Orders', bascule_validation := 'https://ann:canary@host')",
        "python(python_module := 'https://ann:canary@host/x', python_class := 'Orders')",
        "python('nothing_here:Orders', url := '@file:https://ann:canary@host')",
    ],
)
def test_user_info_where_a_class_or_a_setting_should_stand_is_masked(con, call):
    with pytest.raises(duckdb.Error) as caught:
        con.execute(f"FROM {call}")
    said, _, _ = str(caught.value).partition("\nLINE 1")  # DuckDB's own quote of the SQL
    assert "canary" not in said
