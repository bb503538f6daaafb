"""Reading ahead: on random schedules each batch comes once, in its order; bounds hold, errors arrive, threads end."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter

import pytest

from bascule._read_ahead import ReadAhead

SIZE = 5


class Schedule:
    """Partitions of so many batches, which take their time; one may fail, whoever takes them may be slow, or stop."""

    def __init__(self, seed: int) -> None:
        chance = random.Random(seed)
        self.chance = chance
        self.batches = [chance.choice([0, 1, 2, 10, 40]) for _ in range(chance.choice([1, 2, 3, 7, 30]))]
        self.pause = chance.choice([0, 0, 0.0001, 0.001])
        self.failing = chance.randrange(len(self.batches)) if chance.random() < 0.3 else None
        self.fails_at = chance.randrange(5)
        self.stop = chance.randrange(40) if chance.random() < 0.3 else None
        self.ordered = chance.random() < 0.5
        self.threads = chance.choice([1, 2, 3, 8])
        self.max_bytes = chance.choice([1, 10, 1000])
        self.slow = chance.choice([0, 0, 0.0002, 0.002])
        self.ended: list[str] = []
        self.made = 0
        self._lock = threading.Lock()

    def partition(self, i: int):
        for b in range(self.batches[i]):
            if self.pause:
                time.sleep(self.pause * self.chance.random())
            if i == self.failing and b == self.fails_at:
                raise ValueError(i)
            with self._lock:
                self.made += 1
            yield i, b

    def read_ahead(self) -> ReadAhead:
        return ReadAhead(
            self.partition,
            len(self.batches),
            threads=self.threads,
            max_bytes=self.max_bytes,
            ordered=self.ordered,
            finish=lambda: self.ended.append("finish"),
            cancel=lambda: self.ended.append("cancel"),
            size_of=lambda batch: SIZE,
        )


@pytest.mark.parametrize("part", range(4))
def test_random_schedules(part):
    for seed in range(part * 60, part * 60 + 60):
        schedule = Schedule(seed)
        taken: list[tuple[int, int]] = []
        failed = False
        batches = iter(schedule.read_ahead())
        try:
            for batch in batches:
                taken.append(batch)
                ahead = schedule.made - len(taken)
                # Beside what is waiting, each thread has one in its hands.
                assert ahead <= max(schedule.threads, len(taken)) + schedule.threads, seed
                if schedule.slow:
                    time.sleep(schedule.slow)
                if schedule.stop is not None and len(taken) > schedule.stop:
                    break
        except ValueError as e:
            failed = e.args == (schedule.failing,)
        batches.close()
        assert not [t for t in threading.enumerate() if t.name.startswith("bascule-read")], seed
        check(schedule, taken, failed, seed)


def check(schedule: Schedule, taken: list[tuple[int, int]], failed: bool, seed: int) -> None:
    wanted = [(i, b) for i, n in enumerate(schedule.batches) for b in range(n)]
    assert max(Counter(taken).values(), default=1) == 1, seed
    fails = schedule.failing is not None and schedule.batches[schedule.failing] > schedule.fails_at
    if schedule.ordered:
        assert taken == wanted[: len(taken)], seed
        if failed:
            assert taken == [batch for batch in wanted if batch < (schedule.failing, schedule.fails_at)], seed
    for i in range(len(schedule.batches)):
        of_one = [b for p, b in taken if p == i]
        assert of_one == list(range(len(of_one))), seed
    stopped = schedule.stop is not None and len(taken) > schedule.stop
    if not stopped:
        assert failed == fails, seed
        if not fails:
            assert sorted(taken) == wanted, seed
    if failed:
        assert schedule.ended == ["cancel"], seed
    elif sorted(taken) == wanted and not stopped:
        assert schedule.ended == [], seed


def test_an_error_from_outside_wakes_whoever_waits():
    schedule = Schedule(0)
    schedule.batches, schedule.failing = [1], None
    released = threading.Event()

    def partition(i):
        released.wait(20)
        yield i, 0

    schedule.partition = partition
    ahead = schedule.read_ahead()

    def fail():
        time.sleep(0.2)
        ahead.fail(KeyError("out"))
        released.set()

    threading.Thread(target=fail).start()
    begun = time.monotonic()
    with pytest.raises(KeyError, match="out"):
        list(ahead)
    assert time.monotonic() - begun < 10
    assert schedule.ended == ["cancel"]


def test_it_counts_what_was_waited_for_and_turns():
    ahead = ReadAhead(
        lambda i: ((time.sleep(0.01 if i == 0 else 0), (i, b))[1] for b in range(20)),
        3,
        threads=3,
        max_bytes=20,
        ordered=True,
        finish=lambda: None,
        cancel=lambda: None,
        size_of=lambda batch: SIZE,
    )
    begun = time.monotonic()
    assert [p for p, _ in ahead] == [0] * 20 + [1] * 20 + [2] * 20
    took = time.monotonic() - begun
    assert 0.1 < ahead.starved <= took
    assert ahead.turns[1] > 0.05
    assert ahead.turns[0] == 0
