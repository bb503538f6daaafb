"""Classes and instances that have no name to be imported by: a class made in a function, a source of one's own making.

The core finds a class by a name. These get one that this process alone knows; to worker processes they go by value.
"""

from __future__ import annotations

import copy
import itertools
import re
import sys
import threading
import types
import weakref
from typing import Any

__all__ = ["class_of", "find", "is_importable", "name_of"]

_named: weakref.WeakValueDictionary[tuple[str, str], type] = weakref.WeakValueDictionary()
_names: weakref.WeakKeyDictionary[type, str] = weakref.WeakKeyDictionary()
_numbers = itertools.count(1)
_lock = threading.Lock()


def find(module: str, name: str) -> type | None:
    """The class that :func:`name_of` named so."""
    return _named.get((module, name))


def is_importable(cls: type) -> bool:
    """Is it what its module and name lead to?"""
    return _attribute(cls.__module__, cls.__qualname__) is cls


def name_of(cls: type) -> str:
    """``module:Class``, by which this process finds the class as long as somebody holds it: this one, though another of its
    name takes its place.
    """
    module, name = cls.__module__, cls.__qualname__
    if is_importable(cls):
        return f"{module}:{name}"
    with _lock:
        known = _names.get(cls)
        if known is None:
            # A number that no other class gets, so that no name ever means two.
            word = re.sub(r"\W", "_", cls.__name__)
            known = _names[cls] = f"{word}__{next(_numbers)}"
            _named[module, known] = cls
    return f"{module}:{known}"


def class_of(instance: object) -> type:
    """A class whose instances are copies of this one, with what it holds; they aren't closed: it is its maker's."""
    cls = type(instance)

    def made(kind: type) -> Any:
        new = copy.copy(instance)
        try:
            object.__setattr__(new, "__class__", kind)  # the class may be a frozen dataclass
        except TypeError:
            # Of __slots__: its layout is another than that of the class which a worker unpickled.
            new = object.__new__(kind)
            for slot in (slot for base in cls.__mro__ for slot in vars(base).get("__slots__", ())):
                if hasattr(instance, slot):
                    object.__setattr__(new, slot, getattr(instance, slot))
        return new

    body = {
        "__module__": cls.__module__,
        "__qualname__": f"instance of {cls.__qualname__}",
        "__doc__": cls.__doc__,
        "__new__": made,
        "__init__": lambda self: None,
        "close": None,
        # The layout is the class's: one of __slots__ alone has no room for more.
        **({} if hasattr(instance, "__dict__") else {"__slots__": ()}),
    }
    return types.new_class(cls.__name__, (cls,), exec_body=lambda namespace: namespace.update(body))


def _attribute(module: str, name: str) -> Any:
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found
