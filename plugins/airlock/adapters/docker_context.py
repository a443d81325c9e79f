"""What an image build is given: one tar with the Dockerfile, the pins, wheels, certificates and the serving code."""

from __future__ import annotations

import io
import platform
import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO, cast

from airlock.adapters.build_litter import Signature
from airlock.adapters.install_settings import InstallSettings
from airlock.adapters.interpreters import find_uv
from airlock.adapters.local_wheels import chosen_wheels, further_indexes, of_other_builds, usable_wheels
from airlock.adapters.serving_code import serving_files
from airlock.domain.baking import MODEL_LAYER
from airlock.domain.catalogue import Runtime
from airlock.domain.image import BASE_LAYER, SERVING_LAYER, Layer
from airlock.domain.installing import uv_serves
from airlock.domain.slimming import slim_program


def build_arguments(runtime: Runtime, layer: Layer, install: InstallSettings, machine: str) -> dict[str, str]:
    """The build's arguments. They may hold passwords; the stage that takes them never becomes part of the image.

    Args:
        runtime: The catalogue's row.
        layer: The layer.
        install: Where packages come from.
        machine: As `uname -m` names it.

    Returns:
        Name → value, empty ones left out: pip takes an empty variable for a value. None for a layer that installs
        nothing.
    """
    if layer.name in (SERVING_LAYER, MODEL_LAYER):
        return {}
    wheels = usable_wheels(install.wheel_folders, python=runtime.python, machine=machine)
    more = further_indexes(runtime.extra_index_urls, layer.requirements, wheels)
    # An index on this machine's disk cannot be seen from a build container.
    indexes = [url for url in install.indexes(more) if not url.startswith("file:")]
    arguments = {
        "PIP_INDEX_URL": "" if install.index_url.startswith("file:") else install.index_url,
        "PIP_EXTRA_INDEX_URL": " ".join(indexes),
        "PIP_FIND_LINKS": " ".join(install.wheel_pages),
        "PIP_TRUSTED_HOST": " ".join(install.trusted_host),
        "PIP_NO_INDEX": "1" if install.no_index else "",
        "HTTP_PROXY": install.http_proxy,
        "HTTPS_PROXY": install.https_proxy,
        "NO_PROXY": install.no_proxy,
        "http_proxy": install.http_proxy,
        "https_proxy": install.https_proxy,
        "no_proxy": install.no_proxy,
    }
    return {name: value for name, value in arguments.items() if value}


def layer_wheels(runtime: Runtime, layer: Layer, install: InstallSettings, machine: str) -> tuple[Path, ...]:
    """The wheels on disk that a layer may want.

    What a dependency needs in turn is known only to the installer: where no index may be asked, the second layer gets
    every wheel that could be meant. The first one's pins are complete.
    """
    found = usable_wheels(install.wheel_folders, python=runtime.python, machine=machine)
    others = of_other_builds(found, runtime.constraints)
    usable = [wheel for wheel in found if wheel[2] not in others]
    if layer.name == BASE_LAYER:
        return chosen_wheels(usable, layer.requirements)
    return chosen_wheels(usable, layer.requirements, installed=runtime.constraints, all_others=install.no_index)


def build_context(
    runtime: Runtime,
    layer: Layer,
    *,
    install: InstallSettings,
    serving_folder: Path,
    package_folder: Path | None,
    machine: str,
    work_dir: Path,
    signature: Signature,
) -> IO[bytes]:
    """The context of a layer's build as an open tar that has no name on disk, so that nothing of it can stay behind.

    The same inputs give the same bytes.

    Args:
        runtime: The catalogue's row.
        layer: The layer.
        install: Where packages come from.
        serving_folder: The serving code.
        package_folder: The folder that contains `model/`, needed where the layer installs bundled wheels.
        machine: As `uname -m` names it.
        work_dir: Where there is room for it.
        signature: Who builds.

    Raises:
        ValueError: Bundled wheels without a package.
    """
    if layer.bundled_wheels and package_folder is None:
        raise ValueError("bundled wheels come from a package")
    work_dir.mkdir(parents=True, exist_ok=True)
    target = cast("IO[bytes]", tempfile.TemporaryFile(dir=work_dir, prefix="context-"))  # noqa: SIM115 - it is returned
    try:
        with tarfile.open(fileobj=target, mode="w", format=tarfile.GNU_FORMAT) as tar:
            if layer.program:
                _add_text(tar, "install/install.sh", layer.program)
                _add_files(tar, _uv(runtime, machine))
            else:
                _add_text(tar, "Dockerfile", signature.sign(layer.dockerfile, layer.tag))
            if layer.name == SERVING_LAYER:
                files = serving_files(serving_folder, runtime.stand_in_for)
                _add_files(tar, ((f"serving/{name}", path) for name, path in files))
            elif layer.name != MODEL_LAYER:
                _add_text(tar, "install/requirements.txt", layer.requirements)
                _add_text(tar, "install/constraints.txt", runtime.constraints)
                _add_text(tar, "install/slim.py", slim_program())
                _add_text(tar, "install/ca.pem", Path(install.cert).read_text() if install.cert else "")
                _add_folder(tar, "install/wheels")
                wheels = layer_wheels(runtime, layer, install, machine)
                _add_files(tar, ((f"install/wheels/{path.name}", path) for path in wheels))
            if package_folder is not None:
                model = package_folder / "model"
                _add_files(tar, ((f"install/bundled/{name}", model / name) for name in layer.bundled_wheels))
    except BaseException:
        target.close()
        raise
    target.seek(0)
    return target


def _uv(runtime: Runtime, machine: str) -> list[tuple[str, Path]]:
    """The worker's own uv, where it runs in the engine's containers and serves their Python."""
    tool = find_uv() if uv_serves(runtime.python) and machine == platform.machine() else None
    return [("install/uv", Path(tool))] if tool else []


def _entry(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    # Owner, time and mode are fixed: the engine's cache compares them, and the host's are nobody's business.
    info = tarfile.TarInfo(name)
    info.size = size
    info.type = kind
    info.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
    return info


def _add_text(tar: tarfile.TarFile, name: str, text: str) -> None:
    content = text.encode()
    tar.addfile(_entry(name, len(content)), io.BytesIO(content))


def _add_folder(tar: tarfile.TarFile, name: str) -> None:
    tar.addfile(_entry(name, 0, tarfile.DIRTYPE))


def _add_files(tar: tarfile.TarFile, files: Iterable[tuple[str, Path]]) -> None:
    for name, path in files:
        with path.open("rb") as source:
            tar.addfile(_entry(name, path.stat().st_size), source)
