"""``bascule check`` as it is typed: text, JSON, exit codes; and that what it shows runs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bascule.check import Checkup, interface, usage
from bascule.options import is_secret_name
from check import broken

HERE = Path(__file__).parent


def check(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bascule", "check", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=HERE,
        timeout=60,
    )


def test_a_sound_class_ends_with_0_and_its_usage():
    done = check("broken:Good", "-o", "region=eu", "-o", "password=canary-4711")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "broken:Good"
    assert (
        "  ok       batches       Every batch has the columns and types of infer_schema, and is sound Arrow data."
        in lines
    )
    assert "           note: 8 rows in 4 batches of 2 partitions" in lines
    assert "  skipped  close         it has no close()" in lines
    assert re.search(r"^32 checks in [\d.]+ s: 21 ok, 11 skipped$", done.stdout, re.M)
    assert "SELECT * FROM python('broken:Good', region := 'eu', password := '@env:PASSWORD');" in done.stdout
    assert '.option("python_module", "broken")\n        .option("python_class", "Good")' in done.stdout
    assert "    read_partition(partition_spec, options)  " in done.stdout
    assert "canary" not in done.stdout
    assert "\x1b" not in done.stdout


def test_a_broken_class_ends_with_1_and_says_what_to_do():
    done = check("broken.py:WrongType", "--no-usage")
    assert (done.returncode, done.stderr) == (1, "")
    assert (
        "  failed   batches       Every batch has the columns and types of infer_schema, and is sound Arrow data.\n"
        "           broken.py:WrongType, partition 0 of 2, batch 1: column 'a' is int32, but infer_schema said int64. Cast it "
        "in read_partition, or change infer_schema\n"
    ) in done.stdout
    assert "not tried, as they need what failed: batch_size, memory, read_again," in done.stdout
    assert "needs 'batches'" not in done.stdout
    assert done.stdout.endswith(" 1 failed, 20 skipped\n")


def test_what_failed_is_not_followed_by_how_to_use_it():
    done = check("broken.py:WrongType")
    assert done.returncode == 1
    assert done.stdout.endswith(" 1 failed, 20 skipped\n")


def test_the_limits_are_options():
    done = check(
        "broken:Streams", "--no-usage", "--partitions", "1", "--batches", "2", "--max-seconds", "9", "--memory-mib", "1"
    )
    assert done.returncode == 0
    assert "note: not all was read: 2 batches of each partition" in done.stdout
    assert "warning  batch_size" in done.stdout
    assert "holds 2.03 MiB, more than 1 MiB: each thread of an engine holds one" in done.stdout


@pytest.mark.parametrize(("name", "code"), [("Good", 0), ("Prints", 1)])
def test_json_is_one_object_whatever_the_class_prints(name, code):
    done = check(f"broken:{name}", "--json")
    found = json.loads(done.stdout)
    assert (done.returncode, found["ok"], found["source"]) == (code, not code, f"broken:{name}")
    assert found["checks"][0] == {
        "id": "found",
        "proves": "The class is found by its name.",
        "status": "ok",
        "reasons": [],
        "notes": [],
    }
    assert found["usage"][0]["engine"] == "DuckDB"
    assert ("logging in with None" in done.stderr) == (name == "Prints")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "Missing argument 'SOURCE'"),
        (("orders.py",), "'orders.py' names a file but no class in it: write 'orders.py:Class'"),
        (("broken:Good", "-o", "region"), "write -o name=value"),
        (("broken:Good", "-o", "a=1", "-o", "A=2"), "option 'a' is given twice, as 'a' and as 'A'"),
        (("broken:Good", "--partitions", "0"), "0 is not in the range"),
    ],
)
def test_wrong_usage_ends_with_2(arguments, words):
    done = check(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in " ".join(done.stderr.split())


def test_a_terminal_shows_colours():
    pexpect = pytest.importorskip("pexpect")
    child = pexpect.spawn(
        sys.executable,
        ["-m", "bascule", "check", "broken:WrongType", "--no-usage"],
        cwd=str(HERE),
        dimensions=(60, 300),
    )
    said = child.read().decode()
    child.close()
    assert child.exitstatus == 1
    assert "\x1b[1;31m  failed   batches" in said


def test_ctrl_c_ends_the_check():
    pexpect = pytest.importorskip("pexpect")
    child = pexpect.spawn(sys.executable, ["-m", "bascule", "check", "broken:Slow", "-o", "sleep=30"], cwd=str(HERE))
    child.expect("specs_pickle", timeout=20)
    child.sendintr()
    child.expect(pexpect.EOF, timeout=20)
    child.close()
    assert child.exitstatus == 130


# ---- what it shows ----

TRICKY = {"order": "it's", "we ird": 'a "b"', "Region": "eu\\n", "ünï": "é", "limit": "5"}


@pytest.mark.parametrize(
    "options", [{}, TRICKY, {**TRICKY, "options": "x", 'q"q': "'"}], ids=["none", "tricky", "named options"]
)
def test_the_sql_that_is_shown_gives_exactly_these_options(con, options, monkeypatch):
    examples = {example.engine: example for example in usage("testsources:Options", options, is_secret_name)}
    expected = list(options.items())
    assert con.execute(examples["DuckDB"].code).fetchall() == expected
    # The program that is shown, but for its print.
    shown: list[object] = []
    exec(examples["DuckDB in Python"].code, {"print": lambda rows: shown.extend(rows.fetchall())})
    assert shown == expected


def test_every_reserved_word_is_quoted(con):
    for (word,) in con.execute("SELECT keyword_name FROM duckdb_keywords()").fetchall():
        if is_secret_name(word):
            continue
        (example, *_) = usage("testsources:Options", {word: "x"}, is_secret_name)
        assert con.execute(example.code).fetchall() == [(word, "x")]


def test_a_secret_is_shown_as_a_variable_and_read_from_it(con, monkeypatch):
    options = {
        "api-key": "canary",
        "url": "postgresql://ann:canary@db/shop",
        "token": "@file:/run/token",
        "pin": "canary",
    }
    shown = usage("testsources:Options", options, lambda name: name == "pin" or is_secret_name(name))
    assert "canary" not in repr(shown)
    assert (
        "\"api-key\" := '@env:API_KEY', url := '@env:URL', token := '@file:/run/token', pin := '@env:PIN'"
        in shown[0].code
    )
    monkeypatch.setenv("API_KEY", "canary")
    (example, *_) = usage("testsources:Options", {"api-key": "canary"}, is_secret_name)
    assert con.execute(example.code).fetchall() == [("api-key", "canary")]


def test_each_way_to_name_a_class_is_shown_for_spark():
    def spark(source):
        return next(e.code for e in usage(source, {}, is_secret_name) if "Spark" in e.engine)

    assert '"python_module", "acme.sources")\n    .option("python_class", "Orders")' in spark("acme.sources:Orders")
    assert 'format("python")\n    .option("python_class", "dir/orders.py:Orders")' in spark("dir/orders.py:Orders")
    assert 'format("python")\n    .option("python_class", "orders")' in spark("orders")


def test_the_interface_names_every_part_of_the_contract_that_the_bridge_takes():
    taken, _, later = interface().partition("that this version does not use yet")
    for name in ("infer_schema", "plan_partitions", "read_partition", "columns", "OPTIONS", "close", "executor"):
        assert name in taken
    for name in ("filters=()", "limit=None", "push_filters(", "statistics(", "required_filters", "cache_partitions"):
        assert name in taken
    for name in ("initial_offset(", "latest_offset(", "commit_offset(", "*, start, end"):
        assert name in taken
    assert "bascule_bounds" in taken
    assert "bascule_rows" in taken
    assert "write_partition" in later


def test_a_declared_secret_is_none_of_the_usage():
    with Checkup(broken.Secretive, {"pin": "canary"}) as checkup:
        assert "canary" not in repr(checkup.usage())
