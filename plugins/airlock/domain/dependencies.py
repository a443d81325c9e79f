"""Dependencies: what a package asks pip for, parsed to names and restraints.

Source: Specifications for compiling the model configuration file, `dependencies`.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from airlock.domain.engines import CONFIG_FILE
from airlock.domain.findings import Finding, Findings, Place, finding
from airlock.domain.jsontext import pointer_token
from airlock.domain.key_spelling import meant_fields

MAX_DEPENDENCIES = 200
#: Groups that callers give to be read, and packages in all of them that are; one package may stand in several.
MAX_GROUPS = MAX_DEPENDENCIES
MAX_LISTED = 10 * MAX_DEPENDENCIES
# PEP 508 names. Extras are refused: they change what a name brings.
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9])?")
_VERSION = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._+!*-]{0,62}[A-Za-z0-9*])?")
_VERSION_FORM = (
    "Write a version such as 1.2.3, 1.2rc1 or 1.2.post1; `1.2.*` and `1.2+cpu` go with EXACT only. Without "
    "`package_version` any version will do."
)
# A wheel that the package brings itself: the path it has inside the runtime image.
_BUNDLED_WHEEL = re.compile(r"/home/mind/model/((?:[A-Za-z0-9_.+-]+/)*[A-Za-z0-9_.+-]+\.whl)")
_SOMEWHERE = Place(file=f"model/{CONFIG_FILE}", pointer="/dependencies")
# Name → what its value is made of.
_GROUP_KEYS: dict[str, type] = {"installer": str, "packages": list}
_PACKAGE_KEYS: dict[str, type] = {"package_name": str, "package_version": str, "restraint": str}
_PACKAGE_SPELLINGS = {"name": "package_name", "package": "package_name", "version": "package_version"}


class Restraint(enum.StrEnum):
    """How a version binds."""

    EXACT = "EXACT"
    ATLEAST = "ATLEAST"
    ATMOST = "ATMOST"


_OPERATORS = {Restraint.EXACT: "==", Restraint.ATLEAST: ">=", Restraint.ATMOST: "<="}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependency:
    """One package that the inference code needs.

    Attributes:
        name: The package's name as written; or, for a bundled wheel, its path under `model/`.
        version: The version, empty when any will do.
        restraint: How the version binds; None without one.
        bundled: Whether the package brings it as a wheel of its own.
        place: Where it is asked for; it is no part of what is asked for. Older records do not say it.
    """

    name: str
    version: str = ""
    restraint: Restraint | None = None
    bundled: bool = False
    place: Place = field(default=_SOMEWHERE, compare=False)

    @property
    def key(self) -> str:
        """The name in its normal form (PEP 503)."""
        return self.name if self.bundled else re.sub(r"[-_.]+", "-", self.name).lower()

    @property
    def specifier(self) -> str:
        """What is asked of the version, as in a requirements file; empty where any will do."""
        return "" if self.restraint is None else f"{_OPERATORS[self.restraint]}{self.version}"

    @property
    def asked(self) -> tuple[str, str]:
        """The distribution's name in its normal form, and what is asked of its version; empty where any will do.

        A bundled wheel is the one version that its file's name says.
        """
        if not self.bundled:
            return self.key, self.specifier
        try:
            name, version, _, _ = parse_wheel_filename(self.name.rpartition("/")[2])
        except InvalidWheelFilename:
            return self.key, ""
        return name, f"=={version}"

    def requirement(self) -> str:
        """The dependency as a line of a requirements file; a bundled wheel as its path under `model/`."""
        return f"{self.name}{self.specifier}"


def parse_dependencies(
    raw: Sequence[Any], locate: Callable[[str], Place]
) -> tuple[tuple[Dependency, ...], tuple[Finding, ...]]:
    """Read the `dependencies` array.

    Args:
        raw: The array: objects with `installer` and `packages`.
        locate: Gives the place of a pointer relative to the array.

    Returns:
        The dependencies in the order given, each once, and the findings. Only usable when no finding is an error.
    """
    found: dict[str, Dependency] = {}
    #: Name → the first dependency of it, a wheel of the package before any other: what the later ones must go with.
    first: dict[str, Dependency] = {}
    findings = Findings()
    listed = 0
    for group, group_at in _groups(raw, locate, findings):
        listed += len(group)
        if listed > MAX_LISTED:
            message = f"{listed:,} packages or more are listed, at most {MAX_DEPENDENCIES} are taken."
            findings.append(finding("DEP001", message, place=locate(group_at)))
            break
        for number, item in enumerate(group):
            at = f"{group_at}/{number}"
            dependency = _parse_one(item, at, locate, findings)
            if dependency is None:
                continue
            name = dependency.asked[0]
            known, beside = found.setdefault(dependency.key, dependency), first.get(name, dependency)
            if beside is dependency or (dependency.bundled and not beside.bundled):
                first[name] = dependency
            other = next((each for each in (known, beside) if not _go_together(each, dependency)), None)
            if other is not None:
                findings.append(
                    finding(
                        "DEP004",
                        f"{name} is asked for as {other.requirement()} and as {dependency.requirement()}.",
                        place=locate(at),
                    )
                )
    if len(found) > MAX_DEPENDENCIES:
        findings.append(
            finding(
                "DEP001", f"{len(found)} packages are listed, at most {MAX_DEPENDENCIES} are taken.", place=locate("")
            )
        )
    return tuple(found.values()), tuple(findings)


def _go_together(one: Dependency, other: Dependency) -> bool:
    """Whether two dependencies of one name can both hold."""
    if not one.bundled and not other.bundled:
        # Two restraints that might both hold are two readings all the same.
        return (one.version, one.restraint) == (other.version, other.restraint)
    wheel, beside = (one, other) if one.bundled else (other, one)
    version = wheel.asked[1].removeprefix("==")
    return not version or SpecifierSet(beside.asked[1]).contains(version, prereleases=True)


def _groups(
    raw: Sequence[Any], locate: Callable[[str], Place], findings: Findings
) -> Iterator[tuple[Sequence[Any], str]]:
    """The packages of each group, and the pointer of their list."""
    for index, item in enumerate(raw):
        at = f"/{index}"
        if not isinstance(item, Mapping):
            findings.append(finding("DEP001", "An object is expected.", place=locate(at), value=item))
            continue
        group, keys = _meant(item, at, _GROUP_KEYS, {}, locate, findings)
        installer = group.get("installer", "pip")
        if not isinstance(installer, str) or installer.strip().lower() != "pip":
            place = locate(f"{at}/{keys['installer']}")
            findings.append(finding("DEP003", "Only pip installs packages.", place=place, value=installer))
        if "packages" not in group:
            # An empty object lists nothing and loses nothing, as an empty list does.
            if item and "packages" not in item:
                findings.append(finding("DEP001", "The group has no list `packages`.", place=locate(at)))
            continue
        packages, packages_at = group["packages"], f"{at}/{keys['packages']}"
        if isinstance(packages, Sequence) and not isinstance(packages, str):
            yield packages, packages_at
        else:
            findings.append(finding("DEP001", "`packages` is a list.", place=locate(packages_at), value=packages))


def _meant(
    raw: Mapping[str, Any],
    at: str,
    kinds: Mapping[str, type],
    spellings: Mapping[str, str],
    locate: Callable[[str], Place],
    findings: Findings,
) -> tuple[dict[str, Any], dict[str, str]]:
    """What an object gives by the names that are known, and each name's key as a token of a pointer."""
    fields, keys = meant_fields(raw, kinds, spellings)
    for name, key in keys.misspelt.items():
        place = locate(f"{at}/{pointer_token(key)}")
        findings.append(finding("CFG012", f"`{name}` is meant.", place=place, value=key))
    for key, fix in keys.unknown.items():
        place = locate(f"{at}/{pointer_token(key)}")
        findings.append(finding("CFG011", "The field is not known and is read over.", place=place, value=key, fix=fix))
    return fields, {name: pointer_token(key) for name, key in keys.named.items()}


def _parse_one(item: Any, at: str, locate: Callable[[str], Place], findings: Findings) -> Dependency | None:
    place = locate(at)
    if not isinstance(item, Mapping):
        findings.append(finding("DEP001", "An object with `package_name` is expected.", place=place, value=item))
        return None
    package, _ = _meant(item, at, _PACKAGE_KEYS, _PACKAGE_SPELLINGS, locate, findings)
    if "package_name" not in package:
        findings.append(finding("DEP001", "The package has no `package_name`.", place=place, value=dict(item)))
        return None
    if not all(isinstance(value, str) for value in package.values()):
        findings.append(finding("DEP001", "Name, version and restraint are text.", place=place, value=dict(item)))
        return None
    name = package["package_name"].strip()
    version = package.get("package_version", "").strip()
    restraint = package.get("restraint", "").strip().upper()
    wheel = _BUNDLED_WHEEL.fullmatch(name)
    if wheel is not None and ".." not in wheel[1].split("/"):
        dependency = Dependency(name=wheel[1], bundled=True, place=place)
        if _VERSION.fullmatch(version) and restraint in Restraint.__members__:
            beside = Dependency(name=dependency.asked[0], version=version, restraint=Restraint(restraint))
            if _names_versions(beside.specifier) and not _go_together(dependency, beside):
                message = f"The wheel {wheel[1]} is asked for as {beside.requirement()}."
                findings.append(finding("DEP004", message, place=place))
        return dependency
    if not _NAME.fullmatch(name):
        findings.append(finding("DEP001", "The package name breaks its form.", place=place, value=name))
        return None
    if not version:
        return Dependency(name=name, place=place)
    if not _VERSION.fullmatch(version):
        findings.append(finding("DEP001", f"The version of {name} breaks its form.", place=place, value=version))
        return None
    if restraint not in Restraint.__members__:
        findings.append(
            finding(
                "DEP002", f"{name} has version {version} and no usable restraint.", place=place, value=restraint or None
            )
        )
        return None
    dependency = Dependency(name=name, version=version, restraint=Restraint(restraint), place=place)
    if not _names_versions(dependency.specifier):
        message = f"{dependency.requirement()} is nothing that pip can look for."
        findings.append(finding("DEP001", message, place=place, value=version, fix=_VERSION_FORM))
        return None
    return dependency


def _names_versions(specifier: str) -> bool:
    try:
        SpecifierSet(specifier)
    except InvalidSpecifier:
        return False
    return True
