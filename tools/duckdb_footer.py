"""Makes of a shared object a file that DuckDB LOADs: appends the footer in which DuckDB looks for what it is.

    python tools/duckdb_footer.py object.so bascule.duckdb_extension Linux-x86_64 2.0.0 0.1.0

The footer has 512 bytes: eight fields of 32, and a signature of 256, zeros where there is none. A host loads an
unsigned file only with allow_unsigned_extensions.
"""

from __future__ import annotations

import sys
from pathlib import Path

FIELD_BYTES = 32
SIGNATURE_BYTES = 256
MAGIC = "4"
ABI = "C_STRUCT_UNSTABLE"  # bound to the exact version of DuckDB
#: DuckDB's names of the platforms, by CMake's.
PLATFORMS = {
    "Linux-x86_64": "linux_amd64",
    "Linux-aarch64": "linux_arm64",
    "Darwin-x86_64": "osx_amd64",
    "Darwin-arm64": "osx_arm64",
}


def footer(platform: str, duckdb_version: str, version: str) -> bytes:
    """The footer of an extension.

    Args:
        platform: DuckDB's name of it.
        duckdb_version: the one version that it works with, as ``2.0.0``.
        version: its own.
    """
    fields = ["", "", "", ABI, version, f"v{duckdb_version}", platform, MAGIC]
    found = [field.encode("ascii") for field in fields]
    if longest := [field for field in found if len(field) > FIELD_BYTES]:
        raise ValueError(f"longer than {FIELD_BYTES} bytes: {longest}")
    return b"".join(field.ljust(FIELD_BYTES, b"\0") for field in found) + bytes(SIGNATURE_BYTES)


if __name__ == "__main__":
    source, target, system, duckdb_version, version = sys.argv[1:]
    if system not in PLATFORMS:
        raise SystemExit(f"DuckDB's name of the platform {system} is not in {__file__}")
    Path(target).write_bytes(Path(source).read_bytes() + footer(PLATFORMS[system], duckdb_version, version))
