"""The command line ``bascule``.

Each command is a module of its own, imported when it is called: ``bascule --help`` imports click alone.
"""

from __future__ import annotations

import difflib
import importlib
import os
import sys
import threading
from collections.abc import Sequence
from typing import NoReturn

import click
from click.shell_completion import CompletionItem

from bascule import __version__
from bascule.cli.failures import Failure
from bascule.errors import BasculeError

__all__ = ["main"]

INTERRUPTED = 130
QUERY_THREAD = "bascule-query"
COMPLETE_VARIABLE = "_BASCULE_COMPLETE"
_COMMANDS = {
    "query": ("bascule.cli.query:command", "Run SQL over sources; print or write its rows."),
    "describe": ("bascule.cli.describe:command", "Show a source: schema, partitions, options, rows."),
    "check": ("bascule.cli.check:command", "Verify that a class implements the interface."),
    "sources": ("bascule.cli.sources:command", "List the installed sources and their options."),
    "new": ("bascule.cli.new:command", "Make a package with a source, to begin with."),
    "doctor": ("bascule.cli.doctor:command", "Show what is installed, and what is missing for what."),
    "extension-path": (
        "bascule.cli.extension:command",
        "Print the file that a DuckDB without Python loads.",
    ),
    "completion": ("bascule.cli.completion:command", "Print the completion script of a shell."),
}
_EPILOG = """\b
Exit codes:
  0    done
  1    the query, the source or the check failed
  2    wrong usage
  3    something needed is not installed
  130  interrupted (Ctrl-C)
"""


class _Commands(click.Group):
    """The commands by name, each imported when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, _, attribute = _COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in _COMMANDS and (near := difflib.get_close_matches(args[0], _COMMANDS, n=1)):
            ctx.fail(f"No such command {args[0]!r}. Did you mean {near[0]!r}?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in _COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        names = [CompletionItem(n, help=line) for n, (_, line) in _COMMANDS.items() if n.startswith(incomplete)]
        return [*names, *click.Command.shell_complete(self, ctx, incomplete)]


@click.group("bascule", cls=_Commands, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(prog)s %(version)s")
def _bascule() -> None:
    """One Python class, a table in every engine."""


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Runs the command line and exits.

    Args:
        args: the arguments; None: those of the process.
    """
    code = _run(list(sys.argv[1:] if args is None else args))
    if any(thread.name == QUERY_THREAD for thread in threading.enumerate()):
        # A source that waits in C keeps its thread: DuckDB crashes where an interpreter ends under it.
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _run(args: list[str]) -> int:
    if instruction := os.environ.get(COMPLETE_VARIABLE):
        from bascule.cli.completion import answer

        return answer(_bascule, instruction)
    try:
        with _bascule.make_context("bascule", args) as ctx:
            _bascule.invoke(ctx)
        sys.stdout.flush()
    except click.exceptions.Exit as e:
        return e.exit_code
    except click.ClickException as e:
        e.show()
        return e.exit_code
    except BasculeError as e:
        failure = Failure.of(e)
        failure.show()
        return failure.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted.", err=True)
        return INTERRUPTED
    except OSError as e:
        # Of stdout: whoever read it has what he wanted, or its disk is full. Python would complain at exit of what is
        # left to flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(e, BrokenPipeError):
            Failure(f"the output can't be written: {e.strerror or e}").show()
            return Failure.exit_code
    return 0
