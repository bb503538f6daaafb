"""Plans: which shards are read, from where to where. An end is a record that was seen, or the end of a closed shard."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from bascule import BasculeError, OptionError
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
from bascule.sources._waiting import interruptible
from bascule.sources.kinesis._client import Client
from bascule.sources.kinesis._positions import END, HORIZON, Position, Where, is_before, offset, offset_shards
from bascule.sources.kinesis._shards import Record, Shard, Shards, arrival

__all__ = ["Stream"]

T = TypeVar("T")

#: How far back the newest record is looked for, in turn.
_WINDOWS_S = (5.0, 60.0, 1800.0, 21600.0)
#: A position that is farther behind than this looks for the newest record from the other side.
_FAR_MS = 60_000
#: A record that came so much later than the search began is newer than all that was there then.
_SURE_S = 5.0
#: How old what an offset says of "nothing was behind it" may be: a quarter of the shortest retention.
_STALE_S = 21600
_HOUR_S = 3600
_THREADS = 16
_ATTEMPTS = 5


class Stream:
    """What one instance of the source reads.

    Args:
        options: the typed options.
        secrets: what no text may show.
    """

    def __init__(self, options: Mapping[str, Any], secrets: Sequence[str]) -> None:
        if options["end"].name == "TRIM_HORIZON":
            raise OptionError(
                "option 'end' is TRIM_HORIZON, where all begins: it is LATEST, a time, or sequence numbers"
            )
        if options["hashed_keys"] and options["deaggregate"]:
            raise OptionError(
                "options 'hashed_keys' and 'deaggregate' don't go together: records within one may have any partition key"
            )
        self.options = options
        self.client = Client(options, secrets)
        self.shards = Shards(self.client, options)

    # ---- a table ----

    def plan(self, filters: Sequence[Filter]) -> list[dict[str, Any]]:
        """A spec for each shard that may have rows: between two positions, found now."""
        conjuncts = [part for each in filters for part in each.conjuncts()]
        since, until = self._times(conjuncts)
        known = self.shards.listed()
        self._check_start()
        for option in ("start", "end"):
            if unknown := [shard for shard, _ in self.options[option].numbers if shard not in known]:
                raise OptionError(
                    f"option '{option}' names {', '.join(unknown)}, which stream '{self.client.name}' has not: it has {_some(known)}"
                )
        wanted = [shard for shard in known.values() if self._may_have(shard, conjuncts)]

        def ends(shard: Shard) -> tuple[Position, Position]:
            end = self._resolved(shard, self.options["end"], is_end=True)
            return self._resolved(shard, self.options["start"], since=since), end

        specs = []
        for shard, (start, end) in zip(wanted, _each(ends, wanted), strict=True):
            if is_before(start, end):
                specs.append(_spec(shard.id, start, end, shard, until))
        return specs

    def _check_start(self) -> None:
        moment = self.options["start"].moment
        if moment is not None and moment.timestamp() > time.time():
            raise OptionError(
                f"option 'start' is {moment.isoformat()}, which is still to come: write LATEST for what comes from now on"
            )

    def _resolved(self, shard: Shard, where: Where, is_end: bool = False, since: float | None = None) -> Position:
        numbers = dict(where.numbers)
        if shard.id in numbers:
            return Position("after" if is_end else "at", numbers[shard.id])
        moment = where.moment.timestamp() if where.moment else None
        if not is_end and where.name != "LATEST":
            moment = max((m for m in (moment, since) if m is not None), default=None)
        if moment is not None:
            return self._at_time(shard, moment)
        return self._tip(shard)[0] if is_end or where.name == "LATEST" else HORIZON

    def _may_have(self, shard: Shard, conjuncts: Sequence[Filter]) -> bool:
        if not all(may_match(each, {"shard_id": (shard.id, shard.id)}) for each in conjuncts):
            return False
        if not self.options["hashed_keys"]:
            return True
        return all(
            any(shard.low <= _hash_key(key) <= shard.high for key in keys)
            for each in conjuncts
            if (keys := _values(each, "partition_key", str)) is not None
        )

    def _times(self, conjuncts: Sequence[Filter]) -> tuple[float | None, float | None]:
        """Between which arrivals the wanted records are, widened by the slack; None: not known."""
        slack = self.options["arrival_slack"]
        if slack is None:
            return None, None
        lows, highs = [], []
        for each in conjuncts:
            found = _values(each, "approximate_arrival_timestamp", None)
            if found:
                lows.append(min(v.timestamp() for v in found) - slack)
                highs.append(max(v.timestamp() for v in found) + slack)
            elif isinstance(each, Comparison) and each.column == "approximate_arrival_timestamp":
                value = _moment(each)
                if value is not None and isinstance(each, (GreaterThan, GreaterThanOrEqual)):
                    lows.append(value - slack)
                if value is not None and isinstance(each, (LessThan, LessThanOrEqual)):
                    highs.append(value + slack)
        return max(lows, default=None), min(highs, default=None)

    # ---- a stream ----

    def initial(self) -> dict[str, Any]:
        """Where option ``start`` is."""
        self._check_start()
        known = list(self.shards.listed().values())
        found = _each(lambda shard: self._resolved(shard, self.options["start"]), known)
        return offset(self.client.name, {shard.id: at for shard, at in zip(known, found, strict=True)})

    def latest(self, start: Mapping[str, Any] | None, end: Mapping[str, Any] | None) -> dict[str, Any]:
        """Where all shards end now, or ``max_records`` behind ``start``, and not beyond ``end``."""
        old = {} if start is None else offset_shards(self.client.name, start)
        most = self.options["max_records"] if start is not None else None
        if end is not None and most is None:
            return dict(end)
        known = self.shards.listed()
        self.shards.gone([shard for shard, at in old.items() if at != END and shard not in known])
        targets: dict[str, Position | None] = dict.fromkeys(known)
        if end is not None:
            targets = {**offset_shards(self.client.name, end)}

        def reached(shard: str) -> Position:
            begin = old.get(shard, HORIZON)
            if most is not None:
                return self._cut(shard, begin, targets[shard], most)
            return self._tip(known[shard], begin)[0]

        made: dict[str, Position] = {}
        if most is None:
            made = dict(zip(targets, _each(reached, list(targets)), strict=True))
        else:
            for shard in sorted(targets):
                parents = known[shard].parents if shard in known else ()
                if all(made.get(parent, END) == END for parent in parents):
                    made[shard] = reached(shard)
                elif shard in old:
                    made[shard] = old[shard]
                else:  # it waits for its parents, and is then begun as one that came just now
                    made[shard] = HORIZON
        return offset(self.client.name, made)

    def plan_between(self, start: Mapping[str, Any] | None, end: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The specs between two offsets. Asks nobody: they are the same whenever it is called."""
        old = {} if start is None else offset_shards(self.client.name, start)
        ends = offset_shards(self.client.name, end)
        return [
            _spec(shard, begin, ends[shard])
            for shard in sorted(ends)
            if is_before(begin := old.get(shard, HORIZON), ends[shard])
        ]

    # ---- positions ----

    def _tip(self, shard: Shard, start: Position = HORIZON) -> tuple[Position, float]:
        """Behind the newest record, which is looked for near ``start`` first, and its arrival."""
        if shard.last is not None:
            return END, 0.0
        now = self.client.now()
        if start.number:
            newest, is_end, is_tip = self._newest(shard.id, start, now, _FAR_MS)
            if is_end or is_tip:
                return self._behind(newest, is_end, start, now)
        for window in (*_WINDOWS_S, None):
            newest, is_end, _ = self._newest(shard.id, HORIZON if window is None else now - window, now)
            if newest is not None or is_end:
                return self._behind(newest, is_end, start, now)
        return _fresh(start, now), 0.0

    def _behind(self, newest: Record | None, is_end: bool, start: Position, now: float) -> tuple[Position, float]:
        if is_end:
            return END, 0.0
        if newest is None:
            return _fresh(start, now), 0.0
        at = arrival(newest)
        return _fresh(Position("after", newest["SequenceNumber"], int(at)), now), at

    def _newest(
        self, shard: str, origin: Position | float, now: float, far_ms: float = float("inf")
    ) -> tuple[Record | None, bool, bool]:
        """The newest record from there on; whether the shard ends; whether it is the newest of all."""
        newest = None
        for page in self.shards.pages(shard, origin):
            newest = page.records[-1] if page.records else newest
            if page.is_last:
                return newest, True, False
            if not page.behind_ms or (newest is not None and arrival(newest) > now + _SURE_S):
                return newest, False, True
            if page.behind_ms > far_ms:
                break
        return newest, False, False

    def _at_time(self, shard: Shard, moment: float) -> Position:
        """Before the first record that came then or later; behind the newest where there is none yet."""
        for _ in range(_ATTEMPTS):
            if moment <= self.client.now():
                for page in self.shards.pages(shard.id, moment, most=1):
                    if page.records:
                        return Position("at", page.records[0]["SequenceNumber"])
                    if page.is_last:
                        return END
                    if not page.behind_ms:
                        break
            tip, came = self._tip(shard)
            # One that came meanwhile, maybe the last before the shard was closed, is the first, or one before it is.
            if came < moment and not (tip == END and shard.last is None):
                return tip
        raise BasculeError(
            f"shard '{shard.id}' of stream '{self.client.name}' has newer records than it finds by their time"
        )

    def _cut(self, shard: str, start: Position, target: Position | None, most: int) -> Position:
        """Behind the ``most``-th record from there on, not beyond the target or the newest."""
        if start == END or (target is not None and not is_before(start, target)):
            return start if target is None else target
        left, at = most, start
        for page in self.shards.pages(shard, start, most):
            records = page.records[:left]
            left -= len(records)
            if records:
                at = Position("after", records[-1]["SequenceNumber"], int(arrival(records[-1])))
            if target is not None and target.number and at.order >= target.order:
                return target
            if len(records) < len(page.records) or not left:
                return at
            if page.is_last:
                return END if target is None else target
            if not page.behind_ms:
                break
        # The newest is read. Where a target wasn't, reading up to it will tell why.
        return target or _fresh(at, self.client.now())


def _fresh(position: Position, now: float) -> Position:
    """The position, behind which nothing is now; to the hour, so that offsets stay the same where nothing comes."""
    if position.kind not in ("after", "horizon") or now - position.seen <= _STALE_S:
        return position
    return position.seen_at(now - now % _HOUR_S)


def _spec(
    shard: str, start: Position, end: Position, known: Shard | None = None, until: float | None = None
) -> dict[str, Any]:
    spec: dict[str, Any] = {"shard": shard, "start": start.json(), "end": end.json(), "until": until}
    bounds: dict[str, Any] = {"shard_id": (shard, shard)}
    low = start.number or (known.first if known else "")
    high = end.number or (known.last if known else None) or ""
    # Texts of one length are in the order of their numbers.
    if low and len(low) == len(high):
        bounds["sequence_number"] = (low, high)
    return {**spec, "bascule_bounds": bounds}


def _values(filter: Filter, column: str, kind: type | None) -> list[Any] | None:
    """The values, one of which the column has where the predicate is true; None where it doesn't say."""
    try:
        if isinstance(filter, (EqualTo, EqualNullSafe)) and filter.column == column:
            found = [filter.value]
        elif isinstance(filter, In) and filter.column == column:
            found = [value for value in filter.values if value is not None]
        else:
            return None
    except ValueError:
        return None
    if kind is None:
        return found if all(getattr(v, "tzinfo", None) is not None for v in found) else None
    return found if all(isinstance(v, kind) for v in found) else None


def _moment(filter: Comparison) -> float | None:
    try:
        value = filter.value
    except ValueError:
        return None
    return float(value.timestamp()) if getattr(value, "tzinfo", None) is not None else None


def _hash_key(key: str) -> int:
    return int.from_bytes(hashlib.md5(key.encode("utf-8", "surrogatepass"), usedforsecurity=False).digest(), "big")


def _some(shards: Iterable[str]) -> str:
    names = list(shards)
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _each(work: Callable[[Any], T], items: Sequence[Any]) -> list[T]:
    """What ``work`` makes of each, several at a time."""
    if len(items) < 2:
        return [work(item) for item in items]
    made: dict[int, T] = {}
    failures: list[BaseException] = []
    left = iter(enumerate(items))
    lock, ended = threading.Lock(), threading.Event()

    def run() -> None:
        while not ended.is_set():
            with lock:
                i, item = next(left, (-1, None))
            if i < 0:
                return
            try:
                made[i] = work(item)
            except BaseException as e:
                failures.append(e)
                ended.set()

    def all_of_them() -> None:
        threads = [threading.Thread(target=run, name="bascule-kinesis-plan", daemon=True) for _ in items[:_THREADS]]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    interruptible(all_of_them, "bascule-kinesis-plan", ended.set)
    if failures:
        raise failures[0]
    return [made[i] for i in range(len(items))]
