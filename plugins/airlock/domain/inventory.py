"""A package's files as a table: what each is, whether it was read, and what was found in it.

The table is for people and for suites of expectations. It decides nothing: what refuses a package are findings.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from typing import Any

from airlock.domain.detection import Evidence
from airlock.domain.engines import CONFIG_FILE, SERVICE_FILE
from airlock.domain.findings import Finding, Severity
from airlock.domain.model_files.forms import is_model_file
from airlock.domain.package import Manifest

#: The suite that judges the table.
INVENTORY = "inventory"
_SAMPLES = "samples/"
_TEXTS = (".json", ".txt")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRow:
    """One file of a package.

    Attributes:
        path: Relative to the package's folder; begins with `model/`.
        size_bytes: Its length.
        extension: The end of its name from the last dot, lower case; empty where it has none.
        depth: Folders above it, `model` included.
        role: `configuration`, `inference code`, `code`, `model file`, `sample`, `wheel` or `other`.
        says: What a model file says of itself, from its headers; empty where nothing is known.
        read: Whether anything of its content was read.
        errors: Findings of that weight that point at it.
        warnings: Likewise.
        infos: Likewise.
    """

    path: str
    size_bytes: int
    extension: str
    depth: int
    role: str
    says: str
    read: bool
    errors: int
    warnings: int
    infos: int


def inventory(
    manifest: Manifest, findings: Iterable[Finding], evidence: Iterable[Evidence], read: Collection[str]
) -> tuple[FileRow, ...]:
    """The table of a package's files, in the order of their paths.

    Args:
        manifest: The files.
        findings: What was found in the package.
        evidence: What its model files say of themselves.
        read: Paths of the files of which anything was read.
    """
    counts: Counter[tuple[str, Severity]] = Counter()
    for item in findings:
        counts[item.place.file, item.severity] += item.count
    says = {item.file: item.says for item in evidence}
    return tuple(
        FileRow(
            path=entry.path,
            size_bytes=entry.size_bytes,
            extension=_extension(path),
            depth=entry.path.count("/"),
            role=_role(path, says.get(entry.path, "")),
            says=says.get(entry.path, ""),
            read=entry.path in read,
            errors=counts[entry.path, Severity.ERROR],
            warnings=counts[entry.path, Severity.WARNING],
            infos=counts[entry.path, Severity.INFO],
        )
        for path, entry in manifest.model_paths().items()
    )


def inventory_table(rows: Iterable[FileRow]) -> list[dict[str, Any]]:
    """The rows as suites of expectations take them."""
    return [asdict(row) for row in rows]


def _extension(path: str) -> str:
    name = path.rpartition("/")[2]
    stem, dot, extension = name.rpartition(".")
    return f".{extension.lower()}" if dot and stem else ""


def _role(path: str, says: str) -> str:
    if path == CONFIG_FILE:
        return "configuration"
    if path == SERVICE_FILE:
        return "inference code"
    if path.startswith(_SAMPLES):
        return "sample"
    if path.endswith(".py"):
        return "code"
    if path.endswith(".whl"):
        return "wheel"
    # Text is looked at because it may be a model; most of it is labels.
    return "model file" if says or (is_model_file(path) and not path.endswith(_TEXTS)) else "other"
