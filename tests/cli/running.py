"""Running ``bascule`` as people do: in a shell, and in a terminal."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

TESTS = Path(__file__).parents[1]
COMMAND = (sys.executable, "-m", "bascule")
ENVIRONMENT = {"PYTHONPATH": str(Path(__file__).parent / "without_pandas"), "TZ": "UTC"}
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def bascule(
    *args: object, cwd: Path = TESTS, stdin: str = "", env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """What a command prints on its pipes. Starts among the tests, so that ``testsources:…`` is found."""
    return subprocess.run(
        [*COMMAND, *map(str, args)],
        cwd=cwd,
        input=stdin,
        env=environment(**(env or {})),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def environment(**more: str) -> dict[str, str]:
    """The environment of a command; a ``PYTHONPATH`` is added to that of all."""
    path = os.pathsep.join(filter(None, (more.pop("PYTHONPATH", ""), ENVIRONMENT["PYTHONPATH"])))
    return {**os.environ, **ENVIRONMENT, **more, "PYTHONPATH": path}


def rows(*args: object, cwd: Path = TESTS) -> str:
    """What a query that succeeds prints."""
    done = bascule("query", *args, cwd=cwd)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


class Terminal:
    """``bascule`` with a terminal of its own, so that a key sends the signal."""

    def __init__(self, args: tuple[object, ...], width: int):
        self.raw = ""
        self._pid, self._file = pty.fork()
        if self._pid == 0:
            os.chdir(TESTS)
            env = environment(TERM="xterm-256color", COLUMNS=str(width))
            os.execve(COMMAND[0], [*COMMAND, *map(str, args)], env)
        fcntl.ioctl(self._file, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))

    @property
    def text(self) -> str:
        """All that was printed, without colours and moves."""
        return _CONTROL.sub("", self.raw).replace("\r\n", "\n")

    def read(self, until: str | None = None, seconds: float = 20) -> str:
        """Reads to ``until``, or to the end. Returns :attr:`text`."""
        end = time.monotonic() + seconds
        while until is None or until not in self.text:
            assert time.monotonic() < end, f"no {until or 'end'} within {seconds} s of:\n{self.text}"
            if select.select([self._file], [], [], 0.1)[0]:
                try:
                    data = os.read(self._file, 65536)
                except OSError:  # Linux's end of a terminal
                    break
                if not data:
                    break
                self.raw += data.decode()
        return self.text

    def press_ctrl_c(self) -> None:
        os.write(self._file, b"\x03")

    def status(self) -> int:
        _, status = os.waitpid(self._pid, 0)
        self._pid = 0
        return os.waitstatus_to_exitcode(status)

    def close(self) -> None:
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
        os.close(self._file)


@contextlib.contextmanager
def terminal(*args: object, width: int = 80) -> Iterator[Terminal]:
    program = Terminal(args, width)
    try:
        yield program
    finally:
        program.close()
