"""Finds an interpreter of a given Python version on this machine."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import uv

_PROBE_TIMEOUT_S = 30
# A build of Python may lack what its environment at build time lacked; without these nothing can be installed.
_PROBE = "import ctypes, ssl, sys, zlib; sys.stdout.write('%d.%d.%d %s' % (sys.version_info[:3] + (sys.executable,)))"


@functools.cache
def find_interpreter(version: str) -> tuple[Path, str] | None:
    """An interpreter that runs.

    Args:
        version: `X.Y`.

    Returns:
        Its path and its full version, or None.
    """
    for candidate in _candidates(version):
        found = _run(candidate)
        if found is not None and found[1].rpartition(".")[0] == version:
            return found
    return None


def find_uv() -> str | None:
    """Path of uv, None where the machine has none."""
    try:
        return uv.find_uv_bin()
    except FileNotFoundError:
        return shutil.which("uv")


def _run(python: Path) -> tuple[Path, str] | None:
    """Path and version of what runs under a path; None where nothing does, or where a module is missing.

    It is asked, because a file of that name may be a shim that starts another one, or none.
    """
    try:
        answer = subprocess.run(
            [str(python), "-E", "-s", "-c", _PROBE],
            capture_output=True,
            text=True,
            timeout=_PROBE_TIMEOUT_S,
            check=False,
            env={"PATH": os.environ.get("PATH", os.defpath), "HOME": os.environ.get("HOME", "/")},
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.fullmatch(r"(\d+\.\d+\.\d+) (/.+)", answer.stdout.strip())
    return (Path(match[2]), match[1]) if answer.returncode == 0 and match else None


def _candidates(version: str) -> Iterator[Path]:
    name = f"python{version}"
    on_path = shutil.which(name)
    if on_path:
        yield Path(on_path)
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    if pyenv.is_dir():
        pattern = re.compile(re.escape(version) + r"\.(\d+)")
        found = [(match, folder) for folder in pyenv.iterdir() if (match := pattern.fullmatch(folder.name))]
        for _, folder in sorted(found, key=lambda pair: -int(pair[0][1])):
            yield folder / "bin" / name
    of_uv = _known_to_uv(version)
    if of_uv:
        yield of_uv


def _known_to_uv(version: str) -> Path | None:
    tool = find_uv()
    if tool is None:
        return None
    try:
        answer = subprocess.run(
            [tool, "python", "find", "--no-config", "--no-project", "--system", "--no-python-downloads", version],
            capture_output=True,
            text=True,
            timeout=_PROBE_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    path = answer.stdout.strip()
    return Path(path) if answer.returncode == 0 and path else None
