"""Checks that arrows between the C rooms point down, and that each room includes only what it may.

python tools/lint_includes.py
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

#: Room -> prefixes of the non-system headers that its files may include.
MAY_INCLUDE: dict[str, tuple[str, ...]] = {
    "include": (),
    "src/base": ("bascule.h", "base/"),
    "src/filter": ("bascule.h", "base/", "filter/"),
    "src/process": ("bascule.h", "base/", "process/", "nanoarrow/"),
    "src/source": ("bascule.h", "base/", "source/", "nanoarrow/"),
    "src/scan": ("bascule.h", "base/", "filter/", "source/", "scan/", "nanoarrow/"),
    "engines/duckdb": (
        *(
            "bascule.h",
            "api.h",
            "call.h",
            "importing.h",
            "nested.h",
            "pushdown.h",
            "register.h",
            "shadow.h",
            "scan.h",
            "scans.h",
            "types.h",
            "duckdb_",
        ),
    ),
    "python/bascule/_native": (
        "bascule.h",
        "arguments.h",
        "capsule.h",
        "duckdb_adapter.h",
        "exported.h",
        "gate.h",
        "held.h",
        "hosting.h",
        "imported.h",
        "inprocess.h",
        "metrics.h",
        "raised.h",
        "run.h",
        "partition_stream.h",
        "planned.h",
        "trimmed.h",
        "watch.h",
        "worker.h",
        "process/",
        "Python.h",
    ),
}

#: What C11 and POSIX bring; anything else in <> belongs to a room.
SYSTEM = frozenset(
    [
        "dlfcn",
        "errno",
        "fcntl",
        "limits",
        "poll",
        "pthread",
        "signal",
        "spawn",
        "stdarg",
        "stdatomic",
        "stdbool",
        "stddef",
        "stdint",
        "stdio",
        "stdlib",
        "string",
        "sys/mman",
        "sys/prctl",
        "sys/resource",
        "sys/socket",
        "sys/stat",
        "sys/types",
        "sys/un",
        "sys/wait",
        "time",
        "unistd",
    ]
)


def complaints() -> list[str]:
    found = []
    rooms = sorted({p.parent for top in ("include", "src", "engines", "python") for p in (ROOT / top).rglob("*.[ch]")})
    for room in rooms:
        name = room.relative_to(ROOT).as_posix()
        if name not in MAY_INCLUDE:
            found.append(f"{name}: a room that tools/lint_includes.py doesn't know")
            continue
        for file in sorted(room.glob("*.[ch]")):
            for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
                match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)', line)
                if not match:
                    continue
                header = match[2]
                if match[1] == "<" and header.removesuffix(".h") in SYSTEM:
                    continue
                if not header.startswith(MAY_INCLUDE[name]):
                    found.append(f"{file.relative_to(ROOT)}:{number}: {name} must not include {header}")
    return found


if __name__ == "__main__":
    sys.exit("\n".join(complaints()) or None)
