"""``bascule check``: does a class implement the interface?"""

from __future__ import annotations

import contextlib
import json
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from bascule.cli.arguments import continue_in_its_environment, import_from_here, source_argument, source_options
from bascule.errors import OptionError

if TYPE_CHECKING:
    from bascule.check import Checkup, Example, Result

__all__ = ["command"]

_STYLES = {"ok": "green", "warning": "yellow", "failed": "bold red", "skipped": "dim"}
_WIDTH = 116

_EPILOG = """\b
SOURCE is what python('…') takes: pkg.mod:Class, path/to/file.py:Class, or a short name.
A secret option that the class declares is tried once with a made-up value.

\b
Exit codes:
  0  no check failed
  1  a check failed
  2  wrong usage
"""


@click.command("check", epilog=_EPILOG)
@source_argument
@source_options
@click.option(
    "--partitions", type=click.IntRange(min=1), metavar="N", help="Read the first N partitions. [default: all]"
)
@click.option(
    "--batches",
    type=click.IntRange(min=1),
    metavar="N",
    help="Read the first N batches of each partition. [default: all]",
)
@click.option(
    "--max-seconds",
    type=click.FloatRange(min=0),
    default=60,
    show_default=True,
    metavar="S",
    help="Read no further after S seconds, and say so.",
)
@click.option(
    "--memory-mib",
    type=click.IntRange(min=1),
    default=256,
    show_default=True,
    metavar="MIB",
    help="What a batch, and a partition while it is read, may hold.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--no-usage", is_flag=True, help="Leave out how the class is used, and the interface, as where a check failed."
)
@click.pass_context
def command(
    ctx: click.Context,
    source: str,
    options: list[tuple[str, str]],
    partitions: int | None,
    batches: int | None,
    max_seconds: float,
    memory_mib: int,
    as_json: bool,
    no_usage: bool,
) -> None:
    """Verify that a class implements the interface; show how it is used.

    The class is read several times, in this process, as engines read it. No engine is needed.
    """
    from bascule import _native
    from bascule.check import Checkup, Limits
    from bascule.options import Options

    try:
        _native.parse_locator(source)
        given = Options(options)
    except OptionError as e:
        raise click.UsageError(str(e), ctx) from None
    import_from_here()
    continue_in_its_environment(source)
    limits = Limits(partitions, batches, max_seconds, memory_mib << 20)
    with Checkup(source, given, limits) as checkup:
        failed = _as_json(checkup, not no_usage) if as_json else _as_text(checkup, not no_usage)
    if failed:
        ctx.exit(1)


def _as_json(checkup: Checkup, with_usage: bool) -> bool:
    """Prints one object. Returns whether a check failed."""
    with contextlib.redirect_stdout(sys.stderr):  # what the class prints
        results = list(checkup.results())
    failed = any(result.status == "failed" for result in results)
    found: dict[str, Any] = {
        "source": checkup.label,
        "ok": not failed,
        "checks": [asdict(result) for result in results],
    }
    if with_usage:
        found["usage"] = [example._asdict() for example in checkup.usage()]
    click.echo(json.dumps(found, indent=2, ensure_ascii=False))
    return failed


def _as_text(checkup: Checkup, with_usage: bool) -> bool:
    """Prints each result as it comes. Returns whether a check failed."""
    from bascule.check import interface

    say = _printer()
    begun = time.monotonic()
    results = []
    say(checkup.label, "bold")
    untried: list[str] = []
    for result in checkup.results():
        results.append(result)
        if result.status == "skipped" and result.reasons[0].startswith("it needs "):  # what another check said
            untried.append(result.id)
            continue
        for text, style in _lines(result):
            say(text, style)
    if untried:
        say(
            textwrap.fill(
                f"not tried, as they need what failed: {', '.join(untried)}",
                _WIDTH,
                initial_indent="  ",
                subsequent_indent=" " * 4,
            ),
            "dim",
        )
    counts = {status: sum(result.status == status for result in results) for status in _STYLES}
    failed = counts["failed"] > 0
    say(
        f"{len(results)} checks in {time.monotonic() - begun:.1f} s: "
        + ", ".join(f"{n} {status}" for status, n in counts.items() if n),
        "bold red" if failed else "bold",
    )
    if with_usage and not failed:
        for example in checkup.usage():
            say(f"\n{_heading(example)}", "bold")
            say(textwrap.indent(example.code, "    "), "cyan")
        say("\nThe interface for custom sources", "bold")
        say(textwrap.indent(interface(), "    "), "")
    return failed


def _heading(example: Example) -> str:
    return example.engine if example.here else f"{example.engine} (when the adapter is there)"


def _lines(result: Result) -> Iterator[tuple[str, str]]:
    """A result as lines, each with its style."""
    skipped = result.status == "skipped"
    told = "; ".join(result.reasons) if skipped else result.proves
    yield f"  {result.status:8} {result.id:13} {told}", _STYLES[result.status]
    for reason in () if skipped else result.reasons:
        yield textwrap.indent(reason, " " * 11), ""
    for note in result.notes:
        yield from ((" " * 11 + line, "dim") for line in textwrap.wrap(f"note: {note}", _WIDTH - 11))


def _printer() -> Any:
    """Prints a text in a style: by rich on a terminal, plain on a pipe."""
    if not sys.stdout.isatty():
        return lambda text, style: click.echo(text)
    from rich.console import Console

    console = Console(highlight=False)
    return lambda text, style: console.print(text, style=style or None, markup=False, emoji=False)
