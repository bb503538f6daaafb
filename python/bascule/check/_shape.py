"""Checks of the class itself: nothing of the source is read but its schema and its partitions."""

from __future__ import annotations

import difflib
import inspect
import pickle
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from bascule import _instance, _offsets
from bascule._hints import OFFSETS, PORTABLE
from bascule._locate import a
from bascule.check._base import Broken, Check, Findings, Skip, check, counted, listed
from bascule.check._interface import OPTIONAL, REQUIRED
from bascule.check._subject import Subject
from bascule.contract import Option

# What each method is given by position.
_POSITIONAL = {
    "infer_schema": ("options",),
    "plan_partitions": ("options",),
    "read_partition": ("partition_spec", "options"),
}
_KEYWORDS = [part.name for part in OPTIONAL if part.kind == "keyword"]
_MEMBERS = [part for part in OPTIONAL if part.kind in ("method", "attribute")]


@check("found", "The class is found by its name.")
def found(subject: Subject, findings: Findings) -> None:
    with subject.attempt(""):
        cls = subject.cls
    if ":" not in subject.label:
        findings.notes.append(f"the short name stands for {cls.__module__}:{cls.__qualname__}")


@check("methods", "It has infer_schema, plan_partitions and read_partition.", ("found",))
def methods(subject: Subject, findings: Findings) -> None:
    missing = [name for name in _POSITIONAL if not callable(getattr(subject.cls, name, None))]
    if missing:
        near = {
            name: difflib.get_close_matches(
                name, [n for n in dir(subject.cls) if n not in _POSITIONAL], n=1, cutoff=0.75
            )
            for name in missing
        }
        hints = "".join(f". Its '{there[0]}' may be meant" for there in near.values() if there)
        raise Broken(f"{subject.label} has no method {', '.join(missing)}{hints}. Define it")


@check(
    "signatures",
    "The methods take (options), (options) and (partition_spec, options) by position; what else they take is "
    "keyword-only, has a default, and is known to the bridge.",
    ("methods",),
)
def signatures(subject: Subject, findings: Findings) -> None:
    # Always given where they are taken, so that they need no default.
    offsets = (PORTABLE, *OFFSETS) if _offsets.can_stream(subject.cls) else (PORTABLE,)
    for method, expected in _POSITIONAL.items():
        where = f"{subject.label}.{method}"
        try:
            parameters = _parameters(subject.cls, method)
        except (TypeError, ValueError):
            findings.notes.append(f"{where} does not tell its parameters")
            continue
        shown = f"({', '.join(str(p) for p in parameters)})"
        wanted = f"({', '.join(('self', *expected))})"
        try:
            bound = inspect.Signature(parameters).bind_partial(*expected).arguments
        except TypeError:
            findings.failures.append(f"{where} takes {shown} after self: write {wanted}")
            continue
        for parameter in parameters:
            if parameter.name not in bound:
                _check_more(where, method, parameter, wanted, offsets if method == "plan_partitions" else (), findings)


def _parameters(cls: Any, method: str) -> list[inspect.Parameter]:
    """What a call on an instance takes."""
    parameters = list(inspect.signature(getattr(cls, method)).parameters.values())
    static = inspect.getattr_static(cls, method)
    takes_self = hasattr(type(static), "__get__") and not isinstance(static, (staticmethod, classmethod))
    return (
        parameters[1:]
        if takes_self and parameters and parameters[0].kind is not parameters[0].VAR_POSITIONAL
        else parameters
    )


def _check_more(
    where: str, method: str, parameter: inspect.Parameter, wanted: str, offsets: tuple[str, ...], findings: Findings
) -> None:
    """One parameter beyond those that are given by position."""
    name = parameter.name
    default = "()" if name == "filters" else "None"
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        return
    if parameter.kind is not parameter.KEYWORD_ONLY:
        need = "takes" if parameter.default is not parameter.empty else "needs"
        findings.failures.append(
            f"{where} {need} '{name}' by position, but is called as {wanted}: write `*, {name}={default}` behind the others, or "
            "leave it out"
        )
        return
    if name in offsets:
        return
    if parameter.default is parameter.empty:
        findings.failures.append(f"{where} needs '{name}', but may be called without: write `{name}={default}`")
    known = _KEYWORDS if method != "infer_schema" else ()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean '{near[0]}'? " if near else ""
        takes = f"{method} may take {', '.join(known)}" if known else f"{method} is given the options alone"
        findings.warnings.append(f"{where} takes '{name}', which the bridge never gives: {hint}{takes}")
    elif not next(part.here for part in OPTIONAL if part.name == name):
        findings.notes.append(f"{where} takes '{name}', which this version does not give yet")


@check("options", "OPTIONS is a tuple of bascule.Option with distinct names, and the given options fit.", ("found",))
def options(subject: Subject, findings: Findings) -> None:
    declarations = getattr(subject.cls, "OPTIONS", ())
    if not isinstance(declarations, tuple):
        raise Broken(f"{subject.label}.OPTIONS is {a(declarations)}, expected a tuple of bascule.Option")
    for i, option in enumerate(declarations):
        if not isinstance(option, Option):
            raise Broken(f"{subject.label}.OPTIONS[{i}] is {a(option)}, expected a bascule.Option")
    names = Counter(option.name.casefold() for option in declarations)
    if twice := [name for name, n in names.items() if n > 1]:
        raise Broken(f"{subject.label}.OPTIONS declares {listed(twice)} twice (names ignore case): keep one of each")
    for option in declarations:
        _check_default(subject, option, findings)
    with subject.attempt(""):
        subject.new_options()
    if not declarations:
        findings.notes.append("it declares none: any name is taken, and a misspelled one is not noticed")


def _check_default(subject: Subject, option: Option, findings: Findings) -> None:
    """The default is what the text of it means."""
    if option.default is None:
        return
    if option.required:
        findings.warnings.append(f"{subject.label}.OPTIONS: '{option.name}' is required, so its default is never used")
    text = str(option.default).lower() if option.type is bool else str(option.default)
    try:
        option.parse(text)
    except ValueError as e:
        findings.failures.append(
            f"{subject.label}.OPTIONS: the default of '{option.name}' is {option.default!r}, which it would refuse: expected {e}"
        )


@check("made", "An instance can be made without arguments.", ("methods", "options"))
def made(subject: Subject, findings: Findings) -> None:
    if absent := sorted(getattr(subject.cls, "__abstractmethods__", ())):
        raise Broken(f"{subject.label} is abstract: define {', '.join(absent)}")
    if (needed := _instance._needed_arguments(subject.cls)) is not None:
        raise Broken(
            f"{subject.label}.__init__ needs {needed}: a source is made without arguments and gets its options in its "
            "methods. Move what needs them there"
        )
    instance, _, error = subject.opened()
    if error is not None and instance.step == "__init__":
        raise error
    if instance.step == "":
        raise Skip(f"it was not tried: {error}")


@check("names", "No member looks like a misspelled part of the contract.", ("found",))
def names(subject: Subject, findings: Findings) -> None:
    known = {part.name: part.kind for part in (*REQUIRED, *_MEMBERS)}
    for owner in subject.cls.__mro__:
        if owner.__module__.partition(".")[0] in ("bascule", "builtins"):
            continue
        own = vars(owner)
        for name in own:
            if name.startswith("_") or name in known:
                continue
            kind = "method" if callable(getattr(subject.cls, name, None)) else "attribute"
            absent = [part for part, is_a in known.items() if is_a == kind and part not in own]
            for near in difflib.get_close_matches(name, absent, n=1, cutoff=0.85):
                findings.warnings.append(
                    f"{subject.label}.{name} is nothing to the bridge: did you mean '{near}'? If not, begin its name with '_'"
                )


@check("importable", "A worker process can get the class.", ("found",))
def importable(subject: Subject, findings: Findings) -> None:
    if isinstance(subject.source, str) and not subject.source.startswith("__main__:"):
        return
    try:
        if pickle.loads(pickle.dumps(subject.cls)) is subject.cls and subject.cls.__module__ != "__main__":
            return
    except Exception as e:
        findings.notes.append(f"pickle says: {subject.shown(str(e))}")
    findings.notes.append(
        f"{subject.label} can't be imported by its name elsewhere: it goes to a worker process by cloudpickle. Put it into "
        "a module"
    )


@check("schema", "infer_schema returns a pyarrow.Schema, or what exports one, and it has columns.", ("made",))
def schema(subject: Subject, findings: Findings) -> None:
    if not len(subject.schema):
        raise Broken(f"{subject.label}: infer_schema returned no columns: a table has at least one")
    if twice := [name for name, n in Counter(subject.schema.names).items() if n > 1]:
        findings.warnings.append(
            f"{subject.label}: infer_schema returned {listed(twice)} more than once: an engine renames or refuses such "
            "columns, and columns=[…] can't tell them apart. Give each a name of its own"
        )
    findings.notes.append(
        f"{counted(len(subject.schema), 'column')}: {', '.join(subject.schema.names[:12])}"
        + (", …" if len(subject.schema) > 12 else "")
    )


@check("schema_again", "infer_schema returns the same on a second call, and from a second instance.", ("schema",))
def schema_again(subject: Subject, findings: Findings) -> None:
    first = subject.schema
    with subject.attempt("infer_schema, called again,"):
        again = pa.schema(subject.instance.object.infer_schema(subject.instance.options))
    _same_schema(subject, first, again, "on a second call")
    _same_schema(subject, first, subject.schema_of(subject.new_instance()), "from a second instance")


def _field(field: pa.Field) -> str:
    return f"'{field.name}' {field.type}{'' if field.nullable else ' not null'}"


def _same_schema(subject: Subject, first: pa.Schema, again: pa.Schema, when: str) -> None:
    if first.equals(again):
        return
    pairs = zip(first, again, strict=False)
    i = next((i for i, (x, y) in enumerate(pairs) if not x.equals(y)), min(len(first), len(again)))
    shown = [_field(s.field(i)) if i < len(s) else "not there" for s in (first, again)]
    raise Broken(
        f"{subject.label}: infer_schema returned another schema {when}: column {i} is {shown[1]}, before it was {shown[0]}. "
        "An engine asks several times in one query: return what does not change meanwhile"
    )


@check("plan", "plan_partitions returns a list of dicts.", ("schema",))
def plan(subject: Subject, findings: Findings) -> None:
    if not subject.specs:
        findings.notes.append("no partitions: the table is empty, so what reads them is not checked")
    else:
        findings.notes.append(counted(len(subject.specs), "partition"))


@check("specs_pickle", "Partition specs can be pickled, and are equal afterwards.", ("plan",))
def specs_pickle(subject: Subject, findings: Findings) -> None:
    incomparable = False
    for i, spec in enumerate(subject.specs):
        try:
            copy = pickle.loads(pickle.dumps(spec))
        except Exception as e:
            raise Broken(
                f"{subject.label}: the spec of partition {i} can't be pickled{_culprit(spec)}: {subject.shown(str(e))}. A "
                "spec goes to other processes: put in what finds the data, not what reads it (a path, not an open file)"
            ) from None
        equal = same(spec, copy)
        incomparable |= equal is None
        if equal is False:
            raise Broken(
                f"{subject.label}: the spec of partition {i} is another after pickling: {difference(spec, copy)}. What reads "
                "it elsewhere would read something else"
            )
    if incomparable:
        findings.notes.append("some specs can't be compared with ==")


def _culprit(spec: dict[str, Any]) -> str:
    for key, value in spec.items():
        try:
            pickle.dumps(value)
        except Exception:
            return f", because of {key!r}, {a(value)}"
    return ""


def same(x: Any, y: Any) -> bool | None:
    """``x == y``, within dicts and lists too; None where that can't be told (arrays, objects without ``==``, NaN)."""
    if isinstance(x, dict) and isinstance(y, dict):
        return x.keys() == y.keys() and _all_same((x[key], y[key]) for key in x)
    if isinstance(x, (list, tuple)) and type(x) is type(y):
        return len(x) == len(y) and _all_same(zip(x, y, strict=True))
    try:
        if x == y:
            return True
        comparable = any("__eq__" in vars(base) for base in type(x).__mro__[:-1]) and x == x
    except Exception:
        return None
    return False if comparable or type(x) is not type(y) else None


def _all_same(pairs: Iterable[tuple[Any, Any]]) -> bool | None:
    found = {same(x, y) for x, y in pairs}
    return False if False in found else None if None in found else True


def difference(before: dict[str, Any], after: dict[str, Any]) -> str:
    """Where two specs differ, in words."""
    for key in [*before, *(key for key in after if key not in before)]:
        if key not in before:
            return f"{key!r} came"
        if key not in after:
            return f"{key!r} went"
        if same(before[key], after[key]) is False:
            return f"{key!r} was {before[key]!r:.80}, then {after[key]!r:.80}"
    return "it is of another kind"


def specs_differ(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> str | None:
    """How a second plan differs from the first, or None."""
    if len(before) != len(after):
        return f"{counted(len(after), 'partition')}, before {len(before):,}"
    for i, (x, y) in enumerate(zip(before, after, strict=True)):
        if same(x, y) is False:
            return f"partition {i}: {difference(x, y)}"
    return None


CHECKS: tuple[Check, ...] = (
    found, methods, signatures, options, made, names, importable, schema, schema_again, plan, specs_pickle
)  # fmt: skip
