"""A database's URL, taken apart and put together."""

from __future__ import annotations

import pytest

from bascule import OptionError
from bascule.sources.jdbc._url import Url, parse


@pytest.mark.parametrize(
    ("text", "url"),
    [
        (
            "jdbc:postgresql://h:5433/shop?user=ann&password=p%40ss",
            Url("postgresql", "h", 5433, "shop", "ann", "p@ss"),
        ),
        ("postgres://ann:p%2Fw@h/shop", Url("postgresql", "h", None, "shop", "ann", "p/w")),
        ("postgresql://ann:p@ss@h/shop", Url("postgresql", "h", None, "shop", "ann", "p@ss")),
        (
            "postgresql://h/shop?sslmode=require",
            Url("postgresql", "h", None, "shop", parameters={"sslmode": "require"}),
        ),
        ("postgresql://[::1]:5432/shop", Url("postgresql", "::1", 5432, "shop")),
        ("jdbc:mariadb://h/shop", Url("mysql", "h", None, "shop")),
        ("MYSQL://h/shop", Url("mysql", "h", None, "shop")),
        ("jdbc:sqlite:/tmp/a b.db", Url("sqlite", database="/tmp/a b.db")),
        ("sqlite:///tmp/a.db", Url("sqlite", database="/tmp/a.db")),
        ("sqlite:a.db", Url("sqlite", database="a.db")),
        (
            "jdbc:sqlserver://h:1433;databaseName=shop;user=ann;password=pw;encrypt=true",
            Url("mssql", "h", 1433, "shop", "ann", "pw", {"encrypt": "true"}),
        ),
    ],
)
def test_a_url_is_taken_apart(text, url):
    assert parse(text) == url


def test_options_go_before_what_the_url_says():
    url = parse("postgresql://ann:old@h/shop?user=bob", "carl", "n/e:w@")
    assert (url.user, url.password) == ("carl", "n/e:w@")
    assert url.uri() == "postgresql://carl:n%2Fe%3Aw%40@h/shop"
    assert parse(url.uri()) == url


def test_messages_show_neither_user_nor_password():
    assert str(parse("postgresql://ann:canary@h:1/shop?password=canary")) == "postgresql://h:1/shop"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("shop", "is no URL of a database: write postgresql://host:5432/database"),
        ("", "is no URL of a database"),
        ("jdbc:", "is no URL of a database"),
        ("postgresql:shop", "is no URL of a database"),
        ("postgresql://ann:ca/nary@h/shop", "percent-encoded"),
        ("postgresql://ann:12/canary@h/shop", "percent-encoded"),
        ("postgresql://ann:12?canary@h/shop", "percent-encoded"),
        ("postgresql://ann:12#canary@h/shop", "percent-encoded"),
        ("postgresql://h:port/shop", "the port is no number"),
        ("postgresql://h:99999/shop", "the port is no number"),
    ],
)
def test_what_is_no_url_is_refused_without_showing_it(text, message):
    with pytest.raises(OptionError) as caught:
        parse(text)
    assert message in str(caught.value)
    assert "nary" not in str(caught.value)


def test_a_password_is_not_in_the_repr():
    assert "canary" not in repr(parse("postgresql://ann:canary@h/shop"))
