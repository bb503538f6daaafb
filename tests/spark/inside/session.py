"""The suite's session, as a plugin of pytest: the deployment is in BASCULE_SPARK_SESSION (clusters.Session as JSON)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest


@dataclass(frozen=True)
class Deployment:
    """What the engine is, for what differs."""

    name: str
    session: Any

    @property
    def is_sail(self) -> bool:
        return self.name.startswith("sail")

    @property
    def is_remote(self) -> bool:
        return self.is_sail or self.name.endswith("connect")

    @property
    def pushes(self) -> bool:
        return self.is_sail or self.name.endswith("pushing")

    def read(self, source: str, /, **options: str) -> Any:
        """A data frame of a source."""
        if self.pushes and not self.is_sail:
            options = {"bascule_pushdown": "true", **options}
        return self.session.read.format("python").option("python_class", source).options(**options).load()


@pytest.fixture(scope="session")
def engine() -> Iterator[Deployment]:
    from pyspark.sql import SparkSession

    how = json.loads(os.environ["BASCULE_SPARK_SESSION"])
    builder = SparkSession.builder
    if how["remote"]:
        builder = builder.remote(how["remote"])
    else:
        builder = builder.master(how["master"])
        for name, value in how["settings"].items():
            builder = builder.config(name, value)
    session = builder.getOrCreate()
    if not how["remote"]:
        session.sparkContext.setLogLevel("ERROR")
    if how["remote"]:
        session.conf.set("spark.sql.session.timeZone", "UTC")
    yield Deployment(os.environ["BASCULE_SPARK_NAME"], session)
    session.stop()
