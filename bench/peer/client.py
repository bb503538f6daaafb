"""vgi-python's client: reads its worker's batches each time that a line comes, and prints the seconds.

Arguments: the batch's file, how many batches, bytes of shared memory (0: through a pipe).
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pyarrow as pa
from vgi.arguments import Arguments
from vgi.client import Client
from vgi_rpc.pool import WorkerPool


def main() -> None:
    path, n, shm_bytes = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    os.environ["BENCH_BATCH"] = path
    with pa.OSFile(path) as file:
        expected = pa.ipc.open_file(pa.BufferReader(file.read())).get_batch(0)
    pool = WorkerPool(max_idle=1, shm_size=shm_bytes or None)
    command = [sys.executable, str(Path(__file__).with_name("worker.py"))]
    with Client(command, worker_limit=1, pool=pool) as client:
        for _ in sys.stdin:
            start = time.perf_counter()
            n_rows, batch = 0, None
            for batch in client.table_function(
                function_name="batches", schema_path=["main"], arguments=Arguments(positional=[pa.scalar(n)])
            ):
                n_rows += batch.num_rows
            seconds = time.perf_counter() - start
            if n_rows != n * expected.num_rows or batch is None or not batch.equals(expected):
                raise SystemExit(f"vgi-python: {n_rows} rows, expected {n * expected.num_rows}, or other values")
            print(seconds, flush=True)


if __name__ == "__main__":
    main()
