"""How a class is read in each engine, with exactly these options."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from bascule._native import parse_locator
from bascule.options import Options

# What DuckDB does not take as the bare name of an argument: its reserved words.
_RESERVED = (
    "all analyse analyze and any array as asc asymmetric both case cast check collate column constraint create default "
    "deferrable desc describe distinct do else end except false fetch for foreign from group having in initially "
    "intersect into lambda lateral leading limit not null offset on only or order pivot pivot_longer pivot_wider placing "
    "primary qualify references returning select show some summarize symmetric table then to trailing true union unique "
    "unpivot using variadic when where window with"
)
_PLAIN = re.compile(r"[a-z_][a-z0-9_]*", re.IGNORECASE | re.ASCII)


class Example(NamedTuple):
    """One way to read the class.

    Args:
        engine: by its name.
        language: of the code, ``sql`` or ``python``.
        here: it works with this version; otherwise it is how it will be written.
    """

    engine: str
    language: str
    code: str
    here: bool = False


def usage(source: str, options: Mapping[str, str], is_secret: Callable[[str], bool]) -> list[Example]:
    """How a class is read in each engine.

    Args:
        source: what ``python('…')`` takes.
        options: as given. Secrets are shown as ``@env:NAME``.
        is_secret: says of an option's name whether its value is one.
    """
    shown = {name: _public(name, value, is_secret) for name, value in options.items()}
    sql = _sql(source, shown)
    keywords = _keywords(shown)
    table = f"bascule.table({_text(source)}{keywords})"
    session = 'spark.read.format("python")' + "".join(
        f"\n    .option({_text(name)}, {_text(value)})" for name, value in (*_names(source).items(), *shown.items())
    )
    spark = f"df = (\n    {session}\n    .load()\n)"
    return [
        Example("DuckDB", "sql", f"SELECT * {sql};", True),
        Example(
            "DuckDB in Python",
            "python",
            f"import bascule\n\ncon = bascule.connect()\nprint(con.sql({_text(f'SELECT * {sql}')}))",
            True,
        ),
        Example("PySpark and Sail", "python", spark),
        Example("Polars", "python", f"import bascule\n\nframe = {table}.to_polars()"),
        Example("DataFusion", "python", f'import bascule\n\ncontext.register_table("t", {table})'),
        Example("pandas", "python", f"import bascule\n\nframe = {table}.to_pandas()"),
        Example("pyarrow", "python", f"import bascule\n\ntable = {table}.to_arrow()"),
    ]


def _public(name: str, value: str, is_secret: Callable[[str], bool]) -> str:
    """The value; for one that is or holds a secret, the name of an environment variable to put it into."""
    if value.startswith(("@env:", "@file:")) or not (is_secret(name) or Options({name: value}).secrets()):
        return value
    return "@env:" + re.sub(r"\W", "_", name, flags=re.ASCII).upper()


def _names(source: str) -> dict[str, str]:
    """The class in the options of engines that take nothing else."""
    kind, module, name = parse_locator(source)
    return {"python_module": module, "python_class": name} if kind == 0 else {"python_class": source}


def _sql(source: str, options: Mapping[str, str]) -> str:
    if "options" in (name.casefold() for name in options):
        # That argument's own name.
        pairs = ", ".join(f"{_literal(name)}: {_literal(value)}" for name, value in options.items())
        arguments = [f"options := MAP {{{pairs}}}"]
    else:
        arguments = [f"{_identifier(name)} := {_literal(value)}" for name, value in options.items()]
    return f"FROM python({', '.join([_literal(source), *arguments])})"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _identifier(name: str) -> str:
    if _PLAIN.fullmatch(name) and name.lower() not in _RESERVED.split():
        return name
    return '"' + name.replace('"', '""') + '"'


def _keywords(options: Mapping[str, str]) -> str:
    if not options:
        return ""
    if all(name.isidentifier() for name in options):
        return "".join(f", {name}={_text(value)}" for name, value in options.items())
    return ", **{" + ", ".join(f"{_text(name)}: {_text(value)}" for name, value in options.items()) + "}"


def _text(text: Any) -> str:
    """A Python literal in double quotes."""
    return json.dumps(text, ensure_ascii=False)
