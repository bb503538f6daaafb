"""The suite in ``inside``, over each deployment."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from servers import Postgres
from spark import environments
from spark.clusters import CLUSTERS, java_version

TESTS = Path(__file__).parents[1]
SUITES = ["suite.py", "databases.py", "streams.py"]
#: Where streams are as in another one.
WITHOUT_STREAMS = ("spark-4.3-pushing", "sail-local-cluster")


def passed(name: str, folder: Path, postgres: str) -> str:
    """What pytest printed inside the deployment of that name. postgres: a URL; "": there is none."""
    environment, deploy = CLUSTERS[name]
    python = environments.python(environment)
    with deploy(python, folder, TESTS) as session:
        env = {
            **session.env,
            "BASCULE_SPARK_NAME": name,
            "BASCULE_SPARK_POSTGRES": postgres,
            "BASCULE_SPARK_SESSION": json.dumps({k: v for k, v in dataclasses.asdict(session).items() if k != "env"}),
        }
        done = subprocess.run(
            [
                *(
                    str(python),
                    "-m",
                    "pytest",
                    "-q",
                    "--durations=12",
                    "--noconftest",
                    "-p",
                    "spark.inside.session",
                    "-p",
                    "no:cacheprovider",
                ),
                *(
                    "-o",
                    "filterwarnings=default",
                    "-o",
                    "pythonpath=tests tests/conformance",
                    "--basetemp",
                    str(folder / "t"),
                ),
                *(f"tests/spark/inside/{s}" for s in SUITES if s != "streams.py" or name not in WITHOUT_STREAMS),
            ],
            env=env,
            cwd=TESTS.parent,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
    assert done.returncode == 0, f"{name} failed:\n{done.stdout[-12000:]}{done.stderr[-3000:]}"
    if name.endswith("standalone"):
        logs = "".join(log.read_text("utf-8", "replace") for log in folder.glob("work*/app-*/*/stderr"))
        assert re.search(r"INFO bascule: testsources:Numbers, partition 2 of 4: 10 rows in 2 batches, \d", logs), logs[
            -3000:
        ]
    if name == "sail":
        log = (folder / "sail-local.log").read_text("utf-8", "replace")
        assert re.search(r"INFO bascule: testsources:Numbers, all of 4 partitions: 40 rows in 8 batches, \d", log), log[
            -3000:
        ]
    return done.stdout


def _numbers_in_postgres(request: pytest.FixtureRequest) -> str:
    """The URL of a database with what inside/databases.py reads; "" where there is no PostgreSQL to be had."""
    if Postgres.unavailable() is not None:
        return ""
    database = request.getfixturevalue("postgres").create_database()
    database.run(
        "CREATE TABLE numbers (id integer PRIMARY KEY, half double precision, u uuid);"
        "INSERT INTO numbers SELECT i, i / 2.0, lpad(to_hex(i), 32, '0')::uuid FROM generate_series(0, 99) AS i;"
        "CREATE TABLE times (id integer, at time); INSERT INTO times VALUES (1, '12:30')"
    )
    return "jdbc:" + database.url()


@pytest.fixture(scope="module")
def begun(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[str]]]:
    """The chosen deployments, two at a time: each waits for its JVMs more than it works."""
    environments.wheel()
    postgres = _numbers_in_postgres(request)
    chosen = [name for name in CLUSTERS if any(f"[{name}]" in item.name for item in request.session.items)]
    with ThreadPoolExecutor(2) as pool:
        yield {name: pool.submit(passed, name, tmp_path_factory.mktemp(name), postgres) for name in chosen}


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", CLUSTERS)
def test_the_suite_passes_in(name, request):
    if "spark-4" in name and java_version() < 17:
        pytest.skip("Spark 4 needs Java 17 (openjdk-17-jre-headless)")
    said = request.getfixturevalue("begun")[name].result()
    assert re.search(r"\d{2,} passed", said), said[-2000:]
    assert os.environ.get("CI") != "true" or "skipped" not in said
