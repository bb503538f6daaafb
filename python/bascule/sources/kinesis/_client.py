"""Asks the service: one client for all partitions of an instance, what may pass is asked again."""

from __future__ import annotations

import contextlib
import email.utils
import functools
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import bascule
from bascule import BasculeError, OptionError
from bascule.errors import mask
from bascule.sources._waiting import interruptible
from bascule.sources.rest._waiting import pause

__all__ = ["NO_ANSWER", "Client", "ExpiredError", "NotFoundError", "RefusedError", "log"]

log = logging.getLogger("bascule.sources.kinesis")

_EXTRA = "pip install 'bascule[kinesis]'"
_THROTTLED = (
    *("ProvisionedThroughputExceededException", "LimitExceededException", "KMSThrottlingException"),
    *("ThrottlingException", "Throttling", "RequestLimitExceeded", "TooManyRequestsException"),
)
_PASSING = (
    "InternalFailure",
    "InternalFailureException",
    "InternalServerError",
    "ServiceUnavailable",
    "RequestTimeout",
)
_OLD_TOKEN = ("ExpiredTokenException", "ExpiredToken", "RequestExpired")
_CREDENTIALS = (
    *("UnrecognizedClientException", "InvalidSignatureException", "IncompleteSignature", "MissingAuthenticationToken"),
    *("InvalidClientTokenId", "SignatureDoesNotMatch", "MissingAuthenticationTokenException", "OptInRequired"),
)
_MOST_BACKOFF_S = 10.0
_CONNECTIONS = 100
_SHOWN = 300
NO_ANSWER = "what came is no answer of Kinesis: see that option 'endpoint' is right"
#: What an answer has, and what each item of it, where it is a list.
_HAS = {
    "ListShards": ("Shards", ("ShardId", "HashKeyRange", "SequenceNumberRange")),
    "GetShardIterator": ("ShardIterator", ()),
    "GetRecords": ("Records", ("SequenceNumber", "PartitionKey", "Data", "ApproximateArrivalTimestamp")),
    "DescribeStreamSummary": ("StreamDescriptionSummary", ()),
}
_own = threading.local()


class RefusedError(BasculeError):
    """The service takes an argument for wrong: a sequence number, for example."""


class NotFoundError(BasculeError):
    """There is no such stream, or no such shard."""


class ExpiredError(Exception):
    """An iterator that is older than five minutes."""


class _PassingError(BasculeError):
    """What may be gone when one asks again."""

    def __init__(self, text: str, throttled: bool = False) -> None:
        super().__init__(text)
        self.throttled = throttled


class Client:
    """Where requests go, and as whom.

    Args:
        options: the typed options.
        secrets: what no text may show.

    Raises:
        OptionError, BasculeError: the options don't fit, or a library is missing.
    """

    def __init__(self, options: Mapping[str, Any], secrets: Sequence[str]) -> None:
        try:
            import botocore.session  # noqa: F401
            import tenacity  # noqa: F401
        except ModuleNotFoundError as e:
            raise BasculeError(
                f"this needs {(e.name or '').partition('.')[0]}, which is not installed: {_EXTRA}"
            ) from None
        if bool(options["access_key_id"]) != bool(options["secret_access_key"]):
            raise OptionError("options 'access_key_id' and 'secret_access_key' are given together, or neither")
        stream = options["stream"]
        #: Whom requests are about.
        self.whose = {"StreamARN": stream} if stream.startswith("arn:") else {"StreamName": stream}
        self.name = stream.rpartition("/")[2]
        self._options = options
        self._secrets = secrets
        self._lock = threading.Lock()
        self._client: Any = None  # guarded by it
        self._ahead_s = 0.0  # of the service's clock before ours

    def now(self) -> float:
        """The time as the service has it, in seconds since 1970: never later than it really is there, about a second earlier."""
        return time.time() + self._ahead_s

    def close(self) -> None:
        """Closes the connections."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def call(self, operation: str, about: str, **arguments: Any) -> dict[str, Any]:
        """The answer to a request; asked again where that may help.

        Args:
            operation: ``GetRecords``.
            about: a shard or nothing, for messages.

        Raises:
            ExpiredError, NotFoundError, RefusedError, BasculeError: no answer. Says why.
        """
        import tenacity

        shown = f"{operation} of stream '{self.name}'{about and f', {about}'}"
        first, tries, most_s = self._options["backoff"], self._options["retries"] + 1, self._options["max_wait"]
        failures = 0

        def ends(state: tenacity.RetryCallState) -> bool:
            nonlocal failures
            error = state.outcome.exception() if state.outcome else None
            if isinstance(error, _PassingError) and error.throttled:
                return bool((state.seconds_since_start or 0.0) >= most_s)
            failures += 1
            return bool(failures >= tries)

        def told(state: tenacity.RetryCallState) -> None:
            error = state.outcome.exception() if state.outcome else None
            bascule.report_metric("throttled" if getattr(error, "throttled", False) else "retries")
            log.info("asks again in %.1f s: %s", state.upcoming_sleep, error)

        retrying = tenacity.Retrying(
            stop=ends,
            wait=tenacity.wait_exponential(first, _MOST_BACKOFF_S) + tenacity.wait_random(0, first),
            retry=tenacity.retry_if_exception_type(_PassingError),
            before_sleep=told,
            sleep=pause,
            reraise=True,
        )
        try:
            answer: dict[str, Any] = retrying(lambda: self._asked(operation, shown, arguments))
        except _PassingError as e:
            how = f"for {most_s:g} s (option 'max_wait')" if e.throttled else f"{tries} time{'s' if tries > 1 else ''}"
            raise BasculeError(f"{e} (asked {how})") from None
        return answer

    def _asked(self, operation: str, shown: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Asks once; with new credentials again where the old ones have expired."""
        try:
            return self._sent(operation, shown, arguments)
        except _OldTokenError as e:
            if self._options["access_key_id"]:
                raise BasculeError(
                    f"{e}. Options 'access_key_id', 'secret_access_key', 'session_token' are of a session that has ended: "
                    "give new ones, or none, so that they are found and renewed as the AWS tools do"
                ) from None
            self.close()
            try:
                return self._sent(operation, shown, arguments)
            except _OldTokenError:
                raise BasculeError(f"{e}; the credentials that are found now have expired too: renew them") from None

    def _sent(self, operation: str, shown: str, arguments: dict[str, Any]) -> dict[str, Any]:
        from botocore import exceptions, xform_name

        client = self._opened()
        bascule.report_metric("requests")

        def send() -> Any:
            _own.sends = True
            return getattr(client, xform_name(operation))(**arguments)

        try:
            answer: dict[str, Any] = interruptible(send, "bascule-kinesis")
        except exceptions.ClientError as e:
            raise self._understood(e, shown) from None
        except (
            exceptions.NoCredentialsError,
            exceptions.PartialCredentialsError,
            exceptions.CredentialRetrievalError,
        ) as e:
            raise BasculeError(
                f"{shown}: {self._line(e)}. Give access_key_id and secret_access_key, a profile, or what the AWS tools look for"
            ) from None
        except (exceptions.HTTPClientError, exceptions.ConnectionError, exceptions.ReadTimeoutError) as e:
            raise _PassingError(f"{shown}: {self._line(e)}") from None
        except exceptions.ParamValidationError as e:
            raise BasculeError(f"{shown}: {self._line(e)}") from None
        except (exceptions.BotoCoreError, ValueError, TypeError, AttributeError, KeyError) as e:
            # botocore reads an answer without looking at what it is.
            raise BasculeError(f"{shown}: {NO_ANSWER} ({type(e).__name__}: {self._line(e)})") from None
        if not _is_answer(operation, answer):
            raise BasculeError(f"{shown}: {NO_ANSWER}")
        stamp = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
        with contextlib.suppress(ValueError, TypeError):
            self._ahead_s = email.utils.parsedate_to_datetime(stamp).timestamp() - time.time()
        return answer

    def _understood(self, error: Any, shown: str) -> Exception:
        code = error.response.get("Error", {}).get("Code", "")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        said = self._line(error.response.get("Error", {}).get("Message") or "no reason").rstrip(".")
        text = self._masked(f"{shown}: {code}: {said}")
        if code == "ExpiredIteratorException":
            return ExpiredError(text)
        if code in _THROTTLED:
            return _PassingError(text, throttled=True)
        if code in _PASSING or status >= 500:
            return _PassingError(text)
        if code in _OLD_TOKEN:
            return _OldTokenError(text)
        if code == "ResourceNotFoundException":
            return NotFoundError(
                f"{text}. See that the stream's name, region and account are right, and that it still is there"
            )
        if code in ("InvalidArgumentException", "ValidationException"):
            return RefusedError(text)
        if code in _CREDENTIALS:
            return BasculeError(f"{text}\nThe credentials are refused: see that they are right, and of this region")
        if code.startswith(("AccessDenied", "KMS")):
            return BasculeError(
                f"{text}\nReading takes kinesis:ListShards, GetShardIterator, GetRecords, DescribeStreamSummary, and for an "
                "encrypted stream kms:Decrypt"
            )
        return BasculeError(text)

    def _opened(self) -> Any:
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
        from botocore.session import Session

        options = self._options
        with self._lock:
            if self._client is None:
                region = options["region"]
                if region is None and options["stream"].startswith("arn:"):
                    region = options["stream"].split(":")[3]
                try:
                    session = Session(profile=options["profile"])
                    session.register_component("data_loader", _loader())
                    self._client = session.create_client(
                        "kinesis",
                        region_name=region,
                        endpoint_url=options["endpoint"],
                        aws_access_key_id=options["access_key_id"],
                        aws_secret_access_key=options["secret_access_key"],
                        aws_session_token=options["session_token"],
                        config=Config(
                            connect_timeout=options["timeout"],
                            read_timeout=options["timeout"],
                            # It would sleep where no interrupt arrives.
                            retries={"total_max_attempts": 1},
                            max_pool_connections=_CONNECTIONS,
                            user_agent_extra=f"bascule/{bascule.__version__}",
                        ),
                    )
                except (BotoCoreError, ValueError) as e:
                    hint = "; give option 'region'" if type(e).__name__ == "NoRegionError" else ""
                    raise OptionError(f"no client for Kinesis: {self._line(e)}{hint}") from None
                _hold_back_logs()
            return self._client

    def _masked(self, text: str) -> str:
        return mask(text, list(self._secrets))

    def _line(self, said: object) -> str:
        # Masked before it is cut: half of a secret would not be found.
        return " ".join(self._masked(str(said)).split())[:_SHOWN] or type(said).__name__


class _OldTokenError(Exception):
    """Credentials that were right."""


def _is_answer(operation: str, answer: Any) -> bool:
    name, fields = _HAS[operation]
    found = answer.get(name) if isinstance(answer, dict) else None
    if not fields:
        return found is not None
    return isinstance(found, list) and all(isinstance(item, dict) and item.keys() >= {*fields} for item in found)


@functools.lru_cache(maxsize=1)
def _loader() -> Any:
    """What reads the service's description, which takes longer than a request."""
    import botocore.loaders

    return botocore.loaders.create_loader()


def _hold_back_logs() -> None:
    """At level DEBUG botocore would log session tokens and the records themselves."""
    for name in ("auth", "endpoint", "httpsession", "parsers", "hooks", "awsrequest", "retryhandler", "client"):
        logging.getLogger(f"botocore.{name}").addFilter(_is_not_ours)


def _is_not_ours(record: logging.LogRecord) -> bool:
    return not getattr(_own, "sends", False)
