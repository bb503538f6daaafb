"""A streaming job as a user starts it, again and again with one checkpoint: ``python stream_job.py SETTINGS``, JSON of

- ``master``, ``settings``: of the session,
- ``options``: of the source ``growingsources:GrowingByRows``,
- ``folder``: where its Parquet files and its checkpoint are.

Prints the rows that the files have at its end.
"""

from __future__ import annotations

import json
import sys


def main() -> None:
    from pyspark.sql import SparkSession

    job = json.loads(sys.argv[1])
    builder = SparkSession.builder.master(job["master"])
    for name, value in job["settings"].items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    source = spark.readStream.format("python").option("python_class", "growingsources:GrowingByRows")
    writer = source.options(**job["options"]).load().writeStream.format("parquet").trigger(availableNow=True)
    rows = f"{job['folder']}/rows"
    writer.option("checkpointLocation", f"{job['folder']}/checkpoint").start(rows).awaitTermination()
    print(json.dumps([row.n for row in spark.read.parquet(rows).collect()]))


if __name__ == "__main__":
    main()
