"""Reads shards: page by page, and from one position to another, each record once."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import bascule
from bascule import BasculeError
from bascule.sources.kinesis._client import NO_ANSWER, Client, ExpiredError, NotFoundError, RefusedError, log
from bascule.sources.kinesis._positions import Position
from bascule.sources.rest._waiting import Rate, pause

__all__ = ["MOST_RECORDS", "Page", "Record", "Shard", "Shards", "arrival"]

Record = dict[str, Any]

#: The most that one GetRecords returns.
MOST_RECORDS = 10_000
_IDLE_S = 0.2
_MOST_EXPIRED = 5
#: The service's clocks and its trimming are not exact.
_SLACK_S = 300


@dataclass(frozen=True)
class Shard:
    """What ListShards says of one.

    Attributes:
        low, high: the hash keys of its records, both included.
        first: no sequence number is smaller.
        last: none is greater; None while it is open.
        parents: the shards whose hash keys it has taken over.
    """

    id: str
    low: int
    high: int
    first: str
    last: str | None
    parents: tuple[str, ...]


@dataclass(frozen=True)
class Page:
    """One answer of GetRecords.

    Attributes:
        behind_ms: 0 where the newest record is among those read so far.
        is_last: the shard is closed, and nothing is left.
    """

    records: list[Record]
    behind_ms: int
    is_last: bool


def arrival(record: Record) -> float:
    """When it came, as the service says, in seconds since 1970."""
    return float(record["ApproximateArrivalTimestamp"].timestamp())


def _shard(said: Mapping[str, Any]) -> Shard:
    keys, numbers = said["HashKeyRange"], said["SequenceNumberRange"]
    return Shard(
        said["ShardId"],
        int(keys["StartingHashKey"]),
        int(keys["EndingHashKey"]),
        numbers["StartingSequenceNumber"],
        numbers.get("EndingSequenceNumber"),
        tuple(p for p in (said.get("ParentShardId"), said.get("AdjacentParentShardId")) if p),
    )


def _number(record: Record) -> int:
    return int(record["SequenceNumber"])


class Shards:
    """The shards of one stream.

    Args:
        options: the typed options.
    """

    def __init__(self, client: Client, options: Mapping[str, Any]) -> None:
        self.client = client
        self._options = options

    def listed(self) -> dict[str, Shard]:
        """All that are kept, closed ones too; parents before their children, whose names are greater."""
        arguments: dict[str, Any] = self.client.whose
        found: dict[str, Shard] = {}
        while True:
            answer = self.client.call("ListShards", "", **arguments)
            try:
                found.update({each["ShardId"]: _shard(each) for each in answer["Shards"]})
            except (KeyError, ValueError) as e:
                raise BasculeError(
                    f"ListShards of stream '{self.client.name}': {NO_ANSWER} ({type(e).__name__}: {e})"
                ) from None
            token = answer.get("NextToken")
            if not token:
                return dict(sorted(found.items()))
            arguments = {"NextToken": token}

    def pages(
        self, shard: str, origin: Position | float, most: int | None = None, within: bool = False
    ) -> Iterator[Page]:
        """What follows a position, or a time in seconds since 1970, page after page, without end while the shard is open.

        Args:
            most: records a page.
            within: of a plan: whether the records that follow the position are still there is checked, once each time
                that an iterator is made.

        Raises:
            BasculeError: also where they aren't.
        """
        rate = Rate(self._options["reads_per_second"])
        limit = {} if most is None else {"Limit": min(most, MOST_RECORDS)}
        whose = {k: v for k, v in self.client.whose.items() if k == "StreamARN"}
        iterator: str | None = None
        expected: Position | None = None
        expired = 0
        while True:
            if iterator is None:
                iterator, expected = self._iterator(shard, origin, within)
                if iterator is None:
                    return
            rate.wait()
            try:
                answer = self.client.call("GetRecords", f"shard '{shard}'", ShardIterator=iterator, **limit, **whose)
            except ExpiredError as e:
                bascule.report_metric("expired iterators")
                expired += 1
                if expired > _MOST_EXPIRED:
                    raise BasculeError(f"{e}, {expired} times in turn, each time as soon as it was made") from None
                iterator = None
                continue
            expired = 0
            records = answer["Records"]
            iterator = answer.get("NextShardIterator")
            if expected is not None and (records or iterator is None):
                records = self._checked(shard, expected, records)
                expected = None
            if records:
                origin = Position("after", records[-1]["SequenceNumber"], int(arrival(records[-1])))
            yield Page(records, answer.get("MillisBehindLatest") or 0, iterator is None)
            if iterator is None:
                return

    def between(
        self, shard: str, start: Position, end: Position, until: float | None = None, most: int | None = None
    ) -> Iterator[list[Record]]:
        """The records from one position to another, which a plan has fixed.

        Args:
            until: an arrival, in seconds since 1970: at the first record beyond it the reading may end.
            most: about how many records are wanted.
        """
        edge = int(end.number) if end.number else None
        waiting_since: float | None = None
        for page in self.pages(shard, start, None if most is None else most + 1, within=True):
            records = page.records
            done = page.is_last
            if edge is not None and records and _number(records[-1]) >= edge:
                cut = bisect_left(records, edge, key=_number)
                is_there = _number(records[cut]) == edge
                if not is_there:
                    self._lost(shard, f"the record {edge}, up to which was planned")
                records = records[: cut + (is_there and end.kind == "after")]
                done = True
            elif edge is not None and page.is_last:
                self._lost(shard, f"the record {edge}, up to which was planned")
            if until is not None:
                cut = next((i for i, record in enumerate(records) if arrival(record) > until), len(records))
                done = done or cut < len(records)
                records = records[:cut]
            if records:
                yield records
            if done:
                return
            if page.records or page.behind_ms or edge is None:
                waiting_since = None
                continue
            # At the tip before the end of the plan, which somebody has seen.
            waiting_since = waiting_since or time.monotonic()
            if time.monotonic() - waiting_since > self._options["timeout"]:
                self._lost(shard, f"the record {edge}, up to which was planned")
                return
            pause(_IDLE_S)

    def _iterator(self, shard: str, origin: Position | float, within: bool) -> tuple[str | None, Position | None]:
        """An iterator, and which record its first one is to be compared with. None: the shard is gone, which may be."""
        if isinstance(origin, float):
            # The service has milliseconds: rounded down, so that nothing at the very time is missed.
            return self._made(shard, ShardIteratorType="AT_TIMESTAMP", Timestamp=int(origin * 1000) / 1000), None
        if not origin.number:
            made = self._made(shard, ShardIteratorType="TRIM_HORIZON")
            return made, origin if within and origin.seen else None
        kind = "AT_SEQUENCE_NUMBER" if within or origin.kind == "at" else "AFTER_SEQUENCE_NUMBER"
        try:
            made = self._made(shard, ShardIteratorType=kind, StartingSequenceNumber=origin.number)
        except RefusedError:
            if not within:
                raise
            # Of another stream, or no longer known: the first record tells.
            made = self._made(shard, ShardIteratorType="TRIM_HORIZON")
        return made, origin if within else None

    def _made(self, shard: str, **how: Any) -> str | None:
        try:
            answer = self.client.call("GetShardIterator", f"shard '{shard}'", ShardId=shard, **self.client.whose, **how)
        except NotFoundError as e:
            if shard in self.listed():  # raises where the stream is gone
                raise BasculeError(f"{e}; but it is listed") from None
            self._lost(shard, "all of it")
            return None
        return str(answer["ShardIterator"])

    def _checked(self, shard: str, expected: Position, records: list[Record]) -> list[Record]:
        """The records that follow a position, of those that begin with the one that it names, if that is kept still."""
        if records and records[0]["SequenceNumber"] == expected.number:
            return records[1:] if expected.kind == "after" else records
        if not self._is_recent(expected):
            number = f"the record {expected.number}, from which one reads on, and maybe some behind it"
            self._lost(shard, number if expected.number else "maybe its first record")
        return records

    def _is_recent(self, position: Position) -> bool:
        """Whether all that came after it must still be kept, although its own record isn't."""
        if position.kind == "at" or not position.seen:
            return False
        answer = self.client.call("DescribeStreamSummary", "", **self.client.whose)
        kept_s = answer["StreamDescriptionSummary"]["RetentionPeriodHours"] * 3600
        return bool(self.client.now() - position.seen < kept_s - _SLACK_S)

    def _lost(self, shard: str, what: str) -> None:
        text = (
            f"stream '{self.client.name}', shard '{shard}': {what}, is not there: the stream's retention has passed, or it was "
            "deleted and created anew"
        )
        if self._options["fail_on_data_loss"]:
            raise BasculeError(f"{text}. Begin anew, or set fail_on_data_loss := 'false' to read what is left")
        bascule.report_metric("data losses")
        log.warning("%s", text)

    def gone(self, shards: Sequence[str]) -> None:
        """Shards that were not read to their end are no longer kept."""
        for shard in shards:
            self._lost(shard, "what was not read of it")
