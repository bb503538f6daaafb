"""An environment for each engine: its packages as pinned in requirements/, and bascule as users install it, a wheel."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import threading
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
REQUIREMENTS = Path(__file__).parent / "requirements"
PIP = ("-m", "pip", "--quiet", "--disable-pip-version-check")


def run(*command: str | Path, env: dict[str, str] | None = None) -> None:
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, cwd=ROOT, env=env, timeout=900
    )
    assert done.returncode == 0, f"{' '.join(map(str, command))} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}"


@cache
def wheel() -> Path:
    """The package as it is now."""
    folder = ROOT / "build" / "wheel"
    shutil.rmtree(folder, ignore_errors=True)
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    run(
        *(sys.executable, *PIP, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder),
        *("--config-settings", f"build-dir={ROOT / 'build' / 'wheel-build'}", "."),
        env=env,
    )
    (made,) = folder.glob("*.whl")
    return made


_making = threading.Lock()


def python(name: str) -> Path:
    """As :func:`_python`, one at a time."""
    with _making:
        return _python(name)


@cache
def _python(name: str) -> Path:
    """The interpreter of ``requirements/NAME.txt``, with today's bascule in it. What is pinned is kept for the next run."""
    texts = [path.read_bytes() for path in (REQUIREMENTS / f"{name}.txt", *sorted(REQUIREMENTS.glob("co*.txt")))]
    digest = hashlib.sha256(b"".join(texts) + sys.version.encode()).hexdigest()[:12]
    folder = ROOT / "build" / "environments" / f"{name}-{digest}"
    inside = folder / "bin" / "python"
    if not (folder / ".complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        run(sys.executable, "-m", "venv", folder)
        run(inside, *PIP, "install", "-r", REQUIREMENTS / f"{name}.txt")
        (folder / ".complete").touch()
    run(inside, *PIP, "install", "--force-reinstall", "--no-deps", wheel())
    return inside
