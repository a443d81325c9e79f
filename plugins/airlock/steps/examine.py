"""Every rule of a package, applied to its files wherever they lie: in the store, in a folder, in object storage.

It imports little, because a check on the command line starts with it: what it takes of the ports are their types.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airlock.domain.catalogue import Catalogue
from airlock.domain.config import ModelConfig, parse_config
from airlock.domain.dependencies import Dependency
from airlock.domain.detection import Evidence, has_service_code
from airlock.domain.engines import CONFIG_FILE, ENGINES, IMAGE, SERVICE_FILE, Engine, ModelFile
from airlock.domain.findings import Finding, Place, Severity, finding
from airlock.domain.jsontext import MAX_TEXT_BYTES
from airlock.domain.model_files.facts import STRONG
from airlock.domain.model_files.torch_file import MAX_SUMMED_BYTES
from airlock.domain.package import Manifest
from airlock.domain.pins import check_pins
from airlock.domain.service_code.checking import MAX_CODE_BYTES, check_code
from airlock.steps.model_files import check_model_files, read_evidence

if TYPE_CHECKING:
    from airlock.ports.package_store import PackageFiles


def examine(
    manifest: Manifest,
    digest: str,
    config_bytes: bytes | None,
    config_name: str,
    *,
    store: PackageFiles,
    catalogue: Catalogue,
    schema: Mapping[str, Any],
    dependencies: tuple[Dependency, ...] | None = None,
    trusted: bool = False,
    summed_bytes: int = MAX_SUMMED_BYTES,
) -> tuple[ModelConfig | None, list[Finding]]:
    """Apply every rule to a package, wherever it lies.

    Args:
        manifest: Its files.
        digest: What the store knows it by.
        config_bytes: The configuration; None where there is none.
        config_name: What findings call it.
        store: Where the files lie.
        catalogue: The known runtimes.
        schema: include/specs/config.schema.json.
        dependencies: Instead of the configuration's own.
        trusted: Whether code in model files is trusted.
        summed_bytes: Bytes of each archive whose checksums are compared.

    Returns:
        The configuration, None where it is unusable; and all findings in no order.
    """
    findings: list[Finding] = []
    config = None
    if config_bytes is None:
        findings.append(
            finding("PKG002", "The package has no configuration.", place=Place(file=f"model/{CONFIG_FILE}"))
        )
    else:
        config, noticed = parse_config(config_bytes, schema, catalogue, config_name)
        findings += noticed
    findings += check_single_files(manifest)
    if config is not None:
        if dependencies is not None:
            config = replace(config, dependencies=dependencies)
        findings += check_files(config, manifest, lambda: read_evidence(manifest, digest, store))
        findings += check_dependencies(config, catalogue)
        findings += check_service_code(config, manifest, digest, store, catalogue)
    engine = "" if config is None else config.model_type
    if engine != IMAGE:
        # What lies beside an image's configuration is read by the image's own code, which may run anything anyway.
        findings += check_model_files(engine, manifest, digest, store, trusted=trusted, summed_bytes=summed_bytes)
    return config, findings


def config_bytes_of(manifest: Manifest, digest: str, store: PackageFiles) -> bytes | None:
    """The package's own configuration, None where there is none; one byte over the limit is enough to refuse it."""
    entry = manifest.model_paths().get(CONFIG_FILE)
    return None if entry is None else store.read(digest, entry, MAX_TEXT_BYTES + 1)


def check_single_files(manifest: Manifest) -> list[Finding]:
    """PKG003 where a file of a fixed name stands more than once."""
    findings = []
    for name in (CONFIG_FILE, SERVICE_FILE):
        found = [path for path in manifest.model_paths() if path.rpartition("/")[2] == name]
        # A folder may carry a config.json of its own for a tokenizer or such; only a second service is ambiguous.
        if len(found) > 1 and (name == SERVICE_FILE or CONFIG_FILE not in found):
            places = _some([f"model/{path}" for path in found])
            findings.append(finding("PKG003", f"{len(found)} files are named {name}: {places}."))
    return findings


def check_files(config: ModelConfig, manifest: Manifest, evidence: Callable[[], tuple[Evidence, ...]]) -> list[Finding]:
    """Check that the engine's files are there.

    Args:
        config: The configuration.
        manifest: The package's files.
        evidence: Gives what they say of themselves; asked where one is missing.

    Returns:
        PKG004 and PKG005 for model files, SVC001 for missing code, DEP001 and DEP005 for dependencies.
    """
    engine = ENGINES.get(config.model_type)
    if engine is None:
        return []
    findings = []
    paths = manifest.model_paths()
    has_code = has_service_code(manifest)
    for kind in engine.model_files:
        found = kind.candidates(paths)
        bearable = has_code and engine.code_replaces_files
        chosen = has_code and (engine.code_replaces_files or engine.code_chooses_files)
        if not found:
            findings.append(
                finding(
                    "PKG004",
                    f"{engine.name} needs {kind.what} in `model/`; it holds {_some(paths)}.",
                    place=Place(file="model/"),
                    fix="" if bearable else _right_name(engine, kind, evidence()),
                    severity=Severity.WARNING if bearable else Severity.ERROR,
                )
            )
        elif kind.single and len(found) > 1:
            findings.append(
                finding(
                    "PKG005",
                    f"{engine.name} loads {kind.what}; {len(found)} are there: {_some(found)}.",
                    place=Place(file="model/"),
                    fix=f"Keep one of them, or put `{kind.prefer}` into its name." if kind.prefer else "",
                    severity=Severity.WARNING if chosen else Severity.ERROR,
                )
            )
        findings += _other_prefix(engine, kind, found, Severity.WARNING if chosen else Severity.ERROR, paths)
    if engine.code_required and not has_code:
        findings.append(
            finding("SVC001", f"{engine.name} loads nothing by itself.", place=Place(file=f"model/{SERVICE_FILE}"))
        )
    if config.dependencies and not has_code:
        findings.append(finding("DEP005", "Nothing uses the dependencies.", place=config.dependencies[0].place))
    for dependency in config.dependencies:
        if dependency.bundled and dependency.name not in paths:
            message = f"The wheel model/{dependency.name} is not in the package."
            fix = "Put the wheel there, or correct its path."
            findings.append(finding("DEP001", message, place=dependency.place, fix=fix))
    return findings


def _other_prefix(
    engine: Engine, kind: ModelFile, found: list[str], severity: Severity, paths: Mapping[str, object]
) -> list[Finding]:
    """PKG004 where files are there, and none of them belongs to the one that must have the same prefix."""
    if not (kind.prefix_of and found):
        return []
    partners = [path for each in engine.model_files for path in each.matches(paths) if path.endswith(kind.prefix_of)]
    if len(partners) != 1:
        # None or several: that is told where they are looked for.
        return []
    (partner,) = partners
    prefix = partner.removesuffix(kind.prefix_of)
    if any(kind.has_prefix(path, prefix) for path in found):
        return []
    names = ", ".join(found)
    right = f"{prefix}{kind.what.strip('`').removeprefix('*')}"
    return [
        finding(
            "PKG004",
            f"{engine.name} needs `{right}` for {partner}; there is {names}.",
            place=Place(file="model/"),
            fix=f"Bring the file that belongs to {partner}, or give both the same prefix.",
            severity=severity,
        )
    ]


def _right_name(engine: Engine, kind: ModelFile, evidence: tuple[Evidence, ...]) -> str:
    """What to do where the file that is missed is there under another name; empty where it is not."""
    if len(engine.model_files) > 1 or any("/" in pattern for pattern in kind.patterns):
        return ""
    for item in sorted(evidence, key=lambda each: each.file.count("/")):
        if item.served and item.confidence(engine.name) >= STRONG:
            folder, _, name = item.file.rpartition("/")
            moved = f"model/{name}"
            if kind.matches([name]):
                return f"Move {item.file} to {moved}: it {item.says}."
            right = f"{moved.rpartition('.')[0]}{kind.patterns[0].removeprefix('*')}"
            return f"{'Rename' if folder == 'model' else 'Move'} {item.file} to {right}: it {item.says}."
    return ""


def check_dependencies(config: ModelConfig, catalogue: Catalogue) -> list[Finding]:
    """DEP006 where the runtime pins another version of what is asked for."""
    runtime = catalogue.of_config(config.model_type, config.runtime)
    return [] if runtime is None else check_pins(config.dependencies, runtime, catalogue)


def check_service_code(
    config: ModelConfig, manifest: Manifest, digest: str, store: PackageFiles, catalogue: Catalogue
) -> list[Finding]:
    """Read the package's Python code without running it.

    Args:
        config: Names the runtime, whose Python must be able to compile it, and the dependencies.
        manifest: The package's files.
        digest: The package.
        store: Where it lies.
        catalogue: The known runtimes.

    Returns:
        Findings of the family SVC, but for SVC001.
    """
    runtime = catalogue.of_config(config.model_type, config.runtime)
    if runtime is None:
        return []
    paths = manifest.model_paths()

    def read(path: str) -> bytes:
        return store.read(digest, paths[path], MAX_CODE_BYTES + 1)

    return check_code(paths, read, runtime, config.dependencies, sys.version_info[:2])


def _some(paths: Collection[str]) -> str:
    names = sorted(paths)[:5]
    return ", ".join(names) + ("…" if len(paths) > len(names) else "")
