"""The package's layer: its files streamed into a container of the runtime's image, which then becomes an image.

The engine writes the bytes twice, into the container and into the layer; a build with COPY writes them three times.
The same package gives the same layer: the archive's order, times, owners and modes are fixed, and so are those of the
folders above.
"""

from __future__ import annotations

import contextlib
import hashlib
import tarfile
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from docker.errors import APIError, ImageNotFound

from airlock.adapters.build_litter import Signature, name_image, remove_litter
from airlock.adapters.docker_client import ENGINE_ERRORS, ClientFactory, engine_errors
from airlock.domain.baking import BakePlan, Member, archive_members
from airlock.domain.package import FileEntry, Manifest
from airlock.errors import BuildFailed, StoreDamaged
from airlock.ports import Clock

#: The client sends pieces of this size about as fast as the engine takes them; with smaller ones it waits for itself.
CHUNK_BYTES = 1_000_000
_BLOCK = tarfile.BLOCKSIZE


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
            # A layer of many gigabytes is committed in one silent answer.
            client.api.timeout = round(self._timeout_s) + 60
            with engine_errors("laying a package into an image"):
                remove_litter(client, plan.content_tag, self._builder)
                signed = self._builder.labels(plan.content_tag)
                try:
                    # Never started: nothing but the package's files is written, and no mount point is made.
                    container = client.api.create_container(
                        image, command=["true"], labels=signed, network_disabled=True
                    )["Id"]
                except ImageNotFound:
                    raise image_gone(plan.image.reference) from None
                log(f"Laying {len(manifest.files)} files, {manifest.size_bytes:,} bytes, over {image}.")
                chunks = self._in_time(archive(archive_members(manifest), package), plan, deadline)
                with contextlib.closing(chunks):
                    client.api.put_archive(container, "/", chunks)
                log(f"Making a layer of them: {plan.content_tag}.")
                own = client.images.get(image).attrs["Config"]
                made = client.api.commit(
                    container,
                    pause=False,
                    message=f"package sha256:{plan.package_digest}",
                    # What the container adds to the image's own is never the same twice, and no service needs it.
                    conf={**own, "Labels": {**(own["Labels"] or {}), **signed}},
                )["Id"]
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


def image_gone(reference: str) -> BuildFailed:
    """The error of an image that was there and is no longer."""
    return BuildFailed(
        "BLD012", f"The image {reference} is no longer on this worker.", "Run the import's build task again."
    )


def archive(members: Iterable[Member], package: Path) -> Generator[bytes, None, None]:
    """A tar archive as pieces of about a megabyte; the same members give the same bytes.

    Args:
        members: Its entries in order.
        package: The folder that contains `model/`.

    Raises:
        StoreDamaged: A file is not what its entry says. The archive ends there, unfinished.
    """
    waiting = bytearray()
    # Hashing one piece while the engine takes the one before costs no time of its own.
    with ThreadPoolExecutor(1, thread_name_prefix="bake-hash") as hasher:
        for member in members:
            waiting += _header(member)
            if member.entry is not None:
                for piece in _verified(member.entry, package, hasher):
                    waiting += piece
                    if len(waiting) >= CHUNK_BYTES:
                        yield bytes(waiting)
                        waiting.clear()
                waiting += bytes(-member.entry.size_bytes % _BLOCK)
        waiting += bytes(2 * _BLOCK)
        yield bytes(waiting)


def _header(member: Member) -> bytes:
    info = tarfile.TarInfo(member.path)
    if member.entry is None:
        info.type, info.mode = tarfile.DIRTYPE, 0o755
    else:
        info.size, info.mode = member.entry.size_bytes, 0o644
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


def _verified(entry: FileEntry, package: Path, hasher: ThreadPoolExecutor) -> Generator[bytes, None, None]:
    """A file's bytes, as many as its entry says; that they are the right ones is known when the last was given."""
    digest = hashlib.sha256()
    hashing: Future[None] | None = None
    left = entry.size_bytes
    try:
        with (package / entry.path).open("rb", buffering=0) as file:
            while left and (piece := file.read(min(CHUNK_BYTES, left))):
                left -= len(piece)
                if hashing is not None:
                    hashing.result()
                hashing = hasher.submit(digest.update, piece)
                yield piece
            longer = bool(file.read(1))
    except OSError as error:
        raise _damaged(entry, f"cannot be read: {error.strerror}") from error
    if hashing is not None:
        hashing.result()
    if left or longer or digest.hexdigest() != entry.sha256:
        raise _damaged(entry, "is not what the package's manifest says")


def _damaged(entry: FileEntry, what: str) -> StoreDamaged:
    return StoreDamaged("STO003", f"{entry.path} in the package store {what}.", "Import the package again.")
