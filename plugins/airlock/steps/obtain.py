"""build, for a package of `model_type` Image: its image is had and looked at, nothing is made."""

from __future__ import annotations

from collections.abc import Callable

from airlock.domain.image import Image, UserImage
from airlock.domain.image_reference import parse_reference
from airlock.domain.record import Accepted, Validated
from airlock.domain.user_image import is_root
from airlock.domain.version import EventKind
from airlock.ports.registry import Registry
from airlock.ports.runtime_backend import RuntimeBackend


def obtain(
    accepted: Accepted,
    validated: Validated,
    *,
    backend: RuntimeBackend,
    registry: Registry,
    log: Callable[[str], None],
) -> Image:
    """Have the image.

    Args:
        accepted: The version.
        validated: The configuration, which names it.
        backend: What has it.
        registry: For the version's history.
        log: Takes a line of progress at a time.

    Raises:
        ImageRefused: It cannot be had, or cannot be served here.
        BackendUnavailable: The engine or the image's registry did not answer.
    """
    reference = parse_reference(validated.config.swr_location or "")
    registry.add_event(accepted.reservation, EventKind.NORMAL, f"Image task started: {reference}.")
    image = backend.obtain(reference, log)
    own = image.own or UserImage()
    how = "Existing image used" if image.layers[0].reused else f"Image pulled in {image.layers[0].seconds:.1f} s"
    user = "root" if is_root(own.user) else own.user
    ports = ", ".join(map(str, own.ports)) or "no port"
    registry.add_event(
        accepted.reservation,
        EventKind.NORMAL,
        f"{how}: {image.digest}, {image.size_bytes:,} bytes, {own.architecture}, user {user}, exposes {ports}.",
    )
    return image
