"""Wheels on disk: which of them a layer can use, and whether it needs a further index after all."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.tags import Tag
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import Version


def requirements_of(text: str) -> tuple[Requirement, ...]:
    """The requirement lines of a requirements file; paths of bundled wheels are none."""
    found = []
    for line in text.splitlines():
        try:
            found.append(Requirement(line.strip()))
        except InvalidRequirement:
            continue
    return tuple(found)


def usable_wheels(folders: Iterable[Path], *, python: str, machine: str) -> tuple[tuple[str, Version, Path], ...]:
    """Wheels that an interpreter can install.

    The test is coarse: it keeps a build context small. The installer decides for good.

    Args:
        folders: Where wheels lie; one that is missing has none.
        python: `X.Y`.
        machine: As `uname -m` names it.

    Returns:
        (normal name, version, path), sorted by path.
    """
    found = []
    for folder in folders:
        for path in sorted(folder.glob("*.whl")):
            try:
                name, version, _, tags = parse_wheel_filename(path.name)
            except InvalidWheelFilename:
                continue
            if any(_fits(tag, python, machine) for tag in tags):
                found.append((str(name), version, path))
    return tuple(found)


def of_other_builds(usable: Iterable[tuple[str, Version, Path]], pins: str) -> frozenset[Path]:
    """Wheels of another build of their version than a runtime's pins mean.

    `2.13.0+cpu` is a build of 2.13.0, and by PEP 440 a pin without a local version takes it, before any other. A row
    that pins `torch==2.13.0` means the index's own build, which is CUDA's: a build with a label is for rows whose pins
    name the label.

    Args:
        usable: Of `usable_wheels`.
        pins: The runtime's constraints.

    Returns:
        Paths of the wheels that it must not get.
    """
    labels = {Version(specifier.version).local for pin in requirements_of(pins) for specifier in pin.specifier}
    return frozenset(path for _, version, path in usable if version.local and version.local not in labels)


def chosen_wheels(
    usable: Iterable[tuple[str, Version, Path]], requirements: str, *, installed: str = "", all_others: bool = False
) -> tuple[Path, ...]:
    """The wheels that a layer's installation may want.

    Args:
        usable: Of `usable_wheels`.
        requirements: The layer's requirement lines.
        installed: Pins that the layer below has installed; their wheels are not wanted again.
        all_others: Whether wheels that no line names are wanted too, for what the named ones need in turn.

    Returns:
        Paths, sorted.
    """
    named = {canonicalize_name(requirement.name): requirement for requirement in requirements_of(requirements)}
    there = {canonicalize_name(requirement.name) for requirement in requirements_of(installed)}
    chosen = []
    for name, version, path in usable:
        requirement = named.get(canonicalize_name(name))
        if requirement is not None:
            wanted = requirement.specifier.contains(version, prereleases=True)
        else:
            wanted = all_others and name not in there
        if wanted:
            chosen.append(path)
    return tuple(sorted(chosen))


def further_indexes(
    urls: tuple[str, ...], requirements: str, usable: Iterable[tuple[str, Version, Path]]
) -> tuple[str, ...]:
    """The runtime's own indexes, where a pin needs them.

    A pin with a local version (`torch==2.13.0+cpu`) is found on no ordinary index; where a wheel on disk satisfies it,
    the index is not asked at all, because a closed network cannot reach it.

    Args:
        urls: The runtime's `extra_index_urls`.
        requirements: The layer's requirement lines.
        usable: Of `usable_wheels`.

    Returns:
        `urls` or nothing.
    """
    local = [
        requirement
        for requirement in requirements_of(requirements)
        if any("+" in specifier.version for specifier in requirement.specifier)
    ]
    wheels = list(usable)
    missing = [
        requirement
        for requirement in local
        if not any(
            name == canonicalize_name(requirement.name) and requirement.specifier.contains(version, prereleases=True)
            for name, version, _ in wheels
        )
    ]
    return urls if missing else ()


def _fits(tag: Tag, python: str, machine: str) -> bool:
    major, minor = (int(part) for part in python.split("."))
    linux = tag.platform.startswith(("manylinux", "linux")) and tag.platform.endswith(machine)
    platform = tag.platform == "any" or linux
    if tag.interpreter in (f"cp{major}{minor}", f"py{major}{minor}", f"py{major}"):
        return platform
    number = tag.interpreter.removeprefix(f"cp{major}")
    return platform and tag.abi == "abi3" and number.isdigit() and int(number) <= minor
