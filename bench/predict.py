"""The source `predict` beside its model called directly on the same batches."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa

import bascule
from bench.measure import Case, Figure, SkippedError, alternate, check, ratios, scaled, stopwatch
from bench.sources import wide_batch

ROWS = 1 << 16
INPUTS = ("f0", "f1", "f2", "f3")


def onnx(quick: bool) -> Case:
    """A small network, which takes time of its own; one worker against one loop."""
    try:
        import onnxruntime
        from skl2onnx import to_onnx
        from skl2onnx.common.data_types import FloatTensorType
        from sklearn.neural_network import MLPRegressor
    except ModuleNotFoundError as e:
        raise SkippedError(f"{e.name} is not installed") from None
    n_batches, n = (8, 3) if quick else (40, 15)
    batch = wide_batch(ROWS)
    matrix = _matrix(batch)
    model = MLPRegressor(hidden_layer_sizes=(32, 32), max_iter=5).fit(matrix[:2000], matrix[:2000].sum(axis=1))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(
            to_onnx(model, initial_types=[("X", FloatTensorType([None, len(INPUTS)]))]).SerializeToString()
        )
        session = onnxruntime.InferenceSession(str(path))
        options = {"source": "bench.sources:Wide", "model": str(path), "inputs": ",".join(INPUTS), "outputs": "y"}
        options["source_options"] = f'{{"rows": {ROWS}, "batches": {n_batches}, "partitions": 1}}'
        tables = {
            executor: bascule.table("bascule.sources.predict:PredictDataSource", options, executor=executor, workers=1)
            for executor in ("inprocess", "process")
        }

        def ours(executor: str) -> float:
            seconds, seen = stopwatch(
                lambda: sum(b.num_rows for b in tables[executor].select("y").to_reader(threads=1))
            )
            check("rows", seen, n_batches * ROWS)
            return seconds

        def direct() -> float:
            def loop() -> int:
                return sum(len(session.run(None, {"X": _matrix(batch)})[0]) for _ in range(n_batches))

            seconds, seen = stopwatch(loop)
            check("rows", seen, n_batches * ROWS)
            return seconds

        inside, process, theirs = alternate(n, lambda: ours("inprocess"), lambda: ours("process"), direct)
    figures = [
        Figure("predict in-process", "x", ratios(inside, theirs), 1.2, scaled(inside, 1e3), scaled(theirs, 1e3), "ms"),
        Figure(
            "predict in one worker", "x", ratios(process, theirs), 1.2, scaled(process, 1e3), scaled(theirs, 1e3), "ms"
        ),
    ]
    setup = (
        f"{n_batches * ROWS / 1e6:.1f} M rows in batches of 65,536, one partition; an ONNX network of two layers of 32 over four columns; the "
        f"prediction alone is read. {n} runs in turn"
    )
    return Case("Predictions beside the model called directly", setup, figures, ("predict", "directly"))


def _matrix(batch: pa.RecordBatch) -> np.ndarray:
    return np.column_stack([batch[name].to_numpy(zero_copy_only=False).astype("float32") for name in INPUTS])
