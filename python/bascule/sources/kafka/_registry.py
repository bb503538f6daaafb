"""A schema registry: what a value's schema is. The API is Confluent's, which others speak too."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote

from bascule import BasculeError
from bascule.sources._waiting import interruptible

__all__ = ["Registered", "Registry", "UnknownSchemaError"]

_ATTEMPTS = 4
_PAUSE_S = 0.2


class UnknownSchemaError(BasculeError, ValueError):
    """The registry has no such schema: a value that names it is a bad one."""


@dataclass(frozen=True)
class Registered:
    """A schema.

    Attributes:
        id: by which values name it.
        kind: AVRO, PROTOBUF or JSON.
        text: as it was registered; of PROTOBUF a FileDescriptorProto in base64, where that was asked for.
        references: what it imports: name -> its own schema.
    """

    id: int
    kind: str
    text: str
    references: Mapping[str, Registered]


class Registry:
    """One registry; what it said of an id is kept.

    Args:
        options: the source's, typed.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        try:
            import httpx
        except ImportError:
            raise BasculeError("a schema registry needs httpx: pip install 'bascule[kafka]'") from None
        self._httpx = httpx
        user = options["registry_user"]
        self.url: str = options["registry"].rstrip("/")
        self._client = httpx.Client(
            auth=None if user is None else (user, options["registry_password"] or ""),
            timeout=options["timeout"],
            trust_env=False,
            headers={"Accept": "application/vnd.schemaregistry.v1+json, application/json"},
        )
        self._lock = threading.Lock()
        self._known: dict[tuple[int, bool], Registered] = {}

    def close(self) -> None:
        self._client.close()

    def by_id(self, id: int, serialized: bool = False) -> Registered:
        """The schema of an id.

        Args:
            serialized: as a descriptor, not as text: what PROTOBUF is read by.

        Raises:
            BasculeError: the registry has none, refuses, or doesn't answer.
        """
        with self._lock:
            if (id, serialized) not in self._known:
                found = self._get(f"/schemas/ids/{id}", f"the schema {id}", serialized)
                self._known[(id, serialized)] = self._made({**found, "id": id}, serialized)
            return self._known[(id, serialized)]

    def latest(self, subject: str, serialized: bool = False) -> Registered:
        """The newest schema of a subject; raises as by_id does."""
        path = f"/subjects/{quote(subject, safe='')}/versions/latest"
        found = self._get(path, f"the newest schema of '{subject}'", False)
        return self.by_id(found["id"], True) if serialized else self._made(found, False)

    def _made(self, found: Mapping[str, Any], serialized: bool) -> Registered:
        references = {}
        for one in found.get("references") or ():
            path = f"/subjects/{quote(one['subject'], safe='')}/versions/{one['version']}"
            of = self._get(path, f"version {one['version']} of '{one['subject']}'", serialized)
            references[one["name"]] = self._made(of, serialized)
        return Registered(int(found.get("id", -1)), found.get("schemaType") or "AVRO", found["schema"], references)

    def _get(self, path: str, what: str, serialized: bool) -> Any:
        query = {"format": "serialized"} if serialized else None
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                reply = interruptible(partial(self._client.get, self.url + path, params=query), "kafka-registry")
            except self._httpx.HTTPError as e:
                said = f"{type(e).__name__}: {e}"
            else:
                if reply.is_success:
                    return self._read(reply, what)
                said = f"{reply.status_code} {_message(reply)}"
                if reply.status_code in (401, 403):
                    raise BasculeError(
                        f"the schema registry {self.url} refuses {what}: {said}. Check registry_user and registry_password"
                    )
                if reply.status_code < 500 and reply.status_code != 429:
                    raise UnknownSchemaError(f"the schema registry {self.url} has not {what}: {said}")
            if attempt < _ATTEMPTS:
                time.sleep(_PAUSE_S * 2**attempt)
        raise BasculeError(
            f"the schema registry {self.url} gives no answer for {what}: {said}. It was asked {_ATTEMPTS} times"
        )

    def _read(self, reply: Any, what: str) -> Any:
        try:
            found = reply.json()
        except ValueError:
            found = None
        if not isinstance(found, dict) or not isinstance(found.get("schema"), str):
            raise BasculeError(
                f"the schema registry {self.url} answers for {what} with what is no schema: {reply.text[:80]!r}"
            )
        return found


def _message(reply: Any) -> str:
    try:
        return str(reply.json()["message"])
    except (ValueError, KeyError, TypeError, json.JSONDecodeError):
        return str(reply.text[:80])
