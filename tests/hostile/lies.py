"""Numbers of arrays that lie, read through DuckDB in a program of its own: what is not found may crash it.

python lies.py full|layout < names    one line of JSON for each: the name, and what the user reads
"""

from __future__ import annotations

import ctypes
import json
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

sys.path.insert(0, str(Path(__file__).parents[1]))

from hostile.c_data import Broken, shells

Damage = Callable[[Any, Any], None]
_kept: list[object] = []


def at(schema: Any, struct_: Any, path: str) -> Any:
    """The schema or array at a path: "" the root, "s" a column, "r.0" its child, "d.dictionary"."""
    names = [(schema.children[i].contents.name or b"").decode() for i in range(schema.n_children)]
    for step in path.split(".") if path else ():
        if step == "dictionary":
            struct_ = struct_.dictionary.contents
        else:
            struct_ = struct_.children[names.index(step) if step in names else int(step)].contents
    return struct_


def set_(path: str, **fields: Any) -> Damage:
    """Sets fields of an array."""

    def damage(schema: Any, array: Any) -> None:
        for name, value in fields.items():
            setattr(at(schema, array, path), name, value)

    return damage


def set_buffer(path: str, i: int, value: bytes | None) -> Damage:
    """A buffer: None, or bytes of its own."""

    def damage(schema: Any, array: Any) -> None:
        memory = ctypes.create_string_buffer(value, len(value) + 64) if value is not None else None
        _kept.append(memory)
        at(schema, array, path).buffers[i] = ctypes.addressof(memory) if memory is not None else None

    return damage


def numbers(kind: str, *values: int) -> bytes:
    return struct.pack(f"<{len(values)}{kind}", *values)


TEXT = pa.array(["one", "two", None])
D = pa.array(["a", "b", "a"]).dictionary_encode()
#: Three rows of each; the nested ones have three items or more.
BATCH = pa.record_batch(
    {
        "n": pa.array([1, None, 3], pa.int64()),
        "s": TEXT,
        "b": pa.array([b"one", b"two", None], pa.large_binary()),
        "v": pa.array(["one", "two and more than twelve bytes", None], pa.string_view()),
        "l": pa.array([[1, 2], [], [3]], pa.list_(pa.int64())),
        "ll": pa.array([[1, 2], [], [3]], pa.large_list(pa.int64())),
        "m": pa.array([[("x", 1)], [], [("y", 2)]], pa.map_(pa.string(), pa.int64())),
        "w": pa.array([[1, 2], [], [3]], pa.list_view(pa.int64())),
        "ww": pa.array([[1, 2], [], [3]], pa.large_list_view(pa.int64())),
        "d": D,
        "dn": pa.array(["a", None, "b"]).dictionary_encode(),
        "u": pa.UnionArray.from_sparse(
            pa.array([0, 1, 0], pa.int8()), [pa.array([1, 2, 3]), pa.array(["x", "y", "z"])]
        ),
        "e": pa.RunEndEncodedArray.from_arrays(pa.array([2, 3], pa.int32()), pa.array(["x", "y"])),
        "ls": pa.ListArray.from_arrays(pa.array([0, 1, 2, 3], pa.int32()), TEXT),
        "ld": pa.ListArray.from_arrays(pa.array([0, 1, 2, 3], pa.int32()), D),
        "rs": pa.StructArray.from_arrays([TEXT], ["x"]),
        "fn": pa.FixedSizeListArray.from_arrays(pa.array([1, 2, None, 4, 5, 6]), 2),
        "ds": pa.DictionaryArray.from_arrays(pa.array([0, 1, 0]), pa.array(["one", "two", "three"])),
    }
)

OFFSETS = "has offsets that are negative or fall"
ITEMS = "has a list outside its items"
INDEX = "has a dictionary index outside its dictionary"
COUNT = "has a null count that its bitmap contradicts"
FAR = 2**31 - 1

#: What lies, the column, and what its message says. Found always.
LIES: dict[str, tuple[Damage, str, str]] = {
    "text offsets that fall": (set_buffer("s", 1, numbers("i", 0, 3, 1, 6)), "s", OFFSETS),
    "text offset far out in the middle": (set_buffer("s", 1, numbers("i", 0, FAR, 6, 6)), "s", OFFSETS),
    "text offset below zero": (set_buffer("s", 1, numbers("i", -8, 3, 6, 6)), "s", "Expected first offset >= 0"),
    "binary offsets that fall": (set_buffer("b", 1, numbers("q", 0, 2**62, 6, 6)), "b", OFFSETS),
    "list offsets that fall": (set_buffer("l", 1, numbers("i", 0, 2, 1, 3)), "l", OFFSETS),
    "list offset far out in the middle": (set_buffer("l", 1, numbers("i", 0, FAR, 3, 3)), "l", OFFSETS),
    "list offset below zero in the middle": (set_buffer("l", 1, numbers("i", 0, -FAR, 3, 3)), "l", OFFSETS),
    "large list offset far out": (set_buffer("ll", 1, numbers("q", 0, 2**62, 3, 3)), "ll", OFFSETS),
    "map offsets that fall": (set_buffer("m", 1, numbers("i", 0, FAR, 1, 2)), "m", OFFSETS),
    "list view beyond its items": (set_buffer("w", 1, numbers("i", 0, 7, 2)), "w", ITEMS),
    "list view far out": (set_buffer("w", 1, numbers("i", 0, FAR, 2)), "w", ITEMS),
    "list view below zero": (set_buffer("w", 1, numbers("i", -1, 0, 2)), "w", ITEMS),
    "list view of a huge size": (set_buffer("w", 2, numbers("i", 2, 0, FAR)), "w", ITEMS),
    "large list view of a negative size": (set_buffer("ww", 2, numbers("q", 2, 0, -1)), "ww", ITEMS),
    "dictionary index beyond": (set_buffer("d", 1, numbers("i", 0, 7, 0)), "d", INDEX),
    "dictionary index far beyond": (set_buffer("d", 1, numbers("i", 0, 2_000_000_000, 0)), "d", INDEX),
    "dictionary index below zero": (set_buffer("d", 1, numbers("i", 0, -1, 0)), "d", INDEX),
    "dictionary index beyond, beside a null": (set_buffer("dn", 1, numbers("i", 0, 0, 2)), "dn", INDEX),
    "dictionary whose text offsets fall": (set_buffer("ds.dictionary", 1, numbers("i", 0, FAR, 6, 11)), "ds", OFFSETS),
    "dictionary without values": (set_("d.dictionary", length=0), "d", INDEX),
    "union type id of no member": (
        set_buffer("u", 0, numbers("b", 0, 5, 0)),
        "u",
        "has a union's type id that no member has",
    ),
    "union type id below zero": (
        set_buffer("u", 0, numbers("b", 0, -1, 0)),
        "u",
        "has a union's type id that no member has",
    ),
    "run ends that fall": (set_buffer("e.0", 1, numbers("i", 7, 3)), "e", "has run ends that don't rise"),
    "run ends that stop short": (set_buffer("e.0", 1, numbers("i", 1, 2)), "e", "Last run end is 2"),
    "null count of none over a null": (set_("n", null_count=0), "n", COUNT),
    "null count of too many": (set_("n", null_count=2), "n", COUNT),
    "null count of all": (set_("s", null_count=3), "s", COUNT),
    "null count of none over a null item": (set_("fn.0", null_count=0), "fn", COUNT),
    "text in lists, offset far out": (set_buffer("ls.0", 1, numbers("i", 0, FAR, 6, 6)), "ls", OFFSETS),
    "text in a struct, offsets that fall": (set_buffer("rs.0", 1, numbers("i", 0, 6, 3, 6)), "rs", OFFSETS),
    "dictionary index in lists, beyond": (set_buffer("ld.0", 1, numbers("i", 0, 2_000_000_000, 0)), "ld", INDEX),
}


def view(*row: int) -> Damage:
    """Of three string views the second."""
    return set_buffer("v", 1, numbers("i", 0, 0, 0, 0, *row, 0, 0, 0, 0))


VIEW = "has a string view outside its buffers"
#: Found with bascule_validation = 'full' alone.
IN_FULL: dict[str, tuple[Damage, str, str]] = {
    "text that is no UTF-8": (set_buffer("s", 2, b"\xff\xfe\xfdtwo"), "s", "holds text that is not UTF-8"),
    "view of a negative size": (view(-1, 0, 0, 0), "v", VIEW),
    "view into no buffer": (view(20, 0, 9, 0), "v", VIEW),
    "view beyond its buffer": (view(20, 0, 0, 10**6), "v", VIEW),
}


# ---- the program ----


class Liar:
    lie: Damage

    def infer_schema(self, options: Any) -> pa.Schema:
        return BATCH.schema

    def plan_partitions(self, options: Any) -> list[dict[str, Any]]:
        return [{}]

    def read_partition(self, partition_spec: Any, options: Any) -> Iterator[Broken]:
        schema, array = shells(BATCH)
        self.lie(schema, array)
        yield Broken(schema, array)


def main(mode: str) -> None:
    import duckdb

    import bascule

    con = bascule.connect(config={"threads": 2})
    for name in sys.stdin.read().splitlines():
        damage, column, _ = (LIES | IN_FULL)[name]
        Liar.lie = staticmethod(damage)
        said = []
        for columns in ("*", f'"{column}"'):
            try:
                said.append(
                    repr(
                        con.execute(
                            f"SELECT {columns} FROM python('__main__:Liar', bascule_validation := '{mode}')"
                        ).fetchall()
                    )
                )
            except duckdb.Error as e:
                said.append(str(e))
        # A column that no query reads is its producer's own affair.
        others = con.execute(
            f"SELECT * EXCLUDE \"{column}\" FROM python('__main__:Liar', bascule_validation := '{mode}')"
        )
        print(json.dumps([name, *said, len(others.fetchall())]), flush=True)


def told(mode: str, names: list[str]) -> dict[str, list[Any]]:
    """What became of each: the messages of a query for all columns and for the one, and how many rows the others had."""
    out: dict[str, list[Any]] = {}
    todo = list(names)
    while todo:
        command = [sys.executable, __file__, mode]
        done = subprocess.run(command, input="\n".join(todo), capture_output=True, text=True, timeout=60, check=False)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        out |= {name: rest for name, *rest in lines}
        todo = todo[len(lines) :]
        if todo:
            out[todo.pop(0)] = [f"the program ended with {done.returncode}: {done.stderr}"] * 2 + [0]
    return out


if __name__ == "__main__":
    main(sys.argv[1])
