"""Where a class is found: a module, a file, or a short name (entry point)."""

from __future__ import annotations

import contextlib
import difflib
import importlib
import importlib.machinery
import importlib.util
import pkgutil
import sys
import threading
from pathlib import Path
from types import CodeType
from typing import Any

from bascule import _objects
from bascule.errors import SourceNotFoundError

_GROUP = "bascule.sources"
#: Modules of the design that Bascule grew out of: ours stand in for them where they are not installed.
_FORMER = {"pysail.read.arrow_datasource": "bascule.sources.jdbc"}

# A file's module as long as the file is unchanged: the same class object again.
_files: dict[Path, tuple[bytes, Any]] = {}
_files_lock = threading.RLock()


def from_locator(kind: int, module: str, name: str) -> type:
    """The class that a locator names; ``kind`` is ``enum bsc_locator_kind``."""
    if kind == 0:
        return from_module(module, name)
    if kind == 1:
        return from_file(module, name)
    return from_entry_point(name)


def from_module(module: str, name: str) -> type:
    """Class ``name`` (an attribute path) of an importable module. ``__main__`` is the running script or notebook."""
    if (unnamed := _objects.find(module, name)) is not None:
        return unnamed
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as e:
        if module in _FORMER and e.name is not None and (module + ".").startswith(e.name + "."):
            return from_module(_FORMER[module], name)
        if e.name is not None and (module == e.name or module.startswith(e.name + ".")):
            raise SourceNotFoundError(
                f"there is no module '{module}' on the path of {sys.executable}"
                f"{_similar_modules(module)}. Install it, or start where it can be imported; a file is named "
                "'path/to/file.py:Class'"
            ) from None
        raise
    return _attribute(found, name, f"module '{module}'")


def from_file(path: str, name: str) -> type:
    """Class ``name`` of a Python file, loaded again when the file has changed."""
    file = Path(path).expanduser().resolve()
    try:
        text = file.read_bytes()
    except OSError as e:
        raise SourceNotFoundError(
            f"file '{path}' can't be read: {e.strerror} (looked for {file}). A relative path starts at the working directory"
        ) from None
    with _files_lock:
        known = _files.get(file)
        if known is None or known[0] != text:
            known = _files[file] = (text, _load(file))
    return _attribute(known[1], name, f"file '{path}'")


def forget_files() -> None:
    """Loads each file again, at its next use."""
    with _files_lock:
        _files.clear()


def from_entry_point(name: str) -> type:
    """The class that an installed package offers under a short name (entry point group ``bascule.sources``)."""
    import importlib.metadata  # takes longer than the rest of bascule

    points = importlib.metadata.entry_points(group=_GROUP)
    named = [p for p in points if p.name == name]
    if not named:
        known = sorted({p.name for p in points})
        module, _, cls = name.rpartition(".")
        near = [f"{module}:{cls}"] if module and cls else difflib.get_close_matches(name, known)
        hint = f"Did you mean {_quoted(near)}? " if near else ""
        there = f"installed: {', '.join(known)}" if known else "none is installed"
        raise SourceNotFoundError(
            f"no source has the short name '{name}' ({there}). {hint}A package's name is known once it is installed "
            "(pip install -e .); a class is named by 'pkg.mod:Class' or 'path/to/file.py:Class'"
        )
    if len({p.value for p in named}) > 1:
        offers = ", ".join(f"{p.value} ({p.dist.name if p.dist else '?'})" for p in named)
        raise SourceNotFoundError(f"several packages offer the short name '{name}': {offers}. Name the class instead")
    try:
        found = named[0].load()
    except (ImportError, AttributeError) as e:
        package = named[0].dist.name if named[0].dist else "?"
        raise SourceNotFoundError(
            f"the short name '{name}' stands for {named[0].value} (an entry point of the package {package}), which can't be "
            f"loaded: {type(e).__name__}: {e}"
        ) from e
    return _checked(found, name)


class _FromSource(importlib.machinery.SourceFileLoader):
    """Without bytecode files: Python takes one for fresh within the same second."""

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)


def _load(file: Path) -> Any:
    """Runs a file as a module of its own; modules beside it can be imported meanwhile."""
    import hashlib

    name = f"bascule_file_{hashlib.sha256(str(file).encode()).hexdigest()[:12]}_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file, loader=_FromSource(name, str(file)))
    if spec is None or spec.loader is None:
        raise SourceNotFoundError(f"{file} is no Python file")
    module = importlib.util.module_from_spec(spec)
    before = sys.modules.get(name)
    sys.modules[name] = module
    sys.path.insert(0, str(file.parent))
    try:
        spec.loader.exec_module(module)
    except BaseException:
        if before is None:
            del sys.modules[name]
        else:
            sys.modules[name] = before
        raise
    finally:
        with contextlib.suppress(ValueError):  # the file may have changed sys.path itself
            sys.path.remove(str(file.parent))
    return module


def _attribute(module: Any, name: str, where: str) -> type:
    found = module
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            near = difflib.get_close_matches(name, _classes(module))
            raise SourceNotFoundError(
                f"{where} has no class '{name}'" + (f"; did you mean {_quoted(near)}?" if near else "")
            ) from None
    return _checked(found, name)


def _checked(found: Any, name: str) -> type:
    if not isinstance(found, type):
        raise SourceNotFoundError(f"'{name}' is {a(found)}, not a class")
    return found


def _classes(module: Any) -> list[str]:
    return [name for name, value in vars(module).items() if isinstance(value, type)]


def _similar_modules(module: str) -> str:
    parent, _, last = module.rpartition(".")
    path = getattr(sys.modules.get(parent), "__path__", None) if parent else None
    names = [found.name for found in pkgutil.iter_modules(path)] if path or not parent else []
    near = difflib.get_close_matches(last, [name for name in names if not name.startswith("_")], n=1)
    return f" (did you mean '{parent}{'.' if parent else ''}{near[0]}'?)" if near else ""


def _quoted(names: list[str]) -> str:
    return " or ".join(f"'{n}'" for n in names)


def a(value: object) -> str:
    """What a value is, in words: ``a dict``, ``None``."""
    if value is None:
        return "None"
    kind = type(value).__name__
    return f"{'an' if kind[0] in 'aeiouAEIOU' else 'a'} {kind}"
