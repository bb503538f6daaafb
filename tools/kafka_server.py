"""Runs a Kafka broker of its own, for tests and benchmarks: one node (KRaft), fetched by Maven into build/ once.

with Kafka.start() as kafka:
    kafka.create("orders", partitions=8)
    kafka.produce("orders", [(b"key", b"value")])
    print(kafka.options)
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).parents[1]
VERSION, LOG4J = "4.4.0", "2.26.1"
USER, PASSWORD = "reader", "canary-password"
_ARTIFACTS = (
    ("org.apache.kafka", "kafka_2.13", VERSION),
    ("org.apache.logging.log4j", "log4j-slf4j-impl", LOG4J),
    ("org.apache.logging.log4j", "log4j-core", LOG4J),
)
_SETTINGS = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},SASL_PLAINTEXT://127.0.0.1:{sasl},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},SASL_PLAINTEXT://127.0.0.1:{sasl}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT
sasl.enabled.mechanisms=PLAIN
listener.name.sasl_plaintext.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_{user}="{password}";
log.dirs={data}
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
log.cleaner.backoff.ms=100
log.retention.check.interval.ms=200
log.segment.delete.delay.ms=100
"""


def unavailable() -> str:
    """Why there can be none here; "": there can."""
    missing = [name for name in ("java", "mvn") if shutil.which(name) is None]
    return f"Kafka needs {' and '.join(missing)}, which is not installed" if missing else ""


def _libraries() -> Path:
    """The folder of the broker's jars (43 MB)."""
    folder = ROOT / "build" / f"kafka-{VERSION}"
    if (folder / ".complete").exists():
        return folder / "libs"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    dependencies = "".join(
        f"<dependency><groupId>{group}</groupId><artifactId>{name}</artifactId><version>{version}</version></dependency>"
        for group, name, version in _ARTIFACTS
    )
    (folder / "pom.xml").write_text(
        "<project xmlns='http://maven.apache.org/POM/4.0.0'><modelVersion>4.0.0</modelVersion><groupId>bascule</groupId>"
        f"<artifactId>kafka</artifactId><version>1</version><dependencies>{dependencies}</dependencies></project>"
    )
    command = ["mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=libs"]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    (folder / ".complete").touch()
    return folder / "libs"


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


class Kafka:
    """One broker. A context manager: leaving it ends the broker and removes its data."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="bascule-kafka-"))
        self.port, self.sasl_port, controller = _free_port(), _free_port(), _free_port()
        self._jars = _libraries()
        self._process: subprocess.Popen[bytes] | None = None
        settings = _SETTINGS.format(
            port=self.port,
            sasl=self.sasl_port,
            controller=controller,
            user=USER,
            password=PASSWORD,
            data=self.folder / "data",
        )
        (self.folder / "server.properties").write_text(settings)
        (self.folder / "log4j2.properties").write_text(
            "rootLogger.level=warn\nrootLogger.appenderRef.a.ref=a\nappender.a.type=Console\nappender.a.name=a\n"
        )
        self._java("kafka.tools.StorageTool", "format", "-t", uuid.uuid4().hex[:22], "-c", "server.properties").wait(60)

    @classmethod
    def start(cls) -> Self:
        """A new broker that answers."""
        kafka = cls()
        try:
            kafka.restart()
        except BaseException:
            kafka.close()
            raise
        return kafka

    def _java(self, main: str, *args: str) -> subprocess.Popen[bytes]:
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [
                    *("java", "-Xmx400m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
                    *(f"-Dlog4j2.configurationFile={self.folder / 'log4j2.properties'}", "-cp", f"{self._jars}/*"),
                    *(main, *args),
                ],
                cwd=self.folder,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def restart(self) -> None:
        """Starts it where it isn't running."""
        from confluent_kafka.admin import AdminClient

        self._process = self._java("kafka.Kafka", "server.properties")
        end = time.monotonic() + 60
        while True:
            with contextlib.suppress(Exception):
                if AdminClient(self.client_settings).list_topics(timeout=1).brokers:
                    return
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError((self.folder / "log").read_text(errors="replace")[-4000:])

    def kill(self) -> None:
        """Ends it at once, as a crash does."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    @contextlib.contextmanager
    def hanging(self) -> Iterator[None]:
        """It answers nobody meanwhile."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def client_settings(self) -> dict[str, Any]:
        return {"bootstrap.servers": self.address, "logger": _silent()}

    @property
    def options(self) -> dict[str, str]:
        """Of the source `kafka`."""
        return {"servers": self.address}

    def admin(self) -> Any:
        from confluent_kafka.admin import AdminClient

        return AdminClient(self.client_settings)

    def create(self, topic: str, partitions: int = 1, **settings: str) -> None:
        """A new topic, which keeps its messages whatever their timestamps. settings: its own, with _ for each dot."""
        from confluent_kafka.admin import NewTopic

        config = {"retention.ms": "-1", **{name.replace("_", "."): value for name, value in settings.items()}}
        admin = self.admin()
        admin.create_topics([NewTopic(topic, partitions, 1, config=config)])[topic].result(30)

    def delete(self, topic: str) -> None:
        admin = self.admin()
        admin.delete_topics([topic])[topic].result(30)

    def produce(
        self,
        topic: str,
        messages: Iterable[tuple[bytes | None, bytes | None]],
        partition: int = 0,
        headers: Sequence[tuple[str, bytes | None]] | None = None,
        first_ms: int | None = None,
    ) -> None:
        """Appends (key, value) and waits for it. first_ms: their timestamps, a millisecond apart; None: the clock's."""
        from confluent_kafka import Producer

        producer = Producer({**self.client_settings, "linger.ms": 20, "queue.buffering.max.messages": 2_000_000})
        for i, (key, value) in enumerate(messages):
            more = {} if first_ms is None else {"timestamp": first_ms + i}
            producer.produce(topic, value, key, partition, headers=list(headers) if headers else None, **more)
            producer.poll(0)
        if producer.flush(60):
            raise RuntimeError("not all messages were taken")

    def transaction(self, topic: str, messages: Iterable[tuple[bytes | None, bytes | None]], commit: bool) -> None:
        """Appends to partition 0 in a transaction, which is committed or aborted."""
        from confluent_kafka import Producer

        producer = Producer({**self.client_settings, "transactional.id": uuid.uuid4().hex})
        producer.init_transactions(30)
        producer.begin_transaction()
        for key, value in messages:
            producer.produce(topic, value, key, 0)
        producer.flush(30)
        (producer.commit_transaction if commit else producer.abort_transaction)(30)

    def delete_records(self, topic: str, partition: int, before: int) -> None:
        """As retention does: the log begins there then."""
        from confluent_kafka import TopicPartition

        admin = self.admin()
        for future in admin.delete_records([TopicPartition(topic, partition, before)]).values():
            future.result(30)


def _silent() -> Any:
    import logging

    logger = logging.getLogger("bascule.tests.kafka")
    logger.setLevel(logging.CRITICAL + 1)
    return logger
