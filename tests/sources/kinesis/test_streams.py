"""Micro-batches: nothing is lost and nothing comes twice, over resharding, restarts and trimming."""

from __future__ import annotations

import datetime
import itertools
import json
import random
import time

import pytest

from bascule import BasculeError
from sources.kinesis.reading import Direct, numbered

FIRST, SECOND = "shardId-000000000000", "shardId-000000000001"


def test_successive_micro_batches_have_each_record_once(kinesis):
    kinesis.create("s", 2)
    rng = random.Random(7)
    direct = Direct(kinesis)
    ends = [direct.initial()]
    expected, n = [], 0
    for _ in range(8):
        more = rng.randrange(0, 25)
        kinesis.put("s", numbered(n, n + more))
        n += more
        open_ = [s for s, shard in kinesis._stream("s").shards.items() if shard.is_open]
        if rng.random() < 0.4:
            kinesis.split("s", rng.choice(open_))
        # Offsets as a checkpoint has them.
        ends.append(json.loads(json.dumps(direct.latest(ends[-1]))))
        expected.append(list(range(sum(map(len, expected)), n)))
    # Once more in another instance: nothing rests on what one keeps.
    for reader in (direct, Direct(kinesis)):
        for (start, end), rows in zip(itertools.pairwise(ends), expected, strict=True):
            assert sorted(reader.between(start, end)) == rows
    assert sorted(direct.between(ends[0], ends[-1])) == list(range(n))
    assert direct.between(ends[-1], ends[-1]) == []


def test_a_stream_where_nothing_comes_stays_where_it_is(kinesis):
    kinesis.create("s", 3)
    direct = Direct(kinesis)
    empty = direct.latest()
    assert direct.latest(empty) == empty == Direct(kinesis).latest()
    assert direct.between(direct.initial(), empty) == []
    kinesis.put("s", numbered(0, 20))
    for age in (0, 10_000, 40_000):
        kinesis.age("s", age)
        last = direct.latest()
        assert direct.latest(last) == last == Direct(kinesis).latest()


def test_a_start_at_the_latest_has_what_comes_from_then_on(kinesis):
    kinesis.create("s", 2)
    kinesis.put("s", [("key 1", b"0")])
    direct = Direct(kinesis, start="LATEST")
    begin = direct.initial()
    assert {"seen"} in [position.keys() for position in begin["shards"].values()], "one is read from its beginning"
    kinesis.put("s", numbered(1, 30))
    kinesis.split("s", FIRST)
    kinesis.put("s", numbered(30, 60))
    end = direct.latest(begin)
    assert sorted(direct.between(begin, end)) == list(range(1, 60))


def test_what_comes_while_a_start_in_time_is_looked_for_is_not_lost(kinesis):
    kinesis.create("s")
    kinesis.put("s", numbered(0, 5))
    kinesis.age("s", 3600)
    direct = Direct(kinesis, start=datetime.datetime.now(datetime.UTC).isoformat())
    time.sleep(1.1)  # the service's clock is told in seconds
    searches = []

    def come(operation, arguments):
        if operation == "GetShardIterator":
            searches.append(arguments)
            if len(searches) == 2:  # nothing was there by its time: where is the newest?
                kinesis.put("s", numbered(5, 9))

    kinesis.fail = come
    begin = direct.initial()
    assert len(searches) > 2
    assert direct.between(begin, direct.latest(begin)) == [5, 6, 7, 8]


def test_what_comes_before_a_shard_closes_meanwhile_is_not_lost(kinesis):
    kinesis.create("s")
    direct = Direct(kinesis, start=datetime.datetime.now(datetime.UTC).isoformat())
    time.sleep(1.1)
    searches = []

    def come(operation, arguments):
        if operation == "GetShardIterator":
            searches.append(arguments)
            if len(searches) == 2:
                kinesis.put("s", numbered(0, 4))
                kinesis.split("s", FIRST)

    kinesis.fail = come
    begin = direct.initial()
    assert sorted(direct.between(begin, direct.latest(begin))) == [0, 1, 2, 3]


def test_far_behind_the_newest_is_looked_for_from_the_other_side(kinesis):
    kinesis.create("s")
    kinesis.put("s", numbered(0, 1))
    direct = Direct(kinesis)
    begin = direct.latest()
    kinesis.put("s", [("k", bytes(10_000)) for _ in range(100)])
    kinesis.age("s", 7200)
    kinesis.put("s", numbered(1, 3))
    kinesis.page_bytes = 20_000
    kinesis.requests.clear()
    end = direct.latest(begin)
    assert end["shards"][FIRST]["after"] == kinesis.numbers("s", FIRST)[-1]
    assert kinesis.operations.count("GetRecords") < 5, "of fifty answers"


@pytest.mark.parametrize("most", [1, 7, 1000])
def test_micro_batches_of_so_many_records(kinesis, most):
    kinesis.create("s", 2)
    kinesis.put("s", numbered(0, 40))
    left, right = kinesis.split("s", FIRST)
    kinesis.put("s", numbered(40, 60))
    direct = Direct(kinesis, max_records=most)
    ends = [direct.initial()]
    last = direct.latest()
    while ends[-1] != last:
        ends.append(direct.latest(ends[-1], last))
        assert len(ends) < 100
    batches = [direct.between(start, end) for start, end in itertools.pairwise(ends)]
    assert sorted(itertools.chain(*batches)) == list(range(60))
    assert all(len(batch) <= 4 * most for batch in batches)
    # The children begin when their parent was read.
    done = next(i for i, end in enumerate(ends) if end["shards"][FIRST] == {"end": True})
    assert all(end["shards"][child].keys() <= {"seen"} for end in ends[:done] for child in (left, right))
    # Without an end, it is the same way.
    assert direct.latest(ends[0]) == ends[1]
    kinesis.put("s", numbered(60, 62))
    further = direct.latest(last)
    for _ in range(3):
        further = direct.latest(further)
    assert sorted(direct.between(last, further)) == [60, 61]


def test_an_end_given_is_not_gone_beyond(kinesis):
    kinesis.create("s", 2)
    kinesis.put("s", numbered(0, 20))
    direct = Direct(kinesis)
    begin, last = direct.initial(), direct.latest()
    kinesis.put("s", numbered(20, 40))
    kinesis.split("s", FIRST)
    assert direct.latest(begin, last) == last
    assert sorted(direct.between(begin, last)) == list(range(20))
    assert sorted(direct.between(last, direct.latest(last))) == list(range(20, 40))


def test_a_closed_shard_that_was_read_may_go(kinesis):
    kinesis.create("s")
    kinesis.put("s", numbered(0, 5))
    kinesis.split("s", FIRST)
    direct = Direct(kinesis)
    begin = direct.latest()
    kinesis.forget("s", FIRST)
    kinesis.put("s", numbered(5, 9))
    end = direct.latest(begin)
    assert FIRST not in end["shards"]
    assert sorted(direct.between(begin, end)) == [5, 6, 7, 8]


# ---- retention ----


def test_records_that_were_trimmed_are_an_error_or_left_out(kinesis):
    kinesis.create("s")
    kinesis.put("s", numbered(0, 10))
    direct, lenient = Direct(kinesis), Direct(kinesis, fail_on_data_loss="false")
    middle = direct.latest()
    kinesis.put("s", numbered(10, 20))
    end = direct.latest(middle)
    # The position's own record is gone, and some behind it: a day has passed since.
    kinesis.trim("s", FIRST, 13)
    day = {"stream": "s", "shards": {FIRST: {**middle["shards"][FIRST], "seen": "2020-01-01T00:00:00Z"}}}
    with pytest.raises(BasculeError, match="from which one reads on, and maybe some behind it, is not there") as caught:
        direct.between(day, end)
    assert f"stream 's', shard '{FIRST}'" in str(caught.value)
    assert "set fail_on_data_loss := 'false' to read what is left" in str(caught.value)
    assert lenient.between(day, end) == list(range(13, 20))
    # The end of a plan is gone: all of it is.
    kinesis.trim("s", FIRST, 7)
    kinesis.put("s", numbered(20, 25))
    with pytest.raises(BasculeError, match=f"the record {end['shards'][FIRST]['after']}, up to which was planned"):
        direct.between({"stream": "s", "shards": {}}, end)
    assert lenient.between(middle, end) == []


def test_a_shard_where_nothing_came_for_long_is_no_loss(kinesis):
    """The last record read is trimmed by its age; the offset says that nothing was behind it lately."""
    kinesis.create("s")
    kinesis.put("s", numbered(0, 3))
    kinesis.age("s", 20 * 3600)
    direct = Direct(kinesis)
    last = direct.latest()
    assert last["shards"][FIRST]["seen"] > "2026", "not when the record came, but when it was the newest"
    kinesis.trim("s", FIRST, 3)
    kinesis.put("s", numbered(3, 6))
    assert direct.between(last, direct.latest(last)) == [3, 4, 5]


def test_a_shard_that_was_empty_too_long_ago_may_have_lost_some(kinesis):
    kinesis.create("s")
    direct, lenient = Direct(kinesis), Direct(kinesis, fail_on_data_loss="false")
    empty = direct.latest()
    kinesis.put("s", numbered(0, 10))
    kinesis.trim("s", FIRST, 4)
    end = direct.latest(empty)
    assert direct.between(empty, end) == list(range(4, 10)), "within the retention nothing is trimmed: this server only"
    old = {"stream": "s", "shards": {FIRST: {"seen": "2020-01-01T00:00:00Z"}}}
    with pytest.raises(BasculeError, match="maybe its first record, is not there: the stream's retention has passed"):
        direct.between(old, end)
    assert lenient.between(old, end) == list(range(4, 10))


def test_a_table_from_the_oldest_record_has_what_is_kept(kinesis):
    kinesis.create("s")
    kinesis.put("s", numbered(0, 10))
    direct = Direct(kinesis)
    plan = direct.plan()
    kinesis.trim("s", FIRST, 4)
    assert direct.read(plan) == list(range(4, 10))


def test_a_shard_that_is_gone_unread_is_an_error_or_left_out(kinesis):
    kinesis.create("s")
    kinesis.put("s", numbered(0, 10))
    direct, lenient = Direct(kinesis), Direct(kinesis, fail_on_data_loss="false")
    begin = direct.latest()
    kinesis.put("s", numbered(10, 20))
    kinesis.split("s", FIRST)
    end = direct.latest(begin)
    plan = direct.plan()
    kinesis.forget("s", FIRST)
    for work in (lambda it: it.latest(begin), lambda it: it.between(begin, end), lambda it: it.read(plan)):
        with pytest.raises(BasculeError, match=f"shard '{FIRST}': .* is not there: the stream's retention has passed"):
            work(direct)
        work(lenient)
    assert lenient.between(begin, end) == []


def test_a_stream_that_was_created_anew_is_an_error(kinesis):
    kinesis.create("s")
    kinesis.put("s", numbered(0, 10))
    direct = Direct(kinesis, timeout="0.5")
    begin = direct.latest()
    kinesis.put("s", numbered(10, 20))
    end = direct.latest(begin)
    kinesis.delete("s")
    kinesis.create("s")
    with pytest.raises(BasculeError, match="or it was deleted and created anew"):
        direct.between(begin, end)
    kinesis.put("s", numbered(0, 5))
    with pytest.raises(BasculeError, match="or it was deleted and created anew"):
        direct.between(begin, end)


# ---- offsets ----


def test_an_offset_is_of_one_stream(kinesis):
    kinesis.create("s")
    kinesis.create("other")
    other = Direct(kinesis, "other").initial()
    with pytest.raises(BasculeError, match="the offset is of stream 'other', but option 'stream' says 's'"):
        Direct(kinesis).latest(other)
    for broken in ({"n": 1}, {"stream": "s", "shards": {"a": {"x": 1}}}, {"stream": "s", "shards": [1]}):
        with pytest.raises(BasculeError, match="is none of this source: begin with a new checkpoint"):
            Direct(kinesis).between(broken, broken)


def test_by_arn_it_is_the_same_stream(kinesis):
    kinesis.create("s")
    kinesis.put("s", numbered(0, 3))
    arn = kinesis._stream("s").arn
    by_arn = Direct(kinesis, arn)
    assert by_arn.latest() == Direct(kinesis).latest()
    kinesis.requests.clear()
    assert by_arn.read(by_arn.plan()) == [0, 1, 2]
    assert all(a.get("StreamARN") == arn for _, a in kinesis.requests)
