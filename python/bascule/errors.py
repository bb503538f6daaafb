"""Errors: what Bascule raises, and how it words what a class raised."""

from __future__ import annotations

import re
import traceback
from pathlib import Path
from types import TracebackType

__all__ = ["BasculeError", "ContractError", "OptionError", "SourceNotFoundError"]

_HERE = str(Path(__file__).parent)
_FRAMES = 20


class BasculeError(Exception):
    """Any failure of the bridge or of a source under it. The message is for people: what was
    attempted, on which source and partition, what Python said, what to do next."""


class OptionError(BasculeError, ValueError):
    """An option or a setting can't be used."""


class SourceNotFoundError(BasculeError, LookupError):
    """No such module, file, class or short name."""


class ContractError(BasculeError, TypeError):
    """A class broke the contract: it returned or yielded what it must not."""


def describe(error: BaseException, attempt: str, secrets: list[str]) -> str:
    """The message for ``error``, raised while ``attempt`` (a phrase that names the method, the
    source and the partition). A class's own exception brings its traceback, without our frames."""
    if isinstance(error, BasculeError):
        text = f"{attempt}: {error}"
    else:
        text = f"{attempt} raised {_line(error)}\n{_traceback(error)}"
    return mask(text, secrets)


def mask(text: str, secrets: list[str]) -> str:
    """``text`` with each secret replaced by ``***``; a short one only where it stands as a word."""
    for secret in secrets:
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
        return "".join(report.format()).rstrip()
    except BaseException as e:
        return f"(its traceback can't be shown: {type(e).__name__})"


def _skip_ours(tb: TracebackType | None) -> TracebackType | None:
    while tb is not None and tb.tb_next is not None and tb.tb_frame.f_code.co_filename.startswith(_HERE):
        tb = tb.tb_next
    return tb
