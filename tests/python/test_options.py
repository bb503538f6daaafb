"""The options dict: look-up ignores case, the first spelling stays, references are resolved."""

from __future__ import annotations

import pickle

import pytest

from bascule import OptionError, Options
from bascule.options import is_secret_name


def test_look_up_ignores_case_and_keeps_the_first_spelling():
    o = Options({"startDate": "x", "N": "1"})
    assert o["STARTDATE"] == o["startdate"] == o["startDate"] == "x"
    assert "STARTdate" in o
    assert o.get("n") == "1"
    assert o.get("missing") is None
    assert o.get("missing", "d") == "d"
    assert list(o) == ["startDate", "N"]
    assert isinstance(o, dict)
    assert dict(o) == {"startDate": "x", "N": "1"}
    assert {**o} == {"startDate": "x", "N": "1"}


def test_changing_keeps_one_entry_for_a_name():
    o = Options({"startDate": "x"})
    o["STARTDATE"] = "y"
    assert dict(o) == {"startDate": "y"}
    o.update({"startdate": "z"}, other="1")
    assert dict(o) == {"startDate": "z", "other": "1"}
    assert o.setdefault("OTHER", "2") == "1"
    assert o.pop("StartDate") == "z"
    assert "startDate" not in o
    del o["OTHER"]
    assert not o
    with pytest.raises(KeyError):
        o["nothing"]


@pytest.mark.parametrize(
    "pairs", [[("a", "1"), ("A", "2")], [("a", "1"), ("a", "1")], [("straße", "1"), ("STRASSE", "2")]]
)
def test_two_names_that_differ_in_case_only_are_an_error(pairs):
    with pytest.raises(OptionError, match="given twice"):
        Options(pairs)


def test_a_copy_and_a_pickle_look_up_the_same():
    o = Options({"startDate": "x"})
    for other in (o.copy(), pickle.loads(pickle.dumps(o))):
        assert type(other) is Options
        assert other["STARTDATE"] == "x"
        assert list(other) == ["startDate"]


def test_references_are_resolved(monkeypatch, tmp_path):
    monkeypatch.setenv("BASCULE_TEST_SECRET", "s3cret")
    (tmp_path / "pw").write_text("from a file\n")
    o = Options({"a": "@env:BASCULE_TEST_SECRET", "b": f"@file:{tmp_path}/pw", "c": "me@env:x"}).resolve()
    assert dict(o) == {"a": "s3cret", "b": "from a file", "c": "me@env:x"}


def test_a_reference_that_leads_nowhere_names_option_and_target(tmp_path):
    with pytest.raises(OptionError, match=r"option 'pw' .*BASCULE_NOT_SET is not set"):
        Options({"pw": "@env:BASCULE_NOT_SET"}).resolve()
    with pytest.raises(OptionError, match=r"option 'pw' .*can't be read: No such file"):
        Options({"pw": f"@file:{tmp_path}/none"}).resolve()


@pytest.mark.parametrize(
    "name",
    ["password", "PASSWORD", "user_pwd", "api_key", "apiKey", "accessKey", "secret", "token", "credentials", "key"],
)
def test_secret_names(name):
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["keyspace_id", "monkey", "region", "partitionColumn", "primary"])
def test_names_that_are_not_secret(name):
    assert not is_secret_name(name)


def test_repr_masks_secrets():
    text = repr(Options({"user": "ann", "password": "canary", "url": "postgres://ann:canary@host/db"}))
    assert "canary" not in text
    assert "ann" in text
    assert "host/db" in text


def test_secrets_are_found_in_values_and_urls():
    o = Options({"password": "pw1234", "url": "https://ann:pass5@host/x", "note": "plain"})
    assert set(o.secrets()) == {"pw1234", "ann:pass5", "pass5"}


def test_merging_keeps_look_up_and_spelling():
    o = Options({"startDate": "x"})
    o |= {"STARTDATE": "y", "Other": "1"}
    assert type(o) is Options
    assert dict(o) == {"startDate": "y", "Other": "1"}
    merged = o | {"other": "2"}
    assert type(merged) is Options
    assert merged["OTHER"] == "2"
    assert o["other"] == "1"


@pytest.mark.parametrize("value", ["a" * 16_000_000, "://" * 1_000_000, "a://" + "b" * 1_000_000, "a@" * 1_000_000])
def test_a_long_value_is_searched_in_linear_time(value):
    """16 MB in well under the test's time limit; a quadratic search would take hours."""
    assert isinstance(Options({"body": value}).secrets(), list)


def test_user_info_in_any_url_of_a_value():
    o = Options({"urls": "x://u:pw-one@h, postgresql+psycopg://me:p@ss-two@h/db"})
    assert {"pw-one", "p@ss-two"} <= set(o.secrets())
    assert "pw-one" not in repr(o)
    assert "ss-two" not in repr(o)


def test_a_missing_option_is_named_beside_those_given():
    with pytest.raises(KeyError, match=r"option 'path' is missing \(given: pth, Region\); did you mean 'pth'\?"):
        Options({"pth": "x", "Region": "eu"})["path"]
    with pytest.raises(KeyError, match="none is given"):
        Options()["path"]
