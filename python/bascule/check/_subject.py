"""The class under check: what several checks need of it, made once."""

from __future__ import annotations

import contextlib
import pickle
import sys
import time
import types
from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import count
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from bascule import _instance
from bascule._native import Partition, Source, parse_locator, setting_names
from bascule.check._base import Broken, Limits, Skip
from bascule.contract import Option
from bascule.errors import BasculeError, OptionError, describe, mask, printable
from bascule.options import Options, declared, is_secret_name

if TYPE_CHECKING:
    from bascule.check._pushed import Pushed
    from bascule.check._reading import FirstRead

_aliases = count()

#: What the core raises, by itself and through pyarrow's reader.
CORE_ERRORS = (BasculeError, pa.ArrowException, OSError)


class Subject:
    """A class and its options, under check.

    Args:
        source: what ``python('…')`` takes, or the class itself.
        options: strings by name, the bridge's settings among them.
        limits: how far it is read.
    """

    def __init__(self, source: str | type, options: Mapping[str, str], limits: Limits) -> None:
        self.limits = limits
        self.given: dict[str, str] = dict(options)
        self.source = source
        self.label: str = source if isinstance(source, str) else f"{source.__module__}:{source.__qualname__}"
        self._started: float | None = None
        self._aliases: dict[str, str] = {}  # names that only this check knows, and what a reader calls them
        self._opened: tuple[_instance.Instance, pa.Schema | None, BaseException | None] | None = None
        self._instances: list[_instance.Instance] = []
        self._core: Source | None = None
        self.first_read: FirstRead | None = None
        self.pushed: Pushed | None = None

    # ---- the class ----

    @cached_property
    def locator(self) -> str:
        """What the core finds the class by."""
        return self.source if isinstance(self.source, str) else self._alias(self.source)

    @cached_property
    def found(self) -> _instance.Found:
        kind, module, name = parse_locator(self.locator)
        return _instance.resolve(kind, module, name)

    @property
    def cls(self) -> Any:
        return self.found.cls

    def _alias(self, cls: type) -> str:
        """A name for a class that the core can look up, until :meth:`close`."""
        module = ModuleType(f"bascule_checked_{next(_aliases)}")
        module.Class = cls  # type: ignore[attr-defined]
        sys.modules[module.__name__] = module
        self._aliases[f"{module.__name__}:Class"] = self.label
        return f"{module.__name__}:Class"

    # ---- the options ----

    @cached_property
    def pairs(self) -> list[tuple[str, str]]:
        """The options that the class is given: without the bridge's settings."""
        settings = {name.casefold() for name in setting_names}
        return [
            (name, value)
            for name, value in self.given.items()
            if name.casefold() not in settings and not name.casefold().startswith("bascule_")
        ]

    @cached_property
    def declarations(self) -> tuple[Option, ...]:
        declared = getattr(self.cls, "OPTIONS", ())
        return tuple(o for o in declared if isinstance(o, Option)) if isinstance(declared, (tuple, list)) else ()

    def new_options(self) -> Options:
        """The options as the class is given them, whose they are to change.

        Raises:
            OptionError: they don't fit what it declares, or can't be resolved.
        """
        options = Options(self.pairs).resolve()
        return declared(options, self.declarations) if self.declarations else options

    def is_secret(self, name: str) -> bool:
        """True if the value of this option is masked."""
        return is_secret_name(name) or any(o.secret and o.name.casefold() == name.casefold() for o in self.declarations)

    # ---- an instance without the core, for what the core does not show ----

    def new_instance(self) -> _instance.Instance:
        """An instance that was not asked anything yet; closed with the subject."""
        made = _instance.Instance(self.found, self.label, self.pairs)
        self._instances.append(made)
        return made

    def opened(self) -> tuple[_instance.Instance, pa.Schema | None, BaseException | None]:
        """The instance that most checks ask, its schema, and what its opening raised."""
        if self._opened is None:
            instance = self.new_instance()
            try:
                self._opened = instance, self.schema_of(instance), None
            except (Broken, BasculeError) as e:
                self._opened = instance, None, e
        return self._opened

    def schema_of(self, instance: _instance.Instance) -> pa.Schema:
        """Opens an instance."""
        try:
            return pa.schema(instance.open())
        except KeyboardInterrupt:
            raise
        except BaseException as e:
            raise self.broken(e, instance.step) from None

    @property
    def instance(self) -> _instance.Instance:
        instance, _, error = self.opened()
        if error is not None:
            raise error
        return instance

    @property
    def schema(self) -> pa.Schema:
        """What the first call of ``infer_schema`` returned."""
        _, schema, error = self.opened()
        if error is not None:
            raise error
        return schema

    @cached_property
    def specs(self) -> list[dict[str, Any]]:
        with self.attempt("plan_partitions"):
            return self.instance.plan(demand=False).specs

    def spec(self, i: int) -> dict[str, Any]:
        """A copy of a partition's spec that shares nothing with it, as a worker process gets it."""
        copy: dict[str, Any] = pickle.loads(pickle.dumps(self.specs[i]))
        return copy

    # ---- the core ----

    def open(self, cls: type | None = None, options: Mapping[str, str] | None = None) -> Source:
        """The class, or one that stands for it, opened by the core with every check of its batches."""
        given = self.given if options is None else options
        others = {name: value for name, value in given.items() if name.casefold() != "bascule_validation"}
        locator = self._read_locator if cls is None else self._alias(cls)
        return Source(locator, {**others, "bascule_validation": "full"})

    @cached_property
    def _read_locator(self) -> str:
        """What reads find the class by: without its ``required_filters``, which would refuse those without predicates."""
        if not hasattr(self.found.cls, "required_filters"):
            return self.locator
        cls = self.cls
        body = {"required_filters": None, "__module__": cls.__module__, "__qualname__": cls.__qualname__}
        return self._alias(types.new_class(cls.__name__, (cls,), exec_body=lambda namespace: namespace.update(body)))

    @property
    def core(self) -> Source:
        if self._core is None:
            self._core = self.open()
        return self._core

    def batches(self, partition: Partition) -> Iterator[pa.RecordBatch]:
        """The batches of one partition. Raises Broken with the message that an engine's user reads."""
        try:
            reader = pa.RecordBatchReader.from_stream(partition)
            while True:
                yield reader.read_next_batch()
        except StopIteration:
            return
        except CORE_ERRORS as e:
            raise Broken(self.shown(str(e))) from None

    # ---- time ----

    def spent(self, share: float = 1.0) -> bool:
        """True if this share of the time is used up; it begins with the first question."""
        now = time.monotonic()
        if self._started is None:
            self._started = now
        return now - self._started >= self.limits.max_seconds * share

    # ---- messages ----

    @contextlib.contextmanager
    def attempt(self, what: str, partition: int | None = None) -> Iterator[None]:
        """What the class raises within is a failure; ``what`` says what was called, "" for nothing of the class."""
        try:
            yield
        except (KeyboardInterrupt, Broken, Skip):
            raise
        except BaseException as e:
            raise self.broken(e, what, partition) from None

    def broken(self, error: BaseException, what: str, partition: int | None = None) -> Broken | BasculeError:
        """The failure that an error is, in an engine's words. An OptionError stays one."""
        where = self.label if partition is None else f"{self.label}, partition {partition}"
        text = describe(error, f"{where}: {what}" if what else where, self.secrets())
        return OptionError(text) if isinstance(error, OptionError) else Broken(self.shown(text))

    def shown(self, text: str) -> str:
        """A text for the reader: no secret, no name that only this check knows."""
        for alias, name in self._aliases.items():
            text = text.replace(alias, name)
        return printable(mask(text, self.secrets()))

    def secrets(self) -> list[str]:
        found: set[str] = {value for name, value in self.pairs if is_secret_name(name)}
        for instance in self._instances:
            found.update(instance.secrets)
        with contextlib.suppress(OptionError):
            found.update(Options(self.pairs).secrets())
        return sorted(filter(None, found), key=len, reverse=True)

    def close(self) -> None:
        """Closes every instance and forgets every name."""
        self.first_read = self.pushed = self._core = None
        for instance in self._instances:
            instance.close()
        for alias in self._aliases:
            sys.modules.pop(alias.partition(":")[0], None)
        if "found" in vars(self):
            _instance.release(self.found)
