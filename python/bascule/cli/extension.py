"""``bascule extension-path``."""

from __future__ import annotations

import click

from bascule._extension import extension_path
from bascule.cli.failures import Missing
from bascule.errors import BasculeError

__all__ = ["command"]


@click.command("extension-path")
def command() -> None:
    """Print the path of the file that a DuckDB without Python loads.

    \b
    In any host of DuckDB, opened with allow_unsigned_extensions:
      LOAD '<path>';
      SET bascule_python = '<interpreter of an environment with bascule>';
      FROM python('pkg.mod:Class');
    """
    try:
        path = extension_path()
    except BasculeError as e:
        raise Missing(str(e)) from e
    click.echo(str(path))
