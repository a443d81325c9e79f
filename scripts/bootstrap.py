"""Makes the project's virtual environments from their locks; needs nothing but this Python and, at first, a network.

    python3 -m scripts.bootstrap                what Airlock needs to run
    python3 -m scripts.bootstrap --dev          that, and what its tests and checks need
    python3 -m scripts.bootstrap --lock         resolve the requirements files again and write the locks

A second call finds the stamp of the first and does nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from scripts.interpreters import choose_interpreter, version_of
from scripts.local_state import ROOT, VENV, LocalError, read_json, state_dir
from scripts.uv_tool import find_uv, run_uv

LOCK = ROOT / "requirements.lock"
DEV_LOCK = ROOT / "requirements-dev.lock"
STAMP = "airlock-stamp.json"
# What the dev lock installs includes what the other one does, in the same versions: it is resolved within it.
INCLUDED_IN = {LOCK: DEV_LOCK}
COMPILE = ["pip", "compile", "--universal", "--python-version", "3.11", "--fork-strategy", "requires-python"]
COMPILE += ["--no-emit-index-url", "--generate-hashes", "--quiet", "--custom-compile-command", "make lock"]
LOCKS: tuple[tuple[str, str, list[str]], ...] = (
    ("requirements.txt", "requirements.lock", []),
    ("requirements-dev.txt", "requirements-dev.lock", ["-c", "requirements.lock"]),
    ("requirements-stack.txt", "requirements-stack.lock", ["-c", "requirements.lock"]),
    ("requirements-object-server.txt", "requirements-object-server.lock", []),
    ("requirements-bench.txt", "requirements-bench.lock", []),
)


def say(line: str) -> None:
    """Prints one line at once."""
    print(line, flush=True)


def clean_environment() -> dict[str, str]:
    """Returns this process's environment without what would change the Pythons that are started with it.

    PYTHONDONTWRITEBYTECODE goes, too: with it every Airflow process compiles every module again. Connections to this
    machine itself never go by a proxy.
    """
    unwanted = (
        "PYTHONHOME",
        "PYTHONPATH",
        "PYTHONDONTWRITEBYTECODE",
        "VIRTUAL_ENV",
        "PYTHONSTARTUP",
        "__PYVENV_LAUNCHER__",
    )
    env = {name: value for name, value in os.environ.items() if name not in unwanted}
    for name in ("no_proxy", "NO_PROXY"):
        # Everything here talks to its neighbours on this machine, and not by way of the company's proxy.
        env[name] = ",".join(filter(None, [env.get(name), "127.0.0.1", "localhost"]))
    return env


def sync_environment(venv: Path, lock: Path, tell: Callable[[str], None] = say) -> Path:
    """Makes a virtual environment that holds exactly what a lock lists, and checks every hash.

    Args:
        venv: Folder of the environment; made when missing, made anew when its interpreter is gone.
        lock: The compiled requirements file.
        tell: Gets one line for each thing that is done; nothing when there is nothing to do.

    Returns:
        The interpreter of the environment.

    Raises:
        UvError: uv is neither there nor installable, or it failed.
        InterpreterError: No Python of a supported version was found.
    """
    python = venv / "bin" / "python"
    if _is_synced(venv, lock):
        return python
    with _only_one(venv):
        # Another process may have done it while this one waited.
        if _is_synced(venv, lock):
            return python
        uv = find_uv(tell)
        shown = os.path.relpath(venv)
        if version_of(python) is None:
            interpreter = choose_interpreter()
            tell(f"making {shown} with {interpreter.description}")
            shutil.rmtree(venv, ignore_errors=True)
            venv.parent.mkdir(parents=True, exist_ok=True)
            run_uv(uv, ["venv", "--quiet", "--python", interpreter.argument, str(venv)])
        (venv / STAMP).unlink(missing_ok=True)
        tell(f"installing {lock.name} into {shown}")
        run_uv(uv, ["pip", "sync", "--require-hashes", "--python", str(python), str(lock)])
        stamp = {"locks": {lock.name: _digest(lock)}}
        for part, whole in INCLUDED_IN.items():
            if whole == lock:
                stamp["locks"][part.name] = _digest(part)
        (venv / STAMP).write_text(json.dumps(stamp) + "\n", encoding="utf-8")
    return python


def write_locks(tell: Callable[[str], None] = say) -> None:
    """Resolves every requirements file again and writes its lock."""
    uv = find_uv(tell)
    for source, lock, more in LOCKS:
        tell(f"resolving {source} into {lock}")
        run_uv(uv, [*COMPILE, *more, source, "-o", lock], cwd=ROOT)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _is_synced(venv: Path, lock: Path) -> bool:
    stamp = read_json(venv / STAMP)
    # A link to an interpreter that was removed does not exist.
    return bool(stamp) and stamp["locks"].get(lock.name) == _digest(lock) and (venv / "bin" / "python").exists()


@contextlib.contextmanager
def _only_one(venv: Path) -> Iterator[None]:
    """Lets one process at a time make an environment."""
    folder = state_dir() / "tools"
    folder.mkdir(parents=True, exist_ok=True)
    name = hashlib.sha256(str(venv).encode()).hexdigest()[:12]
    with open(folder / f"{name}.lock", "w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main() -> int:
    """Runs the command."""
    parser = argparse.ArgumentParser(prog="python3 -m scripts.bootstrap", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--dev", action="store_true", help="also what tests and checks need")
    parser.add_argument("--lock", action="store_true", help="write the locks again")
    arguments = parser.parse_args()
    try:
        if arguments.lock:
            write_locks()
        else:
            sync_environment(VENV, DEV_LOCK if arguments.dev else LOCK)
    except LocalError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    except subprocess.TimeoutExpired as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
