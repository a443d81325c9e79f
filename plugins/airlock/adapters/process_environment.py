"""One environment for a runtime on this machine: an interpreter, the pins, the dependencies; and the serving code.

It is made in place, because virtual environments cannot be moved; a marker that is written last says that it is whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from airlock.adapters.child_process import run_child
from airlock.adapters.deadline_stream import TimeOver
from airlock.adapters.install_failures import install_error, read_failure
from airlock.adapters.install_settings import InstallSettings, without_credentials
from airlock.adapters.interpreters import find_interpreter, find_uv
from airlock.adapters.local_wheels import further_indexes, of_other_builds, usable_wheels
from airlock.adapters.serving_code import serving_files
from airlock.domain.catalogue import Runtime
from airlock.domain.image import BUNDLED_FOLDER, BuildPlan, Layer
from airlock.errors import BuildFailed, RuntimeUnavailable
from airlock.ports.clock import Clock

MARKER = ".complete"
#: The last pip that runs on a Python that uv does not serve. Source: pip's changelog.
_LAST_PIP = {"3.6": "21.3.1", "3.7": "24.0"}
_KEPT_VARIABLES = ("PATH", "HOME", "LANG", "TMPDIR", "XDG_CACHE_HOME", "UV_CACHE_DIR", "PIP_CACHE_DIR")


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A finished environment.

    Attributes:
        digest: Digest of what it was made from.
        size_bytes: Its size on disk; files that it shares with a cache count too.
    """

    digest: str
    size_bytes: int


def read_marker(folder: Path) -> Made | None:
    """The facts of a finished environment, None where it is not finished."""
    try:
        facts = json.loads((folder / MARKER).read_text())
        return Made(digest=str(facts["digest"]), size_bytes=int(facts["size_bytes"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_marker(folder: Path, inputs: list[str]) -> Made:
    """Say that a folder is finished.

    Args:
        folder: The folder.
        inputs: What it was made from, for its digest.
    """
    made = Made(
        digest=f"sha256:{hashlib.sha256(json.dumps(inputs).encode()).hexdigest()}",
        size_bytes=sum(
            os.lstat(os.path.join(path, name)).st_size for path, _, names in os.walk(folder) for name in names
        ),
    )
    partial = folder / f"{MARKER}.partial"
    partial.write_text(json.dumps({"digest": made.digest, "size_bytes": made.size_bytes}))
    partial.replace(folder / MARKER)
    return made


def copy_serving_code(serving_folder: Path, stand_in_for: str, folder: Path, layer: Layer) -> Made:
    """Copy the serving code, so that a later release does not change a tested environment; the caller holds its lock.

    Args:
        serving_folder: The release's own.
        stand_in_for: The engine whose stand-in belongs to it, empty for none.
        folder: Where; what a killed try left there is removed.
        layer: The layer that it is.

    Raises:
        BuildFailed: There is none.
    """
    files = serving_files(serving_folder, stand_in_for)
    if not files:
        raise BuildFailed("BLD004", f"There is no serving code in {serving_folder}.", "Restore the release's own.")
    shutil.rmtree(folder, ignore_errors=True)
    for name, path in files:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    return write_marker(folder, [layer.tag])


class EnvironmentMaker:
    """Makes environments.

    Args:
        install: Where packages come from.
        machine: As `uname -m` names it.
        timeout_s: Seconds that one environment may take.
        clock: Time.
    """

    def __init__(self, *, install: InstallSettings, machine: str, timeout_s: float, clock: Clock) -> None:
        self._install = install
        self._machine = machine
        self._timeout_s = timeout_s
        self._clock = clock

    def make(
        self, plan: BuildPlan, layer: Layer, folder: Path, package: Path | None, log: Callable[[str], None]
    ) -> Made:
        """Make an environment with everything up to a layer; the caller holds its lock.

        Args:
            plan: The plan that the layer is of.
            layer: The last layer to install.
            folder: Where; what a killed try left there is removed.
            package: The folder that contains `model/`, needed where the layer installs bundled wheels.
            log: Takes each line of output.

        Raises:
            BuildFailed: The same plan will fail again.
            RuntimeUnavailable: The interpreter, or one of the runtime's own pins, cannot be had.
            BackendUnavailable: An index did not answer, or the disk is full.
        """
        runtime = plan.runtime
        python, full_version = self._interpreter(runtime)
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        deadline = self._clock.monotonic() + self._timeout_s
        installed = False
        try:
            with tempfile.TemporaryDirectory(prefix="airlock-install-") as scratch:
                self._fill(plan, layer, folder, python, package, Path(scratch), deadline, log)
            installed = True
        except TimeOver:
            raise BuildFailed(
                "BLD005",
                f"The {layer.name} layer of {runtime} was not made within {self._timeout_s:.0f} s.",
                "Ask for dependencies that have wheels, or raise `[airlock] build_timeout_s`.",
            ) from None
        finally:
            if not installed:
                shutil.rmtree(folder, ignore_errors=True)
        return write_marker(folder, [layer.tag, full_version, self._machine])

    def _interpreter(self, runtime: Runtime) -> tuple[Path, str]:
        found = None if runtime.python == "2.7" else find_interpreter(runtime.python)
        if found is None:
            reason = (
                "the process backend makes no environments of Python 2.7"
                if runtime.python == "2.7"
                else f"this machine has no Python {runtime.python}, neither on PATH nor of pyenv or uv"
            )
            raise RuntimeUnavailable(
                "BLD006",
                f"{runtime} cannot be made without a container engine: {reason}.",
                f"Install Python {runtime.python}, or a container engine (Docker) with the image {runtime.base_image}.",
            )
        return found

    def _fill(
        self,
        plan: BuildPlan,
        layer: Layer,
        folder: Path,
        python: Path,
        package: Path | None,
        scratch: Path,
        deadline: float,
        log: Callable[[str], None],
    ) -> None:
        pins = scratch / "constraints.txt"
        pins.write_text(plan.runtime.constraints)
        tool = find_uv()
        in_folder = str(folder / "bin" / "python")
        pip: tuple[str, ...]

        links = wheel_links(self._install, plan.runtime, self._machine, scratch)

        def run(step: Layer, *argv: str) -> None:
            env = self._variables(plan, step, links)
            log(f"$ {' '.join(argv)}")
            done = run_child(argv, env=env, cwd=scratch, deadline=deadline, clock=self._clock, log=masked)
            if done.status != 0:
                raise install_error(read_failure(done.lines), plan.runtime, step.name)

        def masked(line: str) -> None:
            log(without_credentials(line))

        base = plan.layers[0]
        if plan.runtime.python in _LAST_PIP:
            run(base, str(python), "-m", "venv", str(folder))
            pip = (in_folder, "-m", "pip", "install", "--no-warn-script-location")
            run(base, *pip, "--upgrade", f"pip=={_LAST_PIP[plan.runtime.python]}")
        elif tool is None:
            raise RuntimeUnavailable("BLD006", "uv, which makes environments, is not installed.", "Install `uv`.")
        else:
            run(base, tool, "venv", "--quiet", "--no-project", "--python", str(python), str(folder))
            pip = (tool, "pip", "install", "--python", in_folder, "--compile-bytecode")
            if self._install.no_index:
                # The only setting that uv takes from its arguments alone.
                pip += ("--no-index",)
        run(base, *pip, "--no-deps", "-r", str(pins))
        if layer is not base:
            wanted = scratch / "requirements.txt"
            wanted.write_text(_on_this_machine(layer.requirements, package))
            run(layer, *pip, "-c", str(pins), "-r", str(wanted))

    def _variables(self, plan: BuildPlan, layer: Layer, links: tuple[str, ...]) -> dict[str, str]:
        """The installer's whole environment: the settings and nothing else of this machine's configuration.

        URLs go here and not into arguments, because arguments can be read by every user of the machine.
        """
        install = self._install
        wheels = usable_wheels(install.wheel_folders, python=plan.runtime.python, machine=self._machine)
        indexes = install.indexes(further_indexes(plan.runtime.extra_index_urls, layer.requirements, wheels))
        variables = {
            **{name: os.environ.get(name, "") for name in _KEPT_VARIABLES},
            "HTTP_PROXY": install.http_proxy,
            "HTTPS_PROXY": install.https_proxy,
            "NO_PROXY": install.no_proxy,
            "http_proxy": install.http_proxy,
            "https_proxy": install.https_proxy,
            "no_proxy": install.no_proxy,
            "SSL_CERT_FILE": install.cert,
            "UV_NO_CONFIG": "1",
            "UV_NO_PROGRESS": "1",
            "UV_PYTHON_DOWNLOADS": "never",
            "UV_DEFAULT_INDEX": install.index_url,
            "UV_INDEX": " ".join(indexes),
            # As pip does: the best version of all indexes, so that both backends install the same.
            "UV_INDEX_STRATEGY": "unsafe-best-match",
            "UV_FIND_LINKS": ",".join(links),
            "UV_INSECURE_HOST": " ".join(install.trusted_host),
            "NO_COLOR": "1",
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_NO_INPUT": "1",
            "PIP_CERT": install.cert,
            "PIP_INDEX_URL": install.index_url,
            "PIP_EXTRA_INDEX_URL": " ".join(indexes),
            "PIP_FIND_LINKS": " ".join(links),
            "PIP_TRUSTED_HOST": " ".join(install.trusted_host),
            "PIP_NO_INDEX": "1" if install.no_index else "",
        }
        return {name: value for name, value in variables.items() if value}


def wheel_links(install: InstallSettings, runtime: Runtime, machine: str, scratch: Path) -> tuple[str, ...]:
    """Where wheels are looked for: the settings' own places, without the wheels that the runtime must not get.

    Args:
        install: The settings.
        runtime: The catalogue's row.
        machine: As `uname -m` names it.
        scratch: A folder for links to the others, needed where there are such wheels.
    """
    wheels = usable_wheels(install.wheel_folders, python=runtime.python, machine=machine)
    others = of_other_builds(wheels, runtime.constraints)
    if not others:
        return install.find_links
    chosen = scratch / "wheels"
    chosen.mkdir()
    for path in (path for folder in install.wheel_folders if folder.is_dir() for path in sorted(folder.iterdir())):
        if path.is_file() and path not in others and not (chosen / path.name).exists():
            (chosen / path.name).symlink_to(path)
    return (str(chosen), *install.wheel_pages)


def _on_this_machine(requirements: str, package: Path | None) -> str:
    """The requirement lines with the bundled wheels where they lie on this machine."""
    prefix = f"{BUNDLED_FOLDER}/"
    lines = []
    for line in requirements.splitlines():
        if line.startswith(prefix):
            if package is None:
                raise ValueError("bundled wheels come from a package")
            lines.append("file://" + quote(str(package / "model" / line.removeprefix(prefix))))
        else:
            lines.append(line)
    return "".join(f"{line}\n" for line in lines)
