"""What users change of a version: description and labels, aliases, the stage; and deleting it.

Each form is a page of its own with an address, sent back whole with what is wrong where it breaks a rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Request, Response

from airlock.domain.findings import Finding
from airlock.domain.record import VersionRow
from airlock.domain.request_form import MAX_DESCRIPTION_CHARACTERS, MAX_LABELS, parse_changes
from airlock.domain.version import Stage, Status
from airlock.errors import AirlockError, AliasRefused, RequestRejected, VersionBusy
from airlock.registry_ports import RegistryReader
from airlock.web.access import Actor, may_change
from airlock.web.rendering import page, version_path
from airlock.web.versions import known_version, to_version
from airlock.web.wired import WiredEditor, WiredRegistry

# Plain functions: FastAPI runs them in threads, and the registry blocks.
router = APIRouter()

#: One label per line, as in Airflow's form.
Lines = Annotated[str, Form(max_length=10_000)]


def live_version(registry: RegistryReader, model_name: str, model_version: str) -> VersionRow:
    """A version that can be changed; HTTP 404 where there is none or it was deleted."""
    row = known_version(registry, model_name, model_version)
    if row.status is Status.DELETED:
        raise HTTPException(404, f"{model_name} {model_version} was deleted.")
    return row


def lines_of(text: str) -> list[str]:
    """The lines of a field that takes several values."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def _edit_page(
    request: Request,
    row: VersionRow,
    description: str,
    labels: str,
    *,
    alias: str = "",
    stage: Stage | None = None,
    findings: Sequence[Finding] = (),
    error: AirlockError | None = None,
) -> Response:
    return page(
        request,
        "edit.html",
        400 if findings or error else 200,
        row=row,
        base=version_path(row.model_name, row.model_version),
        description=description,
        labels=labels,
        alias=alias,
        stage=stage or row.stage,
        findings=findings,
        error=error,
        stages=[stage.value for stage in Stage],
        max_labels=MAX_LABELS,
        max_description=MAX_DESCRIPTION_CHARACTERS,
    )


@router.get("/models/{model_name}/{model_version}/edit", dependencies=[may_change])
def edit_form(request: Request, registry: WiredRegistry, model_name: str, model_version: str) -> Response:
    """The form for description, labels, aliases and stage."""
    row = live_version(registry, model_name, model_version)
    return _edit_page(request, row, row.description, "\n".join(row.labels))


@router.post("/models/{model_name}/{model_version}/edit", dependencies=[may_change])
def edit(
    request: Request,
    registry: WiredRegistry,
    registry_editor: WiredEditor,
    user: Actor,
    model_name: str,
    model_version: str,
    description: Lines = "",
    labels: Lines = "",
) -> Response:
    """Save description and labels."""
    row = live_version(registry, model_name, model_version)
    try:
        changes = parse_changes({"description": description.replace("\r\n", "\n"), "labels": lines_of(labels)})
    except RequestRejected as rejected:
        return _edit_page(request, row, description, labels, findings=rejected.findings)
    registry_editor.edit(model_name, model_version, changes, user)
    return to_version(request, model_name, model_version, done="edited")


# A form that was refused leaves its address in the window, where it is loaded again by GET.
@router.get("/models/{model_name}/{model_version}/alias")
@router.get("/models/{model_name}/{model_version}/unalias")
@router.get("/models/{model_name}/{model_version}/stage")
def back_to_form(request: Request, model_name: str, model_version: str) -> Response:
    """The page that the small forms stand on."""
    return to_version(request, model_name, model_version, "edit")


@router.get("/models/{model_name}/{model_version}/revalidate")
def back_to_health(request: Request, model_name: str, model_version: str) -> Response:
    """Where a new test is told of."""
    return to_version(request, model_name, model_version, "health")


@router.post("/models/{model_name}/{model_version}/alias", dependencies=[may_change])
def set_alias(
    request: Request,
    registry: WiredRegistry,
    registry_editor: WiredEditor,
    user: Actor,
    model_name: str,
    model_version: str,
    alias: Lines = "",
) -> Response:
    """Point an alias to the version."""
    row = live_version(registry, model_name, model_version)
    try:
        registry_editor.set_alias(model_name, alias.strip(), model_version, user)
    except (AliasRefused, VersionBusy) as error:
        return _edit_page(request, row, row.description, "\n".join(row.labels), alias=alias, error=error)
    return to_version(request, model_name, model_version, done="alias")


@router.post("/models/{model_name}/{model_version}/unalias", dependencies=[may_change])
def remove_alias(
    request: Request,
    registry_editor: WiredEditor,
    user: Actor,
    model_name: str,
    model_version: str,
    alias: Lines = "",
) -> Response:
    """Remove an alias."""
    registry_editor.remove_alias(model_name, alias, user)
    return to_version(request, model_name, model_version, done="unalias")


@router.post("/models/{model_name}/{model_version}/stage", dependencies=[may_change])
def set_stage(
    request: Request,
    registry: WiredRegistry,
    registry_editor: WiredEditor,
    user: Actor,
    model_name: str,
    model_version: str,
    stage: Annotated[Stage, Form()],
) -> Response:
    """Say how far the version has come."""
    row = live_version(registry, model_name, model_version)
    try:
        registry_editor.set_stage(model_name, model_version, stage, user)
    except VersionBusy as error:
        return _edit_page(request, row, row.description, "\n".join(row.labels), stage=stage, error=error)
    return to_version(request, model_name, model_version, done="stage")


@router.get("/models/{model_name}/{model_version}/delete", dependencies=[may_change])
def delete_form(request: Request, registry: WiredRegistry, model_name: str, model_version: str) -> Response:
    """Ask whether the version is to be deleted."""
    row = live_version(registry, model_name, model_version)
    return page(request, "delete.html", row=row, base=version_path(model_name, model_version))


@router.post("/models/{model_name}/{model_version}/delete", dependencies=[may_change])
def delete(
    request: Request, registry_editor: WiredEditor, user: Actor, model_name: str, model_version: str
) -> Response:
    """Delete the version, for good."""
    registry_editor.delete(model_name, model_version, user)
    return to_version(request, model_name, model_version, "events")
