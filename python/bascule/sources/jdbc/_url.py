"""A database's URL: ``jdbc:postgresql://host:5432/shop?user=ann``, with or without ``jdbc:``."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from bascule import OptionError

#: Other spellings of the schemes.
_SCHEMES = {"postgres": "postgresql", "mariadb": "mysql", "sqlserver": "mssql", "pgsql": "postgresql"}
_FORMS = "write postgresql://host:5432/database, mysql://host:3306/database or sqlite:/path/to/file.db"


@dataclass(frozen=True)
class Url:
    """The parts of a URL, decoded.

    Attributes:
        scheme: ``postgresql``, ``mysql``, ``sqlite``, or another that a driver may know.
        database: a database's name; of SQLite the file's path.
        parameters: what stands behind the question mark, but for user and password.
    """

    scheme: str
    host: str = ""
    port: int | None = None
    database: str = ""
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    parameters: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """Where the database is, for messages: no user info, no parameters."""
        if self.scheme == "sqlite":
            return f"sqlite:{self.database}"
        return f"{self.scheme}://{self.host}{f':{self.port}' if self.port else ''}/{self.database}"

    def uri(self, scheme: str | None = None, parameters: dict[str, str] | None = None) -> str:
        """As drivers take it, with everything quoted. Holds the password."""
        info = "" if self.user is None else quote(self.user, safe="")
        info += "" if self.password is None else ":" + quote(self.password, safe="")
        host = f"[{self.host}]" if ":" in self.host else quote(self.host, safe="")
        where = f"{host}{f':{self.port}' if self.port else ''}"
        query = urlencode(self.parameters if parameters is None else parameters, quote_via=quote)
        return (
            f"{scheme or self.scheme}://{info}{'@' if info else ''}{where}/{quote(self.database, safe='')}"
            f"{'?' if query else ''}{query}"
        )


def parse(text: str, user: str | None = None, password: str | None = None) -> Url:
    """Takes ``text`` apart; ``user`` and ``password`` go before those in it.

    Raises:
        OptionError: it is no URL of a database. The message shows no password.
    """
    bare = text.strip().removeprefix("jdbc:")
    scheme, colon, rest = bare.partition(":")
    scheme = _SCHEMES.get(scheme.lower(), scheme.lower())
    if not colon or not rest or not scheme.replace("+", "").isalnum():
        raise OptionError(f"option 'url' is no URL of a database: {_FORMS}")
    if scheme in ("sqlite", "duckdb"):
        path = rest.removeprefix("//") if rest.startswith("//") else rest
        return Url(scheme, database=path)
    if scheme == "mssql" and ";" in rest:
        return _with(_sql_server(rest), user, password)
    try:
        parts = urlsplit(f"{scheme}:{rest}")
        port = parts.port
        host = unquote(parts.hostname or "")
        if "@" in parts.path + parts.query or parts.fragment:
            raise ValueError("what looks like the host is a part of the password")
    except ValueError:
        raise OptionError(
            "option 'url' can't be taken apart: the port is no number, or the user or password holds one of / ? # [ ], "
            "which must be percent-encoded there; or give them by the options user and password"
        ) from None
    if not rest.startswith("//"):
        raise OptionError(f"option 'url' is no URL of a database: {_FORMS}")
    parameters = dict(parse_qsl(parts.query, keep_blank_values=True))
    named = {name.lower(): name for name in parameters}
    own_user, own_password = (parameters.pop(named[name]) if name in named else None for name in ("user", "password"))
    return _with(
        Url(
            scheme,
            host,
            port,
            unquote(parts.path.removeprefix("/")),
            own_user if parts.username is None else unquote(parts.username),
            own_password if parts.password is None else unquote(parts.password),
            parameters,
        ),
        user,
        password,
    )


def _with(url: Url, user: str | None, password: str | None) -> Url:
    return Url(
        url.scheme,
        url.host,
        url.port,
        url.database,
        url.user if user is None else user,
        url.password if password is None else password,
        url.parameters,
    )


def _sql_server(rest: str) -> Url:
    """``//host:1433;databaseName=shop;user=ann``, Microsoft's form."""
    where, *properties = rest.removeprefix("//").split(";")
    named = {name.lower(): value for name, _, value in (p.partition("=") for p in properties if p)}
    host, _, port = where.partition(":")
    database = named.pop("databasename", None) or named.pop("database", "")
    user, password = named.pop("user", None), named.pop("password", None)
    return Url("mssql", host, int(port) if port.isdigit() else None, database, user, password, named)
