"""Interpreters that have an engine for real: training environments of the examples, with the runtimes' exact pins."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from serving_interpreters import Interpreter, prepare

from examples import environments

#: The Python of all four runtimes; the machine has it, or the tests of the serving code fail too.
PYTHON = "3.11"
TIMEOUT_S = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineInterpreter(Interpreter):
    """A Python with an engine in its own site-packages."""

    def command(self, *arguments: str) -> list[str]:
        """Return the command line; what the environment has installed is what is wanted here."""
        return [str(self.executable), *arguments]

    def run(self, code: str, folder: Path, *arguments: str) -> None:
        """Run a script in a folder, one that writes a model for instance."""
        done = subprocess.run(
            [str(self.executable), "-c", code, *arguments],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr


def prepare_engine(engine: str) -> EngineInterpreter:
    """Return a Python that has the engine in the version of its default runtime, and the serving code's libraries."""
    served = prepare(PYTHON)
    (runtime,) = (
        runtime
        for runtime in environments.load_runtimes(engine)
        if runtime.python == PYTHON and "cpu" in runtime.devices and runtime.status == "current"
    )
    try:
        executable = environments.prepare(runtime)
    except environments.ExampleError as error:
        pytest.fail(str(error))
    return EngineInterpreter(version=PYTHON, executable=executable, libraries=served.libraries)
