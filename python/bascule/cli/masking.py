"""What a command shows of a source's options, specs and rows: no secret among it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from bascule.contract import Option
from bascule.errors import mask
from bascule.options import Options, is_secret_name

__all__ = ["Masked", "masked_sql"]

_HIDDEN = "***"
_PIECE = 2


class Masked:
    """Texts without the secrets of some options.

    Args:
        pairs: the options as given; what ``@env:`` and ``@file:`` stand for is masked as well.
        declared: the source's own; those that it declares secret are masked.

    Raises:
        OptionError: a name is there twice, or an ``@env:`` / ``@file:`` value can't be resolved.
    """

    def __init__(self, pairs: Iterable[tuple[str, str]], declared: Iterable[Option] = ()) -> None:
        self.options: Options = Options(pairs)
        declared = tuple(declared)
        self._names = {option.name.casefold() for option in declared if option.secret}
        self._secrets: set[str] = set()
        for options in (self.options, self.options.resolve()):
            options.mark_secrets(declared)
            self._secrets.update(options.secrets())

    def option(self, name: str, value: str) -> str:
        """An option's value."""
        return _HIDDEN if self._is_secret(name) else self.text(value)

    def text(self, text: str) -> str:
        """A text in which a secret may stand."""
        return mask(text, [*self._secrets, *Options([("text", text)]).secrets()])

    def plain(self, value: Any, name: str = "") -> Any:
        """A value as JSON holds it: numbers, texts, lists and dicts; a dict's secret-looking names are masked."""
        if name and self._is_secret(name):
            return _HIDDEN
        if value is None or isinstance(value, (bool, int)):
            return value
        if isinstance(value, float):
            return value if math.isfinite(value) else str(value)
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.plain(item, str(key)) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.plain(item) for item in value]
        return self.text(value if isinstance(value, str) else str(value))

    def _is_secret(self, name: str) -> bool:
        return name.casefold() in self._names or is_secret_name(name)


def masked_sql(text: str, sql: str) -> str:
    """An error's ``text`` about a statement, without the values of secret-looking names in ``sql``."""
    # As name=value, which is how secrets within a value are written.
    spelled = sql.replace(":=", "=").replace("=>", "=")
    secrets = Options([("sql", spelled)]).secrets()
    text = mask(text, secrets)
    # DuckDB quotes a piece of a long line, between dots: it may begin or end within a secret.
    for secret in secrets:
        for n in range(len(secret) - 1, _PIECE - 1, -1):
            text = text.replace(f"{secret[:n]}...", f"{_HIDDEN}...").replace(f"...{secret[-n:]}", f"...{_HIDDEN}")
    return text
