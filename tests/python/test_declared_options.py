"""Options that a class declares: checked before anything runs, with defaults, typed, masked."""

from __future__ import annotations

import pickle

import pyarrow as pa
import pytest

from bascule import BasculeError, Option, OptionError, Options, declared
from bascule._native import Source


def port(text: str) -> int:
    """a port from 1 to 65535"""
    if not 0 < int(text) < 65536:
        raise ValueError("a port from 1 to 65535")
    return int(text)


DECLARATIONS = (
    Option("url", required=True, doc="where the server is"),
    Option("pages", int, default=1, minimum=1),
    Option("pause", float, minimum=0),
    Option("follow", bool, default=False),
    Option("order", choices=("up", "down"), default="up"),
    Option("port", port),
    Option("pin", secret=True, type=int),
)


def test_defaults_are_filled_and_values_typed():
    o = declared({"URL": "x", "PAUSE": "0.5", "Follow": "Yes", "order": "DOWN"}, DECLARATIONS)
    assert dict(o) == {"url": "x", "pause": "0.5", "follow": "Yes", "order": "DOWN", "pages": "1"}
    assert o.typed == {
        "url": "x", "pages": 1, "pause": 0.5, "follow": True, "order": "down", "port": None, "pin": None
    }  # fmt: skip
    assert declared(o, DECLARATIONS) is o


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"url": "x", "pagess": "3"}, "unknown option 'pagess': did you mean 'pages'? it knows url, pages, pause"),
        ({"url": "x", "zzz": "3"}, "unknown option 'zzz': it knows url"),
        ({}, "option 'url' is missing: where the server is"),
        ({"url": "x", "pages": "0"}, "option 'pages' is '0', expected an integer of at least 1"),
        ({"url": "x", "pages": "many"}, "option 'pages' is 'many', expected an integer of at least 1"),
        ({"url": "x", "pause": "nan"}, "option 'pause' is 'nan', expected a number of at least 0"),
        ({"url": "x", "follow": "maybe"}, "option 'follow' is 'maybe', expected true or false"),
        ({"url": "x", "order": "sideways"}, "option 'order' is 'sideways', expected one of up, down"),
        ({"url": "x", "port": "70000"}, "option 'port' is '70000', expected a port from 1 to 65535"),
        ({"url": "x", "pin": "hunter2"}, "option 'pin' is '***', expected an integer"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_would(options, message):
    with pytest.raises(OptionError) as caught:
        declared(options, DECLARATIONS)
    assert message in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_what_is_declared_secret_is_masked_in_a_copy_and_a_pickle_too():
    o = declared({"url": "x", "pin": "4711"}, DECLARATIONS)
    for each in (o, o.copy(), pickle.loads(pickle.dumps(o))):
        assert "4711" in each.secrets()
        assert "4711" not in repr(each)
        assert each.typed["pin"] == 4711


class Declares:
    """Keeps what it was given."""

    OPTIONS = (Option("rows", int, default=2, minimum=0), Option("pin", secret=True), Option("how", default="well"))
    seen: list[object] = []  # noqa: RUF012
    fails = False

    def __init__(self):
        self.seen.append("made")

    def infer_schema(self, options):
        self.seen.append((dict(options), dict(options.typed)))
        if self.fails:
            raise RuntimeError(f"can't, with {options['pin']}")
        return pa.schema([("n", pa.int64())])

    def plan_partitions(self, options):
        return [{"rows": options.typed["rows"]}]

    def read_partition(self, partition_spec, options):
        yield pa.record_batch([range(partition_spec["rows"])], names=["n"])


@pytest.fixture
def name(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "declares", sys.modules[__name__])
    Declares.seen.clear()
    monkeypatch.setattr(Declares, "fails", False)
    return "declares:Declares"


def test_the_bridge_checks_before_anything_of_the_class_runs(name, con):
    with pytest.raises(OptionError, match="declares:Declares: unknown option 'rwos': did you mean 'rows'"):
        Source(name, {"rwos": "3"})
    with pytest.raises(Exception, match="option 'rows' is '-1', expected an integer of at least 0"):
        con.execute(f"FROM python('{name}', rows := -1)")
    assert Declares.seen == []


def test_the_bridge_hands_over_defaults_and_typed_values(name, con):
    assert con.execute(f"FROM python('{name}', ROWS := 3)").fetchall() == [(0,), (1,), (2,)]
    assert Declares.seen == ["made", ({"rows": "3", "how": "well"}, {"rows": 3, "pin": None, "how": "well"})]


def test_what_is_declared_secret_is_masked_in_an_error(name, con, monkeypatch):
    monkeypatch.setattr(Declares, "fails", True)
    monkeypatch.setenv("BASCULE_TEST_PIN", "canary-4711")
    with pytest.raises(Exception, match=r"can't, with \*\*\*") as caught:
        con.execute(f"FROM python('{name}', pin := '@env:BASCULE_TEST_PIN')")
    assert "canary" not in str(caught.value)


def test_options_that_are_none_are_an_error(name, monkeypatch):
    monkeypatch.setattr(Declares, "OPTIONS", ("rows",))
    with pytest.raises(BasculeError, match="has OPTIONS that are no tuple of"):
        Source(name, {})


def test_a_change_makes_the_typed_values_anew():
    o = declared({"url": "x", "pages": "3"}, DECLARATIONS)
    assert declared(o | {"pages": "5"}, DECLARATIONS).typed["pages"] == 5
    with pytest.raises(OptionError, match="unknown option 'nonsense'"):
        declared(o | {"nonsense": "1"}, DECLARATIONS)
    o["pages"] = "7"
    assert declared(o, DECLARATIONS).typed["pages"] == 7
    del o["url"]
    with pytest.raises(OptionError, match="option 'url' is missing"):
        declared(o, DECLARATIONS)


def test_a_class_that_declares_no_option_takes_none():
    with pytest.raises(OptionError, match="unknown option 'a'"):
        declared(Options({"a": "1"}), ())
