"""What our format costs in Spark and Sail over a data source written by hand, and what workers gain under one lock."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from bench.machine import REPOSITORY
from bench.measure import Case, Figure, SkippedError, ratios, scaled

sys.path.insert(0, str(REPOSITORY / "tests"))


def _case(name: str, title: str, rows: int, gain: float | None, quick: bool) -> Case:
    from spark import environments
    from spark.clusters import CLUSTERS, java_version

    environment, deploy = CLUSTERS[name]
    if environment != "sail" and java_version() < 17:
        raise SkippedError("Spark 4 needs Java 17")
    rounds, rows = (2, rows // 10) if quick else (7, rows)
    python = environments.python(environment)
    with tempfile.TemporaryDirectory() as folder, deploy(python, Path(folder), REPOSITORY / "bench") as session:
        env = {**session.env, "BASCULE_SPARK_SESSION": json.dumps(dataclasses.asdict(session))}
        command = [str(python), str(REPOSITORY / "bench" / "spark_inside.py"), str(rounds), str(rows)]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=3600)
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")] or [""]
    if not line:
        raise RuntimeError(f"{name}: {done.stdout[-2000:]}{done.stderr[-4000:]}")
    found = json.loads(line.removeprefix("RESULT "))
    ours, hand, process, inprocess = (found[side] for side in ("ours", "hand", "process", "inprocess"))
    million = found["rows"] / 1e6
    figures = [
        Figure(
            f"{million:.0f} M rows of three columns: of a data source written by hand",
            *("x", ratios(ours, hand), 1.05, scaled(ours, 1e3), scaled(hand, 1e3), "ms"),
        ),
        Figure(
            "a class that holds Python's lock, 2 partitions: in-process over worker processes",
            *("x", ratios(inprocess, process), gain, scaled(process, 1e3), scaled(inprocess, 1e3), "ms"),
            at_least=gain is not None,
        ),
    ]
    setup = (
        f"{rounds} rounds of the four queries in turn, batches of 65,536 rows out of the same buffers, 2 partitions; count, a "
        "sum, a distinct count. The second line's sides: worker processes, in-process"
    )
    return Case(title, setup, figures, ('format("python")', "by hand"))


CASES = {
    "spark": partial(_case, "spark-4.3-local", "Spark 4.3, in the driver's process", 30_000_000, None),
    "sail": partial(_case, "sail", "Sail 0.7.2", 100_000_000, 1.7),
}
