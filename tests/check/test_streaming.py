"""A class that can be read as a stream: what the check finds of it."""

from __future__ import annotations

import pytest

from bascule.check import Checkup, Limits, run
from check import streams


@pytest.fixture
def length(tmp_path):
    (tmp_path / "length").write_text("10")
    return {"length": str(tmp_path / "length")}


def found(source, options=None):
    with Checkup(source, options or {}) as checkup:
        return checkup.result("stream")


def test_a_sound_stream_passes_every_check():
    report = run(streams.Grows)
    assert report.ok, [result for result in report.results if result.status == "failed"]
    (result,) = (result for result in report.results if result.id == "stream")
    assert (result.status, result.notes) == ("ok", ('100 rows from {"n":0} to {"n":100}',))


def test_a_table_is_none():
    result = found("testsources:Numbers")
    assert (result.status, result.reasons) == ("skipped", ("it has no offsets: it is read as a table alone",))


@pytest.mark.parametrize(
    ("cls", "message"),
    [
        (streams.HasNoLatest, "as a stream was wanted of a stream, which the class is not: it has no latest_offset"),
        (streams.SaysMore, "have other rows than that one: partition 0: 108 rows, the first time 102"),
        (streams.ReadsWhatIsNew, "has other rows when it is read again: partition 0: 0 rows, the first time 100"),
        (streams.IncludesItsEnd, 'the micro-batch from {"n":100} to {"n":100} has 1 row, and should have none'),
        (
            streams.GoesBack,
            'returned {"n":0}, where the stream has been: a query that reads what is there would not end',
        ),
        (streams.NumbersPerRead, "column 'text' is '0', the first time it was 'row 15'. The rows of a micro-batch"),
    ],
)
def test_a_class_that_gets_it_wrong(cls, message):
    streams.ReadsWhatIsNew.planned = 0
    result = found(cls)
    assert result.status == "failed", result
    assert message in result.reasons[0]


def test_an_end_that_is_not_all_is_told(length):
    result = found(streams.EndsEarly)
    assert result.status == "warning"
    assert 'without start returned {"n":30}, and asked on from there {"n":60}' in result.reasons[0]


def test_offsets_that_are_none(length):
    result = found("growingsources:OffsetIs", {**length, "offset": "tuple"})
    assert "latest_offset returned the offset" in result.reasons[0]
    assert "which JSON gives back as" in result.reasons[0]


def test_long_streams_are_followed_for_a_while(tmp_path):
    (tmp_path / "length").write_text("1000")
    result = found("growingsources:GrowingByRows", {"length": str(tmp_path / "length"), "most": "10"})
    assert result.notes[-1] == 'its 20 first micro-batches end at {"n":200}; the rest was not followed'


def test_without_time_nothing_is_compared():
    with Checkup(streams.Grows, {}, Limits(max_seconds=0)) as checkup:
        assert checkup.result("stream").status in ("ok", "skipped")
