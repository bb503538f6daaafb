"""``bascule describe``."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from bascule.cli import tables
from bascule.cli.arguments import declared_options, import_from_here, resolve, source_argument, source_options
from bascule.cli.masking import Masked
from bascule.cli.sources import facts_of, first_line, option_rows
from bascule.contract import Option
from bascule.errors import BasculeError
from bascule.errors import describe as worded

if TYPE_CHECKING:
    import pyarrow as pa

    from bascule import _native

__all__ = ["command"]

_SPECS = 3
_ROWS = 5
_ATTRIBUTES = ("push_filters", "statistics", "OPTIONS", "close", "executor", "required_filters", "cache_partitions")
_METHODS = {"plan": "plan_partitions", "read": "read_partition"}
_INTERRUPTED = ("interrupted (KeyboardInterrupt)", "interrupted by Ctrl-C")
_HINTS = ("columns", "filters", "limit")


@click.command("describe")
@source_argument
@source_options
@click.option("--sample/--no-sample", default=True, help=f"Read {_ROWS} rows, of the first partition that has any.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(source: str, options: list[tuple[str, str]], sample: bool, as_json: bool) -> None:
    """Show a source: schema, partitions, capabilities, options, some rows.

    SOURCE is what python('…') takes: pkg.mod:Class, path/to/file.py:Class, or an installed short name. No engine is
    needed. Values of options that are secret or look so are never shown.

    \b
    bascule describe orders.py:Orders -o region=eu
    bascule describe jdbc -o url=sqlite:///shop.db -o dbtable=orders
    """
    import_from_here()
    found = _Description(source, options, sample=sample)
    if as_json:
        click.echo(json.dumps(found.facts, indent=2, ensure_ascii=False))
    else:
        found.show()


class _Description:
    """What is found out about a source.

    Raises:
        BasculeError: the source can't be found, opened, planned or read.
    """

    def __init__(self, name: str, pairs: list[tuple[str, str]], *, sample: bool) -> None:
        import pyarrow as pa

        from bascule import _native

        self._cls = resolve(name)
        self._declared = declared_options(self._cls)
        self._masked = Masked(pairs, self._declared)
        source = _native.Source(name, self._masked.options)
        plan = source.plan()
        self._schema: pa.Schema = pa.schema(source)
        self._sample = _first_batch(plan) if sample else None
        specs = _specs(name, source.label, self._masked.options)
        plain = self._masked.plain
        self.facts: dict[str, Any] = {
            "source": source.label,
            "class": f"{self._cls.__module__}:{self._cls.__qualname__}",
            "doc": first_line(self._cls),
            "schema": [self._field(field) for field in self._schema],
            "metadata": plain(_decoded(self._schema.metadata)),
            "partitions": plan.partition_count,
            "first_partitions": plain(specs[:_SPECS]),
            "capabilities": capabilities(self._cls),
            "options": [self._option(option) for option in self._declared],
            "given": {name: self._masked.option(name, value) for name, value in self._masked.options.items()},
            "sample": None if not sample else [] if self._sample is None else plain(_rows(self._sample)),
        }

    def show(self) -> None:
        """Prints it for people."""
        facts = self.facts
        click.secho(facts["source"], bold=True)
        if ":" not in facts["source"]:  # a short name
            click.echo(facts["class"])
        if facts["doc"]:
            click.echo(facts["doc"])
        _head("Schema")
        fields = [
            (f["name"], f["type"], "" if f["nullable"] else "no nulls", _line(f["metadata"]) if f["metadata"] else "")
            for f in facts["schema"]
        ]
        wide = 4 if any(row[3] for row in fields) else 3
        tables.show(("column", "type", "nulls", "metadata")[:wide], [row[:wide] for row in fields])
        if facts["metadata"]:
            click.echo(f"metadata: {_line(facts['metadata'])}")
        count, first = facts["partitions"], facts["first_partitions"]
        _head(f"Partitions: {count:,}")
        for spec in first:
            click.echo(f"  {_line(spec)}")
        if count > len(first):
            click.echo(f"  … {count - len(first):,} more")
        if facts["sample"] is not None:
            self._show_sample()
        _head("Capabilities")
        for word, colour, sought in (("has", "green", True), ("has not", None, False)):
            names = [name for name, has in facts["capabilities"].items() if has is sought]
            if names:
                click.echo(f"  {click.style(f'{word:8}', fg=colour)}{', '.join(names)}")
        if self._declared:
            _head("Options")
            columns, rows = option_rows(self._declared)
            given = {name.casefold(): value for name, value in facts["given"].items()}
            tables.show((*columns, "given"), [(*row, given.get(str(row[0]).casefold(), "")) for row in rows])
        elif facts["given"]:
            _head("Options given (the class declares none)")
            for name, value in facts["given"].items():
                click.echo(f"  {name} = {value}")

    def _show_sample(self) -> None:
        if self._sample is None:
            _head("No rows")
            return
        _head(f"First rows: {self._sample.num_rows}")
        names = self._sample.schema.names
        columns = [[self._cell(value) for value in _values(column)] for column in self._sample.columns]
        numbers = {i for i, f in enumerate(self._sample.schema) if _is_number(f.type)}
        tables.show(names, list(zip(*columns, strict=True)), right=numbers)

    def _cell(self, value: Any) -> str | None:
        plain = self._masked.plain(value)
        return plain if plain is None or isinstance(plain, str) else _line(plain)

    def _field(self, field: pa.Field) -> dict[str, Any]:
        metadata = self._masked.plain(_decoded(field.metadata))
        return {"name": field.name, "type": str(field.type), "nullable": field.nullable, "metadata": metadata}

    def _option(self, option: Option) -> dict[str, Any]:
        value = self._masked.options.get(option.name)
        return {**facts_of(option), "given": None if value is None else self._masked.option(option.name, value)}


def capabilities(cls: Any) -> dict[str, bool]:
    """Which optional parts of the contract a class has."""
    import inspect

    from bascule import _offsets

    found: dict[str, bool] = {}
    for hint, (short, method) in itertools.product(_HINTS, _METHODS.items()):
        try:
            parameters = inspect.signature(getattr(cls, method)).parameters
        except (AttributeError, TypeError, ValueError):
            parameters = {}  # type: ignore[assignment]
        found[f"{hint} ({short})"] = hint in parameters
    found |= {name: bool(getattr(cls, name, None)) for name in (*_ATTRIBUTES, "write_partition")}
    return {**found, "stream": _offsets.can_stream(cls)}


def _first_batch(plan: _native.Plan) -> pa.RecordBatch | None:
    """The first rows of the first partition that has any; nothing is read after them."""
    import pyarrow as pa

    scan = plan.scan()
    try:
        for i in range(plan.partition_count):
            with pa.RecordBatchReader.from_stream(scan.partition(i)) as reader:
                for batch in reader:
                    if batch.num_rows:
                        return batch.slice(0, _ROWS)
    except (pa.ArrowException, OSError) as e:
        # An Arrow stream carries the core's errors, masked already, as pyarrow's, and Ctrl-C as its words.
        if str(e).endswith(_INTERRUPTED):
            raise KeyboardInterrupt from None
        raise BasculeError(str(e)) from None
    return None


def _specs(name: str, label: str, options: Mapping[str, str]) -> list[dict[str, Any]]:
    """The partition specs, asked of an instance of their own: the core hands none out."""
    from bascule import _instance, _native

    found = _instance.resolve(*_native.parse_locator(name))
    settings = _native.setting_names
    instance = _instance.Instance(found, label, [(n, v) for n, v in options.items() if n.casefold() not in settings])
    try:
        instance.open()
        return instance.plan(demand=False).specs
    except Exception as e:
        raise BasculeError(worded(e, f"{label}: plan_partitions", instance.secrets)) from e
    finally:
        instance.close()
        _instance.release(found)


def _rows(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    columns = [_values(column) for column in batch.columns]
    return [dict(zip(batch.schema.names, row, strict=True)) for row in zip(*columns, strict=True)]


def _values(column: pa.Array) -> list[Any]:
    """The values as Python's; as text where Python has none for them, as for nanoseconds."""
    import pyarrow as pa

    if pa.types.is_temporal(column.type):
        return list(column.cast(pa.string()).to_pylist())
    try:
        return list(column.to_pylist())
    except (ValueError, OverflowError, NotImplementedError):
        return [str(column.slice(i, 1)) for i in range(len(column))]


def _decoded(metadata: Mapping[bytes, bytes] | None) -> dict[str, str]:
    return {k.decode(errors="replace"): v.decode(errors="replace") for k, v in (metadata or {}).items()}


def _is_number(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _head(text: str) -> None:
    click.echo()
    click.secho(text, bold=True)
