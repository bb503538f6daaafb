"""Where files are: which of them a URL or glob names, and how each is opened.

Local, S3, GCS and Azure by pyarrow's file systems, HTTP by obstore.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pyarrow as pa
from pyarrow import fs

from bascule import BasculeError

__all__ = ["File", "Storage", "open_storage"]

_EXTRA = "pip install 'bascule[files]'"


@dataclass(frozen=True)
class File:
    """A file as it was listed.

    Args:
        path: within its storage.
        size: in bytes.
    """

    path: str
    size: int


class Storage:
    """A file system of pyarrow's; ``scheme`` is what its URLs begin with, for messages."""

    def __init__(self, scheme: str, files: fs.FileSystem) -> None:
        self.scheme = scheme
        self.files = files

    def url(self, path: str) -> str:
        """A file for people."""
        return path if self.scheme == "file" else f"{self.scheme}://{path}"

    def find(self, pattern: str) -> list[File]:
        """The files that a path, a folder or a glob names, by path. A folder is all that is in it.

        Raises:
            BasculeError: there are none, or they can't be listed.
        """
        from wcmatch import glob

        flags = glob.GLOBSTAR | glob.BRACE | glob.DOTGLOB
        parts = pattern.split("/")
        fixed = next((i for i, part in enumerate(parts) if glob.is_magic(part, flags=flags)), None)
        try:
            if fixed is None:
                (info,) = self.files.get_file_info([pattern.rstrip("/") or "/"])
                if info.type == fs.FileType.File:
                    return [File(info.path, info.size)]
                found = list(self._below(info.path)) if info.type == fs.FileType.Directory else []
            else:
                base = "/".join(parts[:fixed])
                matches = glob.compile(pattern, flags=flags)
                found = [file for file in self._below(base or "/") if matches.match(file.path)]
        except OSError as e:
            raise BasculeError(f"can't list {self.url(pattern)}: {e}{_advice(e, self.scheme)}") from None
        if not found:
            raise BasculeError(f"no file is at {self.url(pattern)}: {_why_none(pattern, fixed is not None)}")
        return sorted(found, key=lambda file: file.path)

    def _below(self, folder: str) -> Iterator[File]:
        selector = fs.FileSelector(folder, recursive=True, allow_not_found=True)
        skipped = len(folder.rstrip("/").split("/"))
        for info in self.files.get_file_info(selector):
            inner = info.path.split("/")[skipped:]
            if info.type == fs.FileType.File and not any(map(_is_hidden, inner)):
                yield File(info.path, info.size)

    def open(self, file: File) -> pa.NativeFile:
        """To be read anywhere in it.

        Raises:
            BasculeError: it is gone, can't be read, or is another than was listed.
        """
        try:
            opened = self.files.open_input_file(file.path)
            size = opened.size()
        except OSError as e:
            raise self.failed("open", file, e) from None
        if size != file.size:
            raise BasculeError(
                f"{self.url(file.path)} has changed since it was listed, from {file.size:,} bytes to {size:,}: read it again"
            )
        return opened

    def failed(self, doing: str, file: File, e: Exception) -> BasculeError:
        """The error for a file."""
        gone = isinstance(e, FileNotFoundError)
        words = (
            "it was there when files were listed, and is gone: read it again"
            if gone
            else f"{e}{_advice(e, self.scheme)}"
        )
        return BasculeError(f"can't {doing} {self.url(file.path)}: {words}")


class _Http(Storage):
    """Files of a web server, each by its URL: nothing can be listed there."""

    def __init__(self, scheme: str, url: str, timeout: float) -> None:
        try:
            from obstore.store import HTTPStore
        except ModuleNotFoundError:
            raise BasculeError(f"files by HTTP need obstore, which is not installed here: {_EXTRA}") from None
        parts = urlsplit(url)
        self.scheme = scheme
        self.host = parts.netloc.rpartition("@")[2]
        self.store = HTTPStore.from_url(
            f"{scheme}://{parts.netloc}",
            client_options={"allow_http": scheme == "http", "timeout": datetime.timedelta(seconds=timeout)},
        )

    def url(self, path: str) -> str:
        return f"{self.scheme}://{self.host}/{path}"

    def find(self, pattern: str) -> list[File]:
        import obstore

        if "*" in pattern:
            raise BasculeError(
                f"{self.url(pattern)} can't be listed: over HTTP name each file, path := '[\"https://…\", …]'"
            )
        try:
            return [File(pattern, obstore.head(self.store, pattern)["size"])]
        except Exception as e:  # of obstore's own
            raise BasculeError(f"can't read {self.url(pattern)}: {_short(e)}") from None

    def open(self, file: File) -> pa.NativeFile:
        import obstore

        try:
            reader = obstore.open_reader(self.store, file.path)
            size = reader.size
        except Exception as e:
            raise BasculeError(f"can't open {self.url(file.path)}: {_short(e)}") from None
        if size != file.size:
            raise BasculeError(f"{self.url(file.path)} has changed since it was planned: read it again")
        return pa.PythonFile(_Readable(reader), mode="r")


class _Readable:
    """obstore's reader as pyarrow wants one: closed and bytes."""

    closed = False

    def __init__(self, reader: Any) -> None:
        self._reader = reader

    def read(self, n: int = -1) -> bytes:
        return bytes(self._reader.read(n) if n >= 0 else self._reader.read())

    def seek(self, position: int, whence: int = 0) -> int:
        return int(self._reader.seek(position, whence))

    def tell(self) -> int:
        return int(self._reader.tell())

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        self.closed = True


def open_storage(url: str, options: Mapping[str, Any]) -> tuple[Storage, str]:
    """The storage of a URL or path, and the path in it.

    Args:
        options: the source's, typed.

    Raises:
        BasculeError: no such scheme.
    """
    scheme, found, rest = url.partition("://")
    if not found:
        return Storage("file", fs.LocalFileSystem()), str(Path(url).expanduser().absolute())
    scheme = scheme.lower()
    if scheme == "file":
        return Storage("file", fs.LocalFileSystem()), unquote(rest)
    if scheme in ("http", "https"):
        return _Http(scheme, url, options["timeout"]), unquote(urlsplit(url).path.lstrip("/"))
    if scheme in ("s3", "s3a", "s3n"):
        return Storage("s3", _s3(rest.partition("/")[0], options)), rest
    if scheme in ("gs", "gcs"):
        return Storage("gs", _gcs(options)), rest
    if scheme in ("az", "abfs", "abfss", "azure"):
        container, _, path = rest.partition("/")
        container, at, host = container.partition("@")
        account = options["account_name"] or (host.partition(".")[0] if at else None)
        return Storage("az", _azure(account, options)), f"{container}/{path}"
    raise BasculeError(f"{scheme}:// is no storage that is known: file, s3, gs, az, http, https")


def _given(**settings: Any) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if value is not None}


def _s3(bucket: str, options: Mapping[str, Any]) -> fs.FileSystem:
    endpoint, region = options["endpoint"], options["region"]
    anonymous = options["anonymous"]
    scheme, _, host = endpoint.rpartition("://") if endpoint else ("", "", None)
    if (
        region is None
        and endpoint is None
        and not os.environ.get("AWS_REGION")
        and not os.environ.get("AWS_DEFAULT_REGION")
    ):
        try:
            region = fs.resolve_s3_region(bucket)
        except OSError as e:
            raise BasculeError(f"can't find the region of the bucket {bucket}: {e}. Give region := '…'") from None
    return fs.S3FileSystem(
        **_given(
            access_key=options["access_key_id"],
            secret_key=options["secret_access_key"],
            session_token=options["session_token"],
            region=region,
            endpoint_override=host,
            scheme=scheme or None,
            request_timeout=options["timeout"],
            connect_timeout=min(options["timeout"], 10),
        ),
        anonymous=anonymous,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=options["retries"] + 1),
    )


def _gcs(options: Mapping[str, Any]) -> fs.FileSystem:
    endpoint = options["endpoint"]
    scheme, _, host = endpoint.rpartition("://") if endpoint else ("", "", None)
    expiration = None
    if options["access_token"] is not None:
        expiration = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)
    return fs.GcsFileSystem(
        anonymous=options["anonymous"],
        retry_time_limit=datetime.timedelta(seconds=options["timeout"]),
        **_given(
            access_token=options["access_token"],
            credential_token_expiration=expiration,
            endpoint_override=host,
            scheme=scheme or None,
        ),
    )


def _azure(account: str | None, options: Mapping[str, Any]) -> fs.FileSystem:
    if account is None:
        raise BasculeError("Azure needs the storage account: account_name := '…', or az://container@account.…/path")
    endpoint = options["endpoint"]
    scheme, _, host = endpoint.rpartition("://") if endpoint else ("", "", None)
    return fs.AzureFileSystem(
        account,
        **_given(
            account_key=options["account_key"],
            sas_token=options["sas_token"],
            blob_storage_authority=host,
            dfs_storage_authority=host,
            blob_storage_scheme=scheme or None,
            dfs_storage_scheme=scheme or None,
        ),
    )


def _is_hidden(name: str) -> bool:
    """As Spark and Hive leave out: .crc, _SUCCESS, _temporary; not a partition's folder."""
    return name.startswith(".") or (name.startswith("_") and "=" not in name)


def _why_none(pattern: str, is_glob: bool) -> str:
    if is_glob:
        return "** is any number of folders, * anything within one name; names that begin with . or _ are left out"
    return "there is neither such a file nor a folder with files"


def _short(e: Exception) -> str:
    """obstore's error without its inside."""
    return " ".join(str(e).partition("Debug source")[0].split()).rstrip(": ")[:300]


_REFUSED = (
    "ACCESS_DENIED",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "AuthorizationFailure",
    "AuthenticationFailed",
    "403",
)
_CREDENTIALS = {
    "s3": "access_key_id, secret_access_key, anonymous, region",
    "gs": "access_token, anonymous",
    "az": "account_name, account_key, sas_token",
}


def _advice(e: Exception, scheme: str) -> str:
    """What to do, where the error of a driver doesn't say."""
    text = str(e)
    if any(word in text for word in _REFUSED):
        return f". The credentials don't allow it: see {_CREDENTIALS.get(scheme, 'its options')}"
    if "straddl" in text:
        return ". A line is longer than block_bytes: give more"
    return ""
