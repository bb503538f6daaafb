"""The brokers: which topics there are, where they begin and end, and the messages of a range of offsets."""

from __future__ import annotations

import bisect
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import bascule
from bascule import BasculeError, OptionError
from bascule.sources._waiting import interruptible
from bascule.sources.kafka._registry import Registry

__all__ = ["Cluster", "TopicPartition"]

#: A topic, the number of a partition.
TopicPartition = tuple[str, int]

_SLICE_S = 0.1  # interrupts arrive between two
_MESSAGES = 16_384
_BATCH_BYTES = 8 << 20
#: What a consumer holds ahead of its reader, at most about.
_QUEUED_KIB = 8 << 10


_PASSING = (
    *("_ALL_BROKERS_DOWN", "_RESOLVE", "_TIMED_OUT", "_TRANSPORT", "BROKER_NOT_AVAILABLE", "LEADER_NOT_AVAILABLE"),
    *("FENCED_LEADER_EPOCH", "UNKNOWN_LEADER_EPOCH", "NOT_LEADER_FOR_PARTITION", "REPLICA_NOT_AVAILABLE"),
    *("KAFKA_STORAGE_ERROR", "NETWORK_EXCEPTION", "OFFSET_NOT_AVAILABLE", "REQUEST_TIMED_OUT"),
)


class Cluster:
    """Connections, made when they are needed; used by many threads.

    Args:
        options: the typed options.

    Raises:
        BasculeError: the library is not installed.
        OptionError: settings that don't fit together.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        try:
            import confluent_kafka
            from confluent_kafka import admin
        except ImportError:
            raise BasculeError("Kafka needs confluent-kafka: pip install 'bascule[kafka]'") from None
        if (options["topics"] is None) == (options["topic_pattern"] is None):
            raise OptionError("give either topics or topic_pattern")
        if options["end"].name == "earliest":
            raise OptionError("option 'end' is earliest, where all begins: it is latest, a time, or offsets")
        self.options = options
        self.registry = None if options["registry"] is None else Registry(options)
        self._kafka: Any = confluent_kafka
        self._admin_of: Any = admin
        self._lock = threading.Lock()
        self._admin: Any = None
        self._said = ""
        self._refused = False

    @property
    def name(self) -> str:
        return str(self.options["servers"])

    def close(self) -> None:
        with self._lock:
            self._admin = None
        if self.registry is not None:
            self.registry.close()

    # ---- what there is ----

    def topics(self) -> list[str]:
        """The names that are read.

        Raises:
            BasculeError: no broker answers; none is called so.
        """
        options, known = self.options, self._known()
        if options["topics"] is None:
            found = sorted(name for name in known if options["topic_pattern"].fullmatch(name) and name[:2] != "__")
            if not found:
                raise BasculeError(
                    f"no topic of {self.name} matches {options['topic_pattern'].pattern}: there are {_some(known)}"
                )
            return found
        for name in options["topics"]:
            if name not in known:
                raise BasculeError(f"{self.name} has no topic '{name}': it has {_some(known)}")
        return list(options["topics"])

    def partitions(self) -> list[TopicPartition]:
        """All of the topics that are read."""
        topics = self.topics()
        known = self._known()
        return [(topic, number) for topic in topics for number in sorted(known[topic].partitions)]

    def _known(self) -> Mapping[str, Any]:
        """What the brokers say of all topics. They are asked in growing slices: what goes wrong is only heard between them."""
        admin, begun = self._client(), time.monotonic()
        for attempt in range(100):
            left = self.options["timeout"] - (time.monotonic() - begun)
            slice_s = min(0.5 * 2**attempt, max(left, 0.1))
            try:
                found: Any = interruptible(partial(admin.list_topics, timeout=slice_s), "kafka-topics")
                self._refused = False
                topics: Mapping[str, Any] = found.topics
                return topics
            except self._kafka.KafkaException as e:
                admin.poll(0)
                known = self._kafka.KafkaError
                if left <= slice_s or self._refused or e.args[0].code() in (known._AUTHENTICATION, known._SSL):
                    raise self._failed("list the topics", e) from None
        raise AssertionError

    def begins(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The offset of the first message that is still kept."""
        return self._listed(partitions, self._admin_of.OffsetSpec.earliest())

    def ends(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The offset behind the last message that may be read now."""
        return self._listed(partitions, self._admin_of.OffsetSpec.latest())

    def at_time(self, partitions: Iterable[TopicPartition], moment_ms: int) -> dict[TopicPartition, int | None]:
        """The offset of the first message with that timestamp or a later one; None: there is none yet."""
        found = self._listed(partitions, self._admin_of.OffsetSpec.for_timestamp(moment_ms))
        return {at: None if offset < 0 else offset for at, offset in found.items()}

    def _listed(self, partitions: Iterable[TopicPartition], spec: Any) -> dict[TopicPartition, int]:
        wanted, pause_s, begun = list(partitions), _SLICE_S, time.monotonic()
        while True:
            try:
                return interruptible(partial(self._listed_once, wanted, spec), "kafka-offsets") if wanted else {}
            except self._kafka.KafkaException as e:
                # Of a partition whose leader is being chosen, for one.
                if not self._passes(e.args[0]) or time.monotonic() - begun > self.options["timeout"]:
                    raise self._failed("look up offsets", e) from None
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, 2.0)

    def _listed_once(self, partitions: Iterable[TopicPartition], spec: Any) -> dict[TopicPartition, int]:
        asked = {self._kafka.TopicPartition(*one): spec for one in partitions}
        isolation = self._kafka.IsolationLevel[self.options["isolation"].upper()]
        timeout = self.options["timeout"]
        answers = self._client().list_offsets(asked, isolation_level=isolation, request_timeout=timeout)
        found = {}
        for at, answer in answers.items():
            try:
                found[(at.topic, at.partition)] = answer.result(timeout + 1).offset
            except TimeoutError:
                raise self._silent(f"offsets of topic '{at.topic}', partition {at.partition}") from None
        return found

    # ---- messages ----

    def messages(self, topic: str, partition: int, start: int, end: int, most: int | None) -> Iterator[list[Any]]:
        """The messages of [start, end), in lists, which are the caller's to clear; about ``most`` of them, where it is given.

        Raises:
            BasculeError: some are gone, no broker answers, the topic is gone.
        """
        if start >= end or most == 0:
            return
        where = f"topic '{topic}', partition {partition}"
        n = _MESSAGES if most is None else min(most, _MESSAGES)
        consumer = self._consumer(most)
        try:
            consumer.assign([self._kafka.TopicPartition(topic, partition, start)])
            held: list[Any] = []
            n_bytes, at, heard = 0, start, time.monotonic()
            while True:
                # No more than can come: what doesn't is waited for, a whole slice.
                found = consumer.consume(min(n - len(held), end - at), _SLICE_S)
                errors = [message for message in found if message.error() is not None]
                is_end = False
                if errors:
                    found = [message for message in found if message.error() is None]
                    for message in errors:
                        is_end |= self._is_end(message, end, where, at)
                    if any(message.error().code() == self._kafka.KafkaError._AUTO_OFFSET_RESET for message in errors):
                        at = self._after_loss(topic, partition, at, end, where)
                        consumer.assign([self._kafka.TopicPartition(topic, partition, at)])
                        is_end = at >= end
                if found:
                    heard = time.monotonic()
                    last = found[-1].offset()
                    if last >= end:
                        found = found[: bisect.bisect_left([message.offset() for message in found], end)]
                    is_end |= last >= end - 1
                    at = last + 1
                    held += found
                    n_bytes += sum(map(len, found))
                if held and (is_end or len(held) >= n or n_bytes >= _BATCH_BYTES):
                    yield held
                    held, n_bytes, heard = [], 0, time.monotonic()
                if is_end:
                    return
                if time.monotonic() - heard > self.options["timeout"]:
                    self.topics()  # says that the topic is gone, or that nobody answers
                    raise self._silent(f"messages from {at} to {end} of {where}")
        except self._kafka.KafkaException as e:
            raise self._failed(f"read {where}", e) from None
        finally:
            consumer.close()

    def _is_end(self, message: Any, end: int, where: str, at: int) -> bool:
        """Whether an event is the end of what is asked for: behind the last message may be offsets without one.

        Raises:
            BasculeError: it is an error that doesn't pass.
        """
        error, known = message.error(), self._kafka.KafkaError
        if error.code() == known._PARTITION_EOF:
            return bool(message.offset() >= end)
        self._said = error.str()
        if error.code() in (known.UNKNOWN_TOPIC_OR_PART, known._UNKNOWN_TOPIC, known._UNKNOWN_PARTITION):
            if message.topic() not in self._known():  # a broker that has just begun may not know it yet
                raise BasculeError(f"{where} of {self.name} is gone: it was there when it was planned")
            return False
        if error.code() in (known.TOPIC_AUTHORIZATION_FAILED, known.GROUP_AUTHORIZATION_FAILED):
            raise BasculeError(f"can't read {where} of {self.name}: {error.str()}. Who reads needs the right to")
        if error.code() == known._AUTO_OFFSET_RESET or self._passes(error):
            return False
        raise BasculeError(f"can't read {where} of {self.name} from offset {at}: {error.str()}")

    def _after_loss(self, topic: str, partition: int, at: int, end: int, where: str) -> int:
        """Where one reads on when the messages from ``at`` on are gone."""
        begin = self.begins([(topic, partition)])[(topic, partition)]
        self.lost(where, at, min(begin, end))
        bascule.report_metric("lost offsets", max(0, min(begin, end) - at))
        return begin if begin > at else end

    def lost(self, where: str, at: int, begin: int) -> None:
        """Messages from ``at`` on, before ``begin``, are gone.

        Raises:
            BasculeError: that is an error.
        """
        if self.options["fail_on_data_loss"]:
            raise BasculeError(
                f"{where} of {self.name} has no messages from offset {at} on any more, the first is {max(at, begin)}: they were "
                "deleted (retention), or the topic was made anew. Set fail_on_data_loss := false to read what is there"
            )

    # ---- connections ----

    def _client(self) -> Any:
        with self._lock:
            if self._admin is None:
                self._admin = self._made(lambda settings: self._admin_of.AdminClient(settings), {})
            return self._admin

    def _consumer(self, most: int | None) -> Any:
        settings = {
            "group.id": "bascule",  # nothing is committed: it is never joined
            "enable.auto.commit": "false",
            "enable.partition.eof": "true",
            "auto.offset.reset": "error",
            "isolation.level": self.options["isolation"],
            "queued.max.messages.kbytes": str(_QUEUED_KIB),
            "queued.min.messages": str(min(most or 100_000, 100_000)),
            "fetch.wait.max.ms": "10",
            "fetch.queue.backoff.ms": "5",  # by default a full queue is left alone for a second
            "topic.metadata.propagation.max.ms": "3000",
        }
        return self._made(lambda settings: self._kafka.Consumer(settings), settings)

    def _made(self, make: Any, settings: Mapping[str, Any]) -> Any:
        options = self.options
        common: dict[str, Any] = {
            "bootstrap.servers": options["servers"],
            "client.id": "bascule",
            "log_level": 0,  # what goes wrong is in errors
            "error_cb": self._hear,
            "socket.connection.setup.timeout.ms": str(int(min(options["timeout"], 30.0) * 1000) + 1),
        }
        if options["user"] is not None:
            common |= {
                "sasl.mechanisms": options["sasl_mechanism"],
                "sasl.username": options["user"],
                "sasl.password": options["password"] or "",
            }
        security = options["security"] or ("sasl_ssl" if options["user"] is not None else None)
        if security is not None:
            common["security.protocol"] = security
        try:
            return make({**common, **settings, **(options["settings"] or {})})
        except (self._kafka.KafkaException, ValueError, TypeError) as e:
            said = e.args[0].str() if isinstance(e, self._kafka.KafkaException) else str(e)
            raise OptionError(f"Kafka's client refuses its settings: {said}") from None

    def _passes(self, error: Any) -> bool:
        """Whether asking again may help: a leader is being chosen, a broker is away."""
        return error.retriable() or error.name() in _PASSING

    def _hear(self, error: Any) -> None:
        known = self._kafka.KafkaError
        if error.code() != known._ALL_BROKERS_DOWN or not self._said:  # why is more
            self._said = error.str()
        self._refused |= error.code() in (known._AUTHENTICATION, known._SSL)

    def _failed(self, attempt: str, e: Exception) -> BasculeError:
        error = e.args[0]
        more = f" ({self._said})" if self._said and self._said not in error.str() else ""
        return BasculeError(f"can't {attempt} of Kafka at {self.name}: {error.str()}{more}{self._advice()}")

    def _silent(self, what: str) -> BasculeError:
        said = f": {self._said}" if self._said else ""
        return BasculeError(
            f"{what} did not come from Kafka at {self.name} for {self.options['timeout']:g} s{said}{self._advice()}"
        )

    def _advice(self) -> str:
        said = self._said.lower()
        if "authentication" in said or "sasl" in said:
            return ". Check user, password, sasl_mechanism and security"
        if "ssl" in said or "disconnected" in said:
            return ". Check security: does the listener speak TLS or SASL?"
        return ". Are the brokers up, and reachable by the names that they announce (advertised.listeners)?"


def _some(names: Iterable[str]) -> str:
    shown: Sequence[str] = sorted(name for name in names if name[:2] != "__")
    if not shown:
        return "none"
    return ", ".join(shown[:8]) + (f" and {len(shown) - 8} more" if len(shown) > 8 else "")
