"""Checks what the built objects show of themselves, with nm.

    python tools/check_exports.py path/to/_native.so [path/to/libbascule.a]

The module exports its init function alone and leaves no DuckDB symbol open (the adapter looks them
up by name, so the module loads without DuckDB). The archive's own symbols carry our prefixes.
"""

from __future__ import annotations

import subprocess
import sys

MODULE_EXPORTS = {"PyInit__native"}
ARCHIVE_PREFIXES = ("bsc_", "bsc__")


def nm(path: str, *flags: str) -> list[str]:
    out = subprocess.run(["nm", *flags, path], check=True, capture_output=True, text=True).stdout
    return [line.split()[-1].split("@")[0] for line in out.splitlines() if line and not line.endswith(":")]


def complaints(module: str, archive: str | None = None) -> list[str]:
    found = []
    exported = set(nm(module, "-D", "--defined-only"))
    if exported != MODULE_EXPORTS:
        found.append(f"{module} exports {sorted(exported)}, expected {sorted(MODULE_EXPORTS)}")
    if undefined := [s for s in nm(module, "-D", "--undefined-only") if s.startswith("duckdb")]:
        found.append(f"{module} needs DuckDB to load: {undefined}")
    if archive is not None:
        strange = [s for s in nm(archive, "-g", "--defined-only") if not s.startswith(ARCHIVE_PREFIXES)]
        if strange:
            found.append(f"{archive} has symbols without our prefix: {strange}")
    return found


if __name__ == "__main__":
    sys.exit("\n".join(complaints(*sys.argv[1:])))
