"""Ranges of offsets: where options and micro-batches say they begin and end, what predicates leave of them, how they are cut."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bascule import OptionError
from bascule.filters import (
    Comparison,
    EqualNullSafe,
    EqualTo,
    Filter,
    GreaterThan,
    GreaterThanOrEqual,
    In,
    LessThan,
    LessThanOrEqual,
    may_match,
)
from bascule.sources.kafka._cluster import Cluster, TopicPartition

__all__ = ["Range", "Where", "between", "initial", "latest", "of_table", "resolved", "specs", "to_json", "where"]

_INT64 = (-(1 << 63), (1 << 63) - 1)


@dataclass(frozen=True)
class Where:
    """A position in all partitions.

    Attributes:
        name: earliest, latest; "": one of the others.
        moment_ms: the first message with that timestamp or a later one.
        offsets: of partitions, by their own; those that aren't there are read as if it were not given.
    """

    name: str = ""
    moment_ms: int | None = None
    offsets: Mapping[TopicPartition, int] = field(default_factory=dict)
    text: str = ""

    def __str__(self) -> str:
        return self.text


def where(text: str) -> Where:
    """earliest, latest, a time (2026-01-31T12:00:00Z) or offsets as JSON, {"topic": {"0": 23}}"""
    if text in ("earliest", "latest"):
        return Where(text, text=text)
    try:
        if text.lstrip().startswith("{"):
            return Where(offsets=_of_json(json.loads(text)), text=text)
        moment = datetime.datetime.fromisoformat(text)
    except (ValueError, TypeError, AttributeError):
        raise ValueError(where.__doc__) from None
    moment = moment.replace(tzinfo=datetime.UTC) if moment.tzinfo is None else moment
    return Where(moment_ms=-(-_us(moment) // 1000), text=text)


def _of_json(found: Mapping[str, Any]) -> dict[TopicPartition, int]:
    offsets = {(topic, int(number)): at for topic, of in found.items() for number, at in of.items()}
    if not all(isinstance(at, int) and not isinstance(at, bool) and at >= 0 for at in offsets.values()):
        raise ValueError
    return offsets


def to_json(offsets: Mapping[TopicPartition, int]) -> dict[str, Any]:
    """As an offset of a stream: topic -> partition -> offset."""
    found: dict[str, Any] = {}
    for (topic, number), at in sorted(offsets.items()):
        found.setdefault(topic, {})[str(number)] = at
    return found


@dataclass(frozen=True)
class Range:
    """The offsets from ``start``, before ``end``, of one partition of a topic."""

    topic: str
    partition: int
    start: int
    end: int

    @property
    def at(self) -> TopicPartition:
        return self.topic, self.partition


def resolved(cluster: Cluster, where: Where, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
    """The offsets where it is now."""
    if unknown := [at for at in where.offsets if at not in partitions]:
        topic, number = unknown[0]
        raise OptionError(f"partition {number} of topic '{topic}' has an offset, and is none of those that are read")
    if where.name == "earliest":
        return cluster.begins(partitions)
    if where.name == "latest":
        return cluster.ends(partitions)
    if where.moment_ms is not None:
        ends = cluster.ends(partitions)  # first: what comes meanwhile is behind it
        found = cluster.at_time(partitions, where.moment_ms)
        return {at: ends[at] if (offset := found[at]) is None else offset for at in partitions}
    return dict(where.offsets)


def of_table(cluster: Cluster) -> list[Range]:
    """From option ``start`` to option ``end``, fixed now."""
    partitions = cluster.partitions()
    begins, ends = cluster.begins(partitions), cluster.ends(partitions)
    starts = begins | resolved(cluster, cluster.options["start"], partitions)
    stops = ends | resolved(cluster, cluster.options["end"], partitions)
    ranges = []
    for at in partitions:
        words = f"topic '{at[0]}', partition {at[1]}"
        if cluster.options["start"].offsets and starts[at] < begins[at]:
            cluster.lost(words, starts[at], begins[at])
        for name, value in (("start", starts[at]), ("end", stops[at])):
            if value > ends[at] and cluster.options[name].offsets:
                raise OptionError(f"option '{name}' is offset {value} of {words}, which ends at {ends[at]}")
        start, end = max(starts[at], begins[at]), min(stops[at], ends[at])
        if start < end:
            ranges.append(Range(*at, start, end))
    return ranges


# ---- streams ----


def initial(cluster: Cluster) -> dict[str, Any]:
    """Where option ``start`` is; where a partition begins that it doesn't name."""
    partitions = cluster.partitions()
    return to_json(cluster.begins(partitions) | resolved(cluster, cluster.options["start"], partitions))


def latest(cluster: Cluster, start: Mapping[str, Any] | None, end: Mapping[str, Any] | None) -> dict[str, Any]:
    """Where all ends, or ``max_messages`` behind ``start``, which partitions share as they have messages."""
    most = cluster.options["max_messages"] if start is not None else None
    ends = _of_json(end) if end is not None else cluster.ends(cluster.partitions())
    if start is None or most is None:
        return to_json(_not_before(cluster, ends, {} if start is None else _of_json(start)))
    begins = _begins(_of_json(start), ends)
    left = {at: max(0, ends[at] - begins[at]) for at in ends}
    total = sum(left.values())
    if total <= most:
        return to_json(_not_before(cluster, ends, begins))
    shares = {at: left[at] * most // total for at in ends}
    rest = most - sum(shares.values())
    for at in sorted(ends):
        if rest and shares[at] < left[at]:
            shares[at] += 1
            rest -= 1
    return to_json({at: begins[at] + shares[at] for at in ends})


def _begins(start: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
    """A partition that the stream has not met is read from 0 on, whenever it is planned."""
    return {at: start.get(at, 0) for at in ends}


def _not_before(
    cluster: Cluster, ends: Mapping[TopicPartition, int], start: Mapping[TopicPartition, int]
) -> dict[TopicPartition, int]:
    """The ends; where one is before what was read already, messages were lost, or the topic is another: it doesn't go back."""
    found = dict(ends)
    for at, begin in start.items():
        if at not in ends:
            cluster.lost(f"topic '{at[0]}', partition {at[1]}", begin, begin)
        elif ends[at] < begin:
            cluster.lost(f"topic '{at[0]}', partition {at[1]}", ends[at], begin)
            found[at] = begin
    return found


def between(start: Mapping[str, Any] | None, end: Mapping[str, Any]) -> list[Range]:
    """The ranges between two offsets of a stream."""
    ends = _of_json(end)
    begins = _begins({} if start is None else _of_json(start), ends)
    return [Range(*at, begins[at], ends[at]) for at in sorted(ends) if begins[at] < ends[at]]


# ---- partitions ----


def specs(cluster: Cluster, ranges: Sequence[Range], filters: Sequence[Filter]) -> list[dict[str, Any]]:
    """The specs of what may hold a row that is wanted."""
    conjuncts = [part for each in filters for part in each.conjuncts()]
    kept = [
        one
        for one in ranges
        if all(may_match(each, {"topic": (one.topic,) * 2, "partition": (one.partition,) * 2}) for each in conjuncts)
    ]
    low, high = _offsets(conjuncts)
    since = _since_ms(conjuncts)
    first = {} if since is None else cluster.at_time([one.at for one in kept], since)
    found = []
    for one in kept:
        # All that is before the first message of that time or later is older. Where none is found there may be some all the
        # same: a broker searches one segment, and compaction may have left the wrong one.
        begin = max(low, first.get(one.at) or 0)
        start, end = max(one.start, begin), min(one.end, high)
        found += [_spec(one, *part) for part in _cut(start, end, cluster.options["partition_messages"])]
    return found


def _spec(one: Range, start: int, end: int) -> dict[str, Any]:
    bounds = {"topic": (one.topic, one.topic), "partition": (one.partition, one.partition), "offset": (start, end - 1)}
    return {"topic": one.topic, "partition": one.partition, "start": start, "end": end, "bascule_bounds": bounds}


def _cut(start: int, end: int, most: int) -> Iterator[tuple[int, int]]:
    n = -(-(end - start) // most)
    for i in range(n):
        yield start + (end - start) * i // n, start + (end - start) * (i + 1) // n


def _offsets(conjuncts: Iterable[Filter]) -> tuple[int, int]:
    """Between which offsets all wanted messages are."""
    low, high = _INT64
    for each in conjuncts:
        values = _values(each, "offset", int)
        if not values:
            continue
        if isinstance(each, (EqualTo, EqualNullSafe, In)):
            low, high = max(low, min(values)), min(high, max(values) + 1)
        elif isinstance(each, GreaterThanOrEqual):
            low = max(low, values[0])
        elif isinstance(each, GreaterThan):
            low = max(low, values[0] + 1)
        elif isinstance(each, LessThanOrEqual):
            high = min(high, values[0] + 1)
        elif isinstance(each, LessThan):
            high = min(high, values[0])
    return low, high


def _since_ms(conjuncts: Iterable[Filter]) -> int | None:
    """A timestamp before which no wanted message has its own."""
    found = []
    for each in conjuncts:
        values = _values(each, "timestamp", datetime.datetime)
        if values and isinstance(each, (EqualTo, EqualNullSafe, In, GreaterThan, GreaterThanOrEqual)):
            # Rounded down: no message is lost.
            found.append(min(_us(value) for value in values) // 1000)
    # What is before 1970 has no meaning to a broker: -1 and -2 are the log's ends.
    return max((value for value in found if value >= 0), default=None)


def _us(moment: datetime.datetime) -> int:
    moment = moment.replace(tzinfo=datetime.UTC) if moment.tzinfo is None else moment
    return (moment - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)) // datetime.timedelta(microseconds=1)


def _values(filter: Filter, column: str, kind: type) -> list[Any]:
    """The values that a predicate compares the column with; none where it doesn't, or one isn't understood."""
    found: list[Any] = []
    try:
        if isinstance(filter, In) and filter.column == column:
            found = [value for value in filter.values if value is not None]
        elif isinstance(filter, Comparison) and filter.column == column:
            found = [filter.value]
    except ValueError:  # nanoseconds that no datetime has
        return []
    return found if all(isinstance(value, kind) for value in found) else []
