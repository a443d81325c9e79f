"""The Pythons of this machine, each with the serving code's pinned libraries in a folder of their own."""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
SERVING = ROOT / "include" / "runtimes" / "serving"
REQUIREMENTS = ROOT / "include" / "runtimes" / "serving-requirements.yaml"

# Where every line of the contract is tried.
REPRESENTATIVE = ("2.7", "3.6", "3.7", "3.11", "3.13")
# Where engines, failing starts and the life cycle are tried: the ends of the range, and gunicorn's middle.
SELECTED = ("2.7", "3.6", "3.13")
# Where a few requests show that the code serves at all.
OTHERS = ("3.7", "3.8", "3.9", "3.10", "3.11", "3.12")
REQUIRED = ("2.7", "3.6", "3.7", "3.11")
INSTALL_TIMEOUT_S = 300
_INSTALLING = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """A Python and the folder with its libraries."""

    version: str
    executable: Path
    libraries: Path

    def command(self, *arguments: str) -> list[str]:
        """Return the command line; -S keeps out what else the machine's Python has installed."""
        return [str(self.executable), "-S", *arguments]

    def environment(self, **variables: str) -> dict[str, str]:
        """Return a small environment: nothing of the test's own Python gets through."""
        return {
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": os.pathsep.join([str(SERVING), str(self.libraries)]),
            # Pythons below 3.8 ignore the prefix, and must not leave their bytecode among the sources.
            **({"PYTHONDONTWRITEBYTECODE": "1"} if self.version in {"2.7", "3.6", "3.7"} else {}),
            "PYTHONPYCACHEPREFIX": str(self.libraries.with_name("bytecode")),
            **variables,
        }


def prepare(version: str) -> Interpreter:
    """Return the interpreter of that version, or skip the test (fail it where all are required)."""
    executable = _find(version)
    if executable is None:
        reason = f"Python {version} is not on this machine (looked in pyenv's versions and on PATH)"
        if os.environ.get("AIRLOCK_REQUIRE_ALL") and version in REQUIRED:
            pytest.fail(reason)
        pytest.skip(reason)
    # Several packages are served at once, and the first ones of a Python want its libraries at the same moment.
    with _INSTALLING:
        return Interpreter(version=version, executable=executable, libraries=_libraries(version, executable))


@functools.cache
def _find(version: str) -> Path | None:
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    candidates = [path / "bin" / "python" for path in sorted(pyenv.glob(f"{version}.*"))]
    on_path = shutil.which(f"python{version}")
    if on_path:
        candidates.append(Path(on_path))
    for candidate in candidates:
        probe = [str(candidate), "-c", "import pip, sys; print('%d.%d' % sys.version_info[:2])"]
        done = subprocess.run(probe, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode == 0 and done.stdout.strip() == version:
            return candidate
    return None


def _libraries(version: str, executable: Path) -> Path:
    pins = yaml.safe_load(REQUIREMENTS.read_text(encoding="utf-8"))[version]
    state = Path(os.environ.get("AIRLOCK_STATE") or ROOT / ".airlock")
    digest = hashlib.sha256("\n".join([version, *pins]).encode()).hexdigest()[:12]
    folder = state / "test-serving" / f"{version}-{digest}"
    if folder.is_dir():
        return folder
    unfinished = folder.with_name(f"{folder.name}.{os.getpid()}")
    unfinished.mkdir(parents=True)
    command = [str(executable), "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(unfinished), *pins]
    done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False)
    if done.returncode:
        shutil.rmtree(unfinished)
        pytest.fail(f"pip cannot install {pins} for Python {version}:\n{done.stdout[-1000:]}{done.stderr[-3000:]}")
    try:
        unfinished.rename(folder)
    except OSError:  # another run was quicker
        shutil.rmtree(unfinished)
    return folder
