"""Starts and stops real PostgreSQL and MariaDB servers, for tests, demo and benchmark. Linux.

Each listens on 127.0.0.1 alone, on a port of its own, and on a socket in its folder; its
superuser has a new password. It ends with this process, however that ends.

    with Postgres.start() as server:
        database = server.create_database()
        database.run("CREATE TABLE t AS SELECT 1 AS a")
        print(database.url())

PostgreSQL comes from the package pgserver, MariaDB from the system (mariadb-server-core,
mariadb-client-core). Both refuse to run as root; for root they run as `nobody`.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import os
import pwd
import random
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self
from urllib.parse import quote

HOST = "127.0.0.1"
READY_S = 60
STOP_S = 30
TAIL_LINES = 20

#: The kernel's limit for a socket's path, with its ending zero.
SOCKET_PATH_BYTES = 108

# Waits for the end of this process, then ends the servers in a data folder ($1) and removes a folder ($2) if told.
# Neither atexit nor a `with` runs after SIGKILL. The kernel's parent-death signal would do, but it follows the
# thread that started the server, and setting it takes a preexec_fn, which is unsafe in a process with threads.
# It has the read end of a pipe: a line means that all is tidied, the end of file that nobody will.
# A server is known by its working folder, as a process id may be another's by then. SIGQUIT comes first because
# PostgreSQL then gives back its shared memory, SIGCONT because a paused server hears nothing else.
KEEPER = r"""
exec 3<&0
(
    read -r _ <&3 && exit
    for sign in QUIT CONT - - - - - - - - - - KILL -; do
        found=
        for process in /proc/[0-9]*; do
            [ "$process/cwd" -ef "$1" ] || continue
            found=yes
            [ $sign = - ] || kill -$sign "${process#/proc/}"
        done
        [ "$found" ] || break
        [ $sign = QUIT ] || sleep 0.2
    done
    [ -z "$2" ] || rm -rf -- "$2"
) >/dev/null 2>&1 &
"""


class ServerError(RuntimeError):
    """A server can't be had, doesn't start, or refuses what it was told."""


class _Keeper:
    """See KEEPER. data: whose servers to end. remove: what to remove then."""

    def __init__(self, data: Path | str, remove: Path | str) -> None:
        reading, self._writing = os.pipe()
        try:
            # Of a session of its own: what ends our process group must not end it.
            subprocess.run(
                ["sh", "-c", KEEPER, "keeper", str(data), str(remove)],
                stdin=reading,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=_environment(),
                start_new_session=True,
                check=True,
            )
        finally:
            os.close(reading)

    def dismiss(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            os.write(self._writing, b"\n")
        os.close(self._writing)


def processes(data: Path) -> list[int]:
    """The ids of a server's processes: those that work in its data folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            # Gone, or another user's.
            with contextlib.suppress(OSError):
                if os.readlink(entry / "cwd") == str(data):  # noqa: PTH115 - a Path would be slow
                    found.append(int(entry.name))
    return sorted(found)


@dataclass(frozen=True)
class Database:
    """A database of a server."""

    server: Server
    name: str

    def url(self, user: str | None = None, password: str | None = None) -> str:
        """See Server.url."""
        return self.server.url(user, password, self.name)

    def run(self, sql: str, timeout_s: float | None = 100) -> list[str]:
        """See Server.run."""
        return self.server.run(sql, self.name, timeout_s)

    def drop(self) -> None:
        """Removes it, after ending all connections to it."""
        self.server.drop_database(self.name)


class Server(ABC):
    """What the servers have in common. A context manager: leaving it closes the server."""

    KIND: ClassVar[str]
    SCHEME: ClassVar[str]
    SUPERUSER: ClassVar[str]
    READY: ClassVar[str]  # what its log says then
    STOP: ClassVar[signal.Signals]  # makes it end connections and shut down in order

    def __init__(self, folder: Path | None, settings: Sequence[str]) -> None:
        self._own_folder = folder is None
        self.folder = _new_folder() if folder is None else _taken_folder(folder)
        self.data = self.folder / "data"
        self.log = self.folder / "log"
        self.settings = tuple(settings)
        self.host = HOST
        self.port = 0
        self._passwords: dict[str, str] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._names = 0
        self._pid_of_owner = os.getpid()
        self._closed = False
        self._keeper = _Keeper(self.data, self.folder if self._own_folder else "")
        atexit.register(self.close)

    @classmethod
    def start(cls, folder: Path | None = None, *, settings: Sequence[str] = ()) -> Self:
        """A new server, ready to be used.

        folder: new or empty; it becomes the server's, and stays. None: a temporary one, which goes with the server.
        settings: the server's own, each name=value.
        Raises ServerError, with the end of the server's log, if it can't be had.
        """
        if reason := cls.unavailable():
            raise ServerError(reason)
        server = cls(folder, settings)
        try:
            server._create()
            for attempts_left in (2, 1, 0):
                server.port = _free_port()
                try:
                    server._launch()
                    break
                except ServerError as error:
                    # Another process was faster.
                    if "Address already in use" not in str(error) or not attempts_left:
                        raise
            server._passwords[cls.SUPERUSER] = secrets.token_hex(12)
            server._set_password(server._passwords[cls.SUPERUSER])
        except BaseException:
            server.close()
            raise
        return server

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @staticmethod
    @abstractmethod
    def unavailable() -> str | None:
        """Why it can't be had here; None if it can."""

    @property
    def pid(self) -> int:
        """The id of its first process. Raises ServerError if it isn't running."""
        if self._process is None:
            raise ServerError(f"{self.KIND} is not running")
        return self._process.pid

    def url(self, user: str | None = None, password: str | None = None, database: str = "") -> str:
        """An address for clients. user: None is the superuser. password: None is the one that the user was given."""
        user = self.SUPERUSER if user is None else user
        password = self._passwords.get(user) if password is None else password
        credentials = quote(user, safe="") + ("" if password is None else f":{quote(password, safe='')}")
        return f"{self.SCHEME}://{credentials}@{self.host}:{self.port}/{quote(database, safe='')}"

    def run(self, sql: str, database: str = "", timeout_s: float | None = 100) -> list[str]:
        """Runs statements as the superuser, by the server's own client. Returns the rows as text: see _client.

        Raises ServerError with the server's message, TimeoutError when it doesn't answer.
        """
        try:
            done = subprocess.run(
                self._client(database),
                input=sql,
                env=_environment(),
                capture_output=True,
                encoding="utf-8",
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"{self.KIND} gave no answer in {timeout_s} s to {sql[:200]}") from error
        if done.returncode != 0:
            raise ServerError(f"{self.KIND}: {done.stderr.strip()}")
        return done.stdout.removesuffix("\n").split("\n") if done.stdout else []

    def create_database(self, name: str | None = None) -> Database:
        """A new, empty database. name: None is one not used before."""
        if name is None:
            self._names += 1
            name = f"db{self._names}"
        self.run(f"CREATE DATABASE {self._quoted(name)}")
        return Database(self, name)

    @abstractmethod
    def drop_database(self, name: str) -> None:
        """Removes a database, after ending all connections to it."""

    @abstractmethod
    def add_user(self, name: str, password: str, superuser: bool = False) -> None:
        """A user who may log in over TCP with this password alone, and unless superuser has to be granted the rest."""

    @abstractmethod
    def kill_backends(self) -> int:
        """Ends all connections, as an administrator would. Returns how many."""

    def crash(self) -> None:
        """Ends all its processes at once, by SIGKILL. What was committed is kept, for restart()."""
        # The first one goes first, else it would see the others die and start new ones.
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        while left := processes(self.data):
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.005)

    def stop(self) -> None:
        """Shuts it down in order, without waiting for its clients; by crash() if that takes too long."""
        if self._process is None:
            return
        try:
            self._process.send_signal(self.STOP)
            self.resume()
            self._process.wait(STOP_S)
            self._process = None
        except subprocess.TimeoutExpired:
            pass
        finally:
            self.crash()  # nothing is left to end if all went well

    def restart(self) -> None:
        """Starts it again, on the same port and data. Stops it first if it runs."""
        self.stop()
        self._launch()

    def pause(self) -> None:
        """Stops all its processes where they are: it hangs, for clients old and new, until resume()."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Lets it go on after pause()."""
        self._signal(signal.SIGCONT)

    def close(self) -> None:
        """Stops it for good, and removes its folder if that is a temporary one."""
        # A fork of this process runs the same atexit hooks, and must leave the server alone.
        if self._closed or os.getpid() != self._pid_of_owner:
            return
        self._closed = True
        try:
            self.stop()
        finally:
            self._forget()
            if self._own_folder:
                shutil.rmtree(self.folder, ignore_errors=True)
            self._keeper.dismiss()
            atexit.unregister(self.close)

    def _signal(self, sign: signal.Signals) -> None:
        for pid in sorted(processes(self.data), key=lambda pid: pid != self.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sign)

    def _launch(self) -> None:
        if self._closed:
            raise ServerError(f"{self.KIND} is closed")
        seen = self.log.stat().st_size if self.log.exists() else 0
        try:
            with self.log.open("ab") as log:
                # Of a session of its own: Ctrl-C is for us to handle.
                self._process = subprocess.Popen(
                    self._command(),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=self.folder,
                    env=_environment(),
                    start_new_session=True,
                    **_as_nobody(),
                )
            self._wait_until_ready(self._process, seen)
        except BaseException:
            self.crash()
            raise

    def _wait_until_ready(self, process: subprocess.Popen[bytes], seen: int) -> None:
        deadline = time.monotonic() + READY_S
        while True:
            status = process.poll()
            said = self.log.read_bytes()[seen:].decode(errors="replace")
            if status is not None:
                what = f"ended with status {status} while it started"
            elif self.READY in said:
                return
            elif time.monotonic() > deadline:
                what = f"was not ready after {READY_S} s"
            else:
                time.sleep(0.01)
                continue
            tail = "\n".join(said.splitlines()[-TAIL_LINES:])
            raise ServerError(f"{self.KIND} {what}. The end of its log:\n{tail}")

    def _set_up(self, *command: str | Path) -> None:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            **_as_nobody(),
        )
        if done.returncode != 0:
            tail = "\n".join(done.stdout.splitlines()[-TAIL_LINES:])
            raise ServerError(f"{Path(command[0]).name} ended with status {done.returncode}:\n{tail}")

    @abstractmethod
    def _create(self) -> None:
        """Makes the data folder."""

    @abstractmethod
    def _command(self) -> list[str]:
        """Runs the server in the foreground."""

    @abstractmethod
    def _client(self, database: str) -> list[str]:
        """Runs statements from standard input, prints a row a line."""

    @abstractmethod
    def _set_password(self, password: str) -> None:
        """Gives the superuser a password for TCP. By the socket none is needed: only we can reach its folder."""

    @abstractmethod
    def _quoted(self, name: str) -> str:
        """A name as SQL has it."""

    def _forget(self) -> None:  # noqa: B027 - most have nothing
        """Gives back what a crash leaves outside of the folder."""


class Postgres(Server):
    """PostgreSQL. Rows: columns with | between them, NULL is empty."""

    KIND = "PostgreSQL"
    SCHEME = "postgresql"
    SUPERUSER = "postgres"
    READY = "database system is ready to accept connections"
    STOP = signal.SIGINT

    # Without fsync a commit is as safe from crash() as with it: what is written is the kernel's.
    # Shared memory in files, as a crash leaves it behind and /dev/shm may be small.
    SETTINGS = ("fsync=off", "dynamic_shared_memory_type=mmap", "timezone=UTC", "log_timezone=UTC")

    @staticmethod
    def unavailable() -> str | None:
        if _pgserver() is None:
            return "pgserver is not installed (it has no wheel for every platform)"
        return _no_user()

    def run(self, sql: str, database: str = "", timeout_s: float | None = 100) -> list[str]:
        return super().run(sql, database or "postgres", timeout_s)

    psql = run

    def url(self, user: str | None = None, password: str | None = None, database: str = "") -> str:
        # Clients take the user's name for it.
        return super().url(user, password, database or "postgres")

    def drop_database(self, name: str) -> None:
        self.run(f"DROP DATABASE IF EXISTS {self._quoted(name)} WITH (FORCE)")

    def add_user(self, name: str, password: str, superuser: bool = False) -> None:
        rights = "SUPERUSER" if superuser else "NOSUPERUSER"
        self.run(f"CREATE ROLE {self._quoted(name)} LOGIN {rights} PASSWORD {self._literal(password)}")
        self._passwords[name] = password

    def kill_backends(self) -> int:
        killed = self.run(
            "SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        return int(killed[0])

    def _create(self) -> None:
        initdb = [str(_pg_binaries() / "initdb"), "-D", str(self.data), "-U", self.SUPERUSER, "-N", "-E", "UTF8"]
        self._set_up(*initdb, "--locale=C.UTF-8", "--auth-local=trust", "--auth-host=scram-sha-256")

    def _command(self) -> list[str]:
        command = [str(_pg_binaries() / "postgres"), "-D", str(self.data), "-h", self.host, "-p", str(self.port)]
        command += ["-k", str(self.folder)]
        for setting in (*self.SETTINGS, *self.settings):
            command += ["-c", setting]
        return command

    def _client(self, database: str) -> list[str]:
        command = [str(_pg_binaries() / "psql"), "-XqAt", "-v", "ON_ERROR_STOP=1", "-f", "-"]
        return [*command, "-h", str(self.folder), "-p", str(self.port), "-U", self.SUPERUSER, "-d", database]

    def _set_password(self, password: str) -> None:
        self.run(f"ALTER ROLE {self._quoted(self.SUPERUSER)} PASSWORD {self._literal(password)}")

    def _quoted(self, name: str) -> str:
        return '"' + name.replace('"', '""') + '"'

    def _literal(self, text: str) -> str:
        return "'" + text.replace("'", "''") + "'"

    def _forget(self) -> None:
        # A System V segment, by which a postmaster knows that another's processes live. There may be 4096 at most.
        with contextlib.suppress(OSError, IndexError):
            segment = (self.data / "postmaster.pid").read_text().splitlines()[6].split()[1]
            subprocess.run(["ipcrm", "-m", segment], env=_environment(), capture_output=True, check=False)


class MariaDB(Server):
    """MariaDB. Rows: columns with tabs between them, NULL is NULL, a tab or newline is backslash t or n."""

    KIND = "MariaDB"
    SCHEME = "mysql"
    SUPERUSER = "root"
    READY = "ready for connections."
    STOP = signal.SIGTERM

    # A commit is written, not synced: see Postgres. With names resolved, 127.0.0.1 would be localhost, and as that
    # the superuser needs no password.
    SETTINGS = (
        "innodb-flush-log-at-trx-commit=2",
        "innodb-log-file-size=16M",
        "skip-name-resolve=1",
        "character-set-server=utf8mb4",
        "default-time-zone=+00:00",
    )

    @staticmethod
    def unavailable() -> str | None:
        for program, package in (
            ("mariadbd", "mariadb-server-core"),
            ("mariadb-install-db", "mariadb-server-core"),
            ("mariadb", "mariadb-client-core"),
        ):
            if _which(program) is None:
                return f"{program} is not installed ({package})"
        return _no_user()

    def drop_database(self, name: str) -> None:
        # One with a transaction open would make DROP wait for it.
        self._kill(f"db = {self._literal(name)}")
        self.run(f"DROP DATABASE IF EXISTS {self._quoted(name)}")

    def add_user(self, name: str, password: str, superuser: bool = False) -> None:
        account = f"{self._literal(name)}@{self._literal(self.host)}"
        self.run(f"CREATE USER {account} IDENTIFIED BY {self._literal(password)}")
        if superuser:
            self.run(f"GRANT ALL ON *.* TO {account} WITH GRANT OPTION")
        self._passwords[name] = password

    def kill_backends(self) -> int:
        return self._kill("TRUE")

    def _kill(self, which: str) -> int:
        found = self.run(
            "SELECT id FROM information_schema.processlist"
            f" WHERE id <> connection_id() AND command <> 'Daemon' AND user <> 'system user' AND {which}"
        )
        killed = 0
        for connection in found:
            # It may have ended by itself.
            with contextlib.suppress(ServerError):
                self.run(f"KILL {connection}")
                killed += 1
        return killed

    def _create(self) -> None:
        # The log's size is that of a new server's file, written whole: 100 MB without it.
        install = [str(_which("mariadb-install-db")), "--no-defaults", f"--datadir={self.data}", "--skip-test-db"]
        self._set_up(*install, "--auth-root-authentication-method=normal", "--innodb-log-file-size=16M")

    def _command(self) -> list[str]:
        command = [str(_which("mariadbd")), "--no-defaults", f"--datadir={self.data}", f"--socket={self._socket}"]
        command += [f"--port={self.port}", f"--bind-address={self.host}"]
        return command + [f"--{setting}" for setting in (*self.SETTINGS, *self.settings)]

    def _client(self, database: str) -> list[str]:
        command = [str(_which("mariadb")), "--no-defaults", "-N", "-B", "--default-character-set=utf8mb4"]
        return [*command, f"--socket={self._socket}", f"--user={self.SUPERUSER}", f"--database={database}"]

    def _set_password(self, password: str) -> None:
        self.run(f"ALTER USER 'root'@'127.0.0.1' IDENTIFIED BY {self._literal(password)}")

    def _quoted(self, name: str) -> str:
        return "`" + name.replace("`", "``") + "`"

    def _literal(self, text: str) -> str:
        return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"

    @property
    def _socket(self) -> Path:
        return self.folder / "socket"


def _environment() -> dict[str, str]:
    """What a server or client may know of us: no PG*, no LD_PRELOAD, no locale. Some PATHs lack sbin."""
    path = os.environ.get("PATH", os.defpath)
    return {"PATH": f"{path}:/usr/local/sbin:/usr/sbin:/sbin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def _which(program: str) -> str | None:
    return shutil.which(program, path=_environment()["PATH"])


def _nobody() -> pwd.struct_passwd | None:
    """The user that a server runs as; None: ours."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def _no_user() -> str | None:
    try:
        _nobody()
    except KeyError:
        return "there is no user nobody to run a server as, which refuses root"
    return None


def _as_nobody() -> dict[str, Any]:
    """What makes a subprocess one of the server's user."""
    user = _nobody()
    return {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _succeeds(*command: str | Path) -> bool:
    """Whether the server's user can do this."""
    try:
        done = subprocess.run(command, env=_environment(), capture_output=True, check=False, **_as_nobody())
    except PermissionError:
        return False
    return done.returncode == 0


def _taken_folder(folder: Path) -> Path:
    """A folder, made if need be, that is now the server's. Raises ServerError if it can't work there."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = folder.resolve()
    if len(os.fsencode(folder / ".s.PGSQL.65535")) >= SOCKET_PATH_BYTES:
        raise ServerError(f"{folder} is too long a path for a socket")
    user = _nobody()
    if user is not None:
        os.chown(folder, user.pw_uid, user.pw_gid)
        if not _succeeds("test", "-w", folder):
            raise ServerError(f"{folder} is in a folder that {user.pw_name}, who runs the server for root, can't enter")
    folder.chmod(0o700)
    return folder


def _new_folder() -> Path:
    """A temporary folder, short and reachable enough for a server."""
    folder = Path(tempfile.mkdtemp(prefix="bascule-"))
    try:
        return _taken_folder(folder)
    except ServerError:
        folder.rmdir()
        return _taken_folder(Path(tempfile.mkdtemp(prefix="bascule-", dir="/tmp")))


def _free_port() -> int:
    """A port that is free now. Not of those that the kernel gives to clients, which would take it before a restart."""
    while True:
        port = random.randrange(15000, 32000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind((HOST, port))
                return port


def _pgserver() -> Path | None:
    """The folder of the package. It isn't imported, as that would start things."""
    spec = importlib.util.find_spec("pgserver")
    return None if spec is None or spec.origin is None else Path(spec.origin).parent


@cache
def _pg_binaries() -> Path:
    """The folder of PostgreSQL's programs: the package's, or a copy if the server's user can't reach that."""
    package = _pgserver()
    if package is None:
        raise ServerError(f"{Postgres.unavailable()}")
    programs = package / "pginstall" / "bin"
    if _succeeds(programs / "initdb", "--version"):
        return programs
    into = Path(tempfile.mkdtemp(prefix="bascule-pgserver-"))
    into.chmod(0o755)
    if not _succeeds("test", "-x", into):
        into.rmdir()
        into = Path(tempfile.mkdtemp(prefix="bascule-pgserver-", dir="/tmp"))
    global _copy_keeper
    _copy_keeper = _Keeper("", into)  # removes it after us, however we end
    return copy_programs(package, into)


_copy_keeper: _Keeper | None = None


def copy_programs(package: Path, into: Path) -> Path:
    """Copies PostgreSQL (34 MB) for all users to read. Returns the folder of its programs."""
    # They look for their libraries in ../../../pgserver.libs.
    for below in ("pgserver/pginstall", "pgserver.libs"):
        shutil.copytree(package.parent / below, into / below, ignore=shutil.ignore_patterns("include"))
    for path in (into, *into.rglob("*")):
        path.chmod(path.stat().st_mode | (0o555 if path.is_dir() or path.stat().st_mode & 0o100 else 0o444))
    return into / "pgserver" / "pginstall" / "bin"
