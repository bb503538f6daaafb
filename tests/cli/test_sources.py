"""``bascule describe`` and ``bascule sources``, over an installed package, a file and a module."""

from __future__ import annotations

import json
import time

import pytest

from cli.running import bascule, terminal

SHOP = '''
import datetime, decimal
import bascule
import pyarrow as pa

SCHEMA = pa.schema(
    [
        pa.field("day", pa.date32(), nullable=False),
        pa.field("price", pa.decimal128(9, 2), metadata={"unit": "EUR"}),
        ("note", pa.string()),
        ("at", pa.timestamp("ns", "Europe/Berlin")),
    ],
    metadata={"origin": "shop"},
)

class Orders:
    """Orders of the shop, a partition a day.

    More of it.
    """

    OPTIONS = (
        bascule.Option("url", required=True, doc="where the shop is"),
        bascule.Option("days", int, default=3, minimum=1, doc="how many days"),
        bascule.Option("order", choices=("up", "down"), default="up"),
        bascule.Option("password", default="CANARY-default"),
        bascule.Option("pin", secret=True),
    )

    def infer_schema(self, options):
        return SCHEMA

    def plan_partitions(self, options):
        shown = {"url": options["url"], "said": "pin=" + str(options.get("pin")), "token": "CANARY-token"}
        return [{"day": day, **shown} for day in range(options.typed["days"])]

    def read_partition(self, partition_spec, options, *, columns=None):
        for i in range(partition_spec["day"] and 9):
            day, price = datetime.date(2024, 1, 1 + i), decimal.Decimal("1.50")
            yield pa.RecordBatch.from_pylist(
                [{"day": day, "price": price, "note": options.get("pin"), "at": 1704067200123456789}], schema=SCHEMA
            )
            assert not i, "a second batch was read"

    def close(self):
        pass
'''
GIVEN = ("-o", "url=http://me:CANARY-url@shop/x", "-o", "PIN=@env:SHOP_PIN", "-o", "days=5")


@pytest.fixture
def shop(tmp_path):
    """A directory with a package that offers ``orders`` and ``broken``; the directory is the current one."""
    info = tmp_path / "acme-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[bascule.sources]\norders = shop:Orders\nbroken = hurt:Gone\n")
    (tmp_path / "shop.py").write_text(SHOP)
    (tmp_path / "hurt.py").write_text("import nosuchdriver")
    return tmp_path


def run(shop, *args):
    done = bascule(*args, cwd=shop, env={"SHOP_PIN": "CANARY-pin"})
    assert "CANARY" not in done.stdout + done.stderr
    return done


def test_describe_shows_all_there_is_and_no_secret(shop):
    done = run(shop, "describe", "orders", *GIVEN)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[:3] == ["orders", "shop:Orders", "Orders of the shop, a partition a day."]
    assert 'price   decimal128(9, 2)                           {"unit": "EUR"}' in lines
    assert 'metadata: {"origin": "shop"}' in lines
    assert "Partitions: 5" in lines
    assert '  {"day": 0, "url": "http://***@shop/x", "said": "pin=***", "token": "***"}' in lines
    assert "  … 2 more" in lines
    assert "  has     columns (read), OPTIONS, close" in lines
    assert "password  text                      ***" in lines
    sample = lines.index("First rows: 1")
    assert lines[sample + 1].split() == ["day", "price", "note", "at"]
    assert lines[sample + 2].split() == ["2024-01-01", "1.50", "***", "2024-01-01", "01:00:00.123456789+0100"]


def test_describe_as_json_is_the_same(shop):
    told = json.loads(run(shop, "describe", "shop.py:Orders", *GIVEN, "--json").stdout)
    assert told["partitions"] == 5
    assert [spec["day"] for spec in told["first_partitions"]] == [0, 1, 2]
    assert told["schema"][0] == {"name": "day", "type": "date32[day]", "nullable": False, "metadata": {}}
    assert {name for name, has in told["capabilities"].items() if has} == {"columns (read)", "OPTIONS", "close"}
    assert [option["name"] for option in told["options"]] == ["url", "days", "order", "password", "pin"]
    assert told["options"][1]["given"] == "5"
    assert told["given"]["PIN"] == "***"
    assert told["sample"] == [
        {"day": "2024-01-01", "price": "1.50", "note": "***", "at": "2024-01-01 01:00:00.123456789+0100"}
    ]


def test_describe_reads_nothing_without_a_sample():
    done = bascule("describe", "testsources:WrongType", "--no-sample", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["sample"] is None


def test_describe_takes_the_bridges_settings():
    done = bascule("describe", "testsources:ExtraColumn", "-o", "bascule_schema_mode=evolve")
    assert (done.returncode, done.stderr) == (0, "")


def test_describe_draws_tables_in_a_terminal():
    with terminal("describe", "testsources:Numbers") as program:
        assert "│ column │ type   │ nulls │" in program.read().splitlines()
        assert program.status() == 0


def test_ctrl_c_ends_describe_with_130():
    with terminal(
        "describe", "testsources:Counted", "-o", "sleep=0.01", "-o", "rows=0", "-o", "batches=100000"
    ) as program:
        time.sleep(1)  # into the first partition, which has no rows
        program.press_ctrl_c()
        assert program.read().rstrip().endswith("Interrupted.")
        assert program.status() == 130


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (("orders",), 1, "option 'url' is missing: where the shop is"),
        (("orders", "-o", "url=x", "-o", "pasword=CANARY"), 1, "did you mean 'password'?"),
        (("orders", "-o", "CANARY"), 2, "write -o name=value"),
        (("orders", "-o", "url=@env:NOT_SET"), 1, "the environment variable NOT_SET is not set"),
        (("shop:Order",), 1, "did you mean 'Orders'?"),
        (("broken",), 3, "No module named 'nosuchdriver'"),
        ((), 2, "Missing argument 'SOURCE'"),
    ],
)
def test_what_can_not_be_described_says_why(args, code, words, shop):
    done = run(shop, "describe", *args)
    assert (done.returncode, done.stdout) == (code, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_sources_own_error_is_shown_with_its_secrets_masked():
    done = bascule("describe", "testsources:SecretInError", "-o", "password=CANARY")
    assert done.returncode == 1
    assert "ConnectionError: login failed: {'password': '***'}" in done.stderr
    assert "CANARY" not in done.stderr


def test_sources_lists_what_is_installed_and_why_one_is_not_usable(shop):
    done = run(shop, "sources")
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split(maxsplit=4) for line in done.stdout.splitlines()]
    assert ["orders", "shop:Orders", "acme", "1.2", "Orders of the shop, a partition a day."] in lines
    assert ["broken", "hurt:Gone", "acme", "1.2"] in [line[:4] for line in lines]
    assert "can't be imported: ModuleNotFoundError: No module named 'nosuchdriver'" in done.stdout


def test_a_named_source_shows_its_options(shop):
    done = run(shop, "sources", "orders")
    assert done.returncode == 0
    assert "days      an integer of at least 1  3         how many days" in done.stdout.splitlines()
    told = {source["name"]: source for source in json.loads(run(shop, "sources", "--json").stdout)}
    assert [option["name"] for option in told["orders"]["options"]] == ["url", "days", "order", "password", "pin"]
    assert told["orders"]["options"][2]["choices"] == ["up", "down"]
    assert told["broken"]["problem"].startswith("can't be imported")


def test_an_unknown_source_is_an_error_that_lists_the_known(shop):
    done = run(shop, "sources", "order")
    assert (done.returncode, done.stdout) == (1, "")
    assert "Did you mean 'orders'?" in done.stderr
