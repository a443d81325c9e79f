"""A package's dependencies beside what its runtime pins: what pip would refuse is told before anything is built.

The layer of dependencies is installed under the runtime's own pins, so that none of them can change the engine under a
model; a demand that no pin meets can therefore never be met.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from airlock.domain.catalogue import Catalogue, Runtime
from airlock.domain.dependencies import Dependency
from airlock.domain.findings import Finding, finding

_PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;#]+)")


def check_pins(dependencies: Sequence[Dependency], runtime: Runtime, catalogue: Catalogue) -> list[Finding]:
    """Compare dependencies with a runtime's pins.

    Args:
        dependencies: What the package asks for.
        runtime: The runtime that serves it.
        catalogue: For a runtime of the same engine that has what is asked for.

    Returns:
        DEP006 for each dependency that no build of the runtime can have.
    """
    refused = [each for each in dependencies if _refused(each, runtime)]
    if not refused:
        return []
    others = (row for row in catalogue.of_engine(runtime.engine) if row.available and row != runtime)
    fitting = next((row for row in others if not any(_refused(each, row) for each in dependencies)), None)
    findings = []
    for each in refused:
        name, asked = each.asked
        pinned = " or ".join(_versions(name, runtime))
        keep = f"ask for {name} {pinned}, or leave it out of `dependencies`: the runtime has it"
        fix = f"Use the runtime {fitting.name!r}, or {keep}." if fitting else f"{keep[0].upper()}{keep[1:]}."
        findings.append(
            finding(
                "DEP006",
                f"{name} {asked} is asked for, and {runtime.engine} {runtime.name} has {name} {pinned}.",
                place=each.place,
                value=each.requirement(),
                fix=fix,
            )
        )
    return findings


def _refused(dependency: Dependency, runtime: Runtime) -> bool:
    name, asked = dependency.asked
    versions = _versions(name, runtime)
    if not asked or not versions:
        return False
    try:
        wanted = SpecifierSet(asked)
        return not any(wanted.contains(Version(version), prereleases=True) for version in versions)
    except (InvalidSpecifier, InvalidVersion):
        # A record may hold what no configuration may any more. Whether pip takes it is pip's to say.
        return False


def _versions(name: str, runtime: Runtime) -> list[str]:
    """The versions that the builds of a runtime pin, each once."""
    builds = [runtime.constraints, *(variant.constraints for variant in runtime.variants)]
    pins = [_pins(constraints) for constraints in builds if constraints]
    if not all(name in each for each in pins):
        # A build that does not have it takes whichever is asked for.
        return []
    return list(dict.fromkeys(each[name] for each in pins))


@functools.lru_cache(maxsize=128)
def _pins(constraints: str) -> Mapping[str, str]:
    """Name in its normal form → version."""
    found = (_PIN.match(line) for line in constraints.splitlines())
    return {canonicalize_name(match[1]): match[2] for match in found if match}
