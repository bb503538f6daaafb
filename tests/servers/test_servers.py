"""The test servers: that they start, can be harmed as a test needs it, and leave nothing behind."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import servers
from fixtures_servers import started
from servers import MariaDB, Postgres, ServerError

ODD = 'it\'s "odd" \\ %s:/@?#ä'

#: Starts a server and says where, then ends as told.
PROGRAM = """
import os, signal, sys
from servers import Postgres
server = Postgres.start()
print(server.data, server.run("SELECT 1"), flush=True)
{end}
"""


@pytest.fixture(scope="module", params=[Postgres, MariaDB])
def server(request):
    """One for this file, as its tests are rude. What they do is undone by restart() and resume()."""
    with started(request.param) as server:
        yield server


def connect(url):
    """A client's connection, by the driver for the URL."""
    if url.startswith("postgresql:"):
        from adbc_driver_postgresql import dbapi

        return dbapi.connect(url)
    import pymysql

    parts = urlsplit(url)
    return pymysql.connect(
        host=parts.hostname,
        port=parts.port,
        user=unquote(parts.username),
        password=unquote(parts.password or "").encode(),  # it takes text as latin-1
        database=unquote(parts.path[1:]),
    )


def first(connection):
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        return cursor.fetchone()[0]


def gone(data, within_s=10):
    """Whether a server and its folder are, after some time."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if not servers.processes(data) and not data.parent.exists():
            return True
        time.sleep(0.05)
    return False


def test_url_connects_a_client(server):
    database = server.create_database()
    database.run("CREATE TABLE t AS SELECT 'a' AS a, 2 AS b")
    with connect(database.url()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT b FROM t")
        assert cursor.fetchone() == (2,)
    database.drop()
    assert server.run("SELECT 1; SELECT 2") == ["1", "2"]


def test_wrong_password_fails(server):
    server.add_user("ann", ODD, superuser=True)
    with connect(server.url("ann")) as connection:
        assert first(connection) == 1
    for user, password in (("ann", "wrong"), ("ann", ""), (None, "wrong"), (None, ""), ("bob", "")):
        with pytest.raises(Exception, match=r"(?i)password|access denied"):
            connect(server.url(user, password))


def test_names_are_quoted(server):
    database = server.create_database("odd `\"' name")
    assert database.run("SELECT 3") == ["3"]
    with connect(database.url()) as connection:
        assert first(connection) == 1
    database.drop()


def test_refused_sql_is_an_error(server):
    with pytest.raises(ServerError, match=r"(?i)no_such_table"):
        server.create_database().run("SELECT 1; SELECT * FROM no_such_table; SELECT 2")


def test_killed_connection_is_dead_and_the_server_is_not(server):
    connection = connect(server.url())
    assert first(connection) == 1
    assert server.kill_backends() == 1
    with pytest.raises(Exception, match=r"(?i)connection|terminat"):
        first(connection)
    connection.close()
    assert server.run("SELECT 1") == ["1"]


def test_crash_keeps_what_was_committed(server):
    database, url, pid = server.create_database(), server.url(), server.pid
    database.run("CREATE TABLE t (a int); INSERT INTO t VALUES (1), (2)")
    server.crash()
    assert servers.processes(server.data) == []
    with pytest.raises(ServerError, match="not running"):
        _ = server.pid
    with pytest.raises(Exception, match=r"(?i)refused|can't connect"):
        connect(url)
    server.restart()
    assert server.pid != pid
    assert database.run("SELECT sum(a) FROM t") == ["3"]
    with connect(url) as connection:
        assert first(connection) == 1


def test_stop_and_restart(server):
    connection = connect(server.url())  # which it doesn't wait for
    server.stop()
    server.stop()
    assert servers.processes(server.data) == []
    server.restart()
    server.restart()
    assert server.run("SELECT 1") == ["1"]
    connection.close()


def test_paused_server_hangs(server):
    server.pause()
    try:
        with pytest.raises(TimeoutError, match=r"no answer in 0\.3 s"):
            server.run("SELECT 1", timeout_s=0.3)
    finally:
        server.resume()
    assert server.run("SELECT 1") == ["1"]


def test_paused_server_can_be_stopped(server):
    server.pause()
    server.restart()
    assert server.run("SELECT 1") == ["1"]


def test_closed_server_leaves_nothing(own_postgres):
    assert len(servers.processes(own_postgres.data)) > 1
    own_postgres.close()
    own_postgres.close()
    assert gone(own_postgres.data, within_s=1)
    with pytest.raises(ServerError, match="is closed"):
        own_postgres.restart()


def test_failed_start_shows_the_log_and_leaves_nothing(tmp_path):
    if reason := Postgres.unavailable():
        pytest.skip(reason)
    folder = Path(tempfile.mkdtemp())  # one of pytest's may be closed to the server's user
    try:
        with pytest.raises(ServerError, match=r"status 1 (?s:.)*invalid value for parameter \"max_connections\""):
            Postgres.start(folder, settings=["max_connections=many"])
        assert (folder / "data").exists()
        assert servers.processes(folder / "data") == []
    finally:
        shutil.rmtree(folder)
    if os.geteuid() == 0:
        tmp_path.chmod(0o700)
        with pytest.raises(ServerError, match="nobody"):
            Postgres.start(tmp_path / "below")


def test_taken_port_is_not_insisted_on(monkeypatch):
    if reason := Postgres.unavailable():
        pytest.skip(reason)
    with socket.create_server((servers.HOST, 0)) as taken:
        ports = [taken.getsockname()[1], servers._free_port()]
        monkeypatch.setattr(servers, "_free_port", lambda: ports.pop(0))
        with Postgres.start(settings=["max_connections=7"]) as server:
            assert server.run("SHOW max_connections") == ["7"]
    assert ports == []


@pytest.mark.parametrize("end", ["raise KeyboardInterrupt", "os.kill(0, signal.SIGKILL)"])
def test_server_ends_with_its_process(end):
    if reason := Postgres.unavailable():
        pytest.skip(reason)
    # Without much of an environment; and once as a user without rights, where we are root and it can read all.
    readable = servers._succeeds(sys.executable, "-c", f"open({servers.__file__!r})")
    user = servers._as_nobody() if "raise" in end and readable else {}
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), "HOME": "/nonexistent"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(end=end)],
        env=environment,
        capture_output=True,
        text=True,
        start_new_session=True,
        check=False,
        **user,
    )
    assert done.stdout.endswith("data ['1']\n"), done.stderr
    assert done.returncode == (-signal.SIGINT if "raise" in end else -signal.SIGKILL)
    assert gone(Path(done.stdout.split(" [")[0]))


def test_programs_can_be_copied_for_another_user():
    if reason := Postgres.unavailable():
        pytest.skip(reason)
    package = Path(importlib.util.find_spec("pgserver").origin).parent
    with tempfile.TemporaryDirectory() as folder:
        programs = servers.copy_programs(package, Path(folder))
        for program in ("initdb", "postgres", "psql"):
            assert servers._succeeds(programs / program, "--version")


def test_what_is_missing_is_said(monkeypatch):
    monkeypatch.setattr(servers, "_pgserver", lambda: None)
    monkeypatch.setattr(servers, "_which", lambda program: None)
    assert "pgserver is not installed" in Postgres.unavailable()
    assert "mariadb-server-core" in MariaDB.unavailable()
    with pytest.raises(ServerError, match="not installed"):
        MariaDB.start()


def test_fixtures_give_each_test_a_database(pg, maria):
    for database in (pg, maria):
        database.run("CREATE TABLE t (a int)")
        with connect(database.url()) as connection:
            assert first(connection) == 1
