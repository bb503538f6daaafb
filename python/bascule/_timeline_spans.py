"""The spans of time of a scan, by thread or worker, and what they say in words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import median
from typing import Any, NamedTuple

__all__ = ["Lane", "ScanTimeline", "Span", "Takings", "keep_takings", "seconds", "size", "takings_of", "whole"]

#: A lane that did nothing for less of the time than this is no starved one; a share that is worth a word.
_WORTH_A_WORD = 0.25
#: A partition that takes so many times the median's time, and such a share of the scan's, is skewed.
_SKEWED, _SKEWED_SHARE = 2.5, 0.3
_MANY = 1024
_KEPT = 100


@dataclass
class Span:
    """Some batches of one partition, pulled one after the other. Times in seconds since the scan began.

    Args:
        python: within the class's own code. Of a worker process: what of it was waited for.
        waiting: for Python's lock, or for a worker, beside that.
        bridge: the rest of pulling: looking at batches, and copying.
        engine: the rest of the time: whoever wants the rows had no wish for more.
        turn: of that, what went by while another partition's rows were taken, which come first.
    """

    partition: int
    begun: float
    ended: float
    python: float
    waiting: float
    bridge: float
    engine: float
    batches: int
    rows: int
    bytes: int
    turn: float = 0.0

    def add(self, next: Span) -> None:
        """Takes the next one in; what lies between is the engine's."""
        self.engine += next.engine + max(0.0, next.begun - self.ended)
        self.ended = next.ended
        for name in ("python", "waiting", "bridge", "turn", "batches", "rows", "bytes"):
            setattr(self, name, getattr(self, name) + getattr(next, name))

    @property
    def seconds(self) -> float:
        return self.ended - self.begun

    @property
    def work(self) -> float:
        """What the partition itself took, whoever took its rows."""
        return self.python + self.waiting + self.bridge


class Takings(NamedTuple):
    """What a reader knows that reads ahead.

    Args:
        rows: that it handed over.
        starved: seconds for which it waited for rows.
        turns: for each partition, the seconds in which it had rows whose turn had not come.
    """

    rows: int
    starved: float
    turns: dict[int, float]


#: Of the last scans, by their numbers.
_takings: dict[int, Takings] = {}


def keep_takings(number: int, takings: Takings) -> None:
    """For a timeline that is drawn later."""
    _takings[number] = takings
    while len(_takings) > _KEPT:
        _takings.pop(next(iter(_takings)), None)


def takings_of(number: int) -> Takings | None:
    """What was kept of a scan."""
    return _takings.get(number)


@dataclass
class Lane:
    """A thread, or a worker process, and what it read."""

    name: str
    spans: list[Span] = field(default_factory=list)

    def by_partition(self) -> dict[int, list[Span]]:
        """The spans of each partition, in the order of their beginnings."""
        found: dict[int, list[Span]] = {}
        for span in self.spans:
            found.setdefault(span.partition, []).append(span)
        return found


def whole(spans: Sequence[Span]) -> Span:
    """Several of a partition as one."""
    first, *others = spans
    made = Span(**vars(first))
    for span in others:
        made.add(span)
    return made


class ScanTimeline:
    """One scan's.

    Args:
        scan: its row of :func:`bascule.scans`.
        spans: its rows of ``_native.timeline``.
        takings: what its reader knows; None: it isn't one of ours.
    """

    def __init__(self, scan: dict[str, Any], spans: Iterable[dict[str, Any]], takings: Takings | None = None) -> None:
        self.scan = scan
        self.takings = takings
        self.lanes = _lanes(spans)
        self.by_worker = scan["executor"] == "process"
        self.state: str = scan["state"]
        self.seconds: float = scan["seconds"]
        if self.state == "running" and scan["partitions_read"] + scan["partitions_pruned"] == scan["partitions"]:
            # Whoever opened it has it in hand still.
            self.state, self.seconds = "done", max((lane.spans[-1].ended for lane in self.lanes), default=0.0)

    def partitions(self) -> list[Span]:
        """One span for each partition that was begun, by number; of one that several lanes read, the whole time."""
        return list(self.by_number.values())

    @cached_property
    def by_number(self) -> dict[int, Span]:
        """The same by number."""
        spans: dict[int, list[Span]] = {}
        for span in sorted((span for lane in self.lanes for span in lane.spans), key=lambda span: span.begun):
            spans.setdefault(span.partition, []).append(span)
        found = {number: whole(spans[number]) for number in sorted(spans)}
        for number, span in found.items():
            turn = 0.0 if self.takings is None else self.takings.turns.get(number, 0.0)
            span.turn = min(turn, span.engine)
            span.engine -= span.turn
        return found

    def total(self, name: str) -> float:
        """The sum of a part, of all partitions."""
        return float(sum(getattr(span, name) for span in self.partitions()))

    def title(self) -> str:
        """What was read, and how it ended."""
        scan = self.scan
        where = "in worker processes" if self.by_worker else "in-process"
        return f"{scan['source']}, {where}: {self.state} after {seconds(self.seconds)}"

    def facts(self) -> list[str]:
        """What was asked, and what came of it."""
        scan, taken = self.scan, self.takings
        n, pruned, read = scan["partitions"], scan["partitions_pruned"], scan["partitions_read"]
        rate = scan["rows"] / self.seconds if self.seconds else 0
        pushed = [
            *([f"columns {scan['pushed_columns']}"] if scan["pushed_columns"] is not None else []),
            *([f"predicates {scan['pushed_filters']}"] if scan["pushed_filters"] is not None else []),
            *([f"limit {scan['pushed_limit']}"] if scan["pushed_limit"] is not None else []),
        ]
        reported = [f"{name} {value:,.10g}" for name, value in scan["reported"]]
        return [
            f"{scan['rows']:,} rows in {scan['batches']:,} batches, {size(scan['bytes'])}: {rate:,.0f} rows/s",
            f"{n:,} partitions: {read:,} read to their end, {pruned:,} pruned; planned in {seconds(scan['planning_seconds'])} of Python",
            *([f"pushed: {', '.join(pushed)}"] if pushed else []),
            *(
                [f"{taken.rows:,} of the rows were handed over"]
                if taken is not None and taken.rows < scan["rows"]
                else []
            ),
            *([f"{scan['retries']:,} partitions were begun again"] if scan["retries"] else []),
            *([f"counted by the class: {', '.join(reported)}"] if reported else []),
        ]

    def words(self) -> list[str]:
        """What the picture says, where it says something."""
        partitions = self.partitions()
        total = sum(span.seconds for span in partitions)
        if not total:
            return ["Nothing was read."]
        found = [*self._shares(total), *self._skew(partitions), *self._tail(partitions)]
        if self.scan["partitions"] - self.scan["partitions_pruned"] > _MANY:
            found.append(f"Only the first {_MANY:,} partitions are drawn.")
        return found

    def _shares(self, total: float) -> list[str]:
        python, waiting, engine, turn = (self.total(name) / total for name in ("python", "waiting", "engine", "turn"))
        found = []
        if self.takings is not None and self.seconds:
            starved = min(1.0, self.takings.starved / self.seconds)
            if starved > 0.5:
                found.append(
                    f"Whoever takes the rows waited for them {starved:.0%} of the time: the source sets the pace."
                )
            elif starved < 0.1:
                found.append("Whoever takes the rows hardly waited for them: the source is not what it waits for.")
        elif engine > 0.5:
            found.append(
                f"{engine:.0%} of the partitions' time went by in the engine: it had rows and asked for no more. The source is not what "
                "it waits for."
            )
        elif python > 0.5:
            found.append(
                f"{python:.0%} of the partitions' time went by in the class's own code: the source sets the pace."
            )
        if turn > _WORTH_A_WORD:
            found.append(
                f"{turn:.0%} of the partitions' time they had rows whose turn had not come: ordered=False takes them as they come."
            )
        if waiting > _WORTH_A_WORD and self.by_worker:
            found.append(
                f"{waiting:.0%} of the partitions' time was spent waiting for worker processes, beside their Python: for their start, for one that "
                f"is free. There are {len(self.lanes)}."
            )
        elif waiting > _WORTH_A_WORD:
            found.append(
                f"{waiting:.0%} of the partitions' time was spent waiting for Python's lock, which other threads held: "
                "executor = 'process' gives each worker its own."
            )
        return found

    def _skew(self, partitions: list[Span]) -> list[str]:
        longest = max(partitions, key=lambda span: span.work)
        usual, rows = median(span.work for span in partitions), median(span.rows for span in partitions)
        least = max(_SKEWED * usual, 0.05 * self.seconds)
        slow = sum(span.work > least for span in partitions)
        if len(partitions) < 3 or not slow or longest.work < _SKEWED_SHARE * self.seconds:
            return []
        # The first of a thread or worker imports and connects: that is no skew.
        if longest.rows <= rows and any(lane.spans[0].partition == longest.partition for lane in self.lanes):
            return []
        which = (
            f"Partition {longest.partition} is skewed: it takes"
            if slow == 1
            else f"{slow} of {len(partitions):,} partitions take more than {_SKEWED} times the median. The longest is {longest.partition}:"
        )
        return [f"{which} {seconds(longest.work)} for {longest.rows:,} rows, where the median is {seconds(usual)}."]

    def _tail(self, partitions: list[Span]) -> list[str]:
        if len(self.lanes) < 2:
            return []
        ends = sorted((lane.spans[-1].ended for lane in self.lanes), reverse=True)
        alone = ends[0] - ends[1]
        if alone < _WORTH_A_WORD * self.seconds:
            return []
        return [f"The last {seconds(alone)} ({alone / self.seconds:.0%}) only one of {len(self.lanes)} worked."]


def _lanes(rows: Iterable[dict[str, Any]]) -> list[Lane]:
    """Threads, or workers where the rows come from such, in the order in which they began."""
    spans: defaultdict[tuple[bool, int], list[Span]] = defaultdict(list)
    for row in rows:
        by_worker = row["worker"] is not None
        spans[by_worker, row["worker"] if by_worker else row["thread"]].append(_span(row))
    for (by_worker, _), found in spans.items():
        if by_worker:
            _spread(found)
    ordered = sorted(spans.items(), key=lambda item: min(span.begun for span in item[1]))
    lanes, counts = [], {True: 0, False: 0}
    for (by_worker, number), found in ordered:
        counts[by_worker] += 1
        name = f"worker {number}" if by_worker else f"thread {counts[False]}"
        lanes.append(Lane(name, sorted(found, key=lambda span: span.begun)))
    return lanes


def _span(row: dict[str, Any]) -> Span:
    pulled, by_worker = row["pulled_seconds"], row["worker"] is not None
    python = row["python_seconds"] if by_worker else min(row["python_seconds"], pulled)
    waiting = min(row["waiting_seconds"], pulled if by_worker else pulled - python)
    return Span(
        *(row["partition"], row["begun"], row["ended"], python, waiting),
        *(max(0.0, pulled - waiting - (0 if by_worker else python)), max(0.0, row["ended"] - row["begun"] - pulled)),
        *(row["batches"], row["rows"], row["bytes"]),
    )


def _spread(spans: Iterable[Span]) -> None:
    """A worker tells its Python time at a partition's end, and waiting for it has that time in it: so the one is taken out of the
    other, evenly over the partition.
    """
    python: defaultdict[int, float] = defaultdict(float)
    waiting: defaultdict[int, float] = defaultdict(float)
    spans = list(spans)
    for span in spans:
        python[span.partition] += span.python
        waiting[span.partition] += span.waiting
    for span in spans:
        share = min(1.0, python[span.partition] / waiting[span.partition]) if waiting[span.partition] else 0.0
        span.python, span.waiting = share * span.waiting, (1 - share) * span.waiting


def seconds(value: float) -> str:
    """``1.2 s``, ``340 ms``, ``12 µs``."""
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if value * factor >= 1:
            return f"{value * factor:.3g} {unit}" if value * factor < 1000 else f"{value * factor:,.0f} {unit}"
    return "0 s"


def size(n: float) -> str:
    """``1.2 MB``."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if n < 1000:
            return f"{n:.3g} {unit}"
        n /= 1000
    return f"{n:,.3g} TB"
