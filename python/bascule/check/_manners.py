"""Checks of what a class does beside reading: to what it is given, at its end, with secrets."""

from __future__ import annotations

import contextlib
import io
import logging
import re
import secrets as random_secrets
import warnings
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from bascule._hints import Hints
from bascule._instance import items_of
from bascule.check._base import Broken, Check, Findings, Skip, check, listed
from bascule.check._reading import first_read
from bascule.check._shape import difference, same
from bascule.check._subject import CORE_ERRORS, Subject
from bascule.contract import Option

_SOME_PARTITIONS = 2
_SOME_ITEMS = 2  # of each of these


@check(
    "unchanged", "No method changes the options or the partition spec that it is given.", ("specs_pickle", "batches")
)
def unchanged(subject: Subject, findings: Findings) -> None:
    instance = subject.new_instance()
    subject.schema_of(instance)
    made, options, given = instance.object, instance.options, dict(subject.new_options())
    _same_options(subject, "infer_schema", given, options)
    with subject.attempt("plan_partitions"):
        instance.plan(demand=False)
    _same_options(subject, "plan_partitions", given, options)
    for i in range(min(_SOME_PARTITIONS, len(subject.specs))):
        spec, whole = subject.spec(i), subject.spec(i)
        parts = dict(spec)  # what is within is the same
        with subject.attempt("read_partition", i):
            some_items(made.read_partition(spec, options), _SOME_ITEMS)
        _same_options(subject, "read_partition", given, options)
        where = f"{subject.label}, partition {i}: read_partition changed"
        if same(parts, whole) is False:
            text = (
                f"{where} what is in its spec: {difference(whole, parts)}. A partition may be read again from the same spec: "
                "copy before you change it"
            )
            raise Broken(subject.shown(text))
        if same(spec, whole) is False:
            text = (
                f"{where} its spec: {difference(whole, spec)}. The bridge hands over a copy; who calls the class without it "
                "does not"
            )
            findings.warnings.append(subject.shown(text))
            return


def _same_options(subject: Subject, method: str, given: dict[str, str], options: dict[str, str]) -> None:
    if dict(options) != given:
        text = (
            f"{subject.label}: {method} changed its options: {difference(given, dict(options))}. Other threads read them "
            "meanwhile, and a worker process does not see the change: copy before you change them"
        )
        raise Broken(subject.shown(text))


def some_items(items: Any, n: int) -> list[Any]:
    """The first ``n`` items that a class yields for a partition, whose generator is then ended."""
    found = items_of(items)
    taken = [item for _, item in zip(range(n), found, strict=False)]
    if callable(close := getattr(found, "close", None)):
        with contextlib.suppress(Exception):  # another check's
            close()
    return taken


@check("columns_used", "Where `columns` is taken, other columns are not read.", ("columns",))
def columns_used(subject: Subject, findings: Findings) -> None:
    names = subject.schema.names
    if len(names) < 2:
        raise Skip("there is one column")
    with subject.attempt("read_partition"):
        plan = subject.instance.plan(Hints((names[0],)), demand=False)
        items = some_items(plan.read(0), 1) if plan.specs else []
    if not items:
        raise Skip("no batch was read")
    got = len(_columns_of(items[0]))
    if got >= len(names):
        findings.warnings.append(
            f"{subject.label}: read_partition yielded all {len(names):,} columns when it was asked for '{names[0]}': allowed, "
            "but they are read for nothing. Yield those in columns, or don't take it"
        )


def _columns_of(item: Any) -> list[str]:
    if hasattr(item, "__arrow_c_stream__"):
        return list(pa.RecordBatchReader.from_stream(item).schema.names)
    return [field.name for field in pa.array(item).type]


@check("ended_early", "A read that is ended early ends: its `finally` runs, and raises nothing.", ("batches",))
def ended_early(subject: Subject, findings: Findings) -> None:
    reads = [read for read in first_read(subject).reads if read.n_batches]
    if not reads:
        raise Skip("no batch was read")
    i = max(reads, key=lambda read: read.n_batches).rows.partition
    instance = subject.instance
    with subject.attempt("read_partition", i):
        items = instance.read(subject.specs[i])
        next(items)
    close = getattr(items, "close", None)
    if not callable(close):
        findings.notes.append("read_partition is no generator: what it holds open is its own to close")
        return
    with subject.attempt("read_partition, ended early,", i):
        close()


@check("close", "close() raises nothing, after a read and where nothing was read.", ("plan",))
def close(subject: Subject, findings: Findings) -> None:
    if not callable(getattr(subject.cls, "close", None)):
        raise Skip("it has no close()")
    _close(subject, "close, of an instance that was asked for its schema alone (as each bind of a query is),", False)
    if subject.specs:
        _close(subject, "close, after a read,", True)


def _close(subject: Subject, what: str, reads: bool) -> None:
    """Closes an instance of its own, before or after it was read."""
    instance = subject.new_instance()
    subject.schema_of(instance)
    if reads:
        with contextlib.suppress(Exception):  # another check's
            some_items(instance.object.read_partition(dict(subject.specs[0]), instance.options), 1)
    made, instance.object = instance.object, None  # it is closed once
    with subject.attempt(what):
        made.close()


# ---- secrets ----


@check("secrets", "The value of a secret option is in no error, log, warning or output.", ("made",))
def secrets(subject: Subject, findings: Findings) -> None:
    declared = [option for option in subject.declarations if subject.is_secret(option.name)]
    if not declared:
        raise Skip("no secret option is declared")
    canaries = {option.name: canary for option in declared if (canary := _canary(option)) is not None}
    if not canaries:
        raise Skip(f"no made-up value fits {listed(option.name for option in declared)}")
    folded = {name.casefold() for name in canaries}
    others = {name: value for name, value in subject.given.items() if name.casefold() not in folded}
    said = _said(subject, {**others, **canaries})
    findings.notes.append(f"a made-up value was given for {listed(canaries)}")
    for where, text in said:
        for name, canary in canaries.items():
            if line := next((line for line in text.splitlines() if canary in line.casefold()), None):
                shown = re.sub(re.escape(canary), "***", line, flags=re.IGNORECASE).strip()
                reason = f"{subject.label}: the value of option '{name}' is in {where}: {shown}\nLeave it out there"
                findings.failures.append(subject.shown(reason))


def _canary(option: Option) -> str | None:
    for canary in (f"canary-{random_secrets.token_hex(6)}", str(10**9 + random_secrets.randbelow(10**9))):
        with contextlib.suppress(ValueError):
            option.parse(canary)
            return canary
    return None


def _said(subject: Subject, options: dict[str, str]) -> list[tuple[str, str]]:
    """What is written while a class is opened and read once: where, and the text."""
    log, said = _Log(), []
    out, err = io.StringIO(), io.StringIO()
    with (
        log.attached(),
        warnings.catch_warnings(record=True) as warned,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        warnings.simplefilter("always")
        try:
            plan = subject.open(options=options).plan()
            if plan.partition_count:
                next(subject.batches(plan.scan().partition(0)), None)
        except (Broken, *CORE_ERRORS) as e:
            said.append(("an error", str(e)))
    said += [(f"a warning ({warning.category.__name__})", str(warning.message)) for warning in warned]
    said += [("its output", out.getvalue()), ("its error output", err.getvalue())]
    return said + log.said


class _Log(logging.Handler):
    """Keeps what is logged, and from INFO on."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[tuple[str, str]] = []
        self._formatter = logging.Formatter("%(message)s")

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(Exception):
            self.said.append((f"the log '{record.name}' ({record.levelname})", self._formatter.format(record)))

    @contextlib.contextmanager
    def attached(self) -> Iterator[None]:
        """In place of the root logger's handlers, so that nothing else shows what is looked for."""
        root = logging.getLogger()
        handlers, level = root.handlers, root.level
        root.handlers = [self]
        root.setLevel(min(level, logging.INFO) or logging.INFO)
        own = logging.getLogger("bascule")  # whose records go nowhere else meanwhile
        own.addHandler(self)
        try:
            yield
        finally:
            own.removeHandler(self)
            root.handlers = handlers
            root.setLevel(level)


CHECKS: tuple[Check, ...] = (columns_used, unchanged, ended_early, close, secrets)
