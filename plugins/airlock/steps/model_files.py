"""What the model files of a package say of themselves, and which rules they break: read in place, never loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airlock.domain.detection import Evidence, has_service_code
from airlock.domain.engines import ENGINES
from airlock.domain.evidence import files_to_read, gather_evidence
from airlock.domain.findings import Finding, Findings
from airlock.domain.model_files.facts import Facts
from airlock.domain.model_files.forms import facts_of, is_model_file
from airlock.domain.model_files.reading import check_presence, look_at
from airlock.domain.model_files.references import check_references
from airlock.domain.model_files.streams import NotRead, Unreadable
from airlock.domain.model_files.torch_file import MAX_SUMMED_BYTES
from airlock.domain.package import Manifest

if TYPE_CHECKING:
    from airlock.ports.package_store import PackageFiles


def check_model_files(
    engine: str,
    manifest: Manifest,
    digest: str,
    store: PackageFiles,
    *,
    trusted: bool,
    summed_bytes: int = MAX_SUMMED_BYTES,
) -> list[Finding]:
    """Read every model file without loading it.

    Args:
        engine: The engine that loads them.
        manifest: The package's files.
        digest: The package.
        store: Where it lies.
        trusted: Whether the request trusts the code in them.
        summed_bytes: Bytes of each archive whose checksums are compared.

    Returns:
        MDL findings.
    """
    findings = Findings()
    paths = manifest.model_paths()
    has_code = has_service_code(manifest)
    for path, entry in paths.items():
        if is_model_file(path):
            with store.open(digest, entry) as file:
                looked = look_at(
                    entry.path,
                    entry.size_bytes,
                    file,
                    engine,
                    trusted=trusted,
                    has_code=has_code,
                    summed_bytes=summed_bytes,
                )
            findings.extend(looked.findings)
            findings.extend(check_references(path, looked.refers_to, paths))
        elif engine in ENGINES and ENGINES[engine].loads(path):
            # Nobody reads the numbers of a checkpoint here; what lies in their place is seen from the first bytes.
            with store.open(digest, entry) as file:
                findings.extend(check_presence(entry.path, entry.size_bytes, file, engine, has_code=has_code))
    return list(findings)


def read_evidence(manifest: Manifest, digest: str, store: PackageFiles) -> tuple[Evidence, ...]:
    """What the files say of the engine, from their headers.

    Args:
        manifest: The package's files.
        digest: The package.
        store: Where it lies.

    Raises:
        StoreDamaged: The files cannot be read.
    """
    entries = manifest.model_paths()
    facts: dict[str, Facts | None] = {}
    for path in files_to_read(manifest):
        entry = entries[path]
        with store.open(digest, entry) as file:
            try:
                facts[path] = facts_of(path, entry.size_bytes, file)
            except (Unreadable, NotRead):
                # Validation says so where it matters; what is left is the file's name.
                facts[path] = None
    return gather_evidence(manifest, facts)
