"""Who asks: the options of each kind of credentials, and what they add to a request."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from bascule import BasculeError, OptionError

__all__ = ["KINDS", "Auth"]

#: Kinds, with the options that each needs, and those that it may have.
_OPTIONS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "none": ((), ()),
    "basic": (("username", "password"), ()),
    "bearer": (("token",), ()),
    "api_key": (("api_key",), ()),
    "oauth2": (("oauth_url", "client_id", "client_secret"), ("scope", "oauth_params")),
}
KINDS = tuple(_OPTIONS)
#: Seconds before its end that a token is renewed, so that it doesn't end on its way.
_EARLY_S = 30.0

#: Posts a form with or without a user and password, and returns status and JSON.
Post = Callable[[str, dict[str, str], tuple[str, str] | None], tuple[int, Any]]


class Auth:
    """The credentials of one instance of the source.

    Args:
        options: the typed options.
        post: asks for tokens.

    Raises:
        OptionError: an option is missing, or has no meaning for the kind.
    """

    def __init__(self, options: Mapping[str, Any], post: Post) -> None:
        self.kind: str = options["auth_type"]
        self._options = options
        self._post = post
        self._lock = threading.Lock()
        self._token: str | None = None  # OAuth2's; guarded by it, as is when it ends
        self._granted_tokens: list[str] = []  # the last ones, for what is said of them later
        self._ends = 0.0
        needed, more = _OPTIONS[self.kind]
        for name in needed:
            if not options[name]:
                raise OptionError(f"option '{name}' is missing: auth_type {self.kind} needs it")
        for kind, (names, others) in _OPTIONS.items():
            for name in (*names, *others):
                if options[name] is not None and name not in (*needed, *more):
                    raise OptionError(
                        f"option '{name}' is given, but auth_type is {self.kind}: it belongs to auth_type {kind}"
                    )

    @property
    def secrets(self) -> list[str]:
        """What no text may show, beside secret options."""
        return [*self._granted_tokens, *([self._basic()] if self.kind == "basic" else [])]

    @property
    def query_key(self) -> str | None:
        """The query parameter that holds the key, if one does."""
        is_query = self.kind == "api_key" and self._options["key_in"] == "query"
        return str(self._options["key_name"]) if is_query else None

    def headers(self) -> dict[str, str]:
        """What identifies whoever asks. May ask for a token."""
        if self.kind == "basic":
            return {"Authorization": f"Basic {self._basic()}"}
        if self.kind == "bearer":
            return {"Authorization": f"Bearer {self._options['token']}"}
        if self.kind == "oauth2":
            return {"Authorization": f"Bearer {self._fresh()}"}
        if self.kind == "api_key" and self.query_key is None:
            return {self._options["key_name"]: self._options["api_key"]}
        return {}

    def renew(self, refused: str) -> bool:
        """Forgets the token that the ``Authorization`` header ``refused`` had; False where there is none to renew."""
        if self.kind != "oauth2":
            return False
        with self._lock:
            if refused == f"Bearer {self._token}":  # else another thread was first
                self._token = None
        return True

    def _basic(self) -> str:
        pair = f"{self._options['username']}:{self._options['password']}"
        return base64.b64encode(pair.encode()).decode()

    def _fresh(self) -> str:
        with self._lock:
            if self._token is None or time.monotonic() >= self._ends:
                self._token, self._ends = self._granted()
            return self._token

    def _granted(self) -> tuple[str, float]:
        o = self._options
        form = {"grant_type": "client_credentials", **(o["oauth_params"] or {})}
        form |= {"scope": o["scope"]} if o["scope"] else {}
        whole = form | {"client_id": o["client_id"], "client_secret": o["client_secret"]}
        status, answer = self._post(o["oauth_url"], whole, None)
        if status in (400, 401):  # some servers take the client's secret as a password alone
            status, answer = self._post(o["oauth_url"], form, (o["client_id"], o["client_secret"]))
        token = answer.get("access_token") if isinstance(answer, dict) else None
        if status != 200 or not isinstance(token, str) or not token:
            # RFC 6749: error is one of a few words. Nothing else of the answer is shown: it may hold a token.
            said = answer.get("error") if isinstance(answer, dict) else None
            reason = f"HTTP {status}" + (f", {said}" if isinstance(said, str) else "")
            raise BasculeError(
                f"no access token from {o['oauth_url']}: {reason}. See that client_id, client_secret and scope are right"
            )
        self._granted_tokens = [*self._granted_tokens[-3:], token]
        lasts = answer.get("expires_in")
        try:
            seconds = float(lasts)
        except (TypeError, ValueError):
            return token, float("inf")
        return token, time.monotonic() + max(seconds - min(_EARLY_S, seconds / 10), 0)
