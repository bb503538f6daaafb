"""Servers for tests: each started on first use, once a test run, and a database of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import kafka_server
from kafka_server import Kafka
from servers import Database, MariaDB, Postgres, Server


def started(kind: type[Server]) -> Server:
    """A new server; skips where it can't be had."""
    if reason := kind.unavailable():
        pytest.skip(reason)
    return kind.start()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """The test run's PostgreSQL. A test that harms it takes own_postgres."""
    with started(Postgres) as server:
        yield server


@pytest.fixture(scope="session")
def mariadb() -> Iterator[Server]:
    """The test run's MariaDB. A test that harms it takes own_mariadb."""
    with started(MariaDB) as server:
        yield server


@pytest.fixture(scope="session")
def kafka() -> Iterator[Kafka]:
    """The test run's broker of Kafka. A test that harms it takes own_kafka."""
    if reason := kafka_server.unavailable():
        pytest.skip(reason)
    with Kafka.start() as server:
        yield server


@pytest.fixture
def own_kafka() -> Iterator[Kafka]:
    """A broker for this test alone, which may harm it. About 8 s."""
    if reason := kafka_server.unavailable():
        pytest.skip(reason)
    with Kafka.start() as server:
        yield server


@pytest.fixture
def pg(postgres: Server) -> Iterator[Database]:
    """A new database of the test run's PostgreSQL."""
    database = postgres.create_database()
    yield database
    database.drop()


@pytest.fixture
def maria(mariadb: Server) -> Iterator[Database]:
    """A new database of the test run's MariaDB."""
    database = mariadb.create_database()
    yield database
    database.drop()


@pytest.fixture
def own_postgres() -> Iterator[Server]:
    """A PostgreSQL for this test alone, which may harm it. About 1.5 s."""
    with started(Postgres) as server:
        yield server


@pytest.fixture
def own_mariadb() -> Iterator[Server]:
    """A MariaDB for this test alone, which may harm it. About 5 s."""
    with started(MariaDB) as server:
        yield server
