"""Models: an ONNX file, a pickled scikit-learn model, a function; each makes columns of a batch."""

from __future__ import annotations

import functools
import importlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from bascule import BasculeError, OptionError

__all__ = ["Predict"]

_EXTRA = "pip install 'bascule[predict]'"
#: A value of each kind of column, for a first call that shows what comes out.
_EXAMPLE_TEXT = "a"


@dataclass(frozen=True)
class Predict:
    """A model by its name, loaded when a process first calls it: a function over batches, which goes to others by value.

    Args:
        model: a path, or ``pkg.mod:function``.
        inputs: its columns, in order; None: as the model says.
        outputs: names of what it makes; None: as the model says, else ``prediction``.
        method: of scikit-learn's models.
        keeps: columns that go on beside what it makes.
        wanted: which of the outputs.
    """

    model: str
    inputs: tuple[str, ...] | None = None
    outputs: tuple[str, ...] | None = None
    method: str = "predict"
    keeps: tuple[str, ...] = ()
    wanted: tuple[str, ...] | None = None

    def _loaded(self) -> Model:
        path = Path(self.model).expanduser()
        changed = path.stat().st_mtime_ns if path.is_file() else 0
        return _load(self.model, self.method, changed)

    def reads(self, available: Sequence[str]) -> tuple[str, ...]:
        """The columns that it needs.

        Raises:
            OptionError: the model doesn't say, or they aren't there.
        """
        names = self.inputs or self._loaded().inputs
        if names is None:
            raise OptionError(
                f"the model {self.model} doesn't say which columns it takes: give inputs := 'a,b,c', in its order"
            )
        missing = [name for name in names if name not in available]
        if missing:
            raise OptionError(
                f"the model {self.model} takes {', '.join(missing)}, which the source has not: it has {', '.join(available)}"
            )
        return tuple(names)

    def fields(self, schema: pa.Schema) -> list[pa.Field]:
        """What it makes of columns of this schema, found by one made-up row."""
        names = self.reads(schema.names)
        row = pa.record_batch(
            {name: pa.array([_example(schema.field(name).type)], schema.field(name).type) for name in names}
        )
        made = self._made(row, names)
        return [pa.field(name, array.type) for name, array in made.items()]

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        made = self._made(batch, self.reads(batch.schema.names))
        wanted = made if self.wanted is None else {name: made[name] for name in self.wanted}
        return pa.record_batch({**{name: batch[name] for name in self.keeps}, **wanted})

    def _made(self, batch: pa.RecordBatch, names: Sequence[str]) -> dict[str, pa.Array]:
        model = self._loaded()
        try:
            found = model.run(batch.select(list(names)), self.outputs)
        except BasculeError:
            raise
        except Exception as e:  # of the model's library
            raise BasculeError(
                f"the model {self.model} failed on {batch.num_rows:,} rows: {type(e).__name__}: {e}"
            ) from e
        if self.outputs is not None and len(self.outputs) != len(found):
            raise OptionError(
                f"the model {self.model} makes {len(found)} columns, and outputs names {len(self.outputs)}"
            )
        columns = dict(zip(self.outputs or found, found.values(), strict=True))
        for name, array in columns.items():
            if len(array) != batch.num_rows:
                raise BasculeError(
                    f"the model {self.model} made {len(array)} values of '{name}' for {batch.num_rows} rows"
                )
        return columns


@dataclass(frozen=True)
class Model:
    """A model in memory.

    Args:
        inputs: the columns that it says it takes; None: it doesn't.
        run: makes named columns of a batch of them; may be told the names.
    """

    inputs: tuple[str, ...] | None
    run: Callable[[pa.RecordBatch, Sequence[str] | None], dict[str, pa.Array]]


@functools.lru_cache(maxsize=16)
def _load(model: str, method: str, changed: int) -> Model:
    """``changed``: when its file was; another one is loaded anew."""
    suffix = Path(model).suffix.lower()
    if changed:
        if suffix == ".onnx":
            return _onnx(model)
        if suffix in (".joblib", ".pkl", ".pickle"):
            return _sklearn(model, method)
        raise OptionError(f"the model {model} has none of the suffixes .onnx, .joblib, .pkl")
    module, colon, name = model.partition(":")
    if not colon or os.sep in model:
        raise OptionError(f"there is no model {model}: it is an .onnx, .joblib or .pkl file, or 'pkg.mod:function'")
    try:
        function = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as e:
        raise OptionError(f"the model {model} can't be found: {e}") from None
    if isinstance(function, type):  # a class: one of it for each process
        function = function()
    return Model(None, lambda batch, outputs: _named(function(batch), outputs))


def _missing(library: str, model: str) -> BasculeError:
    return BasculeError(f"the model {model} needs {library}, which is not installed here: {_EXTRA}")


# ---- ONNX ----


def _onnx(path: str) -> Model:
    try:
        import onnxruntime
    except ModuleNotFoundError:
        raise _missing("onnxruntime", path) from None
    try:
        session = onnxruntime.InferenceSession(path, providers=onnxruntime.get_available_providers())
    except Exception as e:  # onnxruntime's have no common class
        raise BasculeError(f"the model {path} can't be loaded: {e}") from None
    inputs, outputs = session.get_inputs(), session.get_outputs()
    kinds = {
        "tensor(float)": "float32",
        "tensor(double)": "float64",
        "tensor(int64)": "int64",
        "tensor(int32)": "int32",
    }
    kinds |= {"tensor(string)": "object", "tensor(bool)": "bool"}
    for put in (*inputs, *outputs):
        if put.type not in kinds:
            raise BasculeError(
                f"the model {path} has '{put.name}' of type {put.type}, and only tensors of numbers, booleans and texts are taken "
                "(a classifier of scikit-learn: convert it with options={'zipmap': False})"
            )

    def run(batch: pa.RecordBatch, names: Sequence[str] | None) -> dict[str, pa.Array]:
        import numpy as np

        if len(inputs) == 1 and batch.num_columns > 1:  # one matrix
            kind = kinds[inputs[0].type]
            feed = {inputs[0].name: np.column_stack([_values(batch, name, kind) for name in batch.schema.names])}
        else:
            feed = {}
            for put, name in zip(inputs, batch.schema.names, strict=True):
                column = _values(batch, name, kinds[put.type])
                feed[put.name] = column.reshape(-1, 1) if len(put.shape) == 2 else column
        found = session.run(None, feed)
        return {put.name: _array(values) for put, values in zip(outputs, found, strict=True)}

    return Model(tuple(put.name for put in inputs) if len(inputs) > 1 else None, run)


# ---- scikit-learn ----


def _sklearn(path: str, method: str) -> Model:
    try:
        import joblib
    except ModuleNotFoundError:
        raise _missing("scikit-learn", path) from None
    try:
        model = joblib.load(path)
    except Exception as e:  # whatever unpickling raises
        raise BasculeError(f"the model {path} can't be loaded: {type(e).__name__}: {e}") from None
    call = getattr(model, method, None)
    if not callable(call):
        raise OptionError(f"the model {path} is a {type(model).__name__}, which has no method {method}")
    features = getattr(model, "feature_names_in_", None)

    def run(batch: pa.RecordBatch, names: Sequence[str] | None) -> dict[str, pa.Array]:
        import numpy as np

        if features is None:
            given: Any = np.column_stack([_values(batch, name, None) for name in batch.schema.names])
        else:
            given = batch.to_pandas()
        return {"prediction": _array(call(given))}

    return Model(None if features is None else tuple(map(str, features)), run)


# ---- values ----


def _values(batch: pa.RecordBatch, name: str, kind: str | None) -> Any:
    """A column for a model; NULL is NaN, where there is one."""
    column = batch[name]
    if column.null_count and kind not in (None, "float32", "float64"):
        raise BasculeError(f"the column {name} has NULLs, which the model doesn't take")
    values = column.to_numpy(zero_copy_only=False)
    return values if kind is None else values.astype(kind, copy=False)


def _array(values: Any) -> pa.Array:
    """What a model made: one column, or of a matrix a list of as many numbers for each row."""
    import numpy as np

    values = np.asarray(values)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values.ravel()
    if values.ndim == 2:
        return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(values).ravel()), values.shape[1])
    return pa.array(values)


def _named(made: Any, outputs: Sequence[str] | None) -> dict[str, pa.Array]:
    """What a function returned: a batch or table, a dict of columns, or one column."""
    if isinstance(made, dict):
        return {name: column if isinstance(column, pa.Array) else _array(column) for name, column in made.items()}
    if isinstance(made, (pa.Array, pa.ChunkedArray)):
        return {"prediction": made.combine_chunks() if isinstance(made, pa.ChunkedArray) else made}
    if hasattr(made, "__arrow_c_stream__") or hasattr(made, "__arrow_c_array__"):
        table = pa.table(made)
        return {name: table[name].combine_chunks() for name in table.column_names}
    return {"prediction": _array(made)}


def _example(type_: pa.DataType) -> Any:
    if pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_):
        return _EXAMPLE_TEXT
    if pa.types.is_boolean(type_):
        return False
    if (
        pa.types.is_integer(type_)
        or pa.types.is_floating(type_)
        or pa.types.is_decimal(type_)
        or pa.types.is_temporal(type_)
    ):
        return 0
    return None
