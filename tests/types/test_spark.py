"""Every Arrow type as Spark takes it: the same values, or refused by the column's name. No Spark is needed for that."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

import pyarrow as pa
import pytest

from arrays import catalogue, variants
from bascule import BasculeError, MismatchError
from bascule._spark_types import batch_conversion, spark_schema
from reading import as_batch
from values import decode

CATALOGUE = catalogue()
#: In the text of a type that Spark has nothing for.
NOT_TAKEN = ("time32", "time64", "union", "month_day_nano_interval")
#: In the text of a type of which some values can't be said in microseconds.
FINER = ("[ns", "duration[s]", "duration[ms]", "timestamp[s", "timestamp[ms", "date64")


def is_taken(text: str) -> bool:
    return not any(part in text for part in NOT_TAKEN)


def without_uuid_texts(value: Any) -> Any:
    """A value in which texts of UUIDs are their bytes again."""
    if isinstance(value, (list, tuple)):
        return type(value)(without_uuid_texts(item) for item in value)
    is_text = isinstance(value, str) and re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", value)
    return uuid.UUID(value).bytes if is_text else value


def outcome(call: Callable[[], Any]) -> tuple[Any, str]:
    """What a call returned, and the message of its refusal."""
    try:
        return call(), ""
    except (BasculeError, MismatchError) as e:
        return None, str(e)


@pytest.mark.parametrize("group", CATALOGUE)
def test_a_type_is_taken_with_its_values_or_refused_by_name(group):
    taken = converted = 0
    for name, field in CATALOGUE[group].items():
        text = str(field.type)
        schema = pa.schema([field.with_name("v")])
        wanted, refusal = outcome(partial(spark_schema, schema, "acme:Orders"))
        if refusal:
            assert refusal.startswith("acme:Orders: Spark has no type for column 'v', which is "), name
            assert not is_taken(text) or "up to 38 digits" in refusal or "extension" in text, (name, refusal)
            continue
        assert is_taken(text), name
        taken += 1
        convert = batch_conversion(schema, wanted, "acme:Orders")
        for variant, batches in variants(name, field, 75).items():
            for item in batches:
                batch = as_batch(item, schema)
                made, refusal = outcome(partial(convert, batch))
                if refusal:
                    assert "that Spark's" in refusal, (name, variant, refusal)
                    assert any(part in text for part in FINER), (name, variant, refusal)
                    continue
                converted += 1
                made.validate(full=True)
                assert made.schema.equals(wanted), (name, variant)
                got = decode(made.column(0))
                got = without_uuid_texts(got) if "uuid" in text else got
                assert got == decode(batch.column(0)), (name, variant)
    assert taken == 0 or converted > taken


def test_a_batch_of_sparks_own_types_goes_as_it_is():
    schema = pa.schema([("a", pa.int64()), ("s", pa.string()), ("l", pa.list_(pa.field("element", pa.int32())))])
    batch = pa.record_batch([[1, 2], ["a", None], [[1], None]], schema=schema)
    made = batch_conversion(schema, spark_schema(schema, ""), "")(batch)
    for ours, theirs in zip(made.columns, batch.columns, strict=True):
        assert [b and b.address for b in ours.buffers()] == [b and b.address for b in theirs.buffers()]


def test_columns_of_one_name_are_refused():
    with pytest.raises(BasculeError, match="acme:Orders has several columns 'a', which Spark can't tell apart"):
        spark_schema(pa.schema([("a", pa.int64()), ("a", pa.int64())]), "acme:Orders")
