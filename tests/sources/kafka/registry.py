"""A schema registry of the documented API (https://docs.confluent.io/platform/current/schema-registry/develop/api.html): what it is
asked for reading, and schemas put into it. Descriptors are given as such, as format=serialized asks for.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from sources.rest.api import Api, Reply, Request


class RegistryServer:
    """Subjects with their versions. ``user``: who alone is answered; ``fails``: a status that is answered instead."""

    def __init__(self, user: tuple[str, str] | None = None) -> None:
        self.user = user
        self.fails: int | None = None
        self._subjects: dict[str, list[dict[str, Any]]] = {}
        self._by_id: dict[int, dict[str, Any]] = {}
        self._api = Api(self._answer)
        self.url = self._api.url

    @property
    def asked(self) -> list[str]:
        return [request.path for request in self._api.requests]

    def close(self) -> None:
        self._api.close()

    def add(self, subject: str, schema: Any, kind: str = "AVRO", references: Any = ()) -> int:
        """A new version. schema: JSON, or of PROTOBUF a FileDescriptorProto. Returns its id."""
        text = base64.b64encode(schema.SerializeToString()).decode() if kind == "PROTOBUF" else json.dumps(schema)
        versions = self._subjects.setdefault(subject, [])
        id = 100 + len(self._by_id)
        found = {
            "subject": subject,
            "version": len(versions) + 1,
            "id": id,
            "schema": text,
            "references": list(references),
        }
        if kind != "AVRO":
            found["schemaType"] = kind
        versions.append(found)
        self._by_id[id] = found
        return id

    def _answer(self, request: Request) -> Reply:
        if self.fails is not None:
            return Reply({"error_code": self.fails, "message": "made"}, self.fails)
        if self.user is not None:
            expected = "Basic " + base64.b64encode(":".join(self.user).encode()).decode()
            if request.headers.get("authorization") != expected:
                return Reply({"error_code": 401, "message": "Unauthorized"}, 401)
        match request.path.strip("/").split("/"):
            case ["schemas", "ids", id] if int(id) in self._by_id:
                found = self._by_id[int(id)]
                return self._of(
                    {k: v for k, v in found.items() if k in ("schema", "schemaType", "references")}, request
                )
            case ["subjects", subject, "versions", version] if subject in self._subjects:
                versions = self._subjects[subject]
                return self._of(versions[-1 if version == "latest" else int(version) - 1], request)
        return Reply({"error_code": 40403, "message": "Schema not found"}, 404)

    def _of(self, found: dict[str, Any], request: Request) -> Reply:
        if found.get("schemaType") == "PROTOBUF" and request.query.get("format") != "serialized":
            found = {**found, "schema": 'syntax = "proto3"; // as text'}
        return Reply(found)


def framed(id: int, body: bytes) -> bytes:
    """A value as serializers of a registry write it."""
    return b"\0" + id.to_bytes(4, "big") + body
