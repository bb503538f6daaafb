"""A model's predictions over any other source, as ``python('predict', source := …, model := 'churn.onnx')``.

The other source's columns, and what the model makes of them. docs/predict.md has models, inputs and outputs.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

import bascule
from bascule import ArrowBatchDataSource, Option, OptionError, Statistics, declared
from bascule.filters import Filter
from bascule.sources.predict._model import Predict

__all__ = ["PredictDataSource"]


def _options(text: str) -> dict[str, str]:
    """a JSON object of the other source's options, {"path": "/data"}"""
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise ValueError(_options.__doc__)
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in found.items()
        if value is not None
    }


def _names(text: str) -> tuple[str, ...]:
    """names with commas between them, or a JSON list of them"""
    if not text.lstrip().startswith("["):
        return tuple(name.strip() for name in text.split(","))
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        found = None
    if not isinstance(found, list) or not found or not all(isinstance(name, str) for name in found):
        raise ValueError(_names.__doc__)
    return tuple(found)


def _same(batch: pa.RecordBatch) -> pa.RecordBatch:
    return batch


class PredictDataSource(ArrowBatchDataSource):
    """A model's predictions beside the columns that they are made of.

    Example:
        >>> options = {"source": "testsources:Numbers", "model": "testsources:double", "inputs": "k"}
        >>> PredictDataSource().infer_schema(options).names
        ['p', 'k', 'x', 's', 'prediction']
    """

    OPTIONS = (
        Option("source", required=True, doc="the other source, as python('…') takes it: a short name, pkg.mod:Class, file.py:Class"),
        Option("source_options", _options, secret=True, doc='its options, a JSON object {"path": "/data"}'),
        Option("model", required=True, doc="an .onnx, .joblib or .pkl file, or pkg.mod:function over record batches. Pickles run code"),
        Option("inputs", _names, doc="the columns that the model takes, in its order; else as the model names them"),
        Option("outputs", _names, doc="names for what it makes; else the model's, or prediction"),
        Option("method", default="predict", doc="scikit-learn: predict, predict_proba, decision_function, transform"),
    )  # fmt: skip

    #: A model holds Python's lock, or takes all cores.
    executor = "process"

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._opened: tuple[bascule.Table, Predict, list[pa.Field]] | None = None
        self._last: tuple[object, bascule.Table] | None = None

    def infer_schema(self, options: Mapping[str, str]) -> pa.Schema:
        """The other source's columns, then the model's."""
        table, _, made = self._open(options)
        return pa.schema([*table.schema, *made])

    def statistics(self, options: Mapping[str, str]) -> Statistics | None:
        """The other source's."""
        return self._open(options)[0].statistics()

    def push_filters(self, filters: Sequence[Filter], options: Mapping[str, str]) -> list[Filter]:
        """Those about what the model makes; the others, the other source or this one applies."""
        return [filter for filter in filters if not self._is_about_source(filter, options)]

    def plan_partitions(
        self, options: Mapping[str, str], *, columns: Sequence[str] | None = None, filters: Sequence[Filter] = ()
    ) -> list[dict[str, Any]]:
        """The other source's partitions, for these columns and predicates."""
        maps = columns is None or not set(columns) <= set(self._open(options)[0].schema.names)
        table = self._table(options, columns, filters, maps)
        return [{"spec": one.spec, "number": one.number, "of": one.of, "maps": maps} for one in table.partitions()]

    def read_partition(
        self,
        partition_spec: dict[str, Any],
        options: Mapping[str, str],
        *,
        columns: Sequence[str] | None = None,
        filters: Sequence[Filter] = (),
    ) -> Iterator[pa.RecordBatch]:
        """Its rows, with what the model makes of them where a column of that is asked for. An engine may read fewer columns than
        it planned for: the partitions stay those that it planned.
        """
        table = self._table(options, columns, filters, partition_spec["maps"])
        yield from bascule.Partition(
            table, partition_spec["spec"], partition_spec["number"], partition_spec["of"]
        ).to_reader()

    def _is_about_source(self, filter: Filter, options: Mapping[str, str]) -> bool:
        return bool(filter.columns) and set(filter.columns) <= set(self._open(options)[0].schema.names)

    def _table(
        self, options: Mapping[str, str], columns: Sequence[str] | None, filters: Sequence[Filter], maps: bool
    ) -> bascule.Table:
        """What a query reads, the same for all of its partitions."""
        key = (None if columns is None else tuple(columns), tuple(filters), maps)
        last = self._last
        if last is None or last[0] != key:
            last = self._last = key, self._made(options, columns, filters, maps)
        return last[1]

    def _made(
        self, options: Mapping[str, str], columns: Sequence[str] | None, filters: Sequence[Filter], maps: bool
    ) -> bascule.Table:
        """maps: over the other source's batches; else they pass as they are, and where their rows are known so are ours. The model
        is not asked where nothing of it is wanted.
        """
        table, predict, made = self._open(options)
        fields = {field.name: field for field in made}
        wanted = [*table.schema.names, *fields] if columns is None else list(columns)
        kept = [name for name in wanted if name not in fields]
        asked = [name for name in wanted if name in fields]
        rows = table.where(*(filter for filter in filters if self._is_about_source(filter, options)))
        if not maps:
            return rows.select(kept)
        if not asked:
            kept = kept or table.schema.names[:1]  # a table has a column
            same = bascule.map_batches(
                rows, _same, pa.schema([table.schema.field(n) for n in kept]), reads=kept, keeps=kept
            )
            return same.select([name for name in wanted if name in kept])
        schema = pa.schema([*(table.schema.field(name) for name in kept), *(fields[name] for name in asked)])
        reads = list(dict.fromkeys([*kept, *predict.reads(table.schema.names)]))
        function = Predict(predict.model, predict.inputs, predict.outputs, predict.method, tuple(kept), tuple(asked))
        return bascule.map_batches(rows, function, schema, reads=reads, keeps=kept)

    def _open(self, options: Mapping[str, str]) -> tuple[bascule.Table, Predict, list[pa.Field]]:
        with self._lock:
            if self._opened is None:
                typed = declared(options, self.OPTIONS).typed
                predict = Predict(typed["model"], typed["inputs"], typed["outputs"], typed["method"])
                # This runs in a worker already: the other source runs beside the model.
                table = bascule.table(typed["source"], typed["source_options"], executor="inprocess")
                made = predict.fields(table.schema)
                twice = [field.name for field in made if field.name in table.schema.names]
                if twice:
                    raise OptionError(
                        f"the source has a column {twice[0]} already: name what the model makes by outputs"
                    )
                self._opened = table, predict, made
            return self._opened
