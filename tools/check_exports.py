"""Checks what the built objects show of themselves, with nm.

    python tools/check_exports.py path/to/_native.so [path/to/libbascule.a]
    python tools/check_exports.py path/to/bascule.duckdb_extension

The module exports its init function alone and leaves no DuckDB symbol open (the adapter looks them
up by name, so the module loads without DuckDB). The extension exports its entry point alone, and needs
neither DuckDB's symbols nor Python's. The archive's own symbols carry our prefixes.
"""

from __future__ import annotations

import subprocess
import sys

MODULE_EXPORTS = {"PyInit__native"}
EXTENSION_EXPORTS = {"bascule_init_c_api_v2"}
ARCHIVE_PREFIXES = ("bsc_", "bsc__")


def nm(path: str, *flags: str) -> list[str]:
    out = subprocess.run(["nm", *flags, path], check=True, capture_output=True, text=True).stdout
    return [line.split()[-1].split("@")[0] for line in out.splitlines() if line and not line.endswith(":")]


def complaints(module: str, archive: str | None = None) -> list[str]:
    found = []
    is_extension = module.endswith(".duckdb_extension")
    expected = EXTENSION_EXPORTS if is_extension else MODULE_EXPORTS
    exported = set(nm(module, "-D", "--defined-only"))
    if exported != expected:
        found.append(f"{module} exports {sorted(exported)}, expected {sorted(expected)}")
    undefined = nm(module, "-D", "--undefined-only")
    if of_duckdb := [s for s in undefined if s.startswith("duckdb")]:
        found.append(f"{module} needs DuckDB to load: {of_duckdb}")
    if is_extension and (of_python := [s for s in undefined if s.startswith(("Py", "_Py"))]):
        found.append(f"{module} needs Python to load: {of_python}")
    if archive is not None:
        strange = [s for s in nm(archive, "-g", "--defined-only") if not s.startswith(ARCHIVE_PREFIXES)]
        if strange:
            found.append(f"{archive} has symbols without our prefix: {strange}")
    return found


if __name__ == "__main__":
    sys.exit("\n".join(complaints(*sys.argv[1:])))
