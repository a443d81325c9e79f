"""Finds a Python that Airflow runs on: 3.11 to 3.13, with the modules that a minimal build may lack."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from scripts.local_state import LocalError

# In the order of preference: what Airflow and the serving runtimes are run on most comes first.
SUPPORTED = ((3, 12), (3, 11), (3, 13))
_PROBE = "import ctypes, lzma, sqlite3, ssl, sys, zlib; print('%d.%d.%d' % sys.version_info[:3])"


class InterpreterError(LocalError):
    """No supported Python was found; the message says what to install."""


class Interpreter(NamedTuple):
    """A Python to make environments with.

    Attributes:
        argument: What `uv venv --python` takes: a path, or a version that uv downloads.
        description: What to tell the user.
    """

    argument: str
    description: str


def version_of(python: Path) -> tuple[int, int, int] | None:
    """Returns the version of a Python, None when it does not run or lacks a module that Airflow needs."""
    try:
        answer = subprocess.run(
            [str(python), "-I", "-c", _PROBE], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.fullmatch(r"(\d+)\.(\d+)\.(\d+)", answer.stdout.strip())
    if answer.returncode != 0 or match is None:
        return None
    return int(match[1]), int(match[2]), int(match[3])


def _candidates(version: tuple[int, int]) -> list[Path]:
    name = f"python{version[0]}.{version[1]}"
    found = []
    if sys.version_info[:2] == version:
        found.append(Path(sys.executable))
    on_path = shutil.which(name)
    if on_path:
        found.append(Path(on_path))
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    if pyenv.is_dir():
        installed = [
            folder for folder in pyenv.iterdir() if re.fullmatch(rf"{version[0]}\.{version[1]}\.\d+", folder.name)
        ]
        newest = sorted(installed, key=lambda folder: int(folder.name.rpartition(".")[2]), reverse=True)
        found += [folder / "bin" / name for folder in newest]
    return found


def choose_interpreter() -> Interpreter:
    """Returns the Python to make environments with.

    On a machine without a supported one uv may download it, unless UV_PYTHON_DOWNLOADS or UV_OFFLINE forbids that.

    Raises:
        InterpreterError: None is there, and none may be downloaded.
    """
    for wanted in SUPPORTED:
        for candidate in _candidates(wanted):
            version = version_of(candidate)
            if version is not None and version[:2] == wanted:
                return Interpreter(str(candidate), "Python " + ".".join(map(str, version)))
    if os.environ.get("UV_PYTHON_DOWNLOADS") in ("never", "manual") or os.environ.get("UV_OFFLINE"):
        raise InterpreterError("no Python 3.11 to 3.13 with sqlite3, ssl and lzma was found; install one and try again")
    return Interpreter("3.12", "Python 3.12, which uv downloads")
