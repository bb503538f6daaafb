"""Where a run took place."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent


def machine() -> dict[str, str]:
    return {
        "cpu": _field("/proc/cpuinfo", "model name") or platform.processor() or platform.machine(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / (1 << 30):.0f} GiB",
        "system": f"{platform.system()} {platform.release().split('-')[0]}, {platform.machine()}",
    }


def versions() -> dict[str, str]:
    packages = {
        name: metadata.version(name)
        for name in ("bascule", "duckdb", "pyarrow", "numpy", "adbc-driver-postgresql", "connectorx")
    }
    return {"CPython": platform.python_version(), **packages}


def _field(file: str, name: str) -> str:
    try:
        lines = Path(file).read_text("utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")
