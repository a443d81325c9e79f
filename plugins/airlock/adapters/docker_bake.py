"""The package's layer over the runtime's image, on one engine.

An engine with its own image store loads an archive that holds the new layer and names those that it has already: the
bytes are written twice, into the archive and into the layer. A build with COPY writes them three times. An engine that
keeps its images in containerd wants every layer in the archive, so there the files are laid into a container that is
never started, which then becomes an image.

The same package gives the same layer: the archive's order, times, owners and modes are fixed, and so are those of the
folders above.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

from docker.errors import APIError, ImageNotFound

from airlock.adapters.build_litter import Signature, name_image, remove_litter
from airlock.adapters.docker_client import ENGINE_ERRORS, ClientFactory, engine_errors
from airlock.adapters.image_archive import ImageArchive, ImageFacts
from airlock.adapters.package_archive import archive, archive_bytes
from airlock.domain.baking import BakePlan, archive_members
from airlock.domain.findings import shown
from airlock.domain.package import Manifest
from airlock.errors import BuildFailed
from airlock.ports.clock import Clock


class PackageBake:
    """Makes images with a package's layer on one engine.

    Args:
        clients: Makes a client of the engine.
        timeout_s: Seconds that one image may take.
        clock: Time.
        builder: Who makes them.
    """

    def __init__(self, clients: ClientFactory, *, timeout_s: float, clock: Clock, builder: Signature) -> None:
        self._clients = clients
        self._builder = builder
        self._timeout_s = timeout_s
        self._clock = clock

    def make(self, plan: BakePlan, image: str, manifest: Manifest, package: Path, log: Callable[[str], None]) -> None:
        """Make the image with the package's layer and tag it; nothing of a failed try stays.

        Args:
            plan: The plan.
            image: The engine's name of the runtime's image.
            manifest: The package's files.
            package: The folder that contains `model/`.
            log: Takes one line of progress at a time.

        Raises:
            BuildFailed: It takes too long, or the runtime's image is gone.
            StoreDamaged: A file is not what the manifest says.
            BackendUnavailable: The engine did not answer.
        """
        deadline = self._clock.monotonic() + self._timeout_s
        with engine_errors("asked for its version"):
            client = self._clients()
        try:
            # A layer of many gigabytes is made in one silent answer.
            client.api.timeout = round(self._timeout_s) + 60
            with engine_errors("laying a package into an image"):
                remove_litter(client, plan.content_tag, self._builder)
                try:
                    below = client.images.get(image)
                except ImageNotFound:
                    raise image_gone(plan.image.reference) from None
                log(f"Laying {len(manifest.files)} files, {manifest.size_bytes:,} bytes, over {image}.")
                members = list(archive_members(manifest))
                way = _committed if _keeps_images_elsewhere(client.info()) else _loaded
                chunks = self._in_time(archive(members, package), plan, deadline)
                signed = self._builder.labels(plan.content_tag)
                with contextlib.closing(chunks):
                    made = way(client, below, plan, signed, chunks, archive_bytes(members))
                log(f"Made a layer of them: {plan.content_tag}.")
                if not name_image(client, made, plan.content_tag):
                    log(f"Another worker has made {plan.content_tag} meanwhile: its image is taken.")
        finally:
            with contextlib.suppress(*ENGINE_ERRORS, APIError):
                remove_litter(client, plan.content_tag, self._builder)
            client.close()

    def _in_time(
        self, chunks: Generator[bytes, None, None], plan: BakePlan, deadline: float
    ) -> Generator[bytes, None, None]:
        with contextlib.closing(chunks):
            for chunk in chunks:
                if self._clock.monotonic() > deadline:
                    raise BuildFailed(
                        "BLD005",
                        f"The package was not laid into the image of {plan.runtime} within {self._timeout_s:.0f} s.",
                        "Import without `bake_model`, or raise `[airlock] build_timeout_s`.",
                    )
                yield chunk


def _keeps_images_elsewhere(info: Mapping[str, Any]) -> bool:
    """Whether an engine, by what it says of itself, has its images in containerd and not in a store of its own."""
    return any("containerd.snapshotter" in str(value) for _, value in info.get("DriverStatus") or ())


def _labels(below: Any, signed: Mapping[str, str]) -> dict[str, str]:
    return {**(below.attrs["Config"]["Labels"] or {}), **signed}


def _loaded(
    client: Any, below: Any, plan: BakePlan, signed: Mapping[str, str], chunks: Iterator[bytes], length: int
) -> str:
    """The identifier of an image that the engine has loaded."""
    facts = ImageFacts(
        attributes=below.attrs,
        history=client.api.history(below.id),
        labels=_labels(below, signed),
        layer_comment=f"package sha256:{plan.package_digest}",
    )
    sent = ImageArchive(facts, chunks, length)
    with contextlib.closing(sent.pieces()) as pieces:
        for line in client.api.load_image(pieces, quiet=True):
            if "error" not in line:
                continue
            try:
                client.images.get(below.id)
            except ImageNotFound:
                raise image_gone(plan.image.reference) from None
            raise BuildFailed(
                "BLD017",
                f"The engine does not load the layer with the package: {shown(str(line['error']), 300)}.",
                "See the engine's log and its disk, or import without `bake_model`.",
            )
    return sent.identity


def _committed(
    client: Any, below: Any, plan: BakePlan, signed: Mapping[str, str], chunks: Iterator[bytes], length: int
) -> str:
    """The identifier of an image of a container that the files were laid into."""
    # Never started: nothing but the package's files is written, and no mount point is made.
    container = client.api.create_container(below.id, command=["true"], labels=dict(signed), network_disabled=True)[
        "Id"
    ]
    client.api.put_archive(container, "/", chunks)
    made: str = client.api.commit(
        container,
        pause=False,
        message=f"package sha256:{plan.package_digest}",
        # What the container adds to the image's own is never the same twice, and no service needs it.
        conf={**below.attrs["Config"], "Labels": _labels(below, signed)},
    )["Id"]
    return made


def image_gone(reference: str) -> BuildFailed:
    """The error of an image that was there and is no longer."""
    return BuildFailed(
        "BLD012", f"The image {reference} is no longer on this worker.", "Run the import's build task again."
    )
