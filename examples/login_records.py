"""Linux's log of logins and boots, /var/log/wtmp, as a table: a binary file of records of one size, cut where they end."""

import itertools
import os
import struct

import pyarrow as pa

#: utmp(5) on 64-bit Linux: type, pid, line, id, user, host, exit, session, seconds, microseconds, address.
RECORD = struct.Struct("<h2xi32s4x32s256s4xiii16x20x")
KINDS = {0: "empty", 1: "run level", 2: "boot", 5: "init", 6: "login", 7: "user", 8: "dead"}
COLUMNS = {"kind": pa.string(), "pid": pa.int32(), "line": pa.string(), "user": pa.string(), "host": pa.string()}
SCHEMA = pa.schema([*COLUMNS.items(), ("logged_at", pa.timestamp("us", "UTC"))])


class LoginRecords:
    """Options: path (default /var/log/wtmp); partitions (default 4)."""

    def infer_schema(self, options):
        return SCHEMA

    def plan_partitions(self, options):
        path, n = options.get("path", "/var/log/wtmp"), int(options.get("partitions", "4"))
        records, rest = divmod(os.path.getsize(path), RECORD.size)
        if rest:
            raise ValueError(f"{path} ends within a record: its size is no multiple of {RECORD.size} bytes")
        cuts = [records * i // n for i in range(n + 1)]
        return [{"first": a, "bascule_rows": b - a} for a, b in itertools.pairwise(cuts) if b > a]

    def read_partition(self, partition_spec, options):
        with open(options.get("path", "/var/log/wtmp"), "rb") as file:
            file.seek(partition_spec["first"] * RECORD.size)
            data = file.read(partition_spec["bascule_rows"] * RECORD.size)
        rows = []
        for kind, pid, line, user, host, _, seconds, micros in RECORD.iter_unpack(data):
            texts = [text.partition(b"\0")[0].decode(errors="replace") for text in (line, user, host)]
            rows.append([KINDS.get(kind, str(kind)), pid, *texts, seconds * 1_000_000 + micros])
        yield pa.record_batch([*map(list, zip(*rows, strict=True))], schema=SCHEMA)
