"""Folders that are columns: year=2026/region=eu/part-0.parquet."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote

import pyarrow as pa

from bascule.filters import Exactness, Filter, filter_table

__all__ = ["columns_of", "is_about", "kept", "values_of"]

#: What Hive and Spark write for NULL.
_NULL = "__HIVE_DEFAULT_PARTITION__"
#: No folder is named so.
_NUMBER = "/"


def texts_of(path: str) -> dict[str, str | None]:
    """The columns of one file, as texts."""
    found: dict[str, str | None] = {}
    for part in path.split("/")[:-1]:
        name, equals, value = part.partition("=")
        if equals and name:
            found[unquote(name)] = None if value == _NULL else unquote(value)
    return found


def columns_of(paths: Sequence[str]) -> dict[str, pa.DataType]:
    """The columns that all paths have, in the order of their folders: int64 or date32 where all values are such, else
    string.
    """
    all_texts = [texts_of(path) for path in paths]
    names = [name for name in all_texts[0] if all(name in texts for texts in all_texts)] if all_texts else []
    return {name: _type_of([texts[name] for texts in all_texts]) for name in names}


def _type_of(texts: Sequence[str | None]) -> pa.DataType:
    for type_ in (pa.int64(), pa.date32()):
        try:
            for text in texts:
                _value(text, type_)
        except ValueError:
            continue
        if any(text is not None for text in texts):
            return type_
    return pa.string()


def _value(text: str | None, type_: pa.DataType) -> Any:
    if text is None or type_ == pa.string():
        return text
    if type_ == pa.date32():
        return datetime.date.fromisoformat(text)
    number = int(text)
    if str(number) != text or not -(2**63) <= number < 2**63:
        raise ValueError(text)  # 007 is a text
    return number


def values_of(path: str, columns: dict[str, pa.DataType]) -> dict[str, Any]:
    """A file's value of each column."""
    texts = texts_of(path)
    return {name: _value(texts[name], type_) for name, type_ in columns.items()}


def is_about(filter: Filter, columns: dict[str, pa.DataType]) -> bool:
    """Can a predicate be decided by the folders alone?"""
    if not filter.columns or not columns.keys() >= set(filter.columns):
        return False
    return filter.to_arrow(pa.schema(list(columns.items()))).exactness is Exactness.EXACT


def kept(files: Sequence[dict[str, Any]], columns: dict[str, pa.DataType], filters: Sequence[Filter]) -> list[int]:
    """Which files may hold rows of which all filters are true, by their values.

    Args:
        filters: those that :func:`is_about` is true of.
    """
    if not filters:
        return list(range(len(files)))
    table = pa.table({name: pa.array([values[name] for values in files], type_) for name, type_ in columns.items()})
    numbered = table.append_column(_NUMBER, pa.array(range(len(files)), pa.int64()))
    return list(filter_table(filters, numbered)[_NUMBER].to_pylist())
