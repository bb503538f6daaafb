"""Debian's list of installed packages, /var/lib/dpkg/status, as a table: a partition per chunk of the file."""

import re

import pyarrow as pa

STATUS = "/var/lib/dpkg/status"
FIELDS = {"package": "Package", "version": "Version", "section": "Section", "depends": "Depends"}
SCHEMA = pa.schema([*((name, pa.string()) for name in FIELDS), ("installed_kib", pa.int64())])


class DpkgStatus:
    """Options: path (default /var/lib/dpkg/status); chunk_kib (default 128)."""

    def infer_schema(self, options):
        return SCHEMA

    def plan_partitions(self, options):
        """Cuts at blank lines: they part the packages."""
        with open(options.get("path", STATUS), "rb") as file:
            text = file.read()
        chunk, cuts = int(options.get("chunk_kib", "128")) * 1024, [0]
        while (cut := text.find(b"\n\n", cuts[-1] + chunk)) >= 0:
            cuts.append(cut + 2)
        return [{"start": a, "end": b} for a, b in zip(cuts, [*cuts[1:], len(text)], strict=True)]

    def read_partition(self, partition_spec, options):
        with open(options.get("path", STATUS), "rb") as file:
            file.seek(partition_spec["start"])
            text = file.read(partition_spec["end"] - partition_spec["start"]).decode()
        packages = [dict(re.findall(r"^([A-Z][\w-]*): *(.*)$", p, re.M)) for p in text.split("\n\n") if p.strip()]
        rows = [{name: p.get(field) for name, field in FIELDS.items()} for p in packages]
        for row, package in zip(rows, packages, strict=True):
            row["installed_kib"] = int(package.get("Installed-Size", 0))
        yield pa.RecordBatch.from_pylist(rows, schema=SCHEMA)
