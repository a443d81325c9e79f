"""Training environments: an interpreter of the right version, and a virtual environment with a runtime's exact pins."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from scripts.local_state import ROOT, state_dir
from scripts.uv_tool import UvError, find_uv, run_uv

CATALOGUE = ROOT / "include" / "runtimes" / "catalogue"
CONSTRAINTS = ROOT / "include" / "runtimes" / "images" / "constraints"
PROBE_TIMEOUT_S = 20

log = logging.getLogger(__name__)


class ExampleError(Exception):
    """An example could not be made; the message says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """The part of a catalogue entry that decides a training environment."""

    engine: str
    name: str
    status: str
    python: str
    devices: tuple[str, ...]
    requirements: tuple[str, ...]
    extra_index_urls: tuple[str, ...]

    @property
    def constraints(self) -> Path:
        """The file of the runtime's exact pins."""
        return CONSTRAINTS / self.engine / f"{self.name}.txt"


def load_runtimes(engine: str) -> list[Runtime]:
    """Read the engine's available runtimes: current ones that serve the CPU first, older Pythons before newer."""
    runtimes = []
    for path in (CATALOGUE / engine).glob("*.yaml"):
        row = yaml.safe_load(path.read_text(encoding="utf-8"))
        if row["available"]:
            runtimes.append(
                Runtime(
                    engine=row["engine"],
                    name=row["runtime"],
                    status=row["status"],
                    python=row["python"],
                    devices=tuple(row["devices"]),
                    requirements=tuple(row["requirements"]),
                    extra_index_urls=tuple(row["extra_index_urls"]),
                )
            )

    def rank(runtime: Runtime) -> tuple[bool, bool, list[int], str]:
        version = [int(part) for part in runtime.python.split(".")]
        return runtime.status != "current", "cpu" not in runtime.devices, version, runtime.name

    return sorted(runtimes, key=rank)


def find_interpreter(python: str) -> Path | None:
    """Find an interpreter of a version on PATH, by uv, or under pyenv.

    Args:
        python: Major and minor version, such as ``3.11``.

    Returns:
        The interpreter itself, never a shim in front of it (uv cannot use a shim); None where the machine has none.
    """
    for candidate in _candidates(python):
        found = _probe([str(candidate)], python)
        if found is not None:
            return found
    return None


def _candidates(python: str) -> Iterator[Path]:
    """Yield files that may be the interpreter, most specific first; they may be shims that lead nowhere."""
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        candidate = Path(folder) / f"python{python}"
        if folder and os.access(candidate, os.X_OK):
            yield candidate
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from sorted(pyenv.glob(f"versions/{python}.*/bin/python"), reverse=True)
    with contextlib.suppress(UvError):
        said = _output([find_uv(log.info), "python", "find", "--no-python-downloads", python])
        if said:
            yield Path(said)


def _probe(command: Sequence[str], python: str) -> Path | None:
    """Ask an interpreter who it is; None unless it runs and has the wanted version."""
    said = _output([*command, "-c", "import sys; print('%d.%d %s' % (sys.version_info[:2] + (sys.executable,)))"])
    version, _, executable = (said or "").partition(" ")
    return Path(executable) if version == python else None


def _output(command: Sequence[str]) -> str | None:
    """Run a short command; give its output without the line end, or None when it fails."""
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=PROBE_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() if result.returncode == 0 else None


def choose_runtime(engine: str, wanted: str | None) -> Runtime:
    """Take the runtime that is asked for, else the first current one whose Python the machine has.

    Raises:
        ExampleError: the engine has no such runtime, or the machine has none of the Pythons.
    """
    runtimes = load_runtimes(engine)
    if wanted:
        for runtime in runtimes:
            if runtime.name == wanted:
                return runtime
        raise ExampleError(f"{engine} has no runtime {wanted}; it has {', '.join(each.name for each in runtimes)}")
    current = [runtime for runtime in runtimes if runtime.status == "current" and "cpu" in runtime.devices]
    for runtime in current:
        if find_interpreter(runtime.python):
            return runtime
    pythons = " or ".join(runtime.python for runtime in current)
    raise ExampleError(f"the current runtimes of {engine} need Python {pythons}, and this machine has none of them")


def prepare(runtime: Runtime) -> Path:
    """Make the runtime's training environment, or take the one that is there.

    Returns:
        The environment's interpreter.

    Raises:
        ExampleError: the machine lacks the Python or uv, or the pins cannot be installed.
    """
    folder = state_dir() / "examples" / "envs" / f"{runtime.engine}-{runtime.name}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    interpreter = folder / "bin" / "python"
    stamp = folder / "airlock-environment.json"
    wanted = {
        "constraints": hashlib.sha256(runtime.constraints.read_bytes()).hexdigest(),
        "requirements": list(runtime.requirements),
    }
    with open(folder.with_name(folder.name + ".lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if stamp.exists() and interpreter.exists() and json.loads(stamp.read_text(encoding="utf-8")) == wanted:
            return interpreter
        base = find_interpreter(runtime.python)
        if base is None:
            raise ExampleError(f"{runtime.engine} {runtime.name} needs Python {runtime.python}; this machine has none")
        log.info("making the training environment of %s %s", runtime.engine, runtime.name)
        shutil.rmtree(folder, ignore_errors=True)
        try:
            uv = find_uv(log.info)
            run_uv(uv, ["venv", "--quiet", "--no-python-downloads", "--python", str(base), str(folder)])
            _install(runtime, uv, interpreter)
        except UvError as error:
            raise ExampleError(f"the training environment of {runtime.engine} {runtime.name}: {error}") from error
        stamp.write_text(json.dumps(wanted, indent=2) + "\n", encoding="utf-8")
    return interpreter


def _install(runtime: Runtime, uv: str, interpreter: Path) -> None:
    """Install the runtime's direct requirements under its constraints, from its extra indexes only if it must be.

    A closed network cannot reach those indexes, and uv ends when one does not answer.
    """
    arguments = ["pip", "install", "--quiet", "--python", str(interpreter), "--only-binary", ":all:"]
    arguments += ["--constraints", str(runtime.constraints), *runtime.requirements]
    try:
        run_uv(uv, arguments)
    except UvError:
        if not runtime.extra_index_urls:
            raise
        log.info("asking %s too", ", ".join(runtime.extra_index_urls))
        extra = [word for url in runtime.extra_index_urls for word in ("--index", url)]
        # Such an index holds old copies of common libraries too; all versions of a name must be seen together.
        run_uv(uv, [*arguments, "--index-strategy", "unsafe-best-match", *extra])
