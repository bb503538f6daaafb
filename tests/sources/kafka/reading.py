"""Reads KafkaDataSource as its users do."""

from __future__ import annotations

import uuid
from typing import Any

import bascule

SOURCE = "bascule.sources.kafka:KafkaDataSource"


def table(kafka: Any, topic: str | None, *, executor: str = "inprocess", **options: Any) -> bascule.Table:
    """The table of a topic."""
    given = {**kafka.options, "topics": topic, "timeout": 15, **options}
    return bascule.table(SOURCE, {k: v for k, v in given.items() if v is not None}, executor=executor, workers=4)


def new_topic(kafka: Any, partitions: int = 1, **settings: str) -> str:
    name = f"t-{uuid.uuid4().hex[:12]}"
    kafka.create(name, partitions, **settings)
    return name


def numbers(n: int, first: int = 0) -> list[tuple[bytes, bytes]]:
    return [(b"k%d" % i, b"v%d" % i) for i in range(first, first + n)]
