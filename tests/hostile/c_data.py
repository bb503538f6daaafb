"""The structs of the Arrow C Data Interface by ctypes, to be broken at will and yielded by a class.

Source: https://arrow.apache.org/docs/format/CDataInterface.html and CStreamInterface.html. The structs
made here are shells over those that pyarrow exports: their release does nothing but mark them, so that
what is broken in them is never seen by pyarrow.
"""

from __future__ import annotations

import ctypes
from typing import Any

import pyarrow as pa


class ArrowSchema(ctypes.Structure):
    pass


class ArrowArray(ctypes.Structure):
    pass


class ArrowArrayStream(ctypes.Structure):
    pass


ReleaseSchema = ctypes.CFUNCTYPE(None, ctypes.POINTER(ArrowSchema))
ReleaseArray = ctypes.CFUNCTYPE(None, ctypes.POINTER(ArrowArray))
ReleaseStream = ctypes.CFUNCTYPE(None, ctypes.POINTER(ArrowArrayStream))
GetSchema = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ArrowArrayStream), ctypes.POINTER(ArrowSchema))
GetNext = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ArrowArrayStream), ctypes.POINTER(ArrowArray))
GetLastError = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.POINTER(ArrowArrayStream))

ArrowSchema._fields_ = [
    ("format", ctypes.c_char_p),
    ("name", ctypes.c_char_p),
    ("metadata", ctypes.c_void_p),
    ("flags", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("children", ctypes.POINTER(ctypes.POINTER(ArrowSchema))),
    ("dictionary", ctypes.POINTER(ArrowSchema)),
    ("release", ReleaseSchema),
    ("private_data", ctypes.c_void_p),
]
ArrowArray._fields_ = [
    ("length", ctypes.c_int64),
    ("null_count", ctypes.c_int64),
    ("offset", ctypes.c_int64),
    ("n_buffers", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("buffers", ctypes.POINTER(ctypes.c_void_p)),
    ("children", ctypes.POINTER(ctypes.POINTER(ArrowArray))),
    ("dictionary", ctypes.POINTER(ArrowArray)),
    ("release", ReleaseArray),
    ("private_data", ctypes.c_void_p),
]
ArrowArrayStream._fields_ = [
    ("get_schema", GetSchema),
    ("get_next", GetNext),
    ("get_last_error", GetLastError),
    ("release", ReleaseStream),
    ("private_data", ctypes.c_void_p),
]

#: Releases that were called; what lives until the process ends, as its shells may be anywhere.
released: list[str] = []
_kept: list[Any] = []


@ReleaseSchema
def _release_schema(schema):
    released.append("schema")
    schema.contents.release = ReleaseSchema()


@ReleaseArray
def _release_array(array):
    released.append("array")
    array.contents.release = ReleaseArray()


def _shell_schema(real: ArrowSchema) -> ArrowSchema:
    shell = ArrowSchema.from_buffer_copy(real)
    shell.release, shell.private_data = _release_schema, None
    children = (ctypes.POINTER(ArrowSchema) * max(real.n_children, 1))()
    for i in range(real.n_children):
        children[i] = ctypes.pointer(_shell_schema(real.children[i].contents))
    shell.children = ctypes.cast(children, ctypes.POINTER(ctypes.POINTER(ArrowSchema)))
    if real.dictionary:
        shell.dictionary = ctypes.pointer(_shell_schema(real.dictionary.contents))
    _kept.append((shell, children))
    return shell


def _shell_array(real: ArrowArray) -> ArrowArray:
    shell = ArrowArray.from_buffer_copy(real)
    shell.release, shell.private_data = _release_array, None
    children = (ctypes.POINTER(ArrowArray) * max(real.n_children, 1))()
    for i in range(real.n_children):
        children[i] = ctypes.pointer(_shell_array(real.children[i].contents))
    buffers = (ctypes.c_void_p * max(real.n_buffers, 1))(*[real.buffers[i] for i in range(real.n_buffers)])
    shell.children = ctypes.cast(children, ctypes.POINTER(ctypes.POINTER(ArrowArray)))
    shell.buffers = ctypes.cast(buffers, ctypes.POINTER(ctypes.c_void_p))
    if real.dictionary:
        shell.dictionary = ctypes.pointer(_shell_array(real.dictionary.contents))
    _kept.append((shell, children, buffers))
    return shell


def shells(batch: pa.RecordBatch) -> tuple[ArrowSchema, ArrowArray]:
    """The batch's schema and array, as structs to break."""
    schema, array = ArrowSchema(), ArrowArray()
    batch._export_to_c(ctypes.addressof(array), ctypes.addressof(schema))
    _kept.append((batch, schema, array))
    return _shell_schema(schema), _shell_array(array)


_new_capsule = ctypes.pythonapi.PyCapsule_New
_new_capsule.restype = ctypes.py_object
_new_capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]


def capsule(struct: ctypes.Structure, name: bytes) -> object:
    _kept.append((struct, name))
    return _new_capsule(ctypes.addressof(struct), name, None)


class Broken:
    """Exports structs by ``__arrow_c_array__``."""

    def __init__(self, schema: ArrowSchema, array: ArrowArray):
        self.schema, self.array = schema, array

    def __arrow_c_array__(self, requested_schema=None):
        return capsule(self.schema, b"arrow_schema"), capsule(self.array, b"arrow_array")


class BrokenSchema:
    """Exports a schema by ``__arrow_c_schema__``, as often as it is asked: that of the batch, damaged."""

    def __init__(self, batch: pa.RecordBatch, damage: Any):
        self.batch, self.damage = batch, damage

    def __arrow_c_schema__(self):
        schema, array = shells(self.batch)
        self.damage(schema, array)
        return capsule(schema, b"arrow_schema")


class Stream:
    """Exports a stream of the batches; each argument may be replaced by what goes wrong.

    Args:
        batches: handed over in turn.
        schema: what get_schema gives, else the first batch's.
        schema_code: what get_schema returns; 0 is success.
        fails_at: the call of get_next that returns ``code``.
        said: the bytes of get_last_error, or None.
    """

    def __init__(self, batches, schema=None, schema_code=0, fails_at=None, code=5, said=b"the wire was cut"):
        self.structs = [shells(batch) for batch in batches]
        self.given_schema = schema if schema is not None else shells(batches[0])[0]
        self.calls = self.released = 0
        text = ctypes.create_string_buffer(said) if said is not None else None

        @GetSchema
        def get_schema(stream, out):
            if schema_code == 0:
                ctypes.memmove(out, ctypes.byref(self.given_schema), ctypes.sizeof(ArrowSchema))
            return schema_code

        @GetNext
        def get_next(stream, out):
            n = self.calls
            self.calls += 1
            if n == fails_at:
                return code
            if n < len(self.structs):
                ctypes.memmove(out, ctypes.byref(self.structs[n][1]), ctypes.sizeof(ArrowArray))
            else:
                out.contents.release = ReleaseArray()
            return 0

        @GetLastError
        def get_last_error(stream):
            return ctypes.addressof(text) if text is not None else None

        @ReleaseStream
        def release(stream):
            self.released += 1
            stream.contents.release = ReleaseStream()

        self.struct = ArrowArrayStream(get_schema, get_next, get_last_error, release, None)
        _kept.append((self, get_schema, get_next, get_last_error, release, text))

    def __arrow_c_stream__(self, requested_schema=None):
        return capsule(self.struct, b"arrow_array_stream")
