"""``python -m bascule.worker``: a process that reads sources for a host, which starts it.

The host gives it a Unix stream socket as descriptor 3. A worker says HELLO there before it imports what takes time.
"""

from __future__ import annotations

import os
import stat
import struct
import sys

import bascule

_SOCKET = 3


def main() -> None:
    """Serves the host until it is gone, or has enough; ends the process."""
    if not _is_socket():
        print(
            "bascule.worker is started by programs that read Python sources in processes of their own, and talks to them "
            "over a socket, descriptor 3. There is nothing to do for it here: see `bascule --help`",
            file=sys.stderr,
        )
        sys.exit(2)
    _say_hello()
    from bascule import _serving

    _serving.serve(_SOCKET)


def _is_socket() -> bool:
    try:
        return stat.S_ISSOCK(os.fstat(_SOCKET).st_mode)
    except OSError:
        return False


def _say_hello() -> None:
    # The one frame that is made without _wire and _native: they need not be imported yet.
    version, interpreter = (
        text.encode() for text in (bascule.__version__, f"{sys.executable} ({sys.version.split()[0]})")
    )
    payload = struct.pack("<I", 3)
    payload += b"".join(struct.pack("<I", len(text)) + text for text in (version, interpreter))
    frame = struct.pack("<IHHQ", len(payload), 1, 0, os.getpid()) + payload
    os.write(_SOCKET, frame)  # small, and the first


if __name__ == "__main__":
    main()
