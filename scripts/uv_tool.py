"""Finds uv, or installs it into the project's folder, and runs it with the package settings that pip has here."""

from __future__ import annotations

import configparser
import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from scripts.local_state import LocalError, state_dir

UV_REQUIREMENT = "uv>=0.5"
TIMEOUT_S = 3600
APT_PACKAGES = ("python3-venv", "ca-certificates")
# A company's own certificate authority, in the order in which the tools that honour these would look.
CA_VARIABLES = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
# Where one of these is set, somebody has told uv itself where packages come from.
UV_SOURCES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_CONFIG_FILE")


class UvError(LocalError):
    """uv is missing and cannot be installed, or it failed; the message says what to do."""


def find_uv(tell: Callable[[str], None]) -> str:
    """Returns the path of a uv that works, installing it under `.airlock/tools` when there is none.

    Args:
        tell: Gets one line for each thing that is done.

    Raises:
        UvError: There is none, and no way to install it worked.
    """
    tools = state_dir() / "tools"
    for candidate in (os.environ.get("UV"), shutil.which("uv"), str(tools / "uv" / "bin" / "uv")):
        if candidate and _works(candidate):
            return candidate
    tell(f"installing uv into {os.path.relpath(tools / 'uv')}")
    problems: list[str] = []
    uv = _install(tools / "uv", problems)
    if uv is None and _install_venv_module(tell, problems):
        uv = _install(tools / "uv", problems)
    if uv is None:
        reasons = "\n  ".join(problems)
        raise UvError(
            "uv, which makes the environments, is missing and could not be installed. Install it, or what Python needs "
            f"to do so (on Debian and Ubuntu: apt install python3-venv), and try again. Tried:\n  {reasons}"
        )
    return uv


def run_uv(uv: str, arguments: Sequence[str], *, cwd: Path | None = None) -> None:
    """Runs uv; on a terminal its progress is shown.

    Raises:
        UvError: It failed; the message is its own.
    """
    env = uv_environment(os.environ)
    more = ["--no-index"] if _is_true(pip_settings(os.environ).get("no-index", "")) and arguments[0] == "pip" else []
    visible = sys.stderr.isatty()
    command = [uv, *arguments, *more]
    result = _run(command, env, cwd, visible)
    if result.returncode != 0 and "SSL_CERT_FILE" not in env and (visible or "certificate" in result.stderr):
        # A network that re-signs its traffic: its authority is in the system's store, which uv does not read by itself.
        env["UV_NATIVE_TLS"] = env["UV_SYSTEM_CERTS"] = "true"
        result = _run(command, env, cwd, visible)
    if result.returncode != 0:
        said = f":\n{result.stderr.strip()}" if result.stderr else ""
        raise UvError(f"`uv {' '.join(arguments[:2])}` failed with exit code {result.returncode}{said}")


def uv_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Returns the environment for uv: the given one, with pip's package settings in uv's words.

    What is set for uv itself wins. Sources: pip's variables and configuration files, which uv does not read.
    """
    env = {name: value for name, value in environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME")}
    if "SSL_CERT_FILE" not in env:
        bundle = next((env[name] for name in CA_VARIABLES if env.get(name)), pip_settings(environ).get("cert"))
        if bundle:
            env["SSL_CERT_FILE"] = bundle
    pip = pip_settings(environ)
    if any(env.get(name) for name in UV_SOURCES):
        return env
    if pip.get("index-url"):
        env["UV_DEFAULT_INDEX"] = pip["index-url"]
    if pip.get("extra-index-url"):
        env["UV_INDEX"] = " ".join(pip["extra-index-url"].split())
        # pip looks at all indexes alike. With hashes checked for every file that is no risk here.
        env.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")
    if pip.get("find-links"):
        env["UV_FIND_LINKS"] = ",".join(pip["find-links"].split())
    if pip.get("trusted-host"):
        env.setdefault("UV_INSECURE_HOST", " ".join(pip["trusted-host"].split()))
    return env


def pip_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """Returns pip's settings for package sources, the environment's over the user's over the machine's."""
    names = ("index-url", "extra-index-url", "find-links", "no-index", "trusted-host", "cert")
    home = Path(environ.get("HOME") or "/")
    config_home = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    files = [Path("/etc/pip.conf"), home / ".pip" / "pip.conf", config_home / "pip" / "pip.conf"]
    if environ.get("PIP_CONFIG_FILE"):
        # pip reads no other file then; the null device is its word for none at all.
        files = [Path(environ["PIP_CONFIG_FILE"])]
    settings: dict[str, str] = {}
    for file in files:
        parser = configparser.RawConfigParser()
        with contextlib.suppress(OSError, configparser.Error, UnicodeDecodeError):
            parser.read_string(file.read_text(encoding="utf-8"))
            for section in ("global", "install"):
                if parser.has_section(section):
                    found = {key.replace("_", "-"): value for key, value in parser.items(section)}
                    settings.update({name: found[name] for name in names if found.get(name)})
    for name in names:
        value = environ.get("PIP_" + name.upper().replace("-", "_"))
        if value:
            settings[name] = value
    return settings


def _run(
    command: Sequence[str], env: Mapping[str, str], cwd: Path | None, visible: bool
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env=dict(env),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=None if visible else subprocess.PIPE,
        stderr=None if visible else subprocess.PIPE,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def _is_true(text: str) -> bool:
    return text.strip().lower() in ("1", "true", "yes", "on", "y", "t")


def _works(uv: str) -> bool:
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        return subprocess.run([uv, "--version"], capture_output=True, timeout=30, check=False).returncode == 0
    return False


def _attempt(command: Sequence[str], problems: list[str]) -> bool:
    try:
        result = subprocess.run(
            command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        problems.append(f"{' '.join(command)}: {error}")
        return False
    if result.returncode != 0:
        last = (result.stderr.strip() or result.stdout.strip()).splitlines()[-1:]
        problems.append(f"{' '.join(command)}: {''.join(last)}")
    return result.returncode == 0


def _install(folder: Path, problems: list[str]) -> str | None:
    """Installs uv by pip: in an environment of its own, else beside this Python's packages in a folder."""
    uv = folder / "bin" / "uv"
    shutil.rmtree(folder, ignore_errors=True)
    quiet = ["--quiet", "--disable-pip-version-check"]
    in_venv = [str(folder / "bin" / "python"), "-m", "pip", "install", *quiet, UV_REQUIREMENT]
    if _attempt([sys.executable, "-m", "venv", str(folder)], problems) and _attempt(in_venv, problems):
        return str(uv)
    shutil.rmtree(folder, ignore_errors=True)
    if _attempt([sys.executable, "-m", "pip", "install", *quiet, "--target", str(folder), UV_REQUIREMENT], problems):
        return str(uv)
    shutil.rmtree(folder, ignore_errors=True)
    return None


def _install_venv_module(tell: Callable[[str], None], problems: list[str]) -> bool:
    """Debian splits venv off its Python; whoever is root there gets it installed."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return False
    tell(f"installing {' '.join(APT_PACKAGES)} by apt")
    apt = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet", "--quiet"]
    _attempt([*apt, "update"], problems)
    return _attempt([*apt, "install", "--yes", "--no-install-recommends", *APT_PACKAGES], problems)
