"""Classes and instances that have no name to be imported by: a class made in a function, a source of one's own making.

The core finds a class by a name. These get one that this process alone knows; to worker processes they go by value.
"""

from __future__ import annotations

import copy
import itertools
import sys
import threading
import types
import weakref
from typing import Any

__all__ = ["class_of", "find", "name_of"]

_named: weakref.WeakValueDictionary[tuple[str, str], type] = weakref.WeakValueDictionary()
_lock = threading.Lock()


def find(module: str, name: str) -> type | None:
    """The class that :func:`name_of` named so."""
    return _named.get((module, name))


def name_of(cls: type) -> str:
    """``module:Class``, by which this process finds the class as long as somebody holds it."""
    module, name = cls.__module__, cls.__qualname__
    if _attribute(module, name) is cls:
        return f"{module}:{name}"
    with _lock:
        for number in itertools.count(1):
            name = cls.__name__ if number == 1 else f"{cls.__name__}_{number}"
            known = _named.get((module, name))
            if known is None and _attribute(module, name) is None:
                _named[module, name] = known = cls
            if known is cls:
                break
    return f"{module}:{name}"


def class_of(instance: object) -> type:
    """A class whose instances are copies of this one, with what it holds; they aren't closed: it is its maker's."""
    cls = type(instance)

    def made(kind: type) -> Any:
        new = copy.copy(instance)
        new.__class__ = kind
        return new

    body = {
        "__module__": cls.__module__,
        "__qualname__": f"instance of {cls.__qualname__}",
        "__doc__": cls.__doc__,
        "__new__": made,
        "__init__": lambda self: None,
        "close": None,
    }
    return types.new_class(cls.__name__, (cls,), exec_body=lambda namespace: namespace.update(body))


def _attribute(module: str, name: str) -> Any:
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found
