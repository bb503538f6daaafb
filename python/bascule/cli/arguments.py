"""What commands about a source take: SOURCE and ``-o name=value``."""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from bascule.contract import Option

if TYPE_CHECKING:
    from click.decorators import FC

__all__ = [
    "continue_in_its_environment",
    "declared_options",
    "import_from_here",
    "resolve",
    "source_argument",
    "source_options",
]


def import_from_here() -> None:
    """Puts the current directory on the path, as ``python -m`` does; ``python -P`` says no."""
    here = str(Path.cwd())
    if not sys.flags.safe_path and not {"", here} & set(sys.path):
        sys.path.insert(0, here)


def resolve(source: str) -> Any:
    """The class that SOURCE names, as ``python('…')`` finds it.

    Raises:
        BasculeError: there is none. Whatever its module raises.
    """
    from bascule import _instance, _native

    kind, module, name = _native.parse_locator(source)
    continue_in_its_environment(source)
    found = _instance.resolve(kind, module, name)
    try:
        return found.cls
    finally:
        _instance.release(found)


def continue_in_its_environment(source: str) -> None:
    """A file with inline script metadata is for an interpreter of its own: the command goes on there, as it was given."""
    from bascule import _environment, _native

    kind, path, _ = _native.parse_locator(source)
    if kind != 1 or not _environment.has_metadata(path):
        return
    interpreter = _environment.interpreter_for(path)
    if interpreter is not None:
        sys.stdout.flush()
        sys.stderr.flush()
        os.execv(interpreter, [interpreter, "-m", "bascule", *sys.argv[1:]])


def declared_options(cls: Any) -> tuple[Option, ...]:
    """The options that a class declares; none where its ``OPTIONS`` are no tuple of them."""
    declared = getattr(cls, "OPTIONS", ())
    return tuple(o for o in declared if isinstance(o, Option)) if isinstance(declared, (tuple, list)) else ()


def source_argument(function: FC) -> FC:
    """SOURCE, handed over as ``source``; installed short names complete."""
    return click.argument("source", shell_complete=_complete_source)(function)


def source_options(function: FC) -> FC:
    """``-o name=value``, any number of them, handed over as ``options``, pairs of strings."""
    return click.option(
        "-o",
        "options",
        metavar="NAME=VALUE",
        multiple=True,
        callback=_pairs,
        shell_complete=_complete_option,
        help="An option of the source; may be repeated. @env:NAME and @file:path stand for what is there.",
    )(function)


def _pairs(ctx: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> list[tuple[str, str]]:
    pairs = [text.partition("=") for text in given]
    if not all(name and equals for name, equals, _ in pairs):
        # The text may be a secret: it is not shown.
        raise click.BadParameter("write -o name=value", ctx, parameter)
    return [(name, value) for name, _, value in pairs]


def _complete_source(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    names = sorted({point.name for point in importlib.metadata.entry_points(group="bascule.sources")})
    found = [CompletionItem(name) for name in names if name.startswith(incomplete)]
    return found or [CompletionItem(incomplete, type="file")]


def _complete_option(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names that SOURCE declares; behind ``name=`` its choices."""
    # click gives up on arguments at an option without a value, which this one is.
    source = ctx.params.get("source") or next(iter(ctx.args), None)
    if source is None:
        return []
    with contextlib.suppress(Exception), contextlib.redirect_stdout(io.StringIO()):
        import_from_here()
        options = declared_options(resolve(source))
        name, equals, value = incomplete.partition("=")
        if equals:
            choices = next((o.choices for o in options if o.name.casefold() == name.casefold()), ())
            return [CompletionItem(f"{name}={c}") for c in choices if c.casefold().startswith(value.casefold())]
        begun = [o for o in options if o.name.casefold().startswith(name.casefold())]
        return [CompletionItem(f"{o.name}=", help=o.doc or None) for o in begun]
    return []
