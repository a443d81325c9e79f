"""Manifests of registered versions, for the platform that shall serve them."""

from __future__ import annotations

import shlex
from typing import Annotated

import yaml
from fastapi import APIRouter, Query
from fastapi.responses import PlainTextResponse

from airlock.domain.deployment.docker_manifests import compose_file, docker_command, health_note
from airlock.domain.deployment.hand_off import DEFAULT_HOST_PORT, HandOff, Platform, hand_off
from airlock.domain.deployment.kubernetes_manifests import kserve_object, kubernetes_objects
from airlock.domain.device import Device
from airlock.web.api.problems import documented
from airlock.web.api.reading import ONE, existing
from airlock.web.api.shapes import TEXT_FORM, ModelName, ModelVersion
from airlock.web.wired import WiredPackages, WiredRegistry

router = APIRouter(tags=["Deployment"], responses=documented(404, 409))
SHELL, YAML = "text/x-shellscript", "application/yaml"


@router.get(
    f"{ONE}/deployment",
    response_class=PlainTextResponse,
    responses={200: {"content": {SHELL: {"schema": {"type": "string"}}, YAML: {"schema": {"type": "string"}}}}},
)
def deployment(
    registry: WiredRegistry,
    packages: WiredPackages,
    model_name: ModelName,
    model_version: ModelVersion,
    platform: Annotated[Platform, Query(alias="type")],
    device: Annotated[Device | None, Query(description="Without it the first that it passed on")] = None,
    claim: Annotated[
        str, Query(max_length=63, pattern=TEXT_FORM, description="Volume claim that holds the package store")
    ] = "",
    image: Annotated[
        str, Query(max_length=500, pattern=TEXT_FORM, description="The image's name in a registry, with its digest")
    ] = "",
    port: Annotated[
        int | None,
        Query(ge=1, le=65_535, description=f"The host's port, for Docker and Compose; without it {DEFAULT_HOST_PORT}"),
    ] = None,
) -> PlainTextResponse:
    """A ready manifest of a Normal version: a command for Docker, YAML for the others.

    Its package is mounted from the store's folder, or from the volume claim that is named; an image that holds it needs
    neither.
    """
    row = existing(registry, model_name, model_version)
    digest = row.package_digest.rpartition(":")[2]
    folder = packages.folder(digest) if digest else ""
    given = hand_off(row, platform, device=device, package_folder=folder, claim=claim, image=image, host_port=port)
    media_type = SHELL if platform is Platform.DOCKER else YAML
    return PlainTextResponse(written(given, platform), media_type=media_type)


def written(given: HandOff, platform: Platform) -> str:
    """A manifest as text; every value is quoted for where it stands."""
    if platform is Platform.DOCKER:
        return _script(given)
    if platform is Platform.COMPOSE:
        return _comment(given) + _yaml(compose_file(given))
    if platform is Platform.KSERVE:
        return _yaml(kserve_object(given))
    return "---\n".join(map(_yaml, kubernetes_objects(given)))


def _script(given: HandOff) -> str:
    """A script that can be run again: a container of that name makes way, also one that could not be started."""
    name = shlex.quote(given.name)
    return (
        "#!/bin/sh\n"
        f"{_comment(given)}"
        f"docker stop {name} >/dev/null 2>&1\n"
        f"docker rm --force {name} >/dev/null 2>&1\n"
        f"exec {shlex.join(docker_command(given))}\n"
    )


def _comment(given: HandOff) -> str:
    """A note in the form that a shell and YAML share; nothing in it has more than one line."""
    note = health_note(given)
    return f"# {note}\n" if note else ""


def _yaml(value: object) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=120)
