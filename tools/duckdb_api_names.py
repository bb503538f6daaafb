"""Writes the member names of DuckDB's function table, in order, as a C array.

A statically registered extension gets no function table from DuckDB: the adapter fills it
by name from the shared object that is loaded.

    python tools/duckdb_api_names.py duckdb_extension_v2.h out.h
"""

from __future__ import annotations

import re
import sys
from pathlib import Path


def member_names(header: str) -> list[str]:
    struct = header[header.index("typedef struct {") : header.index("} duckdb_ext_api_v2;")]
    return re.findall(r"\(\*(duckdb_v2_\w+)\)\s*\(", struct)


if __name__ == "__main__":
    names = member_names(Path(sys.argv[1]).read_text("utf-8"))
    if not names:
        raise SystemExit(f"no members found in {sys.argv[1]}")
    lines = "".join(f'    "{name}",\n' for name in names)
    Path(sys.argv[2]).write_text(f"static const char *const duckdb_api_names[] = {{\n{lines}}};\n", "utf-8")
