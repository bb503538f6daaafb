"""Asks the server: one client, one rate and one token for all partitions of an instance."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import bascule
from bascule import BasculeError
from bascule.errors import mask
from bascule.options import is_secret_name
from bascule.sources import _json
from bascule.sources._waiting import interruptible
from bascule.sources.rest._auth import Auth
from bascule.sources.rest._client import Client, check_url, is_same_server, needs, retry_after
from bascule.sources.rest._waiting import Rate, pause

if TYPE_CHECKING:
    import httpx
    import tenacity

__all__ = ["Answer", "Server", "log"]

log = logging.getLogger("bascule.sources.rest")

_PASSING = (429, 500, 502, 503, 504)
_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 5
_MOST_BACKOFF_S = 30.0
_SHOWN = 200
_LOOKED_AT = 1 << 16
_NO_SECRETS = ("accept", "accept-encoding", "accept-language", "content-type", "user-agent")


@dataclass
class Answer:
    """One response, read.

    Attributes:
        body: its JSON.
        request: for people: method and URL, without secrets.
        url: that it came from.
    """

    body: Any
    headers: httpx.Headers
    request: str
    url: str


class _PassingError(BasculeError):
    """What may be gone when one asks again; after so many seconds, if the server says so."""

    def __init__(self, text: str, wait_s: float | None = None) -> None:
        super().__init__(text)
        self.wait_s = wait_s


class Server:
    """Where requests go.

    Args:
        options: the typed options.
        secrets: what no text may show.

    Raises:
        OptionError, BasculeError: the options don't fit, or a library is missing.
    """

    def __init__(self, options: Mapping[str, Any], secrets: Sequence[str]) -> None:
        needs()
        import tenacity

        self._options = options
        self._headers: dict[str, str] = options["headers"] or {}
        hidden = (value for name, value in self._headers.items() if name.lower() not in _NO_SECRETS)
        self._secrets = sorted({*secrets, *hidden}, key=len, reverse=True)
        self._rate = Rate(options["rate_limit"])
        self._client = Client(options["timeout"])
        self.auth = Auth(options, self._post)
        first = options["backoff"]
        self._wait = tenacity.wait_exponential(first, _MOST_BACKOFF_S) + tenacity.wait_random(0, first)
        check_url("url", options["url"])
        if options["oauth_url"]:
            check_url("oauth_url", options["oauth_url"])

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def masked(self, text: str) -> str:
        """The text without secrets."""
        return mask(text, [*self.auth.secrets, *self._secrets])

    def ask(self, url: str, params: Sequence[tuple[str, str]], body: Any = None) -> Answer:
        """Asks, again where that may help, and returns the JSON.

        Args:
            params: added to those of ``url``; of one name, they replace them.
            body: posted as JSON, where the method is POST.

        Raises:
            BasculeError: no JSON came. Says what did.
        """
        import httpx

        try:
            target = httpx.URL(url)
            if params:
                kept = [(k, v) for k, v in target.params.multi_items() if k not in {name for name, _ in params}]
                target = target.copy_with(params=[*kept, *params])
            answer: Answer = self._again(lambda: self._followed(target, body))
        except (BasculeError, httpx.InvalidURL) as e:
            text = str(e) if isinstance(e, BasculeError) else f"the URL can't be asked for: {e}"
            raise BasculeError(self.masked(text)) from None
        return answer

    def _again(self, work: Any) -> Any:
        import tenacity

        def wait(state: tenacity.RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            asked = error.wait_s if isinstance(error, _PassingError) else None
            if asked is not None:
                self._rate.hold(asked)
            seconds = max(asked or 0.0, self._wait(state) if asked is None else 0.0)
            bascule.report_metric("retries")
            log.info("asks again in %.1f s: %s", seconds, self.masked(str(error)))
            return seconds

        tries = self._options["retries"] + 1
        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(tries),
            wait=wait,
            retry=tenacity.retry_if_exception_type(_PassingError),
            sleep=pause,
            reraise=True,
        )
        try:
            return retrying(work)
        except _PassingError as e:
            raise BasculeError(f"{e} (asked {tries} time{'s' if tries > 1 else ''})") from None

    def _followed(self, url: httpx.URL, body: Any) -> Answer:
        """Asks once, and follows redirects within the same server."""
        renewed = False
        redirects = 0
        while True:
            headers = {**self._headers, **self.auth.headers()}
            response = self._exchange(self._options["method"], url, headers, body)
            status = response.status_code
            shown = f"{self._options['method']} {self.shown(url)}"
            if status == 401 and not renewed and self.auth.renew(headers.get("Authorization", "")):
                renewed = True
            elif status in _REDIRECTS and "Location" in response.headers:
                redirects += 1
                target = url.join(response.headers["Location"])
                if redirects > _MOST_REDIRECTS:
                    raise BasculeError(f"{shown}: more than {_MOST_REDIRECTS} redirects")
                if body is not None and status not in (307, 308):
                    raise BasculeError(
                        f"{shown}: HTTP {status}, a redirect of a POST to {self.shown(target)}: name that"
                    )
                self.check_origin(str(url), str(target), "redirects")
                url = target
            else:
                return self._answer(response, url, shown)

    def check_origin(self, known: str, other: str, what: str) -> None:
        """Raises BasculeError where ``other`` is another server's URL, which must not get the credentials."""
        import httpx

        a, b = httpx.URL(known), httpx.URL(other)
        if not is_same_server(a, b):
            raise BasculeError(
                f"{self.shown(a)} {what} to another server, {self.shown(b)}, which is not asked: it would be sent the "
                "credentials. If it is the right one, name it in option 'url'"
            )

    def shown(self, url: httpx.URL) -> str:
        """The URL for people: without user info, and secret-looking parameters masked."""
        pairs = [
            f"{name}={'***' if is_secret_name(name) or name == self.auth.query_key else value}"
            for name, value in url.params.multi_items()
        ]
        text = str(url.copy_with(query=None, fragment=None, userinfo=b"")) + ("?" + "&".join(pairs) if pairs else "")
        text = self.masked(text)
        return text if len(text) <= 2 * _SHOWN else f"{text[: 2 * _SHOWN]}…"

    def _exchange(self, method: str, url: httpx.URL, headers: Mapping[str, str], body: Any) -> httpx.Response:
        """One request and its response, read. Raises _PassingError where the network fails."""
        if self.auth.query_key is not None:
            url = url.copy_set_param(self.auth.query_key, self._options["api_key"])
        return self._sent(method, url, headers=headers, **({} if body is None else {"json": body}))

    def _post(self, url: str, form: dict[str, str], user: tuple[str, str] | None) -> tuple[int, Any]:
        import httpx

        def once() -> httpx.Response:
            response = self._sent("POST", httpx.URL(url), data=form, headers={}, auth=user)
            if response.status_code in _PASSING:
                text = f"no access token from {url}: HTTP {response.status_code}"
                raise _PassingError(text, self._asked_wait(response, text))
            return response

        response = self._again(once)
        try:
            return response.status_code, _json.decode(response.content)
        except ValueError:
            return response.status_code, None

    def _sent(self, method: str, url: httpx.URL, **more: Any) -> httpx.Response:
        import httpx

        self._rate.wait()
        bascule.report_metric("requests")
        shown = f"{method} {self.shown(url)}"
        try:
            response = interruptible(lambda: self._client.send(method, url, **more), "bascule-rest")
        except httpx.TimeoutException as e:
            what = "no connection" if isinstance(e, httpx.ConnectTimeout) else "no answer"
            raise _PassingError(f"{shown}: {what} within {self._options['timeout']:g} s (option 'timeout')") from None
        except httpx.DecodingError as e:
            raise BasculeError(f"{shown}: the body can't be decompressed: {e}") from None
        except httpx.ConnectError as e:
            text = f"{shown}: can't connect: {e}"
            raise (BasculeError if "CERTIFICATE" in str(e) else _PassingError)(text) from None
        except httpx.HTTPError as e:
            raise _PassingError(f"{shown}: the connection failed: {e or type(e).__name__}") from None
        bascule.report_metric("bytes over the network", response.num_bytes_downloaded)
        log.debug("%s: HTTP %d, %d bytes", shown, response.status_code, response.num_bytes_downloaded)
        return response

    def _answer(self, response: httpx.Response, url: httpx.URL, shown: str) -> Answer:
        status = response.status_code
        said = f"{shown}: HTTP {status} {response.reason_phrase}".rstrip() + self._excerpt(response)
        if status in _PASSING:
            raise _PassingError(said, self._asked_wait(response, said))
        if status in (401, 403):
            how = f"auth_type {self.auth.kind}" + (", no credentials" if self.auth.kind == "none" else "")
            raise BasculeError(
                f"{said}\nThe server refuses whoever asks ({how}): see that they are right, and may read this"
            )
        if not 200 <= status < 300:
            raise BasculeError(said)
        try:
            charset = response.charset_encoding
            utf = charset is None or charset.lower().startswith("utf")
            body = _json.decode(response.content if utf else response.text)
        except (ValueError, LookupError) as e:
            kind = response.headers.get("Content-Type", "no Content-Type")
            raise BasculeError(f"{said}\nThat is no JSON ({kind}): {e}") from None
        return Answer(body, response.headers, shown, str(url))

    def _excerpt(self, response: httpx.Response) -> str:
        # Masked before it is cut: half of a secret would not be found.
        text = " ".join(self.masked(response.content[:_LOOKED_AT].decode("utf-8", "replace")).split())
        return ", of no body" if not text else f", which begins: {text[:_SHOWN]}{'…' if len(text) > _SHOWN else ''}"

    def _asked_wait(self, response: httpx.Response, said: str) -> float | None:
        """Seconds of Retry-After. Raises BasculeError where they are too many."""
        seconds = retry_after(response.headers.get("Retry-After"))
        most = self._options["max_wait"]
        if seconds is not None and seconds > most:
            raise BasculeError(f"{said}\nIt asks to wait {seconds:.0f} s, more than the {most:g} of option 'max_wait'")
        return seconds
