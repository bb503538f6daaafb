"""A streaming job whose driver is killed in the middle of a micro-batch, and started again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from spark import environments
from spark.clusters import java_version, local

TESTS = Path(__file__).parents[1]
JOB = TESTS / "spark" / "inside" / "stream_job.py"


@pytest.mark.timeout(300)
def test_a_killed_driver_loses_no_row_and_none_is_twice(tmp_path):
    if java_version() < 17:
        pytest.skip("Spark 4 needs Java 17 (openjdk-17-jre-headless)")
    python = environments.python("spark-4.3")
    length, record = tmp_path / "length", tmp_path / "record"
    options = {"length": str(length), "record": str(record), "most": "250", "hang_at": "600"}

    with local(python, tmp_path, TESTS) as session:

        def job() -> subprocess.Popen[str]:
            said = {"master": session.master, "settings": session.settings, "options": options, "folder": str(tmp_path)}
            command = [str(python), str(JOB), json.dumps(said)]
            return subprocess.Popen(command, env=session.env, stdout=subprocess.PIPE, text=True, start_new_session=True)

        length.write_text("1000")
        first = job()
        while not (tmp_path / "length.done").exists():
            assert first.poll() is None
            time.sleep(0.1)
        # Driver, JVM and readers, in the middle of the rows from 500 to 750.
        os.killpg(first.pid, signal.SIGKILL)
        first.communicate()
        length.write_text("1100")
        second = job()
        out, _ = second.communicate(timeout=200)
    assert second.returncode == 0
    assert sorted(json.loads(out.splitlines()[-1])) == list(range(1100))
    planned = [
        tuple(offset["n"] for offset in rest)
        for kind, *rest in map(json.loads, record.read_text().splitlines())
        if kind == "plan"
    ]
    assert planned == [(0, 250), (250, 500), (500, 750), (500, 750), (750, 1000), (1000, 1100)]
