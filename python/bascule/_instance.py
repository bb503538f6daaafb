"""The life of one instance: made, asked, read, closed.

Called by the executors (the in-process one from C), which time these calls,
hold no lock meanwhile and turn what is raised into an error. Everything that
the contract demands of a class is checked here.
"""

from __future__ import annotations

import _thread
import difflib
import inspect
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from bascule import _cache, _locate, _offsets, _specs
from bascule._hints import KEYWORDS, OFFSETS, PORTABLE, Hints, may_hold, missing_filters, rows_of, takes
from bascule._identity import marks_of, same_marks
from bascule._locate import a
from bascule.contract import Option, Statistics
from bascule.errors import ContractError, OptionError, describe, mask, printable
from bascule.options import Options, declared

__all__ = [
    *("Found", "Instance", "Plan", "exports_arrow", "items_of", "keep", "not_arrow", "release", "resolve", "shutdown"),
    *("trimming", "warn"),
]

_METHODS = ("infer_schema", "plan_partitions", "read_partition")
_log = logging.getLogger("bascule")
_NO_HINTS = Hints()


class Found:
    """A class as it was found. Once its methods are replaced, as a notebook's ``%autoreload`` does, it is another:
    what is open of the old one is not what the next query gets.
    """

    def __init__(self, cls: type, marks: list[object]) -> None:
        self.cls = cls
        self.marks = marks
        self.count = 0
        self.wants_process: bool = _executor_of(cls) == "process"

    def __repr__(self) -> str:
        return f"<Found {self.cls.__module__}:{self.cls.__qualname__}, {self.count} times>"


# What executors know by its address, holding no reference themselves; and the newest of each class, by the
# class's address, which its Found keeps.
_found: dict[int, Found] = {}
_newest: dict[int, Found] = {}
# A collection of garbage may close a source, and so release its class, anywhere in these functions.
_found_lock = threading.RLock()


def _executor_of(cls: type) -> str | None:
    """The executor that a class asks for."""
    asked = getattr(cls, "executor", None)
    if asked in (None, "inprocess", "process"):
        return asked
    raise ContractError(f"has executor = {asked!r}, which is neither 'inprocess' nor 'process'")


class _Elsewhere:
    """Stands for a class that is not for this interpreter: its file names dependencies of its own."""

    executor = "process"


def resolve(kind: int, module: str, name: str, may_leave: bool = False) -> Found:
    """The class that a locator names, kept until :func:`release`; ``kind`` is ``enum bsc_locator_kind``.

    may_leave: a file with inline script metadata is not imported, but ``wants_process``.
    """
    if may_leave and kind == 1:
        from bascule import _environment

        if _environment.has_metadata(module):
            return keep(_Elsewhere)
    return keep(_locate.from_locator(kind, module, name))


def keep(cls: type) -> Found:
    """What :func:`resolve` makes of a class that was found otherwise."""
    marks = marks_of(cls)
    new = Found(cls, marks)
    with _found_lock:
        found = _newest.get(id(cls))
        if found is None or not same_marks(found.marks, marks):
            found = _newest[id(cls)] = new
        found.count += 1
        _found[id(found)] = found
    return found


def release(found: Found) -> None:
    """Ends one :func:`resolve`."""
    with _found_lock:
        found.count -= 1
        if not found.count:
            del _found[id(found)]
            if _newest.get(id(found.cls)) is found:
                del _newest[id(found.cls)]


def shutdown() -> None:
    """Lets go of every class, at the interpreter's end."""
    with _found_lock:
        _found.clear()
        _newest.clear()


def warn(text: str) -> None:
    """Logs what the core or an adapter in C has to say (``bsc_log_warning``)."""
    _log.warning("%s", text)


class Plan:
    """The partitions of one query.

    Args:
        specs: of those that may hold a row that it wants.
        n_pruned: how many more there are.
        rows: of each, exactly, -1 for unknown; None where none is known.
        pushed: its predicates, for people; "" where the class takes none.
    """

    def __init__(
        self,
        instance: Instance,
        hints: Hints,
        specs: list[dict[str, Any]],
        n_pruned: int,
        rows: list[int] | None,
        pushed: str,
    ) -> None:
        self.instance = instance
        self.hints = hints
        self.specs = specs
        self.n_pruned = n_pruned
        self.rows = rows
        self.pushed = pushed

    def spec(self, partition: int) -> bytes:
        """One partition for another process: what :meth:`Instance.restore` takes."""
        return _specs.dump(self.specs[partition])

    def read(self, partition: int) -> Iterator[object]:
        """The items of one partition."""
        return self.instance.read(self.specs[partition], self.hints)


class Instance:
    """One instance of a user's class, with its options.

    Args:
        found: the class.
        label: ``pkg.mod:Class``, for messages.
        pairs: the options as given, names and values.
        evolve: convert batches to the declared schema where no value can change. Reading then needs the schema.
        cache_ttl: seconds for which what the class says may be kept; 0: not at all.
        cache_epoch: how often the host was told to forget what is kept.
    """

    def __init__(
        self,
        found: Found,
        label: str,
        pairs: list[tuple[str, str]],
        evolve: bool = False,
        cache_ttl: float = 0,
        cache_epoch: int = 0,
    ) -> None:
        self.label = label
        self.options: Options = Options(pairs)
        self.secrets: list[str] = self.options.secrets()
        self.object: Any = None
        self.step: str = ""  # what open() is doing, for messages
        self.inferred: bool = False  # infer_schema was asked
        self.evolve = evolve
        self._plan_takes: tuple[str, ...] = ()
        self._read_takes: tuple[str, ...] = ()
        self._cls = found.cls
        self._schema: Any = None  # as pyarrow's, for evolve
        self._cache_ttl = cache_ttl
        self._cache_epoch = cache_epoch
        self._cached: _cache.Entry | None = None

    def open(self) -> object:
        """Makes the instance and asks for its schema, once. Returns what exports it."""
        self.make()
        return self.infer()

    def make(self) -> None:
        """Checks the class and the options, and makes the instance."""
        self.options = self.options.resolve()
        self._keep_secrets()
        missing = [m for m in _METHODS if not callable(getattr(self._cls, m, None))]
        if missing:
            raise ContractError(
                f"has no method {', '.join(missing)}: a source has {', '.join(_METHODS)} (see bascule.ArrowBatchDataSource)"
                f"{_near(self._cls, missing)}"
            )
        if absent := sorted(getattr(self._cls, "__abstractmethods__", ())):
            raise ContractError(f"is abstract, it does not define {', '.join(absent)}{_near(self._cls, absent)}")
        if (needed := _needed_arguments(self._cls)) is not None:
            raise ContractError(
                f"can't be made, its __init__ needs {needed}: a source is made without arguments and gets its options in "
                "its methods"
            )
        if declarations := getattr(self._cls, "OPTIONS", ()):
            if isinstance(declarations, Option):
                raise ContractError("has OPTIONS that is one Option, no tuple: write a comma behind it, (Option(…),)")
            if not all(isinstance(option, Option) for option in declarations):
                raise ContractError("has OPTIONS that are no tuple of bascule.Option")
            self.options.mark_secrets(declarations)
            self._keep_secrets()
            self.options = declared(self.options, declarations)
        offsets = OFFSETS if _offsets.can_stream(self._cls) else ()
        self._plan_takes = takes(self._cls.plan_partitions, (*KEYWORDS, PORTABLE, *offsets))  # type: ignore[attr-defined]
        self._read_takes = takes(self._cls.read_partition)  # type: ignore[attr-defined]
        options = tuple(self.options.items())
        self._cached = _cache.entry(self._cls, options, self.evolve, self._cache_ttl, self._cache_epoch)
        self.step = "__init__"
        self.object = self._cls()

    def infer(self) -> object:
        """Asks the instance for its schema, if that isn't known. Returns what exports it."""
        self.step = "infer_schema"
        known = self._known
        schema = known["schema"] if "schema" in known else self.object.infer_schema(self.options)
        if not hasattr(schema, "__arrow_c_schema__"):
            raise ContractError(f"returned {a(schema)}, expected a pyarrow.Schema")
        if self.evolve:
            import pyarrow as pa

            self._schema = pa.schema(schema)
        self.inferred = True
        known["schema"] = schema
        return schema

    @property
    def _known(self) -> dict[str, Any]:
        """What is kept of the class's answers; where nothing may be kept, an empty one that nobody keeps."""
        return self._cached.known if self._cached else {}

    @property
    def _takes_filters(self) -> bool:
        return "filters" in (*self._plan_takes, *self._read_takes)

    def _keep_secrets(self) -> None:
        # Of a source made of tables: those of the tables' options.
        inner = getattr(self._cls, "_bascule_secrets", list)
        self.secrets = sorted({*self.secrets, *self.options.secrets(), *inner()}, key=len, reverse=True)

    def has_statistics(self) -> bool:
        return callable(getattr(self._cls, "statistics", None))

    def statistics(self) -> tuple[int, int, bool] | None:
        """Rows and bytes, -1 for unknown, and whether the rows are exact; None where the class says nothing.

        An estimate changes no result, so what the class raises is logged.
        """
        known = self._known
        try:
            found = known["statistics"] if "statistics" in known else self._asked_statistics()
        except Exception as e:
            _log.warning("%s", describe(e, f"{self.label}: statistics", self.secrets))
            return None
        known["statistics"] = found
        if found is None:
            return None
        if not isinstance(found, Statistics):
            raise ContractError(f"returned {a(found)}, expected a bascule.Statistics or None")
        rows, size = found.num_rows, found.total_bytes
        for name, number in (("num_rows", rows), ("total_bytes", size)):
            if number is not None and (isinstance(number, bool) or not isinstance(number, int) or number < 0):
                raise ContractError(f"returned Statistics with {name} = {number!r}, which is no number of at least 0")
        most = 2**63 - 1
        return (
            -1 if rows is None else min(rows, most),
            -1 if size is None else min(size, most),
            bool(found.exact) and rows is not None,
        )

    def _asked_statistics(self) -> Any:
        return self.object.statistics(self.options) if self.has_statistics() else None

    def claim(self, data: bytes) -> list[bool]:
        """Which of the predicates in ``data`` every read applies exactly, so that nobody need check them again."""
        filters = Hints(data=data).filters
        push = getattr(self.object, "push_filters", None)
        if not callable(push) or not filters:
            return [False] * len(filters)
        left = push(filters, self.options)
        try:
            left = tuple(left)
        except TypeError:
            raise ContractError(f"returned {a(left)}, expected a list of the predicates that are left to do") from None
        for filter in left:
            if filter not in filters:
                raise ContractError(f"returned {filter!r:.200}, which is none of the predicates that it was given")
        claimed = [filter not in left for filter in filters]
        if any(claimed) and not self._takes_filters:
            raise ContractError(
                "claims predicates, but neither plan_partitions nor read_partition takes them: write `*, filters=()`"
            )
        return claimed

    def offset(self, method: str, start: str, end: str) -> str:
        """What the class says to a question about its offsets: see :func:`bascule._offsets.ask`."""
        self._check_streaming()
        return _offsets.ask(self.object, method, self.options, start, end)

    def _check_streaming(self) -> None:
        if not set(OFFSETS) <= set(self._plan_takes):
            raise ContractError(_offsets.not_streaming(self.object))

    def plan(self, hints: Hints = _NO_HINTS, demand: bool = True) -> Plan:
        """The partitions that a query asks for; ``demand``: which must restrict what the class requires, but for one
        that offsets bound.
        """
        if hints.end:
            self._check_streaming()
        required = getattr(self._cls, "required_filters", None)
        if demand and not hints.end and required is not None and (missing := missing_filters(required, hints.filters)):
            raise OptionError(missing)
        kept_plans = self._cached if self._cached and getattr(self._cls, "cache_partitions", False) else None
        if kept_plans and hints in kept_plans.plans:
            return Plan(self, hints, *kept_plans.plans[hints])
        specs = self.object.plan_partitions(self.options, **hints.of(self._plan_takes))
        if not isinstance(specs, (list, tuple)):
            raise ContractError(f"returned {a(specs)}, expected a list of dicts")
        kept: list[dict[str, Any]] = []
        rows: list[int] = []
        for i, spec in enumerate(specs):
            if not isinstance(spec, dict):
                raise ContractError(f"returned a list whose item {i} is {a(spec)}, expected a dict")
            if may_hold(spec, i, hints.filters):
                kept.append(spec)
                rows.append(rows_of(spec, i))
        pushed = self.masked(hints.text()) if hints.filters and self._takes_filters else ""
        _log.debug(
            "%s: %d partitions to read, %d pruned; columns %s, predicates %s, limit %s",
            *(
                self.label,
                len(kept),
                len(specs) - len(kept),
                _shown(hints.columns),
                pushed or "none pushed",
                hints.limit,
            ),
        )
        planned = (kept, len(specs) - len(kept), rows if any(n >= 0 for n in rows) else None, pushed)
        if kept_plans:
            kept_plans.keep_plan(hints, planned)
        return Plan(self, hints, *planned)

    def restore(self, hints: Hints, specs: list[bytes]) -> Plan:
        """The plan of which these are partitions, by :meth:`Plan.spec` of another process."""
        return Plan(self, hints, [_specs.load(spec) for spec in specs], 0, None, "")

    def read(self, spec: dict[str, Any], hints: Hints = _NO_HINTS) -> Iterator[object]:
        """The items that the class yields for one partition."""
        # A copy: what a class does to it must not reach the next read.
        items = self.object.read_partition(dict(spec), self.options, **hints.of(self._read_takes))
        try:
            batches = items_of(items)
        except TypeError:
            raise ContractError(f"returned {a(items)}, expected an iterator of record batches (use yield)") from None
        if not self.evolve:
            return batches
        from bascule import _evolve

        return _evolve.conform(batches, self._schema, hints.columns)

    def close(self) -> None:
        """``close()`` of the class, where it has one. What it raises is logged: nobody waits for it."""
        made, self.object = self.object, None
        close = getattr(made, "close", None)
        if made is not None and callable(close):
            self.quietly(close, "close")

    def end(self, items: object) -> None:
        """Ends a generator that was not read to its end, so that its ``finally`` runs."""
        close = getattr(items, "close", None)
        if callable(close):
            self.quietly(close, "read_partition, ended early,")

    def quietly(self, call: Callable[[], object], what: str) -> None:
        """Calls what nobody waits for; what it raises is logged."""
        try:
            call()
        except BaseException as e:
            if isinstance(e, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
                _thread.interrupt_main()  # pressed once more: the program's
                return
            _log.warning("%s", describe(e, f"{self.label}: {what}", self.secrets))

    def masked(self, text: str) -> str:
        """``text`` of foreign code, without the secrets."""
        return printable(mask(text, self.secrets))


def exports_arrow(item: object) -> bool:
    """Whether it exports Arrow data by the PyCapsule interface."""
    return hasattr(item, "__arrow_c_stream__") or hasattr(item, "__arrow_c_array__")


def items_of(returned: Any) -> Iterator[Any]:
    """The items of what ``read_partition`` returned: it may be one that exports Arrow, by itself."""
    return iter((returned,) if exports_arrow(returned) else returned)


def _near(cls: type, names: Sequence[str]) -> str:
    """What the class has instead, by a slip of the pen."""
    found = [
        difflib.get_close_matches(name, [n for n in dir(cls) if n not in _METHODS], n=1, cutoff=0.75) for name in names
    ]
    return "".join(f". Its '{near[0]}' may be meant" for near in found if near)


def not_arrow(item: object) -> ContractError:
    """The error for an item that exports no Arrow data."""
    return ContractError(
        f"yielded {a(item)}, expected a record batch or another object that exports Arrow "
        "(__arrow_c_array__ or __arrow_c_stream__): a pyarrow.RecordBatch or Table, a Polars frame, a nanoarrow array. "
        "Of rows as dicts pyarrow.RecordBatch.from_pylist(rows, schema=…) makes one"
    )


def trimming(schema: Any, columns: tuple[str, ...]) -> tuple[Any, list[int] | None]:
    """What to select of batches with a ``pyarrow.Schema`` for a query that reads ``columns``.

    Returns:
        The schema, and the columns' indices; or None for them where it is not worth it, or where a
        name is missing or not unique: then batches go whole.
    """
    indices = [schema.get_field_index(name) for name in columns]
    worth_it = 2 * len(indices) < len(schema) and all(i >= 0 for i in indices)
    return schema, indices if worth_it else None


def _shown(columns: tuple[str, ...] | None) -> str:
    return "all" if columns is None else ", ".join(columns) or "none"


def _needed_arguments(cls: type) -> str | None:
    """The parameters without a default of the class's constructor, or None."""
    try:
        parameters = inspect.signature(cls).parameters.values()
    except (TypeError, ValueError):
        return None
    needed = [p.name for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    return ", ".join(needed) or None
