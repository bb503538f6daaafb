"""Errors: what Bascule raises, and how it words what a class raised."""

from __future__ import annotations

import importlib
import re
import traceback
from pathlib import Path
from types import TracebackType
from urllib.parse import quote, quote_plus

__all__ = ["BasculeError", "ContractError", "MismatchError", "OptionError", "SourceNotFoundError"]

_NOT_THEIRS = (str(Path(__file__).parent), "<frozen importlib", importlib.__file__ or "<frozen importlib")
_OPTIONS = str(Path(__file__).with_name("options.py"))
_FRAMES = 20


class BasculeError(Exception):
    """Any failure of the bridge or of a source under it. The message is for people: what was
    attempted, on which source and partition, what Python said, what to do next."""


class OptionError(BasculeError, ValueError):
    """An option or a setting can't be used."""


class SourceNotFoundError(BasculeError, LookupError):
    """No such module, file, class or short name."""


class MismatchError(BasculeError, ValueError):
    """A batch does not have the columns or types that ``infer_schema`` declared."""


class ContractError(BasculeError, TypeError):
    """A class broke the contract. The message is a predicate: ``returned None, expected ...``."""


def describe(error: BaseException, attempt: str, secrets: list[str]) -> str:
    """The message for ``error``.

    Args:
        error: what was raised. A class's own exception brings its traceback.
        attempt: what raised it: source, partition, method, as ``acme:Orders: plan_partitions``.
        secrets: the texts to mask.
    """
    if isinstance(error, MismatchError):
        text = f"{attempt.removesuffix(': read_partition')}, {error}"
    elif isinstance(error, ContractError):
        text = f"{attempt} {error}"
    elif isinstance(error, BasculeError):
        text = f"{attempt}: {error}"
    elif isinstance(error, KeyboardInterrupt):
        text = f"{attempt} was interrupted (KeyboardInterrupt)"
    else:
        text = f"{attempt} raised {_line(error)}\n{_traceback(error)}"
    return printable(mask(text, secrets))


def printable(text: str) -> str:
    """``text`` without what UTF-8 or a C string can't hold: lone surrogates and NULs, as escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\x00")


def mask(text: str, secrets: list[str]) -> str:
    """``text`` with each secret replaced by ``***``, as it is, in a ``repr`` and in a URL; a short one
    only where it stands as a word."""
    spellings = {spelling for s in secrets for spelling in (s, repr(s)[1:-1], quote(s, safe=""), quote_plus(s))}
    for secret in sorted(spellings, key=len, reverse=True):
        if len(secret) < 4:
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", "***", text)
        else:
            text = text.replace(secret, "***")
    return text


def _line(error: BaseException) -> str:
    try:
        said = str(error)
    except BaseException as e:
        said = f"<its message can't be shown: {type(e).__name__}>"
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def _traceback(error: BaseException) -> str:
    """The traceback as Python prints it, from the class's own frame on."""
    try:
        report = traceback.TracebackException(type(error), error, _skip_ours(error.__traceback__), limit=-_FRAMES)
        # Of a look-up of an option, the line that looked.
        while len(report.stack) > 1 and report.stack[-1].filename == _OPTIONS:
            report.stack.pop()
        return "".join(report.format()).rstrip()
    except BaseException as e:
        return f"(its traceback can't be shown: {type(e).__name__})"


def _skip_ours(tb: TracebackType | None) -> TracebackType | None:
    """The traceback without the leading frames of Bascule and of the import system."""
    while tb is not None and tb.tb_next is not None and tb.tb_frame.f_code.co_filename.startswith(_NOT_THEIRS):
        tb = tb.tb_next
    return tb
