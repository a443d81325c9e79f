"""Images that hold their package: how they are named, what they say of themselves, and the archive of the package.

Two steps, because they change at different rates. The package's layer is named by the runtime's image and the package's
digest, so that every version of the same bytes shares it. The model's image above it adds nothing but names: the model,
its version, its source.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass

from airlock.domain.catalogue import Runtime
from airlock.domain.image import (
    LAYER_LABEL,
    LOCAL_REPOSITORY,
    OCI_LABEL,
    PACKAGE_FOLDER,
    Image,
    Layer,
    environment_line,
    label_line,
)
from airlock.domain.package import FileEntry, Manifest

#: The layer with the package's files, and the one with the model's names.
PACKAGE_LAYER = "package"
MODEL_LAYER = "model"
#: Part of every name: another way to write the archive gives other layers.
_ARCHIVE_FORM = "2"


@dataclass(frozen=True, slots=True, kw_only=True)
class BakePlan:
    """What makes an image that holds its package.

    Attributes:
        runtime: The catalogue's row.
        image: The runtime's image.
        package_digest: The package.
        content_tag: Name of the image with the package's layer.
        model: The layer above it, which adds names only.
    """

    runtime: Runtime
    image: Image
    package_digest: str
    content_tag: str
    model: Layer


def plan_bake(
    runtime: Runtime, image: Image, *, package_digest: str, source: str, model_name: str, model_version: str
) -> BakePlan:
    """Plan an image that holds its package.

    Args:
        runtime: The catalogue's row.
        image: The runtime's image, whose last layer names it.
        package_digest: The package.
        source: Where the package came from.
        model_name: The model.
        model_version: Its version.
    """
    serving_tag = image.layers[-1].tag
    readable = serving_tag.rpartition(":")[2].rpartition("-")[0]

    def tag(name: str, *inputs: str) -> str:
        digest = hashlib.sha256(json.dumps(inputs).encode()).hexdigest()[:20]
        return f"{LOCAL_REPOSITORY}/{name}:{readable}-{digest}"

    content_tag = tag(PACKAGE_LAYER, _ARCHIVE_FORM, serving_tag, package_digest)
    said = {
        f"{OCI_LABEL}.title": model_name,
        f"{OCI_LABEL}.version": model_version,
        f"{OCI_LABEL}.source": source,
        f"{OCI_LABEL}.base.name": serving_tag,
        "io.airlock.package": f"sha256:{package_digest}",
    }

    def dockerfile(label: str) -> str:
        return "\n".join([
            f"FROM {content_tag}",
            f"LABEL {LAYER_LABEL}={label}",
            label_line(said),
            environment_line({"AIRLOCK_MODEL_NAME": model_name}),
            "",
        ])

    model_tag = tag(MODEL_LAYER, dockerfile(""))
    return BakePlan(
        runtime=runtime,
        image=image,
        package_digest=package_digest,
        content_tag=content_tag,
        model=Layer(
            name=MODEL_LAYER, tag=model_tag, base=content_tag, dockerfile=dockerfile(model_tag), requirements=""
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One entry of the package's archive.

    Attributes:
        path: Relative to the image's root.
        entry: The package's file; None for a folder.
    """

    path: str
    entry: FileEntry | None = None


def archive_members(manifest: Manifest) -> Iterator[Member]:
    """The entries of the archive that is laid over an image: every folder before what is in it, all in one order.

    The folders above the package are among them: an entry gives them a fixed time, where the engine would give them the
    moment.
    """
    told: set[str] = set()
    above = PACKAGE_FOLDER.strip("/")
    for entry in manifest.files:
        path = f"{above}/{entry.path}"
        parts = path.split("/")
        for depth in range(1, len(parts)):
            folder = "/".join(parts[:depth])
            if folder not in told:
                told.add(folder)
                yield Member(path=folder)
        yield Member(path=path, entry=entry)
