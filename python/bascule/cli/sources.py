"""``bascule sources``."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import click

from bascule.cli import tables
from bascule.cli.arguments import declared_options, resolve
from bascule.cli.failures import Failure
from bascule.contract import Option
from bascule.errors import BasculeError
from bascule.options import is_secret_name

__all__ = ["command", "facts_of", "first_line", "option_rows"]


@dataclass(frozen=True)
class _Installed:
    """A short name; ``problem`` says why its class can't be imported."""

    name: str
    target: str
    package: str
    cls: Any = None
    problem: str = ""

    def facts(self) -> dict[str, Any]:
        options = [facts_of(option) for option in declared_options(self.cls)]
        told = {"name": self.name, "class": self.target, "package": self.package}
        return {**told, "doc": first_line(self.cls), "options": options, "problem": self.problem or None}


@click.command("sources")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("-v", "--verbose", is_flag=True, help="Show the options of each; a NAME does that as well.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
def command(names: tuple[str, ...], verbose: bool, as_json: bool) -> None:
    """List the installed sources: what python('name') finds.

    Packages offer them by the entry point group bascule.sources. One that can't be imported is listed with the reason.
    """
    found = [_load(point) for point in _points() if not names or point.name in names]
    for name in sorted(set(names) - {source.name for source in found}):
        cls = resolve(name)  # or says what is installed
        found.append(_Installed(name, name, "", cls))
    if as_json:
        click.echo(json.dumps([source.facts() for source in found], indent=2))
    elif verbose or names:
        for source in found:
            _show(source)
    else:
        rows = [(s.name, s.target, s.package, s.problem or first_line(s.cls)) for s in found]
        tables.show(("name", "class", "package", "about"), rows)
        if not rows:
            click.echo("No package offers a source (entry point group bascule.sources).", err=True)
    if names and any(source.problem for source in found):
        raise Failure("not all of them can be imported")


def first_line(documented: Any) -> str:
    """The first line of a class's own docstring."""
    return next(iter((getattr(documented, "__doc__", None) or "").strip().splitlines()), "")


def facts_of(option: Option) -> dict[str, Any]:
    """What an option declares, as JSON holds it; a secret's default is not told."""
    secret = option.secret or is_secret_name(option.name)
    default = option.default if option.default is None or isinstance(option.default, (bool, int, float)) else None
    return {
        "name": option.name,
        "takes": option.expected,
        "default": "***"
        if secret and option.default is not None
        else default or (option.default and str(option.default)),
        "required": option.required,
        "choices": list(option.choices),
        "secret": secret,
        "doc": option.doc,
    }


def option_rows(options: Sequence[Option]) -> tuple[tuple[str, ...], list[tuple[str | None, ...]]]:
    """The columns and rows of a table of declared options."""
    rows: list[tuple[str | None, ...]] = []
    for facts in map(facts_of, options):
        default = "required" if facts["required"] else _word(facts["default"])
        rows.append((facts["name"], facts["takes"], default, facts["doc"]))
    return ("option", "takes", "default", "about"), rows


def _points() -> list[importlib.metadata.EntryPoint]:
    return sorted(set(importlib.metadata.entry_points(group="bascule.sources")), key=lambda p: (p.name, p.value))


def _load(point: importlib.metadata.EntryPoint) -> _Installed:
    package = f"{point.dist.name} {point.dist.version}" if point.dist else "?"
    try:
        cls = resolve(point.name)
    except BasculeError as e:
        cause = e.__cause__
        problem = f"{type(cause).__name__}: {cause}" if cause else str(e)
    except Exception as e:  # whatever the module raises
        problem = f"{type(e).__name__}: {e}"
    else:
        return _Installed(point.name, point.value, package, cls)
    return _Installed(point.name, point.value, package, problem=f"can't be imported: {problem}")


def _show(source: _Installed) -> None:
    click.secho(source.name, bold=True)
    if source.package:
        click.echo(f"{source.target}, of {source.package}")
    click.echo(source.problem or first_line(source.cls) or "(no docstring)")
    if options := declared_options(source.cls):
        tables.show(*option_rows(options))
    elif not source.problem:
        click.echo("It declares no options.")
    click.echo()


def _word(value: Any) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
