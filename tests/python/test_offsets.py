"""Sources that grow: their offsets, and the micro-batches between them."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from bascule import BasculeError, OptionError
from bascule._native import Source
from bascule._offsets import Question

EXECUTORS = pytest.mark.parametrize("executor", ["inprocess", "process"])


@pytest.fixture
def growing(tmp_path):
    """Opens a source of growingsources; ``to`` lets it grow."""

    def opened(name: str, executor: str, **options: str) -> Source:
        paths = {"length": str(tmp_path / "length"), "record": str(tmp_path / "record")}
        return Source(f"growingsources:{name}", {**paths, "bascule_executor": executor, **options})

    def to(n: int) -> None:
        (tmp_path / "length").write_text(str(n))

    opened.to = to
    to(10)
    return opened


def rows(plan) -> list[int]:
    scan = plan.scan()
    return [n for i in range(plan.partition_count) for n in pa.table(scan.partition(i))["n"].to_pylist()]


def noted(tmp_path):
    return [json.loads(line) for line in (tmp_path / "record").read_text().splitlines()]


@EXECUTORS
def test_micro_batches_hold_each_row_once(growing, executor, tmp_path):
    source = growing("Growing", executor, **{"from": "3"})
    at, seen = source.offset(Question.INITIAL), []
    for length in (10, 10, 450, 451):
        growing.to(length)
        end = source.offset(Question.LATEST, at)
        plan = source.plan(start=at, end=end)
        assert plan.partition_count == min(2, length - json.loads(at)["n"])
        seen += rows(plan)
        assert rows(source.plan(start=at, end=end)) == rows(plan)
        assert source.offset(Question.COMMIT, end=end) == ""
        at = end
    assert seen == list(range(3, 451))
    assert noted(tmp_path)[:3] == [["plan", {"n": 3}, {"n": 10}], ["plan", {"n": 3}, {"n": 10}], ["commit", {"n": 10}]]


@EXECUTORS
def test_without_offsets_it_is_a_table(growing, executor, tmp_path):
    source = growing("Growing", executor)
    assert rows(source.plan()) == list(range(10))
    assert noted(tmp_path) == [["plan", None, None]]
    assert rows(growing("NoOffsets", executor).plan()) == [1]


@EXECUTORS
def test_what_a_class_can_be_told_of_the_next_end(growing, executor):
    by_rows = growing("GrowingByRows", executor, most="4")
    assert by_rows.offset(Question.LATEST) == '{"n":10}'
    assert by_rows.offset(Question.LATEST, '{"n":3}') == '{"n":7}'
    growing.to(20)
    assert by_rows.offset(Question.LATEST, '{"n":8}', '{"n":10}') == '{"n":10}'
    without_end = growing("GrowingWithoutEnd", executor, most="4")
    assert without_end.offset(Question.LATEST, '{"n":3}') == '{"n":7}'
    # What was there when the query began, whatever came since: in one micro-batch.
    assert without_end.offset(Question.LATEST, '{"n":3}', '{"n":10}') == '{"n":10}'
    assert growing("Growing", executor).offset(Question.LATEST, '{"n":3}', '{"n":10}') == '{"n":10}'


@EXECUTORS
@pytest.mark.parametrize("order", ["order", "other_order"])
def test_equal_offsets_are_equal_texts(growing, executor, order):
    told = growing("OffsetIs", executor, offset=order).offset(Question.LATEST)
    assert told == '{"a":"\\u00e9","b":{"x":[null,true],"y":1}}'


@EXECUTORS
@pytest.mark.parametrize(
    ("offset", "message"),
    [
        ("text", "latest_offset returned a str, expected an offset: a dict of what JSON has"),
        ("none", "latest_offset returned None, expected an offset"),
        ("object", "which is no JSON: Object of type object is not JSON serializable"),
        ("key", r"returned the offset \{1: 2\}, which JSON gives back as \{'1': 2\}: an offset is a dict with strings"),
        ("tuple", r"which JSON gives back as \{'at': \[1, 2\]\}"),
        ("nan", "which is no JSON: Out of range float values"),
        ("long", "returned an offset of 2,097,161 bytes, more than 1,048,576"),
    ],
)
def test_offsets_that_are_none(growing, executor, offset, message):
    with pytest.raises(BasculeError, match=message):
        growing("OffsetIs", executor, offset=offset).offset(Question.LATEST)


@EXECUTORS
def test_a_class_that_is_no_stream(growing, executor):
    source = growing("NoOffsets", executor)
    for question, method in ((Question.INITIAL, "initial_offset"), (Question.LATEST, "latest_offset")):
        with pytest.raises(
            BasculeError,
            match=f"growingsources:NoOffsets: {method} was wanted of a stream, which the class is not: it has no "
            "initial_offset and no latest_offset. A stream has",
        ):
            source.offset(question)
    with pytest.raises(BasculeError, match="NoOffsets: plan_partitions was wanted of a stream"):
        source.plan(start='{"n":0}', end='{"n":1}')
    with pytest.raises(BasculeError, match="NoOffsets: commit_offset was wanted of a stream"):
        source.offset(Question.COMMIT, end='{"n":1}')
    assert growing("NoCommit", executor).offset(Question.COMMIT, end='{"n":1}') == ""
    alone = growing("OffsetsAlone", executor)
    with pytest.raises(BasculeError, match="which the class is not: it has no start and end in plan_partitions"):
        alone.offset(Question.INITIAL)
    assert rows(alone.plan()) == [0]


@EXECUTORS
def test_half_a_micro_batch_is_refused(growing, executor):
    source = growing("Growing", executor)
    with pytest.raises(OptionError, match="was asked for a micro-batch without its end"):
        source.plan(start='{"n":0}')
    with pytest.raises(OptionError, match="was asked for a micro-batch without its start"):
        source.plan(end='{"n":0}')
    with pytest.raises(ValueError, match="no question 3 about offsets"):
        source.offset(3)


@EXECUTORS
def test_an_offset_that_fails_names_source_and_method_and_no_secret(growing, executor):
    source = growing("OffsetRaises", executor, password="hunter2")
    with pytest.raises(BasculeError, match="growingsources:OffsetRaises: latest_offset") as e:
        source.offset(Question.LATEST)
    assert "no answer for ***" in str(e.value)
    assert "hunter2" not in str(e.value)
    assert source.offset(Question.INITIAL) == '{"n":0}'
