"""For engines that trust what they push: what a class claims it applies, what it leaves is applied here."""

from __future__ import annotations

import pyarrow as pa
import pytest

import bascule
from bascule import _native
from bascule import filters as f
from bascule._trusted import TrustedRead


@pytest.fixture(params=["inprocess", "process"])
def read(request):
    def made(name: str, columns=None, filters=(), limit=None, **options: str) -> TrustedRead:
        source = _native.Source(f"pushsources:{name}", {"bascule_executor": request.param} | options)
        return TrustedRead(source, columns, filters, limit)

    return made


def rows(read: TrustedRead) -> list[dict]:
    return pa.Table.from_batches(list(read.batches()), read.schema).to_pylist()


def told() -> dict[str, float]:
    """What the class of the last scan reported."""
    return dict(bascule.scans().to_pylist()[0]["reported"])


ID = f.EqualTo("id", 42)
NAME = f.In("name", ["n42", "n43"])


def test_what_the_class_claims_is_not_applied_again(read):
    made = read("Claims", ["name"], [ID])
    assert made.residual == ()
    assert rows(made) == [{"name": "n42"}]
    # Nobody looks again: a class that claims what it doesn't do gives wrong rows.
    assert len(rows(read("ClaimsAll", ["name"], [NAME]))) == 100


def test_what_the_class_leaves_is_applied_here(read):
    made = read("Claims", ["name"], [f.And(f.LessThan("id", 43), NAME)])
    assert made.residual == (NAME,)
    assert rows(made) == [{"name": "n42"}]
    made = read("Filters", ["price"], [ID, NAME])  # without push_filters nothing is claimed
    assert made.residual == (ID, NAME)
    assert rows(made) == [{"price": 10.5}]
    assert told()["filters"] == 2 * 10 / 10  # the other nine days are pruned by their bounds


def test_columns_that_only_a_filter_needs_are_read_and_not_handed_over(read):
    made = read("Filters", ["price"], [NAME])
    assert made.schema.names == ["price"]
    assert rows(made) == [{"price": 10.5}, {"price": 10.75}]
    assert bascule.scans().to_pylist()[0]["pushed_columns"] == "price, name"


def test_limit_reaches_the_class_only_where_it_applies_everything(read):
    assert len(rows(read("Claims", None, [f.GreaterThan("id", 20)], 7))) == 7
    assert told()["limit"] == 7
    assert rows(read("Claims", ["id"], [f.GreaterThan("id", 20), NAME], 1)) == [{"id": 42}]
    assert told()["limit"] < 0
    assert rows(read("Filters", ["id"], [NAME], 1)) == [{"id": 42}]
    assert rows(read("Filters", ["id"], [], 0)) == []


def test_count_is_answered_without_reading(read):
    made = read("Days", [])
    assert made.plan.row_count == 100
    assert sum(batch.num_rows for batch in made.batches()) == 100
    assert told() == {}
    assert sum(batch.num_rows for batch in read("Days", [], [f.EqualTo("id", 3)]).batches()) == 1


def test_no_column_with_a_filter_keeps_its_rows(read):
    assert [batch.num_rows for batch in read("Filters", [], [NAME]).batches()] == [2]


def test_wrong_claims_are_errors(read):
    with pytest.raises(bascule.BasculeError, match="claims predicates, but neither plan_partitions nor read_partition"):
        read("ClaimsWithoutTaking", None, [ID])
    with pytest.raises(bascule.BasculeError, match=r"elsewhere IS NULL, which is none of the predicates"):
        read("BadClaims", None, [ID])
    with pytest.raises(bascule.BasculeError, match="returned None, expected a list of the predicates that are left"):
        read("BadClaims", None, [ID], how="none")


def test_column_that_is_not_there_is_an_error(read):
    with pytest.raises(bascule.BasculeError, match=r"has no column 'nowhere'.*its columns are day, id, price, name"):
        read("Days", None, [f.IsNull("nowhere")])
    with pytest.raises(bascule.BasculeError, match="has no column 'nowhere'"):
        read("Days", ["nowhere"])


def test_predicate_that_nobody_can_apply_is_an_error(read):
    with pytest.raises(bascule.BasculeError, match="can't filter rows by"):
        read("Types", ["i8"], [f.IsNull("list"), f.EqualTo("list", 5)])


def test_nan_and_null_are_as_everywhere(read):
    nan = f.GreaterThan("price", pa.scalar(float("nan")))
    assert rows(read("Days", ["id"], [nan])) == []
    assert len(rows(read("Days", ["id"], [f.Not(nan)]))) == 100
    assert rows(read("Days", ["id"], [f.Not(f.In("id", [1, None]))])) == []


def test_in_of_no_value_is_applied_here(read):
    made = read("Claims", ["id"], [f.In("id", [])])
    assert made.residual == (f.In("id", []),)
    assert rows(made) == []
    assert len(rows(read("Claims", ["id"], [f.Not(f.In("id", []))]))) == 100
