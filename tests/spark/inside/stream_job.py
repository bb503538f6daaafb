"""A streaming job as a user starts it, again and again with one checkpoint: ``python stream_job.py SETTINGS``, JSON of

- ``master``, ``settings``: of the session,
- ``python_class``: the source, ``options``: of it,
- ``value``: which number each row has, in SQL,
- ``folder``: where its Parquet files and its checkpoint are.

Prints the numbers that the files have at its end.
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
    source = spark.readStream.format("python").option("python_class", job["python_class"])
    numbers = source.options(**job["options"]).load().selectExpr(f"{job['value']} AS n")
    writer = numbers.writeStream.format("parquet").trigger(availableNow=True)
    rows = f"{job['folder']}/rows"
    writer.option("checkpointLocation", f"{job['folder']}/checkpoint").start(rows).awaitTermination()
    print(json.dumps([row.n for row in spark.read.parquet(rows).collect()]))


if __name__ == "__main__":
    main()
