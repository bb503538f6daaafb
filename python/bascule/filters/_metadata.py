"""A schema's metadata as the list of pairs that it is; ``pyarrow.Schema.metadata`` keeps one of equal keys."""

from __future__ import annotations

import ctypes
import sys

import pyarrow as pa

__all__ = ["metadata_of"]


class _ArrowSchema(ctypes.Structure):
    """The first members of the Arrow C Data Interface's struct."""

    _fields_ = (("format", ctypes.c_void_p), ("name", ctypes.c_void_p), ("metadata", ctypes.c_void_p))


def metadata_of(schema: pa.Schema) -> list[tuple[str, str]]:
    """Keys and values of a schema's metadata, in their order."""
    capsule = schema.__arrow_c_schema__()
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
    address = _ArrowSchema.from_address(pointer(capsule, b"arrow_schema")).metadata
    if not address:
        return []

    def length() -> int:
        nonlocal address
        number = int.from_bytes(ctypes.string_at(address, 4), sys.byteorder, signed=True)
        address += 4
        return number

    def text() -> str:
        nonlocal address
        size = length()
        read = ctypes.string_at(address, size)
        address += size
        return read.decode()

    return [(text(), text()) for _ in range(length())]
