"""From direct requirements to exact pins: uv for Python 3.6 and newer, an old pip for 2.7."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from scripts.pin_entries import Entry, PinError, canonical_name, parse_pins
from scripts.uv_tool import find_uv, uv_environment

# The resolver takes 3.6 for 3.6.0, and some libraries ask for a later patch: base images hold the last one.
PATCHED_PYTHON = {"3.6": "3.6.15", "3.7": "3.7.16"}
RESOLVE_TIMEOUT_S = 300
PIP_TIMEOUT_S = 1800
#: The last pip for Python 2.7.
OLD_PIP = "20.3.4"
_FILE = re.compile(
    r"^(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*?)-(?P<version>[0-9][A-Za-z0-9.+]*)(?:-.*\.whl|\.tar\.gz|\.zip)$"
)


def resolve(entry: Entry) -> dict[str, str]:
    """Resolve an entry to exact pins of everything it needs.

    Returns:
        Version by canonical name.

    Raises:
        PinError: nothing satisfies the entry, or the machine has no resolver for its Python.
        UvError: there is no uv, and none could be installed.
    """
    if entry.python == "2.7":
        return resolve_with_pip(entry, find_python27())
    return resolve_with_uv(entry, find_uv(print))


def uv_settings(entry: Entry) -> str:
    """Settings of uv, as TOML: what the distributions without a wheel need."""
    blocks = []
    for pin, needs in entry.source_only:
        name, _, version = pin.partition("==")
        # TOML's strings and lists of strings are JSON's.
        blocks.append(
            "[[dependency-metadata]]\n"
            f"name = {json.dumps(name)}\nversion = {json.dumps(version)}\nrequires-dist = {json.dumps(needs)}\n"
        )
    return "\n".join(blocks)


def uv_command(entry: Entry, uv: str, settings: Path, *, with_extra_indexes: bool) -> list[str]:
    """Build the command that resolves an entry, its requirements on standard input."""
    command = [uv, "pip", "compile", "--quiet", "--config-file", str(settings)]
    command += ["--no-python-downloads", "--no-header", "--no-annotate"]
    command += ["--python-version", PATCHED_PYTHON.get(entry.python, entry.python)]
    command += ["--python-platform", entry.platform, "--only-binary", ":all:"]
    for pin, _ in entry.source_only:
        command += ["--no-binary", pin.partition("==")[0]]
    command += ["--exclude-newer", f"{entry.exclude_newer}T00:00:00Z"]
    if with_extra_indexes:
        # Such an index holds old copies of common libraries too, and gives no upload times: all versions of a name must
        # be seen together, and the pin that only this index has must not be hidden for want of a date.
        command += ["--index-strategy", "unsafe-best-match"]
        for name, version in parse_pins("\n".join(entry.requirements)).items():
            if "+" in version:
                command += ["--exclude-newer-package", f"{name}=false"]
        for url in entry.extra_index_urls:
            command += ["--index", url]
    return [*command, "-"]


def resolve_with_uv(entry: Entry, uv: str) -> dict[str, str]:
    """Resolve with uv, for Pythons that the machine does not have, too.

    The entry's extra indexes are asked only when the configured index and the local wheels do not answer, because a
    closed network cannot reach them.

    Raises:
        PinError: no set of wheels satisfies the entry; the resolver's own words are in the message.
    """
    said = ""
    environment = uv_environment(os.environ)
    if not any("+" in pin for pin in entry.requirements):
        # On disk may lie a build of a pinned release with a local version, such as 2.13.0+cpu, which satisfies 2.13.0.
        environment.pop("UV_FIND_LINKS", None)
    with tempfile.TemporaryDirectory() as scratch:
        # Given a file, uv reads no other, so that no setting of the machine changes the pins.
        settings = Path(scratch) / "uv.toml"
        settings.write_text(uv_settings(entry), encoding="utf-8")
        for with_extra_indexes in [False, True] if entry.extra_index_urls else [False]:
            result = subprocess.run(
                uv_command(entry, uv, settings, with_extra_indexes=with_extra_indexes),
                input="\n".join(entry.direct) + "\n",
                env=environment,
                capture_output=True,
                text=True,
                timeout=RESOLVE_TIMEOUT_S,
                check=False,
            )
            if result.returncode == 0:
                return parse_pins(result.stdout)
            said = result.stderr.strip()
    raise PinError(f"{entry.key} cannot be resolved; change its requirements or exclude_newer.\n{said}")


def find_python27() -> str:
    """Find a Python 2.7 on PATH or of pyenv.

    Raises:
        PinError: There is none.
    """
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    installed = sorted(str(path) for path in pyenv.glob("2.7.*/bin/python2.7"))
    for candidate in (*reversed(installed), shutil.which("python2.7")):
        if candidate and _answers(candidate):
            return candidate
    raise PinError("the pins of Python 2.7 need its own pip: install a Python 2.7, on PATH or with pyenv")


def _answers(python: str) -> bool:
    try:
        result = subprocess.run([python, "-c", "import ssl, zlib"], capture_output=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return result.returncode == 0


def pip_command(entry: Entry, python: str, pip: Path, folder: Path) -> list[str]:
    """Build the command that downloads what an entry needs into a folder."""
    command = [python, str(pip / "pip"), "download", "--quiet", "--disable-pip-version-check"]
    command += ["--dest", str(folder), "--only-binary", ":all:"]
    for pin, _ in entry.source_only:
        command += ["--no-binary", pin.partition("==")[0]]
    return [*command, *entry.direct]


def resolve_with_pip(entry: Entry, python: str) -> dict[str, str]:
    """Resolve with the last pip of Python 2.7, which uv does not know.

    That pip can only resolve by downloading, and knows no date bound: exclude_newer is not kept. Nothing new is
    published for Python 2.7, and what the entry must not lose it pins itself. Its default resolver lets the first
    requirement of a name win, which is the entry's own; the newer one tries for minutes and gives the same.

    Raises:
        PinError: nothing satisfies the entry; pip's own words are in the message.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        # Run from its wheel, so that the interpreter stays as it is.
        pip = _fetch_old_pip(entry, python, folder / "pip")
        (folder / "files").mkdir()
        _run(pip_command(entry, python, pip, folder / "files"), entry)
        return pins_of_files(sorted(path.name for path in (folder / "files").iterdir()))


def _fetch_old_pip(entry: Entry, python: str, folder: Path) -> Path:
    command = [python, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    _run([*command, "--dest", str(folder), f"pip=={OLD_PIP}"], entry)
    return next(folder.glob("pip-*.whl"))


def _run(command: Sequence[str], entry: Entry) -> None:
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    result = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=PIP_TIMEOUT_S, check=False
    )
    if result.returncode != 0:
        raise PinError(f"{entry.key} cannot be resolved; change its requirements.\n{result.stderr.strip()[-4000:]}")


def pins_of_files(names: Sequence[str]) -> dict[str, str]:
    """Read name and version off the names of wheels and source archives.

    Raises:
        PinError: a name has neither form, or a distribution comes twice.
    """
    pins: dict[str, str] = {}
    for file in names:
        match = _FILE.match(file)
        if match is None or canonical_name(match["name"]) in pins:
            raise PinError(f"{file!r} is not one archive of one distribution")
        pins[canonical_name(match["name"])] = match["version"]
    return pins
