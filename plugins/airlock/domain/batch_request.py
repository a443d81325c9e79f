"""The form of a batch import, checked whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airlock.domain.form_reader import FormReader
from airlock.domain.request_form import FIELDS
from airlock.domain.source import DEFAULT_CONNECTION, Scheme, SourceLocation, parse_prefix
from airlock.errors import RequestRejected

SOURCES = ("packages", "prefix", "manifest")
BATCH_FIELDS = (*SOURCES, "source_connection", "defaults", "dry_run")
#: What belongs to each package by itself.
OWN_FIELDS = frozenset({"model_name", "model_version", "source_location", "source_connection", "rebuild"})
_FORM = "batch"


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRequest:
    """A batch that keeps every rule of its form. One of the first three is given.

    Attributes:
        packages: Source locations.
        prefix: The folder whose folders are packages.
        manifest: The object that lists packages.
        source_connection: Id of the Connection for all of it.
        defaults: Fields of the import form for every package that does not give them.
        dry_run: Whether it is only told what would happen.
    """

    packages: tuple[str, ...]
    prefix: SourceLocation | None
    manifest: SourceLocation | None
    source_connection: str
    defaults: dict[str, Any]
    dry_run: bool


def parse_batch(conf: Mapping[str, Any]) -> BatchRequest:
    """Check the form.

    Args:
        conf: The DAG run's conf merged over the form's defaults.

    Raises:
        RequestRejected: One or more rules are broken; all are listed.
    """
    form = FormReader(_FORM, conf, BATCH_FIELDS)
    broken = form.broken
    given = [name for name in SOURCES if conf.get(name) not in (None, "", [])]
    if len(given) != 1:
        said = "None is given." if not given else f"{len(given)} are given."
        fix = "Give one of `packages`, `prefix` and `manifest`."
        broken("REQ002", given[-1] if given else "packages", f"A batch comes from one place. {said}", fix=fix)
    packages = conf.get("packages") or []
    if not isinstance(packages, (list, tuple)) or not all(isinstance(each, str) for each in packages):
        broken("REQ003", "packages", "A list of source locations is expected.", packages)
        packages = []
    texts = form.texts(("prefix", "manifest", "source_connection"))
    prefix = parse_prefix(texts["prefix"]) if texts["prefix"] else None
    if texts["prefix"] and prefix is None:
        broken("REQ008", "prefix", "The prefix cannot be read.", texts["prefix"], "Write s3://bucket/folder/*/.")
    manifest = _object(texts["manifest"]) if texts["manifest"] else None
    if texts["manifest"] and manifest is None:
        fix = "Write s3://bucket/folder/batch.csv, or .json."
        broken("REQ008", "manifest", "The manifest's place cannot be read.", texts["manifest"], fix)
    defaults = conf.get("defaults") or {}
    if not isinstance(defaults, Mapping):
        broken("REQ003", "defaults", "An object with fields of the import form is expected.", defaults)
        defaults = {}
    for key in defaults:
        if key not in FIELDS or key in OWN_FIELDS:
            broken("REQ001", f"defaults/{key}", "No such field holds for all packages.")
    dry_run = conf.get("dry_run") or False
    if not isinstance(dry_run, bool):
        broken("REQ003", "dry_run", "true or false is expected.", dry_run)
    if form.findings:
        raise RequestRejected("the batch", tuple(form.findings))
    return BatchRequest(
        packages=tuple(packages),
        prefix=prefix,
        manifest=manifest,
        source_connection=texts["source_connection"] or DEFAULT_CONNECTION,
        defaults=dict(defaults),
        dry_run=bool(dry_run),
    )


def _object(text: str) -> SourceLocation | None:
    if text.endswith("/"):
        return None
    location = SourceLocation.parse(text)
    if location is None or location.scheme is not Scheme.S3 or not location.prefix:
        return None
    return SourceLocation(bucket=location.bucket, prefix=location.prefix.rstrip("/"), scheme=location.scheme)
