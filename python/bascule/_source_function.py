"""``@bascule.source``: a generator function as a class of the contract."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, get_args, overload

from bascule._instance import exports_arrow, items_of, not_arrow
from bascule.contract import Option
from bascule.errors import ContractError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["source"]

_TYPES = (str, int, float, bool)


@overload
def source(function: Callable[..., Any]) -> type: ...


@overload
def source(
    function: None = None,
    *,
    partitions: Iterable[Any] | Callable[..., Iterable[Any]] | None = None,
    schema: Any = None,
) -> Callable[[Callable[..., Any]], type]: ...


def source(
    function: Callable[..., Any] | None = None,
    *,
    partitions: Iterable[Any] | Callable[..., Iterable[Any]] | None = None,
    schema: Any = None,
) -> type | Callable[[Callable[..., Any]], type]:
    """Makes a generator function a source: a class that every engine reads.

    Args:
        partitions: a value for each, which is the function's first parameter; or a function of the options that returns
            them. None: there is one, and the function has options alone.
        schema: a ``pyarrow.Schema``, or a function of the options. None: the function's return annotation or, without one,
            the schema of the first batch of the first partition, which is then read for it.

    The function's other parameters are its options: their annotations (``str``, ``int``, ``float``, ``bool``) are types,
    their defaults are defaults; one without is required. It yields record batches, or whatever exports Arrow.

    Example:
        >>> import bascule, pyarrow as pa
        >>> @bascule.source(partitions=range(3))
        ... def squares(partition, factor: int = 1):
        ...     yield pa.record_batch({"n": [partition], "square": [factor * partition**2]})
        >>> bascule.table(squares, factor=10).to_arrow()["square"].to_pylist()
        [0, 10, 40]
    """

    def made(function: Callable[..., Any]) -> type:
        return _class_of(function, partitions, schema)

    return made if function is None else made(function)


def _class_of(function: Callable[..., Any], partitions: Any, schema: Any) -> type:
    parameters = list(inspect.signature(function).parameters.values())
    if partitions is not None:
        if not parameters:
            raise TypeError(f"{function.__qualname__} takes no partition: its first parameter is one of `partitions`")
        parameters = parameters[1:]
    hints = _annotations(function)
    returned = hints.get("return")
    if schema is None and hasattr(returned, "__arrow_c_schema__") and not isinstance(returned, type):
        schema = returned
    body = {
        "OPTIONS": tuple(_option(function, parameter, hints.get(parameter.name)) for parameter in parameters),
        "_function": staticmethod(function),
        "_partitions": partitions if partitions is None else _kept(partitions, tuple),
        "_schema": _kept(schema, lambda schema: schema),
        "__module__": function.__module__,
        "__qualname__": function.__qualname__,
        "__doc__": function.__doc__,
    }
    return type(function.__name__, (_FromFunction,), body)


def _kept(given: Any, plain: Callable[[Any], Any]) -> Any:
    """As an attribute of the class: a function of the options, or a value made ``plain``."""
    return staticmethod(given) if callable(given) else plain(given)


def _annotations(function: Callable[..., Any]) -> dict[str, Any]:
    """Evaluated, where they are texts and can be."""
    found = dict(getattr(function, "__annotations__", {}))
    for name, annotation in found.items():
        if isinstance(annotation, str):
            try:
                found[name] = eval(annotation, vars(sys.modules[function.__module__]))
            except Exception:
                found[name] = None
    return found


def _option(function: Callable[..., Any], parameter: inspect.Parameter, annotation: Any) -> Option:
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
        raise TypeError(f"{function.__qualname__}: the option {parameter} can't be given by its name")
    default = None if parameter.default is parameter.empty else parameter.default
    kinds = [kind for kind in (annotation, *get_args(annotation), type(default)) if kind in _TYPES]
    kind = kinds[0] if kinds else str
    return Option(parameter.name, kind, default=default, required=parameter.default is parameter.empty)


class _FromFunction:
    """What the classes have in common."""

    OPTIONS: tuple[Option, ...]
    _function: Callable[..., Any]
    _partitions: Any
    _schema: Any

    def infer_schema(self, options: Any) -> pa.Schema:
        schema = type(self)._schema
        if schema is not None:
            return schema(**options.typed) if callable(schema) else schema
        return self._first_schema(options)

    def plan_partitions(self, options: Any) -> list[dict[str, Any]]:
        return [{"partition": value} for value in self._values(options)]

    def read_partition(self, partition_spec: dict[str, Any], options: Any) -> Any:
        given = () if type(self)._partitions is None else (partition_spec["partition"],)
        return type(self)._function(*given, **options.typed)

    def _values(self, options: Any) -> list[Any]:
        partitions = type(self)._partitions
        if partitions is None:
            return [None]
        return list(partitions(**options.typed) if callable(partitions) else partitions)

    def _first_schema(self, options: Any) -> pa.Schema:
        import pyarrow as pa

        for spec in self.plan_partitions(options)[:1]:
            for item in items_of(self.read_partition(spec, options)):
                if not exports_arrow(item):
                    raise not_arrow(item)
                return pa.table(item).schema
        raise ContractError(
            "yields no batch that tells the columns: write schema=… in @bascule.source, or annotate the function"
        )
