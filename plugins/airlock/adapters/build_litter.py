"""What builds leave on an engine that several installations may share, and who may remove which of it.

A build signs its containers and untagged images: with its process, and with the folder of locks that it keeps to.
Whoever holds a layer's lock in the same folder knows that no other build of that layer is at work there; of every other
folder it can only be asked whether the process has ended. So two workers with disks of their own on one engine leave
each other's builds alone: both make the layer, and the first that is done gives it its name.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, ImageNotFound

from airlock.adapters.docker_client import OWNER_LABEL, RUN_LABEL
from airlock.adapters.owner import is_gone, this_process
from airlock.domain.image import LAYER_LABEL

#: The folder of locks that a build keeps to, by a name that no other folder has.
LOCKS_LABEL = "io.airlock.locks"
_NAME_FILE = "name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """Who builds.

    Attributes:
        owner: The process, as `owner.this_process` writes it.
        locks: The name of its folder of locks.
    """

    owner: str
    locks: str

    @classmethod
    def of(cls, locks_folder: Path) -> Signature:
        """That of this process with a folder of locks, which is made where it is missing."""
        return cls(owner=this_process(), locks=_name_of(locks_folder))

    def labels(self, tag: str) -> dict[str, str]:
        """What everything of a layer's build carries."""
        return {LAYER_LABEL: tag, OWNER_LABEL: self.owner, LOCKS_LABEL: self.locks}

    def sign(self, dockerfile: str, tag: str) -> str:
        """A Dockerfile whose containers and images carry the labels.

        In the instruction that names the layer, so that there is no step with the one and without the others.
        """
        plain = f"LABEL {LAYER_LABEL}={tag}\n"
        return dockerfile.replace(
            plain, "LABEL " + " ".join(f"{name}={value}" for name, value in self.labels(tag).items()) + "\n"
        )

    def is_litter(self, labels: Mapping[str, str]) -> bool:
        """Whether a build of the layer whose lock is held has left this, and does not need it any more."""
        return labels.get(LOCKS_LABEL) == self.locks or is_gone(labels.get(OWNER_LABEL, "")) is True


def remove_litter(client: docker.DockerClient, tag: str, builder: Signature) -> int:
    """Remove containers and untagged images of this layer's builds that have ended; the caller holds the layer's lock.

    Returns:
        How many were removed.
    """
    containers, images = _litter(client, tag, builder)
    count = 0
    for container in containers:
        # Gone already, or the engine itself is just removing it.
        with contextlib.suppress(APIError):
            client.api.remove_container(container, force=True, v=True)
            count += 1
    for image in images:
        with contextlib.suppress(APIError):
            client.api.remove_image(image)
            count += 1
    return count


def has_litter(client: docker.DockerClient, tag: str, builder: Signature) -> bool:
    """Whether containers or untagged images of this layer's ended builds are there."""
    return any(_litter(client, tag, builder))


def _litter(client: docker.DockerClient, tag: str, builder: Signature) -> tuple[list[str], list[str]]:
    """Identifiers of the containers and of the untagged images."""
    label = f"{LAYER_LABEL}={tag}"
    containers = [each["Id"] for each in _build_containers(client, label) if builder.is_litter(_labels(each))]
    images = [each["Id"] for each in _untagged(client, label) if builder.is_litter(_labels(each))]
    return containers, images


def remove_old_litter(client: docker.DockerClient, before: float, label: str = LAYER_LABEL) -> int:
    """Remove what builds left that nobody builds again: their workers were killed, so that none of them could.

    Args:
        client: The engine's client.
        before: Seconds since 1970. Older than any build may take: a younger one may be going on, of another worker.
            What a process left that is known to have ended goes at once.
        label: Which builds.

    Returns:
        How many things were removed.
    """

    def is_over(found: Mapping[str, Any]) -> bool:
        return found["Created"] < before or is_gone(_labels(found).get(OWNER_LABEL, "")) is True

    count = 0
    for container in _build_containers(client, label):
        if is_over(container):
            with contextlib.suppress(APIError):
                client.api.remove_container(container["Id"], force=True, v=True)
                count += 1
    for image in _untagged(client, label):
        if is_over(image):
            with contextlib.suppress(APIError):
                client.api.remove_image(image["Id"])
                count += 1
    return count


def name_image(client: docker.DockerClient, identity: str, tag: str) -> bool:
    """Give an image its name, unless another build was faster: that one's image may be in a version's record already.

    Returns:
        Whether it has the name now. Otherwise it is litter.
    """
    try:
        client.images.get(tag)
    except ImageNotFound:
        repository, _, name = tag.rpartition(":")
        client.api.tag(identity, repository, name)
        return True
    return False


def _build_containers(client: docker.DockerClient, label: str) -> list[Mapping[str, Any]]:
    """Containers of builds. One that serves an image inherits the labels: it is no build's, whoever started it."""
    found: list[Mapping[str, Any]] = client.api.containers(all=True, filters={"label": [label]})
    made = {image["Id"]: _labels(image) for image in client.api.images(filters={"label": [label]})}
    untagged = {image["Id"] for image in _untagged(client, label)}
    return [
        each
        for each in found
        if RUN_LABEL not in _labels(each)
        and (
            each["ImageID"] in untagged
            or made.get(each["ImageID"], {}).get(LAYER_LABEL) != _labels(each).get(LAYER_LABEL)
        )
    ]


def _untagged(client: docker.DockerClient, label: str) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = client.api.images(all=False, filters={"label": [label], "dangling": True})
    # The engine counts an image that is known by a registry's digest alone among them.
    return [each for each in found if set(each.get("RepoDigests") or ()) <= {"<none>@<none>"}]


def _labels(found: Mapping[str, Any]) -> Mapping[str, str]:
    return found.get("Labels") or {}


def _name_of(folder: Path) -> str:
    """The name of a folder of locks: given once, by whoever comes first."""
    path = folder / _NAME_FILE
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        own = folder / f".{_NAME_FILE}-{uuid.uuid4().hex}"
        own.write_text(uuid.uuid4().hex)
        # Whole or not at all, and never a second time.
        with contextlib.suppress(FileExistsError):
            os.link(own, path)
        own.unlink()
    return path.read_text()
