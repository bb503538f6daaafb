"""SQL, built as sqlglot's trees. What an option says in SQL is parsed, to see that it is what may stand there and
ends where it should, and then stands there as it was written: written anew, some of it would mean something else."""

from __future__ import annotations

import logging
import re

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from bascule import OptionError

#: The name of what is read, where a subquery needs one.
ALIAS = "bascule_source"

# Its warnings are of features that a dialect lacks; what can't be parsed is an error here.
logging.getLogger("sqlglot").setLevel(logging.ERROR)


def relation(dbtable: str | None, query: str | None, dialect: str) -> exp.Expr:
    """What is read: a table's name, or what else may stand in a FROM clause, or a query.

    Raises:
        OptionError: neither or both are given, or the text is not that.
    """
    if (dbtable is None) == (query is None):
        how = "neither is given" if dbtable is None else "both are given"
        raise OptionError(f"one of the options dbtable and query says what to read, but {how}")
    if query is not None:
        query = query.strip().rstrip(";")
        tree = _parsed(query, "query", dialect)
        if not isinstance(tree, exp.Query):
            raise OptionError("option 'query' is no SELECT: give one statement that returns rows")
        return _subquery(query, tree)
    assert dbtable is not None
    whole = f"SELECT * FROM {dbtable.strip()}"
    tree = _parsed(whole, "dbtable", dialect)
    source = tree.args.get("from_") or tree.args.get("from") if isinstance(tree, exp.Select) else None
    if source is None or set(_parts(tree)) - {"expressions", "from", "from_", "joins"}:
        raise OptionError(
            "option 'dbtable' is no table: give a name (quoted as the database quotes names, where it has spaces or "
            "capitals), or a subquery in parentheses; a whole statement is option 'query'"
        )
    is_name = isinstance(source.this, exp.Table) and isinstance(source.this.this, exp.Identifier)
    if is_name and set(_parts(source.this)) <= {"this", "db", "catalog"} and not tree.args.get("joins"):
        return source.this  # type: ignore[no-any-return]
    return _subquery(whole, tree)


def as_written(text: str) -> exp.Expr:
    """SQL that was parsed, or generated, before. A line break ends a comment at its end."""
    return exp.Var(this=f"{text}\n")


def _subquery(text: str, tree: exp.Expr) -> exp.Subquery:
    made = exp.Subquery(this=as_written(text), alias=exp.TableAlias(this=exp.to_identifier(ALIAS)))
    ends = isinstance(tree, exp.Select) and not set(_parts(tree)) & {"limit", "offset", "fetch", "locks", "into"}
    made.meta["empty"] = f"{text}\nLIMIT 0" if ends else None
    return made


def without_rows(source: exp.Expr) -> str | None:
    """A query itself, with LIMIT 0; None: what is read is none, or has a limit."""
    return source.meta.get("empty")


def _parts(tree: exp.Expr) -> list[str]:
    return [name for name, value in tree.args.items() if value]


def is_table(source: exp.Expr) -> bool:
    """True if what is read is a name alone."""
    return isinstance(source, exp.Table)


def condition(text: str, dialect: str) -> exp.Expr:
    """One of ``predicates``: an SQL condition."""
    tree = _parsed(f"SELECT 1 WHERE {text}", "predicates", dialect)
    if not isinstance(tree, exp.Select) or set(_parts(tree)) - {"expressions", "where"}:
        raise OptionError(f"option 'predicates' has an item that is no condition: {text}")
    return exp.paren(as_written(text))


def _parsed(text: str, option: str, dialect: str) -> exp.Expr:
    try:
        trees = sqlglot.parse(text, dialect=dialect)
    except SqlglotError as e:
        first = (getattr(e, "errors", None) or [{}])[0]
        near = f", near '{first['highlight']}'" if first.get("highlight") else ""
        said = first.get("description") or re.sub(r"\x1b\[\d*m", "", str(e))
        raise OptionError(
            f"option '{option}' is no SQL of {dialect}, as far as sqlglot can tell: {one_line(said)}{near}. "
            "Where the database takes it, make a view of it, and name that as dbtable"
        ) from None
    if len(trees) != 1 or trees[0] is None:
        raise OptionError(f"option '{option}' is more than one statement: give one")
    return trees[0]


def one_line(text: str) -> str:
    return " ".join(text.split())


def column(name: str) -> exp.Column:
    """A column by its exact name."""
    return exp.column(exp.to_identifier(name, quoted=True))


def text(value: str) -> exp.Literal:
    return exp.Literal.string(value)


def cast(what: exp.Expr, kind: str, dialect: str) -> exp.Cast:
    """``what`` as a type of the database, by its name there."""
    return exp.Cast(this=what, to=exp.DataType.build(kind, dialect=dialect, udt=True))


def select(expressions: list[exp.Expr], source: exp.Expr, where: exp.Expr | None = None) -> exp.Select:
    tree = exp.select(*expressions).from_(source.copy())
    return tree if where is None else tree.where(where)


def generate(tree: exp.Expr, dialect: str) -> str:
    return tree.sql(dialect=dialect, comments=False)
