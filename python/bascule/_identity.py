"""What tells a class from another one of its name, and how it reaches a worker process."""

from __future__ import annotations

import itertools
import sys
import threading
import weakref
from collections.abc import Iterator
from types import FunctionType, ModuleType
from typing import Any

from bascule import _locate, _objects
from bascule.errors import BasculeError


def marks_of(cls: type) -> list[object]:
    """What a reload in place replaces: the code of the class's methods and of the functions that they name, the
    schemas that are attributes of the class or globals of its methods. Other attributes don't count: classes
    count and cache in them.
    """
    marks: list[object] = []
    for base in cls.__mro__[:-1]:
        for value in list(vars(base).values()):
            method = getattr(value, "__func__", value)
            if isinstance(method, FunctionType):
                named = [method.__globals__.get(name) for name in method.__code__.co_names]
                marks += [method.__code__, *(x.__code__ for x in named if isinstance(x, FunctionType))]
                marks += [x for x in named if _is_schema(x)]
            elif _is_schema(value):
                marks.append(value)
    return marks


def _is_schema(value: object) -> bool:
    return not isinstance(value, type) and hasattr(type(value), "__arrow_c_schema__")


def same_marks(old: list[object], new: list[object]) -> bool:
    return len(old) == len(new) and all(a is b for a, b in zip(old, new, strict=True))


class _Known:
    """The number of a class as it was."""

    def __init__(self, cls: type, marks: list[object], pickle: bytes | None, number: int) -> None:
        self.cls = weakref.ref(cls)
        self.marks = marks
        self.pickle = pickle
        self.number = number


# By the class's address.
_known: dict[int, _Known] = {}
_numbers = itertools.count(1)
_lock = threading.RLock()


def ship(kind: int, module: str, name: str) -> tuple[bytes | None, int]:
    """How a class reaches a worker: its pickle by value, or None where a worker can import it by its name; and a
    number, another one whenever the class is another, or changed.

    Args:
        kind: ``enum bsc_locator_kind``; ``module`` and ``name`` are the locator's.

    Raises:
        SourceNotFoundError: there is no such class.
        BasculeError: only this process knows the class, and it can't be pickled.
    """
    unnamed = kind == 0 and _objects.find(module, name) is not None
    if kind == 0 and module not in sys.modules and not unnamed:
        return None, 0  # it is for the worker to import
    cls = _locate.from_locator(kind, module, name)
    pickle = None
    importable = kind != 0 or _can_import(module)
    if unnamed or not importable:
        pickle = _pickled(cls, module, f"{module}:{name}", importable)
    marks = marks_of(cls)
    with _lock:
        known = _known.get(id(cls))
        if known is None or known.cls() is not cls or known.pickle != pickle or not same_marks(known.marks, marks):
            for address in [address for address, old in _known.items() if old.cls() is None]:
                del _known[address]
            known = _known[id(cls)] = _Known(cls, marks, pickle, next(_numbers))
        return pickle, known.number


def shipped(pickle: bytes) -> type:
    """The class that :func:`ship` pickled."""
    import cloudpickle

    return cloudpickle.loads(pickle)  # type: ignore[no-any-return]


def _can_import(module: str) -> bool:
    """Would a new process find this module?"""
    if module == "__main__":
        return False
    parent, _, _ = module.rpartition(".")
    loaded = sys.modules.get(module)
    if loaded is None:
        return True
    if parent and not _can_import(parent):
        return False
    path = getattr(sys.modules.get(parent), "__path__", None) if parent else None
    # Not importlib.util.find_spec: it believes what the loaded module says of itself.
    for finder in sys.meta_path:
        spec = finder.find_spec(module, path) if hasattr(finder, "find_spec") else None
        if spec is not None:
            ours = getattr(loaded, "__file__", None)
            return ours is None or spec.origin is None or spec.origin == ours
    return False


def _pickled(cls: type, module: str, named: str, importable: bool) -> bytes:
    """By value: with its whole module, unless a worker can import that."""
    import cloudpickle

    mine = sys.modules.get(module)
    by_value = mine is not None and not importable and module != "__main__"  # that one is always
    with _lock:
        if by_value:
            cloudpickle.register_pickle_by_value(mine)
        try:
            return cloudpickle.dumps(cls, protocol=5)  # type: ignore[no-any-return]
        except Exception as e:
            culprit = _culprit(cls, mine)
            raise BasculeError(
                f"{named} is known to this process alone, so it goes to worker processes by value (cloudpickle), but "
                f"{culprit or 'it'} can't be pickled ({type(e).__name__}: {e}). Put the class into a module, which workers "
                "can import, or set bascule_executor = 'inprocess'"
            ) from None
        finally:
            if by_value:
                cloudpickle.unregister_pickle_by_value(mine)


def _culprit(cls: type, module: ModuleType | None) -> str | None:
    """Which attribute of a class, or global of its methods, can't be pickled."""
    import cloudpickle

    for what, value in _parts(cls, module):
        try:
            cloudpickle.dumps(value, protocol=5)
        except Exception:
            return f"{what} ({_locate.a(value)})"
    return None


def _parts(cls: type, module: ModuleType | None) -> Iterator[tuple[str, Any]]:
    methods: list[FunctionType] = []
    for base in cls.__mro__[:-1]:
        for name, value in vars(base).items():
            method = getattr(value, "__func__", value)
            if isinstance(method, FunctionType):
                methods.append(method)
            elif not name.startswith("__"):
                yield f"its attribute '{name}'", value
    for method in methods:
        for name, cell in zip(method.__code__.co_freevars, method.__closure__ or (), strict=True):
            if name != "__class__":
                yield f"'{name}', which {method.__name__} uses,", cell.cell_contents
        for name in method.__code__.co_names:
            if module is not None and name in method.__globals__ and method.__globals__ is vars(module):
                yield f"the global '{name}', which {method.__name__} uses,", method.__globals__[name]
