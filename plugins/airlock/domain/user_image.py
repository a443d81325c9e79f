"""Images of the user's own (`model_type` Image): what is asked of one, on which devices and ports, and as which user.

Source: Specifications for custom images used for importing models; Specifications for compiling the model configuration
file.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass

from airlock.domain.apis import Api
from airlock.domain.config import ModelConfig
from airlock.domain.detection import Detection, Evidence
from airlock.domain.device import Device
from airlock.domain.engines import IMAGE
from airlock.domain.findings import shown
from airlock.domain.image import SERVICE_USER, UserImage
from airlock.domain.image_reference import ImageReference
from airlock.domain.request import ImportRequest
from airlock.errors import ImageRefused

#: The port that a custom image listens on where nothing else is said.
DEFAULT_PORT = 8080
#: Memory limit in megabytes (10^6 bytes) where the request names none.
DEFAULT_MEMORY_MB = 4000
#: Where the package's `model/` lies in the container, read-only.
MODEL_FOLDER = "/home/mind/model"
#: Writable, in memory and empty, beside the image's own volumes.
WRITABLE_FOLDERS = ("/tmp", "/var/tmp", "/run")  # noqa: S108 - paths inside the container
NOBODY = f"{SERVICE_USER}:{SERVICE_USER}"
#: What the engine itself lays out; an image's volume there would take it away.
_ENGINE_FOLDERS = ("/proc", "/sys", "/dev")
_ROOT_NAMES = ("", "0", "root")
#: The engine's names of architectures → those of `uname -m`.
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64", "386": "i686", "arm": "armv7l"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """What the engine says of an image.

    Attributes:
        identity: The engine's identifier of it, `sha256:…`.
        repository_digests: `repository@sha256:…` of every registry that it is known to lie in.
        size_bytes: Size on disk.
        operating_system: As the image names it.
        starts: Whether it says what to start.
        own: What the test and the record need.
    """

    identity: str
    repository_digests: tuple[str, ...]
    size_bytes: int
    operating_system: str
    starts: bool
    own: UserImage


def check_image(reference: ImageReference, facts: ImageFacts, *, machine: str, max_bytes: int) -> None:
    """Check that an image can be served here.

    Args:
        reference: How the configuration names it.
        facts: What it is.
        machine: The engine's architecture, as `uname -m` names it.
        max_bytes: Most bytes that an image may have.

    Raises:
        ImageRefused: It is too large, made for another machine, or says nothing of what to start.
    """
    if facts.size_bytes > max_bytes:
        raise too_large(reference, facts.size_bytes, max_bytes, "")
    if facts.operating_system != "linux":
        raise ImageRefused(
            "IMG006",
            f"The image {reference} is made for {shown(facts.operating_system or 'no system')}, not for Linux.",
            "Build it for Linux.",
        )
    if facts.own.architecture != machine:
        raise wrong_architecture(reference, shown(facts.own.architecture or "no architecture"), machine)
    if not facts.starts:
        raise ImageRefused(
            "IMG007", f"The image {reference} does not say what to start.", "Add CMD or ENTRYPOINT to its Dockerfile."
        )


def check_registry(reference: ImageReference, allowed: tuple[str, ...]) -> None:
    """Check that an image may come from its registry.

    Args:
        reference: How the configuration names the image.
        allowed: The registries that images may come from; none means any.

    Raises:
        ImageRefused: The installation does not take images from there.
    """
    if allowed and reference.registry.lower() not in allowed:
        raise ImageRefused(
            "IMG012",
            f"The image {reference} lies in {reference.registry}, from where this installation takes none.",
            f"Push it to one of {', '.join(allowed)}, or ask for it in `[airlock] image_registries`.",
        )


def too_large(reference: ImageReference, size_bytes: int, max_bytes: int, kind: str) -> ImageRefused:
    """The error of an image that is too large; `kind` says what was counted."""
    return ImageRefused(
        "IMG005",
        f"The image {reference} has {size_bytes:,} bytes{kind}, at most {max_bytes:,} are taken.",
        "Make it smaller, or ask for a higher `[airlock] max_image_bytes`.",
    )


def wrong_architecture(reference: ImageReference, made_for: str, machine: str) -> ImageRefused:
    """The error of an image for another machine."""
    return ImageRefused(
        "IMG006",
        f"The image {reference} is made for {made_for}; the engine runs on {machine}.",
        "Build it for that architecture as well, or use a worker of the image's.",
    )


def needs_engine(reference: str) -> ImageRefused:
    """The error of a worker that runs models as ordinary processes."""
    return ImageRefused(
        "IMG011",
        f"The image {reference} needs Docker Engine, and this worker runs models as ordinary processes.",
        "Start Docker Engine on the worker, and see that `[airlock] backend` is auto or docker.",
    )


def machine_of(architecture: str) -> str:
    """The engine's name of an architecture as `uname -m` names it."""
    return _MACHINES.get(architecture, architecture)


def kept_reference(reference: ImageReference, facts: ImageFacts) -> tuple[str, str]:
    """What the version keeps: a name that finds the very same image, and its digest.

    The registry's digest names the image on any worker; the engine's identifier only where the image already is.
    """
    own = f"{reference.repository}@"
    # The public registry's images are known without its host and without the folder of its own ones.
    names = {own, own.removeprefix("docker.io/"), own.removeprefix("docker.io/library/")}
    found = sorted(name for name in facts.repository_digests if name.partition("@")[0] + "@" in names)
    pinned = [name for name in found if name.endswith(f"@{reference.digest}")] if reference.digest else found
    if pinned:
        return pinned[0], pinned[0].partition("@")[2]
    return str(reference), facts.identity


def runnable(reference: str, digest: str) -> str:
    """What the engine is told to start: never a tag, which may have moved since."""
    return reference if "@" in reference else digest


def users_to_try(own: UserImage) -> tuple[str, ...]:
    """The users that the service is started as, one after the other while it ends before it is healthy.

    An image that names a user of its own gets it. One that would run as root is tried as nobody first.
    """
    return (NOBODY, own.user or "0:0") if is_root(own.user) else (own.user,)


def is_root(user: str) -> bool:
    """Whether a USER is root, as which images run that name none."""
    name = user.partition(":")[0]
    return name in _ROOT_NAMES or (name.isdecimal() and int(name) == 0)


def writable_folders(own: UserImage | None) -> tuple[str, ...]:
    """Where the service may write: what every program counts on, and what the image declares as volumes."""
    volumes = (posixpath.normpath(path) for path in (own.volumes if own else ()) if path.startswith("/"))
    usable = (
        path for path in volumes if path.strip("/") and path != MODEL_FOLDER and not path.startswith(_ENGINE_FOLDERS)
    )
    return tuple(dict.fromkeys((*WRITABLE_FOLDERS, *usable)))


def home_of(user: str) -> dict[str, str]:
    """The variable that gives nobody a home: whoever the image was made for has one that nobody else can enter."""
    return {"HOME": WRITABLE_FOLDERS[0]} if user == NOBODY else {}


def port_of(api: Api | None, own: UserImage) -> int:
    """Where an API is served: where it says, else the one port that the image exposes, else 8080.

    Raises:
        ImageRefused: The image exposes several ports and 8080 is not one of them.
    """
    if api is not None and api.port is not None:
        return api.port
    if len(own.ports) == 1:
        return own.ports[0]
    if own.ports and DEFAULT_PORT not in own.ports:
        named = ", ".join(map(str, own.ports))
        raise ImageRefused(
            "IMG008",
            f"The image exposes the ports {named}, and nothing says which one serves "
            f"{'the model' if api is None else f'{api.method} {shown(api.url)}'}.",
            f"Name `port` beside the API in config.json, or serve on {DEFAULT_PORT}.",
        )
    return DEFAULT_PORT


def detect_image(config: ModelConfig, request: ImportRequest | None = None) -> Detection:
    """The detection of an Image package: the configuration says all there is.

    Args:
        config: The configuration.
        request: The import, whose form says which devices the image is for; an image itself does not say it.
    """
    says = (
        Evidence(file="model/config.json", says=f"names model_type {IMAGE}", engines=(IMAGE,)),
        Evidence(file="model/config.json", says=f"names the image {config.swr_location}", engines=(IMAGE,)),
    )
    return Detection(engine=IMAGE, runtime="", engine_version="", python="", devices=devices_of(request), evidence=says)


def devices_of(request: ImportRequest | None) -> tuple[Device, ...]:
    """The devices that an image is tested on: those that the form demands or gives an instance, else the CPU."""
    if request is None:
        return (Device.CPU,)
    specs = request.minimum_specs
    wanted = {*request.required_devices}
    wanted |= {Device.GPU} if specs.gpu else set()
    wanted |= {Device.ASCEND} if specs.ascend else set()
    return tuple(device for device in Device if device in wanted) or (Device.CPU,)
