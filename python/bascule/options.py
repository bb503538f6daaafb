"""Options: strings by name, as a class sees them."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from bascule.contract import Option
from bascule.errors import OptionError, mask

__all__ = ["Options", "declared", "is_secret_name"]

_SECRET_WORDS = (
    r"passw|pwd|passphrase|token|secret|credential|signature|authorization|cookie|^(?:auth|sig|sas)$|private[_.\-]?key"
    r"|(?:api|access|account|auth|sas|shared|encryption)[_.\-]?key"
)
_SECRET_NAME = re.compile(rf"{_SECRET_WORDS}|(?:^|[_.\-])key$", re.IGNORECASE)
# Within a value, in SQL for example, some_key is more often a column's name than a secret's.
_SECRET_NAME_WITHIN = re.compile(_SECRET_WORDS, re.IGNORECASE)
# A bounded scheme and user info: the time to search a long value grows as its length.
_URL_USER_INFO = re.compile(r"(?P<scheme>[A-Za-z0-9+.\-]://)(?P<info>[^/?#\s@]{1,1024}(?:@[^/?#\s@]{0,256}){0,3})@")
# name=value and "name": value inside a value: connection strings, query strings, JSON, headers. Bounded as well.
_ASSIGNMENT = re.compile(
    r"(?<![\w.\-])(?P<name>[A-Za-z][\w.\-]{0,63})[\"']?\s{0,4}[=:]\s{0,4}"
    r"(?:'(?P<single>(?:[^'\\]|\\.){0,256})'|\"(?P<double>(?:[^\"\\]|\\.){0,256})\"|\{(?P<braces>[^}]{0,256})\}"
    r"|(?:(?:Bearer|Basic|Token)\s)?(?P<plain>[^\s;&,#'\"]+))",
    re.IGNORECASE,
)


def is_secret_name(name: str) -> bool:
    """True if a value by this name is masked in every text that Bascule writes."""
    return _SECRET_NAME.search(name) is not None


class Options(dict[str, str]):
    """A dict of strings whose look-up ignores case and which keeps the first spelling.

    Spark lower-cases the names of options, so ``options["startDate"]`` must find ``startdate``.

    Args:
        items: pairs or a mapping. Two names that differ only in case are an error.

    Raises:
        OptionError: a name is there twice, or an ``@env:`` / ``@file:`` value can't be resolved.

    Example:
        >>> o = Options({"startDate": "2024-01-01"})
        >>> o["STARTDATE"], "startdate" in o, list(o)
        ('2024-01-01', True, ['startDate'])
    """

    typed: dict[str, Any]
    """The values of declared options, by their declared names; see :func:`declared`. Empty once an option is changed."""

    def __init__(self, items: Mapping[str, str] | Iterable[tuple[str, str]] = ()) -> None:
        super().__init__()
        self.typed = _Typed()
        self._declared_secrets: frozenset[str] = frozenset()
        self._spelling: dict[str, str] = {}
        for name, value in items.items() if isinstance(items, Mapping) else items:
            folded = name.casefold()
            if folded in self._spelling:
                first = self._spelling[folded]
                how = "is given twice" if first == name else f"is given twice, as '{first}' and as '{name}'"
                raise OptionError(f"option '{first}' {how}: names of options ignore case, give it once")
            self[name] = value

    def resolve(self) -> Options:
        """A copy in which each ``@env:NAME`` and ``@file:path`` is replaced by what it stands for.

        A file's text loses its last line break. Done where the class runs, so that a secret need
        not stand in SQL.
        """
        return Options((name, _resolve(name, value)) for name, value in self.items())

    def mark_secrets(self, declarations: Iterable[Option]) -> None:
        """Masks what is declared secret, too."""
        self._declared_secrets = frozenset(option.name.casefold() for option in declarations if option.secret)

    def secrets(self) -> list[str]:
        """The texts to mask, longest first: values of secret-looking names, as options or within a value
        (``password=…``, ``?token=…``), and user info in URLs."""
        found = {value for name, value in self.items() if self._is_secret(name)}
        return _longest_first(found.union(*map(_secrets_in, self.values())))

    def __setitem__(self, name: str, value: str) -> None:
        self.typed = _Typed()  # of what was before
        super().__setitem__(self._spelling.setdefault(name.casefold(), name), value)

    def __getitem__(self, name: str) -> str:
        try:
            return super().__getitem__(self._key(name))
        except KeyError:
            if self.typed and name.casefold() not in map(str.casefold, self.typed):
                raise KeyError(_undeclared(name, self.typed)) from None
            given = f"given: {', '.join(self)}" if self else "none is given"
            near = difflib.get_close_matches(name, self, n=1)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            raise KeyError(f"option '{name}' is missing ({given}){hint}") from None

    def __delitem__(self, name: str) -> None:
        self.typed = _Typed()
        super().__delitem__(self._key(name))
        del self._spelling[name.casefold()]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.casefold() in self._spelling

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]
        return super().get(self._key(name), default)

    def pop(self, name: str, *default: str) -> str:  # type: ignore[override]
        self.typed = _Typed()
        value = super().pop(self._key(name), *default)
        self._spelling.pop(name.casefold(), None)
        return value

    def setdefault(self, name: str, default: str = "") -> str:
        if name not in self:
            self[name] = default
        return self[name]

    def update(self, *items: Mapping[str, str] | Iterable[tuple[str, str]], **more: str) -> None:  # type: ignore[override]
        for name, value in dict(*items, **more).items():
            self[name] = value

    def __or__(self, other: Mapping[str, str]) -> Options:  # type: ignore[override]
        merged = self.copy()
        merged.update(other)
        return merged

    def __ior__(self, other: Mapping[str, str] | Iterable[tuple[str, str]]) -> Options:  # type: ignore[override]
        self.update(other)
        return self

    def popitem(self) -> tuple[str, str]:
        self.typed = _Typed()
        name, value = super().popitem()
        del self._spelling[name.casefold()]
        return name, value

    def clear(self) -> None:
        self.typed = _Typed()
        super().clear()
        self._spelling.clear()

    def copy(self) -> Options:
        copy = Options(self)
        copy.typed = _Typed(self.typed)
        copy._declared_secrets = self._declared_secrets
        return copy

    def __iter__(self) -> Iterator[str]:
        return super().__iter__()

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (list(self.items()), self.typed, self._declared_secrets)

    def __repr__(self) -> str:
        shown = {
            name: "***" if self._is_secret(name) else mask(value, _longest_first(_secrets_in(value)))
            for name, value in self.items()
        }
        return f"Options({shown!r})"

    def _key(self, name: str) -> str:
        return self._spelling.get(name.casefold(), name)

    def _is_secret(self, name: str) -> bool:
        return name.casefold() in self._declared_secrets or is_secret_name(name)


class _Typed(dict[str, Any]):
    """Values of declared options; the error for another says what to do."""

    def __missing__(self, name: str) -> Any:
        raise KeyError(_undeclared(name, self))


def _undeclared(name: str, declared: Mapping[str, Any]) -> str:
    if not declared:
        return f"option '{name}' is not declared: the class has no OPTIONS, so there are texts alone, options.get('{name}')"
    return f"option '{name}' is not declared: the class's OPTIONS has {', '.join(declared)}"


def _unpickled(items: list[tuple[str, str]], typed: dict[str, Any], secrets: frozenset[str]) -> Options:
    options = Options(items)
    options.typed, options._declared_secrets = typed, secrets
    return options


def declared(options: Mapping[str, str], declarations: Sequence[Option]) -> Options:
    """The options as a class's ``OPTIONS`` declare them: checked, with defaults, and typed.

    The bridge calls this before anything of the class runs. A class that is also used without the
    bridge calls it itself: options that were declared already are handed back as they are.

    Args:
        options: what the user gave; ``@env:`` and ``@file:`` values are resolved.
        declarations: the class's ``OPTIONS``.

    Returns:
        The strings, in the declared spelling, and in ``typed`` each declared option's value, None
        where it was not given and has no default.

    Raises:
        OptionError: an unknown name, a missing or a wrong value.

    Example:
        >>> o = declared({"PAGES": "3"}, (Option("pages", int), Option("order", choices=("up", "down"), default="up")))
        >>> o.typed
        {'pages': 3, 'order': 'up'}
        >>> dict(o)
        {'pages': '3', 'order': 'up'}
    """
    if (
        declarations
        and isinstance(options, Options)
        and options.typed.keys() == {option.name for option in declarations}
    ):
        return options
    given = (options if isinstance(options, Options) else Options(options)).resolve()
    known = {option.name.casefold(): option for option in declarations}
    found = Options()
    found.mark_secrets(declarations)
    for name, value in given.items():
        option = known.get(name.casefold())
        if option is None:
            near = difflib.get_close_matches(name.casefold(), known, n=1)
            hint = f"did you mean '{known[near[0]].name}'? " if near else ""
            raise OptionError(f"unknown option '{name}': {hint}it knows {', '.join(o.name for o in declarations)}")
        found[option.name] = value
    typed = _Typed()
    for option in declarations:
        text = found.get(option.name)
        if text is not None:
            try:
                typed[option.name] = option.parse(text)
            except ValueError as e:
                shown = "***" if found._is_secret(option.name) else text
                raise OptionError(f"option '{option.name}' is '{shown}', expected {e}") from None
        elif option.required:
            raise OptionError(f"option '{option.name}' is missing" + (f": {option.doc}" if option.doc else ""))
        else:
            typed[option.name] = option.default
            if option.default is not None:
                found[option.name] = str(option.default).lower() if option.type is bool else str(option.default)
    found.typed = typed
    return found


def _longest_first(texts: Iterable[str]) -> list[str]:
    return sorted((text for text in texts if text), key=len, reverse=True)


def _secrets_in(value: str) -> set[str]:
    """The secrets within a value that is none itself, as they stand and as a URL's escapes decode."""
    found: set[str] = set()
    for match in _URL_USER_INFO.finditer(value):
        found.update((match["info"], *match["info"].split(":", 1)[1:]))
    for match in _ASSIGNMENT.finditer(value):
        if _SECRET_NAME_WITHIN.search(match["name"]):
            found.add(next(text for text in match.group("single", "double", "braces", "plain") if text is not None))
    return found | {unquote(text) for text in found}


def _resolve(name: str, value: str) -> str:
    if value.startswith("@env:"):
        variable = value.removeprefix("@env:")
        try:
            return os.environ[variable]
        except KeyError:
            raise OptionError(
                f"option '{name}' is '{value}', but the environment variable {variable} is not set where the class runs"
            ) from None
    if value.startswith("@file:"):
        path = Path(value.removeprefix("@file:")).expanduser()
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeError) as e:
            reason = e.strerror if isinstance(e, OSError) else "it is not UTF-8 text"
            raise OptionError(f"option '{name}' is '{value}', but {path} can't be read: {reason}") from None
        return text.removesuffix("\n").removesuffix("\r")
    return value
