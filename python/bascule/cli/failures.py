"""What ends a command: one message on stderr, and the exit code."""

from __future__ import annotations

from typing import IO, Any

import click

from bascule.errors import BasculeError, printable

__all__ = ["Failure", "Missing"]


class Failure(click.ClickException):
    """The query, the source or the check failed: exit code 1."""

    exit_code = 1

    @staticmethod
    def of(error: BasculeError) -> Failure:
        """The failure that ``error`` is; what isn't installed is :class:`Missing`."""
        missing = isinstance(error.__cause__, ModuleNotFoundError)
        return (Missing if missing else Failure)(str(error))

    def show(self, file: IO[Any] | None = None) -> None:
        label = click.style("Error:", fg="red", bold=True)
        click.echo(f"{label} {printable(self.message)}", file=file, err=file is None)


class Missing(Failure):
    """Something needed is not installed: exit code 3."""

    exit_code = 3
