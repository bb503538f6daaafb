"""Asks the service: one client for an instance; what may pass is asked again, a stream from where it was read."""

from __future__ import annotations

import functools
import json
import logging
import random
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

import bascule
from bascule import BasculeError, OptionError
from bascule.errors import mask
from bascule.sources._waiting import interruptible
from bascule.sources.rest._waiting import pause

__all__ = ["Client", "needs"]

log = logging.getLogger("bascule.sources.bigquery")

_EXTRA = "pip install 'bascule[bigquery]'"
_SCOPES = ("https://www.googleapis.com/auth/bigquery",)
_MOST_BACKOFF_S = 30.0
_SHOWN = 400
#: Of INTERNAL, those that are of the connection.
_RESET = ("RST_STREAM", "Received unexpected EOS", "Connection closed", "stream terminated")


def needs() -> None:
    """Raises BasculeError where a library is missing."""
    try:
        import google.cloud.bigquery_storage_v1  # noqa: F401
        import sqlglot  # noqa: F401
    except ModuleNotFoundError as e:
        raise BasculeError(f"this needs {e.name}, which is not installed: {_EXTRA}") from None


class Client:
    """Where requests go, and as whom.

    Args:
        options: the typed options.
        secrets: what no text may show.
        table: for messages.
    """

    def __init__(self, options: Mapping[str, Any], secrets: Sequence[str], table: str) -> None:
        needs()
        if options["insecure"] and (not options["endpoint"] or options["credentials"] or options["access_token"]):
            raise OptionError(
                "option 'insecure' is for an endpoint of one's own, and sends no credentials: see option 'endpoint'"
            )
        if options["credentials"] and options["access_token"]:
            raise OptionError("options 'credentials' and 'access_token' are both given: give one")
        self._options, self._secrets, self._table = options, list(secrets), table
        self._lock = threading.Lock()
        self._client: Any = None  # guarded by it
        self._channel: Any = None  # likewise
        self._before: list[Any] = []  # channels and transports that others may be reading by; likewise

    def close(self) -> None:
        """Closes the connection."""
        with self._lock:
            self._leave()
            left, self._before = self._before, []
        for each in left:
            each.close()

    def _renew(self) -> None:
        """Another connection and another token for the next call; streams that others read go on."""
        with self._lock:
            self._leave()

    def _leave(self) -> None:
        if self._client is not None:
            self._before.append(self._channel or self._client.transport)
        self._client = self._channel = None

    def session(self, request: Any) -> Any:
        """Creates a read session."""
        what = f"a read session of table '{self._table}'"
        for attempt in range(self._options["retries"] + 1):
            bascule.report_metric("requests")
            try:
                create = self._opened().create_read_session
                work = functools.partial(create, request=request, retry=None, timeout=self._options["timeout"])
                return interruptible(work, "bascule-bigquery")
            except BasculeError:
                raise
            except Exception as e:
                self._wait_or_raise(e, what, attempt)
        raise AssertionError

    def batches(self, stream: str, schema: pa.Schema, expires: float) -> Iterator[pa.RecordBatch]:
        """The rows of a stream, each once: after a failure it is read on from the row that was reached."""
        from google.api_core import exceptions
        from google.cloud.bigquery_storage_v1 import types

        offset = attempt = 0
        renewed = False
        while True:
            what = f"stream '{stream.rpartition('/')[2]}' of table '{self._table}', from row {offset:,} on"
            call = None
            try:
                bascule.report_metric("requests")
                call = self._opened().read_rows(
                    request=types.ReadRowsRequest(read_stream=stream, offset=offset),
                    retry=None,
                    timeout=self._options["timeout"],
                )
                for response in call:
                    if not response.row_count:
                        continue
                    batch = self._decoded(response, schema, what)
                    offset += batch.num_rows
                    attempt, renewed = -1, False
                    yield batch
                return
            except (BasculeError, GeneratorExit):
                raise
            except Exception as e:
                if time.time() >= expires:
                    raise self._expired(what) from None
                if isinstance(e, exceptions.Unauthenticated) and not self._options["access_token"] and not renewed:
                    # google-auth makes a new token for a new call, if it can.
                    renewed = True
                    self._renew()
                    continue
                if isinstance(e, exceptions.DeadlineExceeded) and attempt < 0:
                    attempt = 0  # rows had come: a call lasts no longer than the timeout
                    continue
                attempt = max(attempt, 0)
                self._wait_or_raise(e, what, attempt)
                attempt += 1
            finally:
                if call is not None:
                    call.cancel()

    def _decoded(self, response: Any, schema: pa.Schema, what: str) -> pa.RecordBatch:
        try:
            message = pa.ipc.read_message(pa.py_buffer(response.arrow_record_batch.serialized_record_batch))
            batch = pa.ipc.read_record_batch(message, schema)
            batch.validate()
        except (pa.ArrowException, OSError, ValueError, EOFError) as e:
            raise BasculeError(
                f"{what}: what came is no record batch of the session's schema ({self._line(e)}): see that option "
                "'endpoint' is right"
            ) from None
        if batch.num_rows != response.row_count:
            raise BasculeError(
                f"{what}: {batch.num_rows} rows came, {response.row_count} were announced; run the query again"
            )
        return batch

    def _wait_or_raise(self, error: Exception, what: str, attempt: int) -> None:
        """Waits before one asks again; else raises what the failure is."""
        delay = self._passing(error, attempt)
        said = f"{what}: {getattr(getattr(error, 'grpc_status_code', None), 'name', type(error).__name__)}: {self._line(getattr(error, 'message', error))}"
        if delay is None:
            raise self._understood(error, said) from None
        if attempt >= self._options["retries"]:
            hint = "; the quota of the project is used up, see the service's quotas" if "EXHAUSTED" in said else ""
            raise BasculeError(
                f"{said} (asked {attempt + 1} time{'s' if attempt else ''} at {self._where}{hint})"
            ) from None
        bascule.report_metric("throttled" if "RESOURCE_EXHAUSTED" in said else "retries")
        log.info("asks again in %.1f s: %s", delay, said)
        pause(delay)

    def _passing(self, error: Exception, attempt: int) -> float | None:
        """How long to wait before asking again; None: that won't help."""
        from google.api_core import exceptions
        from google.rpc import error_details_pb2

        passing = (
            exceptions.ServiceUnavailable,
            exceptions.Aborted,
            exceptions.DeadlineExceeded,
            exceptions.ResourceExhausted,
        )
        is_reset = isinstance(error, (exceptions.InternalServerError, exceptions.Unknown)) and any(
            text in str(error) for text in _RESET
        )
        if not isinstance(error, passing) and not is_reset:
            return None
        for detail in getattr(error, "details", None) or ():
            if isinstance(detail, error_details_pb2.RetryInfo):
                return float(detail.retry_delay.seconds + detail.retry_delay.nanos / 1e9)
        first: float = self._options["backoff"]
        return float(min(first * 2**attempt, _MOST_BACKOFF_S) + random.uniform(0, first))

    def _understood(self, error: Exception, said: str) -> Exception:
        from google.api_core import exceptions
        from google.auth.exceptions import GoogleAuthError

        refused = (exceptions.FailedPrecondition, exceptions.InvalidArgument, exceptions.NotFound)
        if isinstance(error, refused) and "expired" in str(error) and "session" in str(error):
            return self._expired(said)
        if isinstance(error, (exceptions.Unauthenticated, GoogleAuthError)):
            return BasculeError(
                f"{said}\nThe credentials are refused or have expired: see options 'credentials' and 'access_token'"
            )
        if isinstance(error, exceptions.PermissionDenied):
            return BasculeError(
                f"{said}\nReading takes bigquery.readsessions.create and getData on the project of option 'parent', "
                "and bigquery.tables.getData on the table"
            )
        if isinstance(error, exceptions.NotFound):
            return BasculeError(f"{said}\nSee that project, dataset and table are right, and their location")
        if isinstance(error, (exceptions.InvalidArgument, exceptions.FailedPrecondition)):
            return BasculeError(
                f"{said}\nViews and external tables are not read by this API. See options 'row_restriction' and "
                "'snapshot_time'; 'pushdown' := 'false' sends no predicates of the query"
            )
        return BasculeError(f"{said} (asked at {self._where})")

    def _expired(self, what: str) -> BasculeError:
        return BasculeError(f"{what}: the read session has expired, sessions last some hours: plan the query again")

    @property
    def _where(self) -> str:
        return self._options["endpoint"] or "bigquerystorage.googleapis.com"

    def _opened(self) -> Any:
        from google.api_core.gapic_v1.client_info import ClientInfo
        from google.cloud.bigquery_storage_v1.services.big_query_read import BigQueryReadClient
        from google.cloud.bigquery_storage_v1.services.big_query_read.transports import BigQueryReadGrpcTransport

        options = self._options
        with self._lock:
            if self._client is None:
                info = ClientInfo(user_agent=f"bascule/{bascule.__version__}")  # type: ignore[no-untyped-call]
                if options["insecure"]:
                    import grpc

                    # Any size of message, and a subchannel of its own, so that no other client's back-off holds it up.
                    limits = [("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
                    self._channel = grpc.insecure_channel(options["endpoint"], options=limits)
                    transport = BigQueryReadGrpcTransport(channel=self._channel)
                    self._client = BigQueryReadClient(transport=transport, client_info=info)
                else:
                    where = {"api_endpoint": options["endpoint"]} if options["endpoint"] else None
                    self._client = BigQueryReadClient(
                        credentials=self._credentials(), client_options=where, client_info=info
                    )
            return self._client

    def _credentials(self) -> Any:
        import google.auth
        from google.auth.exceptions import GoogleAuthError
        from google.oauth2 import credentials, service_account

        given, quota = self._options["credentials"], self._options["quota_project"]
        if self._options["access_token"]:
            return credentials.Credentials(self._options["access_token"], quota_project_id=quota)  # type: ignore[no-untyped-call]
        try:
            if given is None:
                return google.auth.default(scopes=_SCOPES, quota_project_id=quota)[0]
            if not given.lstrip().startswith("{"):
                given = Path(given).read_text("utf-8")
            make: Any = service_account.Credentials.from_service_account_info
            found = make(json.loads(given), scopes=_SCOPES)
            return found.with_quota_project(quota) if quota else found
        except OSError as e:
            raise OptionError(f"option 'credentials' is a file that can't be read: {e.strerror}") from None
        except ValueError:
            raise OptionError(
                "option 'credentials' is no JSON of a service account's key, nor a file that has it"
            ) from None
        except GoogleAuthError as e:
            raise BasculeError(
                f"no credentials for table '{self._table}': {self._line(e)}. Give option 'credentials' or 'access_token', or "
                "what Google's tools look for (application default credentials)"
            ) from None

    def _line(self, said: object) -> str:
        # Masked before it is cut: half of a secret would not be found.
        return " ".join(mask(str(said), self._secrets).split())[:_SHOWN] or type(said).__name__
