"""Environments for files that name their own dependencies (inline script metadata).

uv makes them, with this very bascule among the dependencies: as a wheel that is
written from the running installation, since it may be on no index. They are kept
in the user's cache under a hash of all that went into them.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bascule.errors import BasculeError, SourceNotFoundError, mask, printable
from bascule.options import Options

__all__ = ["cache", "has_metadata", "interpreter_for"]

# The reference implementation's, of the specification "inline script metadata".
_BLOCK = re.compile(r"(?m)^# /// (?P<type>[a-zA-Z0-9-]+)$\s(?P<content>(^#(| .*)$\s)+)^# ///$")
_INSTALL = "pip install 'bascule[scripts]'"
_PLACES = ("url", "find-links", "index-url", "extra-index-url")  # of [tool.uv]: a URL or a path
_LINES = 15  # of what uv says
#: What would make uv take another Python or another place, or leave something out.
_NOT_FOR_UV = (
    *("UV_PYTHON", "UV_PYTHON_PREFERENCE", "UV_MANAGED_PYTHON", "UV_NO_MANAGED_PYTHON", "UV_SYSTEM_PYTHON"),
    *("UV_PROJECT", "UV_PROJECT_ENVIRONMENT", "UV_WORKING_DIR", "UV_VENV_CLEAR", "UV_VENV_SEED"),
    *("UV_FROZEN", "UV_LOCKED", "UV_NO_SYNC", "UV_NO_SOURCES", "VIRTUAL_ENV", "CONDA_PREFIX"),
)
_UV_INDEXES = ("DEFAULT_INDEX", "INDEX", "INDEX_URL", "EXTRA_INDEX_URL", "FIND_LINKS", "NO_INDEX", "CONFIG_FILE")


def has_metadata(path: str) -> bool:
    """True if a Python file has a script block, so that it runs in an environment of its own. False too where
    it can't be read: whoever loads it says why; and in such an environment.

    Example:
        >>> has_metadata(__file__)
        False
    """
    try:
        return _has_block(Path(path).expanduser().read_bytes()) and not _is_inside()
    except OSError:
        return False


def _is_inside() -> bool:
    """Is this interpreter that of an environment of ours? Then what a file asks for is there."""
    return Path(sys.prefix).parent == cache()


def interpreter_for(path: str) -> str | None:
    """The Python interpreter of the environment that a file asks for, made if it isn't there.

    It has the dependencies of the file's script block and this very bascule. Making it takes seconds,
    and says so in a line on stderr; finding it takes some milliseconds. Processes that want the same one
    at once make it once.

    Args:
        path: the Python file, relative to the working directory.

    Returns:
        The interpreter's path, or None where the file has no script block, or this interpreter is its own.

    Raises:
        SourceNotFoundError: the file can't be read.
        BasculeError: the block is wrong, this Python doesn't fit it, uv is missing or failed.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     file = pathlib.Path(directory, "orders.py")
        ...     _ = file.write_text("import pyarrow")
        ...     print(interpreter_for(str(file)))
        None
    """
    file = Path(path).expanduser().resolve()
    try:
        source = file.read_bytes()
    except OSError as e:
        raise SourceNotFoundError(
            f"file '{path}' can't be read: {e.strerror} (looked for {file}). A relative path starts at the working directory"
        ) from None
    if not _has_block(source) or _is_inside():
        return None
    script = _parsed(path, file, _decoded(source))
    _check_python(script)
    bascule = _Bascule.running()
    place = cache() / _key(script, bascule)
    if not _usable(place):
        _make(place, script, bascule)
    return str(_python(place))


def cache() -> Path:
    """The directory of all environments. Any of them may be deleted: it is made again when needed."""
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # What isn't absolute is to be ignored, says the XDG Base Directory Specification.
    if not base.is_absolute():
        try:
            base = Path.home() / ".cache"
        except RuntimeError:
            raise BasculeError(
                "environments of files are cached in the home directory, and there is none: set XDG_CACHE_HOME to a "
                "directory that can be written"
            ) from None
    return base / "bascule" / "environments"


# ---- the script block ----


@dataclass(frozen=True)
class _Script:
    path: str  # as the user wrote it
    file: Path
    requires_python: str
    dependencies: list[str]
    uv: dict[str, Any]  # the table [tool.uv], its paths absolute

    @property
    def names(self) -> str:
        """The dependencies without versions, and without addresses, which may hold secrets."""
        names = [found.group() for d in self.dependencies if (found := re.match(r"[\w.-]+", d.strip()))]
        return ", ".join([*names[:5], "…"] if len(names) > 6 else names) or "no dependencies"


def _has_block(source: bytes) -> bool:
    return b"# /// script" in source and bool(_blocks(_decoded(source)))


def _decoded(source: bytes) -> str:
    """A Python file's text: its coding line counts, line ends become one. One that can't be read has no block:
    importing it says what is wrong."""
    import importlib.util

    try:
        return importlib.util.decode_source(source)
    except (SyntaxError, UnicodeDecodeError):
        return ""


def _blocks(text: str) -> list[str]:
    found = [match for match in _BLOCK.finditer(text) if match.group("type") == "script"]
    lines = [match.group("content").splitlines(keepends=True) for match in found]
    return ["".join(line[2:] if line.startswith("# ") else line[1:] for line in block) for block in lines]


def _parsed(path: str, file: Path, text: str) -> _Script:
    import tomllib

    blocks = _blocks(text)
    if len(blocks) > 1:
        raise _wrong(path, f"there are {len(blocks)} of them; put all into one")
    try:
        block = tomllib.loads(blocks[0])
    except tomllib.TOMLDecodeError as e:
        raise _wrong(path, f"it is no TOML: {e}") from None
    dependencies, requires_python = block.get("dependencies", []), block.get("requires-python", "")
    if not isinstance(dependencies, list) or not all(isinstance(d, str) for d in dependencies):
        raise _wrong(path, 'dependencies is a list of texts: dependencies = ["httpx", "polars>=1"]')
    if not isinstance(requires_python, str):
        raise _wrong(path, 'requires-python is a text: requires-python = ">=3.11"')
    tool = block.get("tool", {})
    uv = tool.get("uv", {}) if isinstance(tool, dict) else {}
    if not isinstance(uv, dict):
        raise _wrong(path, "tool.uv is a table: [tool.uv]")
    there = [_at(d, file.parent) for d in dependencies]
    return _Script(path, file, requires_python, there, _absolute(uv, file.parent))


def _wrong(path: str, what: str) -> BasculeError:
    return BasculeError(f"the script block (# /// script) of file '{path}' can't be used: {what}")


def _at(dependency: str, base: Path) -> str:
    """``name @ ./path``, which uv takes from projects alone, with the path from a script's directory."""
    found = re.fullmatch(r"\s*([\w.-]+\s*(?:\[[^\]]*\])?\s*@)\s*(\.\.?/[^\s;]*)\s*(;.*)?", dependency)
    if not found:
        return dependency
    return f"{found[1]} {Path(os.path.normpath(base / found[2])).as_uri()} {found[3] or ''}".rstrip()


def _absolute(uv: dict[str, Any], base: Path) -> dict[str, Any]:
    """The table ``[tool.uv]`` for a script in another directory; bascule is the running one whatever it says."""

    def of(value: Any, key: str) -> Any:
        if isinstance(value, dict):
            return {k: of(v, k) for k, v in value.items()}
        if isinstance(value, list):
            return [of(v, key) for v in value]
        if isinstance(value, str) and (key == "path" or (key in _PLACES and "://" not in value)):
            return str(base / value)
        return value

    uv = {key: of(value, key) for key, value in uv.items()}
    if isinstance(sources := uv.get("sources"), dict):
        uv["sources"] = {name: source for name, source in sources.items() if name.lower() != "bascule"}
    return uv


def _toml(value: Any) -> str:
    """A value that tomllib read, as TOML in one line."""
    import json

    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_toml(str(k))} = {_toml(v)}" for k, v in value.items()) + " }" if value else "{}"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat() if hasattr(value, "isoformat") else repr(value)


def _check_python(script: _Script) -> None:
    """That this Python is one that the file takes: bascule's C module is built for it and no other."""
    if not script.requires_python.strip():
        return
    try:
        from packaging.specifiers import InvalidSpecifier, SpecifierSet
    except ModuleNotFoundError as e:
        raise BasculeError(
            f"file '{script.path}' has a script block, whose requires-python can't be read: the package packaging is not "
            f"installed for {sys.executable}. {_INSTALL}"
        ) from e
    try:
        wanted = SpecifierSet(script.requires_python)
    except InvalidSpecifier:
        raise _wrong(
            script.path, f"requires-python = \"{script.requires_python}\" is no version specifier, as '>=3.11'"
        ) from None
    version = _version()
    if not wanted.contains(version, prereleases=True):
        raise BasculeError(
            f"file '{script.path}' wants Python {script.requires_python} (requires-python in its script block), but its "
            f"environment would be made with Python {version}, {sys.executable}. Install bascule for a Python that "
            "fits, and name that interpreter: SET bascule_python = '/path/to/python3'"
        )


def _version() -> str:
    import platform

    return platform.python_version()


# ---- this very bascule ----


@dataclass(frozen=True)
class _Bascule:
    """The running installation, as what a wheel of it holds."""

    version: str
    tag: str
    files: dict[str, Path]  # by the name in the wheel
    texts: dict[str, str]  # those that are not on disk as they are

    @classmethod
    def running(cls) -> _Bascule:
        """Its files lie in several directories where it is installed to be edited."""
        import bascule

        try:
            found = importlib.metadata.distribution("bascule")
            metadata, wheel = found.read_text("METADATA"), found.read_text("WHEEL")
        except importlib.metadata.PackageNotFoundError:
            metadata = wheel = None
        tag = re.search(r"^Tag: *(\S+)", wheel or "", re.MULTILINE)
        if metadata is None or tag is None:
            raise BasculeError(
                f"an environment for a file with dependencies has this bascule in it, but {bascule.__path__[0]} is "
                "not installed: pip install it, so that its METADATA and WHEEL are found"
            )
        files: dict[str, Path] = {}
        for top in map(Path, bascule.__path__):
            for name, file in _files(top):
                files.setdefault(f"bascule/{name}", file)
        info = f"bascule-{found.version}.dist-info"
        lines = ("Wheel-Version: 1.0", "Generator: bascule", "Root-Is-Purelib: false", f"Tag: {tag[1]}")
        texts = {f"{info}/METADATA": metadata, f"{info}/WHEEL": "\n".join(lines) + "\n"}
        if points := found.read_text("entry_points.txt"):
            texts[f"{info}/entry_points.txt"] = points
        return cls(found.version, tag[1], files, texts)

    def contents(self) -> Iterator[tuple[str, bytes]]:
        """All but RECORD: names and bytes, in one order."""
        for name, file in sorted(self.files.items()):
            yield name, file.read_bytes()
        for name, text in sorted(self.texts.items()):
            yield name, text.encode()

    def hash(self) -> str:
        """The same for the same contents, wherever they lie."""
        total = hashlib.sha256()
        for name, data in self.contents():
            total.update(f"{name}\0{len(data)}\0".encode() + data)
        return total.hexdigest()

    def write(self, directory: Path) -> Path:
        """Writes the wheel, the same bytes for the same contents."""
        import base64
        import zipfile

        path = directory / f"bascule-{self.version}-{self.tag}.whl"
        record = f"bascule-{self.version}.dist-info/RECORD"
        lines = []
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as wheel:

            def put(name: str, data: bytes) -> None:
                entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
                entry.external_attr = 0o100644 << 16
                entry.compress_type = zipfile.ZIP_DEFLATED
                wheel.writestr(entry, data)

            for name, data in self.contents():
                put(name, data)
                digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
                lines.append(f"{name},sha256={digest},{len(data)}\n")
            put(record, ("".join(lines) + f"{record},,\n").encode())
        return path


def _files(top: Path) -> Iterator[tuple[str, Path]]:
    """What belongs into a wheel below one directory of the package: no bytecode, no C."""
    for directory, inner, names in os.walk(top):
        inner[:] = [name for name in inner if name != "__pycache__"]
        for name in names:
            if not name.endswith((".pyc", ".c", ".h", ".map")) and not name.startswith("."):
                file = Path(directory, name)
                yield file.relative_to(top).as_posix(), file


# ---- making one ----


def _key(script: _Script, bascule: _Bascule) -> str:
    """The environment's name: a hash of all that makes it what it is."""
    parts = {
        "format": 1,
        "dependencies": script.dependencies,
        "requires-python": script.requires_python,
        "uv": script.uv,
        "interpreter": [os.path.realpath(sys.executable), sys.version],  # uv's link leads there too
        "bascule": bascule.hash(),
    }
    return hashlib.sha256(_toml(parts).encode("utf-8", "surrogateescape")).hexdigest()[:24]


def _python(place: Path) -> Path:
    return place / "bin" / "python"


def _usable(place: Path) -> bool:
    """Whether it is there, and so is the interpreter that its own is a link to."""
    return os.access(_python(place), os.X_OK)


def _make(place: Path, script: _Script, bascule: _Bascule) -> None:
    """Makes an environment under its place's lock, beside the place, to be renamed when it is whole."""
    import fcntl
    import shutil
    import tempfile

    uv = _uv(script)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with (place.parent / f".{place.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # until it is closed, however this process ends
            if _usable(place):
                return
            for left in place.parent.glob(f".{place.name}.*.part"):
                shutil.rmtree(left, ignore_errors=True)
            print(
                f"bascule: preparing the environment of {printable(script.file.name)} ({script.names}) …",
                file=sys.stderr,
                flush=True,
            )
            part = Path(tempfile.mkdtemp(prefix=f".{place.name}.", suffix=".part", dir=place.parent))
            try:
                _fill(part, script, bascule, uv)
                if place.exists():
                    shutil.rmtree(place)
                (part / "environment").rename(place)
            finally:
                shutil.rmtree(part, ignore_errors=True)
    except OSError as e:
        raise BasculeError(
            f"the environment of file '{script.path}' ({script.names}) can't be made in {place.parent}: "
            f"{e.strerror or e}. Environments are cached below XDG_CACHE_HOME: set it to a directory that can be written"
        ) from e


def _fill(part: Path, script: _Script, bascule: _Bascule, uv: str) -> None:
    made = part / "environment"
    wheel = bascule.write(part)
    # uv reads the block as it would the file's own, but from beside the environment and with bascule in it.
    asked = part / "script.py"
    # A line for each: uv shows the line that it can't read.
    lines = [
        "dependencies = [",
        *(f"  {_toml(d)}," for d in (*script.dependencies, f"bascule @ {wheel.as_uri()}")),
        "]",
    ]
    lines += ["[tool]", f"uv = {_toml(script.uv)}"]
    asked.write_text("".join(["# /// script\n", *(f"# {line}\n" for line in lines), "# ///\n"]), "utf-8")
    env = {name: value for name, value in os.environ.items() if name not in _NOT_FOR_UV}
    env |= {"NO_COLOR": "1", "UV_NO_PROGRESS": "1"}
    more = _pip_settings(env, script.uv)
    _run(
        script,
        part,
        env,
        [uv, "venv", "--quiet", "--relocatable", "--no-project", "--python", sys.executable, str(made)],
    )
    env["VIRTUAL_ENV"] = str(made)
    _run(
        script,
        part,
        env,
        [uv, "sync", "--quiet", "--active", "--script", str(asked), "--python", str(_python(made)), *more],
    )


def _run(script: _Script, directory: Path, env: Mapping[str, str], command: list[str]) -> None:
    """Runs uv, where no project's settings are; an error brings what it said."""
    import subprocess

    done = subprocess.run(
        command,
        cwd=directory,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if not done.returncode:
        return
    offline = re.search(r"error sending request|dns error|tcp connect|[Nn]etwork|offline", done.stdout)
    todo = (
        "uv could not reach the index: connect it, or name another one by UV_DEFAULT_INDEX; with UV_OFFLINE=1 it takes "
        "what it has in its own cache"
        if offline
        else "Mend the file's script block, or tell uv by its environment variables (UV_…) where it finds what it needs"
    )
    said = done.stdout.strip().splitlines() or [f"nothing, and ended with exit code {done.returncode}"]
    text = "\n".join(f"  {line}" for line in said[-_LINES:])
    raise BasculeError(
        f"the environment of file '{script.path}' ({script.names}) can't be made: uv {command[1]} failed. It said:\n"
        f"{printable(mask(text, _secrets(env, script, text)))}\n{todo}"
    )


def _secrets(env: Mapping[str, str], script: _Script, text: str) -> list[str]:
    """What must not be told: user info of URLs, passwords of indexes."""
    settings = [f"{name}={value}" for name, value in env.items() if name.startswith(("UV_", "PIP_", "HTTP", "ALL_"))]
    return Options({"all": "\n".join([*settings, *script.dependencies, _toml(script.uv), text])}).secrets()


def _uv(script: _Script) -> str:
    """The program uv: the installed package's, else the one on the path."""
    import shutil

    try:
        import uv

        return str(uv.find_uv_bin())
    except (ImportError, FileNotFoundError):
        found = shutil.which("uv")
    if found is None:
        raise BasculeError(
            f"file '{script.path}' has dependencies of its own ({script.names}), and uv, which makes their environment, "
            f"is not installed for {sys.executable}: {_INSTALL}"
        )
    return found


# ---- pip's settings: uv does not read them ----


def _pip_settings(env: dict[str, str], uv: Mapping[str, Any]) -> list[str]:
    """Tells uv pip's index, where nobody told uv of one: changes ``env``, returns more arguments."""
    if any(f"UV_{name}" in env for name in _UV_INDEXES) or _uv_is_configured(env):
        return []
    pip = _pip(env)
    if (certificates := pip.get("cert")) and Path(certificates).is_file():
        env.setdefault("SSL_CERT_FILE", certificates)
    if "trusted-host" in pip:
        env.setdefault("UV_INSECURE_HOST", pip["trusted-host"])
    if uv.get("no-index"):
        return []
    indexes = uv.get("index", [])
    has_default = "index-url" in uv or any(isinstance(i, dict) and i.get("default") for i in indexes)
    # In the environment, not in arguments, which everyone on the machine may read.
    if "index-url" in pip and not has_default:
        env["UV_DEFAULT_INDEX"] = pip["index-url"]
    if "extra-index-url" in pip:
        env["UV_INDEX"] = " ".join(pip["extra-index-url"].split())
    # pip goes past directories that are not there.
    links = [link for link in pip.get("find-links", "").split() if "://" in link or Path(link).is_dir()]
    if links:
        env["UV_FIND_LINKS"] = ",".join(links)
    return ["--no-index"] if pip.get("no-index", "").lower() in ("1", "true", "yes", "on") else []


def _uv_is_configured(env: Mapping[str, str]) -> bool:
    """Whether the user or the machine has a configuration of uv."""
    user = env.get("XDG_CONFIG_HOME") or f"{env.get('HOME', '')}/.config"
    machine = (env.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(os.pathsep)
    return any(Path(base, "uv", "uv.toml").is_file() for base in (user, *machine, "/etc"))


def _pip(env: Mapping[str, str]) -> dict[str, str]:
    """pip's settings: those of its files, which pip knows to find, under those of the environment."""
    import ast
    import subprocess

    command = [sys.executable, "-m", "pip", "config", "list"]
    done = subprocess.run(
        command, env=env, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", errors="replace", check=False
    )
    sections: dict[str, dict[str, str]] = {"global": {}, "install": {}}
    if not done.returncode:
        for section, name, value in re.findall(r"^(global|install)\.([\w-]+)=(.+)$", done.stdout, re.MULTILINE):
            sections[section][name] = str(ast.literal_eval(value))
    named = {name[4:].lower().replace("_", "-"): value for name, value in env.items() if name.startswith("PIP_")}
    return sections["global"] | sections["install"] | named
