"""The HTTP client, and what URLs and headers mean to it."""

from __future__ import annotations

import email.utils
import functools
import importlib
import logging
import ssl
import threading
import time
from typing import TYPE_CHECKING, Any

import bascule
from bascule import BasculeError, OptionError

if TYPE_CHECKING:
    import httpx

__all__ = ["Client", "check_url", "is_same_server", "needs", "retry_after"]

_own = threading.local()


def needs() -> None:
    """Raises BasculeError where a library is missing."""
    for module in ("httpx", "tenacity"):
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as e:
            if e.name != module:
                raise
            raise BasculeError(f"this needs {module}, which is not installed: pip install 'bascule[rest]'") from None


class Client:
    """One pool of connections for all threads, made when it is needed.

    Args:
        timeout_s: to connect, and without a byte.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._client: httpx.Client | None = None  # guarded by it

    def send(self, method: str, url: httpx.URL, **more: Any) -> httpx.Response:
        """Sends a request, and reads the response. The arguments are those of ``httpx.Client.request``."""
        client = self._opened()
        _own.sends = True
        try:
            return client.request(method, url, **more)
        finally:
            _own.sends = False

    def close(self) -> None:
        """Closes the connections."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _opened(self) -> httpx.Client:
        import httpx

        with self._lock:
            if self._client is None:
                self._client = httpx.Client(
                    headers={"User-Agent": f"bascule/{bascule.__version__}", "Accept": "application/json"},
                    timeout=self._timeout_s,
                    limits=httpx.Limits(max_connections=None, max_keepalive_connections=100),
                    verify=_context(),
                )
                # It would log each URL, with what is secret in it.
                logging.getLogger("httpx").addFilter(_is_not_ours)
            return self._client


@functools.lru_cache(maxsize=1)
def _context() -> ssl.SSLContext:
    """The certificates that are trusted; loading them takes longer than a request."""
    import httpx

    return httpx.create_ssl_context()


def _is_not_ours(record: logging.LogRecord) -> bool:
    return not getattr(_own, "sends", False)


def retry_after(text: str | None) -> float | None:
    """The seconds that a Retry-After header asks to wait."""
    if not text:
        return None
    if text.strip().isdecimal():
        return float(text)
    try:
        return max(email.utils.parsedate_to_datetime(text).timestamp() - time.time(), 0.0)
    except (ValueError, OverflowError):
        return None


def is_same_server(a: httpx.URL, b: httpx.URL) -> bool:
    """Whether ``b`` may be sent what ``a`` was: the same server, or the same host by TLS."""
    same = (a.scheme, a.host, _port(a)) == (b.scheme, b.host, _port(b))
    is_safer = (a.scheme, b.scheme) == ("http", "https") and a.host == b.host and (a.port, b.port) == (None, None)
    return not b.userinfo and (same or is_safer)


def _port(url: httpx.URL) -> int | None:
    return url.port or {"http": 80, "https": 443}.get(url.scheme)


def check_url(name: str, text: str) -> None:
    """Raises OptionError where an option is no URL."""
    import httpx

    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        url = httpx.URL("")
    if url.scheme not in ("http", "https") or not url.host:
        raise OptionError(f"option '{name}' is no URL: write https://api.example.com/orders")
    if url.userinfo:
        raise OptionError(f"option '{name}' holds a user: write auth_type := 'basic', username and password instead")
