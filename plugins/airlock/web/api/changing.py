"""What the API changes. Every route asks whether the caller may start imports."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from airlock.domain.request_form import parse_changes
from airlock.domain.version import Stage
from airlock.web.access import Actor, may_change
from airlock.web.api import shapes
from airlock.web.api.problems import documented
from airlock.web.api.reading import ONE
from airlock.web.api.shapes import VERSION_FORM, AliasName, ModelName, ModelVersion
from airlock.web.wired import WiredEditor

router = APIRouter(tags=["Changes"], responses=documented(404, 409), dependencies=[may_change])


class ChangeBody(BaseModel):
    """What is changed of a version; what is left out or null stays as it is."""

    model_config = ConfigDict(extra="forbid")

    description: str | None = Field(default=None, description="At most 100 characters; empty removes it")
    labels: list[str] | None = Field(default=None, description="At most five; an empty list removes them")


class AliasBody(BaseModel):
    """Where an alias points."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    model_version: Annotated[str, Field(pattern=VERSION_FORM)]


class StageBody(BaseModel):
    """A stage."""

    model_config = ConfigDict(extra="forbid")

    stage: Stage


@router.patch(ONE)
def edit_version(
    editor: WiredEditor, actor: Actor, model_name: ModelName, model_version: ModelVersion, body: ChangeBody
) -> shapes.VersionDetail:
    """Change description and labels."""
    changes = parse_changes(body.model_dump())
    return shapes.version_detail(editor.edit(model_name, model_version, changes, actor))


@router.delete(ONE, status_code=204)
def delete_version(editor: WiredEditor, actor: Actor, model_name: ModelName, model_version: ModelVersion) -> None:
    """Delete a version for good; its number is never given again."""
    editor.delete(model_name, model_version, actor)


@router.put("/models/{model_name}/aliases/{alias}")
def set_alias(
    editor: WiredEditor, actor: Actor, model_name: ModelName, alias: AliasName, body: AliasBody
) -> shapes.AliasShape:
    """Point an alias to a Normal version, from wherever it pointed before."""
    return shapes.alias_shape(editor.set_alias(model_name, alias, body.model_version, actor))


@router.delete("/models/{model_name}/aliases/{alias}", status_code=204)
def remove_alias(editor: WiredEditor, actor: Actor, model_name: ModelName, alias: AliasName) -> None:
    """Remove an alias."""
    editor.remove_alias(model_name, alias, actor)


@router.put(f"{ONE}/stage")
def set_stage(
    editor: WiredEditor, actor: Actor, model_name: ModelName, model_version: ModelVersion, body: StageBody
) -> shapes.VersionDetail:
    """Say how far a version has come on its way into use."""
    return shapes.version_detail(editor.set_stage(model_name, model_version, body.stage, actor))
